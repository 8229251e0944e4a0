//! What the agent hears from engines: who a container is, which networks are to be on every
//! node, and what goes with an engine that has it no more.

// Its other helpers are for other tests.
#[allow(dead_code, reason = "shared with the tests of the driver")]
#[path = "docker/case.rs"]
mod case;

use case::{Case, SETTINGS};
use fairlead_tests::{Agent, Cluster, Docker, Node, Plan, eventually, patience};
use serde_json::Value;

/// The attachments of a node.
fn attached(node: &Node) -> Value {
    node.sh("fairlead ip ls -o json").json()
}

/// Waits until a node's names are answered with this.
#[track_caller]
fn resolves(node: &Node, name: &str, wanted: &str) {
    eventually(patience(), || {
        let found = node.sh(&format!("fairlead dns lookup {name}")).stdout;
        found.contains(wanted).then_some(()).ok_or(found)
    });
}

#[test]
fn a_container_has_its_names_and_ports_in_dns_while_it_runs() {
    let case = Case::new();
    case.docker("network create -d fairlead --ipam-driver fairlead --subnet 10.80.0.0/24 net");
    case.run("one", "--network net --expose 81 -p 8080:80 -h front");
    let address = case.address("one", "net");
    resolves(&case.node, "one.docker.svc.clu", &address);
    resolves(&case.node, "front.one.docker.svc.clu", &address);
    let zone = case.node.sh("fairlead dns dump").done();
    for record in ["_80._tcp.one.docker.svc.clu", "_81._tcp.one.docker.svc.clu"] {
        assert!(zone.contains(record), "{record}: {zone}");
    }
    let listed = case.node.sh("fairlead net status --verbose").done();
    assert!(listed.contains("docker/svc/one"), "{listed}");
    case.run(
        "two",
        "--network net --label fairlead.object=shop/svc/api --label fairlead.expose=http/tcp \
         --label fairlead.hostname=a1",
    );
    let second = case.address("two", "net");
    resolves(&case.node, "a1.api.shop.svc.clu", &second);
    case.docker("rename one other");
    resolves(&case.node, "other.docker.svc.clu", &address);
    case.docker("restart -t 0 other");
    let address = case.address("other", "net");
    resolves(&case.node, "other.docker.svc.clu", &address);
    case.docker("rm -f other two");
    eventually(patience(), || {
        let zone = case.node.sh("fairlead dns dump").done();
        match zone.contains("other.docker") {
            true => Err(zone),
            false => Ok(()),
        }
    });
}

#[test]
fn an_agent_that_starts_late_hears_who_runs_and_ends_at_once() {
    let mut case = Case::new();
    case.docker("network create -d fairlead --ipam-driver fairlead --subnet 10.81.0.0/24 net");
    case.run("one", "--network net");
    case.agent.daemon.kill();
    case.docker("rename one other");
    case.agent = Agent::start(&case.node);
    resolves(
        &case.node,
        "other.docker.svc.clu",
        &case.address("other", "net"),
    );
    let begun = std::time::Instant::now();
    assert!(case.agent.daemon.terminate().success());
    assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    case.agent = Agent::start(&case.node);
}

/// The networks of our driver that an engine has.
fn networks(docker: &Docker, node: &Node) -> Vec<String> {
    let line = "network ls --filter driver=fairlead --format '{{.Name}}'";
    let mut all: Vec<String> = docker.must(node, line).lines().map(str::to_owned).collect();
    all.sort();
    all
}

#[track_caller]
fn has(docker: &Docker, node: &Node, wanted: &[&str]) {
    eventually(patience() * 2, || {
        let found = networks(docker, node);
        match found == wanted {
            true => Ok(()),
            false => Err(found),
        }
    });
}

#[test]
fn a_network_that_one_node_makes_is_on_every_node_until_one_removes_it() {
    let cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 1,
    });
    for k in [1, 2] {
        let node = cluster.node(k);
        node.sh(&format!("fairlead node set {SETTINGS}")).silent();
    }
    let _agents = cluster.up();
    cluster
        .node(1)
        .sh("fairlead cluster set --kw cluster.name=clu --kw network#back.type=routed_bridge --kw network#back.network=10.90.0.0/16")
        .done();
    cluster.segments("back");
    let engines = [1, 2].map(|k| Docker::start(cluster.node(k)));
    let docker = |k: usize, line: &str| engines[k - 1].must(cluster.node(k), line);
    let ours = "network create -d fairlead --ipam-driver fairlead";
    docker(1, &format!("{ours} --label a=b --subnet 10.91.0.0/24 own"));
    docker(
        2,
        &format!("{ours} -o network=back --ipam-opt network=back there"),
    );
    docker(2, &format!("{ours} -o network=back here"));
    for k in [1, 2] {
        has(&engines[k - 1], cluster.node(k), &["here", "own", "there"]);
    }
    let label = docker(2, "network inspect own --format '{{.Labels.a}}'");
    assert_eq!(label, "b");
    for k in [1, 2] {
        let run = "run -d --stop-signal KILL --network";
        docker(k, &format!("{run} there --name r{k} busybox sleep 100000"));
        docker(k, &format!("{run} own --name o{k} busybox sleep 100000"));
    }
    // Names of the other node, and no address twice.
    let address = |k: usize, name: &str, network: &str| {
        let format = format!("{{{{.NetworkSettings.Networks.{network}.IPAddress}}}}");
        docker(k, &format!("inspect {name} --format '{format}'"))
    };
    assert_ne!(address(1, "o1", "own"), address(2, "o2", "own"));
    let far = address(2, "r2", "there");
    resolves(cluster.node(1), "r2.docker.svc.clu", &far);
    docker(1, &format!("exec r1 ping -c 1 -w 5 {far}"));
    // Used on the other node, it stays there until it is not.
    docker(1, "rm -f o1 r1");
    docker(1, "network rm own");
    std::thread::sleep(std::time::Duration::from_secs(3));
    has(&engines[0], cluster.node(1), &["here", "there"]);
    has(&engines[1], cluster.node(2), &["here", "own", "there"]);
    docker(2, "rm -f o2");
    has(&engines[1], cluster.node(2), &["here", "there"]);
    eventually(patience(), || {
        let left = cluster
            .etcd
            .keys(cluster.wire(), "/fairlead/docker/networks/");
        match left.len() {
            2 => Ok(()),
            _ => Err(left),
        }
    });
    docker(2, "rm -f r2");
    // The copies go with what they are of, wherever that is removed.
    docker(1, "network rm here");
    has(&engines[1], cluster.node(2), &["there"]);
    docker(2, "network rm there");
    has(&engines[0], cluster.node(1), &[]);
    eventually(patience(), || {
        let left = cluster.etcd.keys(cluster.wire(), "/fairlead/docker/");
        match left.is_empty() {
            true => Ok(()),
            false => Err(left),
        }
    });
    for k in [1, 2] {
        assert_eq!(attached(cluster.node(k)).as_array().unwrap().len(), 0);
    }
}
