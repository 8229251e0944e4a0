//! The driver of networks: a container on one, from its cable to its end.

use crate::door::Door;
use crate::error::DoorError;
use crate::lease::{self, Leases, pool_of};
use crate::target::Target;
use fairlead_attach::{Node, PlugRequest, owner};
use fairlead_libnetwork::protocol::{
    CreateEndpoint, Created, Interface, InterfaceName, Joined, OfEndpoint, StaticRoute, address,
};
use fairlead_plugins::Given;
use fairlead_types::{ContainerId, Mac, NetworkName};
use ipnet::IpNet;
use std::net::IpAddr;

impl Door {
    /// Plugs a container in. Docker takes its end of the cable after `Join`.
    pub(crate) fn create_endpoint(&self, call: &CreateEndpoint) -> Result<Created, DoorError> {
        let network = self.docker_network(&call.network_id)?;
        let node = self.ground.node();
        let target = self.target(&network.network)?;
        let addresses = addresses(&call.interface, &target)?;
        let nets: Vec<IpNet> = addresses.iter().map(|given| given.address).collect();
        let id = ContainerId::new(&call.endpoint_id)?;
        let owner = owner(&network.network, id.clone())?;
        let asked = mac(&call.interface.mac_address)?;
        let cluster = self.ground.cluster();
        let leases = Leases {
            node: &node,
            cluster: cluster.as_deref(),
            target: &target,
        };
        let new = leases.hold(&nets, &owner)?;
        let mac = asked.unwrap_or_else(|| mac_of(&nets));
        let plugged = node.plug(&PlugRequest {
            network: network.network.clone(),
            endpoint: id,
            addresses,
            mac,
            masquerade: !network.internal,
        });
        let done = plugged
            .map_err(DoorError::from)
            .and_then(|_| leases.hand_over(&nets, &owner));
        if let Err(error) = done {
            node.unplug(&owner.container)?;
            leases.drop_all(&new)?;
            return Err(error);
        }
        // What the request had must not be answered.
        let mac_address = match asked {
            Some(_) => String::new(),
            None => mac.to_string(),
        };
        Ok(Created {
            interface: Interface {
                mac_address,
                ..Interface::default()
            },
        })
    }

    pub(crate) fn join(&self, call: &OfEndpoint) -> Result<Joined, DoorError> {
        let node = self.ground.node();
        let plug = self.plug(&node, &call.endpoint_id)?;
        let network = self.docker_network(&call.network_id)?;
        let target = self.target(&network.network)?;
        let gateway = |v6: bool| {
            let mut given = plug.addresses.iter();
            let of_family = given.find(|given| given.address.addr().is_ipv6() == v6);
            of_family.and_then(|given| given.gateway)
        };
        let shown = |v6: bool| match network.internal {
            true => String::new(),
            false => gateway(v6).map(|ip| ip.to_string()).unwrap_or_default(),
        };
        let mut static_routes = Vec::new();
        // With interfaces on several networks the way to the other segments would be that of
        // the default route.
        if target.is_routed() {
            for v6 in [false, true] {
                if let (Some(next_hop), Ok(whole)) = (gateway(v6), target.whole(v6)) {
                    static_routes.push(StaticRoute {
                        destination: whole.to_string(),
                        route_type: 0,
                        next_hop: next_hop.to_string(),
                    });
                }
            }
        }
        Ok(Joined {
            interface_name: InterfaceName {
                src_name: plug.inner.to_string(),
                dst_prefix: "eth".to_owned(),
            },
            gateway: shown(false),
            gateway_ipv6: shown(true),
            static_routes,
            disable_gateway_service: network.internal,
        })
    }

    /// Takes a container's cable away. Its addresses stay a lease's until Docker gives them
    /// back.
    pub(crate) fn delete_endpoint(&self, call: &OfEndpoint) -> Result<(), DoorError> {
        let node = self.ground.node();
        let id = ContainerId::new(&call.endpoint_id)?;
        let leased = self.recorded(&call.network_id)?;
        let leased = leased.is_some_and(|network| network.leased);
        self.end_endpoint(&node, &id, leased)
    }

    pub(crate) fn end_endpoint(
        &self,
        node: &Node,
        id: &ContainerId,
        leased: bool,
    ) -> Result<(), DoorError> {
        let Some(plug) = node.plugged(id)? else {
            // It may have failed half-way, and left a record.
            return Ok(node.unplug(id)?);
        };
        let container = plug.identity.as_deref().unwrap_or_default();
        let end = || lease::end(node, &plug.owner, container);
        // What the engine gives back later stays a lease's, whatever becomes of the cable.
        if leased {
            end()?;
            return Ok(node.unplug(id)?);
        }
        // An address that is free at once must lead nowhere any more; nor must one of a
        // lease, which the next endpoint may take over.
        node.unplug(id)?;
        let cluster = self.joined();
        for address in end()? {
            lease::release(node, cluster.as_deref(), &plug.owner.network, address)?;
        }
        Ok(())
    }

    /// Ends the endpoint that has an address, if one has and no container uses it.
    pub(crate) fn end_endpoint_with(
        &self,
        node: &Node,
        network: &NetworkName,
        address: IpAddr,
    ) -> Result<(), DoorError> {
        let pool = pool_of(node, network);
        let held = node
            .host()
            .store(|store| store.view().address(pool.id(), address))?;
        match held {
            Some(held) => {
                let endpoint = &held.owner.container;
                match node.plugged(endpoint)?.is_some() && !node.is_in_use(endpoint)? {
                    true => self.end_endpoint(node, endpoint, true),
                    false => Ok(()),
                }
            }
            None => Ok(()),
        }
    }
}

/// The addresses that Docker has for an endpoint, each with the gateway of its network here.
fn addresses(interface: &Interface, target: &Target) -> Result<Vec<Given>, DoorError> {
    let mut found = Vec::new();
    for text in [&interface.address, &interface.address_ipv6] {
        if text.is_empty() {
            continue;
        }
        let address = address(text).ok_or_else(|| DoorError::Address(text.clone()))?;
        target.check(address, None)?;
        let local = target.local(address.is_ipv6())?;
        let net = IpNet::new(address, local.prefix_len());
        found.push(Given {
            address: net.map_err(|_| DoorError::Address(text.clone()))?,
            gateway: Some(target.gateway(local)),
        });
    }
    match found.is_empty() {
        true => Err(DoorError::Address(interface.address.clone())),
        false => Ok(found),
    }
}

fn mac(text: &str) -> Result<Option<Mac>, DoorError> {
    if text.is_empty() {
        return Ok(None);
    }
    let mac: Option<Mac> = text.parse().ok().filter(|mac: &Mac| mac.is_unicast());
    mac.map(Some).ok_or_else(|| DoorError::Value {
        option: "mac-address",
        value: text.to_owned(),
        reason: "the address of one interface is wanted".to_owned(),
    })
}

/// The hardware address of a container that none was given: the same for the same address,
/// so that no neighbour remembers another one.
fn mac_of(addresses: &[IpNet]) -> Mac {
    let last = |octets: &[u8]| {
        let mut mac = [0x02, 0x42, 0, 0, 0, 0];
        let tail = octets.len() - 4;
        mac[2..].copy_from_slice(&octets[tail..]);
        Mac(mac)
    };
    match addresses.first().map(IpNet::addr) {
        Some(IpAddr::V4(ip)) => last(&ip.octets()),
        Some(IpAddr::V6(ip)) => last(&ip.octets()),
        None => Mac([0x02, 0x42, 0, 0, 0, 1]),
    }
}
