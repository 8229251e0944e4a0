//! Tunnels that carry packets in packets, without a header of a link layer: IPIP,
//! GRE, and both over IPv6.
//!
//! Every one is made with hop limit 64 and path MTU discovery on, so that a packet
//! that is too long is refused and not cut. The IPv6 kinds carry no tunnel
//! encapsulation limit (RFC 2473, 4.1.1), which would cost another 8 bytes.

use super::link::LinkKind;
use crate::KernelError;
use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_route::IpProtocol;
use netlink_packet_route::link::{
    GreEncapType, GreIOFlags, InfoData, InfoGre, InfoGre6, InfoIpTunnel, InfoKind, Ip6TunnelFlags,
    TunnelEncapType,
};
use std::fmt;
use std::net::IpAddr;

const TTL: u8 = 64;
/// `IFLA_GRE_FLAGS`, which the message library does not know.
const GRE_FLAGS: u16 = 13;

/// A tunnel between two addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// How packets are carried.
    pub kind: TunnelKind,
    /// The address of this end, of the family that the kind is carried by.
    pub local: IpAddr,
    /// The address of the other end, of the same family.
    pub remote: IpAddr,
}

/// How a tunnel carries packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TunnelKind {
    /// IPv4 in IPv4 (RFC 2003), the kernel's `ipip`.
    Ipip,
    /// Any protocol in GRE in IPv4 (RFC 2784), the kernel's `gre`.
    Gre,
    /// Any protocol in GRE in IPv6 (RFC 7676), the kernel's `ip6gre`.
    Gre6,
    /// IPv6 in IPv6 (RFC 2473), the kernel's `ip6tnl` with protocol 41.
    Ip6ip6,
}

impl TunnelKind {
    /// What it adds to each packet, in bytes.
    #[must_use]
    pub const fn overhead(self) -> u32 {
        match self {
            Self::Ipip => 20,
            Self::Gre => 24,
            Self::Gre6 => 44,
            Self::Ip6ip6 => 40,
        }
    }

    /// Whether its packets travel over IPv6.
    #[must_use]
    pub const fn over_v6(self) -> bool {
        matches!(self, Self::Gre6 | Self::Ip6ip6)
    }
}

/// The kernel's word, but `ip6ip6` for `ip6tnl` with protocol 41 as `ip tunnel` has it.
impl fmt::Display for TunnelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ipip => "ipip",
            Self::Gre => "gre",
            Self::Gre6 => "ip6gre",
            Self::Ip6ip6 => "ip6ip6",
        })
    }
}

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} to {}", self.kind, self.local, self.remote)
    }
}

impl Tunnel {
    /// Refuses ends of the wrong family, and ends that are no host's address, which
    /// the kernel would take for 'any'.
    pub(super) fn check(&self, object: &dyn fmt::Display) -> Result<(), KernelError> {
        let wrong = |ip: &IpAddr| {
            ip.is_ipv6() != self.kind.over_v6() || ip.is_unspecified() || ip.is_multicast()
        };
        if ![self.local, self.remote].iter().any(wrong) && self.local != self.remote {
            return Ok(());
        }
        let family = if self.kind.over_v6() { "IPv6" } else { "IPv4" };
        Err(KernelError::Invalid {
            operation: "create link",
            object: object.to_string(),
            reason: format!("{self}: give two different {family} addresses of hosts"),
        })
    }

    /// The kernel's word for the kind, and its attributes. Only for one that is checked.
    pub(super) fn info(&self) -> (InfoKind, InfoData) {
        let flags = Ip6TunnelFlags::IgnEncapLimit;
        match (self.kind, self.local, self.remote) {
            (TunnelKind::Gre, IpAddr::V4(local), IpAddr::V4(remote)) => (
                InfoKind::GreTun,
                InfoData::GreTun(vec![
                    InfoGre::Local(local),
                    InfoGre::Remote(remote),
                    InfoGre::Ttl(TTL),
                    InfoGre::PathMTUDiscovery(true),
                ]),
            ),
            (TunnelKind::Gre6, IpAddr::V6(local), IpAddr::V6(remote)) => (
                InfoKind::GreTun6,
                InfoData::GreTun6(vec![
                    InfoGre6::Local(local),
                    InfoGre6::Remote(remote),
                    InfoGre6::Ttl(TTL),
                    InfoGre6::Other(DefaultNla::new(
                        GRE_FLAGS,
                        flags.bits().to_ne_bytes().to_vec(),
                    )),
                ]),
            ),
            (kind, local, remote) => {
                let mut items = vec![
                    InfoIpTunnel::Local(local),
                    InfoIpTunnel::Remote(remote),
                    InfoIpTunnel::Ttl(TTL),
                ];
                if kind == TunnelKind::Ip6ip6 {
                    items.push(InfoIpTunnel::Protocol(IpProtocol::Ipv6));
                    items.push(InfoIpTunnel::Ipv6Flags(flags));
                    return (InfoKind::Ip6Tnl, InfoData::IpTunnel(items));
                }
                items.push(InfoIpTunnel::PMtuDisc(true));
                (InfoKind::IpIp, InfoData::IpTunnel(items))
            }
        }
    }
}

