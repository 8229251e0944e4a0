//! Several fake hosts on one switch, some behind a router, with a real etcd beside them.

use std::fmt::Write as _;

use serde_json::Value;

use crate::agent::Agent;
use crate::certificates::Authority;
use crate::commands::Ran;
use crate::container::Container;
use crate::etcd::{Etcd, MemberPlan};
use crate::node::{Node, Sandbox};
use crate::patience::{eventually, patience};
use crate::place::Place;
use crate::wires::{Wires, script};

/// The first 24 bits of the addresses on the switch.
const NEAR_V4: &str = "192.168.1";
/// The first 64 bits of the addresses on the switch.
const NEAR_V6: &str = "2001:db8:1";
/// The same behind the router.
const FAR_V4: &str = "192.168.2";
/// The same behind the router.
const FAR_V6: &str = "2001:db8:2";
/// The last part of the router's addresses.
const ROUTER: usize = 254;
/// The last part of the etcd members' addresses is this and their number, from 1.
const ETCD: usize = 100;

/// What a cluster consists of.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many nodes there are: `node1`, `node2`, ...
    pub nodes: usize,
    /// How many of them, the last ones, are behind the router.
    pub far: usize,
    /// How many members etcd has; none: there is no etcd.
    pub etcd: usize,
}

/// Hosts named `node1`, `node2`, ..., each with the link `eth0` on one switch or behind a
/// router, addresses of both families, and an `/etc/hosts` that knows them all; a
/// machine `outside` beyond the router, which knows no way to containers; and members
/// of etcd, each a machine on the switch.
///
/// Numbers of nodes begin with 1, as in their names.
#[derive(Debug)]
pub struct Cluster {
    plan: Plan,
    /// The members of etcd; none runs when there are none.
    pub etcd: Etcd,
    nodes: Vec<Node>,
    /// Holds the switch, and in it the router, the outside and etcd.
    wire: Node,
}

impl Cluster {
    /// The address of the machine outside, version 4.
    pub const OUTSIDE_V4: &'static str = crate::node::OUTSIDE_V4;
    /// The same, version 6.
    pub const OUTSIDE_V6: &'static str = crate::node::OUTSIDE_V6;

    /// Hosts with their cables, and etcd, which serves. Nothing of the product runs.
    ///
    /// # Panics
    /// If the machine cannot make it; root is needed.
    #[must_use]
    #[track_caller]
    pub fn new(plan: Plan) -> Self {
        let wire = Node::unplugged("switch");
        let etcd: Vec<MemberPlan> = (1..=plan.etcd)
            .map(|i| MemberPlan {
                sandbox: format!("etcd{i}"),
                address: format!("{NEAR_V4}.{}", ETCD + i),
            })
            .collect();
        let nodes = (1..=plan.nodes).map(|k| Node::unplugged(&format!("node{k}")));
        let mut cluster = Self {
            plan,
            etcd: Etcd::new(etcd),
            nodes: nodes.collect(),
            wire,
        };
        cluster.plug();
        cluster.etcd.start_all(&cluster.wire);
        cluster
    }

    /// Makes the switch and the machines on it, and lays all cables.
    #[track_caller]
    fn plug(&self) {
        let mut wires = Wires::default();
        for bridge in ["lan", "far", "out"] {
            wires.switch += &format!("ip link add {bridge} type bridge mcast_snooping 0\n");
            wires.switch += &format!("ip link set {bridge} up\n");
        }
        let router = |near: &str, far: &str| format!("{near}.{ROUTER}/24 {far}::{ROUTER}/64");
        wires.machine("router");
        wires.cable(("lan", "router", "near"), &router(NEAR_V4, NEAR_V6));
        wires.cable(("far", "router", "far"), &router(FAR_V4, FAR_V6));
        wires.cable(("out", "router", "out"), "198.51.100.1/24 2001:db8::1/64");
        let outside = format!("{}/24 {}/64", Self::OUTSIDE_V4, Self::OUTSIDE_V6);
        wires.machine("outside");
        wires.cable(("out", "outside", "eth0"), &outside);
        wires.default_routes("outside", "198.51.100.1", "2001:db8::1");
        for i in 1..=self.plan.etcd {
            let (name, end) = (format!("etcd{i}"), ETCD + i);
            wires.machine(&name);
            let addresses = format!("{NEAR_V4}.{end}/24 {NEAR_V6}::{end}/64");
            wires.cable(("lan", &name, "eth0"), &addresses);
            let [v4, v6] = [
                format!("{NEAR_V4}.{ROUTER}"),
                format!("{NEAR_V6}::{ROUTER}"),
            ];
            wires.default_routes(&name, &v4, &v6);
        }
        for k in self.numbers() {
            let bridge = if self.is_far(k) { "far" } else { "lan" };
            let holder = self.node(k).holder();
            let _ = writeln!(
                wires.switch,
                "ip link add n{k} type veth peer name eth0 netns {holder}\n\
                 ip link set n{k} master {bridge} up"
            );
        }
        script(&self.wire, &(wires.switch + &wires.machines));
        let router = self.wire.existing("router");
        router.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        for k in self.numbers() {
            self.configure(k);
        }
        self.write_hosts();
        for k in self.numbers() {
            let (v4, v6) = self.prefixes(k);
            self.node(k).ping(&format!("{v4}.{ROUTER}"));
            self.node(k).ping(&format!("{v6}::{ROUTER}"));
        }
    }

