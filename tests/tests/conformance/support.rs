//! Configurations that several groups of cases start from.

use fairlead_tests::{Family, Node};
use serde_json::{Value, json};

/// `bridge` br0 with a gateway and host-local addresses of a family.
pub(crate) fn bridge(version: &str, family: Family) -> Value {
    json!({
        "cniVersion": version,
        "name": "web",
        "type": "bridge",
        "bridge": "br0",
        "isGateway": true,
        "ipam": host_local(family.ranges()),
    })
}

/// `ptp` with default routes and host-local addresses of a family.
pub(crate) fn ptp(version: &str, family: Family) -> Value {
    let mut ipam = host_local(family.ranges());
    ipam["routes"] = family
        .anywhere()
        .iter()
        .map(|dst| json!({"dst": dst}))
        .collect();
    json!({"cniVersion": version, "name": "cable", "type": "ptp", "ipam": ipam})
}

/// The `ipam` part for host-local with these ranges.
pub(crate) fn host_local(ranges: Value) -> Value {
    json!({"type": "host-local", "dataDir": Node::HOST_LOCAL, "ranges": ranges})
}

/// host-local called by itself, as a main plugin calls it.
pub(crate) fn host_local_alone(version: &str, ranges: Value) -> Value {
    json!({"cniVersion": version, "name": "web", "type": "host-local", "ipam": host_local(ranges)})
}

/// A MAC address that the kernel gave or a test asked for: six pairs of digits.
pub(crate) fn is_mac(text: &str) -> bool {
    text.len() == 17
        && text
            .split(':')
            .all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()))
}
