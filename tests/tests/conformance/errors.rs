//! What every plugin answers to bad input: the specification's codes, and nothing left.

use fairlead_tests::{Attachment, Family, Node, Place, Plugins, Sandbox, conformance};
use serde_json::{Value, json};

use crate::support::{bridge, host_local, ptp};

fn attachment<'a>(
    plugins: &'a Plugins,
    node: &'a Node,
    sandbox: &Sandbox<'_>,
    version: &str,
) -> Attachment<'a> {
    Attachment::new(plugins, node, sandbox, bridge(version, Family::Dual))
}

/// The plugins and a configuration that each would accept, but for its previous result.
fn all(version: &str) -> [Value; 6] {
    let ipam = |kind: &str, rest: Value| {
        let mut config = json!({"cniVersion": version, "name": "web", "type": kind, "ipam": rest});
        config["ipam"]["type"] = json!(kind);
        config
    };
    [
        bridge(version, Family::V4),
        ptp(version, Family::V4),
        json!({"cniVersion": version, "name": "web", "type": "loopback"}),
        json!({"cniVersion": version, "name": "web", "type": "portmap"}),
        ipam("host-local", host_local(Family::V4.ranges())),
        ipam(
            "static",
            json!({"addresses": [{"address": "10.88.0.9/24"}]}),
        ),
    ]
}

