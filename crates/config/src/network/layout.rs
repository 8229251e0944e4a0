//! How a routed bridge is cut into segments.

use super::{Build, NetworkKind};
use crate::{Config, Value};
use ipnet::IpNet;
use std::collections::BTreeMap;

/// How a range is cut, and which parts are given.
pub(crate) struct Layout {
    /// The whole range.
    pub(crate) range: IpNet,
    /// The prefix length of a segment.
    pub(crate) prefix: u8,
    /// The segments that nodes have, also those that left.
    pub(crate) subnets: BTreeMap<String, IpNet>,
}

impl Layout {
    /// Of the network `name`, if it is a routed bridge without fault in this.
    pub(crate) fn of(config: &Config, name: &str) -> Option<Self> {
        let mut build = Build::new(config, name);
        let kind = config.kind_of(&build.section).ok()?;
        let range = match build.find("network").ok()?.value {
            Some(Value::Ranges(ranges)) if kind == NetworkKind::RoutedBridge => *ranges.first()?,
            _ => return None,
        };
        let nodes = config.cluster_nodes().len().max(1);
        let prefix = build.segment(range, nodes).ok()?;
        let subnets = build.subnets(range);
        build.problems.is_empty().then_some(Self {
            range,
            prefix,
            subnets,
        })
    }
}
