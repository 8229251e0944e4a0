//! The ids of pools. An id says everything, so that any node can read it.

use crate::DoorError;
use fairlead_types::NetworkName;
use ipnet::IpNet;
use std::fmt;
use std::str::FromStr;

/// What addresses are given from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PoolId {
    /// A family of a declared network.
    Network {
        /// The network.
        network: NetworkName,
        /// Whether it is that of IPv6.
        v6: bool,
        /// The part that may be given out, if not all.
        range: Option<IpNet>,
    },
    /// A subnet: which network that is, the record of Docker's network tells.
    Subnet {
        /// The subnet.
        subnet: IpNet,
        /// The part that may be given out, if not all.
        range: Option<IpNet>,
    },
}

impl PoolId {
    /// The part that may be given out, if not all.
    pub(crate) const fn range(&self) -> Option<IpNet> {
        match self {
            Self::Network { range, .. } | Self::Subnet { range, .. } => *range,
        }
    }

    /// Whether its addresses are IPv6.
    pub(crate) const fn is_v6(&self) -> bool {
        match self {
            Self::Network { v6, .. } => *v6,
            Self::Subnet { subnet, .. } => matches!(subnet, IpNet::V6(_)),
        }
    }
}

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { network, v6, .. } => {
                write!(f, "network/{network}/{}", if *v6 { 6 } else { 4 })?;
            }
            Self::Subnet { subnet, .. } => write!(f, "subnet/{subnet}")?,
        }
        match self.range() {
            Some(range) => write!(f, "/{range}"),
            None => Ok(()),
        }
    }
}

impl FromStr for PoolId {
    type Err = DoorError;

    fn from_str(text: &str) -> Result<Self, DoorError> {
        let unknown = || DoorError::Pool(text.to_owned());
        let net = |address: &str, prefix: &str| -> Result<IpNet, DoorError> {
            format!("{address}/{prefix}").parse().map_err(|_| unknown())
        };
        let parts: Vec<&str> = text.split('/').collect();
        let range = |rest: &[&str]| match rest {
            [] => Ok(None),
            [address, prefix] => net(address, prefix).map(Some),
            _ => Err(unknown()),
        };
        match parts.as_slice() {
            ["network", name, family @ ("4" | "6"), rest @ ..] => Ok(Self::Network {
                network: NetworkName::new(name).map_err(|_| unknown())?,
                v6: *family == "6",
                range: range(rest)?,
            }),
            ["subnet", address, prefix, rest @ ..] => Ok(Self::Subnet {
                subnet: net(address, prefix)?,
                range: range(rest)?,
            }),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        for text in [
            "network/backend1/4",
            "network/backend1/6/fd00::/80",
            "subnet/10.9.0.0/24",
            "subnet/10.9.0.0/24/10.9.0.128/25",
            "subnet/fd00:1::/64",
        ] {
            let id: PoolId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(id.is_v6(), text.contains("fd00"), "{text}");
        }
        for text in [
            "",
            "x",
            "network/a",
            "network/a/5",
            "subnet/10.0.0.0/24/1",
            "subnet/a/b",
            "LocalDefault/172.18.0.0/16",
        ] {
            assert!(text.parse::<PoolId>().is_err(), "{text}");
        }
    }
}
