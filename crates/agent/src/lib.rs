//! The daemon: a loop around the same calls that the commands make.
//!
//! One thread owns the node's networks and makes them follow what is declared: at the
//! start, when the declarations, the cluster or the kernel change, when it is asked, and
//! at intervals. Others watch for those changes. A runtime of its own answers the control
//! API on a unix socket and, where asked for, metrics on TCP; the detaches that come that
//! way share one thread that deletes links, many in one step of the kernel. One keeps the
//! cluster's names and another looks after the services that were started here.
//!
//! Every verb works without the agent, so it may end or crash at any moment: nothing that
//! a container needs is in it.
#![forbid(unsafe_code)]

mod agent;
mod api;
mod cluster;
mod docker;
mod error;
mod links;
mod lock;
mod log;
mod metrics;
mod names;
mod reconcile;
mod schedule;
mod services;
mod shared;
mod watch;
mod zones;

pub use agent::{Agent, Options, run};
pub use error::AgentError;
pub use log::LogLevel;
pub use zones::{dns_servers, own_addresses, records};
