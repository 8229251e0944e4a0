//! Without etcd and without an agent: the same `cluster.conf`, copied to each node.

use fairlead_tests::{Cluster, Place, Plan, gateway, reach_each_other};

const CONF: &str = "/run/fairlead-root/etc/fairlead/cluster.conf";

/// What a person writes once and copies.
const TEXT: &str = "\
[cluster]
name = cellar
nodes = node1 node2 node3

[network#back]
type = routed_bridge
network = 10.11.0.0/16
ips_per_node = 1024
tunnel_mode = vxlan

[network#six]
type = routed_bridge
network = fd00:1::/112
ips_per_node = 1024
tunnel_mode = vxlan
";

#[test]
fn the_same_file_gives_the_same_segments_and_paths() {
    let cluster = Cluster::new(Plan {
        nodes: 3,
        far: 1,
        etcd: 0,
    });
    // Not in the order of their names: nothing may depend on who comes first.
    for k in [3, 1, 2] {
        cluster.node(k).write(CONF, TEXT);
        cluster.node(k).sh("fairlead net setup").done();
    }
    let four = ["10.11.0.0/22", "10.11.4.0/22", "10.11.8.0/22"];
    let six = ["fd00:1::/118", "fd00:1::400/118", "fd00:1::800/118"];
    for (network, wanted) in [("back", four), ("six", six)] {
        assert_eq!(cluster.segments(network), wanted);
        let [one, two, far] =
            [1, 2, 3].map(|k| cluster.container(k, network, &format!("{network}{k}")));
        reach_each_other(&one, &two);
        reach_each_other(&one, &far);
        reach_each_other(&far, &two);
        let bridge = gateway(wanted[1]);
        far.sandbox
            .ping(bridge.split('/').next().expect("an address"));
        for container in [&one, &two, &far] {
            container.detach();
        }
    }
    for k in cluster.numbers() {
        let node = cluster.node(k);
        let before = node.world();
        assert_eq!(node.sh("fairlead net setup").done(), "nothing to do\n");
        node.is_as_before(&before, "a second setup");
    }
    a_node_is_added_and_one_goes(&cluster);
}

/// The file with one node more, copied again: nobody's segment moves. A node that
/// is no longer named keeps what it has, and no way leads there.
fn a_node_is_added_and_one_goes(cluster: &Cluster) {
    let text = cluster.node(1).read(CONF);
    let changed = text.replace("nodes = node1 node2 node3", "nodes = node0 node3 node1");
    assert_ne!(text, changed);
    for k in [1, 3] {
        cluster.node(k).write(CONF, &changed);
    }
    // Nobody knows where the new one is, and that holds up nobody else.
    for k in [1, 3] {
        cluster.node(k).sh("fairlead net setup").fails(&[
            "network back",
            "node0",
            "network#back.addr@node0",
        ]);
    }
    for (k, own, other) in [
        (1, "10.11.0.0/22", "10.11.8.0/22"),
        (3, "10.11.8.0/22", "10.11.0.0/22"),
    ] {
        let ways = cluster.ways(k);
        assert!(ways.iter().any(|way| way.starts_with(other)), "{ways:?}");
        assert!(
            !ways.iter().any(|way| way.starts_with("10.11.4.0/22")),
            "{ways:?}"
        );
        assert_eq!(cluster.node(k).addresses("obr_back"), [gateway(own)]);
        assert_eq!(
            cluster.segment(k, "back", 2).as_deref(),
            Some("10.11.4.0/22")
        );
        let new = cluster
            .node(k)
            .sh("fairlead cluster get --kw network#back.subnet@node0")
            .done();
        assert_eq!(new, "10.11.12.0/22\n");
    }
    cluster.node(1).ping("10.11.8.1");
    let one = cluster.container(1, "back", "late1");
    let far = cluster.container(3, "back", "late3");
    reach_each_other(&one, &far);
}

#[test]
fn status_and_node_ls_do_without_the_others() {
    let cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 0,
    });
    for k in cluster.numbers() {
        cluster.node(k).write(CONF, "[cluster]\nnodes = node1 node2\n[network#back]\ntype = routed_bridge\nnetwork = 10.11.0.0/16\n");
        cluster.node(k).sh("fairlead net setup").done();
    }
    let _one = cluster.container(1, "back", "one");
    let status = cluster
        .node(1)
        .sh("fairlead net status --verbose --name back")
        .done();
    assert!(
        status.contains("10.11.0.2") && status.contains("node1"),
        "{status}"
    );
    let nodes = cluster.node(1).sh("fairlead node ls").done();
    for word in ["node1", "node2", "10.11.0.0/22", "10.11.4.0/22"] {
        assert!(nodes.contains(word), "{word}: {nodes}");
    }
}
