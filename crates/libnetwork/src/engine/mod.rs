//! What an engine tells of its containers and networks, and what it is asked.

mod event;
mod found;
mod talk;

pub use event::{Event, NetworkStep, Step};
pub use found::{Inspected, Listed, Network, Place, State};
pub use talk::{EngineError, Events, Talk};

use std::fmt;

/// An id as Docker shows it.
#[must_use]
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The name that a driver has at Docker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverName(&'static str);

impl DriverName {
    /// A driver's name, without a tag.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Whether Docker means this driver: as a plugin of the old kind, or with the tag of one
    /// that Docker manages.
    #[must_use]
    pub fn is(self, driver: &str) -> bool {
        let rest = driver.strip_prefix(self.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }
}

impl fmt::Display for DriverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
