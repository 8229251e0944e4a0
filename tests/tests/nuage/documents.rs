//! The sessions of documents 002 and 004, compared field by field.

use crate::case::{CREATE, Case, seed, text};
use fairlead_tests::{Docker, Place as _, eventually, patience};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// `docker network create` as document 002 types it.
const CREATE_FIRST: &str = r#"network create --driver=nuage -o organization=Enterprise -o domain=Domain -o zone=Zone -o subnet="Subnet 2" -o user=admin --subnet=10.21.59.0/24  MyNet"#;

/// The keys that the documents show of a network.
const KEYS: [&str; 10] = [
    "Name",
    "Id",
    "Scope",
    "Driver",
    "EnableIPv6",
    "IPAM",
    "Internal",
    "Containers",
    "Options",
    "Labels",
];

/// The options of the documents.
pub(crate) fn options() -> Value {
    json!({
        "domain": "Domain",
        "organization": "Enterprise",
        "subnet": "Subnet 2",
        "user": "admin",
        "zone": "Zone",
    })
}

#[track_caller]
fn shown_as_in_the_document(case: &Case, ipam: &Value, options: &Value) {
    let shown = case.json("network inspect MyNet")[0].clone();
    for key in KEYS {
        assert!(!shown[key].is_null(), "{key} is missing: {shown}");
    }
    assert_eq!(shown["Name"], "MyNet");
    assert_eq!(shown["Driver"], "nuage");
    assert_eq!(shown["Scope"], "local");
    assert_eq!(shown["EnableIPv6"], false);
    assert_eq!(&shown["IPAM"], ipam);
    assert_eq!(&shown["Options"], options);
    assert_eq!(shown["Internal"], false);
    assert_eq!(shown["Labels"], json!({}));
    let containers = shown["Containers"].as_object().unwrap();
    assert_eq!(containers.len(), 1, "{shown}");
    let (id, container) = containers.iter().next().unwrap();
    assert_eq!(id.len(), 64);
    let keys: BTreeSet<&str> = container
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let wanted = [
        "Name",
        "EndpointID",
        "MacAddress",
        "IPv4Address",
        "IPv6Address",
    ];
    assert_eq!(keys, BTreeSet::from(wanted));
    assert_eq!(text(&container["EndpointID"]).len(), 64);
    assert_eq!(container["IPv6Address"], "");
    let (address, mac) = (
        text(&container["IPv4Address"]),
        text(&container["MacAddress"]),
    );
    assert!(
        address.starts_with("10.21.59.") && address.ends_with("/24"),
        "{address}"
    );
    assert!(mac.starts_with("7a:42:"), "{mac}");
    let link = case.docker("exec tender_goldstine ip addr show eth0");
    for has in [&address, &mac] {
        assert!(link.contains(has.as_str()), "{has}: {link}");
    }
    let route = case.docker("exec tender_goldstine ip route");
    assert!(route.contains("default via 10.21.59.1 dev eth0"), "{route}");
    let listed = case.docker("network ls");
    let head: Vec<&str> = listed.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head[..4], ["NETWORK", "ID", "NAME", "DRIVER"]);
    let line = listed.lines().find(|line| line.contains("MyNet")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1..3], ["MyNet", "nuage"]);
    assert!(text(&shown["Id"]).starts_with(words[0]));
}

/// The vport is visible at the controller, with the container's id and name.
#[track_caller]
fn known_to_the_controller(case: &Case) {
    case.is_up(1);
    let container = case.vsd.state("containers")[0].clone();
    assert_eq!(container["name"], "tender_goldstine");
    assert_eq!(container["enterpriseName"], "Enterprise");
    let interface = &container["interfaces"][0];
    assert_eq!(interface["networkName"], "Subnet 2");
    assert_eq!(interface["zoneName"], "Zone");
    let vports = case.vsd.state("vports");
    assert_eq!(vports.len(), 1);
    assert_eq!(vports[0]["ID"], interface["VPortID"]);
    let entity = case.ovs.rows(&case.node, "Nuage_VM_Table")[0].clone();
    assert_eq!(entity["vm_name"], "tender_goldstine");
}

