//! Why names cannot be served, or a question was not answered.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A failure of the server, of the backend or of a question.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// A thread, or what it waits with, cannot be had.
    #[error("start the server of names: {source}")]
    Start {
        /// The cause.
        source: std::io::Error,
    },
    /// An address cannot be listened on.
    #[error("listen for questions on {address} ({transport}): {source}")]
    Listen {
        /// The address and port.
        address: SocketAddr,
        /// `udp` or `tcp`.
        transport: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// The socket for `PowerDNS` cannot be made.
    #[error("{operation} {}: {source}", .path.display())]
    Socket {
        /// What was done.
        operation: &'static str,
        /// The socket's path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A text that cannot be a name in DNS.
    #[error(
        "{name:?} is no name: labels of 1 to 63 characters with dots between them are wanted, 253 in all"
    )]
    Name {
        /// The text.
        name: String,
    },
    /// A server could not be asked.
    #[error("{operation} {server} about {name}: {source}")]
    Ask {
        /// What was done.
        operation: &'static str,
        /// The server.
        server: SocketAddr,
        /// What was asked for.
        name: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A server did not answer in time.
    #[error(
        "{server} has not answered about {name} within {} ms; does a server of names listen there",
        .limit.as_millis()
    )]
    Late {
        /// The server.
        server: SocketAddr,
        /// What was asked for.
        name: String,
        /// How long was waited.
        limit: Duration,
    },
    /// An answer that cannot be read.
    #[error("the answer of {server} about {name} cannot be read: it breaks off or is no answer")]
    Answer {
        /// The server.
        server: SocketAddr,
        /// What was asked for.
        name: String,
    },
}
