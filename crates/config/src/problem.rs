//! What can be wrong with a configuration that can be read.

use crate::network::NetworkKind;
use fairlead_types::{ExposeError, NameError};
use ipnet::IpNet;
use std::fmt;
use std::mem::discriminant;
use std::net::IpAddr;

/// One fault or oddity of the configuration: where, what is stored there, and why
/// that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The section.
    pub section: String,
    /// The option with its scope; none if the section itself is meant.
    pub option: Option<String>,
    /// The stored value; none if the value is a default or the section is meant.
    pub value: Option<String>,
    /// What is wrong.
    pub reason: Box<Reason>,
}

impl Problem {
    /// The name of the network it is about, if it is about one.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        self.section.strip_prefix("network#")
    }

    /// Whether the configuration can be used all the same.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        self.reason.is_warning()
    }

    /// Whether it is the same fault in the same place, though its details (the node
    /// count, the other network's range) may have changed.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.section == other.section
            && self.option == other.option
            && self.value == other.value
            && discriminant(&*self.reason) == discriminant(&*other.reason)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.section)?;
        if let Some(option) = &self.option {
            write!(f, ".{option}")?;
        }
        if let Some(value) = &self.value {
            write!(f, " = {value:?}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Why a keyword, a value or a section is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A section that has no meaning here. A warning.
    #[error(
        "the section is not known; network#NAME, cluster, node, cni, dns, docker, listener, etcd and DEFAULT are"
    )]
    UnknownSection,
    /// An option that its section does not know. A warning.
    #[error("the keyword is not known")]
    UnknownKeyword,
    /// An option for another type of network. A warning.
    #[error("the keyword has no effect on a network of type {kind}, only on {}", join(.types))]
    OtherType {
        /// The network's type.
        kind: NetworkKind,
        /// The types it is for.
        types: Vec<NetworkKind>,
    },
    /// A scope that is no node of the cluster. A warning.
    #[error("the scope {scope:?} is none of cluster.nodes ({nodes}), 'nodes' or 'drpnodes'")]
    UnknownNode {
        /// The scope.
        scope: String,
        /// The nodes there are.
        nodes: String,
    },
    /// A network without range. A warning: it cannot be set up yet.
    #[error("the network has no range; set network#{0}.network")]
    NoRange(String),
    /// A gateway that is no address of the network's ranges.
    #[error("{0} is no address that a container of the network's range can have; see {1}.network")]
    Gateway(IpAddr, String),
    /// A scope on a keyword that is the same on every node.
    #[error("the keyword takes no scope; set it without '@...'")]
    Unscopable,
    /// A value that a file cannot hold.
    #[error(transparent)]
    Unwritable(#[from] crate::DocumentError),
    /// A reference that leads back to itself.
    #[error("the references run in a circle: {0}")]
    Cycle(String),
    /// A reference to nothing.
    #[error("the reference {{{0}}} has no value")]
    Reference(String),
    /// References that blow up.
    #[error(
        "the references expand to too much: at most 65536 bytes and 4096 references are allowed"
    )]
    TooLong,
    /// A list that is shorter than the index.
    #[error("the index {index} is out of range: the list has {len} elements")]
    Index {
        /// The index asked for.
        index: usize,
        /// The length of the list.
        len: usize,
    },
    /// A section that the file of a service has no use for. A warning.
    #[error("the section is not known; DEFAULT, env, container#N, ip#N and ingress#N are")]
    NoResource,
    /// No list of ports.
    #[error(transparent)]
    Expose(#[from] ExposeError),
    /// A command line with a quote that does not end.
    #[error("a quote does not end, or a backslash stands at the end")]
    Quotes,
    /// No address of a server of names.
    #[error(
        "{0:?} is no server: ADDRESS or ADDRESS:PORT is wanted, an IPv6 address with a port in brackets"
    )]
    Server(String),
    /// No truth value.
    #[error("true or false is wanted")]
    Bool,
    /// No number, or one out of range.
    #[error("a whole number from {min} to {max} is wanted")]
    Int {
        /// The least value.
        min: u64,
        /// The greatest value.
        max: u64,
    },
    /// No network in prefix notation.
    #[error("{0:?} is no cidr: ADDRESS/PREFIX is wanted, as in 10.22.0.0/16")]
    Cidr(String),
    /// A network with bits set behind its prefix.
    #[error("{given} has host bits set, the base address is {base}")]
    HostBits {
        /// The network as given.
        given: IpNet,
        /// The network it lies in.
        base: IpNet,
    },
    /// More ranges than a network can have.
    #[error("{0} is wanted")]
    Ranges(&'static str),
    /// A range without room for a bridge and one container.
    #[error("{0} is too small for a network: it has no room for a gateway and one container")]
    RangeSize(IpNet),
    /// A range that hosts cannot have.
    #[error("{range} is {what}, containers cannot have such addresses")]
    RangeKind {
        /// The range.
        range: IpNet,
        /// What kind of addresses it has.
        what: &'static str,
    },
    /// No IP address.
    #[error("{0:?} is no IP address")]
    Ip(String),
    /// Neither an address nor a host name.
    #[error("{0:?} is neither an IP address nor a host name")]
    Host(String),
    /// None of the words.
    #[error("one of {} is wanted", .0.join(", "))]
    Choice(&'static [&'static str]),
    /// No time.
    #[error("a time is wanted, as in 30s, 1500ms or 1h30m")]
    Duration,
    /// A relative path.
    #[error("an absolute path is wanted")]
    Path,
    /// No uuid.
    #[error("a uuid is wanted, as in 01234567-89ab-4cde-8f01-23456789abcd")]
    Uuid,
    /// No address of a server.
    #[error("{0:?} is no url of a server: http://HOST:PORT or https://HOST:PORT is wanted")]
    Endpoint(String),
    /// No beginning of keys.
    #[error("'/' and words between slashes are wanted, without a '/' at the end, as in /fairlead")]
    Prefix,
    /// A section that each node has its own of.
    #[error("the section counts in node.conf only; remove it from cluster.conf")]
    NodeOnly,
    /// A keyword that means nothing without another.
    #[error("the keyword goes with {0}; set both or none")]
    Together(&'static str),
    /// A name that cannot be one of a network or an interface.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A network whose bridge would have too long a name.
    #[error("its bridge {bridge} has a name of {} bytes and at most 15 are allowed; choose a network name of at most 11 bytes or set {section}.dev", .bridge.len())]
    BridgeName {
        /// The bridge's name.
        bridge: String,
        /// The network's section.
        section: String,
    },
    /// Two networks that share addresses.
    #[error("{own} overlaps {other} of network {name}{}", hint(.name, *.implied))]
    Overlap {
        /// The range of the network the problem is about.
        own: IpNet,
        /// The range of the other one.
        other: IpNet,
        /// The name of the other one.
        name: String,
        /// Whether the other one is there without being declared.
        implied: bool,
    },
    /// A segment size that is no power of two.
    #[error("{size} is no power of two; the next are {} and {}", below(*.size), .size.checked_next_power_of_two().unwrap_or(u64::MAX))]
    PowerOfTwo {
        /// The size.
        size: u64,
    },
    /// Segments too small to use.
    #[error(
        "a segment of {0} addresses has no room for a gateway and one container; at least 4 are wanted"
    )]
    SegmentSize(u64),
    /// Segments that do not fit in their network.
    #[error(
        "a segment of /{prefix} does not fit {nodes} times in {range}; set ips_per_node lower or the range wider"
    )]
    SegmentRoom {
        /// The prefix length of a segment.
        prefix: u8,
        /// The number of nodes.
        nodes: usize,
        /// The network's range.
        range: IpNet,
    },
    /// A prefix length that could be meant as a number of host bits.
    #[error("{mask} can be read as a prefix length and as a number of host bits; set ips_per_node instead: {} for /{mask}, {} for {mask} host bits", power(*.prefix_bits), power(u32::from(*.mask)))]
    AmbiguousMask {
        /// The value.
        mask: u8,
        /// The host bits that the prefix length leaves.
        prefix_bits: u32,
    },
    /// A prefix length outside of the network's.
    #[error(
        "a prefix length from {min} to {max} is wanted within {range}; a number of addresses goes in ips_per_node"
    )]
    Mask {
        /// The least prefix length.
        min: u8,
        /// The greatest prefix length.
        max: u8,
        /// The network's range.
        range: IpNet,
    },
    /// A node's segment outside of its network.
    #[error("{subnet} is not inside the network's range {range}")]
    SubnetOutside {
        /// The segment.
        subnet: IpNet,
        /// The network's range.
        range: IpNet,
    },
    /// A node that cannot have a segment.
    #[error(
        "node {node} can have no segment of /{prefix} in {range}: all are taken; widen the range, \
         set ips_per_node lower, or free the segment of a node that left with 'fairlead net release'{}",
        left(.departed)
    )]
    NoSegment {
        /// The node.
        node: String,
        /// The prefix length of a segment.
        prefix: u8,
        /// The network's range.
        range: IpNet,
        /// The nodes that left and have a segment still.
        departed: Vec<String>,
    },
    /// A segment that is to become another, or nobody's.
    #[error(
        "{own} is the segment of node {node} and stays so, as containers there have addresses of it; \
         'fairlead net release --name {network} --node {node}' frees it once the node left the \
         cluster, with --force while it has not"
    )]
    SegmentMoves {
        /// The segment.
        own: IpNet,
        /// The node.
        node: String,
        /// The network.
        network: String,
    },
    /// Two nodes whose segments share addresses.
    #[error("{own} of node {node} overlaps {other} of node {other_node}")]
    SubnetOverlap {
        /// The node's segment.
        own: IpNet,
        /// The node.
        node: String,
        /// The other node's segment.
        other: IpNet,
        /// The other node.
        other_node: String,
    },
}

impl Reason {
    /// Whether the configuration can be used all the same.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::UnknownSection
                | Self::NoResource
                | Self::UnknownKeyword
                | Self::OtherType { .. }
                | Self::UnknownNode { .. }
                | Self::NoRange(_)
        )
    }
}

fn join(types: &[NetworkKind]) -> String {
    let names: Vec<_> = types.iter().map(|t| t.as_str()).collect();
    names.join(", ")
}

fn hint(name: &str, implied: bool) -> String {
    match implied {
        true => format!(", which is there unless network#{name}.network is none"),
        false => String::new(),
    }
}

fn left(nodes: &[String]) -> String {
    match nodes {
        [] => String::new(),
        _ => format!(" (nodes that left: {})", nodes.join(", ")),
    }
}

fn below(size: u64) -> u64 {
    size.checked_ilog2().map_or(0, |bits| 1 << bits)
}

fn power(bits: u32) -> u128 {
    1_u128.checked_shl(bits).unwrap_or(u128::MAX)
}
