//! What a table holds: chains, sets, elements, as values.

use super::wire;

/// The address family of a table (`NFPROTO_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 and IPv6 together.
    Inet,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Frames that a bridge forwards.
    Bridge,
}

impl Family {
    /// The kernel's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ipv4 => 2,
            Self::Bridge => 7,
            Self::Ipv6 => 10,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ipv4 => "ip",
            Self::Ipv6 => "ip6",
            Self::Bridge => "bridge",
        }
    }
}

/// A table's name; everything else is in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table<'a> {
    /// Which packets it sees.
    pub family: Family,
    /// Its name, unique in the family.
    pub name: &'a str,
}

impl std::fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "table {} {}", self.family.word(), self.name)
    }
}

/// Whether an object that exists already is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// An object that exists and has the same properties stays as it is.
    IfAbsent,
    /// An object that exists makes the transaction fail (`NLM_F_EXCL`).
    Exclusive,
}

/// Where in a packet's way a base chain is called (`NF_INET_*`, `NF_BR_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Before the routing decision.
    Prerouting,
    /// To this host.
    Input,
    /// Through this host.
    Forward,
    /// From this host.
    Output,
    /// After the routing decision.
    Postrouting,
}

impl Hook {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Input => 1,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }
}

/// What a base chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Accept and drop.
    Filter,
    /// Translate addresses; sees the first packet of a connection.
    Nat,
}

impl ChainKind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }
}

/// How a base chain is called. Its policy is to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// What it may do.
    pub kind: ChainKind,
    /// Where it is called.
    pub hook: Hook,
    /// The order among chains on the same hook, lowest first.
    pub priority: i32,
}

/// A chain: a base chain with a hook, or a regular one that others jump to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name, unique in the table.
    pub name: String,
    /// How it is called; none for a regular chain.
    pub base: Option<Base>,
}

/// The type of a key or value, or of one part of a concatenation. The numbers are
/// those the `nft` program uses to show them; the kernel only keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// An IPv4 address.
    Ipv4Address,
    /// An IPv6 address.
    Ipv6Address,
    /// A MAC address.
    EtherAddress,
    /// A transport protocol's number.
    Protocol,
    /// A port.
    Port,
    /// An interface name, 16 bytes closed by zeros.
    IfName,
}

impl DataType {
    const fn number(self) -> u32 {
        match self {
            Self::Ipv4Address => 7,
            Self::Ipv6Address => 8,
            Self::EtherAddress => 9,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::IfName => 41,
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Ipv4Address => 4,
            Self::Ipv6Address | Self::IfName => 16,
            Self::EtherAddress => 6,
            Self::Protocol => 1,
            Self::Port => 2,
        }
    }
}

/// A key's or value's type number: parts of a concatenation are six bits each.
pub(crate) fn type_number(parts: &[DataType]) -> u32 {
    parts.iter().fold(0, |sum, part| (sum << 6) | part.number())
}

/// A key's or value's length: each part of a concatenation starts on a register of
/// four bytes; a value that is no concatenation has its own length.
pub(crate) fn type_length(parts: &[DataType]) -> usize {
    match parts {
        [one] => one.length(),
        many => many.iter().map(|p| p.length().next_multiple_of(4)).sum(),
    }
}

/// Joins the parts of a concatenated key or value as the kernel compares them:
/// each in registers of four bytes, filled up with zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Concatenation(Vec<u8>);

impl Concatenation {
    /// With nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With `part` behind what is there.
    #[must_use]
    pub fn then(mut self, part: &[u8]) -> Self {
        self.0.extend_from_slice(part);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// The bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A set of keys, or a map from keys to values when `value` is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name, unique in the table.
    pub name: String,
    /// The key's parts, at least one.
    pub key: Vec<DataType>,
    /// The value's parts; empty for a set.
    pub value: Vec<DataType>,
    /// Whether elements are ranges. Such sets are copied at each change of theirs.
    pub interval: bool,
}

/// One element of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// The key.
    pub key: Vec<u8>,
    /// The value, in a map.
    pub value: Option<Vec<u8>>,
    /// In a set of ranges: this key is the first that is outside the range begun
    /// by the one before.
    pub range_end: bool,
}

const ELEM_KEY: u16 = 1;
const ELEM_DATA: u16 = 2;
const ELEM_FLAGS: u16 = 3;
const INTERVAL_END: u32 = 1;
const DATA_VALUE: u16 = 1;

impl Element {
    /// An element of a set.
    #[must_use]
    pub fn key(key: Vec<u8>) -> Self {
        Self {
            key,
            value: None,
            range_end: false,
        }
    }

    /// An element of a map.
    #[must_use]
    pub fn pair(key: Vec<u8>, value: Vec<u8>) -> Self {
        Self {
            key,
            value: Some(value),
            range_end: false,
        }
    }

    pub(crate) fn write(&self, buffer: &mut Vec<u8>, with_value: bool) {
        if self.range_end {
            wire::put_u32(buffer, ELEM_FLAGS, INTERVAL_END);
        }
        wire::nest(buffer, ELEM_KEY, |b| wire::put(b, DATA_VALUE, &self.key));
        if let Some(value) = self.value.as_ref().filter(|_| with_value) {
            wire::nest(buffer, ELEM_DATA, |b| wire::put(b, DATA_VALUE, value));
        }
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let key = wire::find_path(bytes, &[ELEM_KEY, DATA_VALUE])?;
        let flags = wire::find(bytes, ELEM_FLAGS).and_then(wire::number);
        Some(Self {
            key: key.to_vec(),
            value: wire::find_path(bytes, &[ELEM_DATA, DATA_VALUE]).map(<[u8]>::to_vec),
            range_end: flags.unwrap_or(0) & INTERVAL_END != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_concatenation_has_a_type_and_a_length_of_its_parts() {
        let key = [DataType::Protocol, DataType::Port];
        assert_eq!((type_number(&key), type_length(&key)), (0x30d, 8));
        let host = [DataType::Ipv6Address, DataType::Protocol, DataType::Port];
        assert_eq!((type_number(&host), type_length(&host)), (0x830d, 24));
        assert_eq!(type_length(&[DataType::EtherAddress]), 6);
    }

    #[test]
    fn the_parts_of_a_concatenation_start_on_registers() {
        let key = Concatenation::new().then(&[6]).then(&[0x1f, 0x90]).finish();
        assert_eq!(key, [6, 0, 0, 0, 0x1f, 0x90, 0, 0]);
    }

    #[test]
    fn an_element_is_read_as_it_was_written() {
        let element = Element {
            range_end: true,
            ..Element::pair(vec![1, 2, 3, 4], vec![5, 6])
        };
        let mut buffer = Vec::new();
        element.write(&mut buffer, true);
        assert_eq!(Element::read(&buffer), Some(element));
        assert_eq!(Element::read(&[]), None);
    }
}
