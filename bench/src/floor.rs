//! The floor: the messages that put a container on a bridge, and nothing else. No
//! configuration, no record, no look at what is there.

use crate::message::Body;
use anyhow::{Context, Result, bail};
use fairlead_kernel::{Reply, Socket, SocketKind};
use rustix::fs::{Mode, OFlags};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The nftables table of the floor, in family `inet`.
pub const TABLE: &str = "floor";
/// Its set of masqueraded addresses.
pub const MASQUERADE: &str = "masquerade4";
/// Its map of published ports.
pub const PUBLISH: &str = "publish4";
/// Its set of containers that reach themselves by a published port.
pub const HAIRPIN: &str = "hairpin4";
/// The port in the container that a published port leads to.
pub const CONTAINER_PORT: u16 = 80;

// linux/rtnetlink.h, linux/if_link.h, linux/veth.h
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const IFF_UP: u32 = 1;
const AF_INET: u8 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

// linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NFTABLES: u8 = 10;
const NEWSETELEM: u16 = (NFTABLES as u16) << 8 | 12;
const DELSETELEM: u16 = (NFTABLES as u16) << 8 | 14;
const NFPROTO_INET: u8 = 1;
const TCP: u8 = 6;

/// The container's link gets this index, so that nobody has to ask for it. The kernel
/// heeds it only when the host's link comes with one too (`veth_newlink`).
const PEER_INDEX: u32 = 4242;

/// What the floor is to make, or to take away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The container's network namespace.
    pub netns: PathBuf,
    /// The link's name on the host.
    pub host_ifname: String,
    /// And its index, which is free.
    pub host_index: u32,
    /// The index of the bridge.
    pub bridge: u32,
    /// The container's address.
    pub address: Ipv4Addr,
    /// The length of its subnet, in bits.
    pub length: u8,
    /// Where its default route goes.
    pub gateway: Ipv4Addr,
    /// Whether it is masqueraded.
    pub masquerade: bool,
    /// The TCP port of the host that is published.
    pub port: Option<u16>,
    /// Whether the cable with its address and route is part of it, or only set elements.
    pub cable: bool,
}

impl Work {
    /// The command line of the floor's program.
    #[must_use]
    pub fn arguments(&self, command: &str) -> Vec<String> {
        vec![
            command.into(),
            self.netns.display().to_string(),
            self.host_ifname.clone(),
            self.host_index.to_string(),
            self.bridge.to_string(),
            self.address.to_string(),
            self.length.to_string(),
            self.gateway.to_string(),
            u8::from(self.masquerade).to_string(),
            self.port.unwrap_or(0).to_string(),
            u8::from(self.cable).to_string(),
        ]
    }

