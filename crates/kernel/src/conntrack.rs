//! Connection tracking entries: flush those that an address or port change made wrong.
//!
//! A connection keeps the translation it began with. A port that is published,
//! unpublished or given to another container must therefore have its old entries
//! flushed; UDP needs this most, since a client may use one port forever.
//!
//! Numbers are those of `linux/netfilter/nfnetlink_conntrack.h`.

use crate::nft::wire::{find, find_path, nest, put};
use crate::{KernelError, Socket, SocketKind};
use fairlead_types::Protocol;
use rustix::io::Errno;
use std::fmt;
use std::net::IpAddr;

const SUBSYSTEM: u16 = 1;
const GET: u16 = SUBSYSTEM << 8 | 1;
const DELETE: u16 = SUBSYSTEM << 8 | 2;

const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;

const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const PROTOCOL_NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;

/// Bits of `CTA_FILTER_ORIG_FLAGS`: which parts of the tuple count.
mod part {
    pub(super) const SOURCE: u32 = 1;
    pub(super) const DESTINATION: u32 = 1 << 1;
    pub(super) const PROTOCOL: u32 = 1 << 3;
    pub(super) const SOURCE_PORT: u32 = 1 << 4;
    pub(super) const DESTINATION_PORT: u32 = 1 << 5;
}

/// What one direction of a connection must have; what is not given may be anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Direction {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    protocol: Option<Protocol>,
    source_port: Option<u16>,
    destination_port: Option<u16>,
}

/// Which entries are meant. It always has a condition, so that no mistake flushes
/// every connection of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    v6: bool,
    original: Direction,
    reply: Direction,
}

impl Filter {
    const fn any(v6: bool) -> Self {
        const NONE: Direction = Direction {
            source: None,
            destination: None,
            protocol: None,
            source_port: None,
            destination_port: None,
        };
        Self {
            v6,
            original: NONE,
            reply: NONE,
        }
    }

    /// Connections made to a port, as their sender sees it; of IPv6 or of IPv4.
    #[must_use]
    pub const fn to_port(v6: bool, protocol: Protocol, port: u16) -> Self {
        let mut filter = Self::any(v6);
        filter.original.protocol = Some(protocol);
        filter.original.destination_port = Some(port);
        filter
    }

    /// Connections made by an address.
    #[must_use]
    pub const fn from_address(address: IpAddr) -> Self {
        let mut filter = Self::any(address.is_ipv6());
        filter.original.source = Some(address);
        filter
    }

    /// Connections made to an address, as their sender sees it.
    #[must_use]
    pub const fn to_address(address: IpAddr) -> Self {
        let mut filter = Self::any(address.is_ipv6());
        filter.original.destination = Some(address);
        filter
    }

    /// Connections that an address answers, whatever their sender sees: those that
    /// a published port led to it are among them.
    #[must_use]
    pub const fn answered_by(address: IpAddr) -> Self {
        let mut filter = Self::any(address.is_ipv6());
        filter.reply.source = Some(address);
        filter
    }

    /// Of these, the ones made to `address`. An address of the other family matches
    /// nothing.
    #[must_use]
    pub const fn and_to_address(mut self, address: IpAddr) -> Self {
        self.original.destination = Some(address);
        self
    }

    /// Of these, the ones that `address` answers.
    #[must_use]
    pub const fn and_answered_by(mut self, address: IpAddr) -> Self {
        self.reply.source = Some(address);
        self
    }

    /// Of these, the ones that are answered from `port`.
    #[must_use]
    pub const fn and_answered_from(mut self, protocol: Protocol, port: u16) -> Self {
        self.reply.protocol = Some(protocol);
        self.reply.source_port = Some(port);
        self
    }

    /// Of these, the ones of `protocol`.
    #[must_use]
    pub const fn and_protocol(mut self, protocol: Protocol) -> Self {
        self.original.protocol = Some(protocol);
        self
    }

