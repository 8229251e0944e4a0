//! What the node says of itself.

use crate::shared::Shared;
use fairlead_cluster::{NodeReport, TunnelReport, resolve};
use fairlead_config::{Config, Target, stored_segments};
use fairlead_kernel::route::{Link, LinkKind};
use fairlead_kernel::{KernelError, Route};
use fairlead_types::NetworkName;
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
/// How the aliases of what setups made begin: of a tunnel, the node follows; of what
/// belongs to a network, the network.
const TUNNEL: &str = "fairlead tunnel ";
const NETWORK: &str = "fairlead network#";

/// The report of this moment. What cannot be seen is left out.
pub(super) fn of(shared: &Shared) -> NodeReport {
    let status = shared.status();
    let problems = status.reconciled.map(|done| done.problems);
    let problems = problems.unwrap_or_default().into_iter();
    let node = shared.node();
    let links = Route::open().and_then(|mut route| {
        let links = route.links()?;
        let tunnels = tunnels(&mut route, &links)?;
        Ok((own_addresses(&mut route, &links)?, tunnels))
    });
    let (addresses, mut tunnels) = links.unwrap_or_default();
    // Every node reads what every node says: of many, those that are up say nothing.
    if tunnels.len() > TUNNELS {
        tunnels.retain(|tunnel| tunnel.state != UP);
        tunnels.truncate(TUNNELS);
    }
    NodeReport {
        addresses: looked_up(shared).unwrap_or(addresses),
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

/// The global addresses on links that are no network's.
fn own_addresses(route: &mut Route, links: &[Link]) -> Result<Vec<IpAddr>, KernelError> {
    let foreign = links.iter().filter(|link| !link.loopback && !is_ours(link));
    let foreign: BTreeSet<u32> = foreign.map(|link| link.index).collect();
    // Index 0 stands for every link.
    let addresses = route.addresses(0)?.into_iter();
    let addresses = addresses.filter(|address| foreign.contains(&address.index));
    let addresses = addresses.map(|address| address.net.addr());
    let all: BTreeSet<IpAddr> = addresses.filter(is_global).collect();
    Ok(all.into_iter().collect())
}

/// A network's bridge, a tunnel, or a container's cable.
fn is_ours(link: &Link) -> bool {
    let alias = link.alias.as_deref().unwrap_or_default();
    alias.starts_with(TUNNEL)
        || alias.starts_with(NETWORK)
        || fairlead_plugins::is_host_name(&link.name)
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

fn tunnels(route: &mut Route, links: &[Link]) -> Result<Vec<TunnelReport>, KernelError> {
    let mut all = Vec::new();
    for link in links {
        let alias = link.alias.as_deref().unwrap_or_default();
        let (Ok(device), state) = (link.name.parse(), state(link)) else {
            continue;
        };
        if let (Some(peer), Some(tunnel)) = (alias.strip_prefix(TUNNEL), &link.tunnel) {
            all.push(TunnelReport {
                network: None,
                peer: peer.to_owned(),
                device,
                mode: mode(link),
                local: tunnel.local,
                remote: tunnel.remote,
                state,
            });
        } else if let (Some(network), Some(vxlan)) = (alias.strip_prefix(NETWORK), &link.vxlan) {
            let Some(local) = vxlan.local else {
                continue;
            };
            let network: Option<NetworkName> = network.parse().ok();
            let peers = route.neighbours(link.index)?.into_iter();
            let remotes: BTreeSet<IpAddr> = peers
                .filter(|entry| entry.forwarding)
                .map(|entry| entry.address)
                .collect();
            all.extend(remotes.into_iter().map(|remote| TunnelReport {
                network: network.clone(),
                peer: remote.to_string(),
                device: device.clone(),
                mode: mode(link),
                local,
                remote,
                state: state.clone(),
            }));
        }
    }
    Ok(all)
}

fn state(link: &Link) -> String {
    if link.up { UP } else { "down" }.to_owned()
}

fn mode(link: &Link) -> String {
    link.kind
        .as_ref()
        .map(LinkKind::to_string)
        .unwrap_or_default()
}
