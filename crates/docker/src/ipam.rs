//! The driver of addresses.

use crate::door::Door;
use crate::error::{DoorError, family};
use crate::lease::Leases;
use crate::options::ipam_network;
use crate::pool::PoolId;
use crate::target::Target;
use fairlead_attach::Node;
use fairlead_kernel::Route;
use fairlead_libnetwork::protocol::{GATEWAY_TYPE, OfAddress, ReleasePool, RequestPool, address};
use fairlead_types::NetworkName;
use ipnet::IpNet;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a subnet is kept for a network that is about to be made.
pub(crate) const RESERVED: Duration = Duration::from_secs(60);
/// The prefix length of a subnet of IPv6 that nobody named.
const PREFIX_V6: u8 = 64;

impl Door {
    /// Says what a network gives addresses from.
    pub(crate) fn request_pool(&self, call: &RequestPool) -> Result<Value, DoorError> {
        let subnet = net(&call.pool)?;
        let range = net(&call.sub_pool)?;
        if let Some(name) = ipam_network(&call.options)? {
            return self.declared_pool(name, call.v6, subnet, range);
        }
        let node = self.ground.node();
        let subnet = match subnet {
            Some(subnet) => subnet,
            None => self.free_subnet(&node, call.v6)?,
        };
        self.refuse_overlap(&node, subnet)?;
        let id = PoolId::Subnet { subnet, range };
        Ok(json!({"PoolID": id.to_string(), "Pool": subnet.to_string(), "Data": {}}))
    }

    /// The pool of a declared network. Docker takes its gateway from the answer.
    fn declared_pool(
        &self,
        network: NetworkName,
        v6: bool,
        subnet: Option<IpNet>,
        range: Option<IpNet>,
    ) -> Result<Value, DoorError> {
        let target = self.target(&network)?;
        let v6 = v6 || subnet.is_some_and(|net| net.addr().is_ipv6());
        let whole = target.whole(v6)?;
        let local = target.local(v6)?;
        if let Some(subnet) = subnet.filter(|net| *net != whole && *net != local) {
            let range = whole;
            return Err(DoorError::OtherSubnet {
                network,
                range,
                subnet,
            });
        }
        if let Some(range) = range.filter(|range| !local.contains(range)) {
            return Err(DoorError::Outside {
                address: range.addr(),
                network,
                range: local,
            });
        }
        let gateway = format!("{}/{}", target.gateway(local), local.prefix_len());
        // Docker asks again and again for a pool that nobody named and that a route of the
        // host leads to, but for one that is everything.
        let pool = subnet.unwrap_or_else(|| everything(v6));
        if let Some(subnet) = subnet {
            let mut named = self.named();
            named.retain(|_, (_, at)| at.elapsed() < RESERVED);
            named.insert(subnet, (network.clone(), Instant::now()));
        }
        let id = PoolId::Network { network, v6, range };
        Ok(json!({
            "PoolID": id.to_string(),
            "Pool": pool.to_string(),
            "Data": {GATEWAY_TYPE: gateway},
        }))
    }

    /// A subnet that is nobody's: of no declared network, and no route of this node leads
    /// there.
    fn free_subnet(&self, node: &Node, v6: bool) -> Result<IpNet, DoorError> {
        let settings = node.config().docker()?;
        let prefix = match v6 {
            true => PREFIX_V6,
            false => settings.pool_prefix,
        };
        let (networks, _) = node.config().networks();
        let declared = networks.iter().flat_map(|network| network.ranges.iter());
        let mut taken: Vec<IpNet> = declared.copied().collect();
        taken.extend(Route::open()?.routes()?.into_iter().filter_map(|route| {
            let net = route.destination;
            (net.prefix_len() > 0).then_some(net)
        }));
        // One that stands for a declared network is in no declaration, and still taken.
        let records = self.all_recorded()?;
        let pools = records.iter().flat_map(|record| &record.pools);
        taken.extend(
            pools
                .map(|pool| pool.subnet)
                .filter(|net| net.prefix_len() > 0),
        );
        // Kept to the end: two that ask at once get two.
        let mut reserved = self.reserved();
        reserved.retain(|_, at| at.elapsed() < RESERVED);
        taken.extend(reserved.keys().copied());
        let pools = settings
            .pools
            .iter()
            .filter(|net| net.addr().is_ipv6() == v6);
        let cut = pools.filter_map(|pool| pool.subnets(prefix.max(pool.prefix_len())).ok());
        let mut cut = cut.flatten();
        let free = cut
            .find(|net| !taken.iter().any(|other| overlap(net, other)))
            .ok_or(DoorError::NoPool { family: family(v6) })?;
        reserved.insert(free, Instant::now());
        Ok(free)
    }

    /// Refuses a subnet that cuts into another one. The same as a declared network's may be
    /// meant to be that network: making it tells.
    fn refuse_overlap(&self, node: &Node, subnet: IpNet) -> Result<(), DoorError> {
        let (networks, _) = node.config().networks();
        for network in &networks {
            let mut ranges = network.ranges.iter();
            let other = ranges.find(|range| **range != subnet && overlap(range, &subnet));
            if let Some(other) = other {
                return Err(DoorError::Overlap {
                    subnet,
                    other: *other,
                    whose: format!("network {}", network.name),
                });
            }
        }
        Ok(())
    }

