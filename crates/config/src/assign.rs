//! Who gets which part of a routed bridge: a segment is taken once and stays.

use crate::edit::{Changed, changed};
use crate::network::Layout;
use crate::{
    Change, Config, ConfigError, Document, KeyOp, KeyPath, Operator, Problem, Reason, Target,
};
use fairlead_types::NetworkName;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A segment that a node gets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Assigned {
    /// The network.
    pub network: NetworkName,
    /// The node.
    pub node: String,
    /// Its segment.
    pub segment: IpNet,
}

/// The segments that are to be given, and the nodes that can have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignment {
    /// What is given, by network and then in the order of `cluster.nodes`.
    pub assigned: Vec<Assigned>,
    /// Why a node gets nothing ([`Reason::NoSegment`]).
    pub problems: Vec<Problem>,
}

impl Assignment {
    /// What makes it so: one `network#NAME.subnet@NODE` for each segment.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let change = |a: &Assigned| {
            Change::Set(KeyOp {
                path: KeyPath::new(format!("network#{}", a.network), "subnet").at(&a.node),
                operator: Operator::Assign,
                value: a.segment.to_string(),
            })
        };
        self.assigned.iter().map(change).collect()
    }
}

/// The segments that the routed bridges declared in a file lack.
///
/// Each node of `cluster.nodes`, in that order, that has no `subnet` gets the first
/// free aligned slot: the first part of the range, of the size of a segment, that
/// shares no address with any stored `subnet`, that of a node that left included. What
/// is stored is never changed. So 10.11.0.0/16 with 1024 addresses a node gives three
/// nodes 10.11.0.0/22, 10.11.4.0/22 and 10.11.8.0/22 (specification 4).
///
/// For `cluster.conf` nothing but that file decides, so every node comes to the same
/// result; where `cluster.nodes` is empty, this node is the cluster. A routed bridge in
/// `node.conf` alone has this node only, which gets its segment there.
#[must_use]
pub fn assign_segments(config: &Config, target: Target) -> Assignment {
    let view = match target {
        Target::Cluster => config.of_cluster(config.node()),
        Target::Node => config.clone(),
    };
    let here = [view.node()];
    let mut nodes = match target {
        Target::Cluster => view.cluster_nodes(),
        Target::Node => here.to_vec(),
    };
    if nodes.is_empty() {
        nodes = here.to_vec();
    }
    let mut seen = HashSet::new();
    nodes.retain(|node| seen.insert(*node));
    let mut result = Assignment::default();
    for section in config.document(target).sections() {
        let elsewhere =
            target == Target::Node && config.document(Target::Cluster).has_section(section);
        let name = section.strip_prefix("network#").filter(|_| !elsewhere);
        let network = name.and_then(|n| NetworkName::new(n).ok());
        if let Some(network) = network
            && let Some(layout) = Layout::of(&view, network.as_str())
        {
            assign(&network, &nodes, &layout, &mut result);
        }
    }
    result
}

/// [`changed`] for `cluster.conf`, and the segments that are lacking afterwards. What
/// nodes have stays theirs while the network is declared.
///
/// # Errors
/// As [`changed`]; [`Reason::SegmentMoves`]; a node that cannot have a segment refuses the change if it could
/// before, or was none of the cluster.
pub fn changed_with_segments(
    config: &Config,
    changes: &[Change],
) -> Result<(Changed, Vec<Assigned>), ConfigError> {
    let mut result = changed(config, Target::Cluster, changes)?;
    let moved = moved(config, &result.config);
    if !moved.is_empty() {
        return Err(ConfigError::Refused {
            path: Target::Cluster.path(config.root()),
            problems: moved,
        });
    }
    let lacking = assign_segments(&result.config, Target::Cluster);
    if !lacking.problems.is_empty() {
        let old = assign_segments(config, Target::Cluster).problems;
        let is_old = |p: &Problem| {
            old.iter()
                .any(|o| o.section == p.section && o.option == p.option)
        };
        let (old, new): (Vec<_>, Vec<_>) = lacking.problems.iter().cloned().partition(is_old);
        if !new.is_empty() {
            return Err(ConfigError::Refused {
                path: Target::Cluster.path(config.root()),
                problems: new,
            });
        }
        result.outcome.warnings.extend(old);
    }
    if !lacking.assigned.is_empty() {
        let with = changed(&result.config, Target::Cluster, &lacking.changes())?;
        result.outcome.changed = true;
        result.config = with.config;
    }
    Ok((result, lacking.assigned))
}

