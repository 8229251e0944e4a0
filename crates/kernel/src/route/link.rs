//! Links: find, list, change, delete.

use super::{Route, Tunnel, Vxlan, new_link, tunnel};
use crate::KernelError;
use fairlead_types::{IfName, Mac};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, LinkAttribute, LinkExtentMask,
    LinkFlags, LinkInfo, LinkMessage,
};
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

pub(super) const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;

/// A network interface, as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Its number in its namespace, from 1.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it is; `None` for a physical device or the loopback interface.
    pub kind: Option<LinkKind>,
    /// Its hardware address, if it has one of six bytes.
    pub mac: Option<Mac>,
    /// The greatest packet it takes, in bytes.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it is up and has a carrier.
    pub running: bool,
    /// Whether it is the loopback interface.
    pub loopback: bool,
    /// The number of users that made it promiscuous.
    pub promiscuity: u32,
    /// The link it is a port of.
    pub master: Option<u32>,
    /// The index of the link it is paired with or lies upon.
    pub parent: Option<u32>,
    /// Its link group, 0 by default.
    pub group: u32,
    /// The text a person or program gave it.
    pub alias: Option<String>,
    /// For a tunnel between two addresses: which; `None` for one that a [`Tunnel`]
    /// cannot stand for, as the kernel's own `tunl0`, `gre0`, `ip6gre0` and `ip6tnl0`.
    pub tunnel: Option<Tunnel>,
    /// For a VXLAN endpoint: its properties.
    pub vxlan: Option<Vxlan>,
    /// For a bridge: whether it filters by VLAN.
    pub vlan_filtering: bool,
    /// For a port of a bridge: whether frames may leave by the port they came by.
    pub hairpin: bool,
    /// For a port of a bridge: whether it is kept apart from other such ports.
    pub isolated: bool,
}

/// The kind of a virtual link, by the kernel's name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge.
    Bridge,
    /// One end of a virtual cable.
    Veth,
    /// A station of its own on a parent link.
    Macvlan,
    /// A VXLAN endpoint.
    Vxlan,
    /// A tunnel of IPv4 in IPv4.
    Ipip,
    /// A GRE tunnel over IPv4.
    Gre,
    /// A GRE tunnel over IPv6, the kernel's `ip6gre`.
    Gre6,
    /// A tunnel over IPv6 for IPv6, IPv4 or both.
    Ip6tnl,
    /// Any other kind.
    Other(String),
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bridge => "bridge",
            Self::Veth => "veth",
            Self::Macvlan => "macvlan",
            Self::Vxlan => "vxlan",
            Self::Ipip => "ipip",
            Self::Gre => "gre",
            Self::Gre6 => "ip6gre",
            Self::Ip6tnl => "ip6tnl",
            Self::Other(name) => name,
        })
    }
}

/// What to change of a link; `None` leaves a property as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkChange {
    /// Up or down.
    pub up: Option<bool>,
    /// The greatest packet, in bytes.
    pub mtu: Option<u32>,
    /// The hardware address.
    pub mac: Option<Mac>,
    /// The bridge it becomes a port of.
    pub master: Option<u32>,
    /// Its link group.
    pub group: Option<u32>,
    /// A text for people.
    pub alias: Option<String>,
    /// A new name; the link must be down on kernels before 6.2.
    pub name: Option<IfName>,
    /// Promiscuous or not.
    pub promiscuous: Option<bool>,
}

impl Route {
    /// The link of that name, if there is one.
    ///
    /// # Errors
    /// [`KernelError`] other than 'no such device'.
    pub fn link(&mut self, name: &IfName) -> Result<Option<Link>, KernelError> {
        self.find_link(0, Some(name), name)
    }

    /// The link with that index, if there is one.
    ///
    /// # Errors
    /// [`KernelError`] other than 'no such device'.
    pub fn link_by_index(&mut self, index: u32) -> Result<Option<Link>, KernelError> {
        self.find_link(index, None, &index)
    }

    fn find_link(
        &mut self,
        index: u32,
        name: Option<&IfName>,
        object: &dyn fmt::Display,
    ) -> Result<Option<Link>, KernelError> {
        const OPERATION: &str = "find link";
        let mut message = link_message(index);
        message
            .attributes
            .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        if let Some(name) = name {
            message
                .attributes
                .push(LinkAttribute::IfName(name.to_string()));
        }
        match self.ask(RTM_GETLINK, 0, &message, OPERATION, object) {
            Ok(answers) => answers
                .first()
                .map(|(_, payload)| super::parse(payload, OPERATION, object).map(read_link))
                .transpose(),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every link of the namespace.
    ///
    /// # Errors
    /// [`KernelError`] of the dump.
    pub fn links(&mut self) -> Result<Vec<Link>, KernelError> {
        let mut message = link_message(0);
        message
            .attributes
            .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let links: Vec<LinkMessage> = self.list(RTM_GETLINK, &message, "list", &"links")?;
        Ok(links.into_iter().map(read_link).collect())
    }

    /// Changes properties of a link, all in one message.
    ///
    /// # Errors
    /// [`KernelError::Refused`]; nothing is undone that the kernel did before it refused.
    pub fn change_link(
        &mut self,
        index: u32,
        change: &LinkChange,
        object: &dyn fmt::Display,
    ) -> Result<(), KernelError> {
        let mut message = link_message(index);
        let mut flag = |wanted: Option<bool>, flag: LinkFlags| {
            if let Some(wanted) = wanted {
                message.header.change_mask |= flag;
                message.header.flags.set(flag, wanted);
            }
        };
        flag(change.up, LinkFlags::Up);
        flag(change.promiscuous, LinkFlags::Promisc);
        let attributes = [
            change.mtu.map(LinkAttribute::Mtu),
            change.mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())),
            change.master.map(LinkAttribute::Controller),
            change.group.map(LinkAttribute::Group),
            change.alias.clone().map(LinkAttribute::IfAlias),
            change
                .name
                .as_ref()
                .map(|name| LinkAttribute::IfName(name.to_string())),
        ];
        message.attributes.extend(attributes.into_iter().flatten());
        self.ask(RTM_NEWLINK, 0, &message, "change link", object)
            .map(drop)
    }

