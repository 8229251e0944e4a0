//! The networks that the configuration declares, and those that are there without.

mod layout;

pub(crate) use layout::Layout;

use crate::config::Found;
use crate::file::Target;
use crate::segment::{self, overlaps};
use crate::{Config, Problem, Reason, Value};
use fairlead_types::{IfName, NetworkName};
use ipnet::IpNet;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// A type of network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkKind {
    /// A bridge on each node, with the same range on each.
    Bridge,
    /// A bridge on each node, with a segment of the range each, and routes or tunnels between.
    RoutedBridge,
    /// A network of the weave plugin.
    Weave,
    /// The loopback interface.
    Lo,
}

impl NetworkKind {
    /// The type as the configuration has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::RoutedBridge => "routed_bridge",
            Self::Weave => "weave",
            Self::Lo => "lo",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Reason> {
        [Self::Bridge, Self::RoutedBridge, Self::Weave, Self::Lo]
            .into_iter()
            .find(|k| k.as_str() == text)
            .ok_or(Reason::Choice(crate::keyword::TYPES))
    }

    const fn has_bridge(self) -> bool {
        matches!(self, Self::Bridge | Self::RoutedBridge)
    }
}

impl fmt::Display for NetworkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a network is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: `default` and `lo` are there without.
    Implied,
    /// In `cluster.conf`, so on every node.
    Cluster,
    /// In `node.conf` only.
    Node,
}

/// Whether packets to another node's segment go through a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnel {
    /// Where the other node is not on a common link.
    Auto,
    /// To every other node.
    Always,
    /// To none.
    Never,
}

/// The kind of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelMode {
    /// IPv4 in IPv4.
    Ipip,
    /// Generic routing encapsulation.
    Gre,
    /// IPv6 in IPv6.
    Ip6ip6,
    /// Ethernet in UDP: one device for the network, whose entries we write.
    Vxlan,
}

/// What a routed bridge has more than a bridge. The maps are by node name and hold
/// what is declared for the nodes of the cluster, `subnets` also for nodes that left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// The prefix length of one node's segment.
    pub segment_prefix: u8,
    /// Segments that are given already.
    pub subnets: BTreeMap<String, IpNet>,
    /// Tunnel endpoints: addresses or names.
    pub endpoints: BTreeMap<String, String>,
    /// Next hops to a node's segment.
    pub gateways: BTreeMap<String, IpAddr>,
    /// The routing tables that get the routes.
    pub tables: Vec<String>,
    /// When to tunnel.
    pub tunnel: Tunnel,
    /// How to tunnel.
    pub tunnel_mode: TunnelMode,
    /// The network's number on the wire (1 to 16777215), if it is declared; it
    /// counts with [`TunnelMode::Vxlan`] only.
    pub vni: Option<u32>,
}

/// A network that can be set up: its declaration is whole, and it shares no address
/// with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: NetworkName,
    /// Its type.
    pub kind: NetworkKind,
    /// Its range; two of different families for a dual stack bridge. Never empty.
    pub ranges: Vec<IpNet>,
    /// Its bridge, for the types that have one.
    pub bridge: Option<IfName>,
    /// Whether the bridge was named by `dev`, so it may belong to someone else.
    pub foreign_bridge: bool,
    /// The addresses of its bridge that are not the first ones of their ranges.
    pub gateways: Vec<IpAddr>,
    /// Whether the range is routed outside: nothing is masqueraded.
    pub public: bool,
    /// The largest packet of its links, in bytes (1280 to 65535), if it is declared.
    pub mtu: Option<u32>,
    /// More, for a routed bridge.
    pub routed: Option<Routed>,
    /// Where it is declared.
    pub origin: Origin,
}

impl Network {
    /// The address of the bridge that is declared for one of the ranges.
    #[must_use]
    pub fn gateway(&self, range: IpNet) -> Option<IpAddr> {
        let mut gateways = self.gateways.iter();
        gateways.find(|ip| range.contains(*ip)).copied()
    }

    /// The range that listings show: the first one.
    #[must_use]
    pub fn cidr(&self) -> Option<IpNet> {
        self.ranges.first().copied()
    }
}