    #[track_caller]
    fn configure(&self, k: usize) {
        let (v4, v6) = self.prefixes(k);
        // No server of names: only what the file says is known.
        let lines = format!(
            "ip address add {v4}.{k}/24 dev eth0\n\
             ip address add {v6}::{k}/64 dev eth0 nodad\n\
             ip link set eth0 up\n\
             ip route add default via {v4}.{ROUTER}\n\
             ip route add ::/0 via {v6}::{ROUTER}\n\
             touch /run/hosts /run/resolv.conf\n\
             mount --bind /run/hosts /etc/hosts\n\
             mount --bind /run/resolv.conf /etc/resolv.conf\n"
        );
        script(self.node(k), &lines);
    }

    fn prefixes(&self, k: usize) -> (&'static str, &'static str) {
        if self.is_far(k) {
            (FAR_V4, FAR_V6)
        } else {
            (NEAR_V4, NEAR_V6)
        }
    }

    fn is_far(&self, k: usize) -> bool {
        k > self.plan.nodes - self.plan.far
    }

    /// Tells every node the addresses of all, each under its name.
    #[track_caller]
    fn write_hosts(&self) {
        let mut hosts = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
        for k in self.numbers() {
            let _ = writeln!(hosts, "{} node{k}\n{} node{k}", self.v4(k), self.v6(k));
        }
        for node in &self.nodes {
            node.write("/run/hosts", &hosts);
        }
    }

    /// All numbers of nodes.
    pub fn numbers(&self) -> std::ops::RangeInclusive<usize> {
        1..=self.plan.nodes
    }

