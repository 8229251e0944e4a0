//! What is listed, from files and declarations.

mod common;

use common::Files;
use fairlead_networks::{
    Catalog, Known, Listing, NetworkError, Status, Usage, UsedAddress, find, generate,
};
use fairlead_types::{NetworkName, ObjectName};
use serde_json::json;
use std::collections::BTreeMap;

const CBR0: &str = r#"{
    "cniVersion": "0.2.0", "name": "cbr0", "type": "bridge", "bridge": "cbr0",
    "isGateway": true, "ipMasq": true,
    "ipam": {"type": "host-local", "subnet": "10.15.20.0/24", "routes": [{"dst": "0.0.0.0/0"}]}
}"#;

fn name(text: &str) -> NetworkName {
    NetworkName::new(text).unwrap()
}

fn used(network: &str, ip: &str, object: Option<&str>) -> UsedAddress {
    let object = object.map(|o| ObjectName::new(o).unwrap());
    UsedAddress {
        network: name(network),
        ip: ip.parse().unwrap(),
        node: "n1".into(),
        object,
        resource: None,
    }
}

fn status(catalog: &Catalog, all: &[UsedAddress], name: Option<&str>) -> Status {
    Status::new(catalog, Usage::Addresses(all), &BTreeMap::new(), name)
}

/// Files of every sort beside declared networks.
fn node() -> Files {
    let files = Files::new();
    files.declare(
        "[network#default]\n[network#six]\nnetwork = fd00::/8\n\
         [network#back]\ntype = routed_bridge\nnetwork = 10.11.0.0/16\nsubnet@n1 = 10.11.4.0/22\n",
    );
    files.write("cbr0.conf", CBR0);
    let weave = r#"{"cniVersion":"0.2.0","name":"weave","type":"weave-net"}"#;
    files.write("weave.conf", weave);
    let portmap = r#"{"cniVersion":"0.3.0","name":"osvc-portmap","type":"portmap"}"#;
    files.write("osvc-portmap.conf", portmap);
    files.write("torn.json", "{\"cniVersion\"");
    files
}

#[test]
fn the_status_has_every_network_and_the_addresses_sorted_as_texts() {
    let catalog = Catalog::read(&node().config()).unwrap();
    let all = [
        used("default", "10.22.4.9", None),
        used("default", "10.22.12.7", Some("test/svc/s1")),
        used("weave", "10.32.0.5", None),
        used("gone", "10.99.0.1", None),
    ];
    let shown = status(&catalog, &all, None);
    let text = serde_json::to_string_pretty(&shown).unwrap();
    let wanted = include_str!("golden/status.json");
    assert_eq!(text, wanted.trim_end());
    let one = status(&catalog, &all, Some("cbr0"));
    assert_eq!(one.networks.len(), 1);
    let none = status(&catalog, &all, Some("nothing"));
    assert_eq!(serde_json::to_string(&none).unwrap(), "{}");
    let counts = BTreeMap::from([("default".to_owned(), 3)]);
    let problems = BTreeMap::from([("default".to_owned(), "invalid".to_owned())]);
    let counted = Status::new(&catalog, Usage::Counts(&counts), &problems, Some("default"));
    let row = &counted.networks[0];
    assert_eq!(
        (row.used, row.free, row.problem.as_deref()),
        (3, 65533, Some("invalid"))
    );
    assert!(row.ips.is_empty());
}

#[test]
fn the_listing_has_configuration_and_file() {
    let files = node();
    let list = generate(&files.config().networks().0[1], "n1", None).unwrap();
    files.write("default.conflist", &list.to_value().to_string());
    let config = files.config();
    let catalog = Catalog::read(&config).unwrap();
    let all = Listing::new(&config, &Known::default(), &catalog, None);
    let names: Vec<_> = all.names().collect();
    assert_eq!(
        names,
        ["back", "cbr0", "default", "lo", "six", "torn", "weave"]
    );
    let mut value = serde_json::to_value(&all).unwrap();
    let mtime = value["default"]["cni"]["mtime"].take();
    assert!(mtime.as_f64().unwrap() > 1e9);
    let wanted = json!({
        "cni": {
            "cf": files.cni("default.conflist").display().to_string(),
            "mtime": null,
            "data": list.to_value(),
        },
        "config": {
            "type": "bridge", "network": "10.22.0.0/16", "dev": "obr_default", "public": false, "mtu": null,
        },
    });
    assert_eq!(value["default"], wanted);
    assert_eq!(
        value["lo"],
        json!({"config": {"type": "loopback", "network": "127.0.0.1/32"}})
    );
    let back = &value["back"]["config"];
    assert_eq!(back["subnets"], json!({"n1": "10.11.4.0/22"}));
    assert_eq!(back["tunnel"], "auto");
    assert_eq!(value["back"]["tables"], json!(["main"]));
    assert_eq!(
        value["cbr0"]["config"],
        json!({"type": "undef", "network": "10.15.20.0/24"})
    );
    assert_eq!(value["cbr0"]["cni"]["data"]["name"], "cbr0");
    assert!(
        value["torn"]["cni"]["error"]
            .as_str()
            .unwrap()
            .contains("torn.json")
    );

    let tree = Listing::new(&config, &Known::default(), &catalog, Some("lo"))
        .tree()
        .unwrap();
    assert_eq!(
        (tree.label.as_str(), tree.branches[0].label.as_str()),
        ("networks", "lo")
    );
    let leaf = &tree.branches[0].branches[0].branches[0];
    assert_eq!(
        (leaf.label.as_str(), leaf.value.as_deref()),
        ("type", Some("loopback"))
    );
    assert_eq!(
        Listing::new(&config, &Known::default(), &catalog, Some("nothing")).tree(),
        None
    );
}

