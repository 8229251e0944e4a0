//! Bad input and faults of a cluster: the object and the cure are named, the exit status
//! is 1, nothing is changed, and nobody else is held up.

use std::time::{Duration, Instant};

use fairlead_tests::{
    Agent, Authority, Cluster, Node, Place, Plan, Server, Transport, eventually, patience,
    reach_each_other,
};

const ETC: &str = "/run/fairlead-root/etc/fairlead";

/// The configuration of a node, and the world around it.
fn all(node: &Node) -> (Vec<String>, String) {
    let files = node.sh(&format!(
        "cat {ETC}/* 2>/dev/null; ls {ETC} 2>/dev/null || true"
    ));
    (node.world(), files.stdout)
}

/// Asserts that a line fails with these words and changes nothing.
#[track_caller]
fn refused(node: &Node, line: &str, words: &[&str]) {
    let before = all(node);
    let start = Instant::now();
    let ran = node.sh(line);
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{line}: too late: {ran:?}"
    );
    ran.fails(words);
    node.is_as_before(&before.0, line);
    assert_eq!(all(node).1, before.1, "{line}");
}

#[test]
fn who_cannot_join_is_told_why() {
    let cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 1,
    });
    let (node, url) = (cluster.node(1), cluster.etcd.urls());
    Authority::new("ours").write(node, "/run/ca.crt");
    let server = Server::start(cluster.node(2), Transport::Tcp, 0, "no etcd");
    let other = format!("{}:{}", cluster.v4(2), server.port());
    for (rest, words) in [
        ("http://192.168.1.101:1", &["192.168.1.101:1"][..]),
        ("http://192.168.1.77:2379", &["192.168.1.77:2379"]),
        ("http://nowhere.example:2379", &["nowhere.example"]),
        ("192.168.1.101:2379", &["192.168.1.101:2379", "http"]),
        (
            "ftp://192.168.1.101:2379",
            &["ftp://192.168.1.101:2379", "http"],
        ),
        // Something else listens there.
        (&format!("http://{other}"), &[&other]),
        (&format!("{url} --ca /run/none.crt"), &[&url, "https"]),
        (
            "https://192.168.1.101:2379 --ca /run/none.crt",
            &["/run/none.crt"],
        ),
        (
            "https://192.168.1.101:2379 --ca /run/ca.crt --cert /run/none.crt --key /run/none.key",
            &["/run/none"],
        ),
        (
            &format!("{url} --user root --password-file /run/none"),
            &["/run/none"],
        ),
        (&format!("{url} --user root"), &["password"]),
        (&format!("{url} --prefix nothing"), &["nothing", "/"]),
    ] {
        let line = format!("fairlead node join --etcd {rest}");
        // A wrong value of an option may also be refused as no command.
        let ran = node.sh(&line);
        if ran.status == Some(2) {
            ran.is_no_command(words);
        } else {
            refused(node, &line, words);
        }
    }
    refused(node, "fairlead node leave", &["join"]);
    cluster.join(1).done();
    a_configuration_of_ones_own(&cluster);
}

/// Two machines of one name would share a segment.
#[test]
fn the_name_of_a_node_that_lives_is_taken() {
    let cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 1,
    });
    cluster.join(1).done();
    cluster.declare("back", &["type=routed_bridge", "network=10.11.0.0/16"]);
    let agent = Agent::start(cluster.node(1));
    let second = cluster.node(2);
    second.run("hostname node1");
    let line = format!("fairlead node join --etcd {}", cluster.etcd.urls());
    refused(second, &line, &["node1", "hostname"]);
    // Who has joined may say so again, while its agent lives.
    cluster.join(1).done();
    drop(agent);
}

/// A node that has networks already does not lose them unasked.
fn a_configuration_of_ones_own(cluster: &Cluster) {
    let node = cluster.node(2);
    node.networks(&["own=10.50.0.0/24"]);
    let line = format!("fairlead node join --etcd {}", cluster.etcd.urls());
    refused(
        node,
        &line,
        &[
            "cluster.conf",
            "declares networks",
            "--force",
            "cluster.conf.before-join",
        ],
    );
    node.sh(&format!("{line} --force")).done();
    let names = node.sh("fairlead net ls").done();
    assert_eq!(names, "default\nlo\n");
    let nodes = node.sh("fairlead cluster get --kw cluster.nodes").done();
    assert_eq!(nodes, "node1 node2\n");
}

