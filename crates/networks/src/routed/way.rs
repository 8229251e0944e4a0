//! From a declaration and the addresses of nodes to the ways between them.

use super::{Underlay, local_ranges};
use crate::NetworkError;
use crate::known::{Known, endpoint};
use fairlead_config::{Network, Routed, Tunnel as When, TunnelMode};
use fairlead_kernel::route::{Tunnel, TunnelKind, Vxlan};
use fairlead_types::{IfName, Mac};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The UDP port of VXLAN (RFC 7348).
const VXLAN_PORT: u16 = 4789;

/// How the names of VXLAN endpoints begin; the network follows.
pub(crate) const ENDPOINT_NAME: &str = "ovx_";

/// What a node's part of a routed bridge is.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    /// The network.
    pub(crate) network: &'a Network,
    /// The segment of this node.
    pub(crate) segment: IpNet,
    /// The ways to the segments of the others.
    pub(crate) paths: Vec<Path<'a>>,
    /// The VXLAN endpoint, where there is one.
    pub(crate) device: Option<Device>,
    /// The greatest packet that passes on all ways, in bytes; none if nothing is known.
    pub(crate) mtu: Option<u32>,
    /// The nodes that no way is known to, with their segments: what leads there stays.
    pub(crate) unknown: Vec<IpNet>,
}

/// The way to one node's segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    /// The node.
    pub(crate) node: &'a str,
    /// Its segment.
    pub(crate) segment: IpNet,
    /// How to get there.
    pub(crate) way: Way,
    /// The greatest packet on this way, in bytes.
    pub(crate) mtu: u32,
}

/// How to get to a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a next hop on a link.
    Direct {
        /// The next hop.
        gateway: IpAddr,
        /// The link.
        link: IfName,
    },
    /// Through a tunnel to the node.
    Tunnel(Tunnel),
    /// Through the network's VXLAN endpoint.
    Vxlan {
        /// The node's endpoint.
        remote: IpAddr,
    },
}

impl Way {
    /// For a listing: the next hop or the other end, this end, and the mode of the tunnel.
    pub(crate) fn parts(
        &self,
        device: Option<&Device>,
    ) -> (IpAddr, Option<IpAddr>, Option<&'static str>) {
        match self {
            Self::Direct { gateway, .. } => (*gateway, None, None),
            Self::Tunnel(tunnel) => {
                let mode = crate::setup::mode(tunnel.kind);
                (tunnel.remote, Some(tunnel.local), Some(mode))
            }
            Self::Vxlan { remote } => {
                let local = device.and_then(|device| device.vxlan.local);
                (*remote, local, Some("vxlan"))
            }
        }
    }
}

/// The VXLAN endpoint of a network on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its name.
    pub(crate) name: IfName,
    /// Its hardware address, which the other nodes work out too.
    pub(crate) mac: Mac,
    /// What it is made of.
    pub(crate) vxlan: Vxlan,
    /// The greatest packet it takes, in bytes.
    pub(crate) mtu: u32,
}

/// The name of a network's VXLAN endpoint. A network's name leaves room for it: its
/// bridge has a prefix of the same length.
fn device_name(network: &Network) -> Option<IfName> {
    IfName::new(format!("{ENDPOINT_NAME}{}", network.name)).ok()
}

/// The hardware address of the VXLAN endpoint of the node with that segment: the
/// segment's address is written into it, or a hash of an IPv6 one.
pub(crate) fn vxlan_mac(segment: IpNet) -> Mac {
    match segment.network() {
        IpAddr::V4(base) => {
            let [a, b, c, d] = base.octets();
            Mac([0x0e, 0x58, a, b, c, d])
        }
        IpAddr::V6(base) => {
            let [.., a, b, c, d, e] = hash(&base.octets()).to_be_bytes();
            Mac([0x0e, a, b, c, d, e])
        }
    }
}

/// The VXLAN network identifier of a network that declares none.
fn default_vni(network: &Network) -> u32 {
    // The remainder is below 2^24.
    u32::try_from(hash(network.name.as_str().as_bytes()) % 0xff_ffff).unwrap_or(0) + 1
}

