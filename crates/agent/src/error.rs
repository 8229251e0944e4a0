//! Why the agent cannot run.

use fairlead_attach::AttachError;
use fairlead_kernel::KernelError;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What keeps the agent from starting. Once it has started, it goes on and tells what is
/// wrong.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Another agent works on the same node.
    #[error("an agent runs on this node already: process {pid} holds {lock}; stop it first")]
    Running {
        /// Its process id, as it wrote it.
        pid: String,
        /// The lock.
        lock: PathBuf,
    },
    /// A file or directory of the agent cannot be used.
    #[error("{operation} {path}: {source}")]
    File {
        /// What was done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The control socket cannot be had.
    #[error(transparent)]
    Socket(#[from] fairlead_serve::ServeError),
    /// The metrics cannot be served there.
    #[error("serve metrics on {address}: {source}; choose another address, or none")]
    Metrics {
        /// The address that was given.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// A thread or the runtime of the control API cannot be started.
    #[error("start {what}: {source}")]
    Start {
        /// What.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// The server of names cannot be started.
    #[error("start the server of names: {reason}")]
    Names {
        /// The cause.
        reason: String,
    },
    /// The node cannot be opened.
    #[error(transparent)]
    Node(#[from] AttachError),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}
