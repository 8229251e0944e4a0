//! What the node says of itself.

use crate::shared::Shared;
use fairlead_cluster::{NodeReport, TunnelReport, resolve};
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
/// The state of a tunnel that works.
const UP: &str = "up";

/// The report of this moment. What cannot be seen is left out.
pub(super) fn of(shared: &Shared) -> NodeReport {
    let status = shared.status();
    let problems = status.reconciled.map(|done| done.problems);
    let problems = problems.unwrap_or_default().into_iter();
    let node = shared.node();
    let seen = tunnels(node.config()).unwrap_or_default();
    let subnets = own_subnets().unwrap_or_default();
    let addresses: BTreeSet<IpAddr> = subnets.iter().map(IpNet::addr).collect();
    let mut tunnels: Vec<TunnelReport> = seen.into_iter().filter_map(told).collect();
    // Every node reads what every node says: of many, those that are up say nothing.
    if tunnels.len() > TUNNELS {
        tunnels.retain(|tunnel| tunnel.state != UP);
        tunnels.truncate(TUNNELS);
    }
    NodeReport {
        addresses: looked_up(shared).unwrap_or_else(|| addresses.into_iter().collect()),
        subnets,
        since: status.since,
        version: status.version,
        segments: segments(node.config()),
        tunnels,
        problems: problems.map(|problem| problem.text).collect(),
    }
}

/// What the node's own name leads to, where anybody knows it.
fn looked_up(shared: &Shared) -> Option<Vec<IpAddr>> {
    let name = BTreeSet::from([shared.name.clone()]);
    let found = resolve(&shared.root, &name, LOOKUP).remove(&shared.name)?;
    found.ok().filter(|addresses| !addresses.is_empty())
}

/// The global addresses on links that are no network's, sorted, with their prefixes.
fn own_subnets() -> Result<Vec<IpNet>, KernelError> {
    let mut route = Route::open()?;
    let links = route.links()?;
    let is_ours = |link: &Link| is_of_ours(link) || is_host_name(&link.name);
    let foreign = links.iter().filter(|link| !link.loopback && !is_ours(link));
    let foreign: BTreeSet<u32> = foreign.map(|link| link.index).collect();
    // Index 0 stands for every link.
    let addresses = route.addresses(0)?.into_iter();
    let addresses = addresses.filter(|address| foreign.contains(&address.index));
    let subnets = addresses.map(|address| address.net);
    let all: BTreeSet<IpNet> = subnets.filter(|net| is_global(&net.addr())).collect();
    Ok(all.into_iter().collect())
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
