//! The trait, and what it returns.

use crate::{Committed, SharedError, Txn, Watch};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug};
use std::time::Duration;

/// A point in the history of shared state: each transaction that changes
/// something makes the next one. Zero is before everything.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub i64);

impl Revision {
    /// Before the first change.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The name of a lease: a time limit that keys are bound to. It is never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseId(pub i64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As etcdctl writes it.
        write!(f, "{:016x}", self.0)
    }
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value: any bytes, none too.
    pub value: Vec<u8>,
    /// When the key was made, after the last time it was deleted.
    pub created: Revision,
    /// When its value was last written.
    pub modified: Revision,
    /// The lease that it ends with, if any.
    pub lease: Option<LeaseId>,
}

/// The entries under one prefix at one revision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The entries, sorted by the bytes of their keys.
    pub entries: Vec<Entry>,
    /// The revision that all of them are of. A watch after it misses nothing.
    pub revision: Revision,
}

impl Snapshot {
    /// The entry of `key`, if it is there.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        let at = self
            .entries
            .binary_search_by(|entry| entry.key.as_str().cmp(key));
        at.ok().map(|at| &self.entries[at])
    }
}

/// State that the nodes of a cluster share.
///
/// A key is any text but the empty one. A prefix is any text; the empty one is
/// that of every key. `nodes/a` is a prefix of `nodes/ab` too: end it with the
/// separator. A value is at most [`Txn::MAX_BYTES`] long.
///
/// # Errors
/// Every method returns [`SharedError::Unreachable`] where the engine does not
/// answer in time, which says nothing of whether a change was made, and other
/// variants where the engine refuses.
pub trait SharedState: Send + Sync + Debug {
    /// The entry of `key`.
    ///
    /// # Errors
    /// See [`SharedState`].
    fn get(&self, key: &str) -> Result<Option<Entry>, SharedError>;

    /// Every entry under `prefix`, all of one revision.
    ///
    /// # Errors
    /// See [`SharedState`].
    fn range(&self, prefix: &str) -> Result<Snapshot, SharedError>;

    /// The keys under `prefix`, sorted by their bytes, all of one revision.
    ///
    /// # Errors
    /// See [`SharedState`].
    fn keys(&self, prefix: &str) -> Result<Vec<String>, SharedError>;

    /// How many entries there are under `prefix`.
    ///
    /// # Errors
    /// See [`SharedState`].
    fn count(&self, prefix: &str) -> Result<u64, SharedError>;

    /// Writes `key`, and binds it to `lease` or to none.
    ///
    /// # Errors
    /// [`SharedError::LeaseGone`]; see [`SharedState`].
    fn put(&self, key: &str, value: &[u8], lease: Option<LeaseId>)
    -> Result<Revision, SharedError>;

    /// Deletes `key`; says whether it was there.
    ///
    /// # Errors
    /// See [`SharedState`].
    fn delete(&self, key: &str) -> Result<bool, SharedError>;

    /// Makes every change of `txn`, as one revision, if each of its comparisons
    /// holds, and nothing otherwise.
    ///
    /// # Errors
    /// [`SharedError::BadTxn`] for one that no engine takes,
    /// [`SharedError::LeaseGone`]; see [`SharedState`].
    fn commit(&self, txn: &Txn) -> Result<Committed, SharedError>;

    /// What happens under `prefix` after the revision `after`, from the history
    /// first and then as it happens.
    ///
    /// Take `after` from the [`Snapshot`] that it goes on from, in the life of this
    /// process: a revision kept on disk may be of an etcd that has been replaced
    /// since.
    ///
    /// # Errors
    /// See [`SharedState`]. That history is gone ([`SharedError::Compacted`]) is told here
    /// or by the first [`Watch::recv_timeout`].
    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, SharedError>;

    /// A lease that lives for `ttl`, or a little longer: etcd counts whole seconds
    /// and has a minimum of about two.
    ///
    /// # Errors
    /// See [`SharedState`].
    fn grant(&self, ttl: Duration) -> Result<LeaseId, SharedError>;

    /// Starts the time of `lease` anew; returns how long it has now.
    ///
    /// # Errors
    /// [`SharedError::LeaseGone`] when it has ended; see [`SharedState`].
    fn keep_alive(&self, lease: LeaseId) -> Result<Duration, SharedError>;

    /// Ends `lease` and deletes its keys. One that has ended is no error.
    ///
    /// # Errors
    /// See [`SharedState`].
    fn revoke(&self, lease: LeaseId) -> Result<(), SharedError>;
}
