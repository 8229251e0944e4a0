//! Why the switch was not told.

use fairlead_ovsdb::{OvsdbError, SchemaError};
use std::time::Duration;

/// Why something was not told to the switch, or not by it.
#[derive(Debug, thiserror::Error)]
pub enum VrsError {
    /// The switch's database was not reached.
    #[error("cannot ask the switch at {endpoints} what it is: {source}")]
    Connect {
        /// Where it should be.
        endpoints: String,
        /// Why.
        source: Box<OvsdbError>,
    },
    /// The database is one of another switch.
    #[error("the switch at {endpoints} is no Nuage VRS, or of another version: {source}")]
    NoVrs {
        /// Where it is.
        endpoints: String,
        /// What it lacks.
        source: SchemaError,
    },
    /// The database refused, or did not answer.
    #[error("cannot {doing} {object}: {source}")]
    Ovsdb {
        /// What was to be done.
        doing: &'static str,
        /// To what.
        object: String,
        /// Why it was not.
        source: Box<OvsdbError>,
    },
    /// The switch has no such bridge.
    #[error(
        "the switch at {endpoints} has no bridge {bridge}; make it, or name another in the configuration"
    )]
    NoBridge {
        /// The bridge.
        bridge: String,
        /// Where the switch is.
        endpoints: String,
    },
    /// No entity has this port.
    #[error("port {port} belongs to no entity of the switch")]
    NoEntity {
        /// The port.
        port: String,
    },
    /// An entity without an identity or a name is not understood by VRS.
    #[error("an entity needs an identity and a name, not '{uuid}' and '{name}'")]
    Empty {
        /// Its identity.
        uuid: String,
        /// Its name.
        name: String,
    },
    /// Somebody else changes the same rows again and again.
    #[error("cannot {doing} {object}: its rows changed {attempts} times meanwhile")]
    Busy {
        /// What was to be done.
        doing: &'static str,
        /// To what.
        object: String,
        /// How often it was tried.
        attempts: usize,
    },
    /// The controller has not given the port its address.
    #[error(
        "port {port} has no address from the controller after {limit:?}; is the controller connected, and does it know the port's network?"
    )]
    Unresolved {
        /// The port.
        port: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The port was taken away while its address was waited for.
    #[error("port {port} was taken away while its address was waited for")]
    Unregistered {
        /// The port.
        port: String,
    },
    /// The controller wrote what is no address.
    #[error("the switch says that the {column} of port {port} is '{text}'")]
    Unreadable {
        /// The port.
        port: String,
        /// The column.
        column: &'static str,
        /// What is there.
        text: String,
    },
}

impl VrsError {
    /// Can what was asked have been done although this error came? Doing it again is safe:
    /// every change here may be repeated.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Ovsdb { source, .. } if source.may_have_happened())
    }

    /// Did an operation of the transaction not find what had been read just before? The index
    /// is that of the operation.
    pub(super) fn stale(&self) -> Option<usize> {
        match self {
            Self::Ovsdb { source, .. } => match &**source {
                OvsdbError::Operation { index, error, .. } if error == "timed out" => Some(*index),
                _ => None,
            },
            _ => None,
        }
    }
}
