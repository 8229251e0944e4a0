//! The links that connect this node with the others.

use crate::PathRoute;
use crate::setup::is_of_ours;
use fairlead_kernel::route::{Address, Link};
use fairlead_types::IfName;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The greatest packet of a path about which nothing is known, in bytes.
const ETHERNET: u32 = 1500;

/// What of this node's links and addresses is not of our own making.
#[derive(Debug, Default)]
pub(crate) struct Underlay {
    subnets: Vec<Subnet>,
    /// Addresses that are on no link to others: kept on the loopback interface, they are
    /// reached by whatever way leads here.
    apart: Vec<IpAddr>,
    /// The segments that are reached through a tunnel now.
    tunnelled: BTreeSet<IpNet>,
}

#[derive(Debug)]
pub(crate) struct Subnet {
    /// Our address there, with the length of the subnet's prefix.
    net: IpNet,
    /// The link.
    pub(crate) link: IfName,
    /// Its greatest packet, in bytes.
    pub(crate) mtu: u32,
    /// Whether it is up.
    pub(crate) up: bool,
}

impl Subnet {
    /// Our address there.
    pub(crate) fn own(&self) -> IpAddr {
        self.net.addr()
    }
}

impl Underlay {
    /// Those of a node's links and addresses that lead to other nodes.
    pub(crate) fn of(links: &[Link], addresses: &[Address]) -> Self {
        let mut underlay = Self::default();
        for address in addresses.iter().filter(|a| !a.link_local) {
            let link = links.iter().find(|link| link.index == address.index);
            let Some(link) = link.filter(|link| !is_of_ours(link)) else {
                continue;
            };
            if link.loopback {
                underlay.apart.push(address.net.addr());
            } else if let Ok(name) = IfName::new(&link.name) {
                underlay.subnets.push(Subnet {
                    net: address.net,
                    link: name,
                    mtu: link.mtu,
                    up: link.up,
                });
            }
        }
        underlay
    }

    /// The same, with the ways of ours that are there now.
    pub(crate) fn with_ways(mut self, routes: &[PathRoute], links: &[Link]) -> Self {
        let is_tunnel = |route: &&PathRoute| {
            let link = links.iter().find(|link| link.name == route.link.as_str());
            link.is_some_and(|link| link.tunnel.is_some() || link.vxlan.is_some())
        };
        let through = routes.iter().filter(is_tunnel);
        self.tunnelled = through.map(|route| route.destination).collect();
        self
    }

    /// Whether a segment is reached through a tunnel now.
    pub(crate) fn is_tunnelled(&self, segment: IpNet) -> bool {
        self.tunnelled.contains(&segment)
    }

    /// The link that an address is a neighbour on: one that is up, else one that is down,
    /// with the longest prefix that holds it.
    pub(crate) fn common_link(&self, address: IpAddr) -> Option<&Subnet> {
        let holding = self
            .subnets
            .iter()
            .filter(|s| s.net.contains(&address) && s.net.addr() != address);
        holding.max_by_key(|s| (s.up, s.net.prefix_len()))
    }

    /// The greatest packet of the link that has an address, if one has it.
    pub(crate) fn mtu_of(&self, address: IpAddr) -> Option<u32> {
        let own = self.subnets.iter().find(|s| s.own() == address);
        if let Some(own) = own {
            return Some(own.mtu);
        }
        // It is not known which link the packets take: the least of all is safe.
        let least = || self.subnets.iter().filter(|s| s.up).map(|s| s.mtu).min();
        self.apart
            .contains(&address)
            .then(|| least().unwrap_or(ETHERNET))
    }
}
