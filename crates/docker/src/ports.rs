//! Ports that Docker asks to publish: those of the container's gateway endpoint, in the same
//! registry as every other port of the node.

use crate::{Door, DoorError};
use fairlead_attach::{AttachError, Node, Plug};
use fairlead_libnetwork::CallError;
use fairlead_libnetwork::engine::short;
use fairlead_libnetwork::protocol::{
    EXPOSED_PORTS, MAC_ADDRESS, OfEndpoint, PORT_MAP, PortBinding,
};
use fairlead_plugins::PortMapping;
use fairlead_store::Port;
use fairlead_types::{ContainerId, Owner, Protocol};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Where ports that nobody named are looked for: the dynamic ones of RFC 6335.
const DYNAMIC: std::ops::RangeInclusive<u16> = 49153..=65535;

impl Door {
    /// Publishes what Docker asks for.
    pub(crate) fn publish(&self, call: &OfEndpoint) -> Result<(), DoorError> {
        let asked = bindings(&call.options)?;
        let node = self.ground.node();
        let plug = self.plug(&node, &call.endpoint_id)?;
        if asked.is_empty() || self.docker_network(&call.network_id)?.internal {
            return Ok(());
        }
        let mut chosen = choose(&node, &plug.owner, &asked)?;
        loop {
            let Err(error) = node.publish(&plug, chosen.clone()) else {
                return Ok(());
            };
            // Somebody may have been quicker to take a port that nobody named.
            let next = choose(&node, &plug.owner, &asked)?;
            if next == chosen {
                return Err(error.into());
            }
            chosen = next;
        }
    }

    /// Takes the ports of an endpoint back; nothing is fine.
    pub(crate) fn unpublish(&self, call: &OfEndpoint) -> Result<(), DoorError> {
        let node = self.ground.node();
        if let Some(plug) = node.plugged(&ContainerId::new(&call.endpoint_id)?)? {
            fairlead_plugins::unpublish(node.host(), &plug.owner).map_err(AttachError::from)?;
        }
        Ok(())
    }

    /// What is to be told of an endpoint: its ports and its hardware address.
    pub(crate) fn endpoint_info(&self, call: &OfEndpoint) -> Result<Value, DoorError> {
        let node = self.ground.node();
        let Some(plug) = node.plugged(&ContainerId::new(&call.endpoint_id)?)? else {
            return Ok(json!({"Value": {}}));
        };
        let ports = node
            .host()
            .store(|store| store.view().ports_of(&plug.owner))?;
        let exposed: BTreeSet<(u8, u16)> = ports
            .iter()
            .map(|port| (port.claim.protocol.number(), port.claim.target.port()))
            .collect();
        let exposed: Vec<Value> = exposed
            .into_iter()
            .map(|(proto, port)| json!({"Proto": proto, "Port": port}))
            .collect();
        let bound: Vec<PortBinding> = ports.iter().map(binding).collect();
        let mac = plug.mac.map(|mac| mac.to_string()).unwrap_or_default();
        Ok(json!({"Value": {
            MAC_ADDRESS: mac,
            EXPOSED_PORTS: exposed,
            PORT_MAP: bound,
        }}))
    }

    pub(crate) fn plug(&self, node: &Node, id: &str) -> Result<Plug, DoorError> {
        let plug = node.plugged(&ContainerId::new(id)?)?;
        plug.ok_or_else(|| DoorError::UnknownEndpoint(short(id).to_owned()))
    }
}

fn bindings(options: &serde_json::Map<String, Value>) -> Result<Vec<PortBinding>, DoorError> {
    let Some(value) = options.get(PORT_MAP).filter(|value| !value.is_null()) else {
        return Ok(Vec::new());
    };
    let bindings = serde_json::from_value(value.clone());
    bindings.map_err(|error| {
        DoorError::Call(CallError::Request {
            method: PORT_MAP.to_owned(),
            reason: error.to_string(),
        })
    })
}