impl Config {
    /// The networks of this node that can be set up, sorted by name, and what is
    /// wrong with the others. A network that is hidden (`network = none`) is in
    /// neither; one that overlaps another is a problem, as is the other.
    #[must_use]
    pub fn networks(&self) -> (Vec<Network>, Vec<Problem>) {
        let mut networks = Vec::new();
        let mut problems = Vec::new();
        for name in self.network_names() {
            let mut build = Build::new(self, name);
            if let Some(network) = build.network() {
                networks.push((network, build.range_at.take()));
            }
            problems.append(&mut build.problems);
        }
        let bad = clashes(&networks, &mut problems);
        let keep = networks.into_iter().enumerate();
        let networks = keep.filter(|(i, _)| !bad.contains(i));
        (
            networks.map(|(_, (network, _))| network).collect(),
            problems,
        )
    }

    /// The names of all networks, also of hidden and faulty ones: declared here or
    /// implied, sorted.
    #[must_use]
    pub fn network_names(&self) -> Vec<&str> {
        let sections = self.sections().into_iter();
        let mut names: Vec<&str> = sections
            .filter_map(|s| s.strip_prefix("network#"))
            .chain(["default", "lo"])
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// One network being read. What does not keep it from being read is collected.
struct Build<'a> {
    config: &'a Config,
    name: &'a str,
    section: String,
    problems: Vec<Problem>,
    /// Where its range comes from, for problems found later.
    range_at: Option<Found>,
}

impl<'a> Build<'a> {
    fn new(config: &'a Config, name: &'a str) -> Self {
        Self {
            config,
            name,
            section: format!("network#{name}"),
            problems: Vec::new(),
            range_at: None,
        }
    }

    fn find(&self, option: &str) -> Result<Found, Problem> {
        self.config
            .evaluate(&self.section, option, self.config.node())
    }

    /// The network, or nothing if it is hidden or a problem was collected.
    fn network(&mut self) -> Option<Network> {
        let kind = self.keep(|b| b.config.kind_of(&b.section).map_err(|r| b.at("type", r)))?;
        let range = self.keep(|b| b.find("network"));
        let ranges = match range.as_ref().map(|r| &r.value) {
            Some(Some(Value::Ranges(ranges))) if ranges.is_empty() => return None,
            Some(Some(Value::Ranges(ranges))) => ranges.clone(),
            // A range that cannot be read is a problem of its own.
            None => Vec::new(),
            Some(_) => {
                let problem = self.whole(Reason::NoRange(self.name.to_owned()));
                self.problems.push(problem);
                Vec::new()
            }
        };
        let name = self.keep(|b| NetworkName::new(b.name).map_err(|e| b.whole(e.into())));
        for bad in ranges.iter().filter_map(|r| unusable(kind, *r)) {
            self.problems.extend(range.as_ref().map(|r| r.problem(bad)));
        }
        let (mut bridge, mut public, mut mtu) = ((None, false), false, None);
        if kind.has_bridge() {
            bridge = self.keep(Self::bridge).unwrap_or_default();
            mtu = self.keep(|b| b.number("mtu")).flatten();
            let value = self.keep(|b| Ok(b.find("public")?.value));
            public = matches!(value, Some(Some(Value::Bool(true))));
        }
        let gateways = match kind {
            NetworkKind::Bridge => self.keep(|b| b.gateways(&ranges)).unwrap_or_default(),
            _ => Vec::new(),
        };
        let first = ranges.first().copied();
        let routed = match (kind, first) {
            (NetworkKind::RoutedBridge, Some(range)) => self.routed(range),
            _ => None,
        };
        self.range_at = range;
        (first.is_some() && self.problems.is_empty()).then_some(Network {
            name: name?,
            kind,
            ranges,
            bridge: bridge.0,
            foreign_bridge: bridge.1,
            gateways,
            public,
            mtu,
            routed,
            origin: self.origin(),
        })
    }

    /// A problem with a stored option.
    fn at(&self, option: &str, reason: Reason) -> Problem {
        let value = self.config.stored(&self.section, option);
        Problem {
            option: Some(option.to_owned()),
            value: value.map(str::to_owned),
            ..self.whole(reason)
        }
    }

    fn whole(&self, reason: Reason) -> Problem {
        Problem {
            section: self.section.clone(),
            option: None,
            value: None,
            reason: Box::new(reason),
        }
    }

