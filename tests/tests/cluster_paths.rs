//! Three nodes on one switch with a real etcd: the commands of document 001, paths
//! between containers, and what any node shows of all.

use fairlead_tests::{
    Agent, Cluster, Container, Place, Plan, Server, Transport, eventually, patience,
    reach_each_other,
};
use serde_json::json;
use std::time::{Duration, Instant};

/// What the document's lines declare, with the values that its links had.
const DOCUMENT: [&str; 5] = [
    "om cluster set --kw cni.plugins=/usr/libexec/cni --kw cni.config=/var/lib/opensvc/cni/net.d",
    "om cluster set --kw network#local1.type=bridge --kw network#local1.network=10.10.10.0/24",
    "om cluster set --kw network#backend1.type=routed_bridge \
                 --kw network#backend1.network=10.11.0.0/16 \
                 --kw network#backend1.ips_per_node=1024",
    "om cluster set --kw network#backend1.addr@node1=192.168.1.1 \
                 --kw network#backend1.addr@node2=192.168.1.2 \
                 --kw network#backend1.addr@node3=192.168.1.3",
    "om cluster set --kw network#weave1.type=weave --kw network#weave1.network=10.32.0.0/16",
];

/// One container on each of three nodes: s1, s2 and s3.
fn containers<'c>(cluster: &'c Cluster, network: &str) -> Vec<Container<'c>> {
    cluster
        .numbers()
        .map(|k| cluster.container(k, network, &format!("s{k}")))
        .collect()
}

