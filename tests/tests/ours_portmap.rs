//! `portmap`: what ours does better than Debian's.

use fairlead_tests::{
    Attachment, Chain, Family, Node, OUTSIDE_V4, OUTSIDE_V6, Place, Plugins, Sandbox, Server,
    Transport, UPLINK_V4, UPLINK_V6,
};
use serde_json::{Value, json};

fn chain<'a>(
    plugins: &'a Plugins,
    node: &'a Node,
    sandbox: &Sandbox<'_>,
    mappings: Value,
) -> Chain<'a> {
    let config = json!({
        "cniVersion": "1.0.0",
        "name": "web",
        "type": "bridge",
        "bridge": "br0",
        "isDefaultGateway": true,
        "ipMasq": true,
        "ipam": {"type": "host-local", "ranges": Family::Dual.ranges()},
    });
    Chain::new(Attachment::new(plugins, node, sandbox, config), mappings)
}

fn port(protocol: &str, host_ip: Option<&str>) -> Value {
    let mut mapping = json!({"hostPort": 8080, "containerPort": 80, "protocol": protocol});
    if let Some(ip) = host_ip {
        mapping["hostIP"] = json!(ip);
    }
    json!([mapping])
}

#[test]
fn a_taken_port_is_refused_with_its_holders_name() {
    let plugins = Plugins::ours();
    let node = Node::new();
    // Every pair of claims that would meet on an address of the host.
    for (first_ip, second_ip) in [
        (None, None),
        (Some(UPLINK_V4), Some(UPLINK_V4)),
        (None, Some(UPLINK_V4)),
        (Some(UPLINK_V4), None),
        (Some("0.0.0.0"), Some(UPLINK_V4)),
        (Some("::"), None),
    ] {
        for protocol in ["tcp", "udp"] {
            let (one, two) = (node.sandbox("holder"), node.sandbox("late"));
            let mut first = chain(&plugins, &node, &one, port(protocol, first_ip));
            first.view();
            let mut second = chain(&plugins, &node, &two, port(protocol, second_ip));
            second.portmap.config["prevResult"] = second.main.add();
            second
                .portmap
                .try_add()
                .fails(999, &["8080", protocol, "holder"]);
            // The refusal has not touched the holder.
            let transport = if protocol == "tcp" {
                Transport::Tcp
            } else {
                Transport::Udp
            };
            let _server = Server::start(&one, transport, 80, "holder");
            let address = if first_ip == Some("::") {
                "2001:db8::1"
            } else {
                UPLINK_V4
            };
            assert_eq!(transport.ask(&node.outside(), address, 8080).text, "holder");
            second.del();
            assert_eq!(transport.ask(&node.outside(), address, 8080).text, "holder");
            first.del();
        }
    }
}

#[test]
fn claims_that_do_not_meet_are_both_granted() {
    let plugins = Plugins::ours();
    let node = Node::new();
    node.run("ip address add 198.51.100.10/24 dev uplink");
    for (first, second) in [
        (port("tcp", None), port("udp", None)),
        (
            port("tcp", Some(UPLINK_V4)),
            port("tcp", Some("198.51.100.10")),
        ),
        (port("tcp", Some("0.0.0.0")), port("tcp", Some("::"))),
    ] {
        let (one, two) = (node.sandbox("one"), node.sandbox("two"));
        let mut first = chain(&plugins, &node, &one, first);
        let mut second = chain(&plugins, &node, &two, second);
        first.view();
        second.view();
        first.del();
        second.del();
    }
}

#[test]
fn del_ends_udp_flows_of_the_container() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    let mut chain = chain(&plugins, &node, &one, port("udp", None));
    let view = chain.view();
    let _server = Server::start(&one, Transport::Udp, 80, "one");
    let flows = |address: &str| node.run(&format!("conntrack -L -p udp --reply-src {address}"));
    for (address, host) in [UPLINK_V4, "2001:db8::1"].into_iter().zip(view.hosts()) {
        let reply = Transport::Udp.try_ask(&node.outside(), address, 8080, 40002, 2000);
        assert_eq!(reply.map(|r| r.text).as_deref(), Ok("one"));
        let family = if host.contains(':') {
            "-f ipv6"
        } else {
            "-f ipv4"
        };
        let found = node.run(&format!("conntrack -L {family} -p udp --reply-src {host}"));
        assert!(found.contains("dport=8080"), "a flow before DEL: {found}");
    }
    chain.del();
    assert!(!flows(view.hosts()[0]).contains("dport=8080"));
    let v6 = node.run(&format!(
        "conntrack -L -f ipv6 -p udp --reply-src {}",
        view.hosts()[1]
    ));
    assert!(!v6.contains("dport=8080"), "{v6}");
}

