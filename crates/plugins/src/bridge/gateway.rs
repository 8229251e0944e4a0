//! The bridge itself: made where it is missing, with the gateway's address on it.

use super::conf::BridgeConf;
use crate::cable::Cable;
use crate::error::{gone, kernel};
use crate::undo::{Undo, all_or_nothing};
use fairlead_cni::{CniError, CniResult, Interface, Route as CniRoute};
use fairlead_kernel::route::{
    AddressOptions, Link, LinkChange, LinkKind, NewLink, NewLinkKind, VlanRange,
};
use fairlead_kernel::{NetNs, Route, sysctl};
use fairlead_types::{IfName, Mac, Owner};
use ipnet::IpNet;
use std::net::IpAddr;

/// The bridge of the configuration, made if it is missing. It stays after DEL: other
/// containers may be on it, and a person may have made it.
pub(super) fn ensure_bridge(route: &mut Route, conf: &BridgeConf) -> Result<Link, CniError> {
    let failed = |error: &dyn std::fmt::Display| {
        CniError::internal(format!(
            "failed to create bridge {:?}: {error}",
            conf.bridge.as_str()
        ))
    };
    let found = route.link(&conf.bridge).map_err(kernel)?;
    let link = match found {
        Some(link) => link,
        None => make_bridge(route, conf).map_err(|error| failed(&error))?,
    };
    if link.kind != Some(LinkKind::Bridge) {
        return Err(failed(&format_args!(
            "{:?} already exists but is not a bridge",
            conf.bridge.as_str()
        )));
    }
    let change = LinkChange {
        up: (!link.up).then_some(true),
        promiscuous: (conf.promiscuous && link.promiscuity == 0).then_some(true),
        ..LinkChange::default()
    };
    if change != LinkChange::default() {
        route
            .change_link(link.index, &change, &conf.bridge)
            .map_err(|error| failed(&error))?;
    }
    if conf.filters_vlans() && !link.vlan_filtering {
        route
            .set_vlan_filtering(link.index, true, &conf.bridge)
            .map_err(|error| failed(&error))?;
    }
    Ok(link)
}

fn make_bridge(route: &mut Route, conf: &BridgeConf) -> Result<Link, fairlead_kernel::KernelError> {
    let new = NewLink {
        name: conf.bridge.clone(),
        // An address of its own: without one the bridge takes the lowest of its ports'
        // and changes it as ports come and go, and every neighbour loses it each time.
        mac: Some(random_mac()?),
        mtu: conf.mtu,
        up: true,
        master: None,
        group: None,
        namespace: None,
        kind: NewLinkKind::Bridge {
            vlan_filtering: conf.filters_vlans().then_some(true),
        },
    };
    match route.create_link(&new) {
        // Another call made it in this moment.
        Err(error) if !error.is_exists() => return Err(error),
        _ => {}
    }
    // The routes of the bridge are ours: no router's announcement may change them.
    sysctl::write_if_possible(&format!("net/ipv6/conf/{}/accept_ra", conf.bridge), "0")?;
    route
        .link(&conf.bridge)?
        .ok_or_else(|| fairlead_kernel::KernelError::Absent {
            operation: "find bridge",
            object: conf.bridge.to_string(),
        })
}

/// A hardware address that is locally administered and no group's.
fn random_mac() -> Result<Mac, fairlead_kernel::KernelError> {
    let mut bytes = [0; 6];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(|e| {
        fairlead_kernel::KernelError::Io {
            operation: "choose",
            object: "a hardware address".into(),
            source: e.into(),
        }
    })?;
    bytes[0] = (bytes[0] & 0xfc) | 2;
    Ok(Mac(bytes))
}

/// Completes a result of IPAM: gateways where they are left out, and the default route
/// where it is asked for and not there. Returns the addresses the bridge must have.
pub(super) fn plan_gateways(
    conf: &BridgeConf,
    result: &mut CniResult,
) -> Result<Vec<IpNet>, CniError> {
    let mut on_bridge = Vec::new();
    let mut defaults = Vec::new();
    for ip in &mut result.ips {
        if !conf.gateway {
            continue;
        }
        let gateway = ip.gateway.unwrap_or_else(|| first_address(ip.address));
        ip.gateway = Some(gateway);
        let net = IpNet::new(gateway, ip.address.prefix_len()).map_err(|_| {
            CniError::internal(format!("gateway {gateway} does not fit its network"))
        })?;
        on_bridge.push(net);
        defaults.push(gateway);
    }
    if conf.default_gateway {
        for gateway in defaults {
            let any = default_destination(gateway);
            let known = result.routes.iter().any(|r| r.dst == any && r.gw.is_some());
            if !known {
                result.routes.push(CniRoute {
                    gw: Some(gateway),
                    ..CniRoute::new(any)
                });
            }
        }
    }
    Ok(on_bridge)
}

