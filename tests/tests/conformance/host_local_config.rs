//! `host-local`: configurations, good and bad.

use fairlead_tests::{Attachment, Family, Node, Route, conformance};
use serde_json::json;

use crate::support::host_local_alone;

conformance! {
    fn the_old_form_is_one_range(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mut config = host_local_alone(version, json!([]));
            let ipam = config["ipam"].as_object_mut().expect("an object");
            ipam.remove("ranges");
            ipam.insert("subnet".into(), json!("10.88.0.0/24"));
            ipam.insert("rangeStart".into(), json!("10.88.0.20"));
            ipam.insert("rangeEnd".into(), json!("10.88.0.20"));
            ipam.insert("gateway".into(), json!("10.88.0.254"));
            let attachment = Attachment::new(plugins, &node, &sandbox, config);
            let view = attachment.view();
            assert_eq!(view.ips[0].address, "10.88.0.20/24");
            assert_eq!(view.ips[0].gateway.as_deref(), Some("10.88.0.254"));
            attachment.del();
        }
    }

    fn routes_are_passed_on(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mut config = host_local_alone(version, Family::Dual.ranges());
            config["ipam"]["routes"] = json!([
                {"dst": "0.0.0.0/0"},
                {"dst": "192.0.2.0/24", "gw": "10.88.0.5"},
                {"dst": "::/0", "gw": "fd00:88::5"},
            ]);
            let attachment = Attachment::new(plugins, &node, &sandbox, config);
            let route = |dst: &str, gw: Option<&str>| Route { dst: dst.to_owned(), gw: gw.map(str::to_owned) };
            assert_eq!(attachment.view().routes, [
                route("0.0.0.0/0", None),
                route("192.0.2.0/24", Some("10.88.0.5")),
                route("::/0", Some("fd00:88::5")),
            ]);
            attachment.del();
        }
    }

    fn names_come_from_the_resolver_file(plugins: &Plugins) {
        let node = Node::new();
        let text = "# comment\nnameserver 192.0.2.1\n\nnameserver 2001:db8::53\ndomain a.example\nsearch b.example\noptions ndots:2 rotate\n";
        std::fs::write(node.path("/run/resolv.conf"), text).expect("a file in the node");
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mut config = host_local_alone(version, Family::V4.ranges());
            config["ipam"]["resolvConf"] = json!("/run/resolv.conf");
            let attachment = Attachment::new(plugins, &node, &sandbox, config.clone());
            assert_eq!(attachment.view().dns, json!({
                "nameservers": ["192.0.2.1", "2001:db8::53"],
                "domain": "a.example",
                "search": ["b.example"],
                "options": ["ndots:2", "rotate"],
            }));
            attachment.del();
            config["ipam"]["resolvConf"] = json!("/run/nowhere");
            Attachment::new(plugins, &node, &sandbox, config)
                .try_add()
                .fails(999, &["/run/nowhere", "no such file"]);
        }
    }

    fn ranges_that_make_no_sense_are_refused(plugins: &Plugins) {
        let node = Node::new();
        let v4 = "10.88.0.0/24";
        let cases = [
            (json!([]), vec!["no IP ranges specified"]),
            (json!([[]]), vec!["range set 0", "empty range set"]),
            (json!([[{"subnet": "10.88.0.1/24"}]]), vec!["range set 0", "host bits set", "10.88.0.0"]),
            (json!([[{"subnet": "10.88.0.0/33"}]]), vec!["invalid CIDR", "10.88.0.0/33"]),
            (json!([[{"subnet": "text"}]]), vec!["invalid CIDR", "text"]),
            (json!([[{"subnet": "10.88.0.0/31"}]]), vec!["10.88.0.0/31", "too small"]),
            (json!([[{"subnet": "10.88.0.0/32"}]]), vec!["10.88.0.0/32", "too small"]),
            (json!([[{"subnet": "fd00:88::/127"}]]), vec!["fd00:88::/127", "too small"]),
            (json!([[{"subnet": v4, "rangeStart": "10.99.0.1"}]]), vec!["RangeStart 10.99.0.1", "not in network", v4]),
            (json!([[{"subnet": v4, "rangeEnd": "10.99.0.1"}]]), vec!["RangeEnd 10.99.0.1", "not in network", v4]),
            (json!([[{"subnet": v4, "rangeStart": "10.88.0.9", "rangeEnd": "10.88.0.5"}]]), vec!["RangeStart 10.88.0.9"]),
            (json!([[{"subnet": v4, "rangeStart": "text"}]]), vec!["invalid IP address", "text"]),
            (json!([[{"subnet": v4, "gateway": "text"}]]), vec!["invalid IP address", "text"]),
            (json!([[{"subnet": v4}, {"subnet": "fd00:88::/64"}]]), vec!["range set 0", "mixed address families"]),
            (json!([[{"subnet": v4}, {"subnet": "10.88.0.0/25"}]]), vec!["range set 0", "overlap"]),
            (json!([[{"subnet": v4}], [{"subnet": "10.88.0.0/25"}]]), vec!["range set 0 overlaps with 1"]),
        ];
        // Before 0.3.0 two sets of a family are refused for another reason, see below.
        for version in plugins.versions_since("0.3.0") {
            let sandbox = node.sandbox("one");
            for (ranges, words) in &cases {
                Attachment::new(plugins, &node, &sandbox, host_local_alone(version, ranges.clone()))
                    .try_add()
                    .fails(999, words);
            }
        }
    }

    fn other_faults_of_the_configuration(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mut config = host_local_alone(version, Family::V4.ranges());
            config["ipam"]["routes"] = json!([{"dst": "text"}]);
            Attachment::new(plugins, &node, &sandbox, config.clone())
                .try_add()
                .fails(999, &["invalid CIDR", "text"]);
            config.as_object_mut().expect("an object").remove("ipam");
            Attachment::new(plugins, &node, &sandbox, config).try_add().fails(999, &["missing", "ipam"]);
        }
    }

    fn two_addresses_of_a_family_need_0_3_0(plugins: &Plugins) {
        let node = Node::new();
        let ranges = json!([[{"subnet": "10.88.0.0/24"}], [{"subnet": "10.89.0.0/24"}]]);
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, host_local_alone(version, ranges.clone()));
            if version.as_str() < "0.3.0" {
                attachment.try_add().fails(999, &[version, "more than 1 address per family"]);
            } else {
                let view = attachment.view();
                let gateways: Vec<_> = view.ips.iter().filter_map(|ip| ip.gateway.as_deref()).collect();
                assert_eq!(gateways, ["10.88.0.1", "10.89.0.1"]);
                attachment.del();
            }
        }
    }
}