#[test]
fn del_without_the_mappings_takes_them_away() {
    // A runtime need not repeat runtimeConfig: the record knows.
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    let mut chain = chain(&plugins, &node, &one, port("tcp", None));
    let view = chain.view();
    chain
        .portmap
        .config
        .as_object_mut()
        .expect("an object")
        .remove("runtimeConfig");
    chain.del();
    for host in view.hosts() {
        assert!(!node.rules_mention(host), "{}", node.nft_json());
    }
}

#[test]
fn a_thousand_ports_cost_no_rule_each() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    let rules = || {
        let all = node.nft_json();
        all.as_array()
            .expect("a list")
            .iter()
            .filter(|o| o["rule"].is_object())
            .count()
    };
    let mut few = chain(&plugins, &node, &one, port("tcp", None));
    few.view();
    let with_one = rules();
    few.del();
    let mappings: Value = (0..1000)
        .map(|n| json!({"hostPort": 10000 + n, "containerPort": 80, "protocol": "tcp"}))
        .collect();
    let mut many = chain(&plugins, &node, &one, mappings);
    many.view();
    assert_eq!(rules(), with_one);
    let _server = Server::start(&one, Transport::Tcp, 80, "one");
    assert_eq!(
        Transport::Tcp.ask(&node.outside(), UPLINK_V4, 10999).text,
        "one"
    );
    many.del();
}

/// A client at the other end of the cable asks from now on with these addresses.
fn ask_as(node: &Node, v4: &str, v6: &str) {
    for (to, from) in [(UPLINK_V4, v4), (UPLINK_V6, v6)] {
        let outside = node.outside();
        outside.run(&format!("ip route replace {to} dev cable src {from}"));
    }
}

const NEIGHBOUR_V4: &str = "198.51.100.3";
const NEIGHBOUR_V6: &str = "2001:db8::3";

/// A node with two clients outside.
fn with_neighbour() -> Node {
    let node = Node::new();
    for address in ["198.51.100.3/24", "2001:db8::3/64"] {
        node.outside()
            .run(&format!("ip address add {address} dev cable nodad"));
    }
    node
}

#[test]
fn a_condition_lets_one_client_in_and_not_another() {
    let plugins = Plugins::ours();
    let node = with_neighbour();
    // Each lets the first client in and keeps its neighbour out.
    for (v4, v6) in [
        (
            json!(["-s", OUTSIDE_V4]),
            json!(["!", "--source", NEIGHBOUR_V6]),
        ),
        (
            json!(["!", "-s", NEIGHBOUR_V4, "-d", "198.51.100.0/24"]),
            json!(["-s", "2001:db8::2/127", "!", "-s", NEIGHBOUR_V6]),
        ),
        (
            json!([format!("ip saddr {OUTSIDE_V4}")]),
            json!(["ip6", "saddr", "!=", NEIGHBOUR_V6]),
        ),
    ] {
        for transport in [Transport::Tcp, Transport::Udp] {
            let one = node.sandbox("one");
            let keys = json!({"conditionsV4": v4, "conditionsV6": v6});
            let mut chain = chain(&plugins, &node, &one, port(transport.name(), None)).with(keys);
            let view = chain.view();
            let _server = Server::start(&one, transport, 80, "one");
            for address in [UPLINK_V4, UPLINK_V6] {
                ask_as(&node, OUTSIDE_V4, OUTSIDE_V6);
                assert_eq!(transport.ask(&node.outside(), address, 8080).text, "one");
                ask_as(&node, NEIGHBOUR_V4, NEIGHBOUR_V6);
                transport.nobody(&node.outside(), address, 8080);
            }
            chain.del();
            ask_as(&node, OUTSIDE_V4, OUTSIDE_V6);
            for (address, host) in [UPLINK_V4, UPLINK_V6].into_iter().zip(view.hosts()) {
                transport.nobody(&node.outside(), address, 8080);
                assert!(!node.rules_mention(host), "{}", node.nft_json());
            }
        }
    }
}