    /// Sets a link up.
    ///
    /// # Errors
    /// [`KernelError::Refused`].
    pub fn set_up(&mut self, index: u32, object: &dyn fmt::Display) -> Result<(), KernelError> {
        self.change_link(
            index,
            &LinkChange {
                up: Some(true),
                ..LinkChange::default()
            },
            object,
        )
    }

    /// Moves a link into another namespace.
    ///
    /// # Errors
    /// [`KernelError::Refused`], for instance when the name is taken there.
    pub fn move_link(
        &mut self,
        index: u32,
        namespace: BorrowedFd<'_>,
        object: &dyn fmt::Display,
    ) -> Result<(), KernelError> {
        let mut message = link_message(index);
        message
            .attributes
            .push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
        self.ask(RTM_NEWLINK, 0, &message, "move link", object)
            .map(drop)
    }

    /// Deletes the link with that index, and with one end of a virtual cable the other.
    ///
    /// # Errors
    /// [`KernelError::Refused`]; ask [`KernelError::is_not_found`] for 'already gone'.
    pub fn delete_link(
        &mut self,
        index: u32,
        object: &dyn fmt::Display,
    ) -> Result<(), KernelError> {
        self.ask(RTM_DELLINK, 0, &link_message(index), "delete link", object)
            .map(drop)
    }

    /// Deletes the link of that name. Returns whether there was one.
    ///
    /// # Errors
    /// [`KernelError::Refused`] other than 'no such device'.
    pub fn delete_link_named(&mut self, name: &IfName) -> Result<bool, KernelError> {
        let mut message = link_message(0);
        message
            .attributes
            .push(LinkAttribute::IfName(name.to_string()));
        match self.ask(RTM_DELLINK, 0, &message, "delete link", name) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes every link of a group in one step: the kernel waits once for all of
    /// them instead of once for each. Returns whether there was any.
    ///
    /// # Errors
    /// [`KernelError::Refused`], also when one of the links cannot be deleted; then
    /// none is.
    pub fn delete_link_group(&mut self, group: u32) -> Result<bool, KernelError> {
        let mut message = link_message(0);
        message.attributes.push(LinkAttribute::Group(group));
        match self.ask(RTM_DELLINK, 0, &message, "delete link group", &group) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn link_message(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.interface_family = AddressFamily::Unspec;
    message.header.index = index;
    message
}

fn read_link(message: LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
        loopback: flags.contains(LinkFlags::Loopback),
        ..Link::default()
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(bytes) => link.mac = bytes.try_into().ok().map(Mac),
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Controller(master) => link.master = Some(master),
            LinkAttribute::Link(parent) => link.parent = Some(parent),
            LinkAttribute::Group(group) => link.group = group,
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            LinkAttribute::Promiscuity(count) => link.promiscuity = count,
            LinkAttribute::LinkInfo(infos) => read_info(&mut link, infos),
            _ => {}
        }
    }
    link
}

fn read_info(link: &mut Link, infos: Vec<LinkInfo>) {
    for info in infos {
        match info {
            LinkInfo::Kind(kind) => link.kind = Some(read_kind(&kind)),
            LinkInfo::Data(InfoData::Bridge(items)) => {
                link.vlan_filtering = items.contains(&InfoBridge::VlanFiltering(true));
            }
            LinkInfo::Data(InfoData::Vxlan(items)) => {
                link.vxlan = Some(new_link::read_vxlan(&items));
            }
            LinkInfo::Data(data) => {
                link.tunnel = link.kind.as_ref().and_then(|k| tunnel::read(k, &data));
            }
            LinkInfo::PortData(InfoPortData::BridgePort(items)) => {
                link.hairpin = items.contains(&InfoBridgePort::HairpinMode(true));
                link.isolated = items.contains(&InfoBridgePort::Isolated(true));
            }
            _ => {}
        }
    }
}

fn read_kind(kind: &InfoKind) -> LinkKind {
    match kind {
        InfoKind::Bridge => LinkKind::Bridge,
        InfoKind::Veth => LinkKind::Veth,
        InfoKind::MacVlan => LinkKind::Macvlan,
        InfoKind::Vxlan => LinkKind::Vxlan,
        InfoKind::IpIp => LinkKind::Ipip,
        InfoKind::GreTun => LinkKind::Gre,
        InfoKind::GreTun6 => LinkKind::Gre6,
        InfoKind::Ip6Tnl => LinkKind::Ip6tnl,
        other => LinkKind::Other(other.to_string()),
    }
}
