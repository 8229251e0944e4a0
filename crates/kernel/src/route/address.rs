//! Addresses of links.

use super::Route;
use crate::KernelError;
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use std::fmt;
use std::net::IpAddr;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The index of the link.
    pub index: u32,
    /// The address with the length of its on-link prefix.
    pub net: IpNet,
    /// IPv6: duplicate address detection is not over yet.
    pub tentative: bool,
    /// IPv6: another station has the address.
    pub duplicate: bool,
    /// Whether the kernel made it, as it makes `fe80::` addresses.
    pub link_local: bool,
}

/// How an address is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddressOptions {
    /// IPv6: use it at once, without duplicate address detection.
    pub no_dad: bool,
    /// Do not make the route to the on-link prefix.
    pub no_prefix_route: bool,
}

impl Route {
    /// Adds an address to a link.
    ///
    /// # Errors
    /// [`KernelError::Refused`]; ask [`KernelError::is_exists`] for 'has it already'.
    pub fn add_address(
        &mut self,
        index: u32,
        net: IpNet,
        options: AddressOptions,
        link: &dyn fmt::Display,
    ) -> Result<(), KernelError> {
        let mut message = address_message(index, net);
        if let IpNet::V4(net) = net
            && net.prefix_len() < 31
        {
            message
                .attributes
                .push(AddressAttribute::Broadcast(net.broadcast()));
        }
        let mut flags = AddressFlags::empty();
        flags.set(AddressFlags::Nodad, options.no_dad && net.addr().is_ipv6());
        flags.set(AddressFlags::Noprefixroute, options.no_prefix_route);
        if !flags.is_empty() {
            message.attributes.push(AddressAttribute::Flags(flags));
        }
        let object = format_args!("{net} to {link}");
        self.ask(
            RTM_NEWADDR,
            NLM_F_CREATE | NLM_F_EXCL,
            &message,
            "add address",
            &object,
        )
        .map(drop)
    }

    /// Takes an address from a link. Returns whether it had it.
    ///
    /// # Errors
    /// [`KernelError::Refused`] other than 'no such address'.
    pub fn delete_address(
        &mut self,
        index: u32,
        net: IpNet,
        link: &dyn fmt::Display,
    ) -> Result<bool, KernelError> {
        let message = address_message(index, net);
        let object = format_args!("{net} of {link}");
        match self.ask(RTM_DELADDR, 0, &message, "delete address", &object) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The addresses of the link with that index, or of all links for 0.
    ///
    /// # Errors
    /// [`KernelError`] of the dump.
    pub fn addresses(&mut self, index: u32) -> Result<Vec<Address>, KernelError> {
        let mut message = AddressMessage::default();
        message.header.index = index;
        let list: Result<Vec<AddressMessage>, _> =
            self.list(RTM_GETADDR, &message, "list", &"addresses");
        match list {
            Ok(list) => Ok(list.into_iter().filter_map(read_address).collect()),
            // The filter names a link that is gone: it has no address.
            Err(error) if error.is_not_found() && index != 0 => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn address_message(index: u32, net: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = net.prefix_len();
    message.header.family = match net {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.attributes = vec![
        AddressAttribute::Local(net.addr()),
        AddressAttribute::Address(net.addr()),
    ];
    message
}

fn read_address(message: AddressMessage) -> Option<Address> {
    let mut local = None;
    let mut address = None;
    let mut flags = AddressFlags::empty();
    for attribute in message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(ip),
            AddressAttribute::Address(ip) => address = Some(ip),
            AddressAttribute::Flags(read) => flags = read,
            _ => {}
        }
    }
    let ip: IpAddr = local.or(address)?;
    Some(Address {
        index: message.header.index,
        net: IpNet::new(ip, message.header.prefix_len).ok()?,
        tentative: flags.contains(AddressFlags::Tentative),
        duplicate: flags.contains(AddressFlags::Dadfailed),
        link_local: message.header.scope == AddressScope::Link,
    })
}
