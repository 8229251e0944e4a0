//! Neighbours and forwarding entries: which hardware address is behind an address.

use super::Route;
use crate::KernelError;
use fairlead_types::Mac;
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use std::fmt;
use std::net::IpAddr;

const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;

/// A neighbour that is set and not learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// The index of the link.
    pub link: u32,
    /// Its address; for a forwarding entry of a VXLAN endpoint, the remote endpoint's.
    pub address: IpAddr,
    /// Its hardware address. In a forwarding entry all zeros stand for every address
    /// that has no entry; it may have several, one for each remote endpoint.
    pub mac: Mac,
    /// Whether it is an entry of the link's own forwarding table (VXLAN).
    pub forwarding: bool,
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} on link {}", self.address, self.mac, self.link)
    }
}

impl Route {
    /// Sets a permanent neighbour, in the place of what was known of that address. A
    /// forwarding entry takes the place of the one of its hardware address, unless
    /// that is no single station's: then it is one more. What is there already stays.
    ///
    /// # Errors
    /// [`KernelError::Refused`].
    pub fn set_neighbour(&mut self, neighbour: &Neighbour) -> Result<(), KernelError> {
        let several = neighbour.forwarding && is_of_many(neighbour.mac);
        let flags = NLM_F_CREATE | if several { NLM_F_APPEND } else { NLM_F_REPLACE };
        let message = neighbour_message(neighbour);
        self.ask(RTM_NEWNEIGH, flags, &message, "set neighbour", neighbour)
            .map(drop)
    }

    /// Forgets a neighbour. Returns whether it was known; of a forwarding entry that
    /// has others of the same hardware address the kernel always says so.
    ///
    /// # Errors
    /// [`KernelError::Refused`] other than 'no such neighbour'.
    pub fn delete_neighbour(&mut self, neighbour: &Neighbour) -> Result<bool, KernelError> {
        let message = neighbour_message(neighbour);
        match self.ask(RTM_DELNEIGH, 0, &message, "delete neighbour", neighbour) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The neighbours of a link that were set and not learnt, then the entries of its
    /// own forwarding table that were set and have a remote endpoint. This is what
    /// [`Route::set_neighbour`] made, and what others made like it.
    ///
    /// # Errors
    /// [`KernelError`] of the dump.
    pub fn neighbours(&mut self, link: u32) -> Result<Vec<Neighbour>, KernelError> {
        let mut list = self.neighbour_messages(link, AddressFamily::Unspec)?;
        let forwarding = self.neighbour_messages(link, AddressFamily::Bridge)?;
        // A port's entries in its bridge are listed too; those are the bridge's own.
        let own = |m: &NeighbourMessage| m.header.flags.contains(NeighbourFlags::Own);
        list.extend(forwarding.into_iter().filter(own));
        list.retain(|message| message.header.state == NeighbourState::Permanent);
        Ok(list.into_iter().filter_map(read_neighbour).collect())
    }

    fn neighbour_messages(
        &mut self,
        link: u32,
        family: AddressFamily,
    ) -> Result<Vec<NeighbourMessage>, KernelError> {
        let mut message = NeighbourMessage::default();
        message.header.family = family;
        message.attributes = vec![NeighbourAttribute::IfIndex(link)];
        let object = format_args!("neighbours of link {link}");
        let list = self.list(RTM_GETNEIGH, &message, "list", &object);
        let mut list: Vec<NeighbourMessage> = match list {
            Ok(list) => list,
            // The link is gone.
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error),
        };
        list.retain(|message| message.header.ifindex == link);
        Ok(list)
    }
}

/// Whether no single station has the address: all zeros, or a multicast address.
fn is_of_many(mac: Mac) -> bool {
    mac.0 == [0; 6] || mac.0[0] & 1 == 1
}

fn neighbour_message(neighbour: &Neighbour) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = match (neighbour.forwarding, neighbour.address) {
        (true, _) => AddressFamily::Bridge,
        (false, IpAddr::V4(_)) => AddressFamily::Inet,
        (false, IpAddr::V6(_)) => AddressFamily::Inet6,
    };
    message.header.ifindex = neighbour.link;
    message.header.state = NeighbourState::Permanent;
    message
        .header
        .flags
        .set(NeighbourFlags::Own, neighbour.forwarding);
    let address = match neighbour.address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    message.attributes = vec![
        NeighbourAttribute::Destination(address),
        NeighbourAttribute::LinkLayerAddress(neighbour.mac.0.to_vec()),
    ];
    message
}

fn read_neighbour(message: NeighbourMessage) -> Option<Neighbour> {
    let mut address = None;
    let mut mac = None;
    for attribute in message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => {
                address = Some(ip.into())
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => {
                address = Some(ip.into());
            }
            // The library reads no address in a forwarding entry.
            NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => {
                address = address_of(&bytes);
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.try_into().ok().map(Mac),
            _ => {}
        }
    }
    let forwarding = message.header.family == AddressFamily::Bridge;
    Some(Neighbour {
        link: message.header.ifindex,
        address: address?,
        mac: mac?,
        forwarding,
    })
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
    v4.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok())
}
