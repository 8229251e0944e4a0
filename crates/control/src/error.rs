//! Why the agent could not be asked.

use std::path::PathBuf;
use std::time::Duration;

/// A failure of a question to the agent. That no agent runs is none.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket cannot be used, or the agent ended before it had answered.
    #[error("{operation} the agent at {socket}: {source}")]
    Io {
        /// What was done.
        operation: &'static str,
        /// The agent's socket.
        socket: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The agent took too long.
    #[error(
        "the agent at {socket} has not answered {path} within {} s; is it stopped",
        .limit.as_secs()
    )]
    Late {
        /// The agent's socket.
        socket: PathBuf,
        /// What was asked.
        path: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The answer is not one of the agent's.
    #[error("the answer of the agent at {socket} to {path} cannot be read: {reason}")]
    Answer {
        /// The agent's socket.
        socket: PathBuf,
        /// What was asked.
        path: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The agent says no.
    #[error("the agent refuses {path}: {reason}")]
    Refused {
        /// What was asked.
        path: &'static str,
        /// The HTTP status, 400 or above.
        status: u16,
        /// The agent's words.
        reason: String,
    },
}

impl ControlError {
    /// Whether it is not known how far the agent came: it ended, or it is late. What may
    /// be repeated is then done without it.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}
