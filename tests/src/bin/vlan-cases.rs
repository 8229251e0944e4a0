//! The cases that need bridge VLAN filtering, for a kernel that has it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use fairlead_tests::{Attachment, Node, Place, Plugins, Sandbox, UmlCase, uml_main};
use serde_json::{Value, json};

/// All of them, in the order of running.
const CASES: [UmlCase; 6] = [
    (
        "a_vlan_is_the_ports_own_and_untagged",
        a_vlan_is_the_ports_own_and_untagged,
    ),
    (
        "one_vlan_is_one_network_and_two_are_two",
        one_vlan_is_one_network_and_two_are_two,
    ),
    (
        "a_vlan_has_its_own_gateway_link",
        a_vlan_has_its_own_gateway_link,
    ),
    (
        "the_default_vlan_stays_when_it_shall",
        the_default_vlan_stays_when_it_shall,
    ),
    (
        "without_a_vlan_nothing_is_filtered",
        without_a_vlan_nothing_is_filtered,
    ),
    (
        "del_takes_the_port_and_may_be_repeated",
        del_takes_the_port_and_may_be_repeated,
    ),
];

/// What only the newest reference, and ours, has.
const OUR_CASES: [UmlCase; 4] = [
    (
        "the_default_vlan_goes_when_it_shall",
        the_default_vlan_goes_when_it_shall,
    ),
    (
        "a_trunk_carries_its_vlans_tagged",
        a_trunk_carries_its_vlans_tagged,
    ),
    (
        "a_trunk_with_a_vlan_has_that_untagged",
        a_trunk_with_a_vlan_has_that_untagged,
    ),
    ("packets_cross_a_trunk", packets_cross_a_trunk),
];

fn main() -> ExitCode {
    let ours = std::env::args().nth(1).as_deref() == Some("ours");
    let mut cases = CASES.to_vec();
    if ours {
        cases.extend(OUR_CASES);
    }
    uml_main(&cases)
}

/// br0 with host-local addresses of both families.
fn attachment<'a>(
    plugins: &'a Plugins,
    node: &'a Node,
    sandbox: &Sandbox<'_>,
    keys: Value,
) -> Attachment<'a> {
    let config = json!({
        "cniVersion": "1.0.0",
        "name": "web",
        "type": "bridge",
        "bridge": "br0",
        "ipam": {"type": "host-local", "dataDir": Node::HOST_LOCAL,
            "ranges": [[{"subnet": "10.88.0.0/24"}], [{"subnet": "fd00:88::/64"}]]},
    });
    Attachment::new(plugins, node, sandbox, config).with(keys)
}

