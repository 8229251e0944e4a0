//! `net`: the networks of this node.

use super::{Context, Status};
use crate::cli::NetCommand;
use crate::output::note;
use crate::tree::{Row, render};
use anyhow::Result;
use fairlead_attach::Node;
use fairlead_cluster::{Cluster, ClusterError, ConfigSync};
use fairlead_config::Assigned;
use fairlead_networks::{Branch, Catalog, Known, Listing, Report};
use fairlead_types::NetworkName;
use serde::Serialize;

pub(crate) fn run(context: &Context, command: NetCommand) -> Result<Status> {
    match command {
        NetCommand::Ls => list(context),
        NetCommand::Show { name } => show(context, name.as_deref()),
        NetCommand::Status { name, verbose } => {
            super::net_status::run(context, name.as_deref(), verbose)
        }
        NetCommand::Setup { dry_run } => setup(context, dry_run),
        NetCommand::Release { name, node, force } => release(context, &name, &node, force),
    }
}

pub(super) fn catalog(node: &Node) -> Result<Catalog> {
    Ok(Catalog::read(node.config())?)
}

fn list(context: &Context) -> Result<Status> {
    let node = context.node()?;
    // Names need no ways, and looking nodes up may take its time.
    let known = match context.output.is_table() {
        true => Known::default(),
        false => context.known(&node),
    };
    let listing = Listing::new(node.config(), &known, &catalog(&node)?, None);
    context.output.show(&listing, |listing| {
        listing.names().map(|name| format!("{name}\n")).collect()
    })?;
    Ok(Status::Done)
}

fn show(context: &Context, name: Option<&str>) -> Result<Status> {
    let node = context.node()?;
    let known = context.known(&node);
    let listing = Listing::new(node.config(), &known, &catalog(&node)?, name);
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

/// What `net setup` did: the networks, and what somebody had flushed.
#[derive(Serialize)]
struct Setup {
    #[serde(flatten)]
    report: Report,
    restored: Vec<String>,
}

fn setup(context: &Context, dry_run: bool) -> Result<Status> {
    let mut node = context.node()?;
    if !dry_run {
        let cluster = Cluster::open(&context.root)?;
        if let ConfigSync::LocalEdit { saved_as } = cluster.restore_mirror()? {
            note(format_args!(
                "fairlead: warning: cluster.conf is the mirror of what the cluster shares and was \
                 edited; the edit is kept as {}, 'fairlead cluster set' makes changes",
                saved_as.display()
            ));
        }
        segments(&cluster)?;
        node = context.node()?;
    }
    let known = context.known(&node);
    let report = fairlead_networks::setup(node.config(), &known, dry_run)?;
    let mut restored = node.restore(dry_run)?;
    restored
        .iter_mut()
        .for_each(|element| *element = format!("restore {element}"));
    if !dry_run {
        restored.extend(node.fit()?);
    }
    let done = Setup { report, restored };
    context.output.show(&done, |done| {
        let steps = done.report.steps.iter().map(|step| format!("{step}\n"));
        let restored = done.restored.iter().map(|step| format!("{step}\n"));
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

/// Gives the nodes their segments that have none yet. While etcd cannot be reached, what
/// this node has goes on.
fn segments(cluster: &Cluster) -> Result<()> {
    match cluster.assign_segments() {
        Ok(assignment) => {
            for given in assignment.assigned {
                let Assigned {
                    network,
                    node,
                    segment,
                } = given;
                note(format_args!(
                    "fairlead: node {node} has segment {segment} of network {network} from now on"
                ));
            }
            for problem in assignment.problems {
                note(format_args!("fairlead: not done: {problem}"));
            }
            Ok(())
        }
        Err(ClusterError::Shared(error)) if error.is_unreachable() => {
            note(format_args!(
                "fairlead: warning: {error}; going on with cluster.conf as it was mirrored"
            ));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn release(context: &Context, name: &NetworkName, node: &str, force: bool) -> Result<Status> {
    let segment = Cluster::open(&context.root)?.release(name, node, force)?;
    context.output.show(&segment, |segment| {
        format!("segment {segment} of network {name} is free; it was that of node {node}\n")
    })?;
    Ok(Status::Done)
}
