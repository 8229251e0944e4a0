//! `kill -9` at every step of a start and of a stop: the next one makes it whole.

use super::{WEB, create, node};
use fairlead_tests::{Node, Place, Server, Transport, killed_at_each};

/// A service without a program: strace would wait for that one's end.
const ADDRESS: &str = "ip#0.network=back ip#0.expose=80:8001/tcp";

const START: &str = "fairlead svc start shop/svc/web";
const STOP: &str = "fairlead svc stop shop/svc/web";

/// The calls that change something others see: netlink and files.
const STEPS: [&str; 2] = ["sendto", "rename"];

/// The address answers, and there is one of everything.
fn is_whole(node: &Node, what: &str) {
    node.sh(START).done();
    let sandbox = node.existing("shop.svc.web");
    assert_eq!(sandbox.addresses("eth0").len(), 1, "{what}");
    let attached = node.sh("fairlead ls -o json").json();
    assert_eq!(
        attached.as_array().map(Vec::len),
        Some(1),
        "{what}: {attached}"
    );
    let _server = Server::start(&sandbox, Transport::Tcp, 80, "whole");
    let reply = Transport::Tcp.ask(&node.outside(), "198.51.100.1", 8001);
    assert_eq!(reply.text, "whole", "{what}");
}

fn is_gone(node: &Node, before: &[String], what: &str) {
    node.sh(STOP).done();
    node.sh("fairlead gc").done();
    node.is_as_before(before, what);
}

#[test]
fn a_start_that_is_killed_is_made_whole_by_the_next() {
    let (node, _cgroups) = node();
    node.sh(&create("shop/svc/web", ADDRESS)).silent();
    // Directories that the first start makes are no trace.
    node.sh(START).done();
    node.sh(STOP).done();
    let before = node.world();
    let mut kills = 0;
    for syscall in STEPS {
        let settle = |what: &str| {
            is_whole(&node, what);
            is_gone(&node, &before, what);
        };
        kills += killed_at_each(&node, syscall, START, || {}, settle);
    }
    assert!(kills > 5, "only {kills} kills");
}

#[test]
fn a_stop_that_is_killed_is_finished_by_the_next() {
    let (node, _cgroups) = node();
    node.sh(&create("shop/svc/web", WEB)).silent();
    node.sh(START).done();
    node.sh(STOP).done();
    let before = node.world();
    let mut kills = 0;
    for syscall in ["sendto", "unlink", "umount2"] {
        let prepare = || {
            node.sh(START).done();
        };
        kills += killed_at_each(&node, syscall, STOP, prepare, |what| {
            is_gone(&node, &before, what)
        });
    }
    assert!(kills > 3, "only {kills} kills");
}
