//! `portmap`: ports of the host that lead to the container.
//!
//! The claim of a port is a row of the node's registry, written first: a port that
//! another attachment holds is refused with the holder's name. The port itself is one
//! element of a map, so that the ten thousandth costs what the first one did. Only a
//! port under conditions (`conditionsV4`, `conditionsV6`) is a rule of its own; its
//! tag is the name of the cable and the port, so that the record finds it again. Under
//! conditions or not, a host port has one holder.
//!
//! The keys of the reference plugin that differ here:
//!
//! - `conditionsV4`, `conditionsV6`: source and destination prefixes, in the words of
//!   iptables or of nftables whatever `backend` says; all of them must hold. Any other
//!   match is refused, since a port without it would be open to more than was asked.
//! - `masqAll`: masquerades every connection to the ports, not only those of the
//!   container's own network and of the host. Without effect where `snat` is false.
//! - `markMasqBit`: checked (0 to 31) and without effect: masquerading needs no mark.
//! - `externalSetMarkChain` and `backend` other than `nftables`: refused, since there
//!   are no iptables chains here.

mod conditions;
mod conf;

pub use conf::PortMapping;

use crate::cable::host_text;
use crate::error::{first_of, kernel};
use crate::host::Host;
use crate::removal::Parts;
use crate::undo::{Undo, all_or_nothing};
use crate::verify;
use conf::{PortmapConf, container_addresses};
use fairlead_cni::{Call, CniError, CniResult, Plugin};
use fairlead_firewall::{Element, Publish};
use fairlead_kernel::conntrack::{Conntrack, Filter};
use fairlead_kernel::{Route, sysctl};
use fairlead_store::{NetnsRef, PortClaim};
use fairlead_types::{Owner, Protocol};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The plugin `portmap`.
pub(crate) struct Portmap {
    pub(crate) host: Arc<Host>,
}

/// The elements of a port that `owner` has claimed: the port itself, and what lets the
/// container's own network use it.
pub(crate) fn published(claim: &PortClaim, owner: &Owner) -> Vec<Element> {
    let publish = Publish {
        protocol: claim.protocol,
        host_ip: claim.host,
        host_port: claim.port,
        target_ip: claim.target.ip(),
        target_port: claim.target.port(),
    };
    let port = match &claim.conditions {
        None => Element::Publish(publish),
        Some(text) => Element::PublishIf {
            publish,
            conditions: conditions::of_record(text, claim.target.is_ipv4()),
            tag: format!("{} {publish}", host_text(owner)),
        },
    };
    let hairpin = claim.hairpin.map(|subnet| Element::Hairpin {
        address: claim.target.ip(),
        subnet,
    });
    std::iter::once(port).chain(hairpin).collect()
}

/// The elements of several ports, each once.
fn elements(claims: &[PortClaim], owner: &Owner) -> Vec<Element> {
    let mut elements: Vec<Element> = claims
        .iter()
        .flat_map(|claim| published(claim, owner))
        .collect();
    elements.sort_unstable();
    elements.dedup();
    elements
}

/// Every port of every mapping, for each family of the container.
fn claims(conf: &PortmapConf, addresses: &[IpNet]) -> Result<Vec<PortClaim>, CniError> {
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
                    hairpin: conf.masqueraded(*net),
                    conditions: conf.conditions(net.addr().is_ipv4()).cloned(),
                };
                match all.iter().find(|known| same_place(known, &claim)) {
                    None => all.push(claim),
                    Some(known) if known.target == claim.target => {}
                    Some(known) => return Err(twice(known, &claim)),
                }
            }
        }
    }
    Ok(all)
}