    /// Nothing is kept for a pool but its subnet, for a moment.
    pub(crate) fn release_pool(&self, call: &ReleasePool) -> Result<(), DoorError> {
        match call.pool_id.parse() {
            Ok(PoolId::Subnet { subnet, .. }) => {
                self.reserved().remove(&subnet);
            }
            Ok(PoolId::Network { network, .. }) => {
                self.named().retain(|_, (name, _)| *name != network);
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Gives an address out.
    pub(crate) fn request_address(&self, call: &OfAddress) -> Result<Value, DoorError> {
        let id: PoolId = call.pool_id.parse()?;
        let asked = asked(&call.address)?;
        let node = self.ground.node();
        let given = match self.target_of(&id)? {
            Some(target) if call.is_gateway() => gateway(&target, &id, asked)?,
            Some(target) => {
                let cluster = self.ground.cluster();
                let leases = Leases {
                    node: &node,
                    cluster: cluster.as_deref(),
                    target: &target,
                };
                leases.take(asked, id.is_v6(), id.range(), &self.view)?
            }
            // The network is about to be made: its record says what is kept.
            None => before(&id, asked, call.is_gateway())?,
        };
        Ok(json!({"Address": given.to_string(), "Data": {}}))
    }

    /// Takes an address back.
    pub(crate) fn release_address(&self, call: &OfAddress) -> Result<(), DoorError> {
        let id: PoolId = call.pool_id.parse()?;
        let Some(address) = asked(&call.address)? else {
            return Ok(());
        };
        let node = self.ground.node();
        // What is not known here any more has no addresses either.
        let Ok(Some(target)) = self.target_of(&id) else {
            return Ok(());
        };
        let cluster = self.ground.cluster();
        let leases = Leases {
            node: &node,
            cluster: cluster.as_deref(),
            target: &target,
        };
        if !leases.release(address)? {
            // An endpoint may have it whose end was not heard. One that is in use has taken
            // it since: the release is an old one, told again.
            self.end_endpoint_with(&node, target.name(), address)?;
            leases.release(address)?;
        }
        Ok(())
    }

    /// The network that a pool's addresses are of; none while it is not made.
    fn target_of(&self, id: &PoolId) -> Result<Option<Target>, DoorError> {
        let name = match id {
            PoolId::Network { network, .. } => Some(network.clone()),
            PoolId::Subnet { subnet, .. } => self.of_subnet(*subnet)?,
        };
        name.map(|name| self.target(&name)).transpose()
    }
}

/// The gateway's address, with the prefix length that the containers of this node have.
fn gateway(target: &Target, id: &PoolId, asked: Option<IpAddr>) -> Result<IpNet, DoorError> {
    let local = target.local(id.is_v6())?;
    let gateway = target.gateway(local);
    match asked.filter(|asked| *asked != gateway) {
        Some(asked) => Err(DoorError::Gateway {
            network: target.name().clone(),
            gateway,
            asked,
        }),
        None => with_prefix(gateway, local),
    }
}

/// An address of a network that is about to be made: its gateway, or one that is kept.
fn before(id: &PoolId, asked: Option<IpAddr>, is_gateway: bool) -> Result<IpNet, DoorError> {
    let PoolId::Subnet { subnet, .. } = id else {
        return Err(DoorError::Pool(id.to_string()));
    };
    let address = match asked {
        Some(address) => address,
        None if is_gateway => fairlead_networks::bridge_address(*subnet).addr(),
        None => return Err(DoorError::Pool(id.to_string())),
    };
    if !subnet.contains(&address) {
        return Err(DoorError::Value {
            option: "gateway",
            value: address.to_string(),
            reason: format!("it is not in {subnet}"),
        });
    }
    with_prefix(address, *subnet)
}

fn with_prefix(address: IpAddr, net: IpNet) -> Result<IpNet, DoorError> {
    IpNet::new(address, net.prefix_len()).map_err(|_| DoorError::Address(address.to_string()))
}

/// A subnet without host bits; empty is none.
fn net(text: &str) -> Result<Option<IpNet>, DoorError> {
    if text.is_empty() {
        return Ok(None);
    }
    let net: Option<IpNet> = text.parse().ok();
    let net = net.filter(|net| net.addr() == net.network());
    net.map(Some)
        .ok_or_else(|| DoorError::Subnet(text.to_owned()))
}

/// An address; empty is any.
fn asked(text: &str) -> Result<Option<IpAddr>, DoorError> {
    match text {
        "" => Ok(None),
        _ => address(text)
            .map(Some)
            .ok_or_else(|| DoorError::Address(text.to_owned())),
    }
}

/// All addresses of a family: the pool of who says which network is meant, and no subnet.
pub(crate) fn everything(v6: bool) -> IpNet {
    match v6 {
        true => IpNet::V6(ipnet::Ipv6Net::default()),
        false => IpNet::V4(ipnet::Ipv4Net::default()),
    }
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}
