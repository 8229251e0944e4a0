//! Why a call has no result.

use crate::atom::ValueError;
use crate::framing::FramingError;
use crate::schema::SchemaError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no connection, or no longer one.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nothing was tried yet.
    #[error("not connected yet")]
    NotYet,
    /// There is one, and too many calls wait before this one.
    #[error("too many calls wait already")]
    Busy,
    /// Nobody answers there.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// TLS was not agreed on.
    #[error("no TLS: {0}")]
    Handshake(#[source] io::Error),
    /// It took too long until the server could be asked.
    #[error("not ready after {0:?}")]
    Slow(Duration),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[source] io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Ended,
    /// The server closed the connection within a message.
    #[error("the server closed the connection within a message")]
    EndedInside,
    /// What it says is no protocol of ours.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// A message is JSON, but none of the protocol.
    #[error("a message is neither a request nor an answer: {0}")]
    Message(String),
    /// Nothing was heard, not even an answer to `echo`.
    #[error("nothing heard for {0:?}, nor an answer to echo")]
    Silent(Duration),
    /// The server does not have the database.
    #[error("the server has no database {0}")]
    NoDatabase(String),
    /// The server is a member of a cluster and not its leader.
    #[error("the server is not the leader of {0}")]
    NotLeader(String),
    /// The server is a member of a cluster and out of touch with it.
    #[error("the server is cut off from the cluster of {0}")]
    CutOff(String),
    /// The server ended a monitor, as when its database changes.
    #[error("the server ended a monitor")]
    MonitorEnded,
}

/// Why a call has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OvsdbError {
    /// The request was never sent: there was no connection within the call's limit.
    #[error("{method} was not asked: {endpoint} not reached within {limit:?}: {cause}")]
    Unreachable {
        /// The method of the protocol.
        method: &'static str,
        /// The server or servers.
        endpoint: String,
        /// How long the call waited.
        limit: Duration,
        /// Why there was no connection.
        #[source]
        cause: Arc<LinkError>,
    },
    /// The request was sent and its answer is missing: it may have happened or not.
    #[error(
        "no answer to {method} by {endpoint} ({why}): it may have happened, look before asking again"
    )]
    Unanswered {
        /// The method of the protocol.
        method: &'static str,
        /// The server.
        endpoint: String,
        /// What became of the answer.
        #[source]
        why: Unheard,
    },
    /// The server refused the request as a whole.
    #[error("{endpoint} refused {method}: {error}{}", more(.details))]
    Refused {
        /// The method of the protocol.
        method: &'static str,
        /// The server.
        endpoint: String,
        /// The kind of the refusal, a word of the protocol.
        error: String,
        /// More about it, if the server says more.
        details: Option<String>,
    },
    /// An operation failed, and so nothing was done.
    #[error("operation {index} ({object}) on {database} failed: {error}{}", more(.details))]
    Operation {
        /// The database.
        database: String,
        /// Which operation, counted from 0.
        index: usize,
        /// What it was and its table.
        object: String,
        /// The kind of the failure, a word of the protocol such as `constraint violation`.
        error: String,
        /// More about it, if the server says more.
        details: Option<String>,
    },
    /// All operations went well and the whole does not fit the database: nothing was done.
    #[error("the transaction on {database} was not committed: {error}{}", more(.details))]
    Commit {
        /// The database.
        database: String,
        /// The kind of the failure, a word of the protocol such as `constraint violation`.
        error: String,
        /// More about it, if the server says more.
        details: Option<String>,
    },
    /// The answer has not the form of the protocol. Of a transaction, it may have happened.
    #[error("{endpoint} answered {method} with what is no answer: {what}")]
    Answer {
        /// The method of the protocol.
        method: &'static str,
        /// The server.
        endpoint: String,
        /// What is wrong.
        what: String,
    },
    /// The schema cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A monitor was asked for that there cannot be.
    #[error("cannot monitor {table} of {database}: {why}")]
    Plan {
        /// The database.
        database: String,
        /// The table.
        table: String,
        /// Why.
        why: &'static str,
    },
    /// A file for TLS cannot be used.
    #[error("cannot use {} for TLS: {cause}", path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The settings of TLS do not fit together or to the servers.
    #[error("cannot use TLS: {cause}")]
    TlsSettings {
        /// Why.
        cause: String,
    },
    /// The task that owns the connection has ended, with the runtime it was started on.
    #[error("the connection's task has ended")]
    Closed,
}

/// What became of an answer that did not come.
#[derive(Debug, Clone)]
pub enum Unheard {
    /// The connection was lost.
    Lost(Arc<LinkError>),
    /// The call's limit passed.
    Late(Duration),
}

impl fmt::Display for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(cause) => cause.fmt(f),
            Self::Late(limit) => write!(f, "none within {limit:?}"),
        }
    }
}

impl std::error::Error for Unheard {}

fn more(details: &Option<String>) -> String {
    details
        .as_ref()
        .map_or_else(String::new, |details| format!(": {details}"))
}

impl OvsdbError {
    /// An answer that is none.
    pub(crate) fn answer(method: &'static str, endpoint: &str, what: impl fmt::Display) -> Self {
        Self::Answer {
            method,
            endpoint: endpoint.to_owned(),
            what: what.to_string(),
        }
    }

    /// Can what was asked have been done although this error came?
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unanswered { .. } | Self::Answer { .. })
    }

    /// The word of the protocol for why it failed, such as `constraint violation`.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Refused { error, .. }
            | Self::Operation { error, .. }
            | Self::Commit { error, .. } => Some(error),
            _ => None,
        }
    }

    pub(crate) fn value(method: &'static str, endpoint: &str) -> impl Fn(ValueError) -> Self {
        let endpoint = endpoint.to_owned();
        move |error| Self::answer(method, &endpoint, error)
    }
}
