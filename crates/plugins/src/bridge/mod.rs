//! `bridge`: a cable from the container to a bridge of the host.

mod conf;
mod gateway;

pub(crate) use conf::{masquerade_backend, mtu};

use crate::cable::{self, Cable};
use crate::container::{ContainerEnd, Settings, enable_forwarding, has_ipv6, open_sandbox};
use crate::error::{gone, kernel};
use crate::host::Host;
use crate::ipam::Ipam;
use crate::removal::Parts;
use crate::undo::{Undo, all_or_nothing};
use crate::{mac_check, masquerade, records, verify};
use conf::BridgeConf;
use fairlead_cni::{Call, CniError, CniResult, Interface, Plugin};
use fairlead_kernel::route::{Link, LinkKind, PortOptions};
use fairlead_kernel::{NetNs, Route};
use fairlead_types::{IfName, Mac, Owner};
use gateway::{described, ensure_addresses, ensure_bridge, ensure_vlan_gateway, plan_gateways};
use ipnet::IpNet;
use std::sync::Arc;

/// The place of the container's interface in a result: behind bridge and host end.
const CONTAINER: usize = 2;

/// The plugin `bridge`.
pub(crate) struct Bridge {
    pub(crate) host: Arc<Host>,
    pub(crate) ipam: Arc<Ipam>,
}

/// What ADD knows before it touches anything.
struct Plan<'a> {
    call: &'a Call,
    conf: BridgeConf,
    owner: Owner,
    sandbox: NetNs,
}

impl Plan<'_> {
    /// The name of the container's end where it is born.
    fn inner(&self) -> &IfName {
        self.conf.handover.as_ref().unwrap_or(&self.owner.ifname)
    }
}

impl Plugin for Bridge {
    fn add(&self, call: &Call) -> Result<CniResult, CniError> {
        let conf = BridgeConf::of(call)?;
        let sandbox = match conf.handover {
            // The engine's sandbox may not be there yet.
            Some(_) => NetNs::current().map_err(kernel)?,
            None => open_sandbox(call.netns()?)?,
        };
        let plan = Plan {
            call,
            conf,
            owner: call.owner()?,
            sandbox,
        };
        all_or_nothing(|undo| self.apply(&plan, undo))
    }

    fn del(&self, call: &Call) -> Result<(), CniError> {
        let owner = call.owner()?;
        let conf = BridgeConf::of(call).ok();
        let checked = conf.as_ref().is_some_and(|conf| conf.mac_check);
        let bridge = conf.as_ref().map(|conf| &conf.bridge);
        let parts = Parts {
            mac_check: checked,
            masquerades: true,
            link: true,
            ..Parts::default()
        };
        // Every step is tried; the address goes last, when nothing answers to it any more.
        let removed = self.host.remove(&owner, parts);
        crate::error::first_of([cable::finish(call, removed, bridge), self.ipam.del(call)])
    }

    fn check(&self, call: &Call) -> Result<(), CniError> {
        let conf = BridgeConf::of(call)?;
        if conf.handover.is_some() {
            // The container's end is the engine's, who knows where it is.
            let result = verify::previous(call)?;
            let mut host = Route::open().map_err(kernel)?;
            return check_bridge(&mut host, &conf, &result).map(drop);
        }
        let sandbox = open_sandbox(call.netns()?)?;
        self.ipam.check(call)?;
        let result = verify::previous(call)?;
        let expected = verify::in_sandbox(call, &result)?;
        let mut host = Route::open().map_err(kernel)?;
        let bridge = check_bridge(&mut host, &conf, &result)?;
        let mut inner = Route::open_in(&sandbox).map_err(kernel)?;
        let end = verify::container_end(&mut inner, expected)?;
        check_port(&mut host, &conf, &result, &bridge, &end)?;
        verify::addresses_and_routes(&mut inner, end.index, &expected.name, &result)
    }

    fn gc(&self, call: &Call) -> Result<(), CniError> {
        records::collect(&self.host, &self.ipam, call)
    }

    fn status(&self, call: &Call) -> Result<(), CniError> {
        BridgeConf::of(call)?;
        self.ipam.status(call)
    }
}

impl Bridge {
    fn apply<'a>(&'a self, plan: &'a Plan<'_>, undo: &mut Undo<'a>) -> Result<CniResult, CniError> {
        let conf = &plan.conf;
        let mut route = Route::open().map_err(kernel)?;
        let bridge = ensure_bridge(&mut route, conf)?;
        // The addresses are recorded before anything of the container changes.
        let mut result = self.ipam.take(plan.call, CONTAINER, undo)?;
        let on_bridge = plan_gateways(conf, &mut result)?;

