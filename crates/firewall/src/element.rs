//! What varies: elements of the firewall, and how they stand in sets.

use crate::FirewallError;
use crate::ruleset::{ALLOWED, BRIDGE_TABLE, CHECKED, TABLE};
use crate::subnet::{SubnetSet, Use};
use fairlead_kernel::nft::{self, Concatenation, MAX_COMMENT, Table};
use fairlead_types::{IfName, Mac, Protocol};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A port of this host that leads to a port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Publish {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The host's address; none (or the unspecified address) means any of the
    /// target's family.
    pub host_ip: Option<IpAddr>,
    /// The host's port.
    pub host_port: u16,
    /// The container's address.
    pub target_ip: IpAddr,
    /// The container's port.
    pub target_port: u16,
}

/// Which end of a packet a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// What must hold besides address and port for a publish to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Condition {
    /// Which address.
    pub side: Side,
    /// It must be outside the prefix.
    pub negated: bool,
    /// The prefix it must be in.
    pub prefix: IpNet,
}

/// One thing that the firewall does for an attachment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Element {
    /// What this address sends out of its subnet comes from the host's address.
    Masquerade {
        /// The container's address.
        address: IpAddr,
        /// The subnet in which it is known as itself.
        subnet: IpNet,
    },
    /// A published port.
    Publish(Publish),
    /// The subnet may reach this address by a port published on the host.
    Hairpin {
        /// The container's address.
        address: IpAddr,
        /// Whose connections are masqueraded; a prefix of length 0 means everyone's.
        subnet: IpNet,
    },
    /// A port of a bridge sends only from this MAC address. An interface has one
    /// such address: removing the check of one ends the check of the interface.
    MacCheck {
        /// The host's end of the attachment.
        ifname: IfName,
        /// The container's address.
        mac: Mac,
    },
    /// A published port that applies under conditions. It is a rule of its own,
    /// found again by its tag; adding one with a tag that is there replaces it.
    /// [`crate::Firewall::list`] leaves these out.
    PublishIf {
        /// The port.
        publish: Publish,
        /// What must hold, all of it.
        conditions: Vec<Condition>,
        /// Names the rule: 1 to 127 bytes.
        tag: String,
    },
}

/// An element of a set, and which set that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) table: Table<'static>,
    pub(crate) set: SetName,
    pub(crate) element: nft::Element,
}

/// The name of a set, and what it takes to make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SetName {
    Static(&'static str),
    Subnet(SubnetSet),
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(name) => f.write_str(name),
            Self::Subnet(set) => set.fmt(f),
        }
    }
}

impl Publish {
    /// The host's address, unless any is meant.
    fn host(&self) -> Option<IpAddr> {
        self.host_ip.filter(|ip| !ip.is_unspecified())
    }

    fn entry(&self) -> Entry {
        let service = |key: Concatenation| {
            key.then(&[self.protocol.number()])
                .then(&self.host_port.to_be_bytes())
                .finish()
        };
        let (key, names) = match self.host() {
            Some(ip) => (
                service(Concatenation::new().then(&address_bytes(ip))),
                ["publish_host4", "publish_host6"],
            ),
            None => (service(Concatenation::new()), ["publish4", "publish6"]),
        };
        let value = Concatenation::new()
            .then(&address_bytes(self.target_ip))
            .then(&self.target_port.to_be_bytes())
            .finish();
        Entry {
            table: TABLE,
            set: SetName::Static(names[usize::from(self.target_ip.is_ipv6())]),
            element: nft::Element::pair(key, value),
        }
    }

    fn read(set: &str, element: &nft::Element) -> Option<Self> {
        let (address_length, of_host) = match set {
            "publish4" => (4, false),
            "publish6" => (16, false),
            "publish_host4" => (4, true),
            "publish_host6" => (16, true),
            _ => return None,
        };
        let mut key = element.key.as_slice();
        let mut host_ip = None;
        if of_host {
            let (ip, rest) = key.split_at_checked(address_length)?;
            host_ip = Some(address_from(ip)?);
            key = rest;
        }
        let [protocol, _, _, _, port @ ..] = key else {
            return None;
        };
        let (target, target_port) = element.value.as_ref()?.split_at_checked(address_length)?;
        Some(Self {
            protocol: protocol_from(*protocol)?,
            host_ip,
            host_port: u16::from_be_bytes(*port.first_chunk()?),
            target_ip: address_from(target)?,
            target_port: u16::from_be_bytes(*target_port.first_chunk()?),
        })
    }
}