/// The tunnel that a link of that kind is. None for one that a [`Tunnel`] cannot
/// stand for: a device without ends, such as `tunl0`; one whose headers have more
/// in them (a key, a checksum, another encapsulation, a limit); one that carries
/// other protocols.
pub(super) fn read(kind: &LinkKind, data: &InfoData) -> Option<Tunnel> {
    let mut ends = Ends::default();
    let kind = match (kind, data) {
        (LinkKind::Ipip, InfoData::IpTunnel(items)) => {
            ends.fill(items, read_ipip);
            TunnelKind::Ipip
        }
        (LinkKind::Ip6tnl, InfoData::IpTunnel(items)) => {
            ends.fill(items, read_ip6tnl);
            TunnelKind::Ip6ip6
        }
        (LinkKind::Gre, InfoData::GreTun(items)) => {
            ends.fill(items, read_gre);
            TunnelKind::Gre
        }
        (LinkKind::Gre6, InfoData::GreTun6(items)) => {
            ends.fill(items, read_gre6);
            TunnelKind::Gre6
        }
        _ => return None,
    };
    let some = |ip: &IpAddr| !ip.is_unspecified();
    Some(Tunnel {
        kind,
        local: ends.local.filter(some)?,
        remote: ends.remote.filter(some)?,
    })
    .filter(|_| !ends.other)
}

/// What is read of a tunnel's attributes.
#[derive(Default)]
struct Ends {
    local: Option<IpAddr>,
    remote: Option<IpAddr>,
    /// It has what a [`Tunnel`] cannot stand for.
    other: bool,
}

/// One attribute of a tunnel.
enum Part {
    Local(IpAddr),
    Remote(IpAddr),
    /// Whether it is what a [`Tunnel`] has.
    Same(bool),
}

impl Ends {
    fn fill<T>(&mut self, items: &[T], read: impl Fn(&T) -> Part) {
        for item in items {
            match read(item) {
                Part::Local(ip) => self.local = Some(ip),
                Part::Remote(ip) => self.remote = Some(ip),
                Part::Same(same) => self.other |= !same,
            }
        }
    }
}

fn read_ipip(item: &InfoIpTunnel) -> Part {
    match item {
        InfoIpTunnel::Protocol(protocol) => Part::Same(*protocol == IpProtocol::Ipip),
        other => read_ip(other),
    }
}

fn read_ip6tnl(item: &InfoIpTunnel) -> Part {
    match item {
        InfoIpTunnel::Protocol(protocol) => Part::Same(*protocol == IpProtocol::Ipv6),
        InfoIpTunnel::Ipv6Flags(flags) => Part::Same(has_no_limit(*flags)),
        other => read_ip(other),
    }
}

fn read_ip(item: &InfoIpTunnel) -> Part {
    match item {
        InfoIpTunnel::Local(ip) => Part::Local(*ip),
        InfoIpTunnel::Remote(ip) => Part::Remote(*ip),
        InfoIpTunnel::EncapType(kind) => Part::Same(*kind == TunnelEncapType::None),
        InfoIpTunnel::CollectMetadata => Part::Same(false),
        _ => Part::Same(true),
    }
}

fn read_gre(item: &InfoGre) -> Part {
    match item {
        InfoGre::Local(ip) => Part::Local((*ip).into()),
        InfoGre::Remote(ip) => Part::Remote((*ip).into()),
        InfoGre::IFlags(flags) | InfoGre::OFlags(flags) => {
            Part::Same(*flags == GreIOFlags::empty())
        }
        InfoGre::EncapType(kind) => Part::Same(*kind == GreEncapType::None),
        InfoGre::CollectMetadata => Part::Same(false),
        _ => Part::Same(true),
    }
}