/// The ports of the host to publish at: those asked for, and free ones of this moment. What
/// `owner` has already is its own.
fn choose(
    node: &Node,
    owner: &Owner,
    asked: &[PortBinding],
) -> Result<Vec<PortMapping>, DoorError> {
    let mut taken = node.host().store(|store| store.view().ports())?;
    taken.retain(|port| port.owner != *owner);
    let mut chosen: Vec<PortMapping> = Vec::new();
    for wanted in asked {
        let mapping = mapping(wanted)?;
        let candidates = match (wanted.host_port, wanted.host_port_end) {
            (0, _) => DYNAMIC,
            (first, last) => first..=last.max(first),
        };
        let is_one = candidates.start() == candidates.end();
        let at = |port: u16| PortMapping {
            host_port: port,
            ..mapping.clone()
        };
        if is_one {
            let mapping = at(wanted.host_port);
            if let Some(row) = taken.iter().find(|row| clashes(row, &mapping)) {
                return Err(DoorError::Port {
                    port: format!("{}/{}", mapping.host_port, mapping.protocol),
                    reason: format!("{} has it", crate::error::holder(node, &row.owner)),
                });
            }
            refuse_listening(&mapping)?;
            chosen.push(mapping);
            continue;
        }
        let is_free = |port: &u16| {
            let mapping = at(*port);
            !taken.iter().any(|row| clashes(row, &mapping))
                && !chosen.iter().any(|other| same(other, &mapping))
                && refuse_listening(&mapping).is_ok()
        };
        let mut candidates = candidates;
        let Some(port) = candidates.find(is_free) else {
            return Err(DoorError::Port {
                port: format!("of any number/{}", mapping.protocol),
                reason: "none is free".to_owned(),
            });
        };
        chosen.push(at(port));
    }
    Ok(chosen)
}

fn mapping(wanted: &PortBinding) -> Result<PortMapping, DoorError> {
    let bad = |reason: String| DoorError::Port {
        port: wanted.host_port.to_string(),
        reason,
    };
    let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    let mut protocols = protocols.into_iter();
    let protocol = protocols
        .find(|protocol| protocol.number() == wanted.proto)
        .ok_or_else(|| bad(format!("protocol {} has no ports", wanted.proto)))?;
    let host_ip: Option<IpAddr> = match wanted.host_ip.as_str() {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|_| bad(format!("{text:?} is no address")))?,
        ),
    };
    Ok(PortMapping {
        host_port: wanted.host_port,
        container_port: wanted.port,
        protocol,
        // Any address of one family is not any address.
        host_ip,
        range: 1,
    })
}

fn clashes(row: &Port, mapping: &PortMapping) -> bool {
    let claim = &row.claim;
    (claim.port, claim.protocol) == (mapping.host_port, mapping.protocol)
        && (claim.host.is_none() || any(mapping) || claim.host == mapping.host_ip)
        && mapping
            .host_ip
            .is_none_or(|ip| ip.is_ipv4() == claim.target.is_ipv4())
}

/// Whether it is published at every address of the host, of one family or both.
fn any(mapping: &PortMapping) -> bool {
    mapping.host_ip.is_none_or(|ip| ip.is_unspecified())
}

fn same(one: &PortMapping, other: &PortMapping) -> bool {
    (one.host_port, one.protocol) == (other.host_port, other.protocol)
}

/// A port that a program of the host listens at would be taken away from it.
fn refuse_listening(mapping: &PortMapping) -> Result<(), DoorError> {
    let ip = mapping.host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let address = SocketAddr::new(ip, mapping.host_port);
    let bound = match mapping.protocol {
        Protocol::Tcp => TcpListener::bind(address).map(drop),
        Protocol::Udp => UdpSocket::bind(address).map(drop),
        _ => Ok(()),
    };
    match bound {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(DoorError::Port {
            port: format!("{}/{}", mapping.host_port, mapping.protocol),
            reason: "a program of the host listens there".to_owned(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => {
            Err(DoorError::Port {
                port: format!("{address}/{}", mapping.protocol),
                reason: "the host has no such address".to_owned(),
            })
        }
        _ => Ok(()),
    }
}

fn binding(port: &Port) -> PortBinding {
    let claim = &port.claim;
    let any = match claim.target.is_ipv4() {
        true => "0.0.0.0",
        false => "::",
    };
    PortBinding {
        proto: claim.protocol.number(),
        ip: claim.target.ip().to_string(),
        port: claim.target.port(),
        host_ip: claim
            .host
            .map_or_else(|| any.to_owned(), |ip| ip.to_string()),
        host_port: claim.port,
        host_port_end: claim.port,
    }
}