    fn origin(&self) -> Origin {
        let declared = |target| self.config.document(target).has_section(&self.section);
        if declared(Target::Cluster) {
            Origin::Cluster
        } else if declared(Target::Node) {
            Origin::Node
        } else {
            Origin::Implied
        }
    }

    /// The bridge, and whether `dev` names it.
    fn bridge(&self) -> Result<(Option<IfName>, bool), Problem> {
        if let Some(Value::Text(dev)) = self.find("dev")?.value {
            let dev = IfName::new(dev).map_err(|e| self.whole(e.into()))?;
            return Ok((Some(dev), true));
        }
        let bridge = format!("obr_{}", self.name);
        match IfName::new(&bridge) {
            Ok(name) => Ok((Some(name), false)),
            Err(_) => Err(self.whole(Reason::BridgeName {
                bridge,
                section: self.section.clone(),
            })),
        }
    }

    /// The rest of a routed bridge; nothing if a problem was collected.
    fn routed(&mut self, range: IpNet) -> Option<Routed> {
        let nodes = self.config.cluster_nodes();
        let segment_prefix = self.keep(|b| b.segment(range, nodes.len().max(1)));
        let subnets = self.subnets(range);
        let endpoints = self.keep(|b| b.each_node(&nodes, "addr"));
        let gateways = self.keep(|b| b.each_node(&nodes, "gateway"));
        let tables = self.keep(|b| Ok(b.find("tables")?.value));
        let tunnel = self.keep(|b| Ok(b.find("tunnel")?.value));
        let mode = self.keep(|b| Ok(b.find("tunnel_mode")?.value));
        let vni = self.keep(|b| b.number("vni"));
        let word = |value: Option<Value>| value.map(|v| v.to_string()).unwrap_or_default();
        let ip = |(node, value): (String, Value)| match value {
            Value::Ip(ip) => Some((node, ip)),
            _ => None,
        };
        Some(Routed {
            segment_prefix: segment_prefix?,
            subnets,
            endpoints: endpoints?
                .into_iter()
                .map(|(node, value)| (node, value.to_string()))
                .collect(),
            gateways: gateways?.into_iter().filter_map(ip).collect(),
            tables: tables?.map(|t| t.elements()).unwrap_or_default(),
            tunnel: match word(tunnel?).as_str() {
                "always" => Tunnel::Always,
                "never" => Tunnel::Never,
                _ => Tunnel::Auto,
            },
            tunnel_mode: match word(mode?).as_str() {
                "gre" => TunnelMode::Gre,
                "ip6ip6" => TunnelMode::Ip6ip6,
                "vxlan" => TunnelMode::Vxlan,
                _ => TunnelMode::Ipip,
            },
            vni: vni?,
        })
    }

    /// A number that is optional and fits 32 bits by its keyword.
    /// What `gateway` of a bridge says: each an address of a range, and not its first or
    /// last one where those mean all of it.
    fn gateways(&self, ranges: &[IpNet]) -> Result<Vec<IpAddr>, Problem> {
        let Some(Value::Ips(ips)) = self.find("gateway")?.value else {
            return Ok(Vec::new());
        };
        let fits = |ip: IpAddr| {
            let mut ranges = ranges.iter();
            ranges.any(|r| {
                let all = r.addr().is_ipv4() && r.broadcast() == ip;
                r.contains(&ip) && r.network() != ip && !all
            })
        };
        match ips.iter().find(|ip| !fits(**ip)) {
            Some(ip) => {
                let reason = Reason::Gateway(*ip, self.section.clone());
                Err(self.at("gateway", reason))
            }
            None => Ok(ips),
        }
    }

    fn number(&self, option: &str) -> Result<Option<u32>, Problem> {
        Ok(match self.find(option)?.value {
            Some(Value::Int(n)) => u32::try_from(n).ok(),
            _ => None,
        })
    }