fn read_gre6(item: &InfoGre6) -> Part {
    match item {
        InfoGre6::Local(ip) => Part::Local((*ip).into()),
        InfoGre6::Remote(ip) => Part::Remote((*ip).into()),
        InfoGre6::IFlags(flags) | InfoGre6::OFlags(flags) => {
            Part::Same(*flags == GreIOFlags::empty())
        }
        InfoGre6::EncapType(kind) => Part::Same(*kind == GreEncapType::None),
        InfoGre6::CollectMetadata => Part::Same(false),
        InfoGre6::Other(nla) if nla.kind() == GRE_FLAGS => {
            let mut bytes = [0; 4];
            let whole = nla.value_len() == bytes.len();
            if whole {
                nla.emit_value(&mut bytes);
            }
            let flags = Ip6TunnelFlags::from_bits_retain(u32::from_ne_bytes(bytes));
            Part::Same(has_no_limit(flags))
        }
        _ => Part::Same(true),
    }
}

fn has_no_limit(flags: Ip6TunnelFlags) -> bool {
    flags.contains(Ip6TunnelFlags::IgnEncapLimit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const KINDS: [(TunnelKind, LinkKind); 4] = [
        (TunnelKind::Ipip, LinkKind::Ipip),
        (TunnelKind::Gre, LinkKind::Gre),
        (TunnelKind::Gre6, LinkKind::Gre6),
        (TunnelKind::Ip6ip6, LinkKind::Ip6tnl),
    ];

    fn tunnel(kind: TunnelKind) -> Tunnel {
        let ends = if kind.over_v6() {
            ["fd00::1", "fd00::2"]
        } else {
            ["10.0.0.1", "10.0.0.2"]
        };
        let [local, remote] = ends.map(|ip| ip.parse().unwrap());
        Tunnel {
            kind,
            local,
            remote,
        }
    }

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        for (kind, link) in KINDS {
            let tunnel = tunnel(kind);
            tunnel.check(&"t0").unwrap();
            assert_eq!(read(&link, &tunnel.info().1), Some(tunnel));
        }
    }

    #[test]
    fn ends_of_the_wrong_family_or_of_no_host_are_refused() {
        let v4: IpAddr = "10.0.0.9".parse().unwrap();
        let v6: IpAddr = "fd00::9".parse().unwrap();
        for (kind, _) in KINDS {
            let good = tunnel(kind);
            let other = if kind.over_v6() { v4 } else { v6 };
            let any: IpAddr = if kind.over_v6() {
                Ipv6Addr::UNSPECIFIED.into()
            } else {
                Ipv4Addr::UNSPECIFIED.into()
            };
            for bad in [other, any, good.remote] {
                let bad = Tunnel { local: bad, ..good };
                let error = bad.check(&"t0").unwrap_err().to_string();
                assert!(error.starts_with("create link t0: "), "{error}");
                assert!(error.contains(&bad.to_string()), "{error}");
            }
            let bad = Tunnel {
                remote: other,
                ..good
            };
            assert!(bad.check(&"t0").is_err());
        }
    }

    #[test]
    fn a_device_without_ends_or_with_more_in_its_header_is_no_tunnel_of_ours() {
        let any = InfoData::IpTunnel(vec![
            InfoIpTunnel::Local(Ipv4Addr::UNSPECIFIED.into()),
            InfoIpTunnel::Remote(Ipv4Addr::UNSPECIFIED.into()),
        ]);
        assert_eq!(read(&LinkKind::Ipip, &any), None);
        let InfoData::GreTun(mut keyed) = tunnel(TunnelKind::Gre).info().1 else {
            panic!("not gre");
        };
        keyed.push(InfoGre::OFlags(GreIOFlags::Key));
        assert_eq!(read(&LinkKind::Gre, &InfoData::GreTun(keyed)), None);
        let InfoData::IpTunnel(mut limited) = tunnel(TunnelKind::Ip6ip6).info().1 else {
            panic!("not ip6tnl");
        };
        limited.push(InfoIpTunnel::Ipv6Flags(Ip6TunnelFlags::empty()));
        assert_eq!(read(&LinkKind::Ip6tnl, &InfoData::IpTunnel(limited)), None);
    }
}
