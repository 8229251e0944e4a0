//! Nodes and etcd come and go: no address changes, and no path breaks that had no cause to.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use fairlead_tests::{
    Agent, Cluster, Container, Node, Pinging, Place, Plan, eventually, is_cut_off, patience,
    reach_each_other,
};

/// The time a change may take until it is so everywhere.
const SOON: Duration = Duration::from_secs(5);

fn declare(cluster: &Cluster) {
    cluster.declare("back", &["type=routed_bridge", "network=10.11.0.0/16"]);
}

/// The link comes to the node by itself.
#[track_caller]
fn gets(node: &Node, link: &str) {
    eventually(SOON, || match node.has_link(link) {
        true => Ok(()),
        false => Err(format!("no link {link}")),
    });
}

/// Two containers on nodes 1 and 2, and a ping between them that goes on.
fn pair(cluster: &Cluster) -> (Container<'_>, Container<'_>, Pinging) {
    let one = cluster.container(1, "back", "one");
    let two = cluster.container(2, "back", "two");
    let pinging = Pinging::start(&one, &two);
    (one, two, pinging)
}

#[test]
fn a_node_joins_late_leaves_is_cut_off_and_comes_back() {
    let cluster = Cluster::new(Plan {
        nodes: 4,
        far: 0,
        etcd: 1,
    });
    for k in [1, 2] {
        cluster.join(k).done();
    }
    let _agents = [1, 2].map(|k| Agent::start(cluster.node(k)));
    declare(&cluster);
    cluster.goes(1, &["10.11.4.0/22 via 192.168.1.2 dev eth0"], SOON);
    cluster.goes(2, &["10.11.0.0/22 via 192.168.1.1 dev eth0"], SOON);
    let (one, two, pinging) = pair(&cluster);
    // The third comes late and is reached by those who were there.
    cluster.join(3).done();
    let mut third = Agent::start(cluster.node(3));
    let all = [
        "10.11.4.0/22 via 192.168.1.2 dev eth0",
        "10.11.8.0/22 via 192.168.1.3 dev eth0",
    ];
    cluster.goes(1, &all, SOON);
    assert_eq!(cluster.node(3).addresses("obr_back"), ["10.11.8.1/22"]);
    let three = cluster.container(3, "back", "three");
    reach_each_other(&one, &three);
    cut_off_and_back(&cluster, &one, &three);
    three.detach();
    // Stopped, it says good-bye.
    is_listed(&cluster, "node3", "alive");
    assert!(third.daemon.terminate().success());
    is_listed(&cluster, "node3", "silent");
    a_leaver_keeps_its_segment(&cluster);
    reach_each_other(&two, &one);
    pinging.lost_nothing();
}

/// The third node's cable is pulled: it goes on by itself, and comes back as it was.
fn cut_off_and_back(cluster: &Cluster, one: &Container<'_>, three: &Container<'_>) {
    let (segment, address) = (cluster.segment(3, "back", 3), three.address());
    cluster.cut_off(3);
    is_cut_off(&one.sandbox, &address);
    // Who is cut off can still attach, and reaches what is on its own node.
    let lonely = cluster.container(3, "back", "lonely");
    lonely.sandbox.ping(&address);
    lonely.sandbox.ping("10.11.8.1");
    // Changes that it misses meanwhile, and one that comes to everybody else.
    cluster.declare("more", &["network=10.40.0.0/24"]);
    gets(cluster.node(1), "obr_more");
    assert!(!cluster.node(3).has_link("obr_more"));
    cluster.reconnect(3);
    reach_each_other(one, three);
    gets(cluster.node(3), "obr_more");
    assert_eq!(cluster.segment(3, "back", 3), segment);
    assert_eq!(cluster.segment(1, "back", 3), segment);
    assert_eq!(three.address(), address);
    // It is alive again for the others too.
    eventually(patience(), || {
        let status = cluster
            .node(1)
            .sh("fairlead net status --verbose --name back")
            .done();
        if status.contains("testbackend/svc/lonely") {
            Ok(())
        } else {
            Err(status)
        }
    });
    lonely.detach();
}

/// Waits until `node ls` of the first node has a node in that state.
#[track_caller]
fn is_listed(cluster: &Cluster, name: &str, state: &str) {
    // Who died without a word is missed after the ten seconds of its lease.
    eventually(Duration::from_secs(15), || {
        let listed = cluster.node(1).sh("fairlead node ls").done();
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        match listed
            .lines()
            .any(|line| words(line).starts_with(&[name.into(), state.into()]))
        {
            true => Ok(()),
            false => Err(listed),
        }
    });
}

