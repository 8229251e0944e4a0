//! `portmap`: ports of the host that lead to the container.
//!
//! The claim of a port is a row of the node's registry, written first: a port that
//! another attachment holds is refused with the holder's name. The port itself is one
//! element of a map, so that the ten thousandth costs what the first one did.

mod conf;

pub use conf::{PortMapping, PortMappings};

use crate::error::{first_of, kernel};
use crate::host::Host;
use crate::undo::{Undo, all_or_nothing};
use crate::verify;
use conf::{PortmapConf, container_addresses};
use fairlead_cni::{Call, CniError, CniResult, Plugin};
use fairlead_firewall::{Element, Publish};
use fairlead_kernel::conntrack::{Conntrack, Filter};
use fairlead_kernel::{Route, sysctl};
use fairlead_store::PortClaim;
use fairlead_types::{Owner, Protocol};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// The plugin `portmap`.
pub(crate) struct Portmap {
    pub(crate) host: Rc<Host>,
}

/// The set elements of a claimed port: the port itself, and what lets the container's
/// own network use it.
pub fn published(claim: &PortClaim) -> Vec<Element> {
    let port = Element::Publish(Publish {
        protocol: claim.protocol,
        host_ip: claim.host,
        host_port: claim.port,
        target_ip: claim.target.ip(),
        target_port: claim.target.port(),
    });
    let hairpin = claim.hairpin.map(|subnet| Element::Hairpin {
        address: claim.target.ip(),
        subnet,
    });
    std::iter::once(port).chain(hairpin).collect()
}

/// The set elements of several ports, each once.
fn elements(claims: &[PortClaim]) -> Vec<Element> {
    let mut elements: Vec<Element> = claims.iter().flat_map(published).collect();
    elements.sort_unstable();
    elements.dedup();
    elements
}

/// Every port of every mapping, for each family of the container.
fn claims(conf: &PortmapConf, addresses: &[IpNet]) -> Vec<PortClaim> {
    let mut all: Vec<PortClaim> = Vec::new();
    for mapping in &conf.mappings {
        let family = |net: &&IpNet| {
            mapping
                .host_ip
                .is_none_or(|ip| ip.is_ipv4() == net.addr().is_ipv4())
        };
        for net in addresses.iter().filter(family) {
            for offset in 0..mapping.range {
                let claim = PortClaim {
                    protocol: mapping.protocol,
                    host: mapping.host_ip.filter(|ip| !ip.is_unspecified()),
                    port: mapping.host_port + offset,
                    target: SocketAddr::new(net.addr(), mapping.container_port + offset),
                    hairpin: conf.snat.then(|| net.trunc()),
                };
                // Of a port that is named twice the first counts.
                if !all.iter().any(|known| same_place(known, &claim)) {
                    all.push(claim);
                }
            }
        }
    }
    all
}

fn same_place(one: &PortClaim, other: &PortClaim) -> bool {
    (one.protocol, one.port, one.host) == (other.protocol, other.port, other.host)
        && one.target.is_ipv4() == other.target.is_ipv4()
}

impl Plugin for Portmap {
    fn add(&self, call: &Call) -> Result<CniResult, CniError> {
        let conf = PortmapConf::of(call)?;
        let previous = call.config.previous()?;
        let previous =
            previous.ok_or_else(|| CniError::internal("must be called as chained plugin"))?;
        let addresses = container_addresses(call, &previous);
        let claims = claims(&conf, &addresses);
        if claims.is_empty() {
            return Ok(previous.into_owned());
        }
        let owner = call.owner()?;
        all_or_nothing(|undo| self.publish(call, &owner, &claims, undo))?;
        Ok(previous.into_owned())
    }

    fn del(&self, call: &Call) -> Result<(), CniError> {
        unpublish(&self.host, &call.owner()?)
    }

    fn check(&self, call: &Call) -> Result<(), CniError> {
        let conf = PortmapConf::of(call)?;
        let result = verify::previous(call)?;
        let wanted = elements(&claims(&conf, &container_addresses(call, &result)));
        if wanted.is_empty() {
            return Ok(());
        }
        let present = self.host.with_firewall(|firewall| firewall.list())?;
        match wanted.iter().find(|element| !present.contains(element)) {
            None => Ok(()),
            Some(missing) => Err(CniError::internal(format!(
                "could not check published ports: {missing} is missing"
            ))),
        }
    }

    fn gc(&self, call: &Call) -> Result<(), CniError> {
        let Some(valid) = call.config.valid_attachments()? else {
            return Ok(());
        };
        let stale = self.host.stale_owners(call.config.name(), &valid)?;
        first_of(stale.iter().map(|owner| unpublish(&self.host, owner)))
    }
}

