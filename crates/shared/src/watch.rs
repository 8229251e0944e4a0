//! What happens, as it is told.

use crate::{Entry, Revision, SharedError};
use std::fmt;
use std::time::Duration;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A key was written; [`Entry::modified`] says when.
    Put(Entry),
    /// A key was deleted, by a caller or with its lease.
    Delete {
        /// The key.
        key: String,
        /// When it was deleted.
        revision: Revision,
    },
}

impl Event {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key, .. } => key,
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        match self {
            Self::Put(entry) => entry.modified,
            Self::Delete { revision, .. } => *revision,
        }
    }
}

/// Things that happened, in their order. A transaction is never divided among
/// two batches; a batch may hold several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The revision of the last of them: a watch after it goes on from here.
    pub revision: Revision,
    /// What happened; at least one.
    pub events: Vec<Event>,
}

/// Where a [`Watch`] gets its batches.
pub trait Feed: Send {
    /// See [`Watch::recv_timeout`].
    ///
    /// # Errors
    /// See [`Watch::recv_timeout`].
    fn recv_timeout(&mut self, limit: Duration) -> Result<Option<Batch>, SharedError>;
}

/// What happens under a prefix. Dropping it ends the watch.
///
/// Each event comes once, in order, whatever becomes of the connection: it
/// resumes by itself.
pub struct Watch(Box<dyn Feed>);

impl Watch {
    /// A watch that is fed by `feed`.
    #[must_use]
    pub fn new(feed: impl Feed + 'static) -> Self {
        Self(Box::new(feed))
    }

    /// The next batch, or none when nothing happened for `limit`. With a limit of
    /// zero it returns what is there.
    ///
    /// # Errors
    /// [`SharedError::Compacted`] when events that were not told yet are gone, or
    /// the history is another one: read the range again and watch from there.
    /// [`SharedError::Denied`] when the engine refuses. The watch has ended
    /// after any error and returns one from then on. That the engine is not
    /// reachable is no error: nothing happens until it is.
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<Option<Batch>, SharedError> {
        self.0.recv_timeout(limit)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