fn a_leaver_keeps_its_segment(cluster: &Cluster) {
    cluster.node(3).sh("fairlead node leave").done();
    cluster.goes(1, &["10.11.4.0/22 via 192.168.1.2 dev eth0"], SOON);
    is_listed(cluster, "node3", "left");
    assert_eq!(
        cluster.segment(1, "back", 3).as_deref(),
        Some("10.11.8.0/22")
    );
    let nodes = cluster
        .node(1)
        .sh("fairlead cluster get --kw cluster.nodes")
        .done();
    assert_eq!(nodes, "node1 node2\n");
    // The next one gets another; its agent was there before.
    let fourth = Agent::start(cluster.node(4));
    cluster.join(4).done();
    eventually(SOON, || {
        let segment = cluster.segment(1, "back", 4);
        if segment.as_deref() == Some("10.11.12.0/22") {
            Ok(())
        } else {
            Err(segment)
        }
    });
    is_listed(cluster, "node4", "alive");
    // A node that is there cannot lose its segment by mistake.
    cluster
        .node(1)
        .sh("fairlead net release --name back --node node2")
        .fails(&["back", "node2"]);
    assert_eq!(
        cluster.segment(1, "back", 2).as_deref(),
        Some("10.11.4.0/22")
    );
    cluster
        .node(1)
        .sh("fairlead net release --name back --node node3")
        .done();
    eventually(SOON, || match cluster.segment(2, "back", 3) {
        None => Ok(()),
        some => Err(some),
    });
    // Who comes again after that takes what is free.
    cluster.join(3).done();
    let third = Agent::start(cluster.node(3));
    eventually(SOON, || {
        let segment = cluster.segment(1, "back", 3);
        if segment.as_deref() == Some("10.11.8.0/22") {
            Ok(())
        } else {
            Err(segment)
        }
    });
    drop(fourth);
    one_that_died_leaves(cluster);
    one_goes_on_alone(cluster, third);
}

/// Node 3 leaves for good, and its agent goes on as that of a node alone.
fn one_goes_on_alone(cluster: &Cluster, mut third: Agent) {
    let own = cluster.node(3).addresses("obr_back");
    cluster.node(3).sh("fairlead node leave").done();
    is_listed(cluster, "node3", "left");
    cluster.goes(1, &["10.11.4.0/22 via 192.168.1.2 dev eth0"], SOON);
    cluster.declare("unseen", &["network=10.44.0.0/24"]);
    gets(cluster.node(2), "obr_unseen");
    assert!(!cluster.node(3).has_link("obr_unseen"));
    cluster.node(3).declare("own", &["network=10.45.0.0/24"]);
    gets(cluster.node(3), "obr_own");
    assert!(!cluster.node(2).has_link("obr_own"));
    assert_eq!(cluster.node(3).addresses("obr_back"), own);
    assert!(third.daemon.terminate().success());
}

/// Whose node is gone leaves by the hand of another.
fn one_that_died_leaves(cluster: &Cluster) {
    cluster.cut_off(4);
    // While its last word counts it cannot be taken for dead.
    let line = "fairlead node leave --name node4";
    cluster.node(1).sh(line).fails(&["node4", "--force"]);
    is_listed(cluster, "node4", "silent");
    cluster.node(1).sh(line).done();
    let three = "10.11.8.0/22 via 192.168.1.3 dev eth0";
    cluster.goes(1, &["10.11.4.0/22 via 192.168.1.2 dev eth0", three], SOON);
    let nodes = cluster
        .node(2)
        .sh("fairlead cluster get --kw cluster.nodes");
    assert_eq!(nodes.done(), "node1 node2 node3\n");
    is_listed(cluster, "node4", "left");
}

#[test]
fn two_that_join_at_the_same_moment_never_share_a_segment() {
    let cluster = Cluster::new(Plan {
        nodes: 3,
        far: 0,
        etcd: 1,
    });
    cluster.join(1).done();
    declare(&cluster);
    cluster.declare(
        "tiny",
        &[
            "type=routed_bridge",
            "network=10.12.0.0/24",
            "mask_per_node=26",
        ],
    );
    for round in 0..10 {
        let joining: Vec<_> = [2, 3]
            .map(|k| {
                let line = format!(
                    "fairlead node join --etcd {} && fairlead net setup",
                    cluster.etcd.urls()
                );
                let mut shell = cluster.node(k).shell(&line);
                shell.stdout(Stdio::piped()).stderr(Stdio::piped());
                shell.spawn().expect("a shell")
            })
            .into();
        for child in joining {
            let output = child.wait_with_output().expect("the end of the line");
            assert!(output.status.success(), "round {round}: {output:?}");
        }
        for network in ["back", "tiny"] {
            let segments: BTreeSet<_> = [2, 3]
                .map(|k| cluster.segment(k, network, k).expect("a segment"))
                .into();
            let first = cluster.segment(2, network, 1);
            assert_eq!(segments.len(), 2, "round {round}: {segments:?}");
            assert!(
                first.is_none_or(|first| !segments.contains(&first)),
                "round {round}"
            );
        }
        for k in [2, 3] {
            let name = format!("node{k}");
            cluster.node(k).sh("fairlead node leave").done();
            for network in ["back", "tiny"] {
                let line = format!("fairlead net release --name {network} --node {name}");
                cluster.node(1).sh(&line).done();
            }
        }
    }
    exhausted(&cluster);
}

