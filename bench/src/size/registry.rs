//! The registry: a cluster of many nodes is founded by the product, then the other nodes'
//! reports and addresses are written as their agents would.

use super::findings::{Findings, Line, Table};
use super::host::Host;
use super::stage::{NETWORK, NODE, Stage, address, url};
use super::{Extent, start};
use anyhow::{Context, Result, bail, ensure};
use fairlead_cluster::{NodeReport, PublishedAddress};
use fairlead_config::{Config, Target, stored_segments};
use fairlead_shared::{Change, SharedState, Txn};
use fairlead_types::Root;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::{Duration, Instant};

/// How many writers there are.
const WRITERS: u32 = 4;
/// How many changes they put in one transaction, which is what agents do.
const BATCH: usize = 100;
/// How long reports live that nobody keeps alive: longer than the measurement.
const LEASE: Duration = Duration::from_secs(3600);
/// An agent tells what is new with its next sign of life, and gives one in this time.
const SIGN: Duration = Duration::from_secs(5);
/// The first address of a segment that containers get in this registry.
const FIRST: u32 = 10;
/// A moment in the past.
const SINCE: u64 = 1_700_000_000;

/// Founds the cluster and fills shared state.
///
/// # Errors
/// When the product does not found it, or etcd does not take what is written.
pub(super) fn fill(stage: &mut Stage, findings: &mut Findings) -> Result<()> {
    let mut table = Table::new(
        "The registry",
        "The cluster is founded by `fairlead node join` on a node whose `cluster.conf` names all nodes and has no \
         segment yet: one transaction gives every node its segment. Reports and addresses are written by simulated \
         nodes, 100 addresses in a transaction; each report is that of the real agent with another address and \
         segment, under a lease of its own that is not kept alive.",
    );
    table.lines.push(found(stage)?);
    stage.twin.run(&format!("node join --etcd {}", url(true)))?;
    stage.segments = segments(stage)?;
    let template = template(stage)?;
    let size = serde_json::to_vec(&template)?.len();
    let begun = Instant::now();
    in_parts(stage, stage.extent.nodes - 1, |stage, part| {
        reports(stage, &template, part)
    })?;
    let what = format!("{} reports, {size} bytes each", stage.others());
    table.lines.push(Line::once(what, begun.elapsed()));
    let begun = Instant::now();
    in_parts(stage, stage.extent.addresses, addresses)?;
    let what = format!("{} addresses", stage.extent.addresses);
    table.lines.push(Line::once(what, begun.elapsed()));
    let size = stage.etcd_size()?;
    table
        .lines
        .push(Line::fact("etcd's data", format!("{size} MiB")));
    findings.tables.push(table);
    Ok(())
}

/// `cluster.conf` without segments.
fn declaration(extent: Extent) -> String {
    let names: Vec<String> = (1..=extent.nodes).map(|k| format!("n{k}")).collect();
    let names = names.join(" ");
    // The implied network would overlap the one that all nodes share.
    let mut text = format!(
        "[cluster]\nname = size\nnodes = {names}\n\n[network#default]\nnetwork = none\n\n\
         [network#{NETWORK}]\ntype = routed_bridge\nnetwork = 10.0.0.0/8\n\
         ips_per_node = 1024\ntunnel = always\ntunnel_mode = vxlan\n"
    );
    for k in 1..=extent.nodes {
        // A String takes all that is written to it.
        let _ = writeln!(text, "addr@n{k} = {}", address(k));
    }
    text
}

/// Founds clusters, each under a prefix and by a root of its own; the last one, by the
/// node's own root, is the one that the measurement goes on with.
fn found(stage: &Stage) -> Result<Line> {
    let text = declaration(stage.extent);
    let mut times = Vec::new();
    let rounds = stage.extent.rounds.min(5);
    for round in 0..rounds {
        let is_last = round + 1 == rounds;
        let (root, prefix) = match is_last {
            true => (stage.node.root.clone(), String::new()),
            false => {
                let root = Root::new(stage.node.root.join(&format!("/founded-{round}")));
                (root, format!(" --prefix /founded-{round}"))
            }
        };
        let write = || {
            std::fs::create_dir_all(root.etc())?;
            std::fs::write(root.etc().join("cluster.conf"), &text)
        };
        write().context("write cluster.conf")?;
        let host = Host {
            netns: fairlead_kernel::NetNs::open(stage.node.netns.path())?,
            root,
            fairlead: stage.node.fairlead.clone(),
        };
        let (took, _) = host.run(&format!("node join --etcd {}{prefix}", url(false)))?;
        times.push(took);
    }
    let what = format!(
        "found a cluster of {} nodes, segments for all",
        stage.extent.nodes
    );
    Ok(Line::times(what, times))
}

