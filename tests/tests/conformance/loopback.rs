//! `loopback`: `lo` up and down.

use fairlead_tests::{Attachment, Node, Place, View, conformance};
use serde_json::{Value, json};

fn config(version: &str) -> Value {
    json!({"cniVersion": version, "name": "lo", "type": "loopback"})
}

conformance! {
    fn add_raises_lo_and_reports_it(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, config(version)).ifname("lo");
            let result = attachment.add();
            assert_eq!(sandbox.addresses("lo"), ["127.0.0.1/8", "::1/128"]);
            sandbox.ping("127.0.0.1");
            sandbox.ping("::1");
            // Debian's gives the form of 1.0.0 whatever was asked for.
            let form = if plugins.is_reference() { "1.0.0" } else { version };
            let mut result = result;
            if plugins.is_reference() {
                result["cniVersion"] = json!(form);
            }
            let view = View::of(&result, form);
            let addresses: Vec<&str> = view.ips.iter().map(|ip| ip.address.as_str()).collect();
            assert_eq!(addresses, ["127.0.0.1/8", "::1/128"]);
            if form >= "0.3.0" {
                assert_eq!(view.interfaces.len(), 1);
                let lo = &view.interfaces[0];
                assert_eq!((lo.name.as_str(), lo.mac.as_str()), ("lo", "00:00:00:00:00:00"));
                assert_eq!(lo.sandbox, Some(sandbox.netns()));
                assert!(view.ips.iter().all(|ip| ip.interface == Some(0)));
            }
            attachment.del();
        }
    }

    fn the_interface_name_does_not_matter(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, config(version)).ifname("eth7");
            attachment.add();
            sandbox.ping("127.0.0.1");
            attachment.del();
        }
    }

    fn a_previous_result_is_passed_on(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("1.0.0") {
            let sandbox = node.sandbox("one");
            let previous = json!({"cniVersion": version, "ips": [{"address": "192.0.2.1/24"}], "dns": {}});
            let attachment = Attachment::new(plugins, &node, &sandbox, config(version))
                .with(json!({"prevResult": previous}));
            assert_eq!(attachment.add(), previous);
            sandbox.ping("127.0.0.1");
        }
    }

    fn check_finds_lo_down(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.4.0") {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, config(version)).ifname("lo");
            let result = attachment.add();
            attachment.check(&result).done();
            sandbox.run("ip link set lo down");
            attachment.check(&result).fails(999, &["down"]);
        }
    }

    fn del_lowers_lo_and_may_be_repeated(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mut attachment = Attachment::new(plugins, &node, &sandbox, config(version)).ifname("lo");
            attachment.add();
            attachment.del();
            assert!(!sandbox.link("lo")["flags"].to_string().contains("UP"));
            attachment.del();
            sandbox.vanish();
            attachment.del();
            attachment.netns.clear();
            attachment.del();
        }
    }

    fn a_missing_namespace_is_an_error_of_add(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, config(version)).ifname("lo");
            sandbox.vanish();
            attachment.try_add().fails(999, &["/run/netns/one"]);
        }
    }
}