#[test]
fn a_declared_network_is_generated_and_any_other_is_read() {
    let files = node();
    let config = files.config();
    // A file in its place changes nothing.
    files.write(
        "default.conflist",
        r#"{"cniVersion":"1.0.0","name":"default","type":"ptp"}"#,
    );
    let list = find(&config, &name("default")).unwrap();
    assert_eq!(list.plugins[0].raw()["bridge"], "obr_default");
    assert_eq!(
        find(&config, &name("lo")).unwrap().plugins[0].plugin_type(),
        "loopback"
    );
    assert_eq!(
        find(&config, &name("cbr0")).unwrap().plugins[0].raw()["bridge"],
        "cbr0"
    );
    assert_eq!(
        find(&config, &name("weave")).unwrap().plugins[0].plugin_type(),
        "weave-net"
    );
    let error = find(&config, &name("back")).unwrap_err();
    assert!(matches!(error, NetworkError::NotSetUp { .. }), "{error}");
    let error = find(&config, &name("torn")).unwrap_err();
    assert!(error.to_string().contains("torn.json"), "{error}");
    let text = find(&config, &name("nothing")).unwrap_err().to_string();
    assert!(
        text.contains("there are only back, cbr0, default, lo, six, weave;"),
        "{text}"
    );
    assert!(text.contains("network#nothing.network=CIDR"), "{text}");
}

#[test]
fn a_hidden_network_leaves_its_name_to_a_file_and_a_faulty_one_does_not() {
    let files = Files::new();
    files.declare("[network#bad]\nnetwork = 10.0.0.1/24\n");
    for network in ["default", "bad"] {
        let text = CBR0.replace("\"cbr0\", \"type\"", &format!("\"{network}\", \"type\""));
        files.write(&format!("{network}.conf"), &text);
    }
    let config = files.config();
    let catalog = Catalog::read(&config).unwrap();
    let listed: Vec<_> = catalog
        .networks
        .iter()
        .map(|e| (e.name.as_str(), e.kind()))
        .collect();
    assert_eq!(listed, [("default", "undef"), ("lo", "loopback")]);
    assert_eq!(catalog.problems.len(), 1);
    assert!(find(&config, &name("default")).is_ok());
    let error = find(&config, &name("bad")).unwrap_err();
    assert!(error.to_string().contains("network#bad.network"), "{error}");
}

#[test]
fn what_was_generated_for_a_network_that_is_gone_is_not_listed() {
    let files = Files::new();
    files.declare("[network#web]\nnetwork = 10.30.0.0/24\n");
    let networks = files.config().networks().0;
    let web = networks.iter().find(|n| n.name.as_str() == "web").unwrap();
    files.write(
        "web.conflist",
        &generate(web, "n1", None).unwrap().to_value().to_string(),
    );
    files.declare("");
    let catalog = Catalog::read(&files.config()).unwrap();
    assert_eq!(catalog.networks.len(), 1);
    let error = find(&files.config(), &name("web")).unwrap_err();
    assert!(matches!(error, NetworkError::Unknown { .. }), "{error}");
    std::fs::rename(files.cni("web.conflist"), files.cni("copy.conflist")).unwrap();
    assert!(find(&files.config(), &name("web")).is_ok());
    let catalog = Catalog::read(&files.config()).unwrap();
    assert_eq!(catalog.networks[1].kind(), "undef");
}

#[test]
fn of_two_files_with_one_name_the_list_is_shown_and_used() {
    let files = Files::new();
    files.declare("");
    let text = |kind: &str| {
        format!(r#"{{"cniVersion":"1.0.0","name":"x","plugins":[{{"type":"{kind}"}}]}}"#)
    };
    files.write(
        "a.conf",
        r#"{"cniVersion":"1.0.0","name":"x","type":"ptp"}"#,
    );
    files.write("b.conflist", &text("macvlan"));
    let config = files.config();
    let catalog = Catalog::read(&config).unwrap();
    let shown: Vec<_> = catalog.networks.iter().filter_map(|e| e.file()).collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].list, find(&config, &name("x")).unwrap());
    assert_eq!(shown[0].list.plugins[0].plugin_type(), "macvlan");
}
