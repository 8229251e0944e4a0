//! How the cluster's DNS shall know a container.

use crate::{Expose, HostName};
use serde::{Deserialize, Serialize};

/// What DNS is told of an attachment beside its object and addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naming {
    /// The container's own name, with the suffix that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<HostName>,
    /// The application of the service, which older names have in place of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<HostName>,
    /// The ports it offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<Expose>,
}

impl Naming {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hostname.is_none() && self.app.is_none() && self.expose.is_empty()
    }
}
