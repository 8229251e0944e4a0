//! `bridge`: CHECK says yes while all is as ADD left it, and names what is not.

use fairlead_tests::{Attachment, Family, Node, Place, conformance};
use serde_json::{Value, json};

use crate::support::bridge;

/// Each way to break an attachment, and the words that CHECK must find for it.
fn assert_broken(
    node: &Node,
    attachment: &Attachment<'_>,
    result: &Value,
    (breaks, mends): (&str, &str),
    words: &[&str],
) {
    for line in breaks.split("; ") {
        node.run(line);
    }
    attachment.check(result).fails(999, words);
    for line in mends.split("; ") {
        node.run(line);
    }
    attachment.check(result).done();
}

conformance! {
    fn says_yes_to_what_add_made(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions_since("0.4.0") {
                let sandbox = node.sandbox("one");
                let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, family))
                    .with(json!({"isDefaultGateway": true, "hairpinMode": true}));
                let result = attachment.add();
                attachment.check(&result).done();
                attachment.check(&result).done();
                attachment.del();
            }
        }
    }

    fn is_refused_before_0_4_0(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions().iter().filter(|v| v.as_str() < "0.4.0") {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4));
            let result = attachment.add();
            attachment.check(&result).fails(1, &["does not allow", "CHECK"]);
            attachment.del();
        }
    }

    fn needs_the_previous_result(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.4.0") {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4));
            attachment.add();
            attachment.command("CHECK").fails(999, &["prevResult", "missing"]);
            attachment.del();
        }
    }

    fn names_a_missing_address(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions_since("0.4.0") {
                let sandbox = node.sandbox("one");
                let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, family));
                let (result, view) = (attachment.add(), attachment.version());
                for ip in &fairlead_tests::View::of(&result, &view).ips {
                    let change = |verb: &str| {
                        format!("ip -n one address {verb} {} dev eth0", ip.address)
                    };
                    // Without duplicate address detection, so that it is there at once.
                    let add = if ip.is_v6() { change("add") + " nodad" } else { change("add") };
                    assert_broken(&node, &attachment, &result, (&change("del"), &add), &["eth0", ip.host()]);
                }
                attachment.del();
            }
        }
    }

    fn names_a_missing_route(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.4.0") {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4))
                .with(json!({"isDefaultGateway": true}));
            let result = attachment.add();
            assert_broken(&node, &attachment, &result, (
                "ip -n one route del default",
                "ip -n one route add default via 10.88.0.1",
            ), &["route", "10.88.0.1", "not found"]);
            attachment.del();
        }
    }

    fn names_what_is_wrong_with_the_links(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.4.0") {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4));
            let result = attachment.add();
            let name = |at: usize| result["interfaces"][at]["name"].as_str().expect("a name");
            let mac = |at: usize| result["interfaces"][at]["mac"].as_str().expect("a mac");
            assert_broken(&node, &attachment, &result, (
                "ip -n one link set eth0 address 02:00:00:00:00:99",
                &format!("ip -n one link set eth0 address {}", mac(2)),
            ), &["eth0", "mac", "match"]);
            assert_broken(&node, &attachment, &result, (
                "ip link set br0 address 02:00:00:00:00:98",
                &format!("ip link set br0 address {}", mac(0)),
            ), &["br0", "mac", "match"]);
            assert_broken(&node, &attachment, &result, (
                &format!("ip link set {} nomaster", name(1)),
                &format!("ip link set {} master br0", name(1)),
            ), &["veth", "br0", "not found"]);
            assert_broken(&node, &attachment, &result, (
                "ip link set br0 promisc on",
                "ip link set br0 promisc off",
            ), &["br0", "promisc"]);
            node.run(&format!("ip link del {}", name(1)));
            attachment.check(&result).fails(999, &["eth0", "not found"]);
            node.run("ip link del br0");
            attachment.check(&result).fails(999, &["br0", "not found"]);
            attachment.del();
        }
    }

    fn names_a_namespace_that_is_not_the_one(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.4.0") {
            let (sandbox, other) = (node.sandbox("one"), node.sandbox("other"));
            let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4));
            let result = attachment.add();
            let mut moved = attachment.clone();
            moved.netns = other.netns();
            moved.check(&result).fails(999, &["sandbox", "match", "/run/netns/other"]);
            moved.netns = "/run/netns/nowhere".to_owned();
            moved.check(&result).fails(999, &["failed to open netns", "/run/netns/nowhere"]);
            attachment.del();
        }
    }

    fn names_a_container_without_an_address(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.4.0") {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4));
            let result = attachment.add();
            let mut other = attachment.clone();
            other.container = "stranger".to_owned();
            other.check(&result).fails(999, &["failed to find address", "stranger"]);
            attachment.del();
            attachment.check(&result).failure();
        }
    }
}
