//! The declared network that containers of Docker are put on, as this node has it.

use crate::DoorError;
use crate::error::family;
use fairlead_attach::Node;
use fairlead_config::{Network, NetworkKind};
use fairlead_networks::{NetworkError, gateway_of, local_ranges};
use fairlead_types::NetworkName;
use ipnet::IpNet;
use std::net::IpAddr;

/// A network and what this node has of it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) network: Network,
    local: Vec<IpNet>,
}

impl Target {
    /// Finds it among the declared ones.
    pub(crate) fn of(node: &Node, name: &NetworkName) -> Result<Self, DoorError> {
        let (networks, _) = node.config().networks();
        let Some(network) = networks.into_iter().find(|n| n.name == *name) else {
            // Which says why, and what networks there are.
            return Err(match fairlead_networks::find(node.config(), name) {
                Err(error) => error.into(),
                Ok(_) => DoorError::Kind {
                    network: name.clone(),
                    kind: "network that is not declared",
                },
            });
        };
        if !matches!(
            network.kind,
            NetworkKind::Bridge | NetworkKind::RoutedBridge
        ) {
            return Err(DoorError::Kind {
                network: name.clone(),
                kind: network.kind.as_str(),
            });
        }
        let local = local_ranges(&network, node.config().node());
        if local.is_empty() {
            return Err(NetworkError::NoSegment {
                network: name.clone(),
                node: node.config().node().to_owned(),
            }
            .into());
        }
        Ok(Self { network, local })
    }

    pub(crate) const fn name(&self) -> &NetworkName {
        &self.network.name
    }

    /// Whether every node has a part of its own.
    pub(crate) const fn is_routed(&self) -> bool {
        matches!(self.network.kind, NetworkKind::RoutedBridge)
    }

    /// All of a family, on every node.
    pub(crate) fn whole(&self, v6: bool) -> Result<IpNet, DoorError> {
        self.of_family(&self.network.ranges, v6)
    }

    /// What this node gives addresses from.
    pub(crate) fn local(&self, v6: bool) -> Result<IpNet, DoorError> {
        self.of_family(&self.local, v6)
    }

    /// The parts of both families, in the order of the network's own address plugin.
    pub(crate) fn locals(&self) -> &[IpNet] {
        &self.local
    }

    /// The bridge's address in one of the parts of this node.
    pub(crate) fn gateway(&self, local: IpNet) -> IpAddr {
        gateway_of(&self.network, local).addr()
    }

    fn of_family(&self, ranges: &[IpNet], v6: bool) -> Result<IpNet, DoorError> {
        let mut ranges = ranges.iter();
        let found = ranges.find(|range| range.addr().is_ipv6() == v6);
        found.copied().ok_or_else(|| DoorError::Family {
            network: self.name().clone(),
            family: family(v6),
        })
    }

    /// Refuses an address that this node does not give out.
    pub(crate) fn check(&self, address: IpAddr, range: Option<IpNet>) -> Result<(), DoorError> {
        let own = self.local(address.is_ipv6())?;
        if !own.contains(&address) {
            let routed = self.network.routed.iter();
            let mut segments = routed.flat_map(|routed| &routed.subnets);
            if let Some((node, segment)) = segments.find(|(_, net)| net.contains(&address)) {
                return Err(DoorError::OtherNode {
                    address,
                    network: self.name().clone(),
                    node: node.clone(),
                    segment: *segment,
                    own,
                });
            }
        }
        let range = range.unwrap_or(own);
        match own.contains(&address) && range.contains(&address) {
            true => Ok(()),
            false => Err(DoorError::Outside {
                address,
                network: self.name().clone(),
                range,
            }),
        }
    }
}