    /// A node by its number.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn node(&self, k: usize) -> &Node {
        &self.nodes[k - 1]
    }

    /// Where etcd and the switch are.
    #[must_use]
    pub fn wire(&self) -> &Node {
        &self.wire
    }

    /// The machine beyond the router.
    #[must_use]
    pub fn outside(&self) -> Sandbox<'_> {
        self.wire.existing("outside")
    }

    /// A node's address of version 4, without a length.
    #[must_use]
    pub fn v4(&self, k: usize) -> String {
        format!("{}.{k}", self.prefixes(k).0)
    }

    /// A node's address of version 6, without a length.
    #[must_use]
    pub fn v6(&self, k: usize) -> String {
        format!("{}::{k}", self.prefixes(k).1)
    }

    /// Pulls a node's cable.
    #[track_caller]
    pub fn cut_off(&self, k: usize) {
        self.wire.run(&format!("ip link set n{k} down"));
    }

    /// Puts it back and waits until the node reaches its router.
    #[track_caller]
    pub fn reconnect(&self, k: usize) {
        self.wire.run(&format!("ip link set n{k} up"));
        self.node(k)
            .ping(&format!("{}.{ROUTER}", self.prefixes(k).0));
    }

    /// Joins a node to the cluster in etcd.
    #[track_caller]
    pub fn join(&self, k: usize) -> Ran {
        let urls = self.etcd.urls();
        self.node(k)
            .sh(&format!("fairlead node join --etcd {urls}"))
    }

    /// Joins all nodes, one after the other, and starts their agents.
    #[must_use]
    #[track_caller]
    pub fn up(&self) -> Vec<Agent> {
        for k in self.numbers() {
            self.join(k).done();
        }
        self.numbers().map(|k| Agent::start(self.node(k))).collect()
    }

    /// The segment of node `of`, as node `on` knows it; none before it has one.
    #[must_use]
    #[track_caller]
    pub fn segment(&self, on: usize, network: &str, of: usize) -> Option<String> {
        let kw = format!("network#{network}.subnet@node{of}");
        let line = format!("fairlead cluster get --kw '{kw}'");
        let printed = self.node(on).sh(&line).done();
        Some(printed.trim().to_owned()).filter(|s| !s.is_empty() && s != "None")
    }

    /// Waits until every node knows a segment of every node, the same everywhere, and
    /// has its bridge; returns the segments in the nodes' order.
    ///
    /// # Panics
    /// If that does not come within the test's patience.
    #[track_caller]
    pub fn segments(&self, network: &str) -> Vec<String> {
        let known = |on: usize| -> Option<Vec<String>> {
            self.numbers()
                .map(|of| self.segment(on, network, of))
                .collect()
        };
        let segments = eventually(patience(), || {
            let all: Vec<_> = self.numbers().map(known).collect();
            let first = all[0].clone();
            first
                .filter(|_| all.iter().all(|some| *some == all[0]))
                .ok_or(all)
        });
        for (k, segment) in self.numbers().zip(&segments) {
            let address = gateway(segment);
            eventually(patience(), || {
                let bridge = self
                    .node(k)
                    .try_run(&format!("ip -br address show obr_{network}"));
                let printed = String::from_utf8_lossy(&bridge.stdout).into_owned();
                let has = printed.split_whitespace().any(|word| word == address);
                if has {
                    Ok(())
                } else {
                    Err(format!("node{k}: {printed}, not {address}"))
                }
            });
        }
        segments
    }

    /// Ends these members of etcd at once; members have numbers from 0.
    #[track_caller]
    pub fn lose_etcd(&mut self, members: &[usize]) {
        for member in members {
            self.etcd.kill(*member);
        }
    }

    /// Starts all members of etcd that do not run, `empty`: with nothing stored.
    #[track_caller]
    pub fn restore_etcd(&mut self, empty: bool) {
        if empty {
            self.etcd.kill_all();
            self.etcd.wipe(&self.wire);
        }
        self.etcd.start_all(&self.wire);
    }

    /// Starts etcd again with TLS, by a certificate for `names` of this authority; who asks
    /// must have one of it too.
    #[track_caller]
    pub fn restart_etcd_with_tls(&mut self, authority: &Authority, names: &[&str]) {
        self.etcd.kill_all();
        authority.write(&self.wire, "/run/tls/ca.crt");
        authority.issue(&self.wire, "/run/tls/server", names);
        let [ca, cert, key] =
            ["ca.crt", "server.crt", "server.key"].map(|f| format!("/run/tls/{f}"));
        self.etcd.use_tls(&ca, &cert, &key);
        self.etcd.start_all(&self.wire);
    }

    /// A container that is there already and stays.
    #[must_use]
    pub fn attached(&self, k: usize, name: &str) -> Container<'_> {
        Container::of(self.node(k).existing(name))
    }

    /// A new container on a node, attached to a network.
    #[must_use]
    #[track_caller]
    pub fn container(&self, k: usize, network: &str, name: &str) -> Container<'_> {
        let node = self.node(k);
        let sandbox = node.sandbox(name);
        node.sh(&format!(
            "fairlead attach {network} --netns {} --object testbackend/svc/{name} --resource ip#0",
            sandbox.netns()
        ))
        .done();
        Container {
            network: network.to_owned(),
            ..Container::of(sandbox)
        }
    }

    /// The routes that are the product's on a node, of all tables and both families, as
    /// `DESTINATION via GATEWAY dev LINK`, sorted; a table other than main is at the end.
    #[must_use]
    #[track_caller]
    pub fn ways(&self, k: usize) -> Vec<String> {
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let mut ways = Vec::new();
        for family in ["-4", "-6"] {
            let line = format!("{family} route show table all proto 70");
            let routes = self.node(k).ip_json(&line);
            for route in routes.as_array().expect("a list of routes") {
                let [dst, gateway, dev] = ["dst", "gateway", "dev"].map(|key| word(&route[key]));
                let table = match word(&route["table"]).as_str() {
                    "-" | "main" => String::new(),
                    table => format!(" table {table}"),
                };
                let way = format!("{dst} via {gateway} dev {dev}{table}");
                ways.push(way);
            }
        }
        ways.sort();
        ways
    }

    /// Waits until the product's routes on a node are these.
    ///
    /// # Panics
    /// If they are not within `limit`.
    #[track_caller]
    pub fn goes(&self, k: usize, ways: &[&str], limit: std::time::Duration) {
        eventually(limit, || {
            let found = self.ways(k);
            if found == ways { Ok(()) } else { Err(found) }
        });
    }

    /// Declares a network on node 1, each line `OPTION=VALUE`.
    #[track_caller]
    pub fn declare(&self, network: &str, options: &[&str]) {
        self.node(1).declare(network, options);
    }
}

