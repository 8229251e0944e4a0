//! The agent repairs what others break, within five seconds, touches nothing else, and
//! is not needed for packets to pass.

use std::time::Duration;

use fairlead_tests::{
    Agent, Cluster, Container, Node, Pinging, Place, Plan, Server, Transport, eventually, patience,
    reach_each_other,
};

/// The promise.
const REPAIRED: Duration = Duration::from_secs(5);
const CNI: &str = "/run/fairlead-root/opt/cni/net.d";

/// Two nodes with agents, each behind another router, so that there is a tunnel, and
/// the networks `back` and `near`, which need one and need none.
fn cluster() -> (Cluster, Vec<Agent>) {
    let cluster = Cluster::new(Plan {
        nodes: 3,
        far: 1,
        etcd: 1,
    });
    let agents = cluster.up();
    cluster.declare(
        "back",
        &[
            "type=routed_bridge",
            "network=10.11.0.0/16",
            "tunnel_mode=vxlan",
        ],
    );
    cluster.segments("back");
    (cluster, agents)
}

/// What is broken, and how; nothing of it is repaired by the kernel.
const BREAKS: [(&str, &str); 12] = [
    ("the rule set", "nft flush ruleset"),
    ("our table", "nft delete table inet fairlead"),
    ("the tunnel", "ip link delete ovx_back"),
    ("the tunnel's state", "ip link set ovx_back down"),
    (
        "the tunnel's entries",
        "bridge fdb flush dev ovx_back || for mac in $(bridge fdb show dev ovx_back | cut -d' ' -f1); do bridge fdb del $mac dev ovx_back; done",
    ),
    (
        "the tunnel's neighbours",
        "ip neighbour flush nud permanent dev ovx_back",
    ),
    ("the bridge's state", "ip link set obr_back down"),
    (
        "the bridge's address",
        "ip address del 10.11.0.1/22 dev obr_back",
    ),
    ("a route", "ip route del 10.11.4.0/22"),
    (
        "a route, by another",
        "ip route replace 10.11.8.0/22 via 192.168.1.254 dev eth0 proto 70",
    ),
    (
        "the CNI file",
        "rm /run/fairlead-root/opt/cni/net.d/back.conflist",
    ),
    (
        "the CNI file's text",
        "echo '{}' >/run/fairlead-root/opt/cni/net.d/back.conflist",
    ),
];

#[test]
fn what_is_broken_is_repaired_and_what_is_not_ours_is_left() {
    let (cluster, _agents) = cluster();
    let node = cluster.node(1);
    let one = cluster.container(1, "back", "one");
    let two = cluster.container(2, "back", "two");
    let far = cluster.container(3, "back", "far");
    foreign(node);
    // A published port is among what a flush takes away.
    let _shop = node.sandbox("shop");
    node.sh("fairlead attach back --netns /run/netns/shop --publish 8080:80")
        .done();
    let outside = Server::start(&cluster.outside(), Transport::Tcp, 0, "outside");
    let works = || {
        reach_each_other(&one, &two);
        reach_each_other(&one, &far);
        let asked = Transport::Tcp.ask(&one.sandbox, Cluster::OUTSIDE_V4, outside.port());
        assert_eq!(asked.client.to_string(), cluster.v4(1));
    };
    works();
    let before = node.world();
    for (what, line) in BREAKS {
        node.sh(line).done();
        assert_ne!(node.world(), before, "{what}: {line} shall break something");
        if what == "the rule set" {
            // Whose rules are gone puts them back himself.
            foreign_tables(node);
        }
        node.is_alike(&before, what, REPAIRED);
    }
    works();
    in_the_way(&cluster);
    works();
    // A bridge that is gone: the containers' cables are plugged into the new one.
    node.sh("ip link delete obr_back").done();
    node.is_alike(&before, "a bridge that was deleted", REPAIRED);
    works();
    let fresh = cluster.container(1, "back", "fresh");
    reach_each_other(&fresh, &far);
}

/// A route to a segment that is somebody else's is told, left alone, and replaced as
/// soon as he takes it away.
fn in_the_way(cluster: &Cluster) {
    let node = cluster.node(1);
    node.run("ip route replace 10.11.4.0/22 via 192.168.1.254 dev eth0");
    eventually(REPAIRED, || {
        let status = node.sh("fairlead net status --name back").done();
        if status.contains("taken") {
            Ok(())
        } else {
            Err(status)
        }
    });
    node.sh("fairlead net setup")
        .fails(&["network back", "10.11.4.0/22", "in the way"]);
    let routes = node.run("ip route show 10.11.4.0/22");
    assert!(routes.contains("192.168.1.254"), "{routes}");
    node.run("ip route del 10.11.4.0/22 via 192.168.1.254");
    eventually(REPAIRED, || {
        let ways = cluster.ways(1);
        match ways.iter().any(|way| way.starts_with("10.11.4.0/22")) {
            true => Ok(()),
            false => Err(ways),
        }
    });
    let status = node.sh("fairlead net status --name back").done();
    assert!(!status.contains("taken"), "{status}");
}

fn foreign_tables(node: &Node) {
    node.run("nft add table inet foreign");
    node.run("nft add table ip nat");
}

