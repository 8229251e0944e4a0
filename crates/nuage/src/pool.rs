//! What the driver of addresses calls a pool. The id says by itself which subnet it is, so that
//! any host that Docker hands it to knows, without asking anybody.

use crate::error::DoorError;
use crate::random;
use crate::target::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fairlead_store::{VspSubnetIds, VspTarget};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Digits of chance in an id.
const CHANCE: usize = 10;

/// A subnet that addresses are asked for in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pool {
    pub(crate) target: VspTarget,
    pub(crate) net: Ipv4Net,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) ids: Option<VspSubnetIds>,
}

/// The id of a pool, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PoolId {
    /// One of ours.
    Whole(Box<Pool>),
    /// One of an earlier plugin's: the digest of a subnet.
    Digest(String),
}

impl Pool {
    /// An id that nothing else has. Its first part is what earlier plugins look at.
    pub(crate) fn id(&self) -> Result<String, DoorError> {
        let whole = serde_json::to_vec(self).unwrap_or_default();
        let mut chance = random::digits()?;
        chance.truncate(CHANCE);
        Ok(format!(
            "{}-{chance}-{}",
            digest(&self.target),
            URL_SAFE_NO_PAD.encode(whole)
        ))
    }
}

impl std::str::FromStr for PoolId {
    type Err = DoorError;

    fn from_str(text: &str) -> Result<Self, DoorError> {
        let unknown = || DoorError::Pool(text.chars().take(80).collect());
        let mut parts = text.splitn(3, '-');
        let digest = parts.next().unwrap_or_default();
        let is_digest = digest.len() == 32 && digest.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_digest || parts.next().is_none() {
            return Err(unknown());
        }
        let Some(whole) = parts.next() else {
            return Ok(Self::Digest(digest.to_ascii_lowercase()));
        };
        let whole = URL_SAFE_NO_PAD.decode(whole).map_err(|_| unknown())?;
        let pool = serde_json::from_slice(&whole).map_err(|_| unknown())?;
        Ok(Self::Whole(Box::new(pool)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool {
            target: VspTarget {
                organization: "Enterprise".into(),
                domain: "Do-main".into(),
                zone: "Zöne".into(),
                subnet: "Subnet 2".into(),
                user: "admin".into(),
            },
            net: "10.21.59.0/24".parse().unwrap(),
            gateway: "10.21.59.1".parse().ok(),
            ids: None,
        }
    }

    #[test]
    fn an_id_says_which_subnet_and_no_two_are_alike() {
        let (one, other) = (pool().id().unwrap(), pool().id().unwrap());
        assert_ne!(one, other);
        for id in [one, other] {
            assert_eq!(
                id.parse::<PoolId>().unwrap(),
                PoolId::Whole(Box::new(pool()))
            );
        }
    }

    #[test]
    fn ids_of_earlier_plugins_are_a_digest_and_others_are_none() {
        let digest = digest(&pool().target);
        let old = format!("{digest}-0123456789").parse::<PoolId>().unwrap();
        assert_eq!(old, PoolId::Digest(digest.clone()));
        for bad in ["", "local/10.1.0.0/24", &digest, &format!("{digest}-01-!!")] {
            assert!(bad.parse::<PoolId>().is_err(), "{bad:?}");
        }
    }
}
