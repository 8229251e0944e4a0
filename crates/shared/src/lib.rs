//! Shared state: the few keys that every node of a cluster sees, behind one
//! trait, [`SharedState`], with two engines.
//!
//! [`Local`] is an SQLite file that several processes of one node use at once:
//! the whole shared state where there is one node, and the mirror of etcd where
//! there are several. [`Etcd`] speaks to etcd v3. Both pass one contract suite,
//! `tests/contract`.
//!
//! Calls block and every one has a time limit. They may be made from any thread,
//! one that runs another asynchronous runtime included.
#![forbid(unsafe_code)]

mod error;
mod etcd;
mod key;
mod local;
mod secret;
mod state;
mod txn;
mod watch;

pub use error::SharedError;
pub use etcd::{Etcd, EtcdOptions};
pub use local::Local;
pub use secret::Password;
pub use state::{Entry, LeaseId, Revision, SharedState, Snapshot};
pub use txn::{Change, Committed, Compare, Txn};
pub use watch::{Batch, Event, Feed, Watch};
