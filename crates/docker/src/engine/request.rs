//! What another node asks of its engine to have a network too.

use fairlead_libnetwork::engine::Network;
use fairlead_store::DockerNetwork;
use ipnet::IpNet;
use serde_json::{Map, Value, json};

/// What is as it is on the node where the network was made.
const SAME: [&str; 6] = [
    "Internal",
    "Attachable",
    "EnableIPv4",
    "EnableIPv6",
    "Labels",
    "Driver",
];
/// Options that a network which is there already does not take.
const NOT_TAKEN: [&str; 2] = ["mtu", "com.docker.network.driver.mtu"];

/// What the declared network is that a network of Docker's leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared<'a> {
    /// Its ranges on all nodes.
    pub(super) ranges: &'a [IpNet],
    /// Whether each node has a segment, and so a gateway of its own.
    pub(super) routed: bool,
}

/// The body of `POST /networks/create`, for a network that is recorded here.
pub(super) fn body(network: &Network, record: &DockerNetwork, declared: Declared<'_>) -> Value {
    let mut body = Map::new();
    body.insert("Name".to_owned(), network.name().into());
    // Engines of before 2024 take a second network of the same name otherwise.
    body.insert("CheckDuplicate".to_owned(), true.into());
    for key in SAME {
        if let Some(value) = network.get(key) {
            body.insert(key.to_owned(), value.clone());
        }
    }
    let mut options = object(network.get("Options"));
    options.retain(|option, _| !NOT_TAKEN.contains(&option.as_str()));
    options.insert("network".to_owned(), record.network.as_str().into());
    options.insert("origin".to_owned(), record.id.as_str().into());
    body.insert("Options".to_owned(), options.into());
    let ipam = network.get("IPAM").cloned().unwrap_or_default();
    body.insert("IPAM".to_owned(), addresses(&ipam, record, declared));
    body.into()
}

fn addresses(ipam: &Value, record: &DockerNetwork, declared: Declared<'_>) -> Value {
    let driver = ipam.get("Driver").and_then(Value::as_str);
    let driver = driver.unwrap_or("default");
    let ours = crate::DRIVER.is(driver);
    let mut options = object(ipam.get("Options"));
    if ours {
        options.insert("network".to_owned(), record.network.as_str().into());
    }
    let config = ipam.get("Config").and_then(Value::as_array);
    let config = config.into_iter().flatten();
    let config: Vec<Value> = config
        .map(|one| range(object(Some(one)), ours, declared))
        .filter(|one| !one.is_empty())
        .map(Value::Object)
        .collect();
    json!({"Driver": driver, "Options": options, "Config": config})
}

/// A range as the other node can have it. Our driver of addresses knows the network's ranges
/// itself: what Docker was told instead, because it had to be told something, counts for
/// nothing there.
fn range(mut config: Map<String, Value>, ours: bool, declared: Declared<'_>) -> Map<String, Value> {
    config.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
    if declared.routed {
        config.remove("Gateway");
    }
    if !ours {
        return config;
    }
    let subnet = config.get("Subnet").and_then(Value::as_str);
    let subnet: Option<IpNet> = subnet.and_then(|text| text.parse().ok());
    if !subnet.is_some_and(|subnet| declared.ranges.contains(&subnet)) {
        return Map::new();
    }
    if declared.routed {
        // They are of the segment of the node that named them.
        config.remove("IPRange");
        config.remove("AuxiliaryAddresses");
    }
    config
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::plain;

    fn network(ipam: &Value) -> Network {
        Network::new(json!({
            "Name": "My Net", "Id": "8f81", "Created": "2026-01-01T00:00:00Z", "Scope": "local",
            "Driver": "fairlead:latest", "EnableIPv6": false, "Internal": true, "Attachable": false,
            "Containers": {}, "Options": {"network": "x", "mtu": "1400", "a": "b"}, "Labels": {"l": "1"},
            "IPAM": ipam,
        }))
    }

    fn made(ipam: &Value, routed: bool) -> Value {
        let ranges = ["10.30.0.0/16".parse().unwrap()];
        let declared = Declared {
            ranges: &ranges,
            routed,
        };
        body(&network(ipam), &plain("8f81", "back"), declared)
    }

    #[test]
    fn a_copy_is_what_the_network_is_but_for_what_leads_to_it() {
        let ipam = json!({"Driver": "fairlead:latest", "Options": null,
            "Config": [{"Subnet": "10.30.0.0/16", "Gateway": "10.30.0.1", "IPRange": ""}]});
        let wanted = json!({
            "Name": "My Net", "CheckDuplicate": true, "Driver": "fairlead:latest",
            "EnableIPv6": false, "Internal": true, "Attachable": false, "Labels": {"l": "1"},
            "Options": {"network": "back", "origin": "8f81", "a": "b"},
            "IPAM": {"Driver": "fairlead:latest", "Options": {"network": "back"},
                "Config": [{"Subnet": "10.30.0.0/16", "Gateway": "10.30.0.1"}]},
        });
        assert_eq!(made(&ipam, false), wanted);
    }

    #[test]
    fn what_is_of_one_nodes_segment_is_left_out() {
        let config = json!([{"Subnet": "10.30.0.0/16", "Gateway": "10.30.1.1",
            "IPRange": "10.30.1.0/25", "AuxiliaryAddresses": {"a": "10.30.1.9"}}]);
        let ipam = json!({"Driver": "fairlead", "Options": {}, "Config": config});
        let wanted = json!([{"Subnet": "10.30.0.0/16"}]);
        assert_eq!(made(&ipam, true)["IPAM"]["Config"], wanted);
        let segment = json!({"Driver": "fairlead", "Config": [{"Subnet": "10.30.1.0/24"}]});
        assert_eq!(made(&segment, true)["IPAM"]["Config"], json!([]));
    }

    #[test]
    fn what_dockers_own_addresses_are_from_stays_but_for_the_gateway_of_a_node() {
        let config =
            json!([{"Subnet": "10.30.0.0/16", "IPRange": "10.30.1.0/24", "Gateway": "10.30.1.1"}]);
        let ipam = json!({"Driver": "default", "Options": null, "Config": config});
        let same = &made(&ipam, false)["IPAM"];
        assert_eq!(
            *same,
            json!({"Driver": "default", "Options": {}, "Config": config})
        );
        let routed = &made(&ipam, true)["IPAM"]["Config"][0];
        assert_eq!(
            *routed,
            json!({"Subnet": "10.30.0.0/16", "IPRange": "10.30.1.0/24"})
        );
    }
}
