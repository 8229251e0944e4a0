//! What can go wrong with networks.

use fairlead_cni::conf::ConfError;
use fairlead_config::{ConfigError, Problem};
use fairlead_firewall::FirewallError;
use fairlead_kernel::KernelError;
use fairlead_types::{IfName, NetworkName};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why a network cannot be found, generated or set up. Each one says what mends it.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A path of the configuration cannot be evaluated.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The declaration of a network is faulty.
    #[error("{0}")]
    Declaration(Problem),
    /// A CNI file or its directory cannot be read, or is no configuration.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// This node has no segment of a network yet.
    #[error(
        "network {network}: node {node} has no segment of it yet; run 'fairlead net setup', and see \
         that cluster.nodes names the node"
    )]
    NoSegment {
        /// The network.
        network: NetworkName,
        /// The node.
        node: String,
    },
    /// The network has not been set up on this node.
    #[error(
        "network {network}: its bridge {bridge} is not there; run 'fairlead net setup' or start \
         'fairlead agent'"
    )]
    NotSetUp {
        /// The network.
        network: NetworkName,
        /// Its bridge.
        bridge: IfName,
    },
    /// A node's endpoint is not known.
    #[error(
        "network {network}: node {node} cannot be reached: {reason}; give its address by \
         network#{network}.addr@{node}, or its name to DNS or /etc/hosts"
    )]
    Unresolved {
        /// The network.
        network: NetworkName,
        /// The node.
        node: String,
        /// Why.
        reason: String,
    },
    /// A next hop is on no link of this node.
    #[error(
        "network {network}: {address}, the way to node {node}, is on no link of this node; set \
         network#{network}.tunnel=auto, or network#{network}.gateway@{node} to a next hop on a link"
    )]
    NotOnLink {
        /// The network.
        network: NetworkName,
        /// The node.
        node: String,
        /// The next hop.
        address: IpAddr,
    },
    /// The link to a node is down.
    #[error(
        "network {network}: link {link}, the way to node {node}, is down; set it up by \
         'ip link set {link} up'"
    )]
    LinkDown {
        /// The network.
        network: NetworkName,
        /// The node.
        node: String,
        /// The link.
        link: IfName,
    },
    /// The endpoint of this node is no address of this node.
    #[error(
        "network {network}: {address}, the endpoint of this node, is on none of its links; set \
         network#{network}.addr@{node} to an address that is"
    )]
    NotLocal {
        /// The network.
        network: NetworkName,
        /// This node.
        node: String,
        /// The endpoint.
        address: IpAddr,
    },
    /// The mode of tunnels cannot carry the network's packets.
    #[error(
        "network {network}: tunnel_mode={mode} cannot carry {range}; set \
         network#{network}.tunnel_mode to gre or vxlan"
    )]
    Mode {
        /// The network.
        network: NetworkName,
        /// The mode.
        mode: &'static str,
        /// The range.
        range: IpNet,
    },
    /// Two networks have the same VXLAN network identifier.
    #[error(
        "network {network}: its VXLAN identifier {vni} is that of network {other} too; set \
         network#{network}.vni to another number"
    )]
    Vni {
        /// The network.
        network: NetworkName,
        /// The other network.
        other: NetworkName,
        /// The identifier.
        vni: u32,
    },
    /// A routing table has no such name.
    #[error(
        "network {network}: no routing table is called {table:?}; name it in \
         /etc/iproute2/rt_tables, or give its number in network#{network}.tables"
    )]
    Table {
        /// The network.
        network: NetworkName,
        /// The name.
        table: String,
    },
    /// A route that somebody else made leads to a node's segment.
    #[error(
        "a route to {destination} in table {table} that is not ours is in the way and left as it \
         is; remove it by 'ip route delete {destination} table {table}'"
    )]
    RouteInTheWay {
        /// The segment.
        destination: IpNet,
        /// The number of the routing table.
        table: u32,
    },
    /// A link that somebody else made is in the way of a tunnel.
    #[error(
        "network {network}: link {link} is not ours and in the way of {wanted}; remove it by \
         'ip link delete {link}'"
    )]
    LinkInTheWay {
        /// The network.
        network: NetworkName,
        /// The link.
        link: String,
        /// What was to be made.
        wanted: String,
    },
    /// No network has that name.
    #[error(
        "find network {name}: there are only {}; declare it by 'fairlead cluster set --kw \
         network#{name}.network=CIDR' or put its CNI file in {}", .known.join(", "), .dir.display()
    )]
    Unknown {
        /// The name asked for.
        name: NetworkName,
        /// The names there are.
        known: Vec<String>,
        /// The directory of CNI files.
        dir: PathBuf,
    },
    /// A file that somebody else wrote has a declared network's name or place.
    #[error(
        "network {network}: {} is not ours and is left as it is; remove or rename it, or set \
         network#{network}.network=none to use it instead", .file.display()
    )]
    Conflict {
        /// The declared network.
        network: NetworkName,
        /// The file.
        file: PathBuf,
    },
    /// The bridge's name belongs to a link that is no bridge.
    #[error(
        "network {network}: {bridge} is a link of kind {kind} and no bridge; rename that link or \
         set network#{network}.dev to another name"
    )]
    BridgeTaken {
        /// The network.
        network: NetworkName,
        /// The bridge's name.
        bridge: IfName,
        /// The kind of link that has it.
        kind: String,
    },
    /// Two networks have the same bridge.
    #[error(
        "network {network}: its bridge {bridge} is that of network {other} too; set \
         network#{network}.dev to another name"
    )]
    BridgeShared {
        /// The network.
        network: NetworkName,
        /// The bridge.
        bridge: IfName,
        /// The other network.
        other: NetworkName,
    },
    /// A bridge that is not ours has another address than the gateway's.
    #[error(
        "network {network}: bridge {bridge} is not ours and has {has} where containers expect \
         {wanted}; add it by 'ip address add {wanted} dev {bridge}' or change \
         network#{network}.network or network#{network}.dev"
    )]
    ForeignAddress {
        /// The network.
        network: NetworkName,
        /// The bridge.
        bridge: IfName,
        /// An address it has.
        has: IpNet,
        /// The gateway's address.
        wanted: IpNet,
    },
    /// A bridge that nobody declares any more has containers.
    #[error(
        "network {network}: bridge {bridge} is no longer declared, but {ports} containers are \
         still on it: detach them first, then run setup again"
    )]
    InUse {
        /// The network it was made for.
        network: String,
        /// The bridge.
        bridge: IfName,
        /// How many ports it has.
        ports: usize,
    },
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The firewall could not be read or changed.
    #[error("declare the networks' ranges: {0}")]
    Firewall(#[from] FirewallError),
    /// A file cannot be read or written.
    #[error("{operation} {}: {source}", .path.display())]
    File {
        /// What was done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The record of what setup made cannot be understood.
    #[error("read {}: {source}; remove the file and run setup again", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A step failed, and taking back the ones before it failed too.
    #[error("{error}; taking back what was done before failed too: {}", list(.undo))]
    Undo {
        /// Why the step failed.
        #[source]
        error: Box<Self>,
        /// Why others could not be taken back.
        undo: Vec<Self>,
    },
    /// Part of a network's setup failed.
    #[error("network {network}: {error}")]
    Of {
        /// The network.
        network: String,
        /// Why.
        #[source]
        error: Box<Self>,
    },
}

impl NetworkError {
    /// The network it is about, where it is about one.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        match self {
            Self::Declaration(problem) => problem.network(),
            Self::NoSegment { network, .. }
            | Self::NotSetUp { network, .. }
            | Self::Unresolved { network, .. }
            | Self::NotOnLink { network, .. }
            | Self::LinkDown { network, .. }
            | Self::NotLocal { network, .. }
            | Self::Mode { network, .. }
            | Self::Vni { network, .. }
            | Self::Table { network, .. }
            | Self::LinkInTheWay { network, .. }
            | Self::Conflict { network, .. }
            | Self::BridgeTaken { network, .. }
            | Self::BridgeShared { network, .. }
            | Self::ForeignAddress { network, .. } => Some(network.as_str()),
            Self::Unknown { name, .. } => Some(name.as_str()),
            Self::InUse { network, .. } | Self::Of { network, .. } => Some(network),
            Self::Undo { error, .. } => error.network(),
            Self::Config(_)
            | Self::Conf(_)
            | Self::RouteInTheWay { .. }
            | Self::Kernel(_)
            | Self::Firewall(_)
            | Self::File { .. }
            | Self::Record { .. } => None,
        }
    }

    /// Whether it is only a remark: the network works all the same.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Declaration(problem) => problem.is_warning(),
            _ => false,
        }
    }

    /// What is wrong, in a word, for a table.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Config(_) | Self::Declaration(_) | Self::Mode { .. } | Self::Table { .. } => {
                "invalid"
            }
            Self::Conf(_) | Self::Conflict { .. } => "conflict",
            Self::Unknown { .. } => "unknown",
            Self::NoSegment { .. } => "no-segment",
            Self::NotSetUp { .. } => "not-set-up",
            Self::Unresolved { .. } => "unresolved",
            Self::NotOnLink { .. } | Self::NotLocal { .. } | Self::LinkDown { .. } => "unreachable",
            Self::Vni { .. }
            | Self::BridgeTaken { .. }
            | Self::BridgeShared { .. }
            | Self::ForeignAddress { .. }
            | Self::LinkInTheWay { .. }
            | Self::RouteInTheWay { .. } => "taken",
            Self::InUse { .. } => "in-use",
            Self::Kernel(_) | Self::Firewall(_) | Self::File { .. } | Self::Record { .. } => {
                "failed"
            }
            Self::Undo { error, .. } | Self::Of { error, .. } => error.word(),
        }
    }

    /// The same, saying which network it is about.
    pub(crate) fn of(self, network: Option<&str>) -> Self {
        match network {
            Some(network) if self.network().is_none() => Self::Of {
                network: network.to_owned(),
                error: Box::new(self),
            },
            _ => self,
        }
    }
}

fn list(errors: &[NetworkError]) -> String {
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