    /// Whether both directions are of the filter's family; if not, nothing matches.
    fn is_possible(&self) -> bool {
        [self.original, self.reply]
            .iter()
            .flat_map(|d| [d.source, d.destination])
            .flatten()
            .all(|address| address.is_ipv6() == self.v6)
    }

    fn matches(&self, entry: &[u8]) -> bool {
        let of = |kind| find(entry, kind).unwrap_or_default();
        self.original.matches(of(TUPLE_ORIGINAL)) && self.reply.matches(of(TUPLE_REPLY))
    }

    /// The filter without IPv6 addresses, which the kernel cannot be trusted with: it
    /// takes the entries that have another address (seen on Linux 6.18).
    fn for_kernel(&self) -> Self {
        let without = |direction: Direction| Direction {
            source: direction.source.filter(IpAddr::is_ipv4),
            destination: direction.destination.filter(IpAddr::is_ipv4),
            ..direction
        };
        Self {
            v6: self.v6,
            original: without(self.original),
            reply: without(self.reply),
        }
    }

    /// The filter as the kernel takes it (`CTA_FILTER`, Linux 5.8 for dumps and
    /// 6.12 for flushes). The version must be 1 for a flush to mind the family.
    fn payload(&self) -> Vec<u8> {
        let mut b = vec![self.family(), 1, 0, 0];
        let directions = [(TUPLE_ORIGINAL, self.original), (TUPLE_REPLY, self.reply)];
        for (kind, direction) in directions {
            if direction.parts() != 0 {
                nest(&mut b, kind, |b| direction.write(b));
            }
        }
        if directions.iter().all(|(_, d)| d.parts() == 0) {
            return b;
        }
        nest(&mut b, FILTER, |b| {
            for (kind, direction) in directions {
                // The numbers 1 and 2 again, here of the flags; in host order.
                put(b, kind, &direction.parts().to_ne_bytes());
            }
        });
        b
    }

    fn family(&self) -> u8 {
        // AF_INET6 and AF_INET
        if self.v6 { 10 } else { 2 }
    }
}

impl Direction {
    fn parts(&self) -> u32 {
        let bit = |given, bit| if given { bit } else { 0 };
        bit(self.source.is_some(), part::SOURCE)
            | bit(self.destination.is_some(), part::DESTINATION)
            | bit(self.protocol.is_some(), part::PROTOCOL)
            | bit(self.source_port.is_some(), part::SOURCE_PORT)
            | bit(self.destination_port.is_some(), part::DESTINATION_PORT)
    }

    fn write(&self, b: &mut Vec<u8>) {
        let addresses = [(self.source, true), (self.destination, false)];
        if self.source.is_some() || self.destination.is_some() {
            nest(b, TUPLE_IP, |b| {
                for (address, is_source) in addresses {
                    match address {
                        Some(IpAddr::V4(ip)) => put(b, ip_kind(false, is_source), &ip.octets()),
                        Some(IpAddr::V6(ip)) => put(b, ip_kind(true, is_source), &ip.octets()),
                        None => {}
                    }
                }
            });
        }
        let Some(protocol) = self.protocol else {
            return;
        };
        nest(b, TUPLE_PROTOCOL, |b| {
            put(b, PROTOCOL_NUMBER, &[protocol.number()]);
            if let Some(port) = self.source_port {
                put(b, SOURCE_PORT, &port.to_be_bytes());
            }
            if let Some(port) = self.destination_port {
                put(b, DESTINATION_PORT, &port.to_be_bytes());
            }
        });
    }

    fn matches(&self, tuple: &[u8]) -> bool {
        let address = |wanted: Option<IpAddr>, is_source| {
            wanted.is_none_or(|ip| {
                let found = find_path(tuple, &[TUPLE_IP, ip_kind(ip.is_ipv6(), is_source)]);
                match ip {
                    IpAddr::V4(ip) => found == Some(&ip.octets()),
                    IpAddr::V6(ip) => found == Some(&ip.octets()),
                }
            })
        };
        let port = |wanted: Option<u16>, kind| {
            wanted.is_none_or(|port| {
                find_path(tuple, &[TUPLE_PROTOCOL, kind]) == Some(&port.to_be_bytes())
            })
        };
        let protocol = self.protocol.is_none_or(|protocol| {
            find_path(tuple, &[TUPLE_PROTOCOL, PROTOCOL_NUMBER]) == Some(&[protocol.number()])
        });
        protocol
            && address(self.source, true)
            && address(self.destination, false)
            && port(self.source_port, SOURCE_PORT)
            && port(self.destination_port, DESTINATION_PORT)
    }
}

