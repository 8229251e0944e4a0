//! etcd is restored from nothing while nodes know different things.

use std::time::{Duration, Instant};

use fairlead_tests::{
    Agent, Cluster, Node, Pinging, Place, Plan, Ran, eventually, gateway, reach_each_other,
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

/// Types a line that may not take longer than so many seconds.
#[track_caller]
fn within(node: &Node, line: &str, seconds: u64) -> Ran {
    let start = Instant::now();
    let ran = node.sh(line);
    let took = start.elapsed();
    assert!(
        took < Duration::from_secs(seconds),
        "{line}: {took:?} {ran:?}"
    );
    println!("{line}: {took:?}");
    ran
}

/// Worse than one that is down: nobody says so.
#[test]
fn an_etcd_that_says_nothing_delays_only_changes() {
    let cluster = cluster();
    let mut agents = cluster.up();
    cluster.declare("back", &["type=routed_bridge", "network=10.11.0.0/16"]);
    cluster.segments("back");
    let one = cluster.container(1, "back", "one");
    let etcd = cluster.wire().existing("etcd1");
    etcd.run("nft add table inet silence");
    etcd.run("nft add chain inet silence in { type filter hook input priority 0 ; }");
    etcd.run("nft add rule inet silence in drop");
    // The second has its agent, the third has none.
    agents.truncate(2);
    for (k, name) in [(2, "two"), (3, "three")] {
        let node = cluster.node(k);
        let sandbox = node.sandbox(name);
        let line = format!(
            "fairlead attach back --netns {} --object a/svc/{name}",
            sandbox.netns()
        );
        within(node, &line, 2).done();
        one.sandbox.ping(&cluster.attached(k, name).address());
        for line in [
            "fairlead net status --verbose",
            "fairlead net ls",
            "fairlead ls",
            "fairlead node ls",
        ] {
            within(node, line, 7).done();
        }
        within(node, "fairlead net setup", 20).done();
        let line = format!("fairlead detach back --netns {}", sandbox.netns());
        within(node, &line, 2).done();
        within(
            node,
            "fairlead cluster set --kw network#late.network=10.41.0.0/24",
            20,
        )
        .fails(&["etcd", "192.168.1.101"]);
    }
    // An agent that starts then is ready, and makes what is gone.
    cluster.node(3).run("ip link delete obr_back");
    let _agent = Agent::start(cluster.node(3));
    assert_eq!(cluster.node(3).addresses("obr_back"), ["10.11.8.1/22"]);
    etcd.run("nft delete table inet silence");
    eventually(SOON, || {
        let ran = cluster
            .node(1)
            .sh("fairlead cluster set --kw network#late.network=10.41.0.0/24");
        if ran.status == Some(0) {
            Ok(())
        } else {
            Err(ran)
        }
    });
    all_get(&cluster, "obr_late");
}
