//! Why the core could not do what a door asked.

use fairlead_cni::CniError;
use fairlead_cni::runtime::RuntimeError;
use fairlead_config::ConfigError;
use fairlead_firewall::FirewallError;
use fairlead_kernel::KernelError;
use fairlead_networks::NetworkError;
use fairlead_plugins::HandoverError;
use fairlead_store::StoreError;
use fairlead_types::{ContainerId, NameError, NetworkName, Owner};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;

/// A failure of the core; the message names the object and the cure.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The node's configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network is not there or cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A plugin refused or failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// What a plugin keeps could not be taken back.
    #[error(transparent)]
    Plugin(#[from] CniError),
    /// The node's state cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The node's nftables cannot be read or changed.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// The namespace cannot be opened.
    #[error("attach {owner}: cannot use namespace {path}: {source}; is the container running")]
    Sandbox {
        /// Whom it was for.
        owner: Box<Owner>,
        /// The path that was given.
        path: PathBuf,
        /// The cause.
        source: Box<KernelError>,
    },
    /// The path means another namespace to another process.
    #[error(
        "attach: {path} is another namespace to each process that looks; give --pid, or /proc/PID/ns/net"
    )]
    CallersPath {
        /// The path that was given.
        path: PathBuf,
    },
    /// It is attached already.
    #[error("attach {owner}: it is attached already; detach it first, or choose another --ifname")]
    AlreadyAttached {
        /// Who.
        owner: Box<Owner>,
    },
    /// Another process is attaching or detaching it at this moment.
    #[error("{operation} {owner}: process {pid} is at it; wait for it to end")]
    Busy {
        /// What was asked.
        operation: &'static str,
        /// Of whom.
        owner: Box<Owner>,
        /// The process.
        pid: u32,
    },
    /// The network cannot be had without the container's namespace.
    #[error("network {network}: {source}")]
    Handover {
        /// The network.
        network: NetworkName,
        /// Why.
        source: Box<HandoverError>,
    },
    /// A name that no attachment can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// None of the network's plugins takes what was asked for.
    #[error(
        "attach to network {network}: {wanted} needs a plugin with the capability {capability:?}, and its configuration has none"
    )]
    NoCapability {
        /// The network.
        network: NetworkName,
        /// What was asked for.
        wanted: &'static str,
        /// The capability that is missing.
        capability: &'static str,
    },
    /// A plugin gave another address than was asked for.
    #[error(
        "attach {owner}: {wanted} was asked for, and its plugins gave {}; is it in the network's range, and do they take addresses that are asked for", list(.given)
    )]
    OtherAddress {
        /// Whom it was for.
        owner: Box<Owner>,
        /// What was asked for.
        wanted: IpAddr,
        /// What came.
        given: Vec<IpNet>,
    },
    /// Another container runs with what is kept for it.
    #[error("container {container}: address {} is in use by container {by}", list(.addresses))]
    EndpointInUse {
        /// Who wants it.
        container: ContainerId,
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// Who has it.
        by: ContainerId,
    },
    /// What is kept is not what the container asks for.
    #[error(
        "container {container}: what is kept at {} has other {what} than it asks for; ask for the same, or give the address free with 'fairlead ip release'", list(.addresses)
    )]
    EndpointDiffers {
        /// Who wants it.
        container: ContainerId,
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// In what it differs.
        what: &'static str,
    },
    /// Nobody has the address.
    #[error("{address}: nobody has it on this node; 'fairlead ip ls' lists what is given out")]
    NotHeld {
        /// The address.
        address: IpAddr,
    },
    /// A container uses the address.
    #[error("{address} is in use by {owner}; stop the container first, or give --force")]
    InUse {
        /// The address.
        address: IpAddr,
        /// Whose it is.
        owner: Box<Owner>,
    },
    /// The network does not give that address out.
    #[error("{address} is in none of the ranges of network {network}: {}", list(.ranges))]
    OutsideRanges {
        /// The address.
        address: IpAddr,
        /// The network.
        network: NetworkName,
        /// Its ranges.
        ranges: Vec<IpNet>,
    },
    /// A detach of everything.
    #[error(
        "detach: say which attachments are meant: a network, a container, a namespace or an object"
    )]
    NoCondition,
    /// The agent leaves a detach to who asks.
    #[error(
        "detach {owner}: plugins of other makers have a part in it, which run where the caller runs"
    )]
    ForCaller {
        /// Of whom.
        owner: Box<Owner>,
    },
    /// What the agent told.
    #[error("{0}")]
    Agent(String),
    /// Several attachments could not be taken away; the others were.
    #[error("{} could not be finished: {}", count(.0.len()), join(.0))]
    Several(Vec<AttachError>),
}

fn count(number: usize) -> String {
    if number == 1 {
        "1 step".into()
    } else {
        format!("{number} steps")
    }
}

fn list(items: &[impl ToString]) -> String {
    match items {
        [] => "none".into(),
        items => items
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    }
}

fn join(errors: &[AttachError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// All of them went on to the end: nothing, the only failure, or all failures.
pub(crate) fn all(mut errors: Vec<AttachError>) -> Result<(), AttachError> {
    match errors.len() {
        0 => Ok(()),
        1 => Err(errors.remove(0)),
        _ => Err(AttachError::Several(errors)),
    }
}
