//! Records as people and other programs read them.

use crate::name;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The type of a record or of a question (RFC 1035, 3.2.2), by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RType(pub u16);

impl RType {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// A server of a zone.
    pub const NS: Self = Self(2);
    /// Another name of a name.
    pub const CNAME: Self = Self(5);
    /// The start of a zone of authority.
    pub const SOA: Self = Self(6);
    /// The name of an address.
    pub const PTR: Self = Self(12);
    /// A server of mail.
    pub const MX: Self = Self(15);
    /// Text.
    pub const TXT: Self = Self(16);
    /// An IPv6 address (RFC 3596).
    pub const AAAA: Self = Self(28);
    /// Where a service is (RFC 2782).
    pub const SRV: Self = Self(33);
    /// What EDNS adds to a message (RFC 6891); no record of a zone.
    pub const OPT: Self = Self(41);
    /// The question for what changed in a zone (RFC 1995).
    pub const IXFR: Self = Self(251);
    /// The question for a whole zone (RFC 5936).
    pub const AXFR: Self = Self(252);
    /// The question for any type (RFC 8482).
    pub const ANY: Self = Self(255);
}

const NAMES: [(RType, &str); 13] = [
    (RType::A, "A"),
    (RType::NS, "NS"),
    (RType::CNAME, "CNAME"),
    (RType::SOA, "SOA"),
    (RType::PTR, "PTR"),
    (RType::MX, "MX"),
    (RType::TXT, "TXT"),
    (RType::AAAA, "AAAA"),
    (RType::SRV, "SRV"),
    (RType::OPT, "OPT"),
    (RType::IXFR, "IXFR"),
    (RType::AXFR, "AXFR"),
    (RType::ANY, "ANY"),
];

impl fmt::Display for RType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(rtype, _)| rtype == self) {
            Some((_, name)) => f.pad(name),
            // RFC 3597, 5.
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

/// A text that names no type of records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no type of records: A, AAAA, SRV, PTR, NS, SOA, CNAME, MX, TXT, ANY or TYPE and a number is wanted"
)]
pub struct RTypeError(pub String);

impl FromStr for RType {
    type Err = RTypeError;
    fn from_str(text: &str) -> Result<Self, RTypeError> {
        let named = NAMES
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text));
        let number = || {
            let (word, number) = text.split_at_checked(4)?;
            let number = number.parse().ok().filter(|_| !number.starts_with('+'))?;
            word.eq_ignore_ascii_case("TYPE").then_some(Self(number))
        };
        let rtype = named.map(|(rtype, _)| *rtype).or_else(number);
        rtype.ok_or_else(|| RTypeError(text.to_owned()))
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The name, with its final dot.
    pub name: String,
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// The rest.
    pub data: RecordData,
}

/// What a record says. Names in it have their final dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordData {
    /// The start of a zone.
    Soa {
        /// The first server.
        mname: String,
        /// Whom to write to, with a dot for the `@`.
        rname: String,
        /// Moves with each change (RFC 1982).
        serial: u32,
        /// Seconds until a secondary looks again.
        refresh: u32,
        /// Seconds until it tries again.
        retry: u32,
        /// Seconds for which it serves without having reached the first.
        expire: u32,
        /// Seconds for which 'there is none' may be kept (RFC 2308).
        minimum: u32,
    },
    /// A server of the zone.
    Ns(String),
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Where a service is.
    Srv {
        /// The lowest is tried first.
        priority: u16,
        /// The share of questions among equals.
        weight: u16,
        /// The port.
        port: u16,
        /// The name of the host.
        target: String,
    },
    /// The name of an address.
    Ptr(String),
    /// Another name.
    Cname(String),
    /// Anything else, as bytes.
    Other {
        /// The type.
        rtype: RType,
        /// The data.
        data: Vec<u8>,
    },
}

impl RecordData {
    /// The type.
    #[must_use]
    pub fn rtype(&self) -> RType {
        match self {
            Self::Soa { .. } => RType::SOA,
            Self::Ns(_) => RType::NS,
            Self::A(_) => RType::A,
            Self::Aaaa(_) => RType::AAAA,
            Self::Srv { .. } => RType::SRV,
            Self::Ptr(_) => RType::PTR,
            Self::Cname(_) => RType::CNAME,
            Self::Other { rtype, .. } => *rtype,
        }
    }

    /// The type's name, as `SRV`.
    #[must_use]
    pub fn type_name(&self) -> String {
        self.rtype().to_string()
    }

    /// Reads the data of a record at `at` of a message, `length` bytes; names in it may
    /// point back into the message.
    pub(crate) fn read(message: &[u8], at: usize, length: usize, rtype: RType) -> Option<Self> {
        let data = message.get(at..at + length)?;
        let word = |at: usize| Some(u16::from_be_bytes(*data.get(at..)?.first_chunk()?));
        let name = |from: usize| {
            let (name, end) = crate::message::read_name(message, from)?;
            (end <= at + length).then_some((name::text(&name), end))
        };
        Some(match rtype {
            RType::A => Self::A(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?)),
            RType::AAAA => Self::Aaaa(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?)),
            RType::NS => Self::Ns(name(at)?.0),
            RType::PTR => Self::Ptr(name(at)?.0),
            RType::CNAME => Self::Cname(name(at)?.0),
            RType::SRV => Self::Srv {
                priority: word(0)?,
                weight: word(2)?,
                port: word(4)?,
                target: name(at + 6)?.0,
            },
            RType::SOA => {
                let (mname, next) = name(at)?;
                let (rname, end) = name(next)?;
                let number = |i: usize| {
                    let bytes = message.get(end + 4 * i..at + length)?;
                    Some(u32::from_be_bytes(*bytes.first_chunk()?))
                };
                Self::Soa {
                    mname,
                    rname,
                    serial: number(0)?,
                    refresh: number(1)?,
                    retry: number(2)?,
                    expire: number(3)?,
                    minimum: number(4)?,
                }
            }
            rtype => Self::Other {
                rtype,
                data: data.to_owned(),
            },
        })
    }
}

impl fmt::Display for RecordData {
    /// Presentation form: what stands behind the type in a zone's file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Soa {
                mname,
                rname,
                serial,
                refresh,
                retry,
                expire,
                minimum,
            } => write!(
                f,
                "{mname} {rname} {serial} {refresh} {retry} {expire} {minimum}"
            ),
            Self::Ns(name) | Self::Ptr(name) | Self::Cname(name) => f.write_str(name),
            Self::A(ip) => write!(f, "{ip}"),
            Self::Aaaa(ip) => write!(f, "{ip}"),
            Self::Srv {
                priority,
                weight,
                port,
                target,
            } => write!(f, "{priority} {weight} {port} {target}"),
            // RFC 3597, 5.
            Self::Other { data, .. } => {
                write!(f, "\\# {}", data.len())?;
                if !data.is_empty() {
                    f.write_str(" ")?;
                }
                data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_goes_by_name_or_number() {
        for (text, rtype) in [("a", RType::A), ("SRV", RType::SRV), ("type33", RType::SRV)] {
            assert_eq!(text.parse(), Ok(rtype));
        }
        assert_eq!(RType(65).to_string(), "TYPE65");
        for bad in ["", "B", "TYPE", "TYPE+1", "TYPE65536", "TYPÉ1"] {
            assert!(bad.parse::<RType>().is_err(), "{bad}");
        }
    }
}
