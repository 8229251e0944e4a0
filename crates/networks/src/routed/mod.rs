//! Networks of type `routed_bridge`: each node has a segment of the range, and this
//! module says by which way this node reaches the segments of the others. Pure.

mod underlay;
mod way;

pub(crate) use underlay::Underlay;
pub(crate) use way::{Device, ENDPOINT_NAME, Path, Share, Way, vxlan_mac};

use fairlead_config::{Network, NetworkKind};
use ipnet::IpNet;

/// The ranges that containers of a network get addresses of on a node: for a routed
/// bridge its segment, none while it has none.
#[must_use]
pub fn local_ranges(network: &Network, node: &str) -> Vec<IpNet> {
    match (&network.routed, network.kind) {
        (Some(routed), NetworkKind::RoutedBridge) => {
            routed.subnets.get(node).copied().into_iter().collect()
        }
        _ => network.ranges.clone(),
    }
}

#[cfg(test)]
mod tests;