/// No segment is left for the third: that is told, with the way out, and the other
/// networks do not mind.
fn exhausted(cluster: &Cluster) {
    cluster.declare(
        "full",
        &[
            "type=routed_bridge",
            "network=10.13.0.0/24",
            "mask_per_node=25",
        ],
    );
    cluster.join(2).done();
    cluster.node(2).sh("fairlead net setup").done();
    cluster
        .join(3)
        .fails(&["network#full", "3 times", "10.13.0.0/24", "wider"]);
    let nodes = cluster
        .node(2)
        .sh("fairlead cluster get --kw cluster.nodes");
    assert_eq!(nodes.done(), "node1 node2\n");
    // The second leaves and keeps its segment.
    cluster.node(2).sh("fairlead node leave").done();
    cluster.join(3).fails(&[
        "network#full",
        "node3",
        "10.13.0.0/24",
        "net release",
        "node2",
    ]);
    cluster
        .node(1)
        .sh("fairlead net release --name full --node node2")
        .done();
    cluster.join(3).done();
    let third = cluster.node(3);
    third.sh("fairlead net setup").done();
    assert_eq!(third.addresses("obr_full"), ["10.13.0.129/25"]);
}

/// What the world of the nodes is made of that may not change: addresses and routes.
fn bearings(cluster: &Cluster) -> Vec<String> {
    cluster
        .numbers()
        .flat_map(|k| {
            let addresses = cluster.node(k).addresses("obr_back");
            let segments = cluster
                .numbers()
                .filter_map(move |of| cluster.segment(k, "back", of));
            addresses.into_iter().chain(segments).chain(cluster.ways(k))
        })
        .collect()
}

#[test]
fn etcd_loses_one_member_then_all_then_its_data() {
    let mut cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 3,
    });
    let mut agents = cluster.up();
    declare(&cluster);
    cluster.segments("back");
    cluster.goes(1, &["10.11.4.0/22 via 192.168.1.2 dev eth0"], SOON);
    cluster.goes(2, &["10.11.0.0/22 via 192.168.1.1 dev eth0"], SOON);
    let before = bearings(&cluster);
    // The cluster is lent out below: containers by name.
    for (k, name) in [(1, "one"), (2, "two")] {
        std::mem::forget(cluster.container(k, "back", name));
    }
    let pinging = Pinging::start(&cluster.attached(1, "one"), &cluster.attached(2, "two"));
    cluster.lose_etcd(&[0]);
    cluster.declare("more", &["network=10.40.0.0/24"]);
    gets(cluster.node(2), "obr_more");
    cluster.lose_etcd(&[1, 2]);
    everything_local_works(&cluster, &mut agents);
    assert_eq!(bearings(&cluster), before);
    // A change says why it cannot be, and changes nothing.
    cluster
        .node(1)
        .sh("fairlead cluster set --kw network#late.network=10.41.0.0/24")
        .fails(&["etcd", "192.168.1.101"]);
    assert!(
        !cluster
            .node(1)
            .read("/run/fairlead-root/etc/fairlead/cluster.conf")
            .contains("late")
    );
    restored_from_nothing(&mut cluster, &before);
    reach_each_other(&cluster.attached(1, "one"), &cluster.attached(2, "two"));
    pinging.lost_nothing();
}

/// What the nodes have is put there again, and not the other way round.
fn restored_from_nothing(cluster: &mut Cluster, before: &[String]) {
    cluster.restore_etcd(true);
    eventually(Duration::from_secs(20), || {
        let nodes = cluster.node(1).sh("fairlead node ls");
        let words = ["node1", "node2", "10.11.0.0/22", "10.11.4.0/22"];
        if words.iter().all(|word| nodes.stdout.contains(word)) {
            Ok(())
        } else {
            Err(nodes)
        }
    });
    assert_eq!(bearings(cluster), *before);
    eventually(patience(), || {
        let status = cluster
            .node(1)
            .sh("fairlead net status --verbose --name back")
            .done();
        let words = [
            "testbackend/svc/one",
            "testbackend/svc/two",
            "testbackend/svc/lone",
        ];
        if words.iter().all(|word| status.contains(word)) {
            Ok(())
        } else {
            Err(status)
        }
    });
    cluster.declare("again", &["network=10.42.0.0/24"]);
    gets(cluster.node(2), "obr_again");
    assert_eq!(bearings(cluster), *before);
}

/// Without any member of etcd: attach, detach, setup, and a start of the agent.
fn everything_local_works(cluster: &Cluster, agents: &mut Vec<Agent>) {
    let lone = cluster.container(1, "back", "lone");
    reach_each_other(&lone, &cluster.attached(2, "two"));
    let node = cluster.node(2);
    let short = cluster.container(2, "back", "short");
    short.detach();
    assert!(!short.sandbox.has_link("eth0"));
    node.sh("fairlead net setup").done();
    agents.truncate(1);
    // A bridge that is deleted while nobody looks is the next agent's work.
    node.run("ip link delete obr_more");
    agents.push(Agent::start(node));
    assert_eq!(node.addresses("obr_more"), ["10.40.0.1/24"]);
    let status = node.sh("fairlead net status --name back").done();
    assert!(status.contains("10.11.0.0/16"), "{status}");
    std::mem::forget(lone);
}
