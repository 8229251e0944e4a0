//! `bridge`: what each key changes.

use fairlead_tests::{Attachment, Family, Node, Place, Server, Transport, conformance};
use serde_json::{Value, json};

use crate::support::bridge;

/// The link of the container's host end.
fn port(node: &Node, result: &Value) -> Value {
    node.link(result["interfaces"][1]["name"].as_str().expect("a name"))
}

conformance! {
    fn mtu_is_that_of_all_three_links(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.3.0") {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4))
                .with(json!({"mtu": 1380}));
            let result = attachment.add();
            for link in [node.link("br0"), port(&node, &result), sandbox.link("eth0")] {
                assert_eq!(link["mtu"], 1380, "{link}");
            }
            attachment.del();
        }
    }

    fn hairpin_mode_lets_a_container_reach_itself_through_the_bridge(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.3.0") {
            for on in [false, true] {
                let sandbox = node.sandbox("one");
                let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4))
                    .with(json!({"hairpinMode": on}));
                let link = port(&node, &attachment.add());
                assert_eq!(link["linkinfo"]["info_slave_data"]["hairpin"], on, "{link}");
                attachment.del();
            }
        }
    }

    fn promiscuous_mode_is_the_bridges(plugins: &Plugins) {
        for on in [false, true] {
            let node = Node::new();
            for version in plugins.versions_since("0.3.0") {
                let sandbox = node.sandbox("one");
                let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4))
                    .with(json!({"promiscMode": on}));
                let result = attachment.add();
                let flags = node.link("br0")["flags"].to_string();
                assert_eq!(flags.contains("PROMISC"), on, "{flags}");
                if version.as_str() >= "0.4.0" {
                    attachment.check(&result).done();
                }
                attachment.del();
            }
        }
    }

    fn hairpin_and_promiscuous_mode_together_are_refused(plugins: &Plugins) {
        let node = Node::new();
        let before = node.snapshot();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4))
                .with(json!({"promiscMode": true, "hairpinMode": true}))
                .try_add()
                .fails(999, &["hairpin", "promiscuous"]);
            assert_eq!(node.snapshot(), before);
        }
    }

    fn another_address_on_the_bridge_is_refused_or_replaced(plugins: &Plugins) {
        for version in plugins.versions() {
            let node = Node::new();
            let (one, two) = (node.sandbox("one"), node.sandbox("two"));
            // A bridge with a port, hence with a MAC address of its own.
            Attachment::new(plugins, &node, &one, bridge(version, Family::V4)).add();
            node.run("ip address replace 10.99.0.1/24 dev br0");
            node.run("ip address del 10.88.0.1/24 dev br0");
            let attachment = Attachment::new(plugins, &node, &two, bridge(version, Family::V4));
            attachment.try_add().fails(999, &["br0", "already has an IP address different from", "10.88.0.1/24"]);
            assert_eq!(node.addresses("br0"), ["10.99.0.1/24"]);
            attachment.del();
            let forced = attachment.with(json!({"forceAddress": true}));
            forced.add();
            assert_eq!(node.addresses("br0"), ["10.88.0.1/24"]);
            two.ping("10.88.0.1");
            forced.del();
        }
    }

    fn a_second_version_6_network_is_another_address_of_the_bridge(plugins: &Plugins) {
        for version in plugins.versions() {
            let node = Node::new();
            let (one, two) = (node.sandbox("one"), node.sandbox("two"));
            Attachment::new(plugins, &node, &one, bridge(version, Family::V6)).add();
            let mut config = bridge(version, Family::V6);
            config["ipam"]["ranges"] = json!([[{"subnet": "fd00:99::/64"}]]);
            config["name"] = json!("more");
            Attachment::new(plugins, &node, &two, config).add();
            assert_eq!(node.addresses("br0"), ["fd00:88::1/64", "fd00:99::1/64"]);
            one.ping("fd00:88::1");
            two.ping("fd00:99::1");
        }
    }

    fn duplicate_address_detection_follows_enabledad(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            for on in [false, true] {
                let sandbox = node.sandbox("one");
                // The opposite of what is asked for, so that it is the plugin that sets it.
                sandbox.set_sysctl("net/ipv6/conf/default/accept_dad", if on { "0" } else { "1" });
                let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V6))
                    .with(json!({"enabledad": on}));
                attachment.add();
                assert_eq!(sandbox.sysctl("net/ipv6/conf/eth0/accept_dad"), u8::from(on).to_string());
                // A tentative address is one that ADD did not wait for.
                let addresses = sandbox.ip_json("address show dev eth0")[0]["addr_info"].to_string();
                assert!(!addresses.contains("dadfailed"), "{addresses}");
                sandbox.ping("fd00:88::1");
                attachment.del();
            }
        }
    }

    fn a_mac_address_may_be_asked_for_in_three_ways(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let base = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4));
            let ways = [
                (base.clone().args("IgnoreUnknown=1;MAC=02:00:00:00:00:0a"), "02:00:00:00:00:0a"),
                (base.clone().with(json!({"args": {"cni": {"mac": "02:00:00:00:00:0b"}}})), "02:00:00:00:00:0b"),
                (base.clone().with(json!({"runtimeConfig": {"mac": "02:00:00:00:00:0c"}})), "02:00:00:00:00:0c"),
                // The strongest of the three wins.
                (base.args("IgnoreUnknown=1;MAC=02:00:00:00:00:0a").with(json!({
                    "args": {"cni": {"mac": "02:00:00:00:00:0b"}},
                    "runtimeConfig": {"mac": "02:00:00:00:00:0c"},
                })), "02:00:00:00:00:0c"),
            ];
            for (attachment, mac) in ways {
                let result = attachment.add();
                assert_eq!(sandbox.link("eth0")["address"], mac);
                if version.as_str() >= "0.3.0" {
                    assert_eq!(result["interfaces"][2]["mac"], mac);
                }
                attachment.del();
            }
        }
    }

    fn a_mac_address_that_is_none_is_refused(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4))
                .with(json!({"runtimeConfig": {"mac": "zz"}}));
            attachment.try_add().fails(999, &["zz", "mac address"]);
            assert_eq!(sandbox.link_names(), ["lo"]);
        }
    }

    fn mac_spoof_check_drops_frames_from_another_mac(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4))
                .with(json!({"macspoofchk": true}));
            attachment.add();
            let mac = sandbox.link("eth0")["address"].as_str().expect("a mac").to_owned();
            let server = Server::start(&node, Transport::Udp, 0, "node");
            Transport::Udp.ask(&sandbox, "10.88.0.1", server.port());
            sandbox.run("ip link set eth0 address 02:00:00:00:00:99");
            sandbox.run("ip neigh flush dev eth0");
            Transport::Udp.nobody(&sandbox, "10.88.0.1", server.port());
            sandbox.run(&format!("ip link set eth0 address {mac}"));
            Transport::Udp.ask(&sandbox, "10.88.0.1", server.port());
            assert!(node.rules_mention(&mac));
            attachment.del();
            assert!(!node.rules_mention(&mac), "{}", node.nft_json());
        }
    }

    fn names_of_the_configuration_win_over_the_ipams(plugins: &Plugins) {
        let node = Node::new();
        node.run("mkdir -p /run/etc");
        std::fs::write(
            node.path("/run/etc/resolv.conf"),
            "nameserver 192.0.2.1\nnameserver 2001:db8::53\ndomain a.example\nsearch b.example c.example\noptions ndots:2\n",
        )
        .expect("a file in the node");
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mut config = bridge(version, Family::V4);
            config["ipam"]["resolvConf"] = json!("/run/etc/resolv.conf");
            let attachment = Attachment::new(plugins, &node, &sandbox, config);
            // Debian's loses what the IPAM plugin says; the newest reference keeps it.
            let found = json!({
                "nameservers": ["192.0.2.1", "2001:db8::53"],
                "domain": "a.example",
                "search": ["b.example", "c.example"],
                "options": ["ndots:2"],
            });
            let expected = if plugins.is_reference() { json!({}) } else { found };
            assert_eq!(attachment.view().dns, expected);
            attachment.del();
            let attachment = attachment.with(json!({"dns": {"nameservers": ["192.0.2.9"]}}));
            assert_eq!(attachment.view().dns, json!({"nameservers": ["192.0.2.9"]}));
            attachment.del();
        }
    }
}
