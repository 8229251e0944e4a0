//! `kill -9` at every step of a setup, a join and a leave: repeated, it ends as if
//! nothing had been.

use fairlead_tests::{Cluster, Node, Place, Plan, killed_at_each, patience};

const CONF: &str = "/run/fairlead-root/etc/fairlead/cluster.conf";

const WITHOUT: &str = "[cluster]\nnodes = node1 node2 node3\n";

/// A network with a direct route and a tunnel, of both kinds of tables.
const WITH: &str = "\
[cluster]
nodes = node1 node2 node3

[network#back]
type = routed_bridge
network = 10.11.0.0/16
tunnel_mode = vxlan
tables = main 100
subnet@node1 = 10.11.0.0/22
subnet@node2 = 10.11.4.0/22
subnet@node3 = 10.11.8.0/22
";

fn set_up(node: &Node, text: &str) -> Vec<String> {
    node.write(CONF, text);
    node.sh("fairlead net setup").done();
    node.world()
}

#[test]
fn a_setup_that_is_killed_anywhere_is_finished_or_undone_by_the_next() {
    let cluster = Cluster::new(Plan {
        nodes: 3,
        far: 1,
        etcd: 0,
    });
    let node = cluster.node(1);
    // Once, so that what stays for good is there.
    set_up(node, WITH);
    let without = set_up(node, WITHOUT);
    let with = set_up(node, WITH);
    let mut killed = 0;
    for (before, after, looks) in [(WITHOUT, WITH, &with), (WITH, WITHOUT, &without)] {
        for syscall in ["sendto", "rename", "pwrite64"] {
            let prepare = || {
                set_up(node, before);
                node.write(CONF, after);
            };
            let settle = |what: &str| {
                node.sh("fairlead net setup").done();
                node.is_alike(looks, what, patience());
            };
            killed += killed_at_each(node, syscall, "fairlead net setup", prepare, settle);
        }
    }
    assert!(killed > 20, "{killed}");
    // And when the person changes his mind instead.
    let prepare = || {
        set_up(node, WITHOUT);
        node.write(CONF, WITH);
    };
    let settle = |what: &str| {
        set_up(node, WITHOUT);
        node.is_alike(&without, what, patience());
    };
    killed_at_each(node, "sendto", "fairlead net setup", prepare, settle);
}

#[test]
fn a_join_or_leave_that_is_killed_anywhere_can_be_repeated() {
    let cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 1,
    });
    cluster.join(1).done();
    cluster.declare("back", &["type=routed_bridge", "network=10.11.0.0/16"]);
    let node = cluster.node(2);
    let join = format!("fairlead node join --etcd {}", cluster.etcd.urls());
    let members = || {
        let config = cluster
            .etcd
            .run(cluster.wire(), "get --print-value-only /fairlead/config");
        let line = config.lines().find(|line| line.starts_with("nodes = "));
        line.expect("cluster.nodes").to_owned()
    };
    let leave = || {
        // Who has not joined cannot leave, and that is all the same here.
        let _ = node.sh("fairlead node leave");
        assert_eq!(members(), "nodes = node1");
        node.run("rm -rf /run/fairlead-root/etc");
    };
    let joined = |what: &str| {
        node.sh(&join).done();
        assert_eq!(members(), "nodes = node1 node2", "{what}");
        let segments = [1, 2].map(|of| cluster.segment(2, "back", of));
        let wanted = ["10.11.0.0/22", "10.11.4.0/22"].map(|s| Some(s.to_owned()));
        assert_eq!(segments, wanted, "{what}");
        node.sh("fairlead net setup").done();
        assert_eq!(node.addresses("obr_back"), ["10.11.4.1/22"], "{what}");
    };
    let mut killed = 0;
    for syscall in ["rename", "writev", "sendmsg", "write", "fsync", "pwrite64"] {
        killed += killed_at_each(node, syscall, &join, leave, joined);
    }
    assert!(killed > 10, "{killed}");
    let mut killed = 0;
    for syscall in ["rename", "writev", "write", "fsync"] {
        let prepare = || joined("before a leave");
        let settle = |what: &str| {
            let again = node.sh("fairlead node leave");
            assert!(matches!(again.status, Some(0 | 1)), "{what}: {again:?}");
            assert_eq!(members(), "nodes = node1", "{what}");
            let told = node.sh("fairlead node leave");
            told.fails(&["join"]);
        };
        killed += killed_at_each(node, syscall, "fairlead node leave", prepare, settle);
    }
    assert!(killed > 5, "{killed}");
}
