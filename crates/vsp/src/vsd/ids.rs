//! What the VSD calls its objects by. An id goes into paths, so none is taken on trust: not
//! even one that the VSD itself told.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A text that can be no id of an object of the VSD.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id of the VSD: 1 to 64 letters, digits, '-' and '_' are wanted")]
pub struct IdError(pub String);

fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// As it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.to_owned().try_into()
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                if is_id(&text) { Ok(Self(text)) } else { Err(IdError(text)) }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// An enterprise: an organization that has domains.
    EnterpriseId
    /// A layer-3 domain: a virtual router with zones.
    DomainId
    /// A zone: subnets with one policy.
    ZoneId
    /// A subnet.
    SubnetId
    /// A container.
    ContainerId
    /// One interface of a container.
    InterfaceId
    /// A virtual port: what an interface is plugged into.
    VportId
    /// A policy group: virtual ports that one rule names.
    PolicyGroupId
    /// An address that is kept for a MAC.
    ReservationId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        for bad in ["", "..", "a/b", "a?b", "a b", "ä", "a\n", &"x".repeat(65)] {
            assert!(bad.parse::<SubnetId>().is_err(), "{bad:?}");
        }
        let good = "a4ad5d3a-fc28-44ec-bde5-0f83b542220e";
        assert_eq!(good.parse::<SubnetId>().unwrap().as_str(), good);
        assert!(serde_json::from_str::<ZoneId>("\"../me\"").is_err());
    }
}
