//! What the node says of itself.

use crate::shared::Shared;
use fairlead_cluster::{Cluster, NodeReport, TunnelReport, resolve};
use fairlead_config::{Config, Target, stored_segments};
use fairlead_kernel::route::Link;
use fairlead_kernel::{KernelError, Route};
use fairlead_networks::{TunnelSeen, is_of_ours, tunnels};
use fairlead_plugins::is_host_name;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// How long the node's own name is looked up.
const LOOKUP: Duration = Duration::from_secs(1);
/// The most tunnels that are told one by one.
const TUNNELS: usize = 32;
/// The most problems that are told: every node reads what every node says.
const PROBLEMS: usize = 16;
/// The state of a tunnel that works.
const UP: &str = "up";

/// The report of this moment. What cannot be seen is left out.
pub(super) fn of(shared: &Shared, cluster: &Cluster) -> NodeReport {
    let status = shared.status();
    let problems = status.reconciled.map(|done| done.problems);
    let problems = problems.unwrap_or_default().into_iter();
    let node = shared.node();
    let seen = tunnels(node.config()).unwrap_or_default();
    let links = own_links().unwrap_or_default();
    let subnets: BTreeSet<IpNet> = links.iter().map(|(_, net)| *net).collect();
    let mut tunnels: Vec<TunnelReport> = seen.into_iter().filter_map(told).collect();
    // Every node reads what every node says: of many, those that are up say nothing.
    if tunnels.len() > TUNNELS {
        tunnels.retain(|tunnel| tunnel.state != UP);
        tunnels.truncate(TUNNELS);
    }
    let problems = problems
        .map(|problem| problem.text)
        .chain(cluster.problems());
    // The same may be among what the reconciliation found.
    let problems: BTreeSet<String> = problems.collect();
    NodeReport {
        identity: String::new(),
        addresses: looked_up(shared).unwrap_or_else(|| facing(shared, node.config(), &links)),
        subnets: subnets.into_iter().collect(),
        since: status.since,
        version: status.version,
        segments: segments(node.config()),
        tunnels,
        problems: problems.into_iter().take(PROBLEMS).collect(),
    }
}

/// What the node's own name leads to, where anybody knows it.
fn looked_up(shared: &Shared) -> Option<Vec<IpAddr>> {
    let name = BTreeSet::from([shared.name.clone()]);
    let found = resolve(&shared.root, &name, LOOKUP).remove(&shared.name)?;
    found.ok().filter(|addresses| !addresses.is_empty())
}

/// The global addresses on links that are no network's, with the links' indices.
fn own_links() -> Result<Vec<(u32, IpNet)>, KernelError> {
    let mut route = Route::open()?;
    let links = route.links()?;
    let is_ours = |link: &Link| is_of_ours(link) || is_host_name(&link.name);
    let foreign = links.iter().filter(|link| !link.loopback && !is_ours(link));
    let foreign: BTreeSet<u32> = foreign.map(|link| link.index).collect();
    // Index 0 stands for every link.
    let addresses = route.addresses(0)?.into_iter();
    let addresses = addresses.map(|address| (address.index, address.net));
    let own = addresses.filter(|(link, net)| foreign.contains(link) && is_global(&net.addr()));
    Ok(own.collect())
}

/// The node's addresses on the links that lead to etcd, else on those of the default route:
/// bridges of containers have the same address on each node, and lead to none.
fn facing(shared: &Shared, config: &Config, links: &[(u32, IpNet)]) -> Vec<IpAddr> {
    // Somewhere outside, by the documents' own addresses (RFC 5737 and 3849).
    let outside = ["192.0.2.1", "2001:db8::1"].map(str::to_owned);
    let etcd = config.etcd().ok().flatten();
    let etcd = etcd.map(|etcd| etcd.endpoints).unwrap_or_default();
    let hosts = etcd.iter().filter_map(|url| host_of(url)).collect();
    [hosts, BTreeSet::from(outside)]
        .into_iter()
        .map(|hosts| on_the_way(shared, &hosts, links))
        .find(|found| !found.is_empty())
        .unwrap_or_else(|| links.iter().map(|(_, net)| net.addr()).collect())
}

/// The host of `http://HOST:PORT`.
fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (host, _) = rest.rsplit_once(':')?;
    Some(host.trim_matches(['[', ']']).to_owned())
}

fn on_the_way(shared: &Shared, hosts: &BTreeSet<String>, links: &[(u32, IpNet)]) -> Vec<IpAddr> {
    let literal = hosts.iter().filter_map(|host| host.parse::<IpAddr>().ok());
    let mut targets: Vec<IpAddr> = literal.collect();
    let names = hosts.iter().filter(|host| host.parse::<IpAddr>().is_err());
    let found = resolve(&shared.root, &names.cloned().collect(), LOOKUP);
    targets.extend(found.into_values().flatten().flatten());
    let Ok(mut route) = Route::open() else {
        return Vec::new();
    };
    let ways = targets.into_iter().filter_map(|ip| route.route_to(ip).ok());
    let ways: BTreeSet<u32> = ways.filter_map(|way| way.next_hop.link).collect();
    let on_ways = links.iter().filter(|(link, _)| ways.contains(link));
    let all: BTreeSet<IpAddr> = on_ways.map(|(_, net)| net.addr()).collect();
    all.into_iter().collect()
}

fn is_global(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_loopback(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_loopback(),
    }
}

fn segments(config: &Config) -> BTreeMap<String, IpNet> {
    let mut all = BTreeMap::new();
    for target in [Target::Cluster, Target::Node] {
        let document = config.document(target);
        let networks = document
            .sections()
            .filter_map(|section| section.strip_prefix("network#"));
        for network in networks {
            let stored = stored_segments(document, network).into_iter();
            let own = stored.filter(|(node, _)| *node == config.node());
            let own = own.filter_map(|(_, segment)| segment.parse().ok());
            all.extend(own.map(|segment| (network.to_owned(), segment)));
        }
    }
    all
}

fn told(seen: TunnelSeen) -> Option<TunnelReport> {
    Some(TunnelReport {
        network: seen.network.and_then(|network| network.parse().ok()),
        peer: seen.node,
        device: seen.link,
        mode: seen.mode.to_owned(),
        local: seen.local?,
        remote: seen.remote,
        state: if seen.up { UP } else { "down" }.to_owned(),
    })
}
