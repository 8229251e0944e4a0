//! Services on three nodes: their names on every node, and what becomes of them when nodes
//! and etcd come and go.

#[path = "cluster_services/gateway.rs"]
mod gateway;

use std::time::{Duration, Instant};

use fairlead_tests::{Agent, Cgroups, Cluster, Node, Place, Plan, eventually, patience};

/// The time in which a record has to be everywhere.
const SOON: Duration = Duration::from_secs(1);
/// The time in which a dead node's names have to be gone: its lease and a little more.
const DEAD: Duration = Duration::from_secs(14);

/// Three nodes with agents and the network `back`; each has a page that says its name.
struct Shop {
    agents: Vec<Agent>,
    _cgroups: Vec<Cgroups>,
    cluster: Cluster,
    segments: Vec<String>,
}

impl Shop {
    fn open() -> Self {
        let cluster = Cluster::new(Plan {
            nodes: 3,
            far: 0,
            etcd: 1,
        });
        let cgroups = cluster.numbers().map(|k| Cgroups::on(cluster.node(k)));
        let cgroups = cgroups.collect();
        let agents = cluster.up();
        cluster
            .node(1)
            .sh("fairlead cluster set --kw cluster.name=clu")
            .done();
        cluster.declare("back", &["type=routed_bridge", "network=10.11.0.0/16"]);
        let segments = cluster.segments("back");
        for k in cluster.numbers() {
            cluster
                .node(k)
                .write("/run/www/index.html", &format!("node{k}\n"));
        }
        Self {
            agents,
            _cgroups: cgroups,
            cluster,
            segments,
        }
    }

    fn node(&self, k: usize) -> &Node {
        self.cluster.node(k)
    }

    /// The address of a node's bridge, where its agent answers.
    fn gateway(&self, k: usize) -> String {
        let gateway = fairlead_tests::gateway(&self.segments[k - 1]);
        gateway.split('/').next().unwrap_or_default().to_owned()
    }

    /// Declares the web server on a node and starts it; returns its address.
    fn start(&self, k: usize) -> String {
        let node = self.node(k);
        node.sh(
            "fairlead svc create shop/svc/web --kw container#0.type=process \
             --kw container#0.command='busybox httpd -f -p 80 -h /run/www' \
             --kw ip#0.network=back --kw ip#0.expose=80/tcp",
        )
        .silent();
        node.sh("fairlead svc start shop/svc/web").done();
        let status = node.sh("fairlead svc status shop/svc/web -o json").json();
        let address = &status["resources"][1]["info"]["ipaddr"][0];
        address.as_str().expect("an address").to_owned()
    }

    /// What a node's agent answers, sorted.
    fn ask(&self, k: usize, question: &str) -> Vec<String> {
        let line = format!(
            "dig +short +tries=1 +time=1 @{} {question}",
            self.gateway(k)
        );
        let mut lines: Vec<String> = self
            .node(k)
            .sh(&line)
            .stdout
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }

    /// Waits until every node of `nodes` answers so.
    #[track_caller]
    fn answer(&self, nodes: &[usize], question: &str, wanted: &[String], limit: Duration) {
        let mut wanted = wanted.to_vec();
        wanted.sort();
        for k in nodes {
            eventually(limit, || {
                let found = self.ask(*k, question);
                if found == wanted {
                    Ok(())
                } else {
                    Err((*k, found, wanted.clone()))
                }
            });
        }
    }
}

const WEB: &str = "web.shop.svc.clu";