const fn ip_kind(v6: bool, is_source: bool) -> u16 {
    match (v6, is_source) {
        (false, true) => 1,
        (false, false) => 2,
        (true, true) => 3,
        (true, false) => 4,
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(protocol) = self.protocol {
            write!(f, " {protocol}")?;
        }
        let ends = [
            ("from", self.source, self.source_port),
            ("to", self.destination, self.destination_port),
        ];
        for (word, address, port) in ends {
            match (address, port) {
                (Some(address), Some(port)) => write!(f, " {word} {address} port {port}")?,
                (Some(address), None) => write!(f, " {word} {address}")?,
                (None, Some(port)) => write!(f, " {word} port {port}")?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", if self.v6 { "IPv6" } else { "IPv4" })?;
        self.original.fmt(f)?;
        if self.reply != Direction::default() {
            f.write_str(", answered")?;
            self.reply.fmt(f)?;
        }
        Ok(())
    }
}

/// A handle on the connections of one network namespace.
#[derive(Debug)]
pub struct Conntrack {
    socket: Socket,
}

impl Conntrack {
    /// Opens a handle for the network namespace of this thread.
    ///
    /// # Errors
    /// [`KernelError::Io`] when the socket cannot be opened.
    pub fn open() -> Result<Self, KernelError> {
        Socket::open(SocketKind::Netfilter).map(|socket| Self { socket })
    }

    /// Flushes the entries that match. One message where the kernel has filters for
    /// that (Linux 6.12, and no IPv6 address); else the matching ones are listed and deleted.
    ///
    /// # Errors
    /// [`KernelError::Refused`], [`KernelError::Interrupted`].
    pub fn flush(&mut self, filter: &Filter) -> Result<(), KernelError> {
        if !filter.is_possible() {
            return Ok(());
        }
        if filter.for_kernel() != *filter {
            return self.flush_listed(filter);
        }
        const OPERATION: &str = "flush connections";
        match self
            .socket
            .request(DELETE, 0, &filter.payload(), OPERATION, filter)
        {
            Ok(_) => Ok(()),
            // An older kernel takes the tuple for that of one connection and finds it
            // incomplete, or says that it has no filter.
            Err(e) if e.is_unsupported() || e.is_not_found() || e.errno() == Some(Errno::INVAL) => {
                self.flush_listed(filter)
            }
            Err(e) => Err(e),
        }
    }

    fn flush_listed(&mut self, filter: &Filter) -> Result<(), KernelError> {
        let payload = filter.for_kernel().payload();
        let entries = self
            .socket
            .dump(GET, &payload, "list connections", filter)?;
        for (_, payload) in entries {
            let entry = payload.get(4..).unwrap_or_default();
            // A kernel before 5.8 lists all there are.
            if filter.matches(entry) {
                self.delete(filter, entry)?;
            }
        }
        Ok(())
    }

    /// Deletes one entry, told by its own tuple, zone and id, so that a connection
    /// that took its place meanwhile is left alone.
    fn delete(&mut self, filter: &Filter, entry: &[u8]) -> Result<(), KernelError> {
        let mut payload = vec![filter.family(), 0, 0, 0];
        if let Some(tuple) = find(entry, TUPLE_ORIGINAL) {
            nest(&mut payload, TUPLE_ORIGINAL, |b| b.extend_from_slice(tuple));
        } else {
            return Ok(());
        }
        for kind in [ID, ZONE] {
            if let Some(value) = find(entry, kind) {
                put(&mut payload, kind, value);
            }
        }
        match self
            .socket
            .request(DELETE, 0, &payload, "delete connection", filter)
        {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
