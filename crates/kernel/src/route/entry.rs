//! Routes.

use super::Route;
use crate::KernelError;
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric,
    RouteProtocol, RouteScope, RouteType,
};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
/// The main routing table.
const MAIN: u32 = RouteHeader::RT_TABLE_MAIN as u32;
/// Who is said to have made a route where nobody is named (`RTPROT_BOOT`).
const BOOT: u8 = 3;
/// The priority of an IPv6 route without one (`IP6_RT_PRIO_USER`).
const PRIORITY6: u32 = 1024;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IpFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A unicast route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteEntry {
    /// Where to; `0.0.0.0/0` or `::/0` is the default route.
    pub destination: IpNet,
    /// How to get there.
    pub next_hop: NextHop,
    /// The source address that the kernel prefers for it.
    pub source: Option<IpAddr>,
    /// Its table; `None` is the main table, 254.
    pub table: Option<u32>,
    /// Its priority: the lowest of several wins. `None` is the kernel's default.
    pub priority: Option<u32>,
    /// Its scope as the kernel numbers it; `None` follows from the next hop.
    pub scope: Option<u8>,
    /// Who made it, as the kernel numbers them (`RTPROT_*`); `None` is 3, 'boot'.
    pub protocol: Option<u8>,
    /// The gateway is taken to be on the link even if no address of it says so.
    pub onlink: bool,
    /// What is known of the path.
    pub metrics: RouteMetrics,
}

/// How a route gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NextHop {
    /// The gateway; without one the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The index of the link; the kernel finds it from the gateway where it is `None`.
    pub link: Option<u32>,
}

/// What is known of a route's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteMetrics {
    /// The greatest packet, in bytes.
    pub mtu: Option<u32>,
    /// The greatest TCP segment that is advertised, in bytes.
    pub advmss: Option<u32>,
}

impl RouteEntry {
    /// A route in the main table with nothing but a destination and a next hop.
    #[must_use]
    pub fn new(destination: IpNet, next_hop: NextHop) -> Self {
        Self {
            destination,
            next_hop,
            source: None,
            table: None,
            priority: None,
            scope: None,
            protocol: None,
            onlink: false,
            metrics: RouteMetrics::default(),
        }
    }

    /// The same route with the kernel's defaults in the place of what is not said,
    /// as lists of routes have it: what was added by an entry is found by comparing
    /// with this. The link must be given, and the source where the kernel keeps one.
    #[must_use]
    pub fn resolved(&self) -> Self {
        let v4 = self.destination.addr().is_ipv4();
        let priority = self.priority.filter(|priority| *priority != 0);
        Self {
            destination: self.destination.trunc(),
            table: Some(self.table.unwrap_or(MAIN)),
            priority: priority.or((!v4).then_some(PRIORITY6)),
            // IPv6 routes have no scope.
            scope: Some(if v4 {
                self.effective_scope()
            } else {
                SCOPE_UNIVERSE
            }),
            protocol: Some(self.protocol.unwrap_or(BOOT)),
            ..*self
        }
    }

    fn effective_scope(&self) -> u8 {
        match (self.scope, self.next_hop.gateway) {
            (Some(scope), _) => scope,
            (None, None) if self.destination.addr().is_ipv4() => SCOPE_LINK,
            (None, _) => SCOPE_UNIVERSE,
        }
    }
}

impl fmt::Display for RouteEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination)?;
        if let Some(gateway) = self.next_hop.gateway {
            write!(f, " via {gateway}")?;
        }
        match self.table {
            Some(table) if table != MAIN => write!(f, " table {table}"),
            _ => Ok(()),
        }
    }
}

impl Route {
    /// Adds a route.
    ///
    /// # Errors
    /// [`KernelError::Refused`]; ask [`KernelError::is_exists`] for 'there is one'.
    pub fn add_route(&mut self, entry: &RouteEntry) -> Result<(), KernelError> {
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.ask(
            RTM_NEWROUTE,
            flags,
            &route_message(entry),
            "add route",
            entry,
        )
        .map(drop)
    }

    /// Adds a route or puts it in the place of the one to the same destination with
    /// the same table and priority, whoever made that.
    ///
    /// # Errors
    /// [`KernelError::Refused`].
    pub fn replace_route(&mut self, entry: &RouteEntry) -> Result<(), KernelError> {
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        self.ask(
            RTM_NEWROUTE,
            flags,
            &route_message(entry),
            "replace route",
            entry,
        )
        .map(drop)
    }