    /// Runs one part, so that a fault in it does not hide the faults of the others.
    fn keep<T>(&mut self, part: impl FnOnce(&Self) -> Result<T, Problem>) -> Option<T> {
        match part(self) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    /// The prefix length of a node's segment, from `mask_per_node` or `ips_per_node`.
    fn segment(&self, range: IpNet, nodes: usize) -> Result<u8, Problem> {
        let mask = self.find("mask_per_node")?;
        if let Some(Value::Int(bits @ 1..)) = mask.value {
            let bits = u8::try_from(bits).unwrap_or(u8::MAX);
            return segment::from_mask(bits, range, nodes).map_err(|r| mask.problem(r));
        }
        let ips = self.find("ips_per_node")?;
        let size = match ips.value {
            Some(Value::Int(size)) => size,
            _ => 1024,
        };
        segment::from_size(size, range, nodes).map_err(|r| ips.problem(r))
    }

    /// The segments that are stored, by node; a fault is collected and left out.
    fn subnets(&mut self, range: IpNet) -> BTreeMap<String, IpNet> {
        let config = self.config;
        let mut nodes: Vec<&str> = config.cluster_nodes();
        let keys = config.keys(&self.section).into_iter();
        let scopes = keys.filter_map(|k| k.strip_prefix("subnet@"));
        nodes.extend(scopes.filter(|s| !matches!(*s, "nodes" | "drpnodes")));
        if nodes.is_empty() {
            nodes.push(config.node());
        }
        nodes.sort_unstable();
        nodes.dedup();
        let mut given: Vec<(&str, IpNet, Found)> = Vec::new();
        for node in nodes {
            match config.evaluate(&self.section, "subnet", node) {
                Ok(found) => {
                    if let Some(Value::Cidr(subnet)) = found.value {
                        given.push((node, subnet, found));
                    }
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        for (_, subnet, found) in given.iter().filter(|(_, s, _)| !range.contains(s)) {
            let subnet = *subnet;
            let outside = Reason::SubnetOutside { subnet, range };
            self.problems.push(found.problem(outside));
        }
        for (a, b) in overlaps(&given.iter().map(|(_, s, _)| *s).collect::<Vec<_>>()) {
            for (one, two) in [(&given[a], &given[b]), (&given[b], &given[a])] {
                self.problems.push(one.2.problem(Reason::SubnetOverlap {
                    own: one.1,
                    node: one.0.to_owned(),
                    other: two.1,
                    other_node: two.0.to_owned(),
                }));
            }
        }
        let pairs = given.into_iter();
        pairs
            .map(|(node, subnet, _)| (node.to_owned(), subnet))
            .collect()
    }

    /// A scopable keyword as each node of the cluster evaluates it.
    fn each_node(&self, nodes: &[&str], option: &str) -> Result<Vec<(String, Value)>, Problem> {
        let mut values = Vec::new();
        for node in nodes {
            let found = self.config.evaluate(&self.section, option, node)?;
            values.extend(found.value.map(|v| ((*node).to_owned(), v)));
        }
        Ok(values)
    }
}

/// Why containers cannot have addresses of this range, if so.
fn unusable(kind: NetworkKind, range: IpNet) -> Option<Reason> {
    if kind == NetworkKind::Lo {
        return None;
    }
    if range.max_prefix_len() - range.prefix_len() < 2 {
        return Some(Reason::RangeSize(range));
    }
    let ip = range.network();
    let what = if ip.is_loopback() {
        "a loopback range"
    } else if ip.is_multicast() {
        "a multicast range"
    } else {
        return None;
    };
    Some(Reason::RangeKind { range, what })
}

/// Finds the networks that share addresses, and adds a problem to each of a pair.
fn clashes(networks: &[(Network, Option<Found>)], problems: &mut Vec<Problem>) -> Vec<usize> {
    let flat = |(i, (network, _)): (usize, &(Network, _))| {
        let ranges = network.ranges.clone().into_iter();
        ranges.map(move |range| (i, range)).collect::<Vec<_>>()
    };
    let all: Vec<(usize, IpNet)> = networks.iter().enumerate().flat_map(flat).collect();
    let ranges: Vec<IpNet> = all.iter().map(|(_, range)| *range).collect();
    let mut bad = Vec::new();
    for (a, b) in overlaps(&ranges) {
        for ((one, own), (two, other)) in [(all[a], all[b]), (all[b], all[a])] {
            let (network, _) = &networks[two];
            if let Some(found) = &networks[one].1 {
                problems.push(found.problem(Reason::Overlap {
                    own,
                    other,
                    name: network.name.to_string(),
                    implied: network.origin == Origin::Implied,
                }));
            }
            bad.push(one);
        }
    }
    bad
}

#[cfg(test)]
mod tests;