/// FNV-1a with 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl<'a> Share<'a> {
    /// The part that `node`, one of `nodes`, has of a network, and what keeps it from being
    /// whole. A node without a segment has none.
    pub(crate) fn of(
        network: &'a Network,
        (node, nodes): (&str, &[String]),
        known: &Known,
        underlay: &Underlay,
    ) -> (Option<Self>, Vec<NetworkError>) {
        let Some(routed) = &network.routed else {
            return (None, Vec::new());
        };
        let Some(segment) = local_ranges(network, node).first().copied() else {
            let (network, node) = (network.name.clone(), node.to_owned());
            return (None, vec![NetworkError::NoSegment { network, node }]);
        };
        let mut finder = Finder {
            network,
            routed,
            node,
            underlay,
            known,
            device: None,
        };
        let mut problems = Vec::new();
        let mut share = Self {
            network,
            segment,
            paths: Vec::new(),
            device: None,
            mtu: None,
            unknown: Vec::new(),
        };
        // A node that left keeps its segment, and no way leads there.
        let members: BTreeSet<&str> = nodes.iter().map(String::as_str).collect();
        let peers = routed.subnets.iter().filter(|(peer, _)| *peer != node);
        for (peer, segment) in peers.filter(|(peer, _)| members.contains(peer.as_str())) {
            match finder.path(peer, *segment) {
                Ok(path) => share.paths.push(path),
                Err(error) => {
                    // What may be known again in a moment; the rest is as declared.
                    if matches!(
                        error,
                        NetworkError::Unresolved { .. }
                            | NetworkError::NotLocal { .. }
                            | NetworkError::LinkDown { .. }
                    ) {
                        share.unknown.push(*segment);
                    }
                    problems.push(error);
                }
            }
        }
        share.device = finder.device.take();
        let least = share.paths.iter().map(|path| path.mtu).min();
        share.mtu = least.or_else(|| finder.alone());
        (Some(share), problems)
    }
}

/// Finds the ways of one network.
struct Finder<'a, 'b> {
    network: &'a Network,
    routed: &'a Routed,
    node: &'b str,
    known: &'b Known,
    underlay: &'b Underlay,
    device: Option<Device>,
}

