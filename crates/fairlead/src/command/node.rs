//! `node`: this node's place in a cluster, and who else is there.

use super::{Context, Status, config};
use crate::cli::{JoinArgs, LeaveArgs, NodeCommand};
use crate::output::note;
use anyhow::{Result, bail};
use fairlead_attach::Node;
use fairlead_cluster::{Cluster, JoinOptions, Joined, Left, NodeRow, join, leave};
use fairlead_config::{Assigned, Target};
use fairlead_types::NetworkName;
use std::time::{Duration, SystemTime};

pub(crate) fn run(context: &Context, command: NodeCommand) -> Result<Status> {
    match command {
        NodeCommand::Config(command) => config::run(context, Target::Node, command),
        NodeCommand::Join(arguments) => join_cluster(context, arguments),
        NodeCommand::Leave(arguments) => leave_cluster(context, &arguments),
        NodeCommand::Ls => list(context),
    }
}

fn join_cluster(context: &Context, arguments: JoinArgs) -> Result<Status> {
    let options = JoinOptions {
        endpoints: arguments.etcd,
        ca: arguments.ca,
        cert: arguments.cert,
        key: arguments.key,
        user: arguments.user,
        password_file: arguments.password_file,
        prefix: arguments.prefix,
        force: arguments.force,
    };
    let joined = join(&context.root, &options)?;
    context.output.show(&joined, joined_text)?;
    Ok(Status::Done)
}

fn joined_text(joined: &Joined) -> String {
    let mut text = match joined.founded {
        true => format!("founded cluster {} with this node\n", joined.cluster),
        false => format!(
            "joined cluster {}: {}\n",
            joined.cluster,
            joined.nodes.join(" ")
        ),
    };
    for Assigned {
        network, segment, ..
    } in &joined.segments
    {
        text += &format!("segment {segment} of network {network} is this node's\n");
    }
    if let Some(kept) = &joined.kept {
        text += &format!("the former cluster.conf is kept as {}\n", kept.display());
    }
    text + "start 'fairlead agent', or run 'fairlead net setup', to make the networks\n"
}

fn left_text(left: &Left) -> String {
    let mut text = match left.told {
        true => format!("node {} left the cluster\n", left.node),
        false => format!(
            "node {} left, but etcd was not reached: run 'fairlead node leave --name {}' on another node\n",
            left.node, left.node
        ),
    };
    for network in &left.segments {
        text += &format!(
            "its segment of network {network} stays taken; 'fairlead net release --name {network} --node {}' frees it\n",
            left.node
        );
    }
    text
}

fn leave_cluster(context: &Context, arguments: &LeaveArgs) -> Result<Status> {
    if arguments.name.is_none() && !arguments.force {
        refuse_with_containers(&context.node()?)?;
    }
    let left = leave(&context.root, arguments.name.as_deref(), arguments.force)?;
    context.output.show(&left, left_text)?;
    Ok(Status::Done)
}

/// Containers on a network of the cluster would be cut off from the others.
fn refuse_with_containers(node: &Node) -> Result<()> {
    let (networks, _) = node.config().networks();
    let spanning = networks.iter().filter(|network| network.routed.is_some());
    let names: Vec<&NetworkName> = spanning.map(|network| &network.name).collect();
    let attachments = node.attachments()?;
    let mut cut_off = attachments
        .iter()
        .filter(|a| names.contains(&&a.owner.network));
    let Some(first) = cut_off.next() else {
        return Ok(());
    };
    let others = match cut_off.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    bail!(
        "leave: {}{others} would be cut off from the other nodes; detach first ('fairlead gc' \
         does it for containers that are gone), or add --force",
        first.owner
    )
}

fn list(context: &Context) -> Result<Status> {
    let nodes = Cluster::open(&context.root)?.nodes()?;
    if let Some(since) = nodes.stale {
        let seconds = since.elapsed().map_or(0, |elapsed| elapsed.as_secs());
        note(format_args!(
            "fairlead: warning: etcd has not answered for {seconds} s; nodes are shown as they were"
        ));
    }
    context.output.show(&nodes.value, |nodes| {
        let header = [
            "NODE",
            "STATE",
            "UP",
            "VERSION",
            "ADDRESSES",
            "SEGMENTS",
            "TUNNELS",
            "PROBLEMS",
        ];
        context
            .output
            .table(&header, nodes.iter().map(line).collect())
    })?;
    Ok(Status::Done)
}

/// One node; what it has several of is separated by blanks.
fn line(row: &NodeRow) -> Vec<String> {
    let state = match (row.member, row.alive) {
        (true, true) => "alive",
        (true, false) => "silent",
        (false, true) => "leaving",
        (false, false) => "left",
    };
    let report = row.report.clone().unwrap_or_default();
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(report.since);
    let up = row.report.as_ref().and_then(|_| since.elapsed().ok());
    let list = |all: Vec<String>| match all.is_empty() {
        true => "-".to_owned(),
        false => all.join(" "),
    };
    let segments = row.segments.iter();
    let tunnels = report.tunnels.iter();
    vec![
        row.node.clone(),
        state.to_owned(),
        up.map_or_else(|| "-".into(), |up| format!("{} s", up.as_secs())),
        list(
            Some(report.version.clone())
                .filter(|v| !v.is_empty())
                .into_iter()
                .collect(),
        ),
        list(report.addresses.iter().map(ToString::to_string).collect()),
        list(
            segments
                .map(|(network, net)| format!("{network}={net}"))
                .collect(),
        ),
        list(
            tunnels
                .map(|t| format!("{}:{}:{}", t.peer, t.mode, t.state))
                .collect(),
        ),
        report.problems.len().to_string(),
    ]
}
