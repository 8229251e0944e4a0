//! The cluster's names: the model of its zones, and the servers that answer.
//!
//! [`Zones`] is the model: what instances there are becomes records (specification 9.1),
//! kept in the form in which they go out. [`Server`] answers from it over UDP and TCP, with
//! authority for the cluster's zone and the reverse zones of its ranges, and passes other
//! names on. [`Backend`] gives the same zones to `PowerDNS`. [`client`] asks a question.
#![forbid(unsafe_code)]

mod access;
mod answer;
mod backend;
mod error;
mod expand;
mod forward;
mod held;
mod message;
mod name;
mod record;
mod reverse;
mod server;
mod settings;
mod stats;
mod table;
mod tcp;
mod transfer;
mod udp;
mod zones;

pub mod client;

pub use backend::Backend;
pub use error::DnsError;
pub use record::{RType, Record, RecordData};
pub use server::Server;
pub use settings::{Change, Instance, Settings};
pub use stats::Stats;
pub use zones::Zones;
