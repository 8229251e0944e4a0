//! A transaction: comparisons, and changes made when all of them hold.

use crate::{LeaseId, Revision, SharedError, key};
use std::collections::BTreeSet;

/// What must hold for a transaction to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// There is no such key.
    Absent(String),
    /// There is such a key.
    Present(String),
    /// The key was last written at this revision: nobody has changed it since.
    Modified(String, Revision),
    /// The key is there and has this value.
    Value(String, Vec<u8>),
}

impl Compare {
    /// The key that is looked at.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Absent(key)
            | Self::Present(key)
            | Self::Modified(key, _)
            | Self::Value(key, _) => key,
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes a key.
    Put {
        /// The key.
        key: String,
        /// Its value from now on.
        value: Vec<u8>,
        /// The lease that it ends with from now on, if any.
        lease: Option<LeaseId>,
    },
    /// Deletes a key, if it is there.
    Delete(String),
    /// Deletes every key under a prefix.
    DeletePrefix(String),
}

impl Change {
    /// The key or the prefix.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete(key) | Self::DeletePrefix(key) => key,
        }
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Every comparison held; the state is at this revision or a later one now.
    Done(Revision),
    /// Some comparison did not hold; nothing was changed.
    Refused,
}

impl Committed {
    /// Whether the changes were made.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Done(_))
    }
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Txn {
    /// What must hold.
    pub when: Vec<Compare>,
    /// What is changed then.
    pub then: Vec<Change>,
}

impl Txn {
    /// The greatest number of comparisons and the greatest number of changes: what
    /// etcd takes as it is delivered.
    pub const MAX: usize = 128;

    /// The greatest number of bytes of all keys and values together: a little less
    /// than the 1.5 MiB that etcd takes as it is delivered.
    pub const MAX_BYTES: usize = 1_500_000;

    /// A transaction that does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only if there is no `key`.
    #[must_use]
    pub fn absent(self, key: impl Into<String>) -> Self {
        self.when(Compare::Absent(key.into()))
    }

    /// Only if `key` is there.
    #[must_use]
    pub fn present(self, key: impl Into<String>) -> Self {
        self.when(Compare::Present(key.into()))
    }

    /// Only if nobody has written `key` since `revision`.
    #[must_use]
    pub fn unchanged(self, key: impl Into<String>, revision: Revision) -> Self {
        self.when(Compare::Modified(key.into(), revision))
    }

    /// Only if `key` has `value`.
    #[must_use]
    pub fn has_value(self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.when(Compare::Value(key.into(), value.into()))
    }

    /// Only if `compare` holds too.
    #[must_use]
    pub fn when(mut self, compare: Compare) -> Self {
        self.when.push(compare);
        self
    }

    /// Writes `key`, bound to no lease.
    #[must_use]
    pub fn put(self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.then(Change::Put {
            key: key.into(),
            value: value.into(),
            lease: None,
        })
    }

    /// Writes `key`, bound to `lease`.
    #[must_use]
    pub fn put_leased(
        self,
        key: impl Into<String>,
        value: impl Into<Vec<u8>>,
        lease: LeaseId,
    ) -> Self {
        self.then(Change::Put {
            key: key.into(),
            value: value.into(),
            lease: Some(lease),
        })
    }

    /// Deletes `key`.
    #[must_use]
    pub fn delete(self, key: impl Into<String>) -> Self {
        self.then(Change::Delete(key.into()))
    }

    /// Deletes every key under `prefix`.
    #[must_use]
    pub fn delete_prefix(self, prefix: impl Into<String>) -> Self {
        self.then(Change::DeletePrefix(prefix.into()))
    }

    /// Makes `change` too.
    #[must_use]
    pub fn then(mut self, change: Change) -> Self {
        self.then.push(change);
        self
    }

    /// Refuses what some engine would not take, so that both refuse the same.
    ///
    /// # Errors
    /// [`SharedError::BadTxn`], [`SharedError::BadKey`].
    pub(crate) fn check(&self) -> Result<(), SharedError> {
        let bad = |reason: String| Err(SharedError::BadTxn { reason });
        let longest = self.when.len().max(self.then.len());
        if longest > Self::MAX {
            let max = Self::MAX;
            return bad(format!("it has {longest} parts and {max} are possible"));
        }
        for compare in &self.when {
            key::check(compare.key())?;
        }
        let mut bytes = 0;
        let mut changed = BTreeSet::new();
        for change in &self.then {
            bytes += change.key().len();
            match change {
                Change::Put { key, value, .. } => {
                    key::check(key)?;
                    bytes += value.len();
                }
                Change::Delete(key) => key::check(key)?,
                Change::DeletePrefix(_) => continue,
            }
            if !changed.insert(change.key()) {
                return bad(format!("it changes '{}' twice", change.key()));
            }
        }
        for change in &self.then {
            let Change::DeletePrefix(prefix) = change else {
                continue;
            };
            let next = changed.range(prefix.as_str()..).next();
            if let Some(key) = next.filter(|key| key.starts_with(prefix.as_str())) {
                return bad(format!("it changes '{key}' twice: '{prefix}' has it too"));
            }
        }
        if bytes > Self::MAX_BYTES {
            let max = Self::MAX_BYTES;
            return bad(format!("it has {bytes} bytes and {max} are possible"));
        }
        Ok(())
    }
}
