//! Making links, each in one message.

use super::link::{RTM_NEWLINK, link_message};
use super::{Route, Tunnel};
use crate::KernelError;
use fairlead_types::{IfName, Mac};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoMacVlan, InfoVeth, InfoVxlan, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage, MacVlanMode,
};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A link to make.
#[derive(Debug, Clone)]
pub struct NewLink<'a> {
    /// Its name.
    pub name: IfName,
    /// Its hardware address; the kernel chooses one where this is `None`.
    pub mac: Option<Mac>,
    /// The greatest packet, in bytes; the kind's default where this is `None`.
    pub mtu: Option<u32>,
    /// Whether it is up from its first moment.
    pub up: bool,
    /// The bridge it is a port of from its first moment.
    pub master: Option<u32>,
    /// Its link group.
    pub group: Option<u32>,
    /// The namespace it is born in; the handle's own where this is `None`.
    pub namespace: Option<BorrowedFd<'a>>,
    /// What it is.
    pub kind: NewLinkKind<'a>,
}

impl NewLink<'_> {
    /// A link that is down and has nothing but a name and a kind.
    #[must_use]
    pub fn new(name: IfName, kind: NewLinkKind<'_>) -> NewLink<'_> {
        NewLink {
            name,
            mac: None,
            mtu: None,
            up: false,
            master: None,
            group: None,
            namespace: None,
            kind,
        }
    }
}

/// The kind of a link to make, with what only that kind has.
#[derive(Debug, Clone)]
pub enum NewLinkKind<'a> {
    /// A bridge. `Some` sets VLAN filtering; the kernel may lack it.
    Bridge {
        /// Whether it filters by VLAN; `None` leaves the kernel's default (it does not).
        vlan_filtering: Option<bool>,
    },
    /// A virtual cable, with its other end.
    Veth(Peer<'a>),
    /// A station on the link with index `parent`.
    Macvlan {
        /// The link it lies upon.
        parent: u32,
        /// How stations of one parent see each other.
        mode: MacvlanMode,
    },
    /// A VXLAN endpoint.
    Vxlan(Vxlan),
    /// A tunnel between two addresses.
    Tunnel(Tunnel),
    /// A link without traffic.
    Dummy,
}

/// The other end of a virtual cable. It is born down: the kernel sets it up only
/// once both ends are there (`veth_open` in the kernel).
#[derive(Debug, Clone)]
pub struct Peer<'a> {
    /// Its name.
    pub name: IfName,
    /// Its hardware address; random where this is `None`.
    pub mac: Option<Mac>,
    /// The greatest packet, in bytes.
    pub mtu: Option<u32>,
    /// The namespace it is born in; the handle's own where this is `None`.
    pub namespace: Option<BorrowedFd<'a>>,
}

/// How macvlan stations of one parent see each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MacvlanMode {
    /// Directly.
    #[default]
    Bridge,
    /// Not at all.
    Private,
    /// Through the switch that the parent is connected to.
    Vepa,
    /// There is only one station, which takes over the parent.
    Passthru,
}

/// What a VXLAN endpoint has (kernel document `networking/vxlan`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vxlan {
    /// The network identifier, 1 to 16777215.
    pub vni: u32,
    /// The address that packets are sent from.
    pub local: Option<IpAddr>,
    /// The UDP port, 4789 by assignment.
    pub port: u16,
    /// Whether addresses are learnt from packets; else they are all set by hand.
    pub learning: bool,
    /// The link that packets are sent by.
    pub parent: Option<u32>,
}

impl Vxlan {
    /// What it adds to each packet, in bytes: a frame's header, its own, UDP's and
    /// IP's. Without a local address it travels over IPv4.
    #[must_use]
    pub const fn overhead(&self) -> u32 {
        match self.local {
            Some(IpAddr::V6(_)) => 70,
            _ => 50,
        }
    }
}

impl Route {
    /// Makes a link.
    ///
    /// # Errors
    /// [`KernelError::Refused`]; ask [`KernelError::is_exists`] for 'name taken',
    /// which the kernel also says when the name is taken in the peer's namespace.
    /// [`KernelError::Invalid`] for a tunnel whose ends do not fit its kind.
    pub fn create_link(&mut self, new: &NewLink<'_>) -> Result<(), KernelError> {
        if let NewLinkKind::Tunnel(tunnel) = &new.kind {
            tunnel.check(&new.name)?;
        }
        let mut message = link_message(0);
        let ours = [
            new.master.map(LinkAttribute::Controller),
            new.group.map(LinkAttribute::Group),
        ];
        base(&mut message, &new.name, new.mac, new.mtu, new.up);
        message.attributes.extend(ours.into_iter().flatten());
        if let Some(namespace) = new.namespace {
            message
                .attributes
                .push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
        }
        message.attributes.extend(kind_attributes(&new.kind));
        self.ask(
            RTM_NEWLINK,
            NLM_F_CREATE | NLM_F_EXCL,
            &message,
            "create link",
            &new.name,
        )
        .map(drop)
    }
}

