//! `ptp`: a cable from the container to the host, which routes to it.
//!
//! The container talks to its gateway only, as on a line between two points: the route
//! to its own network leads through the gateway too.

use crate::bridge::{masquerade_backend, mtu};
use crate::cable::{self, Cable};
use crate::container::{ContainerEnd, Settings, enable_forwarding, has_ipv6, open_sandbox};
use crate::error::{gone, kernel};
use crate::host::Host;
use crate::ipam::Ipam;
use crate::removal::Parts;
use crate::undo::{Undo, all_or_nothing};
use crate::{masquerade, records, verify};
use fairlead_cni::{Call, CniError, CniResult, Interface, IpConfig, Plugin};
use fairlead_kernel::route::{AddressOptions, NextHop, RouteEntry};
use fairlead_kernel::{NetNs, Route};
use fairlead_types::{IfName, Owner};
use ipnet::IpNet;
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;

/// Scopes of routes (`enum rt_scope_t` of the kernel).
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;

/// The place of the container's interface in a result: behind the host's end.
const CONTAINER: usize = 1;

/// The plugin `ptp`.
pub(crate) struct PointToPoint {
    pub(crate) host: Arc<Host>,
    pub(crate) ipam: Arc<Ipam>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Keys {
    ip_masq: Option<bool>,
    ip_masq_backend: Option<String>,
    mtu: Option<i64>,
}

struct Plan<'a> {
    call: &'a Call,
    owner: Owner,
    sandbox: NetNs,
    mtu: Option<u32>,
    masquerade: bool,
}

impl<'a> Plan<'a> {
    fn of(call: &'a Call) -> Result<Self, CniError> {
        let keys: Keys = call.config.decode()?;
        masquerade_backend(keys.ip_masq_backend.as_deref())?;
        if call.config.ipam_type().is_none() {
            return Err(CniError::internal(
                "no plugin name provided: ipam.type is missing",
            ));
        }
        Ok(Self {
            call,
            owner: call.owner()?,
            mtu: mtu(keys.mtu)?,
            masquerade: keys.ip_masq.unwrap_or(false),
            sandbox: open_sandbox(call.netns()?)?,
        })
    }
}

impl Plugin for PointToPoint {
    fn add(&self, call: &Call) -> Result<CniResult, CniError> {
        let plan = Plan::of(call)?;
        all_or_nothing(|undo| self.apply(&plan, undo))
    }

    fn del(&self, call: &Call) -> Result<(), CniError> {
        let owner = call.owner()?;
        let parts = Parts {
            masquerades: true,
            link: true,
            ..Parts::default()
        };
        let removed = self.host.remove(&owner, parts);
        crate::error::first_of([cable::finish(call, removed, None), self.ipam.del(call)])
    }

    fn check(&self, call: &Call) -> Result<(), CniError> {
        let sandbox = open_sandbox(call.netns()?)?;
        self.ipam.check(call)?;
        let result = verify::previous(call)
            .map_err(|_| CniError::internal("ptp: Required prevResult missing"))?;
        let expected = verify::in_sandbox(call, &result)?;
        let mut inner = Route::open_in(&sandbox).map_err(kernel)?;
        let end = verify::container_end(&mut inner, expected)?;
        verify::addresses_and_routes(&mut inner, end.index, &expected.name, &result)
    }

    fn gc(&self, call: &Call) -> Result<(), CniError> {
        records::collect(&self.host, &self.ipam, call)
    }

    fn status(&self, call: &Call) -> Result<(), CniError> {
        self.ipam.status(call)
    }
}

impl PointToPoint {
    fn apply<'a>(&'a self, plan: &'a Plan<'_>, undo: &mut Undo<'a>) -> Result<CniResult, CniError> {
        let mut result = self.ipam.take(plan.call, CONTAINER, undo)?;
        result.ips.iter().try_for_each(|ip| gateway(ip).map(drop))?;
        enable_forwarding(&result)?;
        let mut route = Route::open().map_err(kernel)?;
        let owner = &plan.owner;
        let cable = Cable {
            owner,
            sandbox: &plan.sandbox,
            inner: &owner.ifname,
            mac: None,
            mtu: plan.mtu,
            master: None,
        };
        let name = cable.make(&mut route, undo)?;
        let port = route
            .link(&name)
            .map_err(kernel)?
            .ok_or_else(|| gone(&name))?;

        let settings = Settings {
            ipv6: has_ipv6(&result),
            dad: false,
        };
        let mut end = ContainerEnd::open(&plan.sandbox, &owner.ifname, settings)?;
        // The routes of the result may need those to the gateway.
        let routes = std::mem::take(&mut result.routes);
        end.configure(&result)?;
        for ip in &result.ips {
            lead_through_gateway(&mut end, ip)?;
        }
        result.routes = routes;
        for wanted in &result.routes {
            end.add_route(&crate::container::entry(wanted, &result, end.index))?;
        }
        host_side(&mut route, port.index, &name, &result)?;
        if plan.masquerade {
            masquerade::add(&self.host, owner, plan.call, &result, undo)?;
        }
        end.announce()?;
        result.interfaces = vec![
            Interface {
                mac: port.mac.map(|mac| mac.to_string()).unwrap_or_default(),
                ..Interface::new(name.as_str())
            },
            Interface {
                mac: end.mac.to_string(),
                sandbox: plan.call.netns()?.display().to_string(),
                ..Interface::new(owner.ifname.as_str())
            },
        ];
        Ok(result)
    }
}

fn gateway(ip: &IpConfig) -> Result<IpAddr, CniError> {
    ip.gateway.ok_or_else(|| {
        CniError::internal(format!(
            "address {} has no gateway: ptp needs one; set ipam's gateway",
            ip.address
        ))
    })
}

/// Replaces the container's route to its own network: the gateway is on the link,
/// everything else is behind the gateway.
fn lead_through_gateway(end: &mut ContainerEnd, ip: &IpConfig) -> Result<(), CniError> {
    let gateway = gateway(ip)?;
    let network = ip.address.trunc();
    let on_link = NextHop {
        gateway: None,
        link: Some(end.index),
    };
    let source = Some(ip.address.addr());
    end.route
        .delete_route(&RouteEntry::new(network, on_link))
        .map_err(kernel)?;
    let to_gateway = RouteEntry {
        source,
        scope: Some(SCOPE_LINK),
        ..RouteEntry::new(IpNet::from(gateway), on_link)
    };
    let behind = NextHop {
        gateway: Some(gateway),
        link: Some(end.index),
    };
    let to_network = RouteEntry {
        source,
        ..RouteEntry::new(network, behind)
    };
    end.add_route(&to_gateway)?;
    end.add_route(&to_network)
}

/// The host's end has the gateway's address and leads to the container's.
fn host_side(
    route: &mut Route,
    index: u32,
    name: &IfName,
    result: &CniResult,
) -> Result<(), CniError> {
    let options = AddressOptions {
        no_dad: true,
        ..AddressOptions::default()
    };
    for ip in &result.ips {
        let own = IpNet::from(gateway(ip)?);
        route
            .add_address(index, own, options, name)
            .map_err(kernel)?;
        let hop = NextHop {
            gateway: None,
            link: Some(index),
        };
        let to_container = RouteEntry {
            scope: Some(SCOPE_HOST),
            ..RouteEntry::new(IpNet::from(ip.address.addr()), hop)
        };
        match route.add_route(&to_container) {
            Err(error) if !error.is_exists() => return Err(kernel(error)),
            _ => {}
        }
    }
    Ok(())
}
