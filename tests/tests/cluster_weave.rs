//! `type=weave`, plugins of other makers, and `lo`. Weave itself needs its daemon and
//! Docker: `weave-net` here is a stand-in of this package.

use fairlead_tests::{Node, Place, Server, Transport, built_binary};
use serde_json::json;

/// A node with the network `weave1` and a folder of plugins that has `weave-net`.
fn node() -> Node {
    let node = Node::new();
    node.run("mkdir -p /run/cni");
    node.run(&format!(
        "ln -s {} /run/cni/weave-net",
        built_binary("weave-net").display()
    ));
    let line = "om cluster set --kw cni.plugins=/run/cni --kw cni.config=/run/net.d";
    node.sh(line).done();
    let line =
        "om cluster set --kw network#weave1.type=weave --kw network#weave1.network=10.40.0.0/16";
    node.sh(line).done();
    node.sh("om net setup").done();
    node
}

#[test]
fn a_weave_network_is_weaves_configuration_and_used_like_any_other() {
    let node = node();
    let shown = node.sh("fairlead net show --name weave1 -o json").json();
    let config = &shown["weave1"]["cni"]["data"];
    assert_eq!(config["name"], "weave1");
    assert_eq!(
        config["plugins"][0],
        json!({"type": "weave-net", "ipam": {"subnet": "10.40.0.0/16"}})
    );
    assert_eq!(node.sh("om net ls").done(), "default\nlo\nweave1\n");
    // We make nothing for it but the file.
    assert!(!node.has_link("obr_weave1"));
    assert!(node.path("/run/net.d/weave1.conflist").exists());
    let (one, two) = (node.sandbox("one"), node.sandbox("two"));
    let before = node.world();
    node.sh("fairlead attach weave1 --netns /run/netns/one --object demo/svc/one")
        .done();
    node.sh("fairlead attach weave1 --netns /run/netns/two --object demo/svc/two")
        .done();
    assert_eq!(one.addresses("eth0"), ["10.40.0.1/16"]);
    one.ping("10.40.0.2");
    let server = Server::start(&two, Transport::Tcp, 0, "two");
    let asked = Transport::Tcp.ask(&one, "10.40.0.2", server.port());
    assert_eq!(asked.client.to_string(), "10.40.0.1");
    let status = node.sh("om net status --verbose --name weave1").done();
    for word in [
        "weave1",
        "weave ",
        "10.40.0.0/16",
        "demo/svc/one",
        "demo/svc/two",
        "10.40.0.2",
    ] {
        assert!(status.contains(word), "{word}: {status}");
    }
    assert_eq!(
        node.sh("fairlead ls -o json")
            .json()
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    for name in ["one", "two"] {
        node.sh(&format!("fairlead detach weave1 --netns /run/netns/{name}"))
            .done();
    }
    node.run("ip link delete weave");
    node.is_as_before(&before, "both were detached");
    let calls = node.read("/run/weave-calls");
    assert_eq!(
        calls,
        "ADD one eth0\nADD two eth0\nDEL one eth0\nDEL two eth0\n"
    );
    node.sh("om cluster unset --kw network#weave1.type --kw network#weave1.network")
        .done();
    node.sh("om net setup").done();
    assert!(!node.path("/run/net.d/weave1.conflist").exists());
}

#[test]
fn weave_that_is_not_installed_is_told() {
    let node = node();
    node.run("rm /run/cni/weave-net");
    let _shop = node.sandbox("shop");
    let before = node.world();
    node.sh("fairlead attach weave1 --netns /run/netns/shop")
        .fails(&["weave-net", "/run/cni", "cni.plugins"]);
    node.is_as_before(&before, "a plugin is missing");
}

#[test]
fn a_file_of_another_maker_is_a_network_and_lo_is_there() {
    let node = node();
    node.write(
        "/run/net.d/own.conf",
        r#"{"cniVersion": "0.3.0", "name": "own", "type": "weave-net", "ipam": {"subnet": "10.41.0.0/24"}}"#,
    );
    assert_eq!(node.sh("om net ls").done(), "default\nlo\nown\nweave1\n");
    let shop = node.sandbox("shop");
    node.sh("fairlead attach own --netns /run/netns/shop")
        .done();
    assert_eq!(shop.addresses("eth0"), ["10.41.0.1/24"]);
    node.sh("fairlead detach own --netns /run/netns/shop")
        .done();
    assert_eq!(shop.link_names(), ["lo"]);
    let shown = node.sh("fairlead net show --name lo -o json").json();
    assert_eq!(shown["lo"]["config"]["type"], "loopback");
    let status = node.sh("om net status --name lo").done();
    assert!(
        status.contains("`- lo    loopback  127.0.0.1/32  1     0     1     0.00%  \n"),
        "{status}"
    );
    node.sh("fairlead attach lo --netns /run/netns/shop --ifname lo")
        .done();
    shop.ping("127.0.0.1");
    node.sh("fairlead detach lo --netns /run/netns/shop").done();
}