    /// Reads such a command line back, without the command.
    ///
    /// # Errors
    /// When a part is missing or is no number or address.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let [
            netns,
            host,
            index,
            bridge,
            address,
            length,
            gateway,
            masquerade,
            port,
            cable,
        ] = arguments
        else {
            bail!("expected NETNS LINK INDEX BRIDGE ADDRESS LENGTH GATEWAY MASQUERADE PORT CABLE");
        };
        Ok(Self {
            netns: netns.into(),
            host_ifname: host.clone(),
            host_index: index.parse().context("INDEX")?,
            bridge: bridge.parse().context("BRIDGE")?,
            address: address.parse().context("ADDRESS")?,
            length: length.parse().context("LENGTH")?,
            gateway: gateway.parse().context("GATEWAY")?,
            masquerade: masquerade == "1",
            port: Some(port.parse().context("PORT")?).filter(|port| *port != 0),
            cable: cable == "1",
        })
    }

    /// Puts the container on the bridge. The calling thread is in the container's
    /// namespace afterwards, so the caller lets it end.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn add(&self) -> Result<()> {
        if !self.cable {
            return self.firewall(NEWSETELEM).map(drop);
        }
        let netns = open(&self.netns)?;
        let mut host = Socket::open(SocketKind::Route)?;
        host.request(
            RTM_NEWLINK,
            NLM_F_CREATE | NLM_F_EXCL,
            self.cable(netns.as_fd()).bytes(),
            "create link",
            &self.host_ifname,
        )?;
        self.firewall(NEWSETELEM)?;
        enter(netns.as_fd())?;
        let mut container = Socket::open(SocketKind::Route)?;
        let create = NLM_F_CREATE | NLM_F_EXCL;
        let up = Body::new(&link_header(PEER_INDEX, true));
        container.request(RTM_NEWLINK, 0, up.bytes(), "set up", &"eth0")?;
        let address = self.address_message();
        container.request(RTM_NEWADDR, create, address.bytes(), "add", &self.address)?;
        let route = self.route_message();
        container.request(RTM_NEWROUTE, create, route.bytes(), "add", &"default route")?;
        Ok(())
    }

    /// Takes the container off the bridge.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn del(&self) -> Result<()> {
        // The kernel frees removed elements after a grace period, and the socket's end
        // waits for it. Removing a link waits for one anyway, so it comes in between.
        let firewall = self.firewall(DELSETELEM)?;
        if !self.cable {
            return Ok(());
        }
        let mut host = Socket::open(SocketKind::Route)?;
        let link = Body::new(&link_header(0, false)).text(IFLA_IFNAME, &self.host_ifname);
        host.request(
            RTM_DELLINK,
            0,
            link.bytes(),
            "delete link",
            &self.host_ifname,
        )?;
        drop(firewall);
        Ok(())
    }

    /// Both ends of the cable in one message: the host's end is up and a port of the
    /// bridge, the other one is in the container.
    fn cable(&self, netns: BorrowedFd<'_>) -> Body {
        let fd = netns.as_raw_fd().to_ne_bytes();
        let peer = Body::new(&link_header(PEER_INDEX, false))
            .text(IFLA_IFNAME, "eth0")
            .attribute(IFLA_NET_NS_FD, &fd);
        let info = Body::default().text(IFLA_INFO_KIND, "veth").nested(
            IFLA_INFO_DATA,
            &Body::default().nested(VETH_INFO_PEER, &peer),
        );
        Body::new(&link_header(self.host_index, true))
            .text(IFLA_IFNAME, &self.host_ifname)
            .number(IFLA_MASTER, self.bridge)
            .nested(IFLA_LINKINFO, &info)
    }

    fn address_message(&self) -> Body {
        let mut header = vec![AF_INET, self.length, 0, 0];
        header.extend(PEER_INDEX.to_ne_bytes());
        let octets = self.address.octets();
        Body::new(&header)
            .attribute(IFA_LOCAL, &octets)
            .attribute(IFA_ADDRESS, &octets)
    }

    fn route_message(&self) -> Body {
        // rtmsg: any destination, the main table, made at start-up, global, unicast.
        let header = [AF_INET, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        Body::new(&header)
            .number(RTA_OIF, PEER_INDEX)
            .attribute(RTA_GATEWAY, &self.gateway.octets())
    }

    /// Adds or removes the set elements, in one transaction.
    fn firewall(&self, kind: u16) -> Result<Option<Socket>> {
        let elements = self.elements();
        if elements.is_empty() {
            return Ok(None);
        }
        let begin = Body::new(&[0, 0, 0, NFTABLES]);
        let mut batch = begin.framed(BATCH_BEGIN, NLM_F_REQUEST, 1);
        for (at, element) in elements.iter().enumerate() {
            let last = at + 1 == elements.len();
            let create = if kind == NEWSETELEM {
                NLM_F_CREATE | NLM_F_EXCL
            } else {
                0
            };
            let acknowledge = if last { NLM_F_ACK } else { 0 };
            batch.extend(element.framed(kind, NLM_F_REQUEST | create | acknowledge, 2));
        }
        batch.extend(begin.framed(BATCH_END, NLM_F_REQUEST, 3));
        let mut socket = Socket::open(SocketKind::Netfilter)?;
        socket.send(&batch).context("send nftables batch")?;
        for (_, reply) in socket.receive().context("receive nftables answer")? {
            if let Reply::Refused { errno, text, .. } = reply {
                bail!("nftables refused: {errno} {}", text.unwrap_or_default());
            }
        }
        Ok(Some(socket))
    }

    fn elements(&self) -> Vec<Body> {
        let address = self.address.octets();
        let mut elements = Vec::new();
        if self.masquerade {
            elements.push(element(MASQUERADE, &address, None));
        }
        if let Some(port) = self.port {
            let [high, low] = port.to_be_bytes();
            let [container_high, container_low] = CONTAINER_PORT.to_be_bytes();
            let target = [&address[..], &[container_high, container_low, 0, 0]].concat();
            elements.push(element(
                PUBLISH,
                &[TCP, 0, 0, 0, high, low, 0, 0],
                Some(&target),
            ));
            elements.push(element(HAIRPIN, &address, None));
        }
        elements
    }
}