fn base(message: &mut LinkMessage, name: &IfName, mac: Option<Mac>, mtu: Option<u32>, up: bool) {
    if up {
        message.header.flags |= LinkFlags::Up;
        message.header.change_mask |= LinkFlags::Up;
    }
    message
        .attributes
        .push(LinkAttribute::IfName(name.to_string()));
    let rest = [
        mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())),
        mtu.map(LinkAttribute::Mtu),
    ];
    message.attributes.extend(rest.into_iter().flatten());
}

fn kind_attributes(kind: &NewLinkKind<'_>) -> Vec<LinkAttribute> {
    let (parent, kind, data) = match kind {
        NewLinkKind::Bridge { vlan_filtering } => {
            let data =
                vlan_filtering.map(|on| InfoData::Bridge(vec![InfoBridge::VlanFiltering(on)]));
            (None, InfoKind::Bridge, data)
        }
        NewLinkKind::Veth(peer) => {
            let data = InfoData::Veth(InfoVeth::Peer(peer_message(peer)));
            (None, InfoKind::Veth, Some(data))
        }
        NewLinkKind::Macvlan { parent, mode } => {
            let data = InfoData::MacVlan(vec![InfoMacVlan::Mode(macvlan_mode(*mode))]);
            (Some(*parent), InfoKind::MacVlan, Some(data))
        }
        NewLinkKind::Vxlan(vxlan) => (
            None,
            InfoKind::Vxlan,
            Some(InfoData::Vxlan(vxlan_items(vxlan))),
        ),
        NewLinkKind::Tunnel(tunnel) => {
            let (kind, data) = tunnel.info();
            (None, kind, Some(data))
        }
        NewLinkKind::Dummy => (None, InfoKind::Dummy, None),
    };
    let info = [Some(LinkInfo::Kind(kind)), data.map(LinkInfo::Data)];
    let info = LinkAttribute::LinkInfo(info.into_iter().flatten().collect());
    parent
        .map(LinkAttribute::Link)
        .into_iter()
        .chain([info])
        .collect()
}

fn peer_message(peer: &Peer<'_>) -> LinkMessage {
    let mut message = link_message(0);
    base(&mut message, &peer.name, peer.mac, peer.mtu, false);
    if let Some(namespace) = peer.namespace {
        message
            .attributes
            .push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
    }
    message
}

fn macvlan_mode(mode: MacvlanMode) -> MacVlanMode {
    match mode {
        MacvlanMode::Bridge => MacVlanMode::Bridge,
        MacvlanMode::Private => MacVlanMode::Private,
        MacvlanMode::Vepa => MacVlanMode::Vepa,
        MacvlanMode::Passthru => MacVlanMode::Passthrough,
    }
}

fn vxlan_items(vxlan: &Vxlan) -> Vec<InfoVxlan> {
    let mut items = vec![
        InfoVxlan::Id(vxlan.vni),
        InfoVxlan::Port(vxlan.port),
        InfoVxlan::Learning(vxlan.learning),
    ];
    items.extend(vxlan.local.map(|local| match local {
        IpAddr::V4(local) => InfoVxlan::Local(local),
        IpAddr::V6(local) => InfoVxlan::Local6(local),
    }));
    items.extend(vxlan.parent.map(InfoVxlan::Link));
    items
}

pub(super) fn read_vxlan(items: &[InfoVxlan]) -> Vxlan {
    let mut vxlan = Vxlan {
        vni: 0,
        local: None,
        port: 0,
        learning: false,
        parent: None,
    };
    for item in items {
        match item {
            InfoVxlan::Id(vni) => vxlan.vni = *vni,
            InfoVxlan::Local(ip) => vxlan.local = Some((*ip).into()),
            InfoVxlan::Local6(ip) => vxlan.local = Some((*ip).into()),
            InfoVxlan::Port(port) => vxlan.port = *port,
            InfoVxlan::Learning(learning) => vxlan.learning = *learning,
            InfoVxlan::Link(index) => vxlan.parent = Some(*index),
            _ => {}
        }
    }
    vxlan
}
