//! `bridge`: what the newest reference has and Debian's does not.

use fairlead_tests::{
    Attachment, Node, Place, Plugins, Sandbox, Server, Transport, View, eventually, patience,
};
use serde_json::{Value, json};

fn bridge(version: &str) -> Value {
    json!({
        "cniVersion": version,
        "name": "web",
        "type": "bridge",
        "bridge": "br0",
        "isGateway": true,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/24"}], [{"subnet": "fd00:88::/64"}]]},
    })
}

fn attachment<'a>(
    plugins: &'a Plugins,
    node: &'a Node,
    sandbox: &Sandbox<'_>,
    keys: Value,
) -> Attachment<'a> {
    Attachment::new(plugins, node, sandbox, bridge("1.1.0")).with(keys)
}

/// The host end of an attachment.
fn port(node: &Node, result: &Value) -> Value {
    node.link(result["interfaces"][1]["name"].as_str().expect("a name"))
}

#[test]
fn isolated_ports_reach_the_gateway_and_not_each_other() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let (one, two) = (node.sandbox("one"), node.sandbox("two"));
    let isolated = json!({"portIsolation": true});
    let first = attachment(&plugins, &node, &one, isolated.clone());
    let second = attachment(&plugins, &node, &two, isolated);
    let (a, b) = (first.add(), second.add());
    for result in [&a, &b] {
        assert_eq!(
            port(&node, result)["linkinfo"]["info_slave_data"]["isolated"],
            true
        );
    }
    let b = View::of(&b, "1.1.0");
    let server = Server::start(&two, Transport::Tcp, 0, "two");
    for (host, gateway) in b.hosts().into_iter().zip(["10.88.0.1", "fd00:88::1"]) {
        one.ping(gateway);
        two.ping(gateway);
        Transport::Tcp.nobody(&one, host, server.port());
    }
    first.del();
    second.del();
}

#[test]
fn ports_are_not_isolated_unless_asked_for() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    let result = attachment(&plugins, &node, &one, json!({})).add();
    let data = port(&node, &result)["linkinfo"]["info_slave_data"].take();
    assert_eq!(data["isolated"], false);
}

#[test]
fn a_disabled_container_interface_stays_down_without_addresses() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    let mut layer2 = attachment(
        &plugins,
        &node,
        &one,
        json!({"disableContainerInterface": true}),
    );
    layer2
        .config
        .as_object_mut()
        .expect("an object")
        .remove("ipam");
    let view = layer2.view();
    assert_eq!(view.ips, []);
    let link = one.link("eth0");
    assert!(!link["flags"].to_string().contains("\"UP\""), "{link}");
    assert_eq!(one.addresses("eth0"), [""; 0]);
    layer2.del();
    assert_eq!(one.link_names(), ["lo"]);
}

#[test]
fn a_disabled_container_interface_and_ipam_exclude_each_other() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    let before = node.snapshot();
    attachment(
        &plugins,
        &node,
        &one,
        json!({"disableContainerInterface": true}),
    )
    .try_add()
    .fails(999, &["IPAM", "DisableContainerInterface"]);
    assert_eq!(node.snapshot(), before);
    assert_eq!(one.link_names(), ["lo"]);
}

#[test]
fn trunks_that_make_no_sense_are_refused() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    let before = node.snapshot();
    for (trunk, words) in [
        (json!([{"id": 0}]), ["trunk", "id"]),
        (json!([{"id": 4095}]), ["trunk", "id"]),
        (json!([{"minID": 0, "maxID": 5}]), ["trunk", "minID"]),
        (json!([{"minID": 1, "maxID": 4095}]), ["trunk", "maxID"]),
        (json!([{"minID": 9, "maxID": 5}]), ["minID", "maxID"]),
        (json!([{"minID": 9}]), ["minID", "maxID"]),
        (json!([{"maxID": 9}]), ["minID", "maxID"]),
        (json!("text"), ["netconf", "vlanTrunk"]),
    ] {
        attachment(&plugins, &node, &one, json!({"vlanTrunk": trunk}))
            .try_add()
            .fails(999, &words);
        assert_eq!(node.snapshot(), before);
    }
}

#[test]
fn the_ipams_names_are_kept() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    std::fs::write(node.path("/run/resolv.conf"), "nameserver 192.0.2.1\n").expect("a file");
    let mut named = attachment(&plugins, &node, &one, json!({}));
    named.config["ipam"]["resolvConf"] = json!("/run/resolv.conf");
    assert_eq!(named.view().dns, json!({"nameservers": ["192.0.2.1"]}));
}

#[test]
fn masquerade_goes_with_the_container_whatever_happened_to_it() {
    let plugins = Plugins::ours();
    let node = Node::new();
    for broken in ["address gone", "namespace gone"] {
        let one = node.sandbox("one");
        let masked = attachment(
            &plugins,
            &node,
            &one,
            json!({"ipMasq": true, "isDefaultGateway": true}),
        );
        let view = masked.view();
        if broken == "address gone" {
            one.run("ip address flush dev eth0");
        } else {
            one.vanish();
        }
        masked.del();
        for host in view.hosts() {
            assert!(!node.rules_mention(host), "{broken}: {}", node.nft_json());
        }
    }
}

#[test]
fn a_failed_add_leaves_nothing_at_any_step() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    // A bridge that is there, so that it is not counted as left, with a port, so
    // that it is up and stays so.
    node.run("ip link add name br0 address 02:00:00:00:00:77 type bridge");
    node.run("ip address add 10.99.0.1/24 dev br0");
    node.run("ip link add name port master br0 up type veth peer name portpeer");
    node.run("ip link set portpeer up");
    node.run("ip link set br0 up");
    eventually(patience(), || {
        let calm = |name| {
            let link = node.link(name);
            link["operstate"] == "UP"
                && link.to_string().contains("fe80::")
                && !link.to_string().contains("tentative")
        };
        if ["br0", "port", "portpeer"].into_iter().all(calm) {
            Ok(())
        } else {
            Err(node.snapshot())
        }
    });
    node.run("ip -n one link set lo up");
    let before = node.snapshot();
    let strict = json!({"ipMasq": true, "macspoofchk": true});
    for keys in [
        // Refused by the bridge: it has another address.
        json!({}),
        // Refused by the IPAM plugin.
        json!({"ipam": {"type": "nobody"}}),
        json!({"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.1/24"}]]}}),
        // Refused by the kernel: no way to that next hop.
        json!({"isGateway": false, "ipam": {"type": "static",
            "addresses": [{"address": "10.88.0.9/24"}],
            "routes": [{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}]}}),
    ] {
        attachment(&plugins, &node, &one, strict.clone())
            .with(keys)
            .try_add()
            .failure();
        assert_eq!(one.link_names(), ["lo"]);
        assert_eq!(node.snapshot(), before);
        assert!(!node.rules_mention("10.88.0.2") && !node.rules_mention("10.88.0.9"));
    }
}