fn twice(one: &PortClaim, other: &PortClaim) -> CniError {
    CniError::internal(format!(
        "host port {}/{} is published twice: to port {} and to port {} of the container",
        one.port,
        one.protocol,
        one.target.port(),
        other.target.port()
    ))
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
        let claims = claims(&conf, &addresses)?;
        if claims.is_empty() {
            return Ok(previous.into_owned());
        }
        let owner = call.owner()?;
        let netns = self.host.netns_of(call)?;
        all_or_nothing(|undo| open(&self.host, &owner, netns.as_ref(), &claims, undo))?;
        Ok(previous.into_owned())
    }

    fn del(&self, call: &Call) -> Result<(), CniError> {
        let parts = Parts {
            ports: true,
            ..Parts::default()
        };
        crate::error::first_of(self.host.remove(&call.owner()?, parts).into_failures())
    }

    fn check(&self, call: &Call) -> Result<(), CniError> {
        let conf = PortmapConf::of(call)?;
        let result = verify::previous(call)?;
        let claims = claims(&conf, &container_addresses(call, &result))?;
        if claims.is_empty() {
            return Ok(());
        }
        let wanted = elements(&claims, &call.owner()?);
        let missing = self
            .host
            .with_firewall(|firewall| Ok(firewall.missing(&wanted)?.first().copied()))?;
        match missing {
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

/// Publishes ports of an attachment that is there already, in the place of those that it
/// had, as `portmap` does with `snat`: for engines that tell of ports later than of networks.
///
/// # Errors
/// A port that somebody else holds, with the holder; nothing is published then.
pub fn publish(
    host: &Host,
    owner: &Owner,
    addresses: &[IpNet],
    mappings: Vec<PortMapping>,
) -> Result<(), CniError> {
    let conf = PortmapConf {
        masquerade: conf::Masquerade::Own,
        mappings,
        ..PortmapConf::default()
    };
    let claims = claims(&conf, addresses)?;
    if claims.is_empty() {
        return unpublish(host, owner);
    }
    all_or_nothing(|undo| open(host, owner, None, &claims, undo))
}

/// Claims the ports and opens them.
fn open<'a>(
    host: &'a Host,
    owner: &Owner,
    netns: Option<&NetnsRef>,
    claims: &[PortClaim],
    undo: &mut Undo<'a>,
) -> Result<(), CniError> {
    // Repeated with other mappings, ADD has the new ones only.
    let old = host.with_store(|store| {
        store.write(|tx| {
            let old = tx.release_ports(owner)?;
            tx.claim_ports(owner, netns, claims).map(|()| old)
        })
    })?;
    let holder = owner.clone();
    undo.push(move || unpublish(host, &holder));
    let old: Vec<PortClaim> = old.into_iter().map(|port| port.claim).collect();
    let new = elements(claims, owner);
    let mut old = elements(&old, owner);
    old.retain(|element| !new.iter().any(|new| replaces(new, element)));
    host.with_firewall(|firewall| firewall.change(&new, &old))?;
    forget_connections(claims)?;
    allow_localnet(claims)
}

/// Whether adding `new` does away with `old`: it is the same, or a rule that takes the
/// place of the one with its tag, other conditions or not.
fn replaces(new: &Element, old: &Element) -> bool {
    match (new, old) {
        (Element::PublishIf { tag: new, .. }, Element::PublishIf { tag: old, .. }) => new == old,
        _ => new == old,
    }
}

/// Takes every port of an attachment back; 'not there' is done. Elements and records go
/// in one step, so that nobody who restores what is recorded puts an element back.
///
/// # Errors
/// State or nftables.
pub fn unpublish(host: &Host, owner: &Owner) -> Result<(), CniError> {
    let ports = host.with_store(|store| store.view().ports_of(owner))?;
    if ports.is_empty() {
        return Ok(());
    }
    let claims: Vec<PortClaim> = ports.into_iter().map(|port| port.claim).collect();
    host.write_with(
        |tx| {
            let ports = tx.ports_of(owner)?.into_iter().map(|port| port.claim);
            Ok(elements(&ports.collect::<Vec<_>>(), owner))
        },
        |tx| tx.release_ports(owner).map(drop),
    )?;
    forget_connections(&claims)
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
    use conf::Masquerade;
    use fairlead_types::{ContainerId, IfName, NetworkName};

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
                mappings,
                ..PortmapConf::default()
            },
            &addresses,
        )
        .unwrap()
        .len()
    }

    #[test]
    fn a_port_that_is_published_twice_differently_is_refused() {
        let other = PortMapping {
            container_port: 90,
            ..mapping(8081, None, 1)
        };
        let conf = PortmapConf {
            mappings: vec![mapping(8080, None, 2), other],
            ..PortmapConf::default()
        };
        let error = claims(&conf, &["10.0.0.5/24".parse().unwrap()]).unwrap_err();
        assert!(error.msg.contains("8081/tcp"), "{error}");
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
            mappings: vec![mapping(8080, None, 3)],
            masquerade: Masquerade::Own,
            ..PortmapConf::default()
        };
        let elements = elements(&claims(&conf, &[net]).unwrap(), &owner());
        assert_eq!(elements.len(), 4);
    }

    fn owner() -> Owner {
        Owner {
            network: NetworkName::new("n".repeat(100)).unwrap(),
            container: ContainerId::new("c".repeat(64)).unwrap(),
            ifname: IfName::new("interface-long1").unwrap(),
        }
    }

    #[test]
    fn the_longest_port_under_conditions_has_a_tag_that_fits() {
        let ip: IpAddr = "fd00:1111:2222:3333:4444:5555:6666:7777".parse().unwrap();
        let claim = PortClaim {
            protocol: Protocol::Sctp,
            host: Some(ip),
            port: 65535,
            target: SocketAddr::new(ip, 65534),
            hairpin: None,
            conditions: Some("ip6 saddr fd00::/8 ip6 daddr != fd01::1".into()),
        };
        let found = published(&claim, &owner());
        let [
            Element::PublishIf {
                conditions, tag, ..
            },
        ] = found.as_slice()
        else {
            panic!("{found:?}");
        };
        assert_eq!(conditions.len(), 2);
        assert!(tag.starts_with("veth"), "{tag}");
        assert!(tag.len() <= 127, "{}: {tag}", tag.len());
    }

    #[test]
    fn each_family_has_its_own_conditions_and_no_port_loses_them() {
        let nets: Vec<IpNet> = ["10.0.0.5/24", "fd00::5/64"]
            .map(|net| net.parse().unwrap())
            .into();
        let conf = PortmapConf {
            mappings: vec![mapping(8080, None, 1)],
            conditions_v4: Some("ip saddr 192.0.2.0/24".into()),
            masquerade: Masquerade::Everyone,
            ..PortmapConf::default()
        };
        let claims = claims(&conf, &nets).unwrap();
        let elements = elements(&claims, &owner());
        let texts: Vec<String> = elements.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "publish 8080/tcp to [fd00::5]:80",
                "hairpin 10.0.0.5 for 0.0.0.0/0",
                "hairpin fd00::5 for ::/0",
                "publish 8080/tcp to 10.0.0.5:80 if ip saddr 192.0.2.0/24",
            ]
        );
    }

    #[test]
    fn a_rule_replaces_the_one_with_its_tag_whatever_its_conditions() {
        let claim = |conditions: Option<&str>| PortClaim {
            protocol: Protocol::Tcp,
            host: None,
            port: 8080,
            target: "10.0.0.5:80".parse().unwrap(),
            hairpin: None,
            conditions: conditions.map(Into::into),
        };
        let element = |conditions| published(&claim(conditions), &owner()).remove(0);
        let (one, other) = (
            element(Some("ip saddr 192.0.2.1")),
            element(Some("ip saddr 192.0.2.2")),
        );
        assert_ne!(one, other);
        assert!(replaces(&one, &other));
        assert!(!replaces(&one, &element(None)));
        assert!(!replaces(&element(None), &one));
        assert!(replaces(&element(None), &element(None)));
    }
}
