//! How a process of this node asks the agent: HTTP/1.1 with JSON over a unix socket that
//! only root may open, `run/fairlead/agent.sock`. A person may ask too:
//!
//! ```sh
//! curl --unix-socket /run/fairlead/agent.sock http://agent/v1/status
//! ```
//!
//! The client here is blocking and small, because plugin calls use it: no runtime, no
//! thread, one `connect` when there is no agent. That there is none is an answer
//! ([`Client::get`] gives `None`), not an error: every verb works without.
#![forbid(unsafe_code)]

mod answer;
mod client;
mod error;
mod message;

pub use client::Client;
pub use error::ControlError;
pub use message::{
    Cluster, DetachRequest, Detached, Failure, Namespace, Problem, Reconciled, RemoveRequest,
    Removed, SandboxRef, Status,
};

use fairlead_types::Root;
use std::path::PathBuf;

/// GET: what the agent is and how it fares, a [`Status`].
pub const STATUS: &str = "/v1/status";
/// POST without a body: make the node follow what is declared, now; a [`Reconciled`].
pub const RECONCILE: &str = "/v1/reconcile";
/// POST a [`DetachRequest`]: take attachments away; a [`Detached`].
pub const DETACH: &str = "/v1/detach";
/// POST a [`RemoveRequest`]: take away what the kernel has for one attachment; a
/// [`Removed`].
pub const REMOVE: &str = "/v1/remove";
/// GET: the nodes of the cluster as the agent knows them, an array of JSON objects.
pub const NODES: &str = "/v1/nodes";
/// GET: measurements in the text format of Prometheus.
pub const METRICS: &str = "/metrics";

/// The agent's socket.
#[must_use]
pub fn socket(root: &Root) -> PathBuf {
    root.run().join("agent.sock")
}

/// The file that the running agent holds locked; its text is the agent's process id.
#[must_use]
pub fn lock(root: &Root) -> PathBuf {
    root.run().join("agent.lock")
}
