//! Which tunnels there are, for who tells others of them.

use super::observe::peers;
use super::path_step::mode;
use super::paths::{endpoint_of, tunnel_to};
use crate::NetworkError;
use fairlead_config::{Config, Network};
use fairlead_kernel::Route;
use fairlead_types::IfName;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A tunnel of ours to one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelSeen {
    /// The network it is for; none where several networks may share it.
    pub network: Option<String>,
    /// The node, or where nobody says which, the address of the other end.
    pub node: String,
    /// Its link.
    pub link: IfName,
    /// Its mode, by the word that `tunnel_mode` has for it.
    pub mode: &'static str,
    /// This end; none where the kernel chooses it.
    pub local: Option<IpAddr>,
    /// The other end.
    pub remote: IpAddr,
    /// Whether its link is up.
    pub up: bool,
}

/// The tunnels that setup made, in the network namespace of the calling thread.
///
/// # Errors
/// [`NetworkError::Kernel`] when links or neighbours cannot be listed.
pub fn tunnels(config: &Config) -> Result<Vec<TunnelSeen>, NetworkError> {
    let mut route = Route::open()?;
    let links = route.links()?;
    let mut all = Vec::new();
    for link in &links {
        if let (Some(node), Some(tunnel), Ok(name)) =
            (tunnel_to(link), &link.tunnel, IfName::new(&link.name))
        {
            all.push(TunnelSeen {
                network: None,
                node: node.to_owned(),
                link: name,
                mode: mode(tunnel.kind),
                local: Some(tunnel.local),
                remote: tunnel.remote,
                up: link.up,
            });
        }
    }
    if links.iter().all(|link| endpoint_of(link).is_none()) {
        return Ok(all);
    }
    let (networks, _) = config.networks();
    let nodes = nodes_by_base(&networks);
    for peer in peers(&mut route, &links)? {
        let Some(link) = links.iter().find(|link| link.name == peer.link.as_str()) else {
            continue;
        };
        let node = nodes.get(&peer.gateway).map(|node| (*node).to_owned());
        all.push(TunnelSeen {
            network: endpoint_of(link).map(str::to_owned),
            node: node.unwrap_or_else(|| peer.remote.to_string()),
            link: peer.link,
            mode: "vxlan",
            local: link.vxlan.as_ref().and_then(|vxlan| vxlan.local),
            remote: peer.remote,
            up: link.up,
        });
    }
    Ok(all)
}

/// The nodes by the first address of each of their segments.
fn nodes_by_base(networks: &[Network]) -> BTreeMap<IpAddr, &str> {
    let routed = networks
        .iter()
        .filter_map(|network| network.routed.as_ref());
    let segments = routed.flat_map(|routed| &routed.subnets);
    segments
        .map(|(node, segment)| (segment.network(), node.as_str()))
        .collect()
}
