//! The links that connect this node with the others.

use crate::setup::is_of_ours;
use fairlead_kernel::route::{Address, Link};
use fairlead_types::IfName;
use ipnet::IpNet;
use std::net::IpAddr;

/// The greatest packet of a link about which nothing is known, in bytes.
const ETHERNET: u32 = 1500;

/// What of this node's links and addresses is not of our own making.
#[derive(Debug, Default)]
pub(crate) struct Underlay {
    subnets: Vec<Subnet>,
}

#[derive(Debug)]
struct Subnet {
    net: IpNet,
    link: IfName,
    mtu: u32,
    up: bool,
}

impl Underlay {
    /// Those of a node's links and addresses that lead to other nodes.
    pub(crate) fn of(links: &[Link], addresses: &[Address]) -> Self {
        let mut subnets = Vec::new();
        for address in addresses.iter().filter(|a| !a.link_local) {
            let link = links.iter().find(|link| link.index == address.index);
            let Some(link) = link.filter(|l| !l.loopback && !is_of_ours(l)) else {
                continue;
            };
            if let Ok(name) = IfName::new(&link.name) {
                subnets.push(Subnet {
                    net: address.net,
                    link: name,
                    mtu: link.mtu,
                    up: link.up,
                });
            }
        }
        Self { subnets }
    }

    /// The link that an address is a neighbour on, and its greatest packet: the one
    /// with the longest prefix that holds it.
    pub(crate) fn common_link(&self, address: IpAddr) -> Option<(&IfName, u32)> {
        let holding = self
            .subnets
            .iter()
            .filter(|s| s.up && s.net.contains(&address) && s.net.addr() != address);
        let closest = holding.max_by_key(|s| s.net.prefix_len())?;
        Some((&closest.link, closest.mtu))
    }

    /// The greatest packet of the link that has an address, if one has it.
    pub(crate) fn mtu_of(&self, address: IpAddr) -> Option<u32> {
        let mut own = self.subnets.iter().filter(|s| s.net.addr() == address);
        // An address kept on the loopback interface or /32 tells nothing of the path.
        own.next()
            .map(|s| if s.mtu == 0 { ETHERNET } else { s.mtu })
    }
}
