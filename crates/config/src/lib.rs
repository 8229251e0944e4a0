//! `cluster.conf` and `node.conf`: what a person declares, for the cluster and for
//! one node.
//!
//! The crate owns the file format ([`Document`]), the list of keywords
//! ([`keywords`]), the way a keyword is addressed and changed ([`KeyPath`],
//! [`KeyOp`]), the merged view with scopes and references ([`Config`]), the
//! networks declared there ([`Network`]) and the checked, atomic change of either
//! file ([`change`]). It reads and writes these two files, and what the node keeps of the
//! first elsewhere ([`Mirror`]). The file of a service is evaluated and checked by the same
//! rules, with keywords of its own ([`Config::with_service`]).
#![forbid(unsafe_code)]

mod assign;
mod check;
mod config;
mod convert;
mod docker;
mod document;
mod edit;
mod error;
mod etcd;
mod file;
mod keyword;
mod mirror;
mod names;
mod network;
mod path;
mod problem;
mod reference;
mod segment;
mod service;
mod value;

pub use assign::{Assigned, Assignment, assign_segments, changed_with_segments, stored_segments};
pub use config::{Config, nodename};
pub use docker::{DockerScope, DockerSettings};
pub use document::{Document, DocumentError};
pub use edit::{Change, Changed, Outcome, change, changed, update};
pub use error::ConfigError;
pub use etcd::EtcdSettings;
pub use file::{Target, replace};
pub use keyword::{Keyword, Kind, Section, keywords, service_keywords};
pub use mirror::{Mirror, is_joined, remember};
pub use network::{Network, NetworkKind, Origin, Routed, Tunnel, TunnelMode};
pub use path::{KeyError, KeyOp, KeyPath, Operator};
pub use problem::{Problem, Reason};
pub use value::Value;
