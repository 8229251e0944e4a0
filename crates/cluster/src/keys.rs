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
/// Before every network of Docker's that is carried.
pub(crate) const DOCKER_NETWORKS: &str = "docker/networks/";
/// Before every note that a node has one.
pub(crate) const DOCKER_HOLDERS: &str = "docker/holders/";
/// Before every address that a node claims for Docker.
pub(crate) const DOCKER_CLAIMS: &str = "docker/claims/";

/// A network of Docker's, by its first id.
pub(crate) fn docker_network(origin: &str) -> String {
    format!("{DOCKER_NETWORKS}{origin}")
}

/// Who has a name of Docker's, which may be any text.
pub(crate) fn docker_name(name: &str) -> String {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("docker/names/{hex}")
}

/// Before what a node has of Docker's networks.
pub(crate) fn docker_holders_of(node: &str) -> String {
    format!("{DOCKER_HOLDERS}{node}/")
}

/// That a node has a network of Docker's.
pub(crate) fn docker_holder(node: &str, id: &str) -> String {
    format!("{DOCKER_HOLDERS}{node}/{id}")
}

/// Who has an address.
pub(crate) fn docker_claim(network: &str, ip: IpAddr) -> String {
    format!("{DOCKER_CLAIMS}{network}/{ip}")
}

/// The network and the address of a claim's key.
pub(crate) fn of_docker_claim(key: &str) -> Option<(&str, IpAddr)> {
    let (network, ip) = key.strip_prefix(DOCKER_CLAIMS)?.split_once('/')?;
    Some((network, ip.parse().ok()?))
}

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
