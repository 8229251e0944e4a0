//! The address families that a case is repeated for.

use serde_json::{Value, json};

/// Which addresses a container gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Version 4 only.
    V4,
    /// Version 6 only.
    V6,
    /// One of each.
    Dual,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::V4, Self::V6, Self::Dual];

    /// host-local's `ranges`: 10.88.0.0/24 and fd00:88::/64.
    #[must_use]
    pub fn ranges(self) -> Value {
        json!(self.pick([
            json!([{"subnet": "10.88.0.0/24"}]),
            json!([{"subnet": "fd00:88::/64"}])
        ]))
    }

    /// The gateways in these ranges.
    #[must_use]
    pub fn gateways(self) -> Vec<&'static str> {
        self.pick(["10.88.0.1", "fd00:88::1"])
    }

    /// The destinations of default routes.
    #[must_use]
    pub fn anywhere(self) -> Vec<&'static str> {
        self.pick(["0.0.0.0/0", "::/0"])
    }

    /// The node's addresses on its cable to the outside.
    #[must_use]
    pub fn uplinks(self) -> Vec<&'static str> {
        self.pick([crate::UPLINK_V4, crate::UPLINK_V6])
    }

    /// The addresses of the machine outside.
    #[must_use]
    pub fn outsides(self) -> Vec<&'static str> {
        self.pick([crate::OUTSIDE_V4, crate::OUTSIDE_V6])
    }

    /// The prefix lengths in these ranges.
    #[must_use]
    pub fn lengths(self) -> Vec<u8> {
        self.pick([24, 64])
    }

    /// Those of a version 4 and a version 6 thing that this family has.
    #[must_use]
    pub fn pick<T>(self, [v4, v6]: [T; 2]) -> Vec<T> {
        match self {
            Self::V4 => vec![v4],
            Self::V6 => vec![v6],
            Self::Dual => vec![v4, v6],
        }
    }
}

/// Is this an address of version 6?
pub(crate) fn is_v6(address: &str) -> bool {
    address.contains(':')
}
