//! What can go wrong with node state.

use crate::AttachmentState;
use fairlead_types::{Owner, Protocol};
use std::net::IpAddr;
use std::path::Path;

/// Why the node's state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory of the state file cannot be made or entered.
    #[error("cannot prepare the state directory {path}: {source}; node state needs root")]
    Directory {
        /// The directory.
        path: Box<Path>,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file cannot be opened or set up.
    #[error("cannot open node state {path}: {source}")]
    Open {
        /// The file.
        path: Box<Path>,
        /// What SQLite said.
        source: Box<rusqlite::Error>,
    },
    /// The file is no database or its pages do not fit together.
    #[error(
        "node state {path} is damaged ({source}): move it and its -wal and -shm files away, \
         run 'fairlead gc', and restart the containers whose addresses it held"
    )]
    Damaged {
        /// The file.
        path: Box<Path>,
        /// What SQLite said.
        source: Box<rusqlite::Error>,
    },
    /// A newer release wrote the file.
    #[error(
        "node state {path} has schema {found} and this release knows up to {known}: \
         use the newer release that wrote it"
    )]
    Newer {
        /// The file.
        path: Box<Path>,
        /// The schema found in it.
        found: i64,
        /// The newest schema that this release understands.
        known: i64,
    },
    /// Other processes kept the write lock for longer than the time limit.
    #[error(
        "cannot {operation} {object} in node state {path}: another process has held its lock for \
         {waited} s; 'fuser {path}' tells which"
    )]
    Busy {
        /// What was being done.
        operation: &'static str,
        /// To which row.
        object: Box<str>,
        /// The file.
        path: Box<Path>,
        /// The time limit, in seconds.
        waited: u64,
    },
    /// A statement failed for another reason (disk full, a row that holds a bad name).
    #[error("cannot {operation} {object} in node state {path}: {source}")]
    Sql {
        /// What was being done.
        operation: &'static str,
        /// To which row.
        object: Box<str>,
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
    /// A network namespace cannot be looked at.
    #[error("cannot look at network namespace {path}: {source}")]
    Netns {
        /// The path given.
        path: Box<Path>,
        /// What the system said.
        source: std::io::Error,
    },
    /// A process cannot be looked at.
    #[error("cannot read process {pid} in /proc: {source}")]
    Process {
        /// The process.
        pid: u32,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address is held by someone.
    #[error("cannot take address {addr} of pool {pool}: {holder} holds it")]
    AddressTaken {
        /// The allocation domain.
        pool: String,
        /// The address.
        addr: IpAddr,
        /// Who holds it.
        holder: Box<Owner>,
    },
    /// A record of this attachment is there already.
    #[error(
        "cannot begin attachment of {owner}: it is recorded already and {state}; detach it first"
    )]
    AttachmentExists {
        /// The attachment.
        owner: Box<Owner>,
        /// How far the recorded one is.
        state: AttachmentState,
    },
    /// There is no record of this attachment.
    #[error(
        "cannot mark attachment of {owner} {wanted}: there is no record of it; attach it first"
    )]
    AttachmentMissing {
        /// The attachment.
        owner: Box<Owner>,
        /// The state that was to be written.
        wanted: AttachmentState,
    },
    /// A host port is held by another attachment.
    #[error(
        "cannot publish {protocol} port {port} on {}: {holder} holds it on {}; \
         choose another port or detach it",
        host(.wanted), host(.held)
    )]
    PortTaken {
        /// The protocol.
        protocol: Protocol,
        /// The port on the host.
        port: u16,
        /// The host address wanted, none for every address.
        wanted: Option<IpAddr>,
        /// The host address the holder has it on, none for every address.
        held: Option<IpAddr>,
        /// Who holds it.
        holder: Box<Owner>,
    },
}

fn host(addr: &Option<IpAddr>) -> String {
    addr.map_or_else(|| "every host address".to_owned(), |addr| addr.to_string())
}

impl StoreError {
    /// Whether the file itself is unusable.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        matches!(self, Self::Damaged { .. })
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
