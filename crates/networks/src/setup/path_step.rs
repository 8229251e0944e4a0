//! The steps that lead to other nodes: tunnels, VXLAN endpoints, routes.

use fairlead_kernel::route::{Tunnel, TunnelKind, Vxlan};
use fairlead_types::{IfName, Mac};
use ipnet::IpNet;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// One change of the ways to other nodes. Each happens whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum PathStep {
    /// Make a tunnel, up, with our mark.
    CreateTunnel(TunnelLink),
    /// Delete a tunnel that has our mark.
    DeleteTunnel(TunnelLink),
    /// Make a network's VXLAN endpoint, up, with the network's mark.
    CreateVxlan(VxlanLink),
    /// Delete a VXLAN endpoint that has a network's mark.
    DeleteVxlan(VxlanLink),
    /// Tell a VXLAN endpoint where a node's is.
    SetPeer(Peer),
    /// Forget where a node's VXLAN endpoint is.
    RemovePeer(Peer),
    /// Add a route, or change where it leads.
    SetRoute {
        /// The route.
        route: PathRoute,
        /// The one of ours that it takes the place of.
        #[serde(skip)]
        previous: Option<PathRoute>,
    },
    /// Remove a route of ours.
    RemoveRoute {
        /// The route.
        route: PathRoute,
    },
}

/// A tunnel to one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TunnelLink {
    /// Its name.
    pub link: IfName,
    /// The node.
    pub node: String,
    /// Kind and ends.
    #[serde(flatten, serialize_with = "ends")]
    pub tunnel: Tunnel,
    /// The greatest packet it takes, in bytes.
    pub mtu: u32,
}

/// A network's VXLAN endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VxlanLink {
    /// Its name.
    pub link: IfName,
    /// The network.
    pub network: String,
    /// What it is made of.
    #[serde(flatten, serialize_with = "identifier")]
    pub vxlan: Vxlan,
    /// Its hardware address.
    pub mac: Mac,
    /// The greatest packet it takes, in bytes.
    pub mtu: u32,
}

/// Where a node's VXLAN endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Our endpoint.
    pub link: IfName,
    /// The address that routes lead to: the base of the node's segment.
    pub gateway: IpAddr,
    /// The hardware address of the node's endpoint.
    pub mac: Mac,
    /// The address of the node's endpoint on the network between nodes.
    pub remote: IpAddr,
}

/// A route of ours to a segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PathRoute {
    /// The segment.
    pub destination: IpNet,
    /// The number of the routing table.
    pub table: u32,
    /// The next hop.
    pub gateway: Option<IpAddr>,
    /// The link.
    pub link: IfName,
    /// The address that the node itself sends from.
    pub source: Option<IpAddr>,
    /// Whether the next hop is on the link although no address says so.
    pub onlink: bool,
    /// The greatest packet, in bytes, where it is less than the link's.
    pub mtu: Option<u32>,
}

fn ends<S: serde::Serializer>(tunnel: &Tunnel, to: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = to.serialize_map(Some(3))?;
    map.serialize_entry("mode", mode(tunnel.kind))?;
    map.serialize_entry("local", &tunnel.local)?;
    map.serialize_entry("remote", &tunnel.remote)?;
    map.end()
}

fn identifier<S: serde::Serializer>(vxlan: &Vxlan, to: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = to.serialize_map(Some(3))?;
    map.serialize_entry("vni", &vxlan.vni)?;
    map.serialize_entry("local", &vxlan.local)?;
    map.serialize_entry("port", &vxlan.port)?;
    map.end()
}

/// A kind of tunnel by the word that `tunnel_mode` has for it.
pub(crate) const fn mode(kind: TunnelKind) -> &'static str {
    match kind {
        TunnelKind::Ipip => "ipip",
        TunnelKind::Ip6ip6 => "ip6ip6",
        TunnelKind::Gre | TunnelKind::Gre6 => "gre",
    }
}

impl PathStep {
    /// The step that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self.clone() {
            Self::CreateTunnel(link) => Self::DeleteTunnel(link),
            Self::DeleteTunnel(link) => Self::CreateTunnel(link),
            Self::CreateVxlan(link) => Self::DeleteVxlan(link),
            Self::DeleteVxlan(link) => Self::CreateVxlan(link),
            Self::SetPeer(peer) => Self::RemovePeer(peer),
            Self::RemovePeer(peer) => Self::SetPeer(peer),
            Self::SetRoute {
                route,
                previous: Some(previous),
            } => Self::SetRoute {
                route: previous,
                previous: Some(route),
            },
            Self::SetRoute {
                route,
                previous: None,
            } => Self::RemoveRoute { route },
            Self::RemoveRoute { route } => Self::SetRoute {
                route,
                previous: None,
            },
        }
    }
}

impl fmt::Display for PathRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        write!(f, " dev {}", self.link)?;
        match self.table {
            crate::tables::MAIN => Ok(()),
            table => write!(f, " table {table}"),
        }
    }
}

impl fmt::Display for TunnelLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tunnel {
            kind,
            local,
            remote,
        } = self.tunnel;
        let mode = mode(kind);
        write!(f, "{mode} tunnel {} from {local} to {remote}", self.link)?;
        match self.node.is_empty() {
            true => Ok(()),
            false => write!(f, " of node {}", self.node),
        }
    }
}

impl fmt::Display for PathStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTunnel(link) => write!(f, "create {link}"),
            Self::DeleteTunnel(link) => write!(f, "delete {link}"),
            Self::CreateVxlan(VxlanLink {
                link,
                network,
                vxlan,
                ..
            }) => {
                let vni = vxlan.vni;
                write!(
                    f,
                    "create vxlan endpoint {link} with identifier {vni} for network {network}"
                )
            }
            Self::DeleteVxlan(VxlanLink { link, network, .. }) => {
                write!(f, "delete vxlan endpoint {link} of network {network}")
            }
            Self::SetPeer(peer) => write!(
                f,
                "set peer {} of {} at {}",
                peer.gateway, peer.link, peer.remote
            ),
            Self::RemovePeer(peer) => write!(
                f,
                "remove peer {} of {} at {}",
                peer.gateway, peer.link, peer.remote
            ),
            Self::SetRoute {
                route,
                previous: None,
            } => write!(f, "add route {route}"),
            Self::SetRoute { route, .. } => write!(f, "change route {route}"),
            Self::RemoveRoute { route } => write!(f, "remove route {route}"),
        }
    }
}
