//! The keys in shared state.

use std::net::IpAddr;

/// The text of `cluster.conf`.
pub(crate) const CONFIG: &str = "config";
/// How often that text was changed, in decimal.
pub(crate) const GENERATION: &str = "config.generation";
/// Before every node's key.
pub(crate) const NODES: &str = "nodes/";
/// Before every address.
pub(crate) const ADDRESSES: &str = "addresses/";

/// A node's report.
pub(crate) fn node(node: &str) -> String {
    format!("{NODES}{node}")
}

/// Before the addresses of a node.
pub(crate) fn addresses_of(node: &str) -> String {
    format!("{ADDRESSES}{node}/")
}

/// Before the addresses of a node on a network.
pub(crate) fn addresses_on(node: &str, network: &str) -> String {
    format!("{ADDRESSES}{node}/{network}/")
}

/// An address.
pub(crate) fn address(node: &str, network: &str, ip: IpAddr) -> String {
    format!("{ADDRESSES}{node}/{network}/{ip}")
}

/// The node and the network of an address's key.
pub(crate) fn of_address(key: &str) -> Option<(&str, &str)> {
    let mut parts = key.strip_prefix(ADDRESSES)?.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(node), Some(network), Some(_), None) => Some((node, network)),
        _ => None,
    }
}
