//! etcd is restored from nothing while nodes know different things.

use std::time::Duration;

use fairlead_tests::{
    Agent, Cluster, Node, Pinging, Place, Plan, eventually, gateway, reach_each_other,
};

/// The time a restoration may take until all nodes agree.
const SOON: Duration = Duration::from_secs(20);

fn cluster() -> Cluster {
    Cluster::new(Plan {
        nodes: 3,
        far: 0,
        etcd: 1,
    })
}

/// The segments of the network as this node knows them.
fn segments(node: &Node, network: &str) -> Vec<String> {
    let mut lines: Vec<String> = node
        .read("/run/fairlead-root/etc/fairlead/cluster.conf")
        .split(&format!("[network#{network}]"))
        .nth(1)
        .unwrap_or_default()
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.starts_with("subnet@"))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

/// Waits until all nodes have the link.
#[track_caller]
fn all_get(cluster: &Cluster, link: &str) {
    eventually(SOON, || {
        match cluster.numbers().find(|k| !cluster.node(*k).has_link(link)) {
            None => Ok(()),
            Some(k) => Err(format!("node{k} has no {link}")),
        }
    });
}

#[test]
fn who_missed_a_change_does_not_take_it_away_from_the_others() {
    let mut cluster = cluster();
    let agents = cluster.up();
    cluster.declare("back", &["type=routed_bridge", "network=10.11.0.0/16"]);
    cluster.segments("back");
    for (k, name) in [(1, "one"), (2, "two")] {
        std::mem::forget(cluster.container(k, "back", name));
    }
    let pinging = Pinging::start(&cluster.attached(1, "one"), &cluster.attached(2, "two"));
    // The third misses a network, and what everybody got on it.
    cluster.cut_off(3);
    cluster.declare("late", &["type=routed_bridge", "network=10.12.0.0/16"]);
    for k in [1, 2] {
        eventually(SOON, || match cluster.node(k).has_link("obr_late") {
            true => Ok(()),
            false => Err(k),
        });
    }
    let known = [1, 2].map(|k| segments(cluster.node(k), "late"));
    assert_eq!((known[0].len(), &known[0]), (3, &known[1]));
    // It is the first to come to an etcd that has lost everything: the others are away.
    cluster.lose_etcd(&[0]);
    for k in [1, 2] {
        cluster.cut_off(k);
    }
    cluster.restore_etcd(true);
    cluster.reconnect(3);
    eventually(SOON, || {
        match cluster.etcd.keys(cluster.wire(), "/fairlead/config").len() {
            0 => Err("nothing is in etcd"),
            _ => Ok(()),
        }
    });
    let before = segments(cluster.node(1), "back");
    for k in [1, 2] {
        cluster.reconnect(k);
    }
    all_get(&cluster, "obr_late");
    eventually(SOON, || {
        let all: Vec<_> = cluster
            .numbers()
            .map(|k| segments(cluster.node(k), "late"))
            .collect();
        match all.iter().all(|some| *some == known[0]) {
            true => Ok(()),
            false => Err(all),
        }
    });
    for k in cluster.numbers() {
        assert_eq!(segments(cluster.node(k), "back"), before, "node{k}");
    }
    reach_each_other(&cluster.attached(1, "one"), &cluster.attached(2, "two"));
    // While the cables were pulled nothing could pass, so that is not asked here.
    drop((pinging, agents));
}

#[test]
fn who_was_away_takes_what_was_changed_after_the_restoration() {
    let mut cluster = cluster();
    let _agents = cluster.up();
    cluster.declare("back", &["type=routed_bridge", "network=10.11.0.0/16"]);
    let before = cluster.segments("back");
    for (k, name) in [(1, "one"), (2, "two")] {
        std::mem::forget(cluster.container(k, "back", name));
    }
    let pinging = Pinging::start(&cluster.attached(1, "one"), &cluster.attached(2, "two"));
    cluster.cut_off(3);
    cluster.lose_etcd(&[0]);
    cluster.restore_etcd(true);
    // The first two put it back, and go on.
    eventually(SOON, || {
        let ran = cluster
            .node(1)
            .sh("fairlead cluster set --kw network#late.network=10.40.0.0/24");
        match ran.status {
            Some(0) => Ok(()),
            _ => Err(ran),
        }
    });
    cluster.reconnect(3);
    all_get(&cluster, "obr_late");
    assert_eq!(cluster.segments("back"), before);
    pinging.lost_nothing();
}

#[test]
fn a_node_that_boots_without_etcd_is_what_it_was() {
    let mut cluster = cluster();
    let mut agents = cluster.up();
    cluster.declare(
        "back",
        &[
            "type=routed_bridge",
            "network=10.11.0.0/16",
            "tunnel_mode=vxlan",
            "tunnel=always",
        ],
    );
    let before = cluster.segments("back");
    let ways = eventually(SOON, || {
        let ways = cluster.ways(2);
        if ways.len() == 2 { Ok(ways) } else { Err(ways) }
    });
    std::mem::forget(cluster.container(1, "back", "one"));
    cluster.lose_etcd(&[0]);
    agents.remove(1).daemon.kill();
    let node = cluster.node(2);
    node.run("nft flush ruleset");
    for link in node
        .link_names()
        .iter()
        .filter(|link| !matches!(link.as_str(), "lo" | "eth0"))
    {
        node.run(&format!("ip link delete {link}"));
    }
    node.run("rm -rf /run/fairlead-root/run");
    assert_eq!(cluster.ways(2), [""; 0]);
    let _agent = Agent::start(node);
    assert_eq!(cluster.ways(2), ways);
    assert_eq!(node.addresses("obr_back"), [gateway(&before[1])]);
    std::mem::forget(cluster.container(2, "back", "two"));
    reach_each_other(&cluster.attached(2, "two"), &cluster.attached(1, "one"));
    // All see it as soon as they can.
    cluster.restore_etcd(false);
    eventually(SOON, || {
        let status = cluster
            .node(1)
            .sh("fairlead net status --verbose --name back")
            .done();
        match status.contains("testbackend/svc/two") {
            true => Ok(()),
            false => Err(status),
        }
    });
}
