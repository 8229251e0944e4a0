//! `portmap`: what it accepts and refuses, CHECK, and what DEL leaves.

use fairlead_tests::{
    Attachment, Chain, Family, Node, Place, Plugins, Sandbox, Server, Transport, UPLINK_V4,
    conformance,
};
use serde_json::{Value, json};

use crate::support::bridge;

fn chain<'a>(
    plugins: &'a Plugins,
    node: &'a Node,
    sandbox: &Sandbox<'_>,
    (version, family): (&str, Family),
    mappings: Value,
) -> Chain<'a> {
    let main = Attachment::new(plugins, node, sandbox, bridge(version, family))
        .with(json!({"isDefaultGateway": true}));
    Chain::new(main, mappings)
}

fn tcp(host: u32, container: u32) -> Value {
    json!({"hostPort": host, "containerPort": container, "protocol": "tcp"})
}

conformance! {
    fn without_mappings_the_result_is_passed_on_and_nothing_made(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mut chain = chain(plugins, &node, &sandbox, (version, Family::Dual), json!([]));
            let before = node.run("nft list ruleset");
            chain.view();
            assert_eq!(node.run("nft list ruleset"), before);
            chain.del();
        }
    }

    fn it_must_be_chained(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let chain = chain(plugins, &node, &sandbox, (version, Family::V4), json!([tcp(8080, 80)]));
            chain.portmap.try_add().fails(999, &["chained"]);
            chain.portmap.del();
        }
    }

    fn mappings_that_make_no_sense_are_refused(plugins: &Plugins) {
        let node = Node::new();
        let cases = [
            (json!([tcp(0, 80)]), "invalid host port number: 0"),
            (json!([tcp(8080, 0)]), "invalid container port number: 0"),
            (json!([{"hostPort": -1, "containerPort": 80, "protocol": "tcp"}]), "invalid host port number: -1"),
            (json!([tcp(70000, 80)]), "70000"),
            (json!([tcp(8080, 70000)]), "70000"),
            (json!([{"hostPort": 8080, "containerPort": 80, "protocol": "xyz"}]), "xyz"),
            (json!([{"hostPort": 8080, "containerPort": 80}]), "protocol"),
            (json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "zz"}]), "zz"),
            (json!("text"), "portMappings"),
        ];
        for version in plugins.versions() {
            for (mappings, word) in &cases {
                let sandbox = node.sandbox("one");
                let mut chain = chain(plugins, &node, &sandbox, (version, Family::Dual), mappings.clone());
                let result = chain.main.add();
                chain.portmap.config["prevResult"] = result;
                chain.portmap.try_add().fails(999, &[word]);
                chain.main.del();
            }
        }
    }

    fn keys_that_exclude_each_other_are_refused(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let chain = chain(plugins, &node, &sandbox, (version, Family::V4), json!([tcp(8080, 80)]));
            for (keys, words) in [
                (json!({"externalSetMarkChain": "X", "markMasqBit": 3}), ["externalSetMarkChain", "markMasqBit"]),
                (json!({"markMasqBit": 40}), ["0", "31"]),
                (json!({"markMasqBit": -1}), ["0", "31"]),
                (json!({"snat": "x"}), ["snat", "bool"]),
            ] {
                chain.clone().with(keys).portmap.try_add().fails(999, &words);
            }
        }
    }

    fn the_protocol_may_be_in_capitals(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mappings = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "TCP"}]);
            let mut chain = chain(plugins, &node, &sandbox, (version, Family::V4), mappings);
            chain.view();
            let _server = Server::start(&sandbox, Transport::Tcp, 80, "one");
            assert_eq!(Transport::Tcp.ask(&node.outside(), UPLINK_V4, 8080).text, "one");
            chain.del();
        }
    }

    fn many_ports_are_published_and_none_between_them(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions_since("1.0.0") {
            let sandbox = node.sandbox("one");
            // More than fifteen: a limit of one iptables rule.
            let mappings: Value = (0..20).map(|n| tcp(8000 + 2 * n, 80)).collect();
            let mut chain = chain(plugins, &node, &sandbox, (version, Family::V4), mappings);
            chain.view();
            let _server = Server::start(&sandbox, Transport::Tcp, 80, "one");
            for port in (8000..8040).step_by(2) {
                assert_eq!(Transport::Tcp.ask(&node.outside(), UPLINK_V4, port).text, "one");
            }
            Transport::Tcp.nobody(&node.outside(), UPLINK_V4, 8001);
            chain.del();
            Transport::Tcp.nobody(&node.outside(), UPLINK_V4, 8038);
        }
    }

    fn add_may_be_repeated(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mut chain = chain(plugins, &node, &sandbox, (version, Family::V4), json!([tcp(8080, 80)]));
            let view = chain.view();
            chain.portmap.add();
            let _server = Server::start(&sandbox, Transport::Tcp, 80, "one");
            assert_eq!(Transport::Tcp.ask(&node.outside(), UPLINK_V4, 8080).text, "one");
            chain.del();
            Transport::Tcp.nobody(&node.outside(), UPLINK_V4, 8080);
            for host in view.hosts() {
                assert!(!node.rules_mention(host));
            }
        }
    }

    fn check_finds_a_port_that_is_not_published(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions_since("0.4.0") {
                let sandbox = node.sandbox("one");
                let mut chain = chain(plugins, &node, &sandbox, (version, family), json!([tcp(8080, 80)]));
                chain.view();
                let result = chain.portmap.config["prevResult"].clone();
                if plugins.is_reference() {
                    // Debian's looks for rules of both families whatever there is.
                    chain.portmap.check(&result).fails(999, &["could not check", "dnat"]);
                } else {
                    chain.portmap.check(&result).done();
                }
                chain.portmap.del();
                chain.portmap.check(&result).failure();
                chain.portmap.config.as_object_mut().expect("an object").remove("prevResult");
                chain.portmap.command("CHECK").fails(999, &["prevResult", "missing"]);
                chain.main.del();
            }
        }
    }

    fn del_leaves_no_rule_about_the_container_and_may_be_repeated(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let mut chain = chain(plugins, &node, &sandbox, (version, family), json!([
                    tcp(8080, 80),
                    {"hostPort": 8081, "containerPort": 81, "protocol": "udp", "hostIP": UPLINK_V4},
                ]));
                let view = chain.view();
                sandbox.vanish();
                chain.del();
                for host in view.hosts() {
                    assert!(!node.rules_mention(host), "{host}: {}", node.nft_json());
                }
                chain.portmap.config.as_object_mut().expect("an object").remove("prevResult");
                chain.del();
            }
        }
    }

    fn one_containers_del_leaves_the_others_ports(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let (one, two) = (node.sandbox("one"), node.sandbox("two"));
            let mut first = chain(plugins, &node, &one, (version, Family::V4), json!([tcp(8080, 80)]));
            let mut second = chain(plugins, &node, &two, (version, Family::V4), json!([tcp(8081, 80)]));
            first.view();
            second.view();
            let _server = Server::start(&two, Transport::Tcp, 80, "two");
            first.del();
            assert_eq!(Transport::Tcp.ask(&node.outside(), UPLINK_V4, 8081).text, "two");
            second.del();
        }
    }
}
