//! `portmap`: what ours does better than Debian's.

use fairlead_tests::{
    Attachment, Chain, Family, Node, Place, Plugins, Sandbox, Server, Transport, UPLINK_V4,
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