/// The VLANs of a port as `ID` or `ID flag flag`.
fn vlans(node: &Node, port: &str) -> Vec<String> {
    let printed = node.run(&format!("bridge -json vlan show dev {port}"));
    let list: Value = serde_json::from_str(&printed).unwrap_or_else(|e| panic!("{e}: {printed}"));
    let entries = list[0]["vlans"]
        .as_array()
        .unwrap_or_else(|| panic!("no vlans: {printed}"));
    entries
        .iter()
        .flat_map(|entry| {
            let first = entry["vlan"].as_u64().expect("a number");
            let last = entry["vlanEnd"].as_u64().unwrap_or(first);
            let mut flags: Vec<String> = entry["flags"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|flag| format!(" {}", flag.as_str().unwrap_or_default()))
                .collect();
            flags.sort();
            (first..=last)
                .map(move |id| format!("{id}{}", flags.concat()))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn host_end(result: &Value) -> &str {
    result["interfaces"][1]["name"].as_str().expect("a name")
}

fn a_vlan_is_the_ports_own_and_untagged(plugins: &Plugins) {
    let node = Node::new();
    for version in plugins.versions_since("0.3.0") {
        let sandbox = node.sandbox("one");
        let tagged = attachment(
            plugins,
            &node,
            &sandbox,
            json!({"vlan": 100, "cniVersion": version}),
        );
        let result = tagged.add();
        assert_eq!(
            node.link("br0")["linkinfo"]["info_data"]["vlan_filtering"],
            1
        );
        let found = vlans(&node, host_end(&result));
        assert!(
            found.contains(&"100 Egress Untagged PVID".to_owned()),
            "{found:?}"
        );
        if version.as_str() >= "0.4.0" {
            tagged.check(&result).done();
        }
        tagged.del();
    }
}

fn one_vlan_is_one_network_and_two_are_two(plugins: &Plugins) {
    let node = Node::new();
    let (one, two, other) = (
        node.sandbox("one"),
        node.sandbox("two"),
        node.sandbox("other"),
    );
    let first = attachment(plugins, &node, &one, json!({"vlan": 100}));
    let second = attachment(plugins, &node, &two, json!({"vlan": 100}));
    let third = attachment(plugins, &node, &other, json!({"vlan": 200}));
    let (_, second, third) = (first.view(), second.view(), third.view());
    for host in second.hosts() {
        one.ping(host);
    }
    for host in third.hosts() {
        let pinged = one.try_ping(host, std::time::Duration::from_secs(1));
        assert!(pinged.is_err(), "{host} is in another vlan and answers");
    }
}

fn a_vlan_has_its_own_gateway_link(plugins: &Plugins) {
    let node = Node::new();
    for version in plugins.versions_since("0.3.0") {
        let sandbox = node.sandbox("one");
        let keys = json!({"vlan": 100, "isDefaultGateway": true, "cniVersion": version});
        let routed = attachment(plugins, &node, &sandbox, keys);
        let view = routed.view();
        assert_eq!(node.addresses("br0.100"), ["10.88.0.1/24", "fd00:88::1/64"]);
        assert_eq!(node.addresses("br0"), [""; 0]);
        sandbox.ping("10.88.0.1");
        sandbox.ping("fd00:88::1");
        let names: Vec<&str> = view.interfaces.iter().map(|i| i.name.as_str()).collect();
        assert_eq!((names[0], names[2]), ("br0", "eth0"), "{names:?}");
        routed.del();
        assert!(
            node.has_link("br0.100"),
            "it is shared by the vlan's containers"
        );
    }
}

fn the_default_vlan_stays_when_it_shall(plugins: &Plugins) {
    let node = Node::new();
    let sandbox = node.sandbox("one");
    let kept = attachment(
        plugins,
        &node,
        &sandbox,
        json!({"vlan": 100, "preserveDefaultVlan": true}),
    );
    let found = vlans(&node, host_end(&kept.add()));
    assert_eq!(found, ["1 Egress Untagged", "100 Egress Untagged PVID"]);
}

fn without_a_vlan_nothing_is_filtered(plugins: &Plugins) {
    let node = Node::new();
    let sandbox = node.sandbox("one");
    attachment(plugins, &node, &sandbox, json!({})).add();
    assert_eq!(
        node.link("br0")["linkinfo"]["info_data"]["vlan_filtering"],
        0
    );
}

fn del_takes_the_port_and_may_be_repeated(plugins: &Plugins) {
    let node = Node::new();
    let sandbox = node.sandbox("one");
    let tagged = attachment(plugins, &node, &sandbox, json!({"vlan": 100}));
    tagged.add();
    tagged.del();
    assert_eq!(node.link_names(), ["br0", "lo", "uplink"]);
    tagged.del();
}

fn the_default_vlan_goes_when_it_shall(plugins: &Plugins) {
    let node = Node::new();
    let sandbox = node.sandbox("one");
    let alone = attachment(
        plugins,
        &node,
        &sandbox,
        json!({"vlan": 100, "preserveDefaultVlan": false}),
    );
    let found = vlans(&node, host_end(&alone.add()));
    assert_eq!(found, ["100 Egress Untagged PVID"]);
}

fn a_trunk_carries_its_vlans_tagged(plugins: &Plugins) {
    let node = Node::new();
    let sandbox = node.sandbox("one");
    let trunk =
        json!([{"minID": 10, "maxID": 12}, {"id": 20}, {"minID": 12, "maxID": 13, "id": 30}]);
    let keys = json!({"vlanTrunk": trunk, "preserveDefaultVlan": false});
    let result = attachment(plugins, &node, &sandbox, keys).add();
    assert_eq!(
        node.link("br0")["linkinfo"]["info_data"]["vlan_filtering"],
        1
    );
    let found = vlans(&node, host_end(&result));
    assert_eq!(
        found,
        ["1 Egress Untagged PVID", "10", "11", "12", "13", "20", "30"]
    );
}

fn a_trunk_with_a_vlan_has_that_untagged(plugins: &Plugins) {
    let node = Node::new();
    let sandbox = node.sandbox("one");
    let keys = json!({"vlan": 100, "vlanTrunk": [{"id": 20}], "preserveDefaultVlan": false});
    let found = vlans(
        &node,
        host_end(&attachment(plugins, &node, &sandbox, keys).add()),
    );
    assert_eq!(found, ["20", "100 Egress Untagged PVID"]);
}

fn packets_cross_a_trunk(plugins: &Plugins) {
    let node = Node::new();
    let (router, leaf) = (node.sandbox("router"), node.sandbox("leaf"));
    attachment(plugins, &node, &router, json!({"vlanTrunk": [{"id": 20}]})).add();
    let untagged = attachment(plugins, &node, &leaf, json!({"vlan": 20})).view();
    router.run("ip link add link eth0 name eth0.20 type vlan id 20");
    router.run("ip address add 10.88.0.200/24 dev eth0.20");
    router.run("ip link set eth0.20 up");
    // The trunk's own address is of the same network: this one goes by the vlan.
    let host = untagged.ip(false).host().to_owned();
    router.run(&format!(
        "ip route add {host}/32 dev eth0.20 src 10.88.0.200"
    ));
    router.ping(&host);
}