/// Things of other people, some of which look much like ours.
fn foreign(node: &Node) {
    for line in [
        "ip link add hand type bridge",
        "ip address add 10.77.0.1/24 dev hand",
        "ip link set hand up",
        "ip link add vx9 type vxlan id 9 dstport 4790 local 192.168.1.1",
        "ip route add 10.99.0.0/16 dev eth0",
        "ip route add 10.98.0.0/16 dev eth0 proto static table 100",
        "ip rule add from 10.77.0.0/24 lookup 100",
    ] {
        node.run(line);
    }
    foreign_tables(node);
    node.write(
        &format!("{CNI}/own.conf"),
        r#"{"cniVersion":"1.0.0","name":"own","type":"ptp"}"#,
    );
}

#[test]
fn what_is_no_longer_declared_goes_and_nothing_else() {
    let (cluster, _agents) = cluster();
    for k in cluster.numbers() {
        foreign(cluster.node(k));
    }
    // The agents' own words about the outside come first.
    let before: Vec<_> = cluster.numbers().map(|k| cluster.node(k).world()).collect();
    cluster.declare(
        "gone",
        &[
            "type=routed_bridge",
            "network=10.12.0.0/16",
            "tunnel_mode=vxlan",
            "tables=main 100",
        ],
    );
    cluster.segments("gone");
    let one = cluster.container(1, "gone", "one");
    let far = cluster.container(3, "gone", "far");
    reach_each_other(&one, &far);
    for container in [one, far] {
        container.detach();
    }
    let config = cluster
        .node(2)
        .read("/run/fairlead-root/etc/fairlead/cluster.conf");
    let section = config.split("[network#gone]").nth(1).expect("a section");
    let section = section.split("\n[").next().expect("its text");
    let keywords: String = section
        .lines()
        .filter_map(|line| {
            Some(format!(
                " --kw 'network#gone.{}'",
                line.split_once('=')?.0.trim()
            ))
        })
        .collect();
    cluster
        .node(2)
        .sh(&format!("fairlead cluster unset{keywords}"))
        .done();
    for (k, before) in cluster.numbers().zip(&before) {
        cluster
            .node(k)
            .is_as_before(before, "network gone was removed");
    }
    // The other tunnel and its routes are still in use.
    let one = cluster.container(1, "back", "one");
    let far = cluster.container(3, "back", "far");
    reach_each_other(&one, &far);
}

#[test]
fn without_the_agent_packets_pass_and_there_is_only_one() {
    let (cluster, mut agents) = cluster();
    let one = cluster.container(1, "back", "one");
    let far = cluster.container(3, "back", "far");
    let pinging = Pinging::start(&one, &far);
    only_one(cluster.node(1));
    let before = cluster.node(1).world();
    let status = agents[0].daemon.terminate();
    assert!(status.success(), "{status}: {}", agents[0].daemon.log());
    cluster
        .node(1)
        .is_as_before(&before, "the agent was asked to stop");
    assert!(!cluster.node(1).path(Agent::SOCKET).exists());
    agents[2].daemon.kill();
    reach_each_other(&one, &far);
    // Every verb works without it, also where it left its socket behind.
    for (k, network) in [(1, "back"), (3, "back")] {
        let short = cluster.container(k, network, "short");
        let line = format!(
            "fairlead detach {network} --netns {}",
            short.sandbox.netns()
        );
        cluster.node(k).sh(&line).done();
    }
    cluster
        .node(1)
        .is_as_before(&before, "attach and detach without an agent");
    pinging.lost_nothing();
    // Started again, it finds all as it shall be, and what was broken meanwhile.
    cluster.node(3).run("ip route del 10.11.0.0/22");
    for k in [1, 3] {
        agents[k - 1] = Agent::start(cluster.node(k));
    }
    cluster
        .node(1)
        .is_as_before(&before, "the agent was started again");
    assert!(
        cluster
            .ways(3)
            .iter()
            .any(|way| way.starts_with("10.11.0.0/22"))
    );
    reach_each_other(&one, &far);
}

/// A second agent is told so and changes nothing.
fn only_one(node: &Node) {
    let before = node.world();
    node.sh("fairlead agent").fails(&["agent", "already"]);
    node.is_as_before(&before, "a second agent was refused");
    let status = Agent::get(node, "/v1/status");
    assert!(!status.is_empty());
}

#[test]
fn forty_detaches_through_the_agent_leave_nothing() {
    let (cluster, agents) = cluster();
    let node = cluster.node(1);
    let one: Container<'_> = cluster.container(1, "back", "one");
    drop(agents);
    let agent = Agent::start(node);
    let before = node.world();
    let names: Vec<String> = (0..40).map(|i| format!("c{i}")).collect();
    for name in &names {
        node.run(&format!("ip netns add {name}"));
        node.sh(&format!("fairlead attach back --netns /run/netns/{name}"))
            .done();
    }
    let line: String = names
        .iter()
        .map(|name| format!("fairlead detach back --netns /run/netns/{name} & "))
        .collect();
    node.sh(&format!("{line} wait")).done();
    for name in &names {
        assert_eq!(node.existing(name).link_names(), ["lo"], "{name}");
        node.run(&format!("ip netns delete {name}"));
    }
    node.is_as_before(&before, "all were detached at once");
    eventually(patience(), || {
        let status = node.sh("fairlead net status --name back").done();
        if status.contains("  1  ") {
            Ok(())
        } else {
            Err(status)
        }
    });
    assert_eq!(one.mtu(), 1450);
    drop(agent);
}