/// The address of a segment's bridge, with its length: the segment's first and one.
#[must_use]
pub fn gateway(segment: &str) -> String {
    let (base, length) = segment.split_once('/').expect("a CIDR");
    if let Some((head, last)) = base.rsplit_once('.') {
        let last: u8 = last.parse().expect("a byte");
        format!("{head}.{}/{length}", last + 1)
    } else {
        let address: std::net::Ipv6Addr = base.parse().expect("an address");
        format!(
            "{}/{length}",
            std::net::Ipv6Addr::from(u128::from(address) + 1)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{full_sized, is_cut_off, too_long};

    #[test]
    fn nodes_reach_each_other_and_the_outside_until_they_are_cut_off() {
        let cluster = Cluster::new(Plan {
            nodes: 3,
            far: 1,
            etcd: 0,
        });
        let one = cluster.node(1);
        assert_eq!(one.run("hostname"), "node1\n");
        for name in ["node2", "node3"] {
            one.run(&format!("ping -4 -c 1 -W 2 {name}"));
            one.run(&format!("ping -6 -c 1 -W 2 {name}"));
        }
        for outside in [Cluster::OUTSIDE_V4, Cluster::OUTSIDE_V6] {
            cluster.node(3).ping(outside);
            full_sized(one, outside, 1500);
            too_long(one, outside, 1500);
        }
        // The third is behind the router, and a foreign source has no way back.
        let hops = |k| one.run(&format!("ip route get {}", cluster.v4(k)));
        assert!(!hops(2).contains("via") && hops(3).contains("via 192.168.1.254"));
        one.run("ip address add 10.11.0.1/22 dev lo");
        let lost = one.try_run(&format!(
            "ping -c 1 -W 0.3 -I 10.11.0.1 {}",
            Cluster::OUTSIDE_V4
        ));
        assert!(!lost.status.success());
        cluster.cut_off(2);
        is_cut_off(one, &cluster.v4(2));
        cluster.reconnect(2);
        one.ping(&cluster.v4(2));
    }

    #[test]
    fn etcd_loses_members_and_its_data() {
        let mut cluster = Cluster::new(Plan {
            nodes: 1,
            far: 0,
            etcd: 3,
        });
        let Cluster {
            etcd, wire, nodes, ..
        } = &mut cluster;
        etcd.run(wire, "put /a/b 1");
        etcd.kill(0);
        etcd.wait_for(wire, 1);
        assert_eq!(etcd.keys(wire, "/a"), ["/a/b"]);
        let url = etcd.url(1);
        nodes[0].run(&format!("curl -sS -m 2 {url}/version"));
        etcd.kill_all();
        assert!(
            !nodes[0]
                .try_run(&format!("curl -m 2 {url}/version"))
                .status
                .success()
        );
        etcd.start_all(wire);
        assert_eq!(etcd.json(wire, "/a/b"), 1);
        etcd.kill_all();
        etcd.wipe(wire);
        etcd.start_all(wire);
        assert!(etcd.keys(wire, "/a").is_empty());
    }

    #[test]
    fn a_gateway_is_the_first_address() {
        assert_eq!(gateway("10.11.4.0/22"), "10.11.4.1/22");
        assert_eq!(gateway("fd00:1::400/118"), "fd00:1::401/118");
    }
}
