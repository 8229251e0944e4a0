//! The sessions of the documents of Nuage's two plugins (002, 004), with our driver's name:
//! what Docker prints for them is compared field by field.

use crate::case::Case;
use fairlead_tests::{Docker, Place as _};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The keys that the documents show of a network, in the order of `docker network inspect`.
const KEYS: [&str; 9] = [
    "Name",
    "Id",
    "Scope",
    "Driver",
    "IPAM",
    "Internal",
    "Containers",
    "Options",
    "Labels",
];

/// What the documents show of a container on it.
const OF_CONTAINER: [&str; 5] = [
    "Name",
    "EndpointID",
    "MacAddress",
    "IPv4Address",
    "IPv6Address",
];

#[track_caller]
fn shown_as_in_the_document(case: &Case, ipam: &Value, options: &Value) {
    let shown = case.json("network inspect MyNet")[0].clone();
    for key in KEYS {
        assert!(!shown[key].is_null(), "{key} is missing: {shown}");
    }
    assert_eq!(shown["Name"], "MyNet");
    assert_eq!(shown["Scope"], "local");
    assert_eq!(shown["Driver"], "fairlead");
    assert_eq!(shown["EnableIPv6"], false);
    assert_eq!(&shown["IPAM"], ipam);
    assert_eq!(&shown["Options"], options);
    assert_eq!(shown["Internal"], false);
    assert_eq!(shown["Labels"], json!({}));
    let (id, container) = shown["Containers"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert_eq!(id.len(), 64);
    let keys: BTreeSet<&str> = container
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, OF_CONTAINER.into_iter().collect());
    assert_eq!(container["EndpointID"].as_str().unwrap().len(), 64);
    assert_eq!(container["IPv6Address"], "");
    // The address and the hardware address are those that the container has.
    let address = container["IPv4Address"].as_str().unwrap();
    assert!(
        address.starts_with("10.21.59.") && address.ends_with("/24"),
        "{address}"
    );
    let link = case.docker("exec tender_goldstine ip addr show eth0");
    for has in [address, container["MacAddress"].as_str().unwrap()] {
        assert!(link.contains(has), "{has}: {link}");
    }
    let listed = case.docker("network ls");
    let head: Vec<&str> = listed.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head[..4], ["NETWORK", "ID", "NAME", "DRIVER"]);
    let line = listed.lines().find(|line| line.contains("MyNet")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1..3], ["MyNet", "fairlead"]);
    assert!(shown["Id"].as_str().unwrap().starts_with(words[0]));
}

#[test]
fn the_network_of_the_first_document_has_dockers_own_addresses() {
    let case = Case::new();
    case.node.networks(&["Subnet2=10.21.59.0/24"]);
    case.docker(
        "network create --driver=fairlead -o network=Subnet2 --subnet=10.21.59.0/24  MyNet",
    );
    case.docker("run -dit --name tender_goldstine --net MyNet busybox /bin/sh");
    let ipam = json!({"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.21.59.0/24"}]});
    shown_as_in_the_document(&case, &ipam, &json!({"network": "Subnet2"}));
}

#[test]
fn the_network_of_the_second_document_has_addresses_of_ours() {
    for plan in [Docker::plan(), Docker::plan().newer()] {
        let case = Case::with(plan);
        case.node.networks(&["Subnet2=10.21.59.0/24"]);
        case.docker(
            "network create --driver=fairlead --ipam-driver=fairlead \
             --ipam-opt network=Subnet2 --subnet=10.21.59.0/24  --gateway=10.21.59.1 MyNet",
        );
        case.docker("run -dit --name tender_goldstine --net MyNet busybox /bin/sh");
        let ipam = json!({
            "Driver": "fairlead",
            "Options": {"network": "Subnet2"},
            "Config": [{"Subnet": "10.21.59.0/24", "Gateway": "10.21.59.1"}],
        });
        shown_as_in_the_document(&case, &ipam, &json!({}));
        assert_eq!(
            case.node
                .run("ip -br address show obr_Subnet2")
                .matches("10.21.59.1/24")
                .count(),
            1
        );
    }
}
