//! `ip`: the addresses that are given out.

use super::{Context, Status};
use crate::cli::{IpArgs, IpCommand, ReleaseArgs};
use crate::output::note;
use anyhow::{Context as _, Result, bail};
use fairlead_attach::{AttachError, Held};
use fairlead_ipam::{Pool, import_host_local};
use fairlead_types::NetworkName;
use serde_json::json;
use std::path::Path;

pub(crate) fn run(context: &Context, command: IpCommand) -> Result<Status> {
    match command {
        IpCommand::Ls(arguments) => list(context, arguments.network.as_ref()),
        IpCommand::Import { directory } => import(context, &directory),
        IpCommand::Show(which) => show(context, &which),
        IpCommand::Assign(arguments) => {
            let node = context.node()?;
            let held = node.reserve(arguments.address, &arguments.network)?;
            render(context, &vec![held])
        }
        IpCommand::Release(arguments) => release(context, &arguments),
        IpCommand::Check(which) => check(context, &which),
    }
}

fn list(context: &Context, network: Option<&NetworkName>) -> Result<Status> {
    let node = context.node_by_records()?;
    let addresses = node.host().store(|store| store.view().addresses())?;
    let rows: Vec<_> = addresses
        .iter()
        .filter(|address| network.is_none_or(|network| address.owner.network == *network))
        .map(|address| {
            json!({
                "address": address.addr.to_string(),
                "pool": address.pool,
                "network": address.owner.network,
                "container": address.owner.container,
                "interface": address.owner.ifname,
                "namespace": address.netns.as_ref().map(|netns| netns.path.display().to_string()),
                "live": address.netns.as_ref().map(fairlead_store::NetnsRef::is_live),
            })
        })
        .collect();
    context.output.show(&rows, |rows| {
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Bool(live) => if *live { "yes" } else { "no" }.into(),
            _ => "-".into(),
        };
        let keys = [
            "address",
            "pool",
            "container",
            "interface",
            "live",
            "namespace",
        ];
        let cells = rows
            .iter()
            .map(|row| keys.iter().map(|key| text(&row[*key])).collect());
        let header = [
            "ADDRESS",
            "POOL",
            "CONTAINER",
            "INTERFACE",
            "LIVE",
            "NAMESPACE",
        ];
        context.output.table(&header, cells.collect())
    })?;
    Ok(Status::Done)
}

fn show(context: &Context, which: &IpArgs) -> Result<Status> {
    let node = context.node_by_records()?;
    let held = node.held(which.address, which.network.as_ref())?;
    if held.is_empty() {
        bail!(AttachError::NotHeld {
            address: which.address
        });
    }
    render(context, &held)
}

fn render(context: &Context, held: &Vec<Held>) -> Result<Status> {
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let cells = |one: &Held| {
        let kept = one.kept_for.iter().map(ToString::to_string);
        let kept: Vec<String> = kept.collect();
        let path = one.netns.as_ref().map(|path| path.display().to_string());
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        vec![
            one.address.to_string(),
            one.owner.network.to_string(),
            one.owner.container.to_string(),
            one.owner.ifname.to_string(),
            or_dash(one.state.map(|state| state.to_string())),
            or_dash(one.live.map(word)),
            match (one.kept, kept.is_empty()) {
                (_, false) => kept.join(" "),
                (kept, true) => word(kept),
            },
            or_dash(one.used_by.as_ref().map(ToString::to_string)),
            or_dash(path),
        ]
    };
    let header = [
        "ADDRESS",
        "NETWORK",
        "CONTAINER",
        "INTERFACE",
        "STATE",
        "LIVE",
        "KEPT",
        "USED BY",
        "NAMESPACE",
    ];
    context.output.show(held, |held| {
        context
            .output
            .table(&header, held.iter().map(cells).collect())
    })?;
    Ok(Status::Done)
}

fn release(context: &Context, arguments: &ReleaseArgs) -> Result<Status> {
    let which = &arguments.which;
    let node = context.node_by_records()?;
    let freed = node.release_address(which.address, which.network.as_ref(), arguments.force)?;
    let address = which.address;
    context.output.show(&freed, |freed| {
        let lines = freed
            .iter()
            .map(|owner| format!("{address} of {owner} is free\n"));
        lines.collect()
    })?;
    Ok(Status::Done)
}

fn check(context: &Context, which: &IpArgs) -> Result<Status> {
    let node = context.node_by_records()?;
    let looks = node.check_address(which.address, which.network.as_ref())?;
    let fine = looks.iter().all(|look| look.fine);
    context.output.show(&looks, |looks| {
        let cells = looks.iter().map(|look| {
            let mark = if look.fine { "ok" } else { "WRONG" };
            vec![look.subject.into(), mark.into(), look.seen.clone()]
        });
        context.output.table(&["WHAT", "", "SEEN"], cells.collect())
    })?;
    Ok(if fine { Status::Done } else { Status::Unwell })
}

fn import(context: &Context, directory: &Path) -> Result<Status> {
    let name = directory
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let network = NetworkName::new(&name)
        .with_context(|| format!("{} does not end in a network's name", directory.display()))?;
    anyhow::ensure!(
        directory.is_dir(),
        "{} is no directory",
        directory.display()
    );
    let node = context.node()?;
    let pool = Pool::new(&context.root, &network, None);
    let mut answer = None;
    node.host().store(|store| {
        answer = Some(store.write(|tx| import_host_local(tx, &pool, directory)));
        Ok(())
    })?;
    let report = answer.context("the node's state was not asked")??;
    for file in report.unclaimed.iter().chain(&report.ignored) {
        note(format_args!("fairlead: {}: {}", file.file, file.reason));
    }
    let rows: Vec<_> = report
        .imported
        .iter()
        .map(|(address, owner)| json!({"address": address.to_string(), "owner": owner}))
        .collect();
    context.output.show(&rows, |_| {
        report
            .imported
            .iter()
            .map(|(address, owner)| format!("{address} of {owner}\n"))
            .collect()
    })?;
    Ok(Status::Done)
}
