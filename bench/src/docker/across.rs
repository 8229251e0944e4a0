//! What goes through between containers of two nodes.

use super::engine::{Engine, Who};
use super::traffic::{Path, Rates, measure};
use anyhow::Result;
use fairlead_tests::{Cluster, Plan, eventually, patience};

/// The network of ours that both nodes have.
const BACK: &str = "10.11.0.0/16";
/// The networks of Docker's bridges, a part for each node.
const BRIDGES: &str = "10.82.0.0/16";

/// Two nodes on one switch, the machine's own: first from one to the other over Docker's
/// bridges, to which routes are laid by hand, then over a network of ours, and last over
/// Docker's bridge on one node.
pub(super) fn run(rounds: u32, seconds: u32) -> Result<Vec<Rates>> {
    eprintln!("starting two nodes");
    let cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 1,
    });
    for k in cluster.numbers() {
        Engine::set(cluster.node(k))?;
    }
    let _agents = cluster.up();
    let network = format!("network={BACK}");
    cluster.declare("back", &["type=routed_bridge", &network]);
    cluster.segments("back");
    let engines = [1, 2].map(|k| Engine::start(cluster.node(k)));
    for (engine, [own, other]) in engines.iter().zip([[1, 2], [2, 1]]) {
        let options = "-o com.docker.network.bridge.enable_ip_masquerade=false";
        engine.create(Who::Bridge, &format!("10.82.{own}.0/24"), options)?;
        let next = cluster.v4(other);
        engine.sh(&format!(
            "ip route add 10.82.{other}.0/24 via {next} && \
             iptables -I DOCKER-USER -s {BRIDGES} -d {BRIDGES} -j ACCEPT"
        ))?;
    }
    let [one, two] = &engines;
    one.create(Who::Ours, BACK, "-o network=back")?;
    // The agents carry it to the other node.
    eventually(patience(), || {
        let line = format!("network inspect {}", Who::Ours.network());
        two.docker(&line)
    });
    let paths = [
        Path::lay(
            "Docker's bridges, routes by hand".to_owned(),
            Who::Bridge,
            [(one, "from-theirs"), (two, "to-theirs")],
        )?,
        Path::lay(
            "Fairlead".to_owned(),
            Who::Ours,
            [(one, "from-ours"), (two, "to-ours")],
        )?,
        Path::lay(
            "Docker's bridge on one node".to_owned(),
            Who::Bridge,
            [(one, "from-near"), (one, "to-near")],
        )?,
    ];
    measure(paths, rounds, seconds)
}
