//! `ptp`: a cable between the container and the host, routed, without a bridge.

use fairlead_tests::{Attachment, Family, Node, Place, conformance};
use serde_json::json;

use crate::support::{is_mac, ptp};

conformance! {
    fn add_makes_what_the_result_says(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let attachment = Attachment::new(plugins, &node, &sandbox, ptp(version, family));
                let view = attachment.view();
                let mut given: Vec<String> = view.ips.iter().map(|ip| ip.address.clone()).collect();
                given.sort();
                assert_eq!(sandbox.addresses("eth0"), given);
                let mut routes: Vec<&str> = view.routes.iter().map(|route| route.dst.as_str()).collect();
                routes.sort_unstable();
                assert_eq!(routes, family.anywhere());
                for ((ip, gateway), uplink) in
                    view.ips.iter().zip(family.gateways()).zip(family.uplinks())
                {
                    assert_eq!(ip.gateway.as_deref(), Some(gateway));
                    sandbox.ping(gateway);
                    sandbox.ping(uplink);
                    node.ping(ip.host());
                }
                for name in family.pick(["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"]) {
                    assert_eq!(node.sysctl(name), "1", "{name}");
                }
                attachment.del();
            }
        }
    }

    fn the_result_has_the_host_end_first(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.3.0") {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, ptp(version, Family::Dual));
            let view = attachment.view();
            let [host, container] = view.interfaces.as_slice() else {
                panic!("two ends are expected: {view:?}");
            };
            assert_eq!(host.sandbox, None);
            assert_eq!(container.sandbox, Some(sandbox.netns()));
            assert_eq!(container.name, "eth0");
            assert!(is_mac(&host.mac) && is_mac(&container.mac));
            assert_eq!(node.link(&host.name)["address"], host.mac.as_str());
            assert_eq!(sandbox.link("eth0")["address"], container.mac.as_str());
            assert!(view.ips.iter().all(|ip| ip.interface == Some(1)), "{view:?}");
            let mut ends = node.addresses(&host.name);
            ends.sort();
            assert_eq!(ends, ["10.88.0.1/32", "fd00:88::1/128"]);
            attachment.del();
        }
    }

    fn the_container_reaches_its_network_through_the_gateway(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let (one, two) = (node.sandbox("one"), node.sandbox("two"));
            let first = Attachment::new(plugins, &node, &one, ptp(version, Family::Dual));
            let second = Attachment::new(plugins, &node, &two, ptp(version, Family::Dual));
            let (a, b) = (first.view(), second.view());
            for (a, b) in a.hosts().into_iter().zip(b.hosts()) {
                one.ping(b);
                two.ping(a);
            }
            let route = one.ip_json("route show 10.88.0.0/24");
            assert_eq!(route[0]["gateway"], "10.88.0.1", "{route}");
            first.del();
            second.del();
        }
    }

    fn mtu_is_that_of_both_ends(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.3.0") {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, ptp(version, Family::V4))
                .with(json!({"mtu": 1380}));
            let view = attachment.view();
            assert_eq!(node.link(&view.interfaces[0].name)["mtu"], 1380);
            assert_eq!(sandbox.link("eth0")["mtu"], 1380);
            attachment.del();
        }
    }

    fn del_takes_all_away_and_may_be_repeated(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            let before = node.snapshot();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let attachment = Attachment::new(plugins, &node, &sandbox, ptp(version, family));
                attachment.add();
                attachment.del();
                assert_eq!(sandbox.link_names(), ["lo"]);
                assert_eq!(node.snapshot(), before);
                attachment.del();
                sandbox.vanish();
                attachment.del();
            }
        }
    }

    fn add_waits_until_the_address_may_be_used(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("1.0.0") {
            let sandbox = node.sandbox("one");
            sandbox.set_sysctl("net/ipv6/conf/default/accept_dad", "1");
            let attachment = Attachment::new(plugins, &node, &sandbox, ptp(version, Family::V6));
            attachment.add();
            let link = sandbox.link("eth0");
            let usable = link["addr_info"].as_array().expect("a list").iter().any(|address| {
                address["local"].as_str().is_some_and(|a| a.starts_with("fd00:88::"))
                    && address["tentative"].is_null()
            });
            assert!(usable, "{link}");
            attachment.del();
        }
    }

    fn check_finds_what_is_missing(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.4.0") {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, ptp(version, Family::V4));
            let result = attachment.add();
            attachment.check(&result).done();
            attachment.command("CHECK").fails(999, &["prevResult", "missing"]);
            let address = result["ips"][0]["address"].as_str().expect("an address");
            sandbox.run(&format!("ip address del {address} dev eth0"));
            attachment.check(&result).fails(999, &["eth0", address]);
            attachment.del();
        }
    }

    fn an_interface_that_is_there_is_not_taken(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            sandbox.run("ip link add name eth0 type bridge");
            Attachment::new(plugins, &node, &sandbox, ptp(version, Family::V4))
                .try_add()
                .fails(999, &["eth0", "already exists"]);
            assert_eq!(sandbox.link("eth0")["linkinfo"]["info_kind"], "bridge");
            assert_eq!(node.link_names(), ["lo", "uplink"]);
        }
    }

    fn names_of_the_configuration_are_in_the_result(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, ptp(version, Family::V4))
                .with(json!({"dns": {"nameservers": ["192.0.2.53"]}}));
            assert_eq!(attachment.view().dns, json!({"nameservers": ["192.0.2.53"]}));
            attachment.del();
        }
    }
}
