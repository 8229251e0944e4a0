//! `portmap`: who reaches a published port, and as whom the container sees them.

use fairlead_tests::{
    Attachment, Chain, Family, Node, OUTSIDE_V4, Place, Plugins, Sandbox, Server, Transport,
    UPLINK_V4, UPLINK_V6, conformance,
};
use serde_json::{Value, json};

use crate::support::{bridge, ptp};

/// A container on br0 with a default route and hairpin mode, and these published ports.
fn published<'a>(
    plugins: &'a Plugins,
    node: &'a Node,
    sandbox: &Sandbox<'_>,
    (version, family): (&str, Family),
    mappings: Value,
) -> Chain<'a> {
    let main = Attachment::new(plugins, node, sandbox, bridge(version, family))
        .with(json!({"isDefaultGateway": true, "hairpinMode": true, "ipMasq": true}));
    Chain::new(main, mappings)
}

/// Port 8080 of the host to port 80 of the container, for both transports.
fn web() -> Value {
    json!([
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 8080, "containerPort": 80, "protocol": "udp"},
    ])
}

const BOTH: [Transport; 2] = [Transport::Tcp, Transport::Udp];

fn servers(sandbox: &Sandbox<'_>, port: u16) -> [Server; 2] {
    BOTH.map(|transport| Server::start(sandbox, transport, port, sandbox.name()))
}

/// Asserts that `place` gets `text` from `address`, and as whom it was seen.
#[track_caller]
fn assert_answer(place: &impl Place, address: &str, port: u16, text: &str, client: &str) {
    for transport in BOTH {
        let reply = transport.ask(place, address, port);
        assert_eq!(
            (reply.text.as_str(), reply.client.to_string().as_str()),
            (text, client),
            "{transport} {address} port {port}"
        );
    }
}

