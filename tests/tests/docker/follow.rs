//! What the agent hears from an engine: who a container is, for names and ports in DNS.

use crate::case::Case;
use fairlead_tests::{Agent, Node, eventually, patience};

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
    assert!(case.agent.daemon.terminate().success());
}
