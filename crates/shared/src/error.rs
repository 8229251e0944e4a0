//! What can go wrong with shared state.

use crate::{LeaseId, Revision};
use std::path::Path;

/// Why shared state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    /// No endpoint answered in time.
    #[error(
        "cannot {operation} '{key}' in etcd at {endpoints}: {reason}; \
         is etcd running? check etcd.endpoints in node.conf{}",
        if *.sent { " (the change was sent and may have been made)" } else { "" }
    )]
    Unreachable {
        /// The endpoints that were tried.
        endpoints: String,
        /// What was being done.
        operation: &'static str,
        /// To which key, prefix or lease.
        key: String,
        /// What was wrong with the last of them.
        reason: String,
        /// Whether a change was sent and may have been made.
        sent: bool,
    },
    /// No connection because a certificate was not accepted by either side.
    #[error(
        "cannot {operation} '{key}' in etcd at {endpoint}: no secure connection: {reason}; \
         check etcd.ca, etcd.cert and etcd.key in node.conf, the host name in the server's \
         certificate, and the time of day of both"
    )]
    Certificate {
        /// The endpoint.
        endpoint: String,
        /// What was being done.
        operation: &'static str,
        /// To which key, prefix or lease.
        key: String,
        /// What the TLS library said.
        reason: String,
    },
    /// The user is not known, its password is wrong, or it may not do this.
    #[error(
        "cannot {operation} '{key}' in etcd at {endpoint}: {reason}; check etcd.user and \
         etcd.password_file in node.conf, and that the user's role may read and write '{prefix}'"
    )]
    Denied {
        /// The endpoint.
        endpoint: String,
        /// What was being done.
        operation: &'static str,
        /// To which key, prefix or lease.
        key: String,
        /// The prefix of all keys in this etcd.
        prefix: String,
        /// What etcd said.
        reason: String,
    },
    /// etcd answered that it cannot do it.
    #[error("cannot {operation} '{key}' in etcd at {endpoint}: {reason}{}", cure(.reason))]
    Server {
        /// The endpoint.
        endpoint: String,
        /// What was being done.
        operation: &'static str,
        /// To which key, prefix or lease.
        key: String,
        /// What etcd said.
        reason: String,
    },
    /// What the `[etcd]` section says cannot be used.
    #[error("cannot use etcd.{keyword} '{value}': {reason}; correct it in node.conf")]
    Options {
        /// The keyword, without its section.
        keyword: &'static str,
        /// Its value, which is never a secret.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The thread that speaks to etcd cannot be started.
    #[error("cannot start the thread that speaks to etcd: {source}; check the limit of processes")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
    /// The history after this revision is not there (any more): read the range again.
    #[error("the history of '{prefix}' after revision {after} is gone; read '{prefix}' again")]
    Compacted {
        /// The prefix that was watched.
        prefix: String,
        /// The last revision that was told, or from where it should have begun.
        after: Revision,
    },
    /// The lease has ended, and its keys with it.
    #[error("lease {lease} has ended; take a new one and write its keys again")]
    LeaseGone {
        /// The lease.
        lease: LeaseId,
    },
    /// The text cannot be a key.
    #[error("'{key}' cannot be a key of shared state: {reason}")]
    BadKey {
        /// The text, or its beginning.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No engine takes such a transaction.
    #[error("the transaction cannot be made: {reason}; divide it")]
    BadTxn {
        /// What is wrong with it.
        reason: String,
    },
    /// The file mirrors etcd, and is changed by what etcd tells only.
    #[error("cannot {operation} '{key}' in {path}: it is the mirror of etcd; change it in etcd")]
    Mirror {
        /// What was being done.
        operation: &'static str,
        /// To which key, prefix or lease.
        key: String,
        /// The file.
        path: Box<Path>,
    },
    /// The directory of the file cannot be made or entered.
    #[error("cannot prepare {path} for shared state: {source}; shared state needs root")]
    Directory {
        /// The directory or the file.
        path: Box<Path>,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no database or its pages do not fit together.
    #[error(
        "shared state {path} is damaged ({source}): stop the agent, move it and its -wal and \
         -shm files away, and start the agent, which makes it anew"
    )]
    Damaged {
        /// The file.
        path: Box<Path>,
        /// What SQLite said.
        source: Box<rusqlite::Error>,
    },
    /// Another release wrote the file.
    #[error(
        "shared state {path} has schema {found} and this release knows {known}: use the release \
         that wrote it, or move the file away with the agent stopped"
    )]
    Schema {
        /// The file.
        path: Box<Path>,
        /// The schema found in it.
        found: i64,
        /// The schema of this release.
        known: i64,
    },
    /// Other processes kept the write lock for longer than the time limit.
    #[error(
        "cannot {operation} '{key}' in shared state {path}: another process has held its lock \
         for {waited} s; 'fuser {path}' tells which"
    )]
    Busy {
        /// What was being done.
        operation: &'static str,
        /// To which key, prefix or lease.
        key: String,
        /// The file.
        path: Box<Path>,
        /// The time limit, in seconds.
        waited: u64,
    },
    /// A statement failed for another reason, such as a full disk.
    #[error("cannot {operation} '{key}' in shared state {path}: {source}")]
    Sql {
        /// What was being done.
        operation: &'static str,
        /// To which key, prefix or lease.
        key: String,
        /// The file.
        path: Box<Path>,
        /// What SQLite said.
        source: Box<rusqlite::Error>,
    },
    /// The kernel's boot identifier cannot be read.
    #[error("cannot read the boot id {path}: {source}; is /proc mounted")]
    BootId {
        /// The file.
        path: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What to do about some answers of etcd.
fn cure(reason: &str) -> &'static str {
    if reason.contains("database space exceeded") {
        "; compact and defragment it with etcdctl, then 'etcdctl alarm disarm'"
    } else if reason.contains("too large") || reason.contains("too many operations") {
        "; raise --max-request-bytes and --max-txn-ops of etcd to their defaults at least"
    } else {
        ""
    }
}

impl SharedError {
    /// Whether there was no way to the engine at all, for want of an answer or of
    /// trust: what the mirror has is used then.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Certificate { .. })
    }

    /// Whether a watch has to begin anew from a range.
    #[must_use]
    pub const fn is_compacted(&self) -> bool {
        matches!(self, Self::Compacted { .. })
    }
}

/// Whether SQLite says that the file is no sound database.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    )
}

/// Whether SQLite gave up waiting for a lock.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}
