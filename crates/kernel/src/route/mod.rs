//! Routing netlink: links, addresses, routes, rules and neighbours of one namespace.
//!
//! A [`Route`] is a socket in the namespace where it was opened; it stays there
//! whichever thread uses it, so a program opens one per namespace and keeps it.

mod address;
mod bridge;
mod entry;
mod link;
mod neighbour;
mod new_link;
mod rule;
mod together;
mod tunnel;

pub use address::{Address, AddressOptions};
pub use bridge::{PortOptions, VlanRange};
pub use entry::{IpFamily, NextHop, RouteEntry, RouteMetrics};
pub use link::{Link, LinkChange, LinkKind};
pub use neighbour::Neighbour;
pub use new_link::{MacvlanMode, NewLink, NewLinkKind, Peer, Vxlan};
pub use rule::Rule;
pub use tunnel::{Tunnel, TunnelKind};

use crate::{KernelError, NetNs, Socket, SocketKind};
use netlink_packet_core::{Emitable, Parseable};

/// A handle on the links, addresses, routes, rules and neighbours of one namespace.
#[derive(Debug)]
pub struct Route {
    socket: Socket,
}

impl Route {
    /// Opens a handle on the namespace of the calling thread.
    ///
    /// # Errors
    /// [`KernelError::Io`] when no socket can be had.
    pub fn open() -> Result<Self, KernelError> {
        Ok(Self {
            socket: Socket::open(SocketKind::Route)?,
        })
    }

    /// Opens a handle on `namespace`.
    ///
    /// # Errors
    /// [`KernelError::Io`] when it cannot be entered or no socket can be had.
    pub fn open_in(namespace: &NetNs) -> Result<Self, KernelError> {
        namespace.run(Self::open)?
    }

    fn ask(
        &mut self,
        kind: u16,
        flags: u16,
        message: &impl Emitable,
        operation: &'static str,
        object: &dyn std::fmt::Display,
    ) -> Result<crate::Dump, KernelError> {
        self.socket
            .request(kind, flags, &emit(message), operation, object)
    }

    fn list<M: Parseable<[u8]>>(
        &mut self,
        kind: u16,
        message: &impl Emitable,
        operation: &'static str,
        object: &dyn std::fmt::Display,
    ) -> Result<Vec<M>, KernelError> {
        let answers = self.socket.dump(kind, &emit(message), operation, object)?;
        answers
            .iter()
            .map(|(_, payload)| parse(payload, operation, object))
            .collect()
    }
}

fn emit(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

fn parse<M: Parseable<[u8]>>(
    payload: &[u8],
    operation: &'static str,
    object: &dyn std::fmt::Display,
) -> Result<M, KernelError> {
    M::parse(payload).map_err(|e| KernelError::Answer {
        operation,
        object: object.to_string(),
        reason: e.to_string(),
    })
}