impl Portmap {
    fn publish<'a>(
        &'a self,
        call: &Call,
        owner: &Owner,
        claims: &[PortClaim],
        undo: &mut Undo<'a>,
    ) -> Result<(), CniError> {
        let netns = self.host.netns_of(call)?;
        // Repeated with other mappings, ADD has the new ones only.
        let old = self.host.with_store(|store| {
            store.write(|tx| {
                let old = tx.release_ports(owner)?;
                tx.claim_ports(owner, netns.as_ref(), claims).map(|()| old)
            })
        })?;
        let holder = owner.clone();
        undo.push(move || unpublish(&self.host, &holder));
        let old: Vec<PortClaim> = old.iter().map(|port| port.claim).collect();
        let new = elements(claims);
        let old: Vec<Element> = elements(&old)
            .into_iter()
            .filter(|e| !new.contains(e))
            .collect();
        self.host
            .with_firewall(|firewall| firewall.change(&new, &old))?;
        forget_connections(claims)?;
        allow_localnet(claims)
    }
}

/// Takes every port of an attachment back; 'not there' is done.
fn unpublish(host: &Host, owner: &Owner) -> Result<(), CniError> {
    let ports = host.with_store(|store| store.view().ports_of(owner))?;
    if ports.is_empty() {
        return Ok(());
    }
    let claims: Vec<PortClaim> = ports.iter().map(|port| port.claim).collect();
    host.with_firewall(|firewall| firewall.remove(&elements(&claims)))?;
    let flushed = forget_connections(&claims);
    host.with_store(|store| store.write(|tx| tx.release_ports(owner)))?;
    flushed
}

/// A UDP 'connection' that began before the port led here keeps going where it went:
/// the kernel must forget it, when a port is published and when it is taken back.
fn forget_connections(claims: &[PortClaim]) -> Result<(), CniError> {
    let udp: Vec<_> = claims
        .iter()
        .filter(|claim| claim.protocol == Protocol::Udp)
        .collect();
    if udp.is_empty() {
        return Ok(());
    }
    let mut conntrack = Conntrack::open().map_err(kernel)?;
    for claim in udp {
        let filter = Filter::to_port(claim.target.is_ipv6(), claim.protocol, claim.port);
        let filter = claim
            .host
            .map_or(filter, |host| filter.and_to_address(host));
        conntrack.flush(&filter).map_err(kernel)?;
    }
    Ok(())
}

/// Lets packets from 127.0.0.1 leave by the link that leads to the container, so that
/// the host's own programs reach the port at `localhost` (kernel document
/// `networking/ip-sysctl`, `route_localnet`).
fn allow_localnet(claims: &[PortClaim]) -> Result<(), CniError> {
    let targets = claims
        .iter()
        .filter(|claim| claim.hairpin.is_some())
        .map(|claim| claim.target.ip());
    let Some(IpAddr::V4(target)) = targets.into_iter().find(IpAddr::is_ipv4) else {
        return Ok(());
    };
    let mut route = Route::open().map_err(kernel)?;
    let found = match route.route_to(target.into()) {
        Ok(found) => found,
        // No way to the container from here: nothing of localhost can get there.
        Err(_) => return Ok(()),
    };
    let Some(index) = found.next_hop.link else {
        return Ok(());
    };
    let Some(link) = route.link_by_index(index).map_err(kernel)? else {
        return Ok(());
    };
    let key = format!("net/ipv4/conf/{}/route_localnet", link.name);
    sysctl::ensure(&key, "1").map(drop).map_err(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(host_port: u16, host_ip: Option<&str>, range: u16) -> PortMapping {
        PortMapping {
            host_port,
            container_port: 80,
            protocol: Protocol::Tcp,
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            range,
        }
    }

    fn count(mappings: Vec<PortMapping>, addresses: &[&str]) -> usize {
        let addresses: Vec<IpNet> = addresses.iter().map(|net| net.parse().unwrap()).collect();
        claims(
            &PortmapConf {
                snat: true,
                mappings,
            },
            &addresses,
        )
        .len()
    }

    #[test]
    fn a_port_is_published_for_each_family_that_fits() {
        let both = ["10.0.0.5/24", "fd00::5/64"];
        assert_eq!(count(vec![mapping(8080, None, 1)], &both), 2);
        assert_eq!(count(vec![mapping(8080, Some("192.0.2.1"), 1)], &both), 1);
        assert_eq!(count(vec![mapping(8080, Some("::"), 1)], &both), 1);
        assert_eq!(count(vec![mapping(8080, None, 10)], &both[..1]), 10);
        assert_eq!(
            count(
                vec![mapping(8080, None, 1), mapping(8080, None, 1)],
                &both[..1]
            ),
            1
        );
        assert_eq!(count(vec![mapping(8080, None, 1)], &[]), 0);
    }

    #[test]
    fn one_hairpin_element_serves_all_ports_of_an_address() {
        let net: IpNet = "10.0.0.5/24".parse().unwrap();
        let conf = PortmapConf {
            snat: true,
            mappings: vec![mapping(8080, None, 3)],
        };
        let elements = elements(&claims(&conf, &[net]));
        assert_eq!(elements.len(), 4);
    }
}
