//! `static`: addresses that the configuration or the runtime names.

use fairlead_tests::{Attachment, Node, Place, Route, conformance};
use serde_json::{Value, json};

fn config(version: &str, rest: Value) -> Value {
    let mut config = json!({"cniVersion": version, "name": "web", "type": "static", "ipam": rest});
    config["ipam"]["type"] = json!("static");
    config
}

fn two() -> Value {
    json!({
        "addresses": [
            {"address": "10.88.0.9/24", "gateway": "10.88.0.1"},
            {"address": "fd00:88::9/64"},
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.88.0.5"}],
        "dns": {"nameservers": ["192.0.2.53"], "domain": "a.example", "search": ["b.example"], "options": ["rotate"]},
    })
}

conformance! {
    fn it_gives_what_is_written(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, config(version, two()));
            let view = attachment.view();
            assert_eq!(view.ip(false).address, "10.88.0.9/24");
            assert_eq!(view.ip(false).gateway.as_deref(), Some("10.88.0.1"));
            assert_eq!(view.ip(true).address, "fd00:88::9/64");
            assert_eq!(view.ip(true).gateway, None);
            let route = |dst: &str, gw: Option<&str>| Route { dst: dst.to_owned(), gw: gw.map(str::to_owned) };
            assert_eq!(view.routes, [route("0.0.0.0/0", None), route("192.0.2.0/24", Some("10.88.0.5"))]);
            assert_eq!(view.dns, two()["dns"]);
            attachment.del();
            attachment.del();
        }
    }

    fn a_bridge_uses_it(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mut config = config(version, two());
            config["type"] = json!("bridge");
            config["bridge"] = json!("br0");
            config["isGateway"] = json!(true);
            let attachment = Attachment::new(plugins, &node, &sandbox, config);
            let result = attachment.add();
            assert_eq!(sandbox.addresses("eth0"), ["10.88.0.9/24", "fd00:88::9/64"]);
            assert_eq!(node.addresses("br0"), ["10.88.0.1/24", "fd00:88::1/64"]);
            sandbox.ping("10.88.0.1");
            sandbox.ping("fd00:88::1");
            if version.as_str() >= "0.4.0" {
                attachment.check(&result).done();
            }
            attachment.del();
        }
    }

    fn arguments_add_and_capabilities_replace(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.3.0") {
            let sandbox = node.sandbox("one");
            let ask = |rest: Value| Attachment::new(plugins, &node, &sandbox, config(version, rest));
            let hosts = |attachment: Attachment<'_>| -> Vec<String> {
                attachment.view().ips.into_iter().map(|ip| ip.address).collect()
            };
            assert_eq!(
                hosts(ask(two()).args("IP=10.88.0.20/24,fd00:88::20/64")),
                ["10.88.0.9/24", "fd00:88::9/64", "10.88.0.20/24", "fd00:88::20/64"]
            );
            assert_eq!(hosts(ask(two()).with(json!({"runtimeConfig": {"ips": ["10.88.0.21/24"]}}))), ["10.88.0.21/24"]);
            assert_eq!(hosts(ask(two()).with(json!({"args": {"cni": {"ips": ["10.88.0.22/24"]}}}))), ["10.88.0.22/24"]);
            let view = ask(json!({})).args("IP=10.88.0.20/24,fd00:88::20/64;GATEWAY=10.88.0.1").view();
            assert_eq!(view.ip(false).gateway.as_deref(), Some("10.88.0.1"));
            assert_eq!(view.ip(true).gateway, None);
        }
    }

    fn no_address_at_all_is_an_empty_result(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.3.0") {
            let sandbox = node.sandbox("one");
            let view = Attachment::new(plugins, &node, &sandbox, config(version, json!({}))).view();
            assert_eq!((view.ips.len(), view.routes.len()), (0, 0));
        }
    }

    fn faults_of_the_configuration(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let ask = |rest: Value| Attachment::new(plugins, &node, &sandbox, config(version, rest));
            ask(json!({"addresses": [{"address": "10.88.0.9"}]}))
                .try_add()
                .fails(999, &["address", "CIDR notation", "10.88.0.9"]);
            ask(json!({})).args("IP=10.88.0.9").try_add().fails(999, &["ip", "CIDR notation", "10.88.0.9"]);
            ask(json!({"addresses": "text"})).try_add().fails(999, &["addresses"]);
            let mut without = ask(json!({}));
            without.config.as_object_mut().expect("an object").remove("ipam");
            without.try_add().fails(999, &["missing", "ipam"]);
            if version.as_str() < "0.3.0" {
                ask(json!({"addresses": [{"address": "10.88.0.9/24"}, {"address": "10.88.0.10/24"}]}))
                    .try_add()
                    .fails(999, &["more than 1 address per family"]);
            }
        }
    }

    fn check_needs_the_previous_result(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("0.4.0") {
            let sandbox = node.sandbox("one");
            let attachment = Attachment::new(plugins, &node, &sandbox, config(version, two()));
            let result = attachment.add();
            attachment.check(&result).done();
            attachment.command("CHECK").fails(999, &["prevResult", "missing"]);
        }
    }
}
