//! A node behind a router, so that `auto` must tunnel to it: with vxlan, which this
//! machine's kernel has. The other modes are in `uml.rs`.

use std::time::Duration;

use fairlead_tests::{Cluster, Place, Plan, eventually, patience, reach_each_other};

/// The time a change of the configuration may take until it is so everywhere.
const SOON: Duration = Duration::from_secs(5);

/// Three nodes with agents, the third behind a router, and the network `back`.
fn cluster() -> Cluster {
    Cluster::new(Plan {
        nodes: 3,
        far: 1,
        etcd: 1,
    })
}

fn through(way: &str) -> &str {
    way.rsplit_once("dev ").map_or("", |(_, dev)| dev)
}

/// The links that the routes to the other segments leave by, in the segments' order.
fn leave_by(cluster: &Cluster, k: usize, links: [&str; 2]) {
    eventually(SOON, || {
        let ways = cluster.ways(k);
        let found: Vec<&str> = ways.iter().map(|way| through(way)).collect();
        if found == links { Ok(()) } else { Err(ways) }
    });
}

#[test]
fn auto_tunnels_where_it_must_and_nowhere_else() {
    let cluster = cluster();
    let _agents = cluster.up();
    cluster.declare(
        "back",
        &[
            "type=routed_bridge",
            "network=10.11.0.0/16",
            "tunnel_mode=vxlan",
        ],
    );
    let segments = cluster.segments("back");
    assert_eq!(segments, ["10.11.0.0/22", "10.11.4.0/22", "10.11.8.0/22"]);
    leave_by(&cluster, 1, ["eth0", "ovx_back"]);
    leave_by(&cluster, 2, ["eth0", "ovx_back"]);
    leave_by(&cluster, 3, ["ovx_back", "ovx_back"]);
    let one = cluster.container(1, "back", "one");
    let two = cluster.container(2, "back", "two");
    let far = cluster.container(3, "back", "far");
    assert_eq!([one.mtu(), two.mtu(), far.mtu()], [1450; 3]);
    reach_each_other(&one, &two);
    reach_each_other(&one, &far);
    reach_each_other(&far, &two);
    no_flooding(&cluster);
    tunnels_are_listed(&cluster);
    endpoints_and_policy_change(&cluster);
    // None of that disturbed who was there.
    reach_each_other(&one, &far);
    reach_each_other(&one, &two);
    the_underlay_is_smaller(&cluster);
}

/// The nodes, their tunnels and the state of these, from any node.
fn tunnels_are_listed(cluster: &Cluster) {
    eventually(SOON, || {
        let nodes = cluster.node(2).sh("fairlead node ls -o json").json();
        let tunnels = |k: usize| nodes[k]["report"]["tunnels"].clone();
        let peers = |k: usize| -> Vec<String> {
            let tunnels = tunnels(k);
            let all = tunnels.as_array().into_iter().flatten();
            let mut peers: Vec<String> = all
                .map(|t| format!("{} {} {}", t["peer"], t["mode"], t["state"]).replace('"', ""))
                .collect();
            peers.sort();
            peers
        };
        let found = [peers(0), peers(2)];
        let wanted = [
            vec!["node3 vxlan up"],
            vec!["node1 vxlan up", "node2 vxlan up"],
        ];
        if found == wanted {
            Ok(())
        } else {
            Err(nodes.to_string())
        }
    });
}

/// One device for the network; its neighbours are ours and nothing is learnt.
fn no_flooding(cluster: &Cluster) {
    let device = cluster.node(1).link("ovx_back");
    let info = &device["linkinfo"]["info_data"];
    assert_eq!(device["linkinfo"]["info_kind"], "vxlan");
    assert_eq!(info["learning"], false, "{info}");
    assert_eq!(info["local"], cluster.v4(1));
    assert_eq!(device["mtu"], 1450);
    let entries = cluster.node(1).run("bridge fdb show dev ovx_back");
    assert!(
        entries.contains(&format!("dst {}", cluster.v4(3))),
        "{entries}"
    );
    assert!(!entries.contains("00:00:00:00:00:00"), "{entries}");
    let vxlans = cluster.node(1).ip_json("link show type vxlan");
    assert_eq!(vxlans.as_array().map(Vec::len), Some(1));
}

