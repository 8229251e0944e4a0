//! `ip`: the addresses that are given out.

use super::{Context, Status};
use crate::cli::IpCommand;
use crate::output::note;
use anyhow::{Context as _, Result};
use fairlead_ipam::{Pool, import_host_local};
use fairlead_types::NetworkName;
use serde_json::json;
use std::path::Path;

pub(crate) fn run(context: &Context, command: IpCommand) -> Result<Status> {
    match command {
        IpCommand::Ls(arguments) => list(context, arguments.network.as_ref()),
        IpCommand::Import { directory } => import(context, &directory),
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