fn all_reach_each_other(containers: &[Container<'_>]) {
    for (i, one) in containers.iter().enumerate() {
        for two in &containers[..i] {
            reach_each_other(one, two);
        }
    }
}

#[test]
fn the_documents_commands_make_the_documents_cluster() {
    let cluster = Cluster::new(Plan {
        nodes: 3,
        far: 0,
        etcd: 3,
    });
    let _agents = cluster.up();
    for line in DOCUMENT {
        cluster.node(1).sh(line).done();
    }
    // The document's own segments, on every node, without a setup by hand.
    let segments = cluster.segments("backend1");
    assert_eq!(segments, ["10.11.0.0/22", "10.11.4.0/22", "10.11.8.0/22"]);
    for k in cluster.numbers() {
        let names = cluster.node(k).sh("om net ls").done();
        assert_eq!(names, "backend1\ndefault\nlo\nlocal1\nweave1\n");
        let nodes = cluster.node(k).sh("om node get --kw cluster.nodes").done();
        assert_eq!(nodes, "node1 node2 node3\n");
        eventually(patience(), || {
            let listed = cluster.node(k).run("ls /var/lib/opensvc/cni/net.d");
            let all = ["backend1", "default", "local1", "weave1"].map(|n| format!("{n}.conflist"));
            let listed: Vec<&str> = listed.split_whitespace().collect();
            if listed == all {
                Ok(())
            } else {
                Err(listed.join(" "))
            }
        });
    }
    assert_eq!(cluster.node(2).addresses("obr_local1"), ["10.10.10.1/24"]);
    let containers = containers(&cluster, "backend1");
    assert_eq!(
        containers
            .iter()
            .map(Container::address)
            .collect::<Vec<_>>(),
        ["10.11.0.2", "10.11.4.2", "10.11.8.2"]
    );
    all_reach_each_other(&containers);
    let direct = [
        "10.11.4.0/22 via 192.168.1.2 dev eth0",
        "10.11.8.0/22 via 192.168.1.3 dev eth0",
    ];
    cluster.goes(1, &direct, patience());
    translated_on_the_way_out_only(&cluster, &containers);
    status_is_the_same_everywhere(&cluster);
    always_means_always(&cluster, &containers);
}

/// Who asks from a container is the container for other nodes and the node outside.
fn translated_on_the_way_out_only(cluster: &Cluster, containers: &[Container<'_>]) {
    let outside = Server::start(&cluster.outside(), Transport::Tcp, 0, "outside");
    let two = Server::start(cluster.node(2), Transport::Tcp, 0, "two");
    for (k, container) in cluster.numbers().zip(containers) {
        let asked = Transport::Tcp.ask(&container.sandbox, Cluster::OUTSIDE_V4, outside.port());
        assert_eq!(asked.client.to_string(), cluster.v4(k));
        let asked = Transport::Tcp.ask(&container.sandbox, "10.11.4.1", two.port());
        assert_eq!(asked.client.to_string(), container.address());
    }
    let local = cluster.container(1, "local1", "local");
    let server = Server::start(&containers[1].sandbox, Transport::Tcp, 0, "s2");
    // From a network that is another on each node there is no way back but by the node.
    let asked = Transport::Tcp.try_ask(&local.sandbox, "10.11.4.2", server.port(), 0, 500);
    assert!(
        asked.is_err(),
        "10.10.10.0/24 is node2's own there: {asked:?}"
    );
    local.detach();
}

fn status_is_the_same_everywhere(cluster: &Cluster) {
    let wanted = concat!(
        "name                type           network             size      used  free   pct    \n",
        "`- backend1         routed_bridge  10.11.0.0/16        65536     3     65533  0.00%  \n",
        "   `- ip            node           service             resource                      \n",
        "      |- 10.11.0.2  node1          testbackend/svc/s1  ip#0                          \n",
        "      |- 10.11.4.2  node2          testbackend/svc/s2  ip#0                          \n",
        "      `- 10.11.8.2  node3          testbackend/svc/s3  ip#0                          \n",
        "\n",
    );
    let squeeze = |text: &str| -> Vec<String> {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(words).collect()
    };
    for k in cluster.numbers() {
        eventually(patience(), || {
            let shown = cluster
                .node(k)
                .sh("om net status --verbose --name backend1")
                .done();
            if shown == wanted { Ok(()) } else { Err(shown) }
        });
        let status = cluster
            .node(k)
            .sh("om net status --format json --name backend1")
            .json();
        assert_eq!(
            status["backend1"]["ips"][2],
            json!({"ip": "10.11.8.2", "node": "node3", "path": "testbackend/svc/s3", "rid": "ip#0"})
        );
    }
    let all = [
        "name type network size used free pct",
        "|- backend1 routed_bridge 10.11.0.0/16 65536 3 65533 0.00%",
        "|- default bridge 10.22.0.0/16 65536 0 65536 0.00%",
        "|- lo loopback 127.0.0.1/32 1 0 1 0.00%",
        "|- local1 bridge 10.10.10.0/24 256 0 256 0.00%",
        "`- weave1 weave 10.32.0.0/16 65536 0 65536 0.00%",
        "",
    ];
    eventually(patience(), || {
        let shown = squeeze(&cluster.node(1).sh("om net status").done());
        if shown == all { Ok(()) } else { Err(shown) }
    });
    let nodes = cluster.node(3).sh("fairlead node ls").done();
    for word in [
        "node1",
        "node2",
        "node3",
        "10.11.0.0/22",
        "10.11.4.0/22",
        "10.11.8.0/22",
    ] {
        assert!(nodes.contains(word), "{word}: {nodes}");
    }
}

/// The document's last line about tunnels; the mode is one that this kernel has.
fn always_means_always(cluster: &Cluster, containers: &[Container<'_>]) {
    let set = "om cluster set --kw network#backend1.tunnel_mode=vxlan";
    cluster.node(2).sh(set).done();
    let set = "om cluster set --kw network#backend1.tunnel=always";
    cluster.node(2).sh(set).done();
    for k in cluster.numbers() {
        eventually(patience(), || {
            let ways = cluster.ways(k);
            let tunneled = ways.iter().all(|way| way.ends_with("dev ovx_backend1"));
            if tunneled && ways.len() == 2 {
                Ok(())
            } else {
                Err(ways)
            }
        });
    }
    // They were made for 1500 bytes; the agent tells their interfaces what the way takes now.
    for (from, to) in [(0, 1), (2, 0)] {
        let (from, to) = (&containers[from].sandbox, containers[to].address());
        from.ping(&to);
        let line = format!("ping -n -c 1 -W 2 -M do -s 1472 {to}");
        let ran = from.try_run(&line);
        let printed = [ran.stdout, ran.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        assert!(
            printed.contains("Frag needed and DF set (mtu = 1450)")
                || printed.contains("message too long"),
            "{printed}"
        );
        let server = Server::start(
            &containers[1].sandbox,
            Transport::Tcp,
            0,
            &"x".repeat(20_000),
        );
        let reply = Transport::Tcp.ask(from, &containers[1].address(), server.port());
        assert_eq!(reply.text.len(), 20_000);
    }
    let fresh = [
        cluster.container(1, "backend1", "f1"),
        cluster.container(3, "backend1", "f3"),
    ];
    assert_eq!(fresh[0].mtu(), 1450);
    reach_each_other(&fresh[0], &fresh[1]);
}

#[test]
fn both_families_and_other_tables() {
    let cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 1,
    });
    let _agents = cluster.up();
    for k in cluster.numbers() {
        cluster
            .node(k)
            .run("ip rule add from all lookup 100 priority 40000");
    }
    let line = "fairlead cluster set --kw network#six.type=routed_bridge --kw network#six.network=fd00:1::/112 \
                --kw network#six.ips_per_node=1024 --kw 'network#six.tables=main 100' \
                --kw network#four.type=routed_bridge --kw network#four.network=10.12.0.0/16 \
                --kw network#four.mask_per_node=26";
    cluster.node(1).sh(line).done();
    assert_eq!(cluster.segments("six"), ["fd00:1::/118", "fd00:1::400/118"]);
    assert_eq!(cluster.segments("four"), ["10.12.0.0/26", "10.12.0.64/26"]);
    for network in ["six", "four"] {
        let one = cluster.container(1, network, &format!("{network}1"));
        let two = cluster.container(2, network, &format!("{network}2"));
        reach_each_other(&one, &two);
    }
    let six = cluster.container(1, "six", "asker");
    let server = Server::start(&cluster.outside(), Transport::Tcp, 0, "outside");
    let asked = Transport::Tcp.ask(&six.sandbox, Cluster::OUTSIDE_V6, server.port());
    assert_eq!(asked.client.to_string(), cluster.v6(1));
    let four = "10.12.0.64/26 via 192.168.1.2 dev eth0";
    let six = "fd00:1::400/118 via 2001:db8:1::2 dev eth0";
    let other = format!("{six} table 100");
    let own = "fd00:1::/118 via - dev obr_six table 100";
    cluster.goes(1, &[four, own, six, &other], patience());
    // No longer wanted there: taken away there only.
    let line = "fairlead cluster set --kw network#six.tables=main";
    cluster.node(2).sh(line).done();
    cluster.goes(1, &[four, six], patience());
    control_answers(&cluster);
    by_another_mesh(&cluster);
}

/// Next hops that are given, as those of a mesh of its own; and a size that is given.
fn by_another_mesh(cluster: &Cluster) {
    for k in cluster.numbers() {
        cluster
            .node(k)
            .run(&format!("ip address add 172.16.0.{k}/24 dev eth0"));
    }
    let options = [
        "gateway@node1=172.16.0.1",
        "gateway@node2=172.16.0.2",
        "mtu=1400",
    ];
    cluster.declare("four", &options);
    let four = "10.12.0.64/26 via 172.16.0.2 dev eth0";
    let six = "fd00:1::400/118 via 2001:db8:1::2 dev eth0";
    cluster.goes(1, &[four, six], patience());
    eventually(patience(), || {
        let ways = cluster.ways(2);
        match ways
            .iter()
            .any(|way| way == "10.12.0.0/26 via 172.16.0.1 dev eth0")
        {
            true => Ok(()),
            false => Err(ways),
        }
    });
    let one = cluster.container(1, "four", "mesh1");
    let two = cluster.container(2, "four", "mesh2");
    assert_eq!([one.mtu(), two.mtu()], [1400; 2]);
    reach_each_other(&one, &two);
    // Between networks of the cluster nothing is translated either.
    cluster.declare("more", &["type=routed_bridge", "network=10.14.0.0/16"]);
    cluster.segments("more");
    let other = cluster.container(2, "more", "more2");
    let server = Server::start(&other.sandbox, Transport::Tcp, 0, "more");
    one.sandbox.ping(&other.address());
    let asked = Transport::Tcp.ask(&one.sandbox, &other.address(), server.port());
    assert_eq!(asked.client.to_string(), one.address());
}

#[test]
fn a_node_that_gets_another_address_is_found_there() {
    let cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 1,
    });
    let _agents = cluster.up();
    cluster.declare("back", &["type=routed_bridge", "network=10.11.0.0/16"]);
    cluster.segments("back");
    cluster.goes(1, &["10.11.4.0/22 via 192.168.1.2 dev eth0"], patience());
    let one = cluster.container(1, "back", "one");
    let two = cluster.container(2, "back", "two");
    reach_each_other(&one, &two);
    for k in cluster.numbers() {
        let hosts = cluster.node(k).read("/run/hosts");
        let moved = hosts.replace("192.168.1.2 ", "192.168.1.52 ");
        assert_ne!(moved, hosts);
        cluster.node(k).write("/run/hosts", &moved);
    }
    let node = cluster.node(2);
    // The kernel takes the routes by the old one away with it, ours too.
    node.run("ip address del 192.168.1.2/24 dev eth0");
    node.run("ip address add 192.168.1.52/24 dev eth0");
    node.run("ip route add default via 192.168.1.254");
    // Other nodes are told by shared state, and look the name up again.
    let start = Instant::now();
    let limit = Duration::from_secs(45);
    cluster.goes(1, &["10.11.4.0/22 via 192.168.1.52 dev eth0"], limit);
    cluster.goes(2, &["10.11.0.0/22 via 192.168.1.1 dev eth0"], limit);
    println!("found at its new address after {:?}", start.elapsed());
    reach_each_other(&one, &two);
}

/// What monitoring asks.
fn control_answers(cluster: &Cluster) {
    let metrics = Agent::get(cluster.node(1), "/metrics");
    assert!(metrics.contains("# TYPE fairlead"), "{metrics}");
    let status = Agent::get_json(cluster.node(1), "/v1/status");
    assert!(status.is_object(), "{status}");
    let mode = cluster
        .node(1)
        .run(&format!("stat -c %a:%u {}", Agent::SOCKET));
    assert_eq!(mode, "600:0\n");
}
