//! What is asked and answered, as JSON.

use fairlead_types::{ContainerId, IfName, NetworkName, ObjectName, Owner};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A namespace by its identity, which no other has while it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// The device of `nsfs`.
    pub dev: u64,
    /// Its inode there.
    pub ino: u64,
}

/// A container's namespace as the caller sees it: the agent may see another file under
/// the same path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxRef {
    /// The path that was given.
    pub path: PathBuf,
    /// What is behind it, while something is.
    #[serde(default)]
    pub id: Option<Namespace>,
}

/// Which attachments to take away; every condition that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetachRequest {
    /// The network namespace that the caller works in; the agent refuses when its own is
    /// another. Left out (by a person with curl), the agent's is meant.
    #[serde(default)]
    pub node: Option<Namespace>,
    /// On this network.
    #[serde(default)]
    pub network: Option<NetworkName>,
    /// Of this container.
    #[serde(default)]
    pub container: Option<ContainerId>,
    /// Of the container in this namespace.
    #[serde(default)]
    pub sandbox: Option<SandboxRef>,
    /// For this object.
    #[serde(default)]
    pub object: Option<ObjectName>,
    /// By this interface.
    #[serde(default)]
    pub ifname: Option<IfName>,
}

/// What a detach did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detached {
    /// The attachments that are gone now.
    pub owners: Vec<Owner>,
    /// What could not be finished, in words; the records of it stay.
    pub errors: Vec<String>,
}

/// What of one attachment to take out of the kernel. Each part may be gone already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// The network namespace that the caller works in; see [`DetachRequest::node`].
    #[serde(default)]
    pub node: Option<Namespace>,
    /// Whose.
    pub owner: Owner,
    /// Its published ports, and their records.
    #[serde(default)]
    pub ports: bool,
    /// Its masquerades that nobody else has, and their records.
    #[serde(default)]
    pub masquerades: bool,
    /// The check of its hardware address.
    #[serde(default)]
    pub mac_check: bool,
    /// Its cable, last.
    #[serde(default)]
    pub link: bool,
}

/// What a [`RemoveRequest`] did. Every part is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Whether there was a cable with the name that ours have; none where deleting it
    /// failed.
    pub link: Option<bool>,
    /// What failed.
    pub errors: Vec<Failure>,
}

/// A failure in the terms of CNI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The code.
    pub code: u32,
    /// The message.
    pub msg: String,
    /// More words; may be empty.
    #[serde(default)]
    pub details: String,
}

/// What the agent is and how it fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// The agent's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started, in seconds since 1970.
    pub since: u64,
    /// Whether the first reconciliation has ended.
    pub ready: bool,
    /// The newest reconciliation.
    pub reconciled: Option<Reconciled>,
    /// The cluster, as seen from here.
    pub cluster: Cluster,
}

/// What a reconciliation did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// When it ended, in seconds since 1970.
    pub at: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// The steps that were made, in words. Empty when all was as it is declared.
    pub steps: Vec<String>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Reconciled {
    /// Whether every declared network is as it should be.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.problems.iter().all(|problem| problem.warning)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The network it is about, where it is about one.
    #[serde(default)]
    pub network: Option<String>,
    /// What is wrong, in a word.
    pub word: String,
    /// What, and what mends it.
    pub text: String,
    /// Whether the networks work in spite of it.
    pub warning: bool,
}

/// The agent's view of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Whether the node is one of a cluster with shared state.
    pub joined: bool,
    /// Whether shared state answered when last asked.
    pub reachable: bool,
    /// Since when it does or does not, in seconds since 1970; 0 while it is not known.
    pub since: u64,
    /// Why not, where it does not.
    #[serde(default)]
    pub problem: Option<String>,
    /// How many nodes are alive, this one included.
    #[serde(default)]
    pub nodes_alive: Option<u64>,
}
