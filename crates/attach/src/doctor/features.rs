//! Rights of the process and features of the kernel.

use super::{Finding, Severity};
use crate::{AttachError, Node};
use fairlead_firewall::{Element, Firewall, Publish};
use fairlead_kernel::conntrack::{Conntrack, Filter};
use fairlead_kernel::route::{MacvlanMode, NewLink, NewLinkKind, Peer, Vxlan};
use fairlead_kernel::{KernelError, NetNs, Route};
use fairlead_types::{IfName, Mac, Protocol};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

/// Bits of `CapEff` (`linux/capability.h`).
const RIGHTS: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];

pub(super) fn rights(_: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let path = "/proc/thread-self/status";
    let text = std::fs::read_to_string(path).map_err(|source| KernelError::Io {
        operation: "read",
        object: path.into(),
        source,
    })?;
    let missing = missing_rights(&text);
    if !missing.is_empty() {
        let what = format!("this process lacks {}", missing.join(" and "));
        found.push(Finding::problem("rights", what).cured_by("sudo fairlead doctor"));
    }
    Ok(())
}

fn missing_rights(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    RIGHTS
        .iter()
        .filter(|(bit, _)| bits >> bit & 1 == 0)
        .map(|(_, name)| *name)
        .collect()
}

/// Something that a kernel may lack.
struct Feature {
    name: &'static str,
    /// What needs it.
    needed_by: &'static str,
    severity: Severity,
    cure: &'static str,
    /// Uses it, in a namespace made for that.
    probe: fn(&mut Route) -> Result<(), AttachError>,
}

const FEATURES: [Feature; 8] = [
    Feature {
        name: "bridge",
        needed_by: "every network of type bridge",
        severity: Severity::Problem,
        cure: "modprobe bridge",
        probe: |route| {
            create(
                route,
                "b0",
                NewLinkKind::Bridge {
                    vlan_filtering: None,
                },
            )
        },
    },
    Feature {
        name: "veth",
        needed_by: "every container",
        severity: Severity::Problem,
        cure: "modprobe veth",
        probe: |route| {
            let peer = Peer {
                name: name("v1")?,
                mac: None,
                mtu: None,
                namespace: None,
            };
            create(route, "v0", NewLinkKind::Veth(peer))
        },
    },
    Feature {
        name: "nftables with NAT",
        needed_by: "masquerading and published ports",
        severity: Severity::Problem,
        cure: "modprobe -a nf_tables nft_chain_nat nft_masq nft_fib_inet nft_ct",
        probe: |_| Ok(Firewall::open()?.add(&translations())?),
    },
    Feature {
        name: "conntrack over netlink",
        needed_by: "published UDP ports",
        severity: Severity::Problem,
        cure: "modprobe nf_conntrack_netlink",
        probe: |_| Ok(Conntrack::open()?.flush(&Filter::to_port(false, Protocol::Udp, 9))?),
    },
    Feature {
        name: "nftables for bridges",
        needed_by: "'macspoofchk' of the bridge plugin",
        severity: Severity::Note,
        cure: "use a kernel with CONFIG_NF_TABLES_BRIDGE, or leave macspoofchk out",
        probe: |_| {
            let check = Element::MacCheck {
                ifname: name("v0")?,
                mac: Mac([2, 0, 0, 0, 0, 1]),
            };
            Ok(Firewall::open()?.add(&[check])?)
        },
    },
    Feature {
        name: "bridge VLAN filtering",
        needed_by: "'vlan' and 'vlanTrunk' of the bridge plugin",
        severity: Severity::Note,
        cure: "use a kernel with CONFIG_BRIDGE_VLAN_FILTERING, or leave vlan and vlanTrunk out",
        probe: |route| {
            create(
                route,
                "b1",
                NewLinkKind::Bridge {
                    vlan_filtering: Some(true),
                },
            )
        },
    },
    Feature {
        name: "vxlan",
        needed_by: "networks that span nodes by VXLAN",
        severity: Severity::Note,
        cure: "modprobe vxlan",
        probe: |route| {
            let vxlan = Vxlan {
                vni: 1,
                local: None,
                port: 4789,
                learning: false,
                parent: None,
            };
            create(route, "x0", NewLinkKind::Vxlan(vxlan))
        },
    },
    Feature {
        name: "macvlan",
        needed_by: "CNI networks of the macvlan plugin",
        severity: Severity::Note,
        cure: "modprobe macvlan",
        probe: |route| {
            let parent = NewLinkKind::Bridge {
                vlan_filtering: None,
            };
            create(route, "b2", parent)?;
            let Some(parent) = route.link(&name("b2")?)? else {
                return Ok(());
            };
            let (parent, mode) = (parent.index, MacvlanMode::Bridge);
            create(route, "m0", NewLinkKind::Macvlan { parent, mode })
        },
    },
];

pub(super) fn features(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let path = node
        .host()
        .root()
        .run()
        .join(format!("probe-{}", std::process::id()));
    // An earlier process with the same number may have been killed right here.
    NetNs::remove(&path)?;
    let namespace = NetNs::create(&path)?;
    // From here on only the open file keeps it, so that it ends with this function.
    NetNs::remove(&path)?;
    let missing = namespace.run(|| {
        let mut route = Route::open()?;
        Ok(FEATURES
            .iter()
            .filter_map(|feature| missing(feature, &mut route))
            .collect())
    })?;
    let missing: Result<Vec<Finding>, AttachError> = missing;
    found.extend(missing?);
    Ok(())
}

fn missing(feature: &Feature, route: &mut Route) -> Option<Finding> {
    let error = (feature.probe)(route).err()?;
    let what = format!(
        "it cannot be used, and is needed by {}: {error}",
        feature.needed_by
    );
    let subject = format!("kernel feature {}", feature.name);
    Some(
        Finding {
            severity: feature.severity,
            ..Finding::ok(subject, what)
        }
        .cured_by(feature.cure),
    )
}

fn name(text: &str) -> Result<IfName, AttachError> {
    // The names are those of the table above, so this is never reached with a bad one.
    IfName::new(text).map_err(|error| {
        let source = std::io::Error::other(error);
        KernelError::Io {
            operation: "name",
            object: text.into(),
            source,
        }
        .into()
    })
}

fn create(route: &mut Route, link: &str, kind: NewLinkKind<'_>) -> Result<(), AttachError> {
    Ok(route.create_link(&NewLink {
        name: name(link)?,
        mac: None,
        mtu: None,
        up: false,
        master: None,
        group: None,
        namespace: None,
        kind,
    })?)
}

/// One of each element that translates, so that each kind of map and rule is made.
fn translations() -> Vec<Element> {
    let v4 = |last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    let subnet = IpNet::from(v4(0));
    vec![
        Element::Masquerade {
            address: v4(1),
            subnet,
        },
        Element::Hairpin {
            address: v4(1),
            subnet,
        },
        Element::Publish(Publish {
            protocol: Protocol::Tcp,
            host_ip: Some(v4(2)),
            host_port: 80,
            target_ip: v4(1),
            target_port: 80,
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_rights_are_named() {
        assert!(missing_rights("Name:\tx\nCapEff:\t000001ffffffffff\n").is_empty());
        assert_eq!(
            missing_rights("CapEff:\t0000000000001000\n"),
            ["CAP_SYS_ADMIN"]
        );
        assert_eq!(missing_rights("CapEff:\t0\n").len(), 2);
        assert_eq!(missing_rights("nonsense").len(), 2);
    }
}
