//! The tunnels of routed bridges, for a kernel that has them all: three nodes, the third
//! behind a router, the same `cluster.conf` on each, and no etcd.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use fairlead_tests::{
    Agent, Cluster, Container, Pinging, Place, Plan, Plugins, Server, Transport, UmlCase,
    eventually, reach_each_other, uml_main,
};

/// All of them, in the order of running.
const CASES: [UmlCase; 3] = [
    (
        "every_mode_passes_full_packets",
        every_mode_passes_full_packets,
    ),
    (
        "always_tunnels_on_the_same_link",
        always_tunnels_on_the_same_link,
    ),
    (
        "an_agent_applies_another_mode",
        an_agent_applies_another_mode,
    ),
];

fn main() -> ExitCode {
    uml_main(&CASES)
}

const CONF: &str = "/run/fairlead-root/etc/fairlead/cluster.conf";

/// A network: name, range, mode, underlay, and what is left of 1500 bytes.
type Mode = (&'static str, &'static str, &'static str, bool, u64);

/// Every mode over every underlay that it is for. All are of one cluster, so that
/// tunnels of several kinds lead to the same nodes at the same time.
const MODES: [Mode; 6] = [
    ("ipip", "10.11.0.0/16", "ipip", false, 1480),
    ("gre", "10.12.0.0/16", "gre", false, 1476),
    ("gresix", "fd00:1::/112", "gre", true, 1456),
    ("gremix", "10.13.0.0/16", "gre", true, 1456),
    ("ipsix", "fd00:2::/112", "ip6ip6", true, 1460),
    ("vxsix", "fd00:3::/112", "vxlan", true, 1430),
];

/// Three nodes, the last behind a router.
fn nodes() -> Cluster {
    Cluster::new(Plan {
        nodes: 3,
        far: 1,
        etcd: 0,
    })
}

/// Declares these networks the same on every node; more keywords go to each.
fn declare(cluster: &Cluster, modes: &[Mode], more: &str) {
    let mut text =
        "[cluster]\nnodes = node1 node2 node3\n[network#default]\nnetwork = none\n".to_owned();
    for (name, range, mode, by_v6, _) in modes {
        text += &format!(
            "[network#{name}]\ntype = routed_bridge\nnetwork = {range}\nips_per_node = 256\n\
             tunnel_mode = {mode}\n{more}"
        );
        for k in cluster.numbers() {
            let address = if *by_v6 { cluster.v6(k) } else { cluster.v4(k) };
            text += &format!("addr@node{k} = {address}\n");
        }
    }
    for k in cluster.numbers() {
        cluster.node(k).write(CONF, &text);
    }
}

fn set_up(cluster: &Cluster) {
    for k in cluster.numbers() {
        cluster.node(k).sh("fairlead net setup").done();
    }
}

/// The kind of the link by which a node reaches another's segment of the network; `none`
/// where there is none at this moment, as between two looks while it is replaced.
fn kind(cluster: &Cluster, from: usize, network: &str, to: usize) -> String {
    let segment = cluster.segment(from, network, to).expect("a segment");
    let family = if segment.contains(':') { "-6" } else { "-4" };
    let route = cluster
        .node(from)
        .ip_json(&format!("{family} route show {segment} proto 70"));
    let dev = route[0]["dev"].as_str().unwrap_or_default();
    let link = cluster.node(from).find_link(dev);
    link["linkinfo"]["info_kind"]
        .as_str()
        .unwrap_or("none")
        .to_owned()
}

/// Full-sized packets pass between these nodes, in containers of the right MTU.
fn passes(cluster: &Cluster, (network, .., mtu): Mode, from: usize, to: usize) {
    let [one, two] = [from, to].map(|k| cluster.container(k, network, &format!("{network}{k}")));
    assert_eq!([one.mtu(), two.mtu()], [mtu; 2], "{network}");
    reach_each_other(&one, &two);
    for container in [one, two] {
        container.detach();
    }
}

fn every_mode_passes_full_packets(_: &Plugins) {
    let cluster = nodes();
    declare(&cluster, &MODES, "");
    set_up(&cluster);
    let kinds = MODES.map(|(network, ..)| kind(&cluster, 1, network, 3));
    assert_eq!(
        kinds,
        ["ipip", "gre", "ip6gre", "ip6gre", "ip6tnl", "vxlan"]
    );
    for mode in MODES {
        // With an address of the other family there is no next hop on the same link.
        let near = if mode.0 == "gremix" { "ip6gre" } else { "veth" };
        assert_eq!(kind(&cluster, 1, mode.0, 2), near, "{}", mode.0);
        passes(&cluster, mode, 1, 3);
    }
    for k in cluster.numbers() {
        assert_eq!(
            cluster.node(k).sh("fairlead net setup").done(),
            "nothing to do\n"
        );
    }
    // Taken away, nothing of it is left; a tunnel that somebody else made stays.
    let foreign = format!(
        "ip link add theirs type ipip local {} remote 192.168.9.9",
        cluster.v4(1)
    );
    cluster.node(1).run(&foreign);
    declare(&cluster, &[], "");
    set_up(&cluster);
    let left = cluster.node(1).link_names();
    assert!(left.contains(&"theirs".to_owned()), "{left:?}");
    assert!(
        !left.iter().any(|name| name.starts_with("flt")
            || name.starts_with("ovx_")
            || name.starts_with("obr_")),
        "{left:?}"
    );
}

fn always_tunnels_on_the_same_link(_: &Plugins) {
    let cluster = nodes();
    let modes = [MODES[0], MODES[1], MODES[4]];
    declare(&cluster, &modes, "tunnel = always\n");
    set_up(&cluster);
    for (mode, wanted) in modes.iter().zip(["ipip", "gre", "ip6tnl"]) {
        assert_eq!(kind(&cluster, 2, mode.0, 1), wanted);
    }
    passes(&cluster, modes[0], 1, 2);
    // Two networks of the same mode share the tunnels.
    let links = |cluster: &Cluster| -> Vec<String> {
        let names = cluster.node(1).link_names();
        names
            .into_iter()
            .filter(|name| name.starts_with("flt"))
            .collect()
    };
    let before = links(&cluster);
    assert_eq!(before.len(), 6, "{before:?}");
    let mut second = MODES[0];
    (second.0, second.1) = ("second", "10.15.0.0/16");
    declare(
        &cluster,
        &[MODES[0], MODES[1], MODES[4], second],
        "tunnel = always\n",
    );
    set_up(&cluster);
    assert_eq!(links(&cluster), before);
    passes(&cluster, second, 1, 3);
}

fn an_agent_applies_another_mode(_: &Plugins) {
    let cluster = nodes();
    let mut mode = MODES[0];
    mode.0 = "back";
    declare(&cluster, &[mode], "");
    let _agents: Vec<Agent> = cluster
        .numbers()
        .map(|k| Agent::start(cluster.node(k)))
        .collect();
    let one = cluster.container(1, "back", "one");
    let far = cluster.container(3, "back", "far");
    reach_each_other(&one, &far);
    for (name, wanted, mtu) in [
        ("gre", "gre", 1476),
        ("vxlan", "vxlan", 1450),
        ("ipip", "ipip", 1480),
    ] {
        for k in cluster.numbers() {
            cluster
                .node(k)
                .declare("back", &[&format!("tunnel_mode={name}")]);
        }
        eventually(Duration::from_secs(10), || {
            let kinds = [kind(&cluster, 1, "back", 3), kind(&cluster, 3, "back", 1)];
            if kinds == [wanted, wanted] {
                Ok(())
            } else {
                Err(kinds.join(" "))
            }
        });
        // Who was there goes on, whatever size it was made for.
        one.sandbox.ping(&far.address());
        let server = Server::start(&far.sandbox, Transport::Tcp, 0, &"x".repeat(20_000));
        let reply = Transport::Tcp.ask(&one.sandbox, &far.address(), server.port());
        assert_eq!(reply.text.len(), 20_000);
        let fresh = cluster.container(1, "back", &format!("to{name}"));
        assert_eq!(fresh.mtu(), mtu);
        fresh.sandbox.ping(&far.address());
    }
    another_address(&cluster, &one, &far);
}

/// Another address of the far node, at both ends, and no gap while nothing changes.
fn another_address(cluster: &Cluster, one: &Container<'_>, far: &Container<'_>) {
    let pinging = Pinging::start(one, far);
    for k in cluster.numbers() {
        cluster.node(k).sh("fairlead net setup").done();
    }
    pinging.lost_nothing();
    cluster
        .node(3)
        .run("ip address add 192.168.2.33/24 dev eth0");
    for k in cluster.numbers() {
        cluster
            .node(k)
            .declare("back", &["addr@node3=192.168.2.33"]);
    }
    eventually(Duration::from_secs(10), || {
        let tunnels = cluster.node(1).run("ip -4 tunnel show");
        let own = cluster.node(3).run("ip -4 tunnel show");
        let is_so = tunnels.contains("remote 192.168.2.33") && own.contains("local 192.168.2.33");
        if is_so && !tunnels.contains("remote 192.168.2.3 ") {
            Ok(())
        } else {
            Err(tunnels + &own)
        }
    });
    // What they had learnt of the smaller way is remembered for minutes.
    for container in [one, far] {
        container.sandbox.run("ip route flush cache");
    }
    reach_each_other(one, far);
}
