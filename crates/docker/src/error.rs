//! Why a call of Docker's could not be served. The text is what Docker's user reads.

use fairlead_attach::{AttachError, Node};
use fairlead_cluster::ClusterError;
use fairlead_config::ConfigError;
use fairlead_ipam::IpamError;
use fairlead_kernel::KernelError;
use fairlead_libnetwork::{CallError, Refusal};
use fairlead_networks::NetworkError;
use fairlead_store::StoreError;
use fairlead_types::{NameError, NetworkName, Owner};
use ipnet::IpNet;
use std::net::IpAddr;

/// A failure of the door.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// What was sent is no call.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The core.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Addresses.
    #[error(transparent)]
    Ipam(#[from] IpamError),
    /// The networks.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The node's state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A name that nothing can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An option that means nothing here.
    #[error("option {option:?} is not known; {known} are")]
    Option {
        /// The option.
        option: String,
        /// Those there are.
        known: &'static str,
    },
    /// An option with a value that it cannot have.
    #[error("option {option}={value}: {reason}")]
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// Why not.
        reason: String,
    },
    /// A text that is no subnet.
    #[error("{0:?} is no subnet: one like 10.1.0.0/24 is wanted, without host bits")]
    Subnet(String),
    /// A text that is no address.
    #[error("{0:?} is no address")]
    Address(String),
    /// A network of a type that Docker cannot be put on.
    #[error(
        "network {network} is a {kind}; containers of Docker can be on a bridge or a routed_bridge"
    )]
    Kind {
        /// The network.
        network: NetworkName,
        /// Its type.
        kind: &'static str,
    },
    /// A network without a range of a family.
    #[error("network {network} has no {family} range on this node")]
    Family {
        /// The network.
        network: NetworkName,
        /// `IPv4` or `IPv6`.
        family: &'static str,
    },
    /// A subnet that is not the network's.
    #[error(
        "network {network} is {range}: leave --subnet out, or give --subnet {range} ({subnet} is not it)"
    )]
    OtherSubnet {
        /// The network.
        network: NetworkName,
        /// Its range.
        range: IpNet,
        /// What Docker has.
        subnet: IpNet,
    },
    /// A subnet that is a declared network's.
    #[error("subnet {subnet} is that of network {network}; say -o network={network} to be on it")]
    Declared {
        /// The subnet.
        subnet: IpNet,
        /// Whose it is.
        network: NetworkName,
    },
    /// A subnet that overlaps another.
    #[error("subnet {subnet} overlaps {other} of {whose}")]
    Overlap {
        /// The subnet.
        subnet: IpNet,
        /// What it overlaps.
        other: IpNet,
        /// Whose that is.
        whose: String,
    },
    /// No subnet is free.
    #[error(
        "no {family} subnet is free in docker.pools; give --subnet, or add a range to docker.pools"
    )]
    NoPool {
        /// `IPv4` or `IPv6`.
        family: &'static str,
    },
    /// A gateway that is not the bridge's.
    #[error("the gateway of network {network} on this node is {gateway}, not {asked}")]
    Gateway {
        /// The network.
        network: NetworkName,
        /// Its gateway.
        gateway: IpAddr,
        /// What was asked for.
        asked: IpAddr,
    },
    /// An address that another node gives out.
    #[error(
        "address {address} is of node {node}, which has {segment} of network {network}; this node has {own}"
    )]
    OtherNode {
        /// The address.
        address: IpAddr,
        /// The network.
        network: NetworkName,
        /// Whose it is.
        node: String,
        /// That node's segment.
        segment: IpNet,
        /// This node's.
        own: IpNet,
    },
    /// An address outside of what may be given out.
    #[error("address {address} is not in {range} of network {network}")]
    Outside {
        /// The address.
        address: IpAddr,
        /// The network.
        network: NetworkName,
        /// What may be given out.
        range: IpNet,
    },
    /// An address that somebody on this node has.
    #[error("address {address} is taken on this node, by {holder}")]
    Taken {
        /// The address.
        address: IpAddr,
        /// Who has it, in words.
        holder: String,
    },
    /// An address that another node has.
    #[error("address {address} of network {network} is taken on node {node}")]
    TakenOn {
        /// The address.
        address: IpAddr,
        /// The network.
        network: NetworkName,
        /// The node.
        node: String,
    },
    /// An address that nobody can say is free.
    #[error(
        "address {address} cannot be had now: whether another node has it cannot be asked: {source}"
    )]
    Unasked {
        /// The address.
        address: IpAddr,
        /// Why not.
        source: Box<ClusterError>,
    },
    /// A pool that no network of Docker's has.
    #[error("no network here has the pool {0:?}; was it made by another driver of addresses")]
    Pool(String),
    /// A network of Docker's that was never heard of.
    #[error("network {0} of Docker is not known on this node; remove it and make it again")]
    UnknownNetwork(String),
    /// An endpoint that was never made.
    #[error("endpoint {0} has no cable on this node; start its container again")]
    UnknownEndpoint(String),
    /// A network that could not be made.
    #[error("network {network} is declared, but is not there: {reason}")]
    NotMade {
        /// The network.
        network: NetworkName,
        /// Why.
        reason: String,
    },
    /// A host port that cannot be had.
    #[error("port {port} of the host cannot be published: {reason}")]
    Port {
        /// The port and its protocol.
        port: String,
        /// Why.
        reason: String,
    },
}

impl From<&DoorError> for Refusal {
    fn from(error: &DoorError) -> Self {
        match error {
            DoorError::Call(error) => error.into(),
            other => Self::new(other),
        }
    }
}

/// Who has something: whoever reads it knows containers by their names, not the ids of
/// leases and endpoints.
pub(crate) fn holder(node: &Node, owner: &Owner) -> String {
    if fairlead_attach::is_lease(owner) {
        return "a container that starts or stops at this moment".to_owned();
    }
    let record = node.host().store(|store| store.view().attachment(owner));
    let object = record.ok().flatten().and_then(|record| record.object);
    object.map_or_else(|| owner.to_string(), |object| object.to_string())
}

/// The word for a family.
pub(crate) const fn family(v6: bool) -> &'static str {
    match v6 {
        true => "IPv6",
        false => "IPv4",
    }
}
