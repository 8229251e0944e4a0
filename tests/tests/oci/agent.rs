//! What the agent adds: names, and addresses that are free once their container is removed.

use super::case::{Case, RUNC};
use fairlead_tests::{Agent, eventually, patience};

/// The address that a name has, empty where it has none.
#[track_caller]
fn named(case: &Case, name: &str, wanted: &str) {
    eventually(patience(), || {
        let line = format!("fairlead dns lookup {name} -o json");
        let found = case.node.sh(&line).stdout;
        match found.contains(wanted) && (!wanted.is_empty() || !found.contains("10.60.0")) {
            true => Ok(()),
            false => Err(found),
        }
    });
}

#[test]
fn a_container_has_its_name_and_what_is_kept_goes_with_it() {
    let case = Case::new(RUNC);
    case.node
        .sh("fairlead cluster set --kw cluster.name=clu")
        .silent();
    case.node
        .sh("fairlead node set --kw node.docker_socket=/run/docker.sock")
        .silent();
    case.start("early", "");
    let agent = Agent::start(&case.node);
    named(&case, "early.docker.svc.clu", &case.address("early"));
    case.start("plain", "");
    named(&case, "plain.docker.svc.clu", &case.address("plain"));
    let kept = "--label eru.cni/fixed-ip=1 --label com.docker.compose.project=shop";
    case.start("kept", kept);
    let address = case.address("kept");
    named(&case, "kept.shop.svc.clu", &address);
    case.docker("stop kept plain");
    named(&case, "kept.shop.svc.clu", "");
    named(&case, "plain.docker.svc.clu", "");
    case.docker("start kept");
    assert_eq!(case.address("kept"), address);
    named(&case, "kept.shop.svc.clu", &address);
    // Nobody but the engine is told.
    case.docker("rm -f kept plain early");
    case.is_empty();
    drop(agent);
}