fn element(set: &str, key: &[u8], value: Option<&[u8]>) -> Body {
    let data = |bytes: &[u8]| Body::default().attribute(1, bytes);
    let mut item = Body::default().nested(1, &data(key));
    if let Some(value) = value {
        item = item.nested(2, &data(value));
    }
    Body::new(&[NFPROTO_INET, 0, 0, 0])
        .text(1, TABLE)
        .text(2, set)
        .nested(3, &Body::default().nested(1, &item))
}

/// `ifinfomsg`.
fn link_header(index: u32, up: bool) -> Vec<u8> {
    let up = if up { IFF_UP } else { 0 };
    let parts = [0, index, up, up];
    parts
        .iter()
        .flat_map(|part: &u32| part.to_ne_bytes())
        .collect()
}

fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).with_context(|| format!("open {}", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the floor is what the system calls alone cost; NetNs::run adds a thread"
)]
fn enter(netns: BorrowedFd<'_>) -> Result<()> {
    let kind = rustix::thread::LinkNameSpaceType::Network;
    rustix::thread::move_into_link_name_space(netns, Some(kind)).context("enter namespace")
}

/// The text for `nft -f` that makes the floor's table, with `taken` as the elements
/// that are there already: address and published port.
#[must_use]
pub fn table(subnet: &str, taken: &[(Ipv4Addr, u16)]) -> String {
    let filled = |list: Vec<String>| match list.as_slice() {
        [] => String::new(),
        list => format!("elements = {{ {} }};", list.join(", ")),
    };
    let addresses = filled(
        taken
            .iter()
            .map(|(address, _)| address.to_string())
            .collect(),
    );
    let port =
        |(address, port): &(Ipv4Addr, u16)| format!("tcp . {port} : {address} . {CONTAINER_PORT}");
    let ports = filled(taken.iter().map(port).collect());
    format!(
        "table inet {TABLE} {{
           set {MASQUERADE} {{ type ipv4_addr; {addresses} }}
           set {HAIRPIN} {{ type ipv4_addr; {addresses} }}
           map {PUBLISH} {{ type inet_proto . inet_service : ipv4_addr . inet_service; {ports} }}
           chain prerouting {{
             type nat hook prerouting priority dstnat;
             fib daddr type local dnat ip to meta l4proto . th dport map @{PUBLISH}
           }}
           chain postrouting {{
             type nat hook postrouting priority srcnat;
             ip saddr @{MASQUERADE} ip daddr != {subnet} masquerade
             ip saddr {subnet} ip daddr @{HAIRPIN} ct status dnat masquerade
           }}
         }}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read_back() {
        let work = Work {
            netns: "/run/netns/c".into(),
            host_ifname: "floor0".into(),
            host_index: 1000,
            bridge: 7,
            address: Ipv4Addr::new(10, 0, 0, 2),
            length: 24,
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            masquerade: true,
            port: Some(8080),
            cable: true,
        };
        let line = work.arguments("add");
        assert_eq!(Work::parse(&line[1..]).unwrap(), work);
        assert!(Work::parse(&line[2..]).is_err());
    }
}
