//! `bridge`: links, addresses, routes and the result, for every version and family.

use fairlead_tests::{Attachment, Family, Node, Place, Route, View, conformance};
use serde_json::json;

use crate::support::{bridge, is_mac};

/// What both ends and the bridge must look like after ADD.
fn assert_links(node: &Node, sandbox: &impl Place, netns: &str, view: &View) {
    let [br, host, container] = view.interfaces.as_slice() else {
        panic!("bridge, host end and container end are expected: {view:?}");
    };
    assert_eq!((br.name.as_str(), br.sandbox.as_deref()), ("br0", None));
    assert_eq!(host.sandbox, None);
    assert_eq!(
        (container.name.as_str(), container.sandbox.as_deref()),
        ("eth0", Some(netns))
    );
    for (interface, link) in [
        (br, node.link("br0")),
        (host, node.link(&host.name)),
        (container, sandbox.link("eth0")),
    ] {
        assert!(is_mac(&interface.mac), "{interface:?}");
        assert_eq!(link["address"], interface.mac.as_str(), "{interface:?}");
        let flags = link["flags"].as_array().expect("flags");
        assert!(flags.contains(&json!("UP")), "{link}");
    }
    assert_eq!(node.link("br0")["linkinfo"]["info_kind"], "bridge");
    let port = node.link(&host.name);
    assert_eq!(
        (&port["master"], &port["linkinfo"]["info_kind"]),
        (&json!("br0"), &json!("veth"))
    );
    assert_eq!(
        port["ifindex"],
        sandbox.link("eth0")["link_index"],
        "the two are a pair"
    );
    assert!(
        view.ips.iter().all(|ip| ip.interface == Some(2)),
        "{view:?}"
    );
}