impl Element {
    /// Refuses what no packet could match or the kernel would misread.
    pub(crate) fn check(&self) -> Result<(), FirewallError> {
        let same_family = match self {
            Self::Masquerade { address, subnet } | Self::Hairpin { address, subnet } => {
                address.is_ipv4() == subnet.addr().is_ipv4()
            }
            Self::Publish(publish) => publish.same_family(),
            Self::MacCheck { .. } => true,
            Self::PublishIf {
                publish,
                conditions,
                tag,
            } => {
                if tag.is_empty() || tag.len() > MAX_COMMENT {
                    return Err(FirewallError::Tag {
                        element: Box::new(self.clone()),
                        length: tag.len(),
                        max: MAX_COMMENT,
                    });
                }
                let v4 = publish.target_ip.is_ipv4();
                let of_family = |c: &Condition| c.prefix.addr().is_ipv4() == v4;
                publish.same_family() && conditions.iter().all(of_family)
            }
        };
        if same_family {
            return Ok(());
        }
        Err(FirewallError::MixedFamilies {
            element: Box::new(self.clone()),
        })
    }

    /// The elements of sets that stand for it; none for one that is a rule.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let of_subnet = |purpose, subnet: &IpNet, address: &IpAddr| {
            vec![Entry {
                table: TABLE,
                set: SetName::Subnet(SubnetSet::new(purpose, *subnet)),
                element: nft::Element::key(address_bytes(*address)),
            }]
        };
        match self {
            Self::Masquerade { address, subnet } => of_subnet(Use::Masquerade, subnet, address),
            Self::Hairpin { address, subnet } => of_subnet(Use::Hairpin, subnet, address),
            Self::Publish(publish) => vec![publish.entry()],
            Self::MacCheck { ifname, mac } => mac_entries(ifname, *mac),
            Self::PublishIf { .. } => Vec::new(),
        }
    }

    /// What an element of a set of `inet fairlead` or the set [`ALLOWED`] of
    /// `bridge fairlead` stands for; none for one that Fairlead did not make.
    pub(crate) fn read(set: &str, element: &nft::Element) -> Option<Self> {
        if set == ALLOWED {
            let (name, mac) = element.key.split_first_chunk::<16>()?;
            let name = name.split(|byte| *byte == 0).next()?;
            return Some(Self::MacCheck {
                ifname: IfName::new(std::str::from_utf8(name).ok()?).ok()?,
                mac: Mac(*mac.first_chunk()?),
            });
        }
        if let Some(SubnetSet { purpose, subnet }) = SubnetSet::parse(set) {
            let address = address_from(&element.key)?;
            return Some(match purpose {
                Use::Masquerade => Self::Masquerade { address, subnet },
                Use::Hairpin => Self::Hairpin { address, subnet },
            });
        }
        Publish::read(set, element).map(Self::Publish)
    }
}

impl Publish {
    fn same_family(&self) -> bool {
        self.host()
            .is_none_or(|ip| ip.is_ipv4() == self.target_ip.is_ipv4())
    }
}

fn mac_entries(ifname: &IfName, mac: Mac) -> Vec<Entry> {
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().zip(ifname.as_str().bytes()) {
        *to = from;
    }
    let entry = |set, key| Entry {
        table: BRIDGE_TABLE,
        set: SetName::Static(set),
        element: nft::Element::key(key),
    };
    let pair = Concatenation::new().then(&name).then(&mac.0).finish();
    vec![entry(ALLOWED, pair), entry(CHECKED, name.to_vec())]
}

pub(crate) fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

pub(crate) fn address_from(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

fn protocol_from(number: u8) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .find(|protocol| protocol.number() == number)
}

/// `publish 8080/tcp to 10.0.0.2:80`.
impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("publish ")?;
        match self.host() {
            Some(ip) => write!(f, "{}", SocketAddr::new(ip, self.host_port))?,
            None => write!(f, "{}", self.host_port)?,
        }
        let target = SocketAddr::new(self.target_ip, self.target_port);
        write!(f, "/{} to {target}", self.protocol)
    }
}