conformance! {
    fn malformed_and_truncated_input(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        let before = node.snapshot();
        for config in all("1.0.0") {
            let attachment = Attachment::new(plugins, &node, &sandbox, config.clone());
            let whole = config.to_string();
            for stdin in ["", " ", "{", "{]", "[]", "\"text\"", "7", "\0", &whole[..whole.len() - 1], &whole[..20]] {
                for command in ["ADD", "DEL", "CHECK"] {
                    let failure = attachment.raw(command, stdin).failure();
                    assert_eq!(failure.code, 6, "{} {command} {stdin:?}: {failure:?}", config["type"]);
                }
            }
        }
        assert_eq!(node.snapshot(), before);
        assert_eq!(sandbox.link_names(), ["lo"]);
    }

    fn a_version_nobody_knows(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        for config in all("9.9.9") {
            let attachment = Attachment::new(plugins, &node, &sandbox, config);
            for command in ["ADD", "DEL"] {
                attachment.command(command).fails(1, &["incompatible", "9.9.9"]);
            }
            attachment.command("CHECK").fails(1, &["version"]);
        }
    }

    fn no_version_is_the_oldest(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        let mut attachment = attachment(plugins, &node, &sandbox, "1.0.0");
        attachment.config.as_object_mut().expect("an object").remove("cniVersion");
        let result = attachment.add();
        assert_eq!(result["cniVersion"], "0.1.0");
        assert_eq!(result["ip4"]["ip"], "10.88.0.2/24");
        attachment.del();
    }

    fn missing_variables_are_listed(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        for config in all("1.0.0") {
            let attachment = Attachment::new(plugins, &node, &sandbox, config);
            for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"] {
                attachment.without("ADD", &[name]).fails(4, &[&format!("[{name}]"), "missing"]);
                attachment.without("CHECK", &[name]).fails(4, &[&format!("[{name}]"), "missing"]);
                if name != "CNI_NETNS" {
                    attachment.without("DEL", &[name]).fails(4, &[&format!("[{name}]"), "missing"]);
                }
            }
            attachment
                .without("ADD", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"])
                .fails(4, &["CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"]);
        }
    }

    fn an_unknown_command(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        for config in all("1.0.0") {
            let attachment = Attachment::new(plugins, &node, &sandbox, config);
            attachment.command("NOPE").fails(4, &["CNI_COMMAND", "NOPE"]);
        }
    }

    fn no_command_tells_a_person_what_it_is(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        for config in all("1.0.0") {
            let attachment = Attachment::new(plugins, &node, &sandbox, config);
            let outcome = attachment.without("ADD", &["CNI_COMMAND"]);
            outcome.done();
            assert!(outcome.stderr.contains("CNI") && outcome.stderr.contains("1.0.0"), "{outcome:?}");
        }
    }

    fn version_is_answered_by_every_plugin(plugins: &Plugins) {
        let node = Node::new();
        let sandbox = node.sandbox("one");
        for version in plugins.versions() {
            for config in all(version) {
                let attachment = Attachment::new(plugins, &node, &sandbox, config);
                let unset = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH", "CNI_ARGS"];
                let answer = attachment.without("VERSION", &unset).json();
                assert_eq!(answer["supportedVersions"], json!(plugins.versions()));
                assert!(answer["cniVersion"].is_string(), "{answer}");
            }
        }
        for version in ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"] {
            assert!(plugins.versions().iter().any(|v| v == version), "{version}");
        }
    }

    fn container_ids_that_are_none(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            for id in ["a/b", "-x", "..", "../x", "a b", "a\nb", "_a", ".a", "ä"] {
                let mut attachment = attachment(plugins, &node, &sandbox, version);
                attachment.container = id.to_owned();
                for command in ["ADD", "DEL"] {
                    attachment.command(command).fails(4, &["invalid characters", "containerid"]);
                }
            }
            assert_eq!(sandbox.link_names(), ["lo"]);
        }
    }

    fn interface_names_that_are_none(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            for (name, words) in [
                ("a/b", "/ or :"),
                ("a:b", "/ or :"),
                ("a b", "whitespace"),
                ("a\tb", "whitespace"),
                ("sixteen-letters-", "too long"),
                (".", ". or .."),
                ("..", ". or .."),
            ] {
                let attachment = attachment(plugins, &node, &sandbox, version).ifname(name);
                for command in ["ADD", "DEL"] {
                    attachment.command(command).fails(4, &["interface name", words]);
                }
            }
            let longest = attachment(plugins, &node, &sandbox, version).ifname("fifteen-letters");
            longest.add();
            longest.del();
        }
    }

    fn network_names_that_are_none(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            for (name, words) in [
                (json!(""), ["missing", "network name"]),
                (json!("../x"), ["invalid characters", "network name"]),
                (json!("a/b"), ["invalid characters", "network name"]),
                (json!("a b"), ["invalid characters", "network name"]),
            ] {
                let attachment = attachment(plugins, &node, &sandbox, version).with(json!({"name": name}));
                attachment.try_add().fails(7, &words);
            }
            let mut nameless = attachment(plugins, &node, &sandbox, version);
            nameless.config.as_object_mut().expect("an object").remove("name");
            nameless.try_add().fails(7, &["missing", "network name"]);
        }
    }

    fn arguments_that_are_none(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = attachment(plugins, &node, &sandbox, version);
            attachment.clone().args("nope").try_add().fails(999, &["args", "invalid pair", "nope"]);
            attachment.clone().args("FOO=1").try_add().fails(999, &["args", "unknown", "FOO=1"]);
            attachment.clone().args("IgnoreUnknown=1;IP=zz").try_add().fails(999, &["IP=zz", "invalid IP address"]);
            let knowing = attachment.args("IgnoreUnknown=1;FOO=1;K8S_POD_NAME=x");
            // What Debian's left after the failures before it would be in its way.
            sandbox.try_run("ip link del eth0");
            node.try_run("ip link del br0");
            knowing.add();
            knowing.del();
        }
    }

    fn keys_of_the_wrong_type(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            for (key, value) in [
                ("mtu", json!("x")),
                ("isGateway", json!(1)),
                ("ipMasq", json!("yes")),
                ("bridge", json!(7)),
                ("vlan", json!("x")),
                ("hairpinMode", json!("x")),
            ] {
                let attachment = attachment(plugins, &node, &sandbox, version).with(json!({key: value}));
                attachment.try_add().fails(999, &["failed to load netconf", key]);
            }
            assert_eq!(sandbox.link_names(), ["lo"]);
            assert_eq!(node.link_names(), ["lo", "uplink"]);
        }
    }

    fn a_namespace_that_is_not_there_or_none(plugins: &Plugins) {
        let node = Node::new();
        node.run("touch /run/file");
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            for (netns, words) in [
                ("/run/netns/nowhere", ["failed to open netns", "/run/netns/nowhere"]),
                ("/run/file", ["failed to open netns", "/run/file"]),
                ("/run", ["failed to open netns", "/run"]),
            ] {
                for config in [bridge(version, Family::V4), ptp(version, Family::V4)] {
                    let mut attachment = Attachment::new(plugins, &node, &sandbox, config);
                    attachment.netns = netns.to_owned();
                    attachment.try_add().fails(999, &words);
                }
            }
            // Only a bridge without ports may be left of all that.
            let links = node.link_names();
            assert!(links == ["lo", "uplink"] || links == ["br0", "lo", "uplink"], "{links:?}");
        }
    }

    fn a_bridge_name_that_is_another_kind_of_link(plugins: &Plugins) {
        let node = Node::new();
        node.run("ip link add name br0 type veth peer name br0peer");
        let before = node.snapshot();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let attachment = attachment(plugins, &node, &sandbox, version);
            attachment.try_add().fails(999, &["br0", "already exists", "not a bridge"]);
            assert_eq!(node.snapshot(), before);
            assert_eq!(sandbox.link_names(), ["lo"]);
        }
    }

    fn an_interface_that_is_there_is_not_taken(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            sandbox.run("ip link add name eth0 type bridge");
            attachment(plugins, &node, &sandbox, version)
                .try_add()
                .fails(999, &["eth0", "already exists"]);
            assert_eq!(sandbox.link("eth0")["linkinfo"]["info_kind"], "bridge");
        }
    }

    fn an_ipam_plugin_nobody_knows(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            for mut config in [bridge(version, Family::V4), ptp(version, Family::V4)] {
                let sandbox = node.sandbox("one");
                config["ipam"] = json!({"type": "nobody"});
                let attachment = Attachment::new(plugins, &node, &sandbox, config);
                attachment.try_add().fails(999, &["find plugin", "nobody"]);
                assert_only_the_reference_leaves_links(plugins, &sandbox);
            }
        }
    }

    fn a_range_that_is_full(plugins: &Plugins) {
        let node = Node::new();
        let ranges = json!([[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.9", "rangeEnd": "10.88.0.9"}]]);
        for version in plugins.versions() {
            for mut config in [bridge(version, Family::V4), ptp(version, Family::V4)] {
                let (one, two) = (node.sandbox("one"), node.sandbox("two"));
                config["ipam"]["ranges"] = ranges.clone();
                let first = Attachment::new(plugins, &node, &one, config.clone());
                first.add();
                let second = Attachment::new(plugins, &node, &two, config);
                second.try_add().fails(999, &["no IP addresses available", "10.88.0.9"]);
                assert_only_the_reference_leaves_links(plugins, &two);
                first.del();
            }
        }
    }

    fn a_failure_after_the_address_gives_it_back(plugins: &Plugins) {
        let node = Node::new();
        let ranges = json!([[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.9", "rangeEnd": "10.88.0.9"}]]);
        for version in plugins.versions() {
            let (one, two) = (node.sandbox("one"), node.sandbox("two"));
            let mut config = bridge(version, Family::V4);
            config["ipam"]["ranges"] = ranges.clone();
            let attachment = Attachment::new(plugins, &node, &one, config.clone());
            node.run("ip link add name br0 address 02:00:00:00:00:77 type bridge");
            node.run("ip address add 10.99.0.1/24 dev br0");
            attachment.try_add().fails(999, &["br0", "already has an IP address"]);
            assert_only_the_reference_leaves_links(plugins, &one);
            node.run("ip link del br0");
            let second = Attachment::new(plugins, &node, &two, config);
            assert_eq!(second.view().hosts(), ["10.88.0.9"]);
            second.del();
            node.run("ip link del br0");
        }
    }
}

/// Debian's plugins leave the veth pair of a failed ADD for DEL to remove; ours must not.
#[track_caller]
fn assert_only_the_reference_leaves_links(plugins: &Plugins, sandbox: &Sandbox<'_>) {
    if !plugins.is_reference() {
        assert_eq!(sandbox.link_names(), ["lo"]);
    }
}