#[test]
fn a_name_is_on_every_node_within_a_second_and_goes_with_its_service() {
    let shop = Shop::open();
    let mut addresses = Vec::new();
    for k in 1..=3 {
        addresses.push(shop.start(k));
        let begun = Instant::now();
        shop.answer(&[1, 2, 3], WEB, &addresses, SOON);
        println!("node{k}: on all nodes after {:?}", begun.elapsed());
    }
    for k in 1..=3 {
        let own = format!("web.shop.svc.node{k}.node.clu");
        shop.answer(&[1, 2, 3], &own, &addresses[k - 1..k], SOON);
    }
    let dashed = |address: &String| address.replace('.', "-");
    let srv: Vec<String> = addresses
        .iter()
        .map(|a| format!("0 10 80 {}.{WEB}.", dashed(a)))
        .collect();
    shop.answer(&[1, 2, 3], &format!("SRV _http._tcp.{WEB}"), &srv, SOON);
    let ptr = [format!("{WEB}."), "web.shop.svc.node2.node.clu.".to_owned()];
    shop.answer(&[1, 3], &format!("-x {}", addresses[1]), &ptr, SOON);
    // From a container of another node, by its own gateway.
    let client = shop.cluster.container(2, "back", "client");
    let page = client
        .sandbox
        .run(&format!("curl -sS --max-time 5 http://{}/", addresses[2]));
    assert_eq!(page, "node3\n");
    let line = format!(
        "dig +short @{} {}.{WEB}",
        shop.gateway(2),
        dashed(&addresses[0])
    );
    assert_eq!(client.sandbox.run(&line).trim(), addresses[0]);
    let listed = shop.node(1).sh("fairlead svc ls -o json").json();
    assert_eq!(
        listed[0]["nodes"],
        serde_json::json!(["node1", "node2", "node3"])
    );
    let dump = shop.node(3).sh("om daemon dns dump").done();
    for word in [WEB, "_http._tcp", "node1.node.clu.", "SOA", "in-addr.arpa."] {
        assert!(dump.contains(word), "{word}: {dump}");
    }
    let found = shop.node(3).sh("fairlead dns lookup web.shop").done();
    assert_eq!(found.lines().count(), 3, "{found}");
    shop.node(2).sh("fairlead svc stop shop/svc/web").done();
    addresses.remove(1);
    shop.answer(&[1, 2, 3], WEB, &addresses, SOON);
}

#[test]
fn a_dead_nodes_names_go_and_those_of_a_restarted_agent_stay() {
    let mut shop = Shop::open();
    let addresses = [shop.start(1), shop.start(2), shop.start(3)];
    shop.answer(&[1, 2, 3], WEB, &addresses, SOON);
    // An agent that is stopped and started again is missed by nobody.
    let mut agent = shop.agents.remove(1);
    agent.daemon.terminate();
    drop(agent);
    shop.answer(&[1, 3], WEB, &addresses, Duration::ZERO);
    shop.agents.insert(1, Agent::start(shop.node(2)));
    shop.answer(&[1, 2, 3], WEB, &addresses, SOON);
    // A node that is dead and cut off is missed.
    shop.agents[2].daemon.kill();
    shop.cluster.cut_off(3);
    shop.answer(&[1, 2], WEB, &addresses[..2], DEAD);
    shop.answer(&[1, 2], &format!("-x {}", addresses[2]), &[], SOON);
    // And known again when it is back.
    shop.cluster.reconnect(3);
    shop.agents[2] = Agent::start(shop.node(3));
    shop.answer(&[1, 2, 3], WEB, &addresses, patience());
}

#[test]
fn with_etcd_gone_everything_known_is_answered() {
    let mut shop = Shop::open();
    let mut addresses = vec![shop.start(1), shop.start(2)];
    shop.answer(&[1, 2, 3], WEB, &addresses, SOON);
    shop.cluster.lose_etcd(&[0]);
    // What starts now is known where it is, at least.
    let third = shop.start(3);
    shop.answer(&[1, 2], WEB, &addresses, SOON);
    addresses.push(third);
    shop.answer(&[3], WEB, &addresses, SOON);
    // An agent that starts now answers from what it had mirrored.
    shop.agents[0].daemon.kill();
    shop.agents[0] = Agent::start(shop.node(1));
    shop.answer(&[1], WEB, &addresses[..2], patience());
    // With nothing in etcd the nodes tell it again, and no name is missed meanwhile.
    shop.cluster.restore_etcd(true);
    let end = Instant::now() + Duration::from_secs(12);
    let mut whole = false;
    while Instant::now() < end && !whole {
        let found = shop.ask(2, WEB);
        assert!(
            addresses[..2].iter().all(|a| found.contains(a)),
            "{found:?}"
        );
        whole = (1..=3).all(|k| shop.ask(k, WEB).len() == 3);
    }
    assert!(whole, "{:?}", [1, 2, 3].map(|k| shop.ask(k, WEB)));
}