/// `ip saddr != 192.0.2.0/24`: as `nft` writes it.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.prefix {
            IpNet::V4(_) => "ip",
            IpNet::V6(_) => "ip6",
        };
        let side = match self.side {
            Side::Source => "saddr",
            Side::Destination => "daddr",
        };
        let not = if self.negated { "!= " } else { "" };
        write!(f, "{family} {side} {not}{}", self.prefix)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Masquerade { address, subnet } => {
                write!(f, "masquerade {address} out of {subnet}")
            }
            Self::Publish(publish) => publish.fmt(f),
            Self::Hairpin { address, subnet } => write!(f, "hairpin {address} for {subnet}"),
            Self::MacCheck { ifname, mac } => write!(f, "check {ifname} sends from {mac}"),
            Self::PublishIf {
                publish,
                conditions,
                ..
            } => {
                write!(f, "{publish} if")?;
                conditions.iter().try_for_each(|c| write!(f, " {c}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn protocol() -> impl Strategy<Value = Protocol> {
        prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp])
    }

    fn publish() -> impl Strategy<Value = Publish> {
        let addresses = prop_oneof![
            any::<(Ipv4Addr, Ipv4Addr)>().prop_map(|(a, b)| (IpAddr::V4(a), IpAddr::V4(b))),
            any::<(Ipv6Addr, Ipv6Addr)>().prop_map(|(a, b)| (IpAddr::V6(a), IpAddr::V6(b))),
        ];
        (protocol(), addresses, any::<bool>(), any::<(u16, u16)>()).prop_map(
            |(protocol, (host, target_ip), any_host, (host_port, target_port))| Publish {
                protocol,
                host_ip: (!any_host && !host.is_unspecified()).then_some(host),
                host_port,
                target_ip,
                target_port,
            },
        )
    }

    fn element() -> impl Strategy<Value = Element> {
        prop_oneof![
            publish().prop_map(Element::Publish),
            ("[a-z]{1,15}", any::<[u8; 6]>()).prop_map(|(name, mac)| Element::MacCheck {
                ifname: IfName::new(name).unwrap(),
                mac: Mac(mac),
            }),
            (any::<Ipv4Addr>(), 0_u8..=32).prop_map(|(ip, length)| Element::Masquerade {
                address: ip.into(),
                subnet: IpNet::new(ip.into(), length).unwrap().trunc(),
            }),
            (any::<Ipv6Addr>(), 0_u8..=128).prop_map(|(ip, length)| Element::Hairpin {
                address: ip.into(),
                subnet: IpNet::new(ip.into(), length).unwrap().trunc(),
            }),
        ]
    }

    proptest! {
        #[test]
        fn an_element_is_read_back_from_its_first_entry(element in element()) {
            element.check().unwrap();
            let entry = &element.entries()[0];
            prop_assert_eq!(Element::read(&entry.set.to_string(), &entry.element), Some(element));
        }

        #[test]
        fn foreign_bytes_are_no_element_and_no_panic(
            set in "publish4|publish6|publish_host4|publish_host6|allowed|masq-10.0.0.0-8|other",
            key in prop::collection::vec(any::<u8>(), 0..40),
            value in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        ) {
            let element = nft::Element { key, value, range_end: false };
            if set == "other" {
                prop_assert_eq!(Element::read(&set, &element), None);
            } else {
                let _ = Element::read(&set, &element);
            }
        }
    }

    #[test]
    fn the_unspecified_host_address_means_any_of_the_targets_family() {
        let publish = |host: &str| Publish {
            protocol: Protocol::Tcp,
            host_ip: (!host.is_empty()).then(|| host.parse().unwrap()),
            host_port: 8080,
            target_ip: "10.0.0.2".parse().unwrap(),
            target_port: 80,
        };
        for host in ["0.0.0.0", "::"] {
            Element::Publish(publish(host)).check().unwrap();
            assert_eq!(publish(host).entry(), publish("").entry());
        }
        assert_eq!(publish("::").to_string(), "publish 8080/tcp to 10.0.0.2:80");
        assert_eq!(
            publish("192.0.2.1").to_string(),
            "publish 192.0.2.1:8080/tcp to 10.0.0.2:80"
        );
    }
}