    /// Deletes a route. Returns whether there was one.
    ///
    /// It must agree in table, destination, next hop, and in source, priority, scope
    /// and metrics where those are given. Without a protocol whoever made it, the
    /// kernel itself too; with one only what has that protocol, and then no priority
    /// means the kernel's default. (For IPv4 that is 0, of which a request cannot be
    /// told from none: of routes that differ only by priority the lowest is deleted.)
    ///
    /// # Errors
    /// [`KernelError::Refused`] other than 'no such route'.
    pub fn delete_route(&mut self, entry: &RouteEntry) -> Result<bool, KernelError> {
        let mut message = match entry.protocol {
            Some(_) => route_message(&RouteEntry {
                priority: entry.resolved().priority,
                ..entry.clone()
            }),
            None => route_message(entry),
        };
        message.header.protocol = entry.protocol.map_or(RouteProtocol::Unspec, Into::into);
        if entry.scope.is_none() {
            message.header.scope = RouteScope::NoWhere;
        }
        match self.ask(RTM_DELROUTE, 0, &message, "delete route", entry) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The unicast routes of every table, both families.
    ///
    /// # Errors
    /// [`KernelError`] of the dump.
    pub fn routes(&mut self) -> Result<Vec<RouteEntry>, KernelError> {
        let message = RouteMessage::default();
        let list: Vec<RouteMessage> = self.list(RTM_GETROUTE, &message, "list", &"routes")?;
        Ok(list.into_iter().filter_map(read_route).collect())
    }

    /// The unicast routes of every table that `protocol` made (`RTPROT_*`), of one
    /// family. The kernel itself leaves out the others.
    ///
    /// # Errors
    /// [`KernelError`] of the dump.
    pub fn routes_by(
        &mut self,
        protocol: u8,
        family: IpFamily,
    ) -> Result<Vec<RouteEntry>, KernelError> {
        let mut message = RouteMessage::default();
        message.header.address_family = match family {
            IpFamily::V4 => AddressFamily::Inet,
            IpFamily::V6 => AddressFamily::Inet6,
        };
        message.header.protocol = protocol.into();
        message.header.kind = RouteType::Unicast;
        let object = format_args!("routes of protocol {protocol}");
        let list: Vec<RouteMessage> = self.list(RTM_GETROUTE, &message, "list", &object)?;
        let routes = list.into_iter().filter_map(read_route);
        Ok(routes.filter(|r| r.protocol == Some(protocol)).collect())
    }

    /// The route that a packet to `address` would take now: its link, its gateway,
    /// the source address it would have, and the greatest packet where the route or
    /// path MTU discovery says one (else it is the link's).
    ///
    /// # Errors
    /// [`KernelError::Refused`]; ask [`KernelError::is_unreachable`] for 'there is no
    /// way'.
    pub fn route_to(&mut self, address: IpAddr) -> Result<RouteEntry, KernelError> {
        const OPERATION: &str = "find route to";
        let mut message = RouteMessage::default();
        let host = IpNet::from(address);
        message.header.address_family = family(host);
        message.header.destination_prefix_length = host.prefix_len();
        message
            .attributes
            .push(RouteAttribute::Destination(address.into()));
        let answers = self.ask(RTM_GETROUTE, 0, &message, OPERATION, &address)?;
        let absent = || KernelError::Absent {
            operation: OPERATION,
            object: address.to_string(),
        };
        let (_, payload) = answers.first().ok_or_else(absent)?;
        read_any_route(super::parse(payload, OPERATION, &address)?).ok_or_else(absent)
    }
}

fn family(net: IpNet) -> AddressFamily {
    match net {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    }
}

fn route_message(entry: &RouteEntry) -> RouteMessage {
    let table = entry.table.unwrap_or(MAIN);
    let mut message = RouteMessage::default();
    message.header.address_family = family(entry.destination);
    message.header.destination_prefix_length = entry.destination.prefix_len();
    message.header.protocol = entry.protocol.unwrap_or(BOOT).into();
    message.header.flags.set(RouteFlags::Onlink, entry.onlink);
    message.header.kind = RouteType::Unicast;
    message.header.table = u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    message.header.scope = entry.effective_scope().into();
    let attributes = [
        (entry.destination.prefix_len() > 0)
            .then(|| RouteAttribute::Destination(entry.destination.network().into())),
        entry
            .next_hop
            .gateway
            .map(|gateway| RouteAttribute::Gateway(gateway.into())),
        entry.next_hop.link.map(RouteAttribute::Oif),
        entry
            .source
            .map(|source| RouteAttribute::PrefSource(source.into())),
        entry.priority.map(RouteAttribute::Priority),
        (table > 255).then_some(RouteAttribute::Table(table)),
        metrics_attribute(entry.metrics),
    ];
    message.attributes.extend(attributes.into_iter().flatten());
    message
}

fn metrics_attribute(metrics: RouteMetrics) -> Option<RouteAttribute> {
    let items = [
        metrics.mtu.map(RouteMetric::Mtu),
        metrics.advmss.map(RouteMetric::Advmss),
    ];
    let items: Vec<_> = items.into_iter().flatten().collect();
    (!items.is_empty()).then_some(RouteAttribute::Metrics(items))
}

fn read_route(message: RouteMessage) -> Option<RouteEntry> {
    (message.header.kind == RouteType::Unicast)
        .then(|| read_any_route(message))
        .flatten()
}

fn read_any_route(message: RouteMessage) -> Option<RouteEntry> {
    let any: IpAddr = match message.header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let destination = IpNet::new(any, message.header.destination_prefix_length).ok()?;
    let mut entry = RouteEntry::new(destination, NextHop::default());
    entry.table = Some(message.header.table.into());
    entry.scope = Some(message.header.scope.into());
    entry.protocol = Some(message.header.protocol.into());
    entry.onlink = message.header.flags.contains(RouteFlags::Onlink);
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => {
                let prefix = message.header.destination_prefix_length;
                entry.destination = IpNet::new(ip(&address)?, prefix).ok()?;
            }
            RouteAttribute::Gateway(address) => entry.next_hop.gateway = ip(&address),
            RouteAttribute::Oif(index) => entry.next_hop.link = Some(index),
            RouteAttribute::PrefSource(address) => entry.source = ip(&address),
            RouteAttribute::Priority(priority) => entry.priority = Some(priority),
            RouteAttribute::Table(table) => entry.table = Some(table),
            RouteAttribute::Metrics(items) => read_metrics(&mut entry.metrics, &items),
            _ => {}
        }
    }
    Some(entry)
}

fn read_metrics(metrics: &mut RouteMetrics, items: &[RouteMetric]) {
    for item in items {
        match item {
            RouteMetric::Mtu(mtu) => metrics.mtu = Some(*mtu),
            RouteMetric::Advmss(advmss) => metrics.advmss = Some(*advmss),
            _ => {}
        }
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}
