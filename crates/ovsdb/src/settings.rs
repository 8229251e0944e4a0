//! How a connection is made and kept.

use std::path::PathBuf;
use std::time::Duration;

/// What is checked of a server by its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// That an authority of this file signed it, and that it is for the host's name.
    Full(PathBuf),
    /// That an authority of this file signed it, for whatever name: as Open vSwitch itself
    /// does it, whose certificates often have none.
    Authority(PathBuf),
    /// Nothing: who is in between can read and change all.
    Nothing,
}

/// How TLS is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// What is checked of the server.
    pub verification: Verification,
    /// Files (PEM) of this client's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A database that may be served by a cluster (`ovsdb(7)`, "Clustered Database Service
/// Model"). Before a server is used, and for as long as it is, its database `_Server` must
/// tell that it has this one and is in touch with the cluster. Servers from before that
/// database existed have no clusters and are taken as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The database.
    pub database: String,
    /// Is only the cluster's leader good enough?
    pub leader_only: bool,
}

/// How a connection is made and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long making one connection may take, with TLS and the question for the cluster.
    pub connect_limit: Duration,
    /// How long a call may take, with waiting for a connection. A client can have another,
    /// by [`crate::Client::with_limit`].
    pub call_limit: Duration,
    /// After this time without a word the server is asked for an `echo`; after another, the
    /// connection is lost.
    pub probe: Duration,
    /// The first wait between two rounds of connecting; each is twice the one before.
    pub back_off_first: Duration,
    /// The longest wait between two rounds of connecting.
    pub back_off_most: Duration,
    /// The longest message that is read, in bytes.
    pub max_message: usize,
    /// How many updates a reader of a monitor may be behind.
    pub max_behind: usize,
    /// How many calls may wait for a connection; more wait with their callers.
    pub max_waiting: usize,
    /// For `ssl:`.
    pub tls: Option<Tls>,
    /// The database whose cluster decides which server is used.
    pub cluster: Option<Cluster>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_limit: Duration::from_secs(5),
            call_limit: Duration::from_secs(10),
            probe: Duration::from_secs(5),
            back_off_first: Duration::from_millis(100),
            back_off_most: Duration::from_secs(8),
            // The largest is the first content of a monitor: a large OVN has tens of these.
            max_message: 512 << 20,
            max_behind: 1024,
            max_waiting: 1024,
            tls: None,
            cluster: None,
        }
    }
}