#[test]
fn the_session_of_document_002() {
    let case = Case::new();
    case.docker(CREATE_FIRST);
    case.docker("run -dit --name tender_goldstine --net MyNet busybox /bin/sh");
    let ipam = json!({"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.21.59.0/24"}]});
    shown_as_in_the_document(&case, &ipam, &options());
    known_to_the_controller(&case);
    case.docker("rm -f tender_goldstine");
    case.is_up(0);
    case.docker("network rm MyNet");
    assert_eq!(case.vsd.state("containers"), Vec::<Value>::new());
}

#[test]
fn the_session_of_document_004() {
    for plan in [Docker::plan(), Docker::plan().newer()] {
        let case = Case::with(plan, crate::case::SETTINGS, &seed());
        case.docker(CREATE);
        case.docker("run -dit --name tender_goldstine --net MyNet busybox /bin/sh");
        let ipam = json!({
            "Driver": "nuage-ipam",
            "Options": options(),
            "Config": [{"Subnet": "10.21.59.0/24", "Gateway": "10.21.59.1"}],
        });
        shown_as_in_the_document(&case, &ipam, &json!({}));
        known_to_the_controller(&case);
        case.docker("rm -f tender_goldstine");
        case.is_up(0);
        case.docker("network rm MyNet");
    }
}

/// `docker run -it --net MyNet nginx /bin/bash`, as both documents type it, at a terminal. The
/// image is one of that name with a shell of that name.
#[test]
fn a_container_is_started_as_the_documents_type_it() {
    let case = Case::new();
    case.create();
    case.docker("create --name made busybox true");
    case.node
        .write("/run/bash", "#!/bin/sh\nexec /bin/sh \"$@\"\n");
    case.node.run("chmod 755 /run/bash");
    case.docker("cp /run/bash made:/bin/bash");
    case.docker("commit made nginx");
    case.docker("rm made");
    case.node
        .write("/run/typed", "ip addr show eth0; ip route\nexit\n");
    let client = case.docker.client(Docker::SOCKET);
    let line = format!("{client} run -it --net MyNet nginx /bin/bash");
    let ran = case
        .node
        .sh(&format!("script -qec '{line}' /dev/null </run/typed"));
    for words in ["inet 10.21.59.", "default via 10.21.59.1 dev eth0"] {
        assert!(ran.stdout.contains(words), "{ran:?}");
    }
    case.is_up(0);
}

#[test]
fn packets_of_two_containers_pass_the_bridge_of_the_switch() {
    let case = Case::new();
    case.create();
    case.run("one", "--net MyNet");
    case.run("two", "--net MyNet");
    case.is_up(2);
    let address = case.address("two");
    eventually(patience(), || {
        let line = format!("exec one ping -c 1 -w 2 {address}");
        let ran = case.docker.cli(&case.node, &line);
        if ran.status == Some(0) {
            Ok(())
        } else {
            Err(ran)
        }
    });
    // The switch itself counts them, and has learnt who is where.
    let rows = case.ovs.rows(&case.node, "Nuage_Port_Table");
    let learnt = case.node.run("ovs-appctl fdb/show alubr0");
    for row in &rows {
        assert!(learnt.contains(&text(&row["mac"])), "{learnt}");
        let port = text(&row["name"]);
        let shown = case
            .node
            .run(&format!("ovs-ofctl dump-ports alubr0 {port}"));
        let received = shown
            .split("rx pkts=")
            .nth(1)
            .and_then(|rest| rest.split(',').next());
        let received: u64 = received.unwrap_or_default().parse().unwrap_or_default();
        assert!(received > 0, "{port}: {shown}");
    }
    // Without the switch there is no other way.
    let port = text(&rows[0]["name"]);
    case.ovs
        .vsctl(&case.node, &format!("del-port alubr0 {port}"));
    let ran = case
        .docker
        .cli(&case.node, &format!("exec one ping -c 1 -w 1 {address}"));
    assert_ne!(ran.status, Some(0), "{ran:?}");
}