conformance! {
    fn add_makes_what_the_result_says(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, family));
                let view = attachment.view();
                let mut given: Vec<String> = view.ips.iter().map(|ip| ip.address.clone()).collect();
                given.sort();
                assert_eq!(sandbox.addresses("eth0"), given);
                assert_eq!(view.ips.len(), family.gateways().len());
                for ((ip, gateway), length) in
                    view.ips.iter().zip(family.gateways()).zip(family.lengths())
                {
                    assert_eq!(ip.gateway.as_deref(), Some(gateway));
                    assert!(ip.address.ends_with(&format!("/{length}")), "{ip:?}");
                    assert!(node.addresses("br0").contains(&format!("{gateway}/{length}")));
                    sandbox.ping(gateway);
                    node.ping(ip.host());
                }
                if !view.interfaces.is_empty() {
                    assert_links(&node, &sandbox, &sandbox.netns(), &view);
                }
                assert_eq!(view.interfaces.is_empty(), version.as_str() < "0.3.0");
                assert_eq!(view.routes, [], "no route was asked for");
                assert_eq!(view.dns, json!({}));
                attachment.del();
            }
        }
    }

    fn del_takes_away_all_but_the_bridge_and_may_be_repeated(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, family));
                attachment.add();
                attachment.del();
                assert_eq!(node.link_names(), ["br0", "lo", "uplink"]);
                assert_eq!(sandbox.link_names(), ["lo"]);
                attachment.del();
            }
        }
    }

    fn del_without_the_namespace_frees_the_address(plugins: &Plugins) {
        // A range with one address: the second ADD succeeds only if DEL gave it back.
        let ranges = json!([[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.9", "rangeEnd": "10.88.0.9"}]]);
        let node = Node::new();
        for version in plugins.versions() {
            let mut config = bridge(version, Family::V4);
            config["ipam"]["ranges"] = ranges.clone();
            for given in ["as it was", "empty", "unset"] {
                let sandbox = node.sandbox("one");
                let mut attachment = Attachment::new(plugins, &node, &sandbox, config.clone());
                assert_eq!(attachment.view().hosts(), ["10.88.0.9"]);
                sandbox.vanish();
                match given {
                    "as it was" => attachment.del(),
                    "empty" => {
                        attachment.netns.clear();
                        attachment.del();
                    }
                    _ => attachment.without("DEL", &["CNI_NETNS"]).done(),
                }
                attachment.del();
            }
        }
    }

    fn two_containers_reach_each_other(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let (one, two) = (node.sandbox("one"), node.sandbox("two"));
                let first = Attachment::new(plugins, &node, &one, bridge(version, family));
                let second = Attachment::new(plugins, &node, &two, bridge(version, family));
                let (a, b) = (first.view(), second.view());
                for (a, b) in a.hosts().into_iter().zip(b.hosts()) {
                    assert_ne!(a, b);
                    one.ping(b);
                    two.ping(a);
                }
                first.del();
                two.ping(family.gateways()[0]);
                second.del();
            }
        }
    }

    fn two_interfaces_of_one_container(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let first = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::V4));
            let second = first.clone().ifname("net1");
            let (a, b) = (first.view(), second.view());
            assert_ne!(a.hosts(), b.hosts());
            assert_eq!(sandbox.link_names(), ["eth0", "lo", "net1"]);
            first.del();
            assert_eq!(sandbox.link_names(), ["lo", "net1"]);
            assert_eq!(sandbox.addresses("net1"), [b.ips[0].address.clone()]);
            second.del();
        }
    }

    fn default_gateway_gives_default_routes(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let mut config = bridge(version, family);
                config["isGateway"] = json!(false);
                config["isDefaultGateway"] = json!(true);
                let attachment = Attachment::new(plugins, &node, &sandbox, config);
                let mut routes = attachment.view().routes;
                routes.sort();
                let mut expected: Vec<Route> = family
                    .anywhere()
                    .into_iter()
                    .zip(family.gateways())
                    .map(|(dst, gw)| Route { dst: dst.to_owned(), gw: Some(gw.to_owned()) })
                    .collect();
                expected.sort();
                assert_eq!(routes, expected);
                for (option, gateway) in family.pick(["-4", "-6"]).into_iter().zip(family.gateways()) {
                    let found = sandbox.ip_json(&format!("{option} route show default"));
                    assert_eq!(found[0]["gateway"], gateway, "{found}");
                    assert_eq!(found[0]["dev"], "eth0", "{found}");
                }
                for address in family.uplinks() {
                    sandbox.ping(address);
                }
                for name in family.pick(["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"]) {
                    assert_eq!(node.sysctl(name), "1", "{name}");
                }
                attachment.del();
            }
        }
    }

    fn without_gateway_the_bridge_has_no_address(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, family))
                    .with(json!({"isGateway": false}));
                let view = attachment.view();
                assert_eq!(node.addresses("br0"), [""; 0]);
                // host-local names the gateway of its range all the same.
                let gateways: Vec<_> = view.ips.iter().filter_map(|ip| ip.gateway.as_deref()).collect();
                assert_eq!(gateways, family.gateways());
                assert_eq!(node.sysctl("net/ipv4/ip_forward"), "0");
                attachment.del();
            }
        }
    }

    fn routes_of_the_ipam_are_set_and_reported(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mut config = bridge(version, Family::Dual);
            config["ipam"]["routes"] = json!([
                {"dst": "0.0.0.0/0"},
                {"dst": "192.0.2.0/24", "gw": "10.88.0.77"},
                {"dst": "2001:db8:7::/48"},
            ]);
            let attachment = Attachment::new(plugins, &node, &sandbox, config);
            let view = attachment.view();
            let route = |dst: &str, gw: Option<&str>| Route { dst: dst.to_owned(), gw: gw.map(str::to_owned) };
            assert_eq!(view.routes, [
                route("0.0.0.0/0", None),
                route("192.0.2.0/24", Some("10.88.0.77")),
                route("2001:db8:7::/48", None),
            ]);
            let gateway = |line: &str| sandbox.ip_json(line)[0]["gateway"].clone();
            assert_eq!(gateway("-4 route show default"), "10.88.0.1");
            assert_eq!(gateway("-4 route show 192.0.2.0/24"), "10.88.0.77");
            assert_eq!(gateway("-6 route show 2001:db8:7::/48"), "fd00:88::1");
            attachment.del();
        }
    }

    fn without_ipam_there_is_a_link_and_no_address(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.3.0") {
            let sandbox = node.sandbox("one");
            let config = json!({"cniVersion": version, "name": "web", "type": "bridge", "bridge": "br0",
                "dns": {"nameservers": ["192.0.2.53"], "search": ["example.org"]}});
            let attachment = Attachment::new(plugins, &node, &sandbox, config);
            let view = attachment.view();
            assert_links(&node, &sandbox, &sandbox.netns(), &view);
            assert_eq!((view.ips.len(), view.routes.len()), (0, 0));
            assert_eq!(view.dns, json!({"nameservers": ["192.0.2.53"], "search": ["example.org"]}));
            assert_eq!(sandbox.addresses("eth0"), [""; 0]);
            attachment.del();
            assert_eq!(sandbox.link_names(), ["lo"]);
        }
    }

    fn the_default_bridge_is_cni0(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mut config = bridge(version, Family::V4);
            config.as_object_mut().expect("an object").remove("bridge");
            let attachment = Attachment::new(plugins, &node, &sandbox, config);
            attachment.add();
            assert_eq!(node.link("cni0")["linkinfo"]["info_kind"], "bridge");
            attachment.del();
        }
    }

    fn a_bridge_that_is_there_is_used_as_it_is(plugins: &Plugins) {
        let node = Node::new();
        node.run("ip link add name br0 address 02:00:00:00:00:77 type bridge");
        node.run("ip link set br0 up");
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, bridge(version, Family::Dual));
            attachment.add();
            assert_eq!(node.link("br0")["address"], "02:00:00:00:00:77");
            attachment.del();
            assert_eq!(node.link("br0")["address"], "02:00:00:00:00:77");
        }
    }
}