/// The first address behind the network's own.
fn first_address(net: IpNet) -> IpAddr {
    match net.network() {
        IpAddr::V4(ip) => std::net::Ipv4Addr::from(u32::from(ip).wrapping_add(1)).into(),
        IpAddr::V6(ip) => std::net::Ipv6Addr::from(u128::from(ip).wrapping_add(1)).into(),
    }
}

fn default_destination(gateway: IpAddr) -> IpNet {
    match gateway {
        IpAddr::V4(_) => IpNet::V4(ipnet::Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}

/// Gives a link of the host the gateway's addresses.
pub(super) fn ensure_addresses(
    route: &mut Route,
    link: &Link,
    name: &IfName,
    wanted: &[IpNet],
    force: bool,
) -> Result<(), CniError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let present = route.addresses(link.index).map_err(kernel)?;
    let (missing, rivals) = plan_addresses(&present, wanted);
    if let (Some((rival, wanted)), false) = (rivals.first(), force) {
        return Err(CniError::internal(format!(
            "failed to set bridge addr: {:?} already has an IP address different from {wanted}: \
             it has {rival}; set forceAddress to replace it",
            name.as_str()
        )));
    }
    for (rival, _) in rivals {
        route
            .delete_address(link.index, rival, name)
            .map_err(kernel)?;
    }
    if missing.is_empty() {
        return Ok(());
    }
    let options = AddressOptions {
        no_dad: true,
        ..AddressOptions::default()
    };
    for net in missing {
        match route.add_address(link.index, net, options, name) {
            Err(error) if !error.is_exists() => return Err(kernel(error)),
            _ => {}
        }
    }
    pin_mac(route, link, name)
}

/// Which addresses are missing, and which stand in the way of which: another address
/// of IPv4, or one of IPv6 whose network overlaps.
fn plan_addresses(
    present: &[fairlead_kernel::route::Address],
    wanted: &[IpNet],
) -> (Vec<IpNet>, Vec<(IpNet, IpNet)>) {
    let missing: Vec<IpNet> = wanted
        .iter()
        .filter(|net| !present.iter().any(|a| a.net == **net))
        .copied()
        .collect();
    let stays = |net: &IpNet| wanted.contains(net);
    let mut rivals = Vec::new();
    for net in &missing {
        for address in present.iter().filter(|a| !a.link_local && !stays(&a.net)) {
            let overlap = match (net, &address.net) {
                (IpNet::V4(_), IpNet::V4(_)) => true,
                (IpNet::V6(_), IpNet::V6(_)) => {
                    net.contains(&address.net.addr()) || address.net.contains(&net.addr())
                }
                _ => false,
            };
            if overlap && !rivals.iter().any(|(rival, _)| *rival == address.net) {
                rivals.push((address.net, *net));
            }
        }
    }
    (missing, rivals)
}

/// A bridge that somebody else made takes the lowest address of its ports until it is
/// set; setting it to what it is keeps it.
fn pin_mac(route: &mut Route, link: &Link, name: &IfName) -> Result<(), CniError> {
    // A bridge that had ports once and has none has the address 00:…, which cannot be set.
    let Some(mac) = link.mac.filter(|mac| mac.is_unicast()) else {
        return Ok(());
    };
    let change = LinkChange {
        mac: Some(mac),
        ..LinkChange::default()
    };
    route.change_link(link.index, &change, name).map_err(kernel)
}

/// The link that has the gateway's address for a VLAN: a cable of the host to itself,
/// with one end on the bridge in that VLAN. Made once, it stays like the bridge.
pub(super) fn ensure_vlan_gateway(
    route: &mut Route,
    bridge: &Link,
    conf: &BridgeConf,
    vlan: u16,
) -> Result<(Link, IfName), CniError> {
    let name = IfName::new(format!("{}.{vlan}", conf.bridge))
        .map_err(|error| CniError::internal(format!("failed to create vlan interface: {error}")))?;
    if let Some(link) = route.link(&name).map_err(kernel)? {
        // A call that was killed may have left it down.
        if !link.up {
            route.set_up(link.index, &name).map_err(kernel)?;
        }
        return Ok((link, name));
    }
    let here = NetNs::current().map_err(kernel)?;
    let owner = Owner {
        network: fairlead_types::NetworkName::new(conf.bridge.as_str())
            .map_err(crate::error::internal)?,
        container: fairlead_types::ContainerId::new("vlan").map_err(crate::error::internal)?,
        ifname: name.clone(),
    };
    let cable = Cable {
        owner: &owner,
        sandbox: &here,
        inner: &owner.ifname,
        mac: None,
        mtu: conf.mtu,
        master: Some(bridge.index),
    };
    let made = all_or_nothing(|undo| make_vlan_cable(route, &cable, undo, conf, vlan));
    match (made, route.link(&name).map_err(kernel)?) {
        (Ok(link), _) => Ok((link, name)),
        // Another call made it in this moment.
        (Err(_), Some(link)) => Ok((link, name)),
        (Err(error), None) => Err(error),
    }
}

fn make_vlan_cable(
    route: &mut Route,
    cable: &Cable<'_>,
    undo: &mut Undo<'_>,
    conf: &BridgeConf,
    vlan: u16,
) -> Result<Link, CniError> {
    let port = cable.make(route, undo)?;
    let link = route
        .link(&port)
        .map_err(kernel)?
        .ok_or_else(|| gone(&port))?;
    let native = [VlanRange {
        first: vlan,
        last: vlan,
        pvid: true,
        untagged: true,
    }];
    set_vlans(
        route,
        link.index,
        &port,
        &native,
        conf.preserve_default_vlan,
    )?;
    let name = &cable.owner.ifname;
    let gateway = route
        .link(name)
        .map_err(kernel)?
        .ok_or_else(|| gone(name))?;
    route.set_up(gateway.index, name).map_err(kernel)?;
    Ok(gateway)
}

/// Sets the VLANs of a port, in the place of the default one unless that is kept.
pub(super) fn set_vlans(
    route: &mut Route,
    port: u32,
    name: &IfName,
    vlans: &[VlanRange],
    keep_default: bool,
) -> Result<(), CniError> {
    if vlans.is_empty() {
        return Ok(());
    }
    if !keep_default {
        let present = route.vlans(port).map_err(kernel)?;
        if !present.is_empty() {
            route
                .delete_vlans(port, false, &present, name)
                .map_err(kernel)?;
        }
    }
    route.add_vlans(port, false, vlans, name).map_err(kernel)
}

pub(super) fn described(link: &Link) -> Interface {
    Interface {
        mac: link.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        ..Interface::new(&link.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_kernel::route::Address;

    fn address(net: &str) -> Address {
        Address {
            index: 1,
            net: net.parse().unwrap(),
            tentative: false,
            duplicate: false,
            link_local: net.starts_with("fe80"),
        }
    }

    fn plan(present: &[&str], wanted: &[&str]) -> (usize, usize) {
        let present: Vec<_> = present.iter().map(|net| address(net)).collect();
        let wanted: Vec<IpNet> = wanted.iter().map(|net| net.parse().unwrap()).collect();
        let (missing, rivals) = plan_addresses(&present, &wanted);
        (missing.len(), rivals.len())
    }

    #[test]
    fn another_ipv4_address_stands_in_the_way_and_a_distant_ipv6_one_does_not() {
        assert_eq!(plan(&[], &["10.1.0.1/24"]), (1, 0));
        assert_eq!(plan(&["10.1.0.1/24"], &["10.1.0.1/24"]), (0, 0));
        assert_eq!(plan(&["10.2.0.1/24"], &["10.1.0.1/24"]), (1, 1));
        assert_eq!(plan(&["10.1.0.1/16"], &["10.1.0.1/24"]), (1, 1));
        assert_eq!(plan(&["fd01::1/64", "fe80::1/64"], &["fd02::1/64"]), (1, 0));
        assert_eq!(plan(&["fd02::9/64"], &["fd02::1/64"]), (1, 1));
        assert_eq!(
            plan(&["10.1.0.1/24"], &["10.1.0.1/24", "10.2.0.1/24"]),
            (1, 0)
        );
    }

    #[test]
    fn the_gateway_is_the_first_address_of_the_network() {
        let first = |net: &str| first_address(net.parse().unwrap()).to_string();
        assert_eq!(first("10.1.2.77/24"), "10.1.2.1");
        assert_eq!(first("fd00::77/64"), "fd00::1");
    }
}
