//! `net`: the networks of this node.

use super::{Context, Status};
use crate::cli::NetCommand;
use crate::output::note;
use crate::tree::{Row, render, render_colored};
use anyhow::Result;
use fairlead_attach::Node;
use fairlead_networks::{
    Branch, Catalog, Listing, Report, Status as Usage, StatusRow, UsedAddress,
};
use serde::Serialize;

pub(crate) fn run(context: &Context, command: NetCommand) -> Result<Status> {
    match command {
        NetCommand::Ls => list(context),
        NetCommand::Show { name } => show(context, name.as_deref()),
        NetCommand::Status { name, verbose } => status(context, name.as_deref(), verbose),
        NetCommand::Setup { dry_run } => setup(context, dry_run),
    }
}

fn catalog(node: &Node) -> Result<Catalog> {
    Ok(Catalog::read(node.config())?)
}

fn list(context: &Context) -> Result<Status> {
    let node = context.node()?;
    let listing = Listing::new(node.config(), &catalog(&node)?, None);
    context.output.show(&listing, |listing| {
        listing.names().map(|name| format!("{name}\n")).collect()
    })?;
    Ok(Status::Done)
}

fn show(context: &Context, name: Option<&str>) -> Result<Status> {
    let node = context.node()?;
    let listing = Listing::new(node.config(), &catalog(&node)?, name);
    context
        .output
        .show(&listing, |listing| match listing.tree() {
            Some(tree) => render(&branch(&tree)),
            None => String::new(),
        })?;
    Ok(Status::Done)
}

fn branch(tree: &Branch) -> Row {
    let mut row = Row::new([
        tree.label.as_str(),
        tree.value.as_deref().unwrap_or_default(),
    ]);
    row.children = tree.branches.iter().map(branch).collect();
    row
}

fn status(context: &Context, name: Option<&str>, verbose: bool) -> Result<Status> {
    let node = context.node()?;
    let used: Vec<UsedAddress> = node
        .attachments()?
        .into_iter()
        .flat_map(|attachment| {
            let object = attachment.object.clone();
            let network = attachment.owner.network.clone();
            attachment.addresses.into_iter().map(move |ip| UsedAddress {
                network: network.clone(),
                ip,
                object: object.clone(),
            })
        })
        .collect();
    let usage = Usage::new(&catalog(&node)?, node.config().node(), &used, name);
    context.output.show(&usage, |usage| {
        let mut header = Row::new(["name", "type", "network", "size", "used", "free", "pct"]);
        header.children = usage
            .networks
            .iter()
            .map(|row| usage_row(row, verbose))
            .collect();
        render_colored(&header, context.output.is_colored())
    })?;
    Ok(Status::Done)
}

fn usage_row(row: &StatusRow, verbose: bool) -> Row {
    let numbers = [row.size, row.used, row.free].map(|number| number.to_string());
    let texts = [row.name.clone(), row.kind.clone(), row.network.clone()];
    let mut line = Row::new(texts.into_iter().chain(numbers).chain([row.pct.clone()]));
    if verbose {
        let mut header = Row::new(["ip", "node", "service", "resource"]);
        header.children = row
            .ips
            .iter()
            .map(|ip| Row::new([&ip.ip, &ip.node, &ip.path, &ip.rid]))
            .collect();
        line.children = vec![header];
    }
    line
}

/// What `net setup` did: the networks, and what somebody had flushed.
#[derive(Serialize)]
struct Setup {
    #[serde(flatten)]
    report: Report,
    restored: Vec<String>,
}

fn setup(context: &Context, dry_run: bool) -> Result<Status> {
    let node = context.node()?;
    let report = fairlead_networks::setup(node.config(), dry_run)?;
    let restored = node.restore(dry_run)?;
    let done = Setup { report, restored };
    context.output.show(&done, |done| {
        let steps = done.report.steps.iter().map(|step| format!("{step}\n"));
        let restored = done
            .restored
            .iter()
            .map(|element| format!("restore {element}\n"));
        let text: String = steps.chain(restored).collect();
        if text.is_empty() {
            "nothing to do\n".into()
        } else {
            text
        }
    })?;
    for problem in &done.report.problems {
        let word = if problem.is_warning() {
            "warning"
        } else {
            "not done"
        };
        note(format_args!("fairlead: {word}: {problem}"));
    }
    Ok(if done.report.is_complete() {
        Status::Done
    } else {
        Status::Failed
    })
}
