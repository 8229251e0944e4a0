//! An OVSDB client (RFC 7047): transactions with an answer for each operation, monitors that
//! resume, schemas.
//!
//! One task owns the connection, and everything that is said on it; a [`Client`] is a handle
//! that is cheap to clone. The task connects again when the connection is lost, and puts every
//! [`Monitor`] back. Calls wait for it, but no longer than their limit. What may have happened
//! and is not known is an error of its own, [`OvsdbError::Unanswered`]: nothing that could
//! change a database is ever said twice.
#![forbid(unsafe_code)]

mod actor;
mod atom;
mod client;
mod endpoint;
mod error;
mod framing;
mod link;
mod message;
mod monitor;
mod operation;
mod replica;
mod result;
mod row;
mod schema;
mod settings;
mod tls;
mod value;

pub use atom::{Atom, ValueError};
pub use client::{Client, State};
pub use endpoint::{Endpoint, EndpointError, Endpoints};
pub use error::{LinkError, OvsdbError, Unheard};
pub use framing::{Framer, FramingError};
pub use monitor::{Monitor, MonitorPlan, Select, TablePlan};
pub use operation::{Condition, Function, Mutation, Mutator, Operation, Until};
pub use replica::{Change, Origin, Replica, Update};
pub use result::OpResult;
pub use row::Row;
pub use schema::{AtomKind, Base, Column, ColumnKind, Missing, Schema, SchemaError, Table};
pub use settings::{Cluster, Settings, Tls, Verification};
pub use uuid::Uuid;
pub use value::Value;
