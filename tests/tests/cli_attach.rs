//! `fairlead attach`, `ls` and `detach` on containers that send packets.

#[path = "cli_attach/detach.rs"]
mod detach;

use std::process::{Child, Stdio};

use fairlead_tests::{
    Node, OUTSIDE_V4, OUTSIDE_V6, Place, Sandbox, Server, Transport, UPLINK_V4, UPLINK_V6,
    eventually, patience,
};
use serde_json::json;

/// A network of both families, made.
fn web() -> Node {
    let node = Node::new();
    node.networks(&["web=10.30.0.0/24 fd00:30::/64"]);
    node
}

/// The same, after its first container has gone: the rules of its range are there.
fn used() -> Node {
    let node = web();
    node.run("ip netns add first");
    node.sh("fairlead attach web --netns /run/netns/first --publish 1:1")
        .done();
    node.sh("fairlead detach --id first").done();
    node.run("ip netns delete first");
    node
}

/// A process in a container.
struct Process(Child);

impl Process {
    fn in_(sandbox: &Sandbox<'_>) -> Self {
        let child = sandbox
            .command("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("cat");
        let process = Self(child);
        // It is there before it has entered the namespace.
        eventually(patience(), || {
            if process.is_in(sandbox) {
                Ok(())
            } else {
                Err("it has not entered")
            }
        });
        process
    }

    fn is_in(&self, sandbox: &Sandbox<'_>) -> bool {
        let own = std::fs::read_link(format!("/proc/{}/ns/net", self.0.id()));
        let that = sandbox.run("readlink /proc/self/ns/net");
        own.is_ok_and(|own| own.to_string_lossy() == that.trim())
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn two_containers_reach_each_other_the_node_and_the_outside() {
    let node = web();
    let (one, two) = (node.sandbox("one"), node.sandbox("two"));
    node.sh("fairlead attach web --netns /run/netns/one").done();
    node.sh("fairlead attach web --netns /run/netns/two").done();
    assert_eq!(one.addresses("eth0"), ["10.30.0.2/24", "fd00:30::2/64"]);
    assert_eq!(two.addresses("eth0"), ["10.30.0.3/24", "fd00:30::3/64"]);
    for address in [
        "10.30.0.1",
        "10.30.0.3",
        "fd00:30::1",
        "fd00:30::3",
        UPLINK_V4,
        OUTSIDE_V4,
    ] {
        one.ping(address);
    }
    let _server = Server::start(&node.outside(), Transport::Tcp, 7000, "outside");
    for (outside, uplink) in [(OUTSIDE_V4, UPLINK_V4), (OUTSIDE_V6, UPLINK_V6)] {
        let reply = Transport::Tcp.ask(&one, outside, 7000);
        assert_eq!(reply.client.to_string(), uplink, "masqueraded");
    }
    // Between containers the source stays.
    let _inside = Server::start(&two, Transport::Tcp, 7000, "two");
    assert_eq!(
        Transport::Tcp
            .ask(&one, "10.30.0.3", 7000)
            .client
            .to_string(),
        "10.30.0.2"
    );
    assert_eq!(
        Transport::Tcp
            .ask(&one, "fd00:30::3", 7000)
            .client
            .to_string(),
        "fd00:30::2"
    );
}

#[test]
fn a_container_is_named_by_a_process_in_it() {
    let node = used();
    let shop = node.sandbox("shop");
    let before = node.world();
    let process = Process::in_(&shop);
    node.sh(&format!("fairlead attach web --pid {}", process.id()))
        .done();
    shop.ping("10.30.0.1");
    let listed = node.sh("fairlead ls -o json").json();
    assert_eq!(listed[0]["container"], format!("pid-{}", process.id()));
    // The same namespace by its other name.
    let again = format!("fairlead attach web --netns /proc/{}/ns/net", process.id());
    node.sh(&again).fails(&["attached already"]);
    node.sh(&format!("fairlead detach --pid {}", process.id()))
        .done();
    assert!(!shop.has_link("eth0"));
    // And by the other name of the same namespace.
    node.sh(&format!("fairlead attach web --pid {}", process.id()))
        .done();
    let said = node
        .sh("fairlead detach web --netns /run/netns/shop")
        .done();
    assert!(said.starts_with("detached "), "{said}");
    node.sh(&format!("fairlead attach web --pid {}", process.id()))
        .done();
    let id = format!("pid-{}", process.id());
    drop(process);
    node.sh(&format!("fairlead detach --id {id}")).done();
    node.is_as_before(&before, "all was detached");
}

#[test]
fn an_address_a_hardware_address_and_names_can_be_chosen() {
    let node = web();
    node.networks(&["db=10.40.0.0/24"]);
    let shop = node.sandbox("shop");
    let line = "fairlead attach web --netns /run/netns/shop --id shop-1 --ip 10.30.0.77 --ip fd00:30::77 \
                --mac 02:00:00:00:00:77 -o json";
    let attachment = node.sh(line).json();
    assert_eq!(
        attachment["addresses"],
        json!(["10.30.0.77", "fd00:30::77"])
    );
    assert_eq!(attachment["container"], "shop-1");
    let host = attachment["host_interface"]
        .as_str()
        .expect("a name")
        .to_owned();
    assert_eq!(node.link(&host)["master"], "obr_web");
    let line =
        "fairlead attach db --netns /run/netns/shop --id shop-1 --ifname eth1 --ip 10.40.0.9";
    node.sh(line).done();
    assert_eq!(shop.addresses("eth0"), ["10.30.0.77/24", "fd00:30::77/64"]);
    assert_eq!(shop.link("eth0")["address"], "02:00:00:00:00:77");
    assert_eq!(shop.addresses("eth1"), ["10.40.0.9/24"]);
    for gateway in ["10.30.0.1", "fd00:30::1", "10.40.0.1"] {
        shop.ping(gateway);
    }
    // One of the two goes, the other stays.
    node.sh("fairlead detach --id shop-1 --ifname eth0").done();
    assert_eq!(shop.link_names(), ["eth1", "lo"]);
    shop.ping("10.40.0.1");
    // Only one address of the two families is chosen.
    node.sh("fairlead attach web --netns /run/netns/shop --ip fd00:30::88")
        .done();
    let addresses = shop.addresses("eth0");
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    assert_eq!(addresses[1], "fd00:30::88/64");
}

#[test]
fn published_ports_lead_in_from_outside() {
    let node = web();
    node.run("ip address add 198.51.100.10/24 dev uplink");
    let (shop, outside) = (node.sandbox("shop"), node.outside());
    let line = "fairlead attach web --netns /run/netns/shop --publish 8080:80 -p 5353:53/udp \
                -p 198.51.100.10:8443:443/tcp -p '[2001:db8::1]:8666:666' -p 9000-9003:80-83/tcp";
    node.sh(line).done();
    let tcp = |port, text| Server::start(&shop, Transport::Tcp, port, text);
    let _servers = [(80, "80"), (83, "83"), (443, "tls"), (666, "six")].map(|(p, t)| tcp(p, t));
    let _udp = Server::start(&shop, Transport::Udp, 53, "names");
    let ask = |address: &str, port| {
        let reply = Transport::Tcp.ask(&outside, address, port);
        (reply.text, reply.client.to_string())
    };
    // The container sees who asks.
    assert_eq!(ask(UPLINK_V4, 8080), ("80".into(), OUTSIDE_V4.into()));
    assert_eq!(ask(UPLINK_V6, 8080), ("80".into(), OUTSIDE_V6.into()));
    assert_eq!(ask("198.51.100.10", 8443).0, "tls");
    assert_eq!(ask(UPLINK_V6, 8666).0, "six");
    assert_eq!(ask(UPLINK_V4, 9000).0, "80");
    assert_eq!(ask(UPLINK_V4, 9003).0, "83");
    assert_eq!(ask(UPLINK_V6, 9003).0, "83");
    for address in [UPLINK_V4, UPLINK_V6] {
        assert_eq!(Transport::Udp.ask(&outside, address, 5353).text, "names");
    }
    Transport::Tcp.nobody(&outside, UPLINK_V4, 8443);
    Transport::Tcp.nobody(&outside, UPLINK_V4, 8666);
    Transport::Tcp.nobody(&outside, UPLINK_V4, 9004);
    // From the node itself, and from the container by the node's address.
    assert_eq!(Transport::Tcp.ask(&node, UPLINK_V4, 8080).text, "80");
    assert_eq!(Transport::Tcp.ask(&node, "127.0.0.1", 8080).text, "80");
    assert_eq!(Transport::Tcp.ask(&shop, UPLINK_V4, 8080).text, "80");
    node.sh("fairlead detach web --netns /run/netns/shop")
        .done();
    Transport::Tcp.nobody(&outside, UPLINK_V4, 8080);
    Transport::Udp.nobody(&outside, UPLINK_V4, 5353);
}

#[test]
fn the_list_has_who_where_and_what() {
    let node = web();
    let empty =
        "NETWORK  CONTAINER  INTERFACE  ADDRESS  PORTS  OBJECT  STATE  HOST LINK  NAMESPACE\n";
    assert_eq!(node.sh("fairlead ls").done(), empty);
    let _shop = node.sandbox("shop");
    let line = "fairlead attach web --netns /run/netns/shop -p 8080:80 -p 198.51.100.1:5000-5001:53-54/udp \
                --object demo/svc/shop -o json";
    let attachment = node.sh(line).json();
    let host = attachment["host_interface"]
        .as_str()
        .expect("a name")
        .to_owned();
    let row = node.sh("fairlead ls").done();
    let words: Vec<_> = row
        .lines()
        .nth(1)
        .expect("a row")
        .split_whitespace()
        .collect();
    let wanted = [
        "web",
        "shop",
        "eth0",
        "10.30.0.2",
        "fd00:30::2",
        "198.51.100.1:5000:53/udp",
        "198.51.100.1:5001:54/udp",
        "8080:80/tcp",
        "demo/svc/shop",
        "ready",
        &host,
        "/run/netns/shop",
    ];
    assert_eq!(words, wanted);
    let mut listed = node.sh("fairlead ls -o json").json();
    assert_eq!(listed[0], attachment);
    assert!(
        listed[0]["since"]
            .take()
            .as_u64()
            .is_some_and(|since| since > 1_700_000_000)
    );
    let port = |ip, host: u16, to: u16, protocol| json!({"host_ip": ip, "host_port": host, "container_port": to, "protocol": protocol});
    let wanted = json!([{
        "network": "web", "container": "shop", "ifname": "eth0",
        "addresses": ["10.30.0.2", "fd00:30::2"],
        "ports": [port(json!(UPLINK_V4), 5000, 53, "udp"), port(json!(UPLINK_V4), 5001, 54, "udp"),
                  port(json!(null), 8080, 80, "tcp")],
        "object": "demo/svc/shop", "resource": null, "netns": "/run/netns/shop", "host_interface": host,
        "state": "ready", "origin": "fairlead", "since": null,
    }]);
    assert_eq!(listed, wanted);
}

#[test]
fn a_list_of_one_network_has_only_that() {
    let node = web();
    let _both = (node.sandbox("shop"), node.sandbox("bank"));
    let line = "fairlead attach web --netns /run/netns/shop --object demo/svc/shop";
    node.sh(line).done();
    node.sh("fairlead attach default --netns /run/netns/bank")
        .done();
    let one = node.sh("fairlead ls default -o json").json();
    assert_eq!(
        (one.as_array().map(Vec::len), &one[0]["container"]),
        (Some(1), &json!("bank"))
    );
    let table = node.sh("fairlead net status --verbose").done();
    assert!(
        table.contains("|- 10.30.0.2   node      demo/svc/shop"),
        "{table}"
    );
    assert!(table.contains("`- 10.22.0.2   node  "), "{table}");
    let addresses = node.sh("fairlead ip ls web -o json").json();
    assert_eq!(addresses[1]["address"], "fd00:30::2");
    assert_eq!(addresses[1]["live"], true);
}

#[test]
fn a_public_network_keeps_its_addresses_and_one_of_version_6_alone_works() {
    let node = Node::new();
    node.networks(&["web=203.0.113.0/24", "six=fd00:66::/64"]);
    node.sh("fairlead cluster set --kw network#web.public=true")
        .silent();
    node.sh("fairlead net setup").done();
    let (shop, six, outside) = (node.sandbox("shop"), node.sandbox("six"), node.outside());
    node.sh("fairlead attach web --netns /run/netns/shop")
        .done();
    node.sh("fairlead attach six --netns /run/netns/six --publish 8080:80")
        .done();
    outside.run("ip route add 203.0.113.0/24 via 198.51.100.1");
    let _server = Server::start(&outside, Transport::Tcp, 7000, "outside");
    let seen = |from: &Sandbox<'_>, to| Transport::Tcp.ask(from, to, 7000).client.to_string();
    assert_eq!(seen(&shop, OUTSIDE_V4), "203.0.113.2");
    assert_eq!(seen(&six, OUTSIDE_V6), UPLINK_V6);
    let _inside = Server::start(&six, Transport::Tcp, 80, "six");
    assert_eq!(Transport::Tcp.ask(&outside, UPLINK_V6, 8080).text, "six");
    assert_eq!(six.addresses("eth0"), ["fd00:66::2/64"]);
    assert_eq!(
        node.sh("fairlead detach --id six").done().lines().count(),
        1
    );
    Transport::Tcp.nobody(&outside, UPLINK_V6, 8080);
}

#[test]
fn loopback_is_a_network_too() {
    let node = Node::new();
    let shop = node.sandbox("shop");
    node.sh("fairlead attach lo --netns /run/netns/shop --ifname lo")
        .done();
    assert_eq!(shop.addresses("lo"), ["127.0.0.1/8", "::1/128"]);
    shop.ping("127.0.0.1");
    node.sh("fairlead detach lo --netns /run/netns/shop").done();
    assert_eq!(node.sh("fairlead ls -o json").json(), json!([]));
}

/// A plugin that notes what it was asked; Debian's tuning passes the result on.
const NOTER: &str = r#"#!/bin/sh
input=$(cat)
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS $CNI_ARGS" >>/run/noted
echo "$input" >/run/asked-$CNI_COMMAND
echo "$input" | exec /usr/lib/cni/tuning
"#;

#[test]
fn plugins_of_other_makers_run_in_a_chain() {
    let node = web();
    node.sh("fairlead node set --kw cni.plugins=/run/cni --kw cni.config=/run/net.d")
        .silent();
    node.write("/run/cni/noter", NOTER);
    node.run("chmod 755 /run/cni/noter");
    let list = json!({"cniVersion": "1.0.0", "name": "mixed", "plugins": [
        {"type": "bridge", "bridge": "mix0", "isGateway": true,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}]]}},
        {"type": "noter", "key": "value"},
        // Debian's, which is where cni.plugins does not lead but the system has it.
        {"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}, "mtu": 1400},
    ]});
    node.write("/run/net.d/mixed.conflist", &list.to_string());
    assert!(node.sh("fairlead net ls").done().contains("mixed\n"));
    let shop = node.sandbox("shop");
    node.sh("fairlead attach mixed --netns /run/netns/shop")
        .done();
    shop.ping("10.61.0.1");
    assert_eq!(shop.sysctl("net/ipv4/conf/eth0/arp_filter"), "1");
    assert_eq!(shop.link("eth0")["mtu"], 1400);
    let asked = node.read("/run/asked-ADD");
    let asked: serde_json::Value = serde_json::from_str(&asked).expect("JSON");
    assert_eq!(asked["name"], "mixed");
    assert_eq!(asked["key"], "value");
    assert_eq!(asked["prevResult"]["ips"][0]["address"], "10.61.0.2/24");
    node.sh("fairlead cni check mixed /run/netns/shop").silent();
    node.sh("fairlead detach mixed --netns /run/netns/shop")
        .done();
    let noted: Vec<String> = node.read("/run/noted").lines().map(str::to_owned).collect();
    let wanted = ["ADD", "CHECK", "DEL"].map(|c| format!("{c} shop eth0 /run/netns/shop "));
    assert_eq!(noted, wanted);
    assert_eq!(shop.link_names(), ["lo"]);
    assert_eq!(node.sh("fairlead ip ls -o json").json(), json!([]));
}