fn endpoints_and_policy_change(cluster: &Cluster) {
    // Everything through the tunnel, and back.
    cluster.declare("back", &["tunnel=always"]);
    for k in cluster.numbers() {
        leave_by(cluster, k, ["ovx_back", "ovx_back"]);
    }
    cluster.declare("back", &["tunnel=auto"]);
    leave_by(cluster, 1, ["eth0", "ovx_back"]);
    // A second address of node2, and one of node3: both ends follow.
    cluster
        .node(2)
        .run("ip address add 192.168.1.22/24 dev eth0");
    cluster
        .node(3)
        .run("ip address add 192.168.2.33/24 dev eth0");
    cluster.declare(
        "back",
        &["addr@node2=192.168.1.22", "addr@node3=192.168.2.33"],
    );
    eventually(SOON, || {
        let ways = cluster.ways(1);
        let entries = cluster
            .node(1)
            .sh("bridge fdb show dev ovx_back || true")
            .stdout;
        let peer = cluster.node(3).find_link("ovx_back");
        let is_so = ways[0].starts_with("10.11.4.0/22 via 192.168.1.22 dev eth0")
            && entries.contains("dst 192.168.2.33")
            && !entries.contains(&format!("dst {} ", cluster.v4(3)))
            && peer["linkinfo"]["info_data"]["local"] == "192.168.2.33";
        if is_so {
            Ok(())
        } else {
            Err(format!("{ways:?} {entries} {peer}"))
        }
    });
    // The number on the wire, for all at once.
    cluster.declare("back", &["vni=4711"]);
    for k in cluster.numbers() {
        eventually(SOON, || {
            let id = cluster.node(k).find_link("ovx_back")["linkinfo"]["info_data"]["id"].take();
            if id == 4711 { Ok(()) } else { Err(id) }
        });
    }
    // Never: the far node is said to be out of reach, and the near ones stay.
    cluster.declare("back", &["tunnel=never"]);
    eventually(SOON, || {
        let ways = cluster.ways(1);
        match ways.as_slice() {
            [only] if only.starts_with("10.11.4.0/22 via 192.168.1.22 dev eth0") => Ok(()),
            _ => Err(format!("{ways:?}")),
        }
    });
    cluster.node(1).sh("fairlead net setup").fails(&[
        "network back",
        "node3",
        "192.168.2.33",
        "network#back.tunnel=auto",
    ]);
    cluster.declare("back", &["tunnel=auto"]);
    leave_by(cluster, 1, ["eth0", "ovx_back"]);
}

/// A cable that takes less: what goes through the tunnel follows.
fn the_underlay_is_smaller(cluster: &Cluster) {
    for k in cluster.numbers() {
        cluster.node(k).run("ip link set eth0 mtu 1400");
    }
    for k in cluster.numbers() {
        eventually(SOON, || {
            let mtu = |link| cluster.node(k).find_link(link)["mtu"].as_u64();
            let found = ["obr_back", "ovx_back"].map(mtu);
            match found == [Some(1350), Some(1350)] {
                true => Ok(()),
                false => Err(format!("node{k}: {found:?}")),
            }
        });
    }
    let one = cluster.container(1, "back", "small1");
    let far = cluster.container(3, "back", "small3");
    assert_eq!([one.mtu(), far.mtu()], [1350; 2]);
    eventually(patience(), || {
        far.sandbox.try_ping(&one.address(), Duration::from_secs(1))
    });
    reach_each_other(&one, &far);
}

#[test]
fn two_networks_of_other_families_share_the_wire() {
    let cluster = cluster();
    let _agents = cluster.up();
    cluster.declare(
        "six",
        &[
            "type=routed_bridge",
            "network=fd00:1::/112",
            "ips_per_node=1024",
            "tunnel_mode=vxlan",
            "tunnel=always",
        ],
    );
    // Packets of version 4 in packets of version 6.
    let addresses: Vec<String> = cluster
        .numbers()
        .map(|k| format!("addr@node{k}={}", cluster.v6(k)))
        .collect();
    let mut options = vec![
        "type=routed_bridge",
        "network=10.12.0.0/16",
        "tunnel_mode=vxlan",
        "tunnel=always",
    ];
    options.extend(addresses.iter().map(String::as_str));
    cluster.declare("mixed", &options);
    for (network, mtu) in [("six", 1430), ("mixed", 1430)] {
        cluster.segments(network);
        let [one, two, far] =
            [1, 2, 3].map(|k| cluster.container(k, network, &format!("{network}{k}")));
        assert_eq!(one.mtu(), mtu);
        reach_each_other(&one, &far);
        reach_each_other(&one, &two);
    }
    let ids: Vec<_> = ["ovx_six", "ovx_mixed"]
        .map(|link| cluster.node(1).link(link)["linkinfo"]["info_data"]["id"].take())
        .into();
    assert_ne!(ids[0], ids[1]);
}