/// The segments that are others afterwards, or nobody's.
fn moved(before: &Config, after: &Config) -> Vec<Problem> {
    let (before, after) = [before, after].map(|c| c.document(Target::Cluster)).into();
    let mut problems = Vec::new();
    for section in before.sections().filter(|s| after.has_section(s)) {
        let Some(network) = section.strip_prefix("network#") else {
            continue;
        };
        for (node, value) in stored_segments(before, network) {
            // One that is no network is nobody's.
            let Ok(own) = value.parse::<IpNet>() else {
                continue;
            };
            let key = format!("subnet@{node}");
            let now = after.get(section, &key);
            if now.and_then(|now| now.parse().ok()) != Some(own) {
                problems.push(Problem {
                    section: section.to_owned(),
                    option: Some(key),
                    value: now.map(str::to_owned),
                    reason: Box::new(Reason::SegmentMoves {
                        own,
                        node: node.to_owned(),
                        network: network.to_owned(),
                    }),
                });
            }
        }
    }
    problems
}

/// The nodes that a network's stored segments are of, with their segments as stored.
#[must_use]
pub fn stored_segments<'a>(document: &'a Document, network: &str) -> Vec<(&'a str, &'a str)> {
    let section = format!("network#{network}");
    let options = document.options(&section);
    let segments = options.filter_map(|(key, value)| Some((key.strip_prefix("subnet@")?, value)));
    segments.collect()
}

/// Gives each node that lacks one a segment of one network.
fn assign(network: &NetworkName, nodes: &[&str], layout: &Layout, result: &mut Assignment) {
    let mut slots = Slots::new(layout);
    for node in nodes.iter().filter(|n| !layout.subnets.contains_key(**n)) {
        match slots.next() {
            Some(segment) => result.assigned.push(Assigned {
                network: network.clone(),
                node: (*node).to_owned(),
                segment,
            }),
            None => result
                .problems
                .push(no_segment(network, node, nodes, layout)),
        }
    }
}

fn no_segment(network: &NetworkName, node: &str, nodes: &[&str], layout: &Layout) -> Problem {
    let members: HashSet<&str> = nodes.iter().copied().collect();
    let owners = layout.subnets.keys();
    let departed = owners.filter(|n| !members.contains(n.as_str()));
    Problem {
        section: format!("network#{network}"),
        option: Some(format!("subnet@{node}")),
        value: None,
        reason: Box::new(Reason::NoSegment {
            node: node.to_owned(),
            prefix: layout.prefix,
            range: layout.range,
            departed: departed.cloned().collect(),
        }),
    }
}

/// The free slots of a range in their order. Each is found once, so all together cost
/// one walk over what is taken.
struct Slots {
    /// First and last address of what is taken, in order.
    taken: std::iter::Peekable<std::vec::IntoIter<(u128, u128)>>,
    /// The first address that was not looked at; none behind the last slot.
    at: Option<u128>,
    last: u128,
    /// Addresses in a slot, less one.
    mask: u128,
    prefix: u8,
    v4: bool,
}

impl Slots {
    fn new(layout: &Layout) -> Self {
        let bits = u32::from(layout.range.max_prefix_len() - layout.prefix);
        let (first, last) = ends(layout.range);
        let mut taken: Vec<_> = layout.subnets.values().map(|s| ends(*s)).collect();
        taken.sort_unstable();
        Self {
            taken: taken.into_iter().peekable(),
            at: Some(first),
            last,
            mask: 1_u128.checked_shl(bits).map_or(u128::MAX, |size| size - 1),
            prefix: layout.prefix,
            v4: matches!(layout.range, IpNet::V4(_)),
        }
    }

    fn segment(&self, first: u128) -> Option<IpNet> {
        if self.v4 {
            let ip = Ipv4Addr::from(u32::try_from(first).ok()?);
            return Ipv4Net::new(ip, self.prefix).ok().map(IpNet::V4);
        }
        let net = Ipv6Net::new(Ipv6Addr::from(first), self.prefix);
        net.ok().map(IpNet::V6)
    }
}

impl Iterator for Slots {
    type Item = IpNet;

    fn next(&mut self) -> Option<IpNet> {
        loop {
            let first = self.at.filter(|at| *at <= self.last)?;
            let end = first | self.mask;
            // What ends before the slot cannot share addresses with a later one either.
            while self.taken.next_if(|(_, last)| *last < first).is_some() {}
            match self.taken.peek() {
                Some((from, to)) if *from <= end => {
                    // Go on in the slot behind the last address that is taken.
                    self.at = (to | self.mask).checked_add(1);
                }
                _ => {
                    self.at = end.checked_add(1);
                    return self.segment(first);
                }
            }
        }
    }
}

/// The first and the last address as numbers.
fn ends(net: IpNet) -> (u128, u128) {
    let number = |ip| match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    };
    (number(net.network()), number(net.broadcast()))
}

#[cfg(test)]
mod tests;
