//! `net status`: how much of each network is used, by whom, and what is wrong with it.

use super::net::catalog;
use super::{Context, Status};
use crate::output::note;
use crate::tree::{Row, render_colored};
use anyhow::Result;
use fairlead_attach::{Attachment, Node};
use fairlead_cluster::{Cluster, PublishedAddress};
use fairlead_control::Client;
use fairlead_networks::{Status as Table, StatusRow, Usage, UsedAddress};
use std::collections::BTreeMap;

pub(super) fn run(context: &Context, name: Option<&str>, verbose: bool) -> Result<Status> {
    let node = context.node()?;
    let cluster = Cluster::open(&context.root)?;
    let agent = Client::new(&context.root);
    let agent = agent.get::<fairlead_control::Status>(fairlead_control::STATUS);
    // One that does not answer is as good as none here.
    let agent = agent.ok().flatten();
    let catalog = catalog(&node)?;
    let problems = problems(context, &node, agent.as_ref());
    let table = match verbose || !context.output.is_table() {
        false => {
            let counts = counts(&node, &cluster)?;
            Table::new(&catalog, Usage::Counts(&counts), &problems, name)
        }
        true => {
            let used = addresses(&node, &cluster, name)?;
            Table::new(&catalog, Usage::Addresses(&used), &problems, name)
        }
    };
    context.output.show(&table, |table| {
        let is_wrong = table.networks.iter().any(|row| row.problem.is_some());
        let columns = [
            "name", "type", "network", "size", "used", "free", "pct", "problem",
        ];
        let mut header = Row::new(columns.into_iter().take(if is_wrong { 8 } else { 7 }));
        let rows = table.networks.iter();
        header.children = rows.map(|row| line(row, verbose, is_wrong)).collect();
        render_colored(&header, context.output.is_colored())
    })?;
    Ok(Status::Done)
}

fn line(row: &StatusRow, verbose: bool, is_wrong: bool) -> Row {
    let numbers = [row.size, row.used, row.free].map(|number| number.to_string());
    let texts = [row.name.clone(), row.kind.clone(), row.network.clone()];
    let problem = is_wrong.then(|| row.problem.clone().unwrap_or_else(|| "-".into()));
    let cells = texts.into_iter().chain(numbers).chain([row.pct.clone()]);
    let mut line = Row::new(cells.chain(problem));
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

/// How many addresses of each network: this node's own by its records, those of others
/// as they were published.
fn counts(node: &Node, cluster: &Cluster) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    if cluster.is_joined() {
        let published = cluster.counts(Some(node.config().node()))?;
        stale(published.stale);
        counts = published.value;
    }
    for used in own(node)? {
        *counts.entry(used.network.to_string()).or_default() += 1;
    }
    Ok(counts)
}

/// Every address, in the same way.
fn addresses(node: &Node, cluster: &Cluster, name: Option<&str>) -> Result<Vec<UsedAddress>> {
    let mut used: Vec<UsedAddress> = own(node)?.collect();
    if cluster.is_joined() {
        let published = cluster.addresses(name)?;
        stale(published.stale);
        let others = published.value.into_iter();
        let others = others.filter(|p| p.node != node.config().node());
        used.extend(others.map(of_another));
    }
    Ok(used)
}

/// The addresses of this node's attachments.
fn own(node: &Node) -> Result<impl Iterator<Item = UsedAddress>> {
    let name = node.config().node().to_owned();
    let of = move |attachment: Attachment| {
        let (object, resource) = (attachment.object, attachment.resource);
        let network = attachment.owner.network;
        let name = name.clone();
        attachment.addresses.into_iter().map(move |ip| UsedAddress {
            network: network.clone(),
            ip,
            node: name.clone(),
            object: object.clone(),
            resource: resource.clone(),
        })
    };
    Ok(node.attachments()?.into_iter().flat_map(of))
}

fn of_another(published: PublishedAddress) -> UsedAddress {
    UsedAddress {
        network: published.network,
        ip: published.ip,
        node: published.node,
        object: published.object.parse().ok(),
        resource: published.resource.parse().ok(),
    }
}

fn stale(since: Option<std::time::SystemTime>) {
    let seconds = since
        .and_then(|since| since.elapsed().ok())
        .map(|e| e.as_secs());
    if let Some(seconds) = seconds {
        note(format_args!(
            "fairlead: warning: etcd has not answered for {seconds} s; other nodes are shown as they were"
        ));
    }
}

/// A word for each network that something is wrong with: as the agent found, or as a look
/// of our own finds.
fn problems(
    context: &Context,
    node: &Node,
    agent: Option<&fairlead_control::Status>,
) -> BTreeMap<String, String> {
    if let Some(reconciled) = agent.and_then(|agent| agent.reconciled.as_ref()) {
        let wrong = reconciled.problems.iter().filter(|p| !p.warning);
        return wrong
            .filter_map(|p| Some((p.network.clone()?, p.word.clone())))
            .collect();
    }
    let known = context.known(node);
    match fairlead_networks::setup(node.config(), &known, true) {
        Ok(report) => {
            let wrong = report.problems.iter().filter(|p| !p.is_warning());
            wrong
                .filter_map(|p| Some((p.network()?.to_owned(), p.word().to_owned())))
                .collect()
        }
        Err(error) => {
            note(format_args!("fairlead: warning: {error}"));
            BTreeMap::new()
        }
    }
}
