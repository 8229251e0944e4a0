//! What can be wrong with a range, a configuration or a request.
//!
//! The texts say what the reference plugin says where it says something, because
//! runtimes and people look for them.

use crate::range::RangeSet;
use fairlead_store::StoreError;
use fairlead_types::{ContainerId, Owner};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why a range or a set of ranges was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The subnet has no address left beside network, gateway and broadcast.
    #[error("Network {0} too small to allocate from")]
    TooSmall(IpNet),
    /// The address is IPv4 written as IPv6.
    #[error("IPNet IP and Mask version mismatch: write {0} as an IPv4 network")]
    Mapped(IpNet),
    /// The subnet is no network address.
    #[error(
        "Network has host bits set. For a subnet mask of length {} the network address is {}",
        .0.prefix_len(), .0.network()
    )]
    HostBits(IpNet),
    /// The range starts outside its subnet, or after its end.
    #[error("RangeStart {start} not in network {subnet}")]
    Start {
        /// The first address of the range.
        start: IpAddr,
        /// The subnet.
        subnet: IpNet,
    },
    /// The range ends outside its subnet.
    #[error("RangeEnd {end} not in network {subnet}")]
    End {
        /// The last address of the range.
        end: IpAddr,
        /// The subnet.
        subnet: IpNet,
    },
    /// A set without ranges.
    #[error("empty range set")]
    Empty,
    /// IPv4 and IPv6 in one set.
    #[error("mixed address families")]
    Mixed,
    /// Two ranges of a set share addresses.
    #[error("subnets {first} and {second} overlap")]
    Overlap {
        /// One range, first and last address.
        first: String,
        /// The other.
        second: String,
    },
}

/// Why a range set had no address to give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllocateError {
    /// Every address is taken, by containers that are there.
    #[error("no IP addresses available in range set: {0}")]
    Full(RangeSet),
    /// The interface has an address of this set.
    #[error("{addr} has been allocated to {container}, duplicate allocation is not allowed")]
    Duplicate {
        /// The address it has.
        addr: IpAddr,
        /// The container.
        container: ContainerId,
    },
    /// The address asked for is taken.
    #[error("requested IP address {addr} is not available in range set {set}")]
    Taken {
        /// The address asked for.
        addr: IpAddr,
        /// The set it is in.
        set: RangeSet,
        /// Who holds it.
        holder: Box<Owner>,
    },
    /// The address asked for is the gateway's.
    #[error("requested ip {0} is subnet's gateway")]
    Gateway(IpAddr),
}

/// Why there is no configuration or no address.
#[derive(Debug, thiserror::Error)]
pub enum IpamError {
    /// The configuration is no JSON of the expected shape.
    #[error("cannot read the ipam configuration: {0}")]
    Json(#[from] serde_json::Error),
    /// There is no `ipam` object.
    #[error("IPAM config missing 'ipam' key")]
    NoIpam,
    /// A subnet or a route's destination is none.
    #[error("invalid CIDR address: {value}, the value of {key}")]
    Cidr {
        /// The key.
        key: &'static str,
        /// The value given.
        value: String,
    },
    /// An address is none.
    #[error("invalid IP address: {value}, the value of {key}")]
    Address {
        /// The key.
        key: &'static str,
        /// The value given.
        value: String,
    },
    /// There is no range at all.
    #[error("no IP ranges specified")]
    NoRanges,
    /// A range set is bad.
    #[error("invalid range set {index}: {source}")]
    RangeSet {
        /// Its index, from 0.
        index: usize,
        /// What is wrong.
        source: RangeError,
    },
    /// Two range sets share addresses.
    #[error("range set {first} overlaps with {second}")]
    Overlap {
        /// One set's index.
        first: usize,
        /// The other's.
        second: usize,
    },
    /// The result of such an old version has one address of each family.
    #[error("CNI version {version} does not support more than 1 address per family")]
    OldVersion {
        /// The configuration's version.
        version: String,
    },
    /// `CNI_ARGS` has a pair without `=` or with two.
    #[error("ARGS: invalid pair {0:?}")]
    Pair(String),
    /// A pair of `CNI_ARGS` has a bad value.
    #[error("ARGS: error parsing value of pair {pair:?}: {reason}")]
    Value {
        /// The pair.
        pair: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// `CNI_ARGS` has keys that mean nothing here and may not be passed over.
    #[error("ARGS: unknown args {}", quoted(.0))]
    UnknownArgs(Vec<String>),
    /// `resolvConf` cannot be read.
    #[error("open {path}: {source}; it is the value of resolvConf")]
    ResolvConf {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// One range set had nothing to give; nothing of the others stays.
    #[error("failed to allocate for range {index}: {source}")]
    Allocate {
        /// The set's index, from 0.
        index: usize,
        /// Why.
        source: AllocateError,
    },
    /// Addresses were asked for that no range set has.
    #[error("failed to allocate all requested IPs: {}", spaced(.0))]
    NotInRanges(Vec<IpAddr>),
    /// A CHECK for an interface that has no address.
    #[error("host-local: Failed to find address added by container {0}")]
    NotAllocated(ContainerId),
    /// The directory of the reference plugin cannot be read.
    #[error(
        "cannot import the host-local addresses in {path}: {source}; \
         make it readable, or move it away if its containers are gone"
    )]
    Import {
        /// The directory or the file in it.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Node state failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn quoted(args: &[String]) -> String {
    let args: Vec<_> = args.iter().map(|arg| format!("{arg:?}")).collect();
    format!("[{}]", args.join(" "))
}

fn spaced(addrs: &[IpAddr]) -> String {
    let addrs: Vec<_> = addrs.iter().map(ToString::to_string).collect();
    addrs.join(" ")
}
