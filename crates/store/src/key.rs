//! Addresses as sortable blobs, and their arithmetic.
//!
//! A blob is one byte for the family, then the address in network order: all of
//! IPv4 sorts before all of IPv6, each in the order of its addresses, and the
//! two never lie between each other.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use std::net::IpAddr;

/// An address as the column type of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    bytes: [u8; 17],
    len: usize,
}

impl Key {
    /// The address it stands for.
    pub(crate) fn addr(&self) -> IpAddr {
        if self.len == 5 {
            let [_, a, b, c, d, ..] = self.bytes;
            IpAddr::from([a, b, c, d])
        } else {
            let mut octets = [0; 16];
            octets.copy_from_slice(&self.bytes[1..]);
            IpAddr::from(octets)
        }
    }
}

impl From<IpAddr> for Key {
    fn from(addr: IpAddr) -> Self {
        let mut bytes = [0; 17];
        let len = match addr {
            IpAddr::V4(v4) => {
                bytes[0] = 4;
                bytes[1..5].copy_from_slice(&v4.octets());
                5
            }
            IpAddr::V6(v6) => {
                bytes[0] = 6;
                bytes[1..].copy_from_slice(&v6.octets());
                17
            }
        };
        Self { bytes, len }
    }
}

impl ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(
            &self.bytes[..self.len],
        )))
    }
}

impl FromSql for Key {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let blob = value.as_blob()?;
        let mut bytes = [0; 17];
        match (blob.first(), blob.len()) {
            (Some(4), 5) | (Some(6), 17) => {
                bytes[..blob.len()].copy_from_slice(blob);
                Ok(Self {
                    bytes,
                    len: blob.len(),
                })
            }
            _ => Err(FromSqlError::InvalidBlobSize {
                expected_size: 17,
                blob_size: blob.len(),
            }),
        }
    }
}

/// The address after `addr`, none after the last of its family.
pub(crate) fn next(addr: IpAddr) -> Option<IpAddr> {
    match addr {
        IpAddr::V4(v4) => v4.to_bits().checked_add(1).map(|n| IpAddr::V4(n.into())),
        IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|n| IpAddr::V6(n.into())),
    }
}

/// The address before `addr`, none before the first of its family.
pub(crate) fn previous(addr: IpAddr) -> Option<IpAddr> {
    match addr {
        IpAddr::V4(v4) => v4.to_bits().checked_sub(1).map(|n| IpAddr::V4(n.into())),
        IpAddr::V6(v6) => v6.to_bits().checked_sub(1).map(|n| IpAddr::V6(n.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blob(addr: IpAddr) -> Vec<u8> {
        let key = Key::from(addr);
        key.bytes[..key.len].to_vec()
    }

    proptest! {
        #[test]
        fn blobs_sort_as_addresses_do(a: IpAddr, b: IpAddr) {
            prop_assert_eq!(a.cmp(&b), blob(a).cmp(&blob(b)));
            let back = Key::column_result(ValueRef::Blob(&blob(a)));
            prop_assert_eq!(back.map(|k| k.addr()).ok(), Some(a));
        }

        #[test]
        fn the_next_address_has_this_one_before_it(a: IpAddr) {
            if let Some(after) = next(a) {
                prop_assert!(after > a);
                prop_assert_eq!(previous(after), Some(a));
            }
        }
    }

    #[test]
    fn a_family_ends_without_running_into_the_other() {
        assert_eq!(next("255.255.255.255".parse().unwrap()), None);
        assert_eq!(previous("::".parse().unwrap()), None);
        assert!(Key::column_result(ValueRef::Blob(&[4, 1, 2, 3])).is_err());
    }
}
