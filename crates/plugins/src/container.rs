//! The container's end of a cable: its addresses, its routes, its settings.

use crate::error::kernel;
use fairlead_cni::{CniError, CniResult};
use fairlead_kernel::route::{AddressOptions, LinkChange, NextHop, RouteEntry, RouteMetrics};
use fairlead_kernel::{KernelError, NetNs, Route, sysctl};
use fairlead_types::{IfName, Mac};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long duplicate address detection may take (the reference plugins' limit).
const DAD_LIMIT: Duration = Duration::from_secs(10);
const DAD_POLL: Duration = Duration::from_millis(10);

/// Opens the namespace of a call.
pub(crate) fn open_sandbox(path: &Path) -> Result<NetNs, CniError> {
    NetNs::open(path)
        .map_err(|error| CniError::internal(format!("failed to open netns {path:?}: {error}")))
}

/// What the interface is set to before it has an address.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    /// Whether the network has IPv6 addresses for it.
    pub(crate) ipv6: bool,
    /// Whether duplicate address detection is wanted.
    pub(crate) dad: bool,
}

/// The container's end of a cable, with a socket in its namespace.
pub(crate) struct ContainerEnd {
    /// The socket; other links of the container can be reached by it too.
    pub(crate) route: Route,
    /// The index there.
    pub(crate) index: u32,
    /// The hardware address.
    pub(crate) mac: Mac,
    name: IfName,
    settings: Settings,
}

impl ContainerEnd {
    /// Goes into the namespace once, for the socket and the settings.
    pub(crate) fn open(
        sandbox: &NetNs,
        name: &IfName,
        settings: Settings,
    ) -> Result<Self, CniError> {
        let mut route = sandbox
            .run(|| {
                prepare(name, settings)?;
                Route::open()
            })
            .and_then(|inner| inner)
            .map_err(kernel)?;
        let link = route.link(name).map_err(kernel)?.ok_or_else(|| {
            CniError::internal(format!("interface {name} is gone from {sandbox}"))
        })?;
        let mac = link.mac.unwrap_or(Mac([0; 6]));
        Ok(Self {
            route,
            index: link.index,
            mac,
            name: name.clone(),
            settings,
        })
    }

    /// Sets the interface up.
    pub(crate) fn set_up(&mut self) -> Result<(), CniError> {
        self.route.set_up(self.index, &self.name).map_err(kernel)
    }

    /// Adds the addresses of `result`, sets the interface up and adds the routes.
    pub(crate) fn configure(&mut self, result: &CniResult) -> Result<(), CniError> {
        let options = AddressOptions {
            no_dad: !self.settings.dad,
            ..AddressOptions::default()
        };
        for ip in &result.ips {
            self.route
                .add_address(self.index, ip.address, options, &self.name)
                .map_err(kernel)?;
        }
        self.set_up()?;
        if self.settings.ipv6 && self.settings.dad {
            self.await_addresses()?;
        }
        for route in &result.routes {
            self.add_route(&entry(route, result, self.index))?;
        }
        Ok(())
    }

    /// Adds a route; one that is there already wins, as with the reference plugins.
    pub(crate) fn add_route(&mut self, entry: &RouteEntry) -> Result<(), CniError> {
        match self.route.add_route(entry) {
            Err(error) if !error.is_exists() => Err(kernel(error)),
            _ => Ok(()),
        }
    }

    /// Tells the neighbours where the addresses are now. Setting the hardware address
    /// to what it is makes the kernel announce them (`arp_notify`, `ndisc_notify`),
    /// and only now is the bridge's port ready to pass it on.
    pub(crate) fn announce(&mut self) -> Result<(), CniError> {
        let change = LinkChange {
            mac: Some(self.mac),
            ..LinkChange::default()
        };
        self.route
            .change_link(self.index, &change, &self.name)
            .map_err(kernel)
    }

    fn await_addresses(&mut self) -> Result<(), CniError> {
        let deadline = Instant::now() + DAD_LIMIT;
        loop {
            let addresses = self.route.addresses(self.index).map_err(kernel)?;
            if let Some(taken) = addresses.iter().find(|a| a.duplicate) {
                return Err(CniError::internal(format!(
                    "address {} of {} is used by another station on the link",
                    taken.net, self.name
                )));
            }
            if !addresses.iter().any(|a| a.tentative) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(CniError::internal(format!(
                    "the addresses of {} are still tentative after 10 s",
                    self.name
                )));
            }
            // The kernel has no call that waits for duplicate address detection.
            std::thread::sleep(DAD_POLL);
        }
    }
}

/// Settings that belong to the interface; runs inside the namespace.
fn prepare(name: &IfName, settings: Settings) -> Result<(), KernelError> {
    sysctl::write_if_possible(&format!("net/ipv4/conf/{name}/arp_notify"), "1")?;
    if !settings.ipv6 {
        return Ok(());
    }
    // An engine may have switched IPv6 off; a network with IPv6 addresses needs it.
    for interface in ["lo", name.as_str()] {
        sysctl::write_if_possible(&format!("net/ipv6/conf/{interface}/disable_ipv6"), "0")?;
    }
    sysctl::write_if_possible(&format!("net/ipv6/conf/{name}/ndisc_notify"), "1")?;
    let dad = if settings.dad { "1" } else { "0" };
    sysctl::write_if_possible(&format!("net/ipv6/conf/{name}/accept_dad"), dad)?;
    if settings.dad {
        sysctl::write_if_possible(&format!("net/ipv6/conf/{name}/enhanced_dad"), "1")?;
    }
    Ok(())
}

/// A route of a result as a route of the kernel: without a gateway of its own it
/// goes by the first gateway of its family.
pub(crate) fn entry(route: &fairlead_cni::Route, result: &CniResult, link: u32) -> RouteEntry {
    let same_family = |ip: &IpAddr| ip.is_ipv4() == route.dst.addr().is_ipv4();
    let fallback = || {
        result
            .ips
            .iter()
            .filter_map(|ip| ip.gateway)
            .find(same_family)
    };
    // A route of link scope has no gateway.
    let link_scope = route.scope == Some(253);
    let gateway = route
        .gw
        .or_else(|| if link_scope { None } else { fallback() });
    RouteEntry {
        // 0 is the kernel's word for 'not said'.
        table: route.table.filter(|table| *table != 0),
        priority: route.priority,
        scope: route.scope,
        metrics: RouteMetrics {
            mtu: route.mtu,
            advmss: route.advmss,
        },
        ..RouteEntry::new(
            route.dst.trunc(),
            NextHop {
                gateway,
                link: Some(link),
            },
        )
    }
}

/// Whether any of the addresses is of IPv6.
pub(crate) fn has_ipv6(result: &CniResult) -> bool {
    result
        .ips
        .iter()
        .any(|ip| matches!(ip.address, IpNet::V6(_)))
}

/// Lets the host pass packets on for each family that the addresses have.
pub(crate) fn enable_forwarding(result: &CniResult) -> Result<(), CniError> {
    let has = |v4: bool| {
        result
            .ips
            .iter()
            .any(|ip| ip.address.addr().is_ipv4() == v4)
    };
    let keys = [
        (true, "net/ipv4/ip_forward"),
        (false, "net/ipv6/conf/all/forwarding"),
    ];
    for (_, key) in keys.into_iter().filter(|(v4, _)| has(*v4)) {
        sysctl::ensure(key, "1").map_err(kernel)?;
    }
    Ok(())
}