        let port = self.connect(plan, &mut route, &bridge, undo)?;
        let mut end = if conf.without_container_interface || conf.handover.is_some() {
            None
        } else {
            let settings = Settings {
                ipv6: has_ipv6(&result),
                dad: conf.dad,
            };
            Some(ContainerEnd::open(
                &plan.sandbox,
                &plan.owner.ifname,
                settings,
            )?)
        };
        let mac = end.as_ref().map(|end| end.mac).or(conf.mac);
        if let (Some(mac), true) = (mac, conf.mac_check) {
            self.check_mac(&port, mac, undo)?;
        }
        if let Some(end) = &mut end {
            end.configure(&result)?;
        }
        let mut interfaces = self.gateway(plan, &mut route, &bridge, &on_bridge)?;
        if conf.gateway {
            enable_forwarding(&result)?;
        }
        if conf.masquerade {
            masquerade::add(&self.host, &plan.owner, plan.call, &result, undo)?;
        }
        // Asking for the port also makes the kernel finish its change of state, so
        // that the first packet is not lost to a port that still listens.
        let port = route
            .link(&port)
            .map_err(kernel)?
            .ok_or_else(|| gone(&port))?;
        if let (Some(end), false) = (&mut end, result.ips.is_empty()) {
            end.announce()?;
        }
        let mut made = vec![
            described(&bridge),
            described(&port),
            sandbox_interface(plan, end.as_ref())?,
        ];
        made.append(&mut interfaces);
        result.interfaces = made;
        Ok(result)
    }

    /// Makes the cable and sets its port up as asked. Returns the port's name.
    fn connect(
        &self,
        plan: &Plan<'_>,
        route: &mut Route,
        bridge: &Link,
        undo: &mut Undo<'_>,
    ) -> Result<IfName, CniError> {
        let conf = &plan.conf;
        let cable = Cable {
            owner: &plan.owner,
            sandbox: &plan.sandbox,
            inner: plan.inner(),
            mac: conf.mac,
            mtu: conf.mtu,
            master: Some(bridge.index),
        };
        let port = cable.make(route, undo)?;
        let options = PortOptions {
            hairpin: conf.hairpin.then_some(true),
            isolated: conf.isolated.then_some(true),
        };
        let vlans = conf.port_vlans();
        if options == PortOptions::default() && vlans.is_empty() {
            return Ok(port);
        }
        let index = route
            .link(&port)
            .map_err(kernel)?
            .ok_or_else(|| gone(&port))?
            .index;
        if options != PortOptions::default() {
            route.set_port(index, options, &port).map_err(kernel)?;
        }
        gateway::set_vlans(route, index, &port, &vlans, conf.preserve_default_vlan)?;
        Ok(port)
    }

    /// Only frames with the container's own hardware address may come from the port.
    fn check_mac<'a>(
        &'a self,
        port: &IfName,
        mac: Mac,
        undo: &mut Undo<'a>,
    ) -> Result<(), CniError> {
        let name = port.clone();
        undo.push(move || mac_check::remove(&self.host, &name));
        mac_check::add(&self.host, port, mac)
    }

    /// Puts the gateway's addresses on the bridge, or on the link of the VLAN, which
    /// is then one more interface of the result.
    fn gateway(
        &self,
        plan: &Plan<'_>,
        route: &mut Route,
        bridge: &Link,
        addresses: &[IpNet],
    ) -> Result<Vec<Interface>, CniError> {
        let conf = &plan.conf;
        match conf.vlan.filter(|_| !addresses.is_empty()) {
            None => {
                ensure_addresses(route, bridge, &conf.bridge, addresses, conf.force_address)?;
                Ok(Vec::new())
            }
            Some(vlan) => {
                let (link, name) = ensure_vlan_gateway(route, bridge, conf, vlan)?;
                ensure_addresses(route, &link, &name, addresses, conf.force_address)?;
                Ok(vec![described(&link)])
            }
        }
    }
}

fn sandbox_interface(plan: &Plan<'_>, end: Option<&ContainerEnd>) -> Result<Interface, CniError> {
    let mac = match end {
        Some(end) => end.mac.to_string(),
        None => {
            let mut inner = Route::open_in(&plan.sandbox).map_err(kernel)?;
            let name = plan.inner();
            let link = inner
                .link(name)
                .map_err(kernel)?
                .ok_or_else(|| gone(name))?;
            link.mac.map(|mac| mac.to_string()).unwrap_or_default()
        }
    };
    let sandbox = match plan.conf.handover {
        Some(_) => String::new(),
        None => plan.call.netns()?.display().to_string(),
    };
    Ok(Interface {
        mac,
        sandbox,
        ..Interface::new(plan.inner().as_str())
    })
}

fn check_bridge(
    route: &mut Route,
    conf: &BridgeConf,
    result: &CniResult,
) -> Result<Link, CniError> {
    let name = conf.bridge.as_str();
    let expected = result
        .interfaces
        .iter()
        .find(|i| i.name == name && i.sandbox.is_empty());
    let expected = expected.cloned().unwrap_or_else(|| Interface::new(name));
    let link = verify::link(route, name)?;
    if link.kind != Some(LinkKind::Bridge) {
        return Err(CniError::internal(format!(
            "Interface {name} does not have link type of bridge"
        )));
    }
    verify::mac(&link, &expected)?;
    let promiscuous = link.promiscuity > 0;
    if promiscuous != conf.promiscuous {
        return Err(CniError::internal(format!(
            "Bridge interface {name} configured Promisc Mode {} doesn't match current state: {promiscuous}",
            conf.promiscuous
        )));
    }
    Ok(link)
}

/// The host's end is a port of the bridge and the other end of the container's.
fn check_port(
    route: &mut Route,
    conf: &BridgeConf,
    result: &CniResult,
    bridge: &Link,
    end: &Link,
) -> Result<(), CniError> {
    let missing = || {
        CniError::internal(format!(
            "CNI veth created for bridge {} was not found",
            conf.bridge
        ))
    };
    let peer = end.parent.ok_or_else(missing)?;
    let port = route
        .link_by_index(peer)
        .map_err(kernel)?
        .ok_or_else(missing)?;
    let expected = result
        .interfaces
        .iter()
        .find(|i| i.name == port.name && i.sandbox.is_empty());
    let expected = expected.ok_or_else(missing)?;
    if port.master != Some(bridge.index) || port.kind != Some(LinkKind::Veth) {
        return Err(missing());
    }
    verify::mac(&port, expected)
}