#[test]
fn certificates_and_passwords_are_checked_by_both_sides() {
    let mut cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 1,
    });
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let node = cluster.node(1);
    ours.write(node, "/run/tls/ca.crt");
    other.write(node, "/run/tls/other-ca.crt");
    ours.issue(node, "/run/tls/client", &["node1"]);
    other.issue(node, "/run/tls/stranger", &["node1"]);
    node.write("/run/tls/rubbish.crt", "no certificate\n");
    cluster.restart_etcd_with_tls(&ours, &["192.168.1.102"]);
    let join = |rest: &str| format!("fairlead node join --etcd https://192.168.1.101:2379 {rest}");
    let good = join("--ca /run/tls/ca.crt --cert /run/tls/client.crt --key /run/tls/client.key");
    // The server's certificate is for another address.
    refused(
        cluster.node(1),
        &good,
        &["192.168.1.101:2379", "certificate"],
    );
    cluster.restart_etcd_with_tls(&ours, &["192.168.1.101"]);
    let node = cluster.node(1);
    let client = "--cert /run/tls/client.crt --key /run/tls/client.key";
    for (rest, words) in [
        (
            format!("--ca /run/tls/other-ca.crt {client}"),
            &["192.168.1.101:2379", "certificate"][..],
        ),
        (
            format!("--ca /run/tls/rubbish.crt {client}"),
            &["/run/tls/rubbish.crt"],
        ),
        (
            "--ca /run/tls/ca.crt --cert /run/tls/client.crt".to_owned(),
            &["key"],
        ),
        (
            "--ca /run/tls/ca.crt --cert /run/tls/stranger.crt --key /run/tls/stranger.key"
                .to_owned(),
            &["192.168.1.101:2379"],
        ),
        ("--ca /run/tls/ca.crt".to_owned(), &["192.168.1.101:2379"]),
        (
            "--ca /run/tls/ca.crt --cert /run/tls/client.crt --key /run/tls/stranger.key"
                .to_owned(),
            &["/run/tls/"],
        ),
    ] {
        let line = join(&rest);
        let ran = node.sh(&line);
        if ran.status == Some(2) {
            ran.is_no_command(words);
        } else {
            refused(node, &line, words);
        }
    }
    passwords(&cluster, &good);
}