conformance! {
    fn the_outside_reaches_it_and_keeps_its_address(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let mut chain = published(plugins, &node, &sandbox, (version, family), web());
                chain.view();
                let _servers = servers(&sandbox, 80);
                for (address, client) in family.uplinks().into_iter().zip(family.outsides()) {
                    assert_answer(&node.outside(), address, 8080, "one", client);
                }
                chain.del();
                for address in family.uplinks() {
                    Transport::Tcp.nobody(&node.outside(), address, 8080);
                }
            }
        }
    }

    fn the_host_reaches_it_by_its_own_address(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let mut chain = published(plugins, &node, &sandbox, (version, family), web());
                chain.view();
                let _servers = servers(&sandbox, 80);
                for address in family.uplinks() {
                    assert_answer(&node, address, 8080, "one", address);
                }
                chain.del();
            }
        }
    }

    fn the_host_reaches_it_by_127_0_0_1(plugins: &Plugins) {
        for family in [Family::V4, Family::Dual] {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let mut chain = published(plugins, &node, &sandbox, (version, family), web());
                chain.view();
                let _servers = servers(&sandbox, 80);
                assert_answer(&node, "127.0.0.1", 8080, "one", "10.88.0.1");
                chain.del();
            }
        }
    }

    fn the_container_reaches_its_own_published_port(plugins: &Plugins) {
        // Bridged packets pass the host's firewall on some machines and not on others.
        for bridged_firewall in ["0", "1"] {
            for family in Family::ALL {
                let node = Node::new();
                node.set_sysctl("net/bridge/bridge-nf-call-iptables", bridged_firewall);
                node.set_sysctl("net/bridge/bridge-nf-call-ip6tables", bridged_firewall);
                for version in plugins.versions_since("0.4.0") {
                    let sandbox = node.sandbox("one");
                    let mut chain = published(plugins, &node, &sandbox, (version, family), web());
                    chain.view();
                    let _servers = servers(&sandbox, 80);
                    for (address, gateway) in family.uplinks().into_iter().zip(family.gateways()) {
                        assert_answer(&sandbox, address, 8080, "one", gateway);
                        assert_answer(&sandbox, gateway, 8080, "one", gateway);
                    }
                    chain.del();
                }
            }
        }
    }

    fn a_neighbour_on_the_same_bridge_reaches_it(plugins: &Plugins) {
        for bridged_firewall in ["0", "1"] {
            for family in Family::ALL {
                let node = Node::new();
                node.set_sysctl("net/bridge/bridge-nf-call-iptables", bridged_firewall);
                node.set_sysctl("net/bridge/bridge-nf-call-ip6tables", bridged_firewall);
                for version in plugins.versions_since("0.4.0") {
                    let (one, two) = (node.sandbox("one"), node.sandbox("two"));
                    let mut chain = published(plugins, &node, &one, (version, family), web());
                    let mut neighbour = published(plugins, &node, &two, (version, family), json!([]));
                    chain.view();
                    neighbour.view();
                    let _servers = servers(&one, 80);
                    for (address, gateway) in family.uplinks().into_iter().zip(family.gateways()) {
                        assert_answer(&two, address, 8080, "one", gateway);
                    }
                    chain.del();
                    neighbour.del();
                }
            }
        }
    }

    fn a_port_of_one_host_address_is_not_on_another(plugins: &Plugins) {
        let node = Node::new();
        node.run("ip address add 198.51.100.10/24 dev uplink");
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mappings = json!([
                {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": UPLINK_V4},
                {"hostPort": 8080, "containerPort": 80, "protocol": "udp", "hostIP": UPLINK_V4},
            ]);
            let mut chain = published(plugins, &node, &sandbox, (version, Family::Dual), mappings);
            chain.view();
            let _servers = servers(&sandbox, 80);
            assert_answer(&node.outside(), UPLINK_V4, 8080, "one", OUTSIDE_V4);
            Transport::Tcp.nobody(&node.outside(), "198.51.100.10", 8080);
            Transport::Tcp.nobody(&node.outside(), UPLINK_V6, 8080);
            Transport::Tcp.nobody(&node, "127.0.0.1", 8080);
            chain.del();
        }
    }

    fn a_version_6_host_address_is_published(plugins: &Plugins) {
        let node = Node::new();
        for version in plugins.versions() {
            let sandbox = node.sandbox("one");
            let mappings = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": UPLINK_V6}]);
            let mut chain = published(plugins, &node, &sandbox, (version, Family::Dual), mappings);
            chain.view();
            let _servers = servers(&sandbox, 80);
            assert_eq!(Transport::Tcp.ask(&node.outside(), UPLINK_V6, 8080).text, "one");
            Transport::Tcp.nobody(&node.outside(), UPLINK_V4, 8080);
            chain.del();
        }
    }

    fn one_host_port_of_two_addresses_leads_to_two_containers(plugins: &Plugins) {
        let node = Node::new();
        node.run("ip address add 198.51.100.10/24 dev uplink");
        for version in plugins.versions() {
            let (one, two) = (node.sandbox("one"), node.sandbox("two"));
            let at = |ip: &str| json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ip}]);
            let mut first = published(plugins, &node, &one, (version, Family::V4), at(UPLINK_V4));
            let mut second = published(plugins, &node, &two, (version, Family::V4), at("198.51.100.10"));
            first.view();
            second.view();
            let _servers = (servers(&one, 80), servers(&two, 80));
            assert_eq!(Transport::Tcp.ask(&node.outside(), UPLINK_V4, 8080).text, "one");
            assert_eq!(Transport::Tcp.ask(&node.outside(), "198.51.100.10", 8080).text, "two");
            first.del();
            Transport::Tcp.nobody(&node.outside(), UPLINK_V4, 8080);
            assert_eq!(Transport::Tcp.ask(&node.outside(), "198.51.100.10", 8080).text, "two");
            second.del();
        }
    }

    fn it_follows_a_ptp_container_too(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions_since("0.4.0") {
                let sandbox = node.sandbox("one");
                let main = Attachment::new(plugins, &node, &sandbox, ptp(version, family));
                let mut chain = Chain::new(main, web());
                chain.view();
                let _servers = servers(&sandbox, 80);
                for (address, client) in family.uplinks().into_iter().zip(family.outsides()) {
                    assert_answer(&node.outside(), address, 8080, "one", client);
                }
                chain.del();
            }
        }
    }

    fn without_snat_the_outside_still_reaches_it(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions() {
                let sandbox = node.sandbox("one");
                let mut chain = published(plugins, &node, &sandbox, (version, family), web())
                    .with(json!({"snat": false}));
                chain.view();
                let _servers = servers(&sandbox, 80);
                for (address, client) in family.uplinks().into_iter().zip(family.outsides()) {
                    assert_answer(&node.outside(), address, 8080, "one", client);
                }
                Transport::Tcp.nobody(&node, "127.0.0.1", 8080);
                chain.del();
            }
        }
    }

    fn a_udp_flow_from_before_add_finds_the_container(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions_since("0.4.0") {
                let (one, other) = (node.sandbox("one"), node.sandbox("other"));
                // Something published, so that the host tracks connections at all.
                let mut first = published(plugins, &node, &other, (version, family), json!([
                    {"hostPort": 9000, "containerPort": 90, "protocol": "udp"},
                ]));
                first.view();
                for address in family.uplinks() {
                    Transport::Udp
                        .try_ask(&node.outside(), address, 8080, 40000, 100)
                        .expect_err("nobody is there yet");
                }
                let mut chain = published(plugins, &node, &one, (version, family), web());
                chain.view();
                let _servers = servers(&one, 80);
                for address in family.uplinks() {
                    let reply = Transport::Udp.try_ask(&node.outside(), address, 8080, 40000, 2000);
                    assert_eq!(reply.map(|r| r.text).as_deref(), Ok("one"), "{address}");
                }
                chain.del();
                first.del();
            }
        }
    }

    fn a_udp_flow_to_the_former_container_finds_the_new_one(plugins: &Plugins) {
        for family in Family::ALL {
            let node = Node::new();
            for version in plugins.versions_since("0.4.0") {
                let (one, two) = (node.sandbox("one"), node.sandbox("two"));
                let _servers = (servers(&one, 80), servers(&two, 80));
                let ask = |address: &str| {
                    let reply = Transport::Udp.try_ask(&node.outside(), address, 8080, 40001, 2000);
                    reply.map(|r| r.text)
                };
                for sandbox in [&one, &two] {
                    let mut chain = published(plugins, &node, sandbox, (version, family), web());
                    chain.view();
                    for address in family.uplinks() {
                        assert_eq!(ask(address).as_deref(), Ok(sandbox.name()), "{address}");
                    }
                    chain.del();
                }
            }
        }
    }
}
