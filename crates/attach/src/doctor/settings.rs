//! Kernel settings without which packets do not pass.

use super::Finding;
use crate::{AttachError, Node};
use fairlead_config::Network;
use fairlead_kernel::sysctl;

/// A setting, and what it means when it is off.
struct Forwarding {
    v4: bool,
    key: &'static str,
    name: &'static str,
}

const FORWARDING: [Forwarding; 2] = [
    Forwarding {
        v4: true,
        key: "net/ipv4/ip_forward",
        name: "net.ipv4.ip_forward",
    },
    Forwarding {
        v4: false,
        key: "net/ipv6/conf/all/forwarding",
        name: "net.ipv6.conf.all.forwarding",
    },
];

/// Whether `key` is one that [`forwarding`] looks at.
pub(super) fn is_forwarding(key: &str) -> bool {
    FORWARDING.iter().any(|setting| setting.key == key)
}

/// The declared networks that have a bridge.
pub(super) fn bridged(node: &Node) -> Vec<Network> {
    let (mut networks, _) = node.config().networks();
    networks.retain(|network| network.bridge.is_some());
    networks
}

pub(super) fn forwarding(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let networks = bridged(node);
    for Forwarding { v4, key, name } in FORWARDING {
        let of_family = |n: &&Network| n.ranges.iter().any(|r| r.addr().is_ipv4() == v4);
        let names: Vec<&str> = networks
            .iter()
            .filter(of_family)
            .map(|n| n.name.as_str())
            .collect();
        if names.is_empty() {
            continue;
        }
        let (names, family) = (names.join(", "), if v4 { "IPv4" } else { "IPv6" });
        match sysctl::read(key) {
            Ok(value) if value != "0" => {}
            Ok(_) => {
                let what = format!("{family} is not forwarded, but networks need it: {names}");
                found.push(Finding::problem(name, what).cured_by(format!("sysctl -w {name}=1")));
            }
            Err(error) if error.is_not_found() => {
                let what = format!("this kernel has no {family}, but networks need it: {names}");
                let cure = match v4 {
                    true => "use a kernel with CONFIG_INET",
                    false => "modprobe ipv6, or start the kernel without ipv6.disable=1",
                };
                found.push(Finding::problem(name, what).cured_by(cure));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub(super) fn bridge_filter(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let networks = bridged(node);
    for (name, v4) in [
        ("bridge-nf-call-iptables", true),
        ("bridge-nf-call-ip6tables", false),
    ] {
        let of_family = |n: &Network| n.ranges.iter().any(|r| r.addr().is_ipv4() == v4);
        match sysctl::read(&format!("net/bridge/{name}")) {
            Ok(value) if value != "0" && networks.iter().any(of_family) => {
                let what = "frames between containers of one bridge pass the host's ip rules \
                            too, and may be dropped there; Docker and Kubernetes set it so";
                let cure = format!("sysctl -w net.bridge.{name}=0");
                found.push(Finding::note(format!("net.bridge.{name}"), what).cured_by(cure));
            }
            Err(error) if !error.is_not_found() => return Err(error.into()),
            // Without the module no frame comes there.
            _ => {}
        }
    }
    Ok(())
}