fn passwords(cluster: &Cluster, good: &str) {
    let (node, wire) = (cluster.node(1), cluster.wire());
    let ctl = |rest: &str| {
        let line = format!(
            "etcdctl --endpoints https://192.168.1.101:2379 --cacert /run/tls/ca.crt --cert /run/tls/server.crt \
             --key /run/tls/server.key {rest}"
        );
        let output = wire.existing("etcd1").try_run(&line);
        match output.status.success() {
            true => Ok(()),
            false => Err(format!(
                "{rest}: {}",
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    };
    cluster.node(1).write("/run/tls/right", "hunter2-correct\n");
    cluster
        .node(1)
        .write("/run/tls/wrong", "hunter2-mistaken\n");
    for file in ["right", "wrong"] {
        node.run(&format!("chmod 600 /run/tls/{file}"));
    }
    for line in [
        "user add root:top",
        "role add root",
        "user grant-role root root",
        "user add fair:hunter2-correct",
        "role add fair",
        "role grant-permission fair readwrite --prefix=true /fairlead",
        "user grant-role fair fair",
        "auth enable",
    ] {
        // A server that listens is not yet one that has a leader.
        eventually(Duration::from_secs(10), || ctl(line));
    }
    refused(node, good, &["user"]);
    let wrong = format!("{good} --user fair --password-file /run/tls/wrong");
    refused(node, &wrong, &["fair"]);
    let told = node.sh(&wrong);
    assert!(!told.stderr.contains("hunter2"), "{told:?}");
    let elsewhere =
        format!("{good} --user fair --password-file /run/tls/right --prefix /elsewhere");
    refused(node, &elsewhere, &["/elsewhere"]);
    node.sh(&format!(
        "{good} --user fair --password-file /run/tls/right"
    ))
    .done();
    let agent = Agent::start(node);
    node.declare("back", &["type=routed_bridge", "network=10.11.0.0/16"]);
    eventually(Duration::from_secs(5), || match node.has_link("obr_back") {
        true => Ok(()),
        false => Err("no bridge"),
    });
    assert!(!agent.daemon.log().contains("hunter2"));
    let config = node.run(&format!("cat {ETC}/node.conf"));
    assert!(
        !config.contains("hunter2") && config.contains("/run/tls/right"),
        "{config}"
    );
}

/// What is typed about networks, and what is told at once.
const REFUSED: [(&str, &[&str]); 8] = [
    (
        "network#bad.type=routed_bridge --kw network#bad.network=10.12.0.0/24 --kw network#bad.ips_per_node=256",
        &["network#bad.ips_per_node", "3 times", "10.12.0.0/24"],
    ),
    (
        "network#good.network=10.20.0.0/16",
        &["network#good.subnet@node1", "10.11.0.0/22", "10.20.0.0/16"],
    ),
    (
        "network#good.tunnel=sometimes",
        &["network#good.tunnel", "sometimes", "auto"],
    ),
    (
        "network#good.tunnel_mode=wireguard",
        &["network#good.tunnel_mode", "wireguard", "vxlan"],
    ),
    ("network#good.vni=0", &["network#good.vni"]),
    (
        "network#good.ips_per_node=0",
        &["network#good.ips_per_node"],
    ),
    (
        "network#good.subnet@node1=10.99.0.0/22",
        &["network#good.subnet@node1", "10.99.0.0/22"],
    ),
    (
        "network#good.subnet@node2=10.11.0.0/22",
        &["network#good.subnet@node", "node1"],
    ),
];

/// Networks that nobody can make, with their options, and what setup tells.
type Faulty = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);
const FAULTY: [Faulty; 6] = [
    (
        "mode",
        &["network=10.13.0.0/16", "tunnel_mode=ip6ip6"],
        &[
            "network mode",
            "ip6ip6",
            "10.13.0.0/16",
            "network#mode.tunnel_mode",
        ],
    ),
    (
        "vni",
        &["network=10.14.0.0/16", "tunnel_mode=vxlan", "vni=77"],
        &[],
    ),
    (
        "clash",
        &["network=10.15.0.0/16", "tunnel_mode=vxlan", "vni=77"],
        &["77", "network vni", "network#", ".vni"],
    ),
    (
        "table",
        &[
            "network=10.16.0.0/16",
            "tunnel_mode=vxlan",
            "tables=main nosuch",
        ],
        &["network table", "nosuch", "rt_tables"],
    ),
    (
        "away",
        &[
            "network=10.18.0.0/16",
            "tunnel_mode=vxlan",
            "tunnel=always",
            "addr@node1=192.168.1.99",
        ],
        &["network away", "192.168.1.99", "network#away.addr@node1"],
    ),
    (
        "lost",
        &[
            "network=10.17.0.0/16",
            "tunnel_mode=vxlan",
            "addr@node2=nosuch.example",
        ],
        &[
            "network lost",
            "node2",
            "nosuch.example",
            "network#lost.addr@node2",
        ],
    ),
];

#[test]
fn a_faulty_network_is_told_and_holds_up_nobody() {
    let cluster = Cluster::new(Plan {
        nodes: 3,
        far: 1,
        etcd: 1,
    });
    let agents = cluster.up();
    cluster.declare(
        "good",
        &[
            "type=routed_bridge",
            "network=10.11.0.0/16",
            "tunnel_mode=vxlan",
        ],
    );
    cluster.segments("good");
    let node = cluster.node(1);
    // What can be seen when it is typed is refused then.
    for (line, words) in REFUSED {
        refused(node, &format!("fairlead cluster set --kw {line}"), words);
    }
    // The rest is what setup says, each of its own network.
    let one = cluster.container(1, "good", "one");
    let far = cluster.container(3, "good", "far");
    for (network, options, words) in FAULTY {
        let mut all = vec!["type=routed_bridge"];
        all.extend(options);
        cluster.declare(network, &all);
        if !words.is_empty() {
            node.sh("fairlead net setup").fails(words);
        }
    }
    reach_each_other(&one, &far);
    // Of the lost one, the other node is reached.
    eventually(Duration::from_secs(5), || {
        let ways = cluster.ways(1);
        let there = ways.iter().any(|way| way.starts_with("10.17.8.0/22"));
        let lost = ways.iter().any(|way| way.starts_with("10.17.4.0/22"));
        if there && !lost { Ok(()) } else { Err(ways) }
    });
    // As the agent found, which may be behind what was set up by hand.
    eventually(patience(), || {
        let status = node.sh("fairlead net status").done();
        let tells = |(network, word): (&str, &str)| {
            let name = format!("- {network} ");
            let line = status.lines().find(|line| line.contains(&name));
            line.is_some_and(|line| line.contains(word))
        };
        let all = [
            ("mode", "invalid"),
            ("table", "invalid"),
            ("lost", "unresolved"),
        ];
        match all.into_iter().all(tells) {
            true => Ok(()),
            false => Err(status),
        }
    });
    drop(agents);
}

#[test]
fn a_name_server_that_says_nothing_holds_up_nobody() {
    let cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 1,
    });
    let outside = cluster.outside();
    outside.run("nft add table inet silence");
    outside.run("nft add chain inet silence in { type filter hook input priority 0 ; }");
    outside.run("nft add rule inet silence in udp dport 53 drop");
    outside.run("nft add rule inet silence in tcp dport 53 drop");
    let node = cluster.node(1);
    node.write(
        "/run/resolv.conf",
        &format!("nameserver {}\n", Cluster::OUTSIDE_V4),
    );
    let _agents = cluster.up();
    cluster.declare(
        "lost",
        &[
            "type=routed_bridge",
            "network=10.17.0.0/16",
            "addr@node2=nosuch.example",
        ],
    );
    let start = Instant::now();
    cluster.declare("good", &["type=routed_bridge", "network=10.11.0.0/16"]);
    cluster.goes(
        1,
        &["10.11.4.0/22 via 192.168.1.2 dev eth0"],
        Duration::from_secs(10),
    );
    println!("the good network was there after {:?}", start.elapsed());
    // Commands that only show do not ask it at all.
    for line in ["fairlead net status", "fairlead net ls", "fairlead node ls"] {
        let start = Instant::now();
        node.sh(line).done();
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{line}: {:?}",
            start.elapsed()
        );
    }
    // As soon as there is an answer, it is used.
    let hosts = node.read("/run/hosts");
    node.write(
        "/run/hosts",
        &format!("{hosts}192.168.1.2 nosuch.example\n"),
    );
    let both = [
        "10.11.4.0/22 via 192.168.1.2 dev eth0",
        "10.17.4.0/22 via 192.168.1.2 dev eth0",
    ];
    cluster.goes(1, &both, Duration::from_secs(60));
}