#[test]
fn a_repeated_add_has_the_new_conditions_only() {
    let plugins = Plugins::ours();
    let node = with_neighbour();
    let one = node.sandbox("one");
    let mut chain = chain(&plugins, &node, &one, port("tcp", None));
    chain.view();
    let _server = Server::start(&one, Transport::Tcp, 80, "one");
    let ask = |client: &str| {
        ask_as(&node, client, OUTSIDE_V6);
        Transport::Tcp.try_ask(&node.outside(), UPLINK_V4, 8080, 0, 500)
    };
    // From everyone to one, to the other, and back.
    for (conditions, first, second) in [
        (json!(["-s", OUTSIDE_V4]), true, false),
        (json!(["-s", OUTSIDE_V4]), true, false),
        (json!(["-s", NEIGHBOUR_V4]), false, true),
        (json!([]), true, true),
    ] {
        let again = chain.clone().with(json!({"conditionsV4": conditions}));
        again.portmap.add();
        let result = again.portmap.config["prevResult"].clone();
        again.portmap.check(&result).done();
        assert_eq!(ask(OUTSIDE_V4).is_ok(), first, "{conditions}");
        assert_eq!(ask(NEIGHBOUR_V4).is_ok(), second, "{conditions}");
    }
    chain.del();
}

#[test]
fn check_gc_and_doctor_know_a_port_under_conditions() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    let keys = json!({"conditionsV4": ["-s", OUTSIDE_V4], "conditionsV6": ["-s", OUTSIDE_V6]});
    let mut chain = chain(&plugins, &node, &one, port("tcp", None)).with(keys);
    let view = chain.view();
    let result = chain.portmap.config["prevResult"].clone();
    chain.portmap.check(&result).done();
    let doctor = || node.sh("fairlead doctor").stdout;
    assert!(!doctor().contains("8080"), "{}", doctor());
    // It has a record, so gc lets it be; a rule without one is removed.
    node.sh("fairlead gc").warns(&["nothing to remove"]);
    node.run("nft add rule inet fairlead conditional tcp dport 8081 counter comment stray");
    assert!(doctor().contains("stray"), "{}", doctor());
    let said = node.sh("fairlead gc").done();
    assert!(said.contains("stray"), "{said}");
    assert!(!node.rules_mention("8081"), "{}", node.nft_json());
    chain.portmap.check(&result).done();
    // Taken away by somebody, both say so.
    node.run("nft flush chain inet fairlead conditional");
    chain
        .portmap
        .check(&result)
        .fails(999, &["publish 8080/tcp", "missing"]);
    let said = doctor();
    let missing = format!(
        "publish 8080/tcp to {}:80 if ip saddr {OUTSIDE_V4}/32",
        view.hosts()[0]
    );
    assert!(said.contains(&missing), "{said}");
    // Of a container that died, gc takes the rule along.
    chain.portmap.add();
    one.vanish();
    node.sh("fairlead gc").done();
    assert!(!node.rules_mention("8080"), "{}", node.nft_json());
}

#[test]
fn masq_all_hides_every_client() {
    let plugins = Plugins::ours();
    let node = Node::new();
    for (keys, hidden) in [
        (json!({"masqAll": true}), true),
        (
            json!({"masqAll": true, "markMasqBit": 5, "snat": false}),
            false,
        ),
        (json!({"markMasqBit": 5}), false),
    ] {
        let one = node.sandbox("one");
        let mut chain = chain(&plugins, &node, &one, port("tcp", None)).with(keys.clone());
        let view = chain.view();
        let _server = Server::start(&one, Transport::Tcp, 80, "one");
        for (address, client) in [(UPLINK_V4, OUTSIDE_V4), (UPLINK_V6, OUTSIDE_V6)] {
            let reply = Transport::Tcp.ask(&node.outside(), address, 8080);
            assert_eq!(
                reply.client.to_string() != client,
                hidden,
                "{keys}: {reply:?}"
            );
        }
        chain.del();
        for host in view.hosts() {
            assert!(!node.rules_mention(host), "{}", node.nft_json());
        }
    }
}

#[test]
fn what_needs_iptables_is_refused_and_nothing_made() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    let mut chain = chain(&plugins, &node, &one, port("tcp", None));
    chain.portmap.config["prevResult"] = chain.main.add();
    for (keys, words) in [
        (json!({"backend": "iptables"}), ["backend", "iptables"]),
        (
            json!({"externalSetMarkChain": "MARK"}),
            ["externalSetMarkChain", "MARK"],
        ),
        (
            json!({"conditionsV4": ["-i", "uplink"]}),
            ["conditionsV4", "-i"],
        ),
        (
            json!({"conditionsV6": ["-s", OUTSIDE_V4]}),
            ["conditionsV6", OUTSIDE_V4],
        ),
    ] {
        let refused = chain.clone().with(keys);
        refused.portmap.try_add().fails(2, &words);
    }
    assert!(!node.rules_mention("8080"), "{}", node.nft_json());
    chain.del();
}
