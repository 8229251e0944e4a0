//! `ipMasq`: the outside sees the host's address, the own network sees the container's.

use fairlead_tests::{Attachment, Family, Node, Place, Server, Transport, conformance};
use serde_json::{Value, json};

use crate::support::{bridge, ptp};

/// Asks the outside and the node from the container and says as whom it was seen.
fn assert_seen_as_the_node(node: &Node, sandbox: &impl Place, family: Family) {
    let outside = node.outside();
    for transport in [Transport::Tcp, Transport::Udp] {
        let server = Server::start(&outside, transport, 0, "outside");
        for (address, seen) in family.outsides().into_iter().zip(family.uplinks()) {
            let reply = transport.ask(sandbox, address, server.port());
            assert_eq!(
                (reply.text.as_str(), reply.client.to_string().as_str()),
                ("outside", seen)
            );
        }
    }
}

/// A `bridge` or `ptp` that masquerades.
fn masked(mut config: Value) -> Value {
    config["ipMasq"] = json!(true);
    if config["type"] == "bridge" {
        config["isDefaultGateway"] = json!(true);
    }
    config
}

conformance! {
    fn a_container_on_a_bridge_goes_out_as_the_node(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let attachment = Attachment::new(plugins, &node, &sandbox, masked(bridge(version, family)));
                attachment.add();
                assert_seen_as_the_node(&node, &sandbox, family);
                attachment.del();
            }
        }
    }

    fn a_container_on_a_cable_goes_out_as_the_node(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let attachment = Attachment::new(plugins, &node, &sandbox, masked(ptp(version, family)));
                attachment.add();
                assert_seen_as_the_node(&node, &sandbox, family);
                attachment.del();
            }
        }
    }

    fn inside_the_network_nobody_is_masked(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let (one, two) = (node.sandbox("one"), node.sandbox("two"));
                let first = Attachment::new(plugins, &node, &one, masked(bridge(version, family)));
                let second = Attachment::new(plugins, &node, &two, masked(bridge(version, family)));
                let (a, b) = (first.view(), second.view());
                let server = Server::start(&two, Transport::Tcp, 0, "two");
                for (a, b) in a.hosts().into_iter().zip(b.hosts()) {
                    let reply = Transport::Tcp.ask(&one, b, server.port());
                    assert_eq!(reply.client.to_string(), a);
                }
                first.del();
                second.del();
            }
        }
    }

    fn without_masquerade_the_outside_sees_the_container(plugins: &Plugins) {
        let node = Node::new();
        node.run("ip -n outside route add 10.88.0.0/24 via 198.51.100.1");
        node.run("ip -n outside route add fd00:88::/64 via 2001:db8::1");
        let outside = node.outside();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::Dual))
                .with(json!({"isDefaultGateway": true}));
            let view = attachment.view();
            let server = Server::start(&outside, Transport::Tcp, 0, "outside");
            for (address, container) in Family::Dual.outsides().into_iter().zip(view.hosts()) {
                let reply = Transport::Tcp.ask(&sandbox, address, server.port());
                assert_eq!(reply.client.to_string(), container);
            }
            attachment.del();
        }
    }

    fn del_leaves_no_rule_about_the_container(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                for config in [bridge(version, family), ptp(version, family)] {
                    let sandbox = node.sandbox("one");
                    let attachment = Attachment::new(plugins, &node, &sandbox, masked(config));
                    let view = attachment.view();
                    attachment.del();
                    for host in view.hosts() {
                        assert!(!node.rules_mention(host), "{host}: {}", node.nft_json());
                    }
                    attachment.del();
                }
            }
        }
    }

    fn one_containers_del_leaves_the_others_way_out(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let (one, two) = (node.sandbox("one"), node.sandbox("two"));
            let first = Attachment::new(plugins, &node, &one, masked(bridge(version, Family::Dual)));
            let second = Attachment::new(plugins, &node, &two, masked(bridge(version, Family::Dual)));
            first.add();
            second.add();
            first.del();
            assert_seen_as_the_node(&node, &two, Family::Dual);
            second.del();
        }
    }
}
