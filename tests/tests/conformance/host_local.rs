//! `host-local`: which address, to whom, and when again.

use fairlead_tests::{Attachment, Family, Node, Plugins, Sandbox, conformance};
use serde_json::{Value, json};

use crate::support::host_local_alone;

/// A container that asks for an address; several may be made of one sandbox.
fn asker<'a>(
    plugins: &'a Plugins,
    node: &'a Node,
    sandbox: &Sandbox<'_>,
    id: &str,
    config: Value,
) -> Attachment<'a> {
    let mut attachment = Attachment::new(plugins, node, sandbox, config);
    id.clone_into(&mut attachment.container);
    attachment
}

fn small() -> Value {
    json!([[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.10", "rangeEnd": "10.88.0.12"}]])
}

conformance! {
    fn the_first_address_is_the_one_after_the_gateway(plugins: &Plugins) {
        for version in plugins.versions() {
            for family in Family::ALL {
                let node = Node::new();
                let sandbox = node.sandbox("one");
                let view = asker(plugins, &node, &sandbox, "a", host_local_alone(version, family.ranges())).view();
                assert_eq!(view.hosts(), family.pick(["10.88.0.2", "fd00:88::2"]));
                for (ip, gateway) in view.ips.iter().zip(family.gateways()) {
                    assert_eq!((ip.gateway.as_deref(), ip.interface), (Some(gateway), None));
                }
                assert_eq!((view.interfaces.len(), view.routes.len()), (0, 0));
            }
        }
    }

    fn addresses_go_round_and_a_freed_one_rests(plugins: &Plugins) {
        for version in plugins.versions() {
            let node = Node::new();
            let sandbox = node.sandbox("one");
            let ask = |id: &str| asker(plugins, &node, &sandbox, id, host_local_alone(version, small()));
            let host = |id: &str| ask(id).view().ips[0].host().to_owned();
            assert_eq!(host("a"), "10.88.0.10");
            ask("a").del();
            assert_eq!(host("b"), "10.88.0.11");
            assert_eq!(host("c"), "10.88.0.12");
            assert_eq!(host("d"), "10.88.0.10");
            ask("e").try_add().fails(999, &["no IP addresses available", "10.88.0.10-10.88.0.12"]);
            ask("b").del();
            assert_eq!(host("e"), "10.88.0.11");
            for id in ["c", "d", "e", "nobody"] {
                ask(id).del();
                ask(id).del();
            }
        }
    }

    fn the_gateway_is_never_given(plugins: &Plugins) {
        for version in plugins.versions() {
            let node = Node::new();
            let sandbox = node.sandbox("one");
            let ranges = json!([[{"subnet": "10.88.0.0/29", "gateway": "10.88.0.3"}]]);
            let hosts: Vec<String> = ["a", "b", "c", "d", "e"]
                .map(|id| {
                    let view = asker(plugins, &node, &sandbox, id, host_local_alone(version, ranges.clone())).view();
                    assert_eq!(view.ips[0].gateway.as_deref(), Some("10.88.0.3"));
                    view.ips[0].host().to_owned()
                })
                .to_vec();
            assert_eq!(hosts, ["10.88.0.1", "10.88.0.2", "10.88.0.4", "10.88.0.5", "10.88.0.6"]);
            asker(plugins, &node, &sandbox, "f", host_local_alone(version, ranges))
                .try_add()
                .fails(999, &["no IP addresses available"]);
        }
    }

    fn several_ranges_of_a_set_are_used_one_after_the_other(plugins: &Plugins) {
        for version in plugins.versions() {
            let node = Node::new();
            let sandbox = node.sandbox("one");
            let ranges = json!([[
                {"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.10", "rangeEnd": "10.88.0.11"},
                {"subnet": "10.89.0.0/24", "rangeStart": "10.89.0.10", "rangeEnd": "10.89.0.10"},
            ]]);
            let got = ["a", "b", "c"].map(|id| {
                let view = asker(plugins, &node, &sandbox, id, host_local_alone(version, ranges.clone())).view();
                (view.ips[0].address.clone(), view.ips[0].gateway.clone().expect("a gateway"))
            });
            let pair = |a: &str, g: &str| (a.to_owned(), g.to_owned());
            assert_eq!(got, [
                pair("10.88.0.10/24", "10.88.0.1"),
                pair("10.88.0.11/24", "10.88.0.1"),
                pair("10.89.0.10/24", "10.89.0.1"),
            ]);
        }
    }

    fn a_requested_address_is_given_once(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        for version in plugins.versions() {
            let ask = |id: &str| asker(plugins, &node, &sandbox, id, host_local_alone(version, Family::Dual.ranges()));
            let wish = |id: &str, ip: &str| ask(id).args(&format!("IP={ip}"));
            assert_eq!(wish("a", "10.88.0.50").view().hosts()[0], "10.88.0.50");
            assert_eq!(wish("b", "fd00:88::50").view().hosts()[1], "fd00:88::50");
            wish("c", "10.88.0.50").try_add().fails(999, &["10.88.0.50", "not available"]);
            wish("c", "10.88.0.1").try_add().fails(999, &["10.88.0.1", "gateway"]);
            for outside in ["10.99.0.5", "10.88.0.0", "10.88.0.255", "fd00:99::5"] {
                wish("c", outside).try_add().fails(999, &["failed to allocate all requested IPs", outside]);
            }
            // None of these failures holds an address: the same container may still have one.
            ask("c").view();
            for id in ["a", "b", "c"] {
                ask(id).del();
            }
        }
    }

    fn the_ips_capability_asks_for_one_of_each_family(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        for version in plugins.versions() {
            let ask = |keys: Value| {
                asker(plugins, &node, &sandbox, "a", host_local_alone(version, Family::Dual.ranges())).with(keys)
            };
            for (keys, hosts) in [
                (json!({"runtimeConfig": {"ips": ["10.88.0.70", "fd00:88::70"]}}), ["10.88.0.70", "fd00:88::70"]),
                (json!({"runtimeConfig": {"ips": ["10.88.0.71/24", "fd00:88::71/64"]}}), ["10.88.0.71", "fd00:88::71"]),
                (json!({"args": {"cni": {"ips": ["fd00:88::72", "10.88.0.72"]}}}), ["10.88.0.72", "fd00:88::72"]),
            ] {
                let attachment = ask(keys);
                assert_eq!(attachment.view().hosts(), hosts);
                attachment.del();
            }
            ask(json!({"runtimeConfig": {"ips": ["10.88.0.80", "10.88.0.81"]}}))
                .try_add()
                .fails(999, &["failed to allocate all requested IPs"]);
        }
    }

    fn ranges_of_the_runtime_come_first(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        for version in plugins.versions_since("0.3.0") {
            let attachment = asker(plugins, &node, &sandbox, "a", host_local_alone(version, Family::V4.ranges()))
                .with(json!({"runtimeConfig": {"ipRanges": [[{"subnet": "10.77.0.0/24"}]]}}));
            let gateways: Vec<_> = attachment.view().ips.into_iter().filter_map(|ip| ip.gateway).collect();
            assert_eq!(gateways, ["10.77.0.1", "10.88.0.1"]);
            attachment.del();
        }
    }

    fn the_same_container_twice_is_refused(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        for version in plugins.versions() {
            let attachment = asker(plugins, &node, &sandbox, "a", host_local_alone(version, Family::V4.ranges()));
            let first = attachment.view();
            attachment.try_add().fails(999, &[first.hosts()[0], "allocated to a", "duplicate"]);
            // Another interface of it is another attachment.
            let second = attachment.clone().ifname("net1");
            assert_ne!(second.view().hosts(), first.hosts());
            attachment.del();
            second.del();
        }
    }

    fn networks_do_not_share_addresses(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        for version in plugins.versions() {
            let ranges = json!([[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.9", "rangeEnd": "10.88.0.9"}]]);
            let web = asker(plugins, &node, &sandbox, "a", host_local_alone(version, ranges));
            let mail = web.clone().with(json!({"name": "mail"}));
            assert_eq!(web.view().hosts(), mail.view().hosts());
            web.del();
            mail.del();
        }
    }

    fn check_finds_an_address_that_was_given_back(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        for version in plugins.versions_since("0.4.0") {
            let attachment = asker(plugins, &node, &sandbox, "a", host_local_alone(version, Family::Dual.ranges()));
            let result = attachment.add();
            attachment.check(&result).done();
            attachment.del();
            attachment.check(&result).fails(999, &["failed to find address", "container a"]);
        }
    }

    fn many_at_once_get_different_addresses(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        let version = plugins.versions().last().expect("a version");
        let config = host_local_alone(version, Family::V4.ranges());
        let mut hosts: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let askers: Vec<_> = (0..8)
                        .map(|n| asker(plugins, &node, &sandbox, &format!("c{thread}-{n}"), config.clone()))
                        .collect();
                    scope.spawn(move || {
                        askers.iter().map(|a| a.view().hosts()[0].to_owned()).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|t| t.join().expect("a thread")).collect()
        });
        hosts.sort();
        hosts.dedup();
        assert_eq!(hosts.len(), 64);
    }
}