impl<'a> Finder<'a, '_> {
    fn path(&mut self, peer: &'a str, segment: IpNet) -> Result<Path<'a>, NetworkError> {
        let (way, mtu) = match self.direct(peer, segment)? {
            Some(direct) => direct,
            None if self.routed.tunnel_mode == TunnelMode::Vxlan => self.vxlan(peer)?,
            None => self.tunnel(peer)?,
        };
        Ok(Path {
            node: peer,
            segment,
            way,
            mtu,
        })
    }

    fn is_v4(&self) -> bool {
        self.network
            .ranges
            .iter()
            .any(|range| range.addr().is_ipv4())
    }

    fn unresolved(&self, node: &str, reason: String) -> NetworkError {
        NetworkError::Unresolved {
            network: self.network.name.clone(),
            node: node.to_owned(),
            reason,
        }
    }

    fn addresses(&self, node: &str) -> Result<Vec<IpAddr>, NetworkError> {
        let found = self.known.addresses(endpoint(self.network, node));
        found.map_err(|reason| self.unresolved(node, reason))
    }

    /// The way without a tunnel; none where there shall be a tunnel.
    fn direct(&self, peer: &str, segment: IpNet) -> Result<Option<(Way, u32)>, NetworkError> {
        let routed = self.routed;
        let gateway = routed.gateways.get(peer).copied();
        let gateway = match (routed.tunnel, gateway) {
            (When::Always, _) => return Ok(None),
            (_, Some(gateway)) => gateway,
            (when, None) => {
                let mut all = self.addresses(peer)?;
                all.retain(|address| address.is_ipv4() == self.is_v4());
                let near = all
                    .iter()
                    .copied()
                    .find(|a| self.is_near((peer, segment), *a));
                match (near.or(all.first().copied()), when) {
                    (_, When::Auto) if near.is_none() => return Ok(None),
                    (Some(address), _) => address,
                    (None, _) => return Err(self.no_family(peer)),
                }
            }
        };
        let Some(common) = self.underlay.common_link(gateway) else {
            return Err(NetworkError::NotOnLink {
                network: self.network.name.clone(),
                node: peer.to_owned(),
                address: gateway,
            });
        };
        if !common.up {
            return Err(NetworkError::LinkDown {
                network: self.network.name.clone(),
                node: peer.to_owned(),
                link: common.link.clone(),
            });
        }
        let link = common.link.clone();
        Ok(Some((Way::Direct { gateway, link }, common.mtu)))
    }

    /// Whether both nodes are neighbours on a link, as each of them sees it: a node that
    /// sends through a tunnel where the other has none is not heard.
    fn is_near(&self, (peer, segment): (&str, IpNet), address: IpAddr) -> bool {
        let tunnelled = self.underlay.is_tunnelled(segment);
        let common = self.underlay.common_link(address);
        common.is_some_and(|common| self.known.sees(peer, common.own(), tunnelled))
    }

    fn no_family(&self, node: &str) -> NetworkError {
        let family = if self.is_v4() { "IPv4" } else { "IPv6" };
        self.unresolved(node, format!("it has no {family} address"))
    }

    fn tunnel(&self, peer: &str) -> Result<(Way, u32), NetworkError> {
        let mode = self.routed.tunnel_mode;
        let carries = match mode {
            TunnelMode::Ip6ip6 => !self.is_v4(),
            _ => true,
        };
        if !carries {
            return Err(self.cannot_carry("ip6ip6"));
        }
        // Only these two carry a family in the other.
        let mixed = matches!(mode, TunnelMode::Gre | TunnelMode::Vxlan);
        let (local, remote) = self.endpoints(peer, mixed)?;
        let kind = match (mode, remote.is_ipv4()) {
            (TunnelMode::Gre, true) => TunnelKind::Gre,
            (TunnelMode::Gre, false) => TunnelKind::Gre6,
            (_, true) => TunnelKind::Ipip,
            (_, false) => TunnelKind::Ip6ip6,
        };
        let mtu = self.local_mtu(local)?.saturating_sub(kind.overhead());
        let tunnel = Tunnel {
            kind,
            local,
            remote,
        };
        Ok((Way::Tunnel(tunnel), mtu))
    }

    fn cannot_carry(&self, mode: &'static str) -> NetworkError {
        NetworkError::Mode {
            network: self.network.name.clone(),
            mode,
            range: self.network.ranges.first().copied().unwrap_or_default(),
        }
    }

    fn vxlan(&mut self, peer: &str) -> Result<(Way, u32), NetworkError> {
        let (local, remote) = match &self.device {
            None => self.endpoints(peer, true)?,
            // One device has one address: all others are reached by its family.
            Some(Device { vxlan, .. }) => {
                let local = vxlan.local;
                let mut all = self.addresses(peer)?.into_iter();
                let same = all.find(|a| local.is_none_or(|l| l.is_ipv4() == a.is_ipv4()));
                let remote = same.ok_or_else(|| self.no_family(peer))?;
                (local.unwrap_or(remote), remote)
            }
        };
        let device = match self.device.take() {
            Some(device) => device,
            None => self.endpoint(local)?,
        };
        let mtu = device.mtu;
        self.device = Some(device);
        Ok((Way::Vxlan { remote }, mtu))
    }

    /// The VXLAN endpoint with that address.
    fn endpoint(&self, local: IpAddr) -> Result<Device, NetworkError> {
        let vni = self.routed.vni.unwrap_or_else(|| default_vni(self.network));
        let vxlan = Vxlan {
            vni,
            local: Some(local),
            port: VXLAN_PORT,
            learning: false,
            parent: None,
        };
        let segment = self.routed.subnets.get(self.node).copied();
        let name = device_name(self.network);
        let (Some(segment), Some(name)) = (segment, name) else {
            let (network, node) = (self.network.name.clone(), self.node.to_owned());
            return Err(NetworkError::NoSegment { network, node });
        };
        Ok(Device {
            name,
            mac: vxlan_mac(segment),
            mtu: self.local_mtu(local)?.saturating_sub(vxlan.overhead()),
            vxlan,
        })
    }

    /// Both ends of a tunnel: of the network's family if both nodes have it, else of the
    /// other one if the tunnel is `mixed`.
    fn endpoints(&self, peer: &str, mixed: bool) -> Result<(IpAddr, IpAddr), NetworkError> {
        let (own, mut theirs) = (self.addresses(self.node)?, self.addresses(peer)?);
        // An address that both have, as that of a bridge of containers, leads to neither.
        theirs.retain(|address| !own.contains(address) && self.underlay.mtu_of(*address).is_none());
        let pair = |v4: bool| {
            let of = |all: &[IpAddr]| all.iter().copied().find(|a| a.is_ipv4() == v4);
            Some((of(&own)?, of(&theirs)?))
        };
        let found = pair(self.is_v4());
        let found = found.or_else(|| mixed.then(|| pair(!self.is_v4())).flatten());
        found.ok_or_else(|| {
            let lacks = |all: &[IpAddr]| all.iter().all(|a| a.is_ipv4() != self.is_v4());
            match lacks(&theirs) {
                true => self.no_family(peer),
                false => self.no_family(self.node),
            }
        })
    }

    fn local_mtu(&self, local: IpAddr) -> Result<u32, NetworkError> {
        let error = || NetworkError::NotLocal {
            network: self.network.name.clone(),
            node: self.node.to_owned(),
            address: local,
        };
        self.underlay.mtu_of(local).ok_or_else(error)
    }

    /// The greatest packet where there is no other node yet.
    fn alone(&self) -> Option<u32> {
        let own = self.addresses(self.node).ok()?;
        let mtu = own.into_iter().find_map(|a| self.underlay.mtu_of(a))?;
        let overhead = match (self.routed.tunnel, self.routed.tunnel_mode, self.is_v4()) {
            (When::Auto | When::Never, ..) => 0,
            (_, TunnelMode::Vxlan, true) => 50,
            (_, TunnelMode::Vxlan, false) => 70,
            (_, TunnelMode::Gre, true) => TunnelKind::Gre.overhead(),
            (_, TunnelMode::Gre, false) => TunnelKind::Gre6.overhead(),
            (_, _, true) => TunnelKind::Ipip.overhead(),
            (_, _, false) => TunnelKind::Ip6ip6.overhead(),
        };
        Some(mtu.saturating_sub(overhead))
    }
}
