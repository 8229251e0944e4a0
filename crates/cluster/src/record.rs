//! What nodes tell each other.

use fairlead_types::{IfName, Naming, NetworkName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a node's agent says of its node, as JSON under `nodes/NODE`. A reader takes what
/// it knows: keys may be added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Which machine it is. Set when the report is written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// The addresses that the node is reached at.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Its addresses on links to others, with the lengths of the links' prefixes: who has
    /// one of ours in there has us as a neighbour.
    #[serde(default)]
    pub subnets: Vec<IpNet>,
    /// Since when its agent runs, in seconds since 1970.
    #[serde(default)]
    pub since: u64,
    /// The release of its agent.
    #[serde(default)]
    pub version: String,
    /// Its segment in each network that has segments.
    #[serde(default)]
    pub segments: BTreeMap<String, IpNet>,
    /// Its tunnels.
    #[serde(default)]
    pub tunnels: Vec<TunnelReport>,
    /// What is wrong on it, a line each.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// One tunnel of a node, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelReport {
    /// The network it is for; none if it serves several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// The node at its other end.
    pub peer: String,
    /// Its device.
    pub device: IfName,
    /// Its kind: `ipip`, `gre`, `ip6ip6` or `vxlan`.
    pub mode: String,
    /// The end here.
    pub local: IpAddr,
    /// The other end.
    pub remote: IpAddr,
    /// Its state in a word, as `up`.
    pub state: String,
}

/// A node as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeRow {
    /// Its name.
    pub node: String,
    /// Whether it is in `cluster.nodes`; a cluster without nodes is this node.
    pub member: bool,
    /// Whether its agent lives, by what shared state said last.
    pub alive: bool,
    /// What its agent says; nothing if it does not live.
    pub report: Option<NodeReport>,
    /// The segments that the configuration gives it, also after it left.
    pub segments: BTreeMap<String, IpNet>,
}

/// An address that a node holds for a container, as JSON under
/// `addresses/NODE/NETWORK/IP`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedAddress {
    /// The node.
    pub node: String,
    /// The network.
    pub network: NetworkName,
    /// The address.
    pub ip: IpAddr,
    /// The object (service) that it is for; empty if none.
    #[serde(default)]
    pub object: String,
    /// The resource of the object; empty if none.
    #[serde(default)]
    pub resource: String,
    /// What DNS is told of it.
    #[serde(flatten)]
    pub naming: Naming,
    /// The container.
    #[serde(default)]
    pub container: String,
    /// The interface in the container.
    #[serde(default)]
    pub ifname: String,
    /// Since when, in seconds since 1970.
    #[serde(default)]
    pub since: u64,
}