/// The segments that the product gave, in the order of the nodes.
fn segments(stage: &Stage) -> Result<Vec<IpNet>> {
    let config = Config::load(&stage.node.root, NODE)?;
    let document = config.document(Target::Cluster);
    let given: BTreeMap<&str, &str> = stored_segments(document, NETWORK).into_iter().collect();
    let segment = |k: u32| {
        let text = given.get(format!("n{k}").as_str());
        let text = text.with_context(|| format!("n{k} has no segment"))?;
        text.parse().with_context(|| format!("n{k}: {text}"))
    };
    (1..=stage.extent.nodes).map(segment).collect()
}

/// What the real agent tells of its node when all ways to the others are made.
fn template(stage: &mut Stage) -> Result<NodeReport> {
    let mut agent = stage.node.start_agent()?;
    agent.ready()?;
    start::all_routes(stage, agent.begun)?;
    let engine = stage.engine()?;
    let key = format!("nodes/{NODE}");
    // The first one was written before the tunnels were there.
    std::thread::sleep(SIGN);
    let entry = engine.get(&key)?.context("the agent did not report")?;
    let report: NodeReport = serde_json::from_slice(&entry.value).context("read a report")?;
    ensure!(
        !report.addresses.is_empty(),
        "the agent's report has no address"
    );
    agent.daemon.end()?;
    Ok(report)
}

/// Has the numbers below `count` worked on by several writers at once.
fn in_parts(
    stage: &Stage,
    count: u32,
    work: impl Fn(&Stage, Range<u32>) -> Result<()> + Sync,
) -> Result<()> {
    let part = count.div_ceil(WRITERS);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let range = (writer * part).min(count)..((writer + 1) * part).min(count);
                scope.spawn(|| work(stage, range))
            })
            .collect();
        writers
            .into_iter()
            .try_for_each(|writer| match writer.join() {
                Ok(done) => done,
                Err(_) => bail!("a writer panicked"),
            })
    })
}

/// Writes the reports of nodes, counted from the second one.
fn reports(stage: &Stage, template: &NodeReport, part: Range<u32>) -> Result<()> {
    let engine = stage.engine()?;
    for at in part {
        let k = at + 2;
        let segment = stage.segments[k as usize - 1];
        let mut report = template.clone();
        report.addresses = vec![address(k).into()];
        report.segments = BTreeMap::from([(NETWORK.to_owned(), segment)]);
        let lease = engine.grant(LEASE)?;
        let value = serde_json::to_vec(&report)?;
        engine.put(&format!("nodes/n{k}"), &value, Some(lease))?;
    }
    Ok(())
}

/// Writes addresses, node after node.
fn addresses(stage: &Stage, part: Range<u32>) -> Result<()> {
    let engine = stage.engine()?;
    let mut txn = Txn::new();
    for number in part {
        let (key, value) = published(stage, number)?;
        txn.then.push(Change::Put {
            key,
            value,
            lease: None,
        });
        if txn.then.len() == BATCH {
            engine.commit(&std::mem::take(&mut txn))?;
        }
    }
    if !txn.then.is_empty() {
        engine.commit(&txn)?;
    }
    Ok(())
}

/// Address number `number` of the other nodes: its key and value.
///
/// # Errors
/// When the nodes' segments have not so many addresses.
pub(super) fn published(stage: &Stage, number: u32) -> Result<(String, Vec<u8>)> {
    let others = u32::try_from(stage.others())?;
    // Neighbouring numbers are of one node, as a transaction is.
    let each = stage.extent.addresses.div_ceil(others);
    let (k, at) = (2 + number / each, FIRST + number % each);
    let segment = stage
        .segments
        .get(k as usize - 1)
        .context("a node of that number")?;
    let IpAddr::V4(base) = segment.network() else {
        bail!("{segment} is not of version 4");
    };
    let ip = IpAddr::V4(Ipv4Addr::from(u32::from(base) + at));
    ensure!(segment.contains(&ip), "{segment} has too few addresses");
    let node = format!("n{k}");
    let address = PublishedAddress {
        node: node.clone(),
        network: NETWORK.parse()?,
        ip,
        object: format!("production/svc/shop{}", number % 700),
        resource: "ip#0".to_owned(),
        naming: Default::default(),
        container: format!("{number:064x}"),
        ifname: "eth0".to_owned(),
        since: SINCE,
    };
    let key = format!("addresses/{node}/{NETWORK}/{ip}");
    Ok((key, serde_json::to_vec(&address)?))
}
