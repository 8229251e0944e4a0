//! The cluster as one node sees it: its configuration, its nodes and their segments,
//! and the addresses that they published.
//!
//! [`Cluster`] stands on [`SharedState`](fairlead_shared::SharedState): etcd, if the section `[etcd]` of
//! `node.conf` names one, else an SQLite file of this node's own. In shared state are
//!
//! - `config`: the text of `cluster.conf`, and `config.generation`: how often it was
//!   changed, which tells the newer of two texts after etcd was restored;
//! - `nodes/NODE`: a [`NodeReport`], under a lease while the node's agent lives;
//! - `addresses/NODE/NETWORK/IP`: a [`PublishedAddress`];
//! - `docker/networks/ID`: a [`CarriedNetwork`], `docker/names/NAME`: which one has a name,
//!   `docker/holders/NODE/ID`: a [`Holder`], `docker/claims/NETWORK/IP`: which node has an
//!   address.
//!
//! With etcd, `config` there is the truth and `cluster.conf` on disk its mirror; without,
//! `cluster.conf` on disk is the truth. All of it is mirrored, so a node reads what it
//! needs with etcd down.
#![forbid(unsafe_code)]

mod addresses;
mod cluster;
mod config;
mod counted;
mod docker;
mod error;
mod follow;
mod identity;
mod join;
mod keys;
mod known;
mod leave;
mod merge;
mod mirror;
mod nodes;
mod record;
mod resolve;

pub use addresses::Published;
pub use cluster::{Cluster, Reading};
pub use docker::{CarriedNetwork, Claimed, Holder};
pub use error::ClusterError;
pub use follow::{AddressChange, Followed};
pub use join::{JoinOptions, Joined, join, join_as};
pub use leave::{Left, leave, leave_as};
pub use mirror::ConfigSync;
pub use nodes::Registration;
pub use record::{NodeReport, NodeRow, PublishedAddress, TunnelReport};
pub use resolve::{Resolved, nameservers, resolve};
