//! `kill -9` at every step, injected from outside by `strace`.

use fairlead_tests::{Node, Place, eventually, killed_at_each, patience};
use serde_json::Value;

use super::inhabited;

const ATTACH: &str = "fairlead attach web --netns /run/netns/shop --publish 7000:70 -p 7000:70/udp --object demo/svc/shop";
const DETACH: &str = "fairlead detach web --netns /run/netns/shop";

/// The record of the container `shop`.
#[track_caller]
fn record(node: &Node) -> Option<Value> {
    let listed = node.sh("fairlead ls web -o json").json();
    let mut all = listed.as_array().expect("a list").iter();
    all.find(|one| one["container"] == "shop").cloned()
}

/// A node whose container `shop` had once been attached, and how it looks.
fn prepared() -> (Node, Vec<String>) {
    let node = inhabited();
    node.run("ip netns add shop");
    node.sh(ATTACH).done();
    node.sh(DETACH).done();
    let before = node.world();
    (node, before)
}

/// What holds after any kill and then `gc`: the container is attached as it should be, or
/// there is nothing of it. Returns whether it is attached.
#[track_caller]
fn all_or_nothing(node: &Node, before: &[String], what: &str) -> bool {
    node.sh("fairlead gc").done();
    if let Some(record) = record(node) {
        assert_eq!(record["state"], "ready", "{what}");
        node.sh("fairlead cni check web /run/netns/shop").done();
        return true;
    }
    node.is_as_before(before, what);
    false
}

#[track_caller]
fn attach_is_killed_at(syscalls: &[&str]) {
    let (node, before) = prepared();
    let mut killed = 0;
    for syscall in syscalls {
        let settle = |what: &str| {
            // Only a kill behind the last step can leave it attached.
            if all_or_nothing(&node, &before, what) {
                node.sh(DETACH).done();
                node.is_as_before(&before, what);
            }
        };
        killed += killed_at_each(&node, syscall, ATTACH, || (), settle);
    }
    assert!(killed > 0, "no kill at {syscalls:?}");
}

#[track_caller]
fn detach_is_killed_at(syscalls: &[&str]) {
    let (node, before) = prepared();
    let mut killed = 0;
    for syscall in syscalls {
        let prepare = || drop(node.sh(ATTACH).done());
        let settle = |what: &str| {
            if all_or_nothing(&node, &before, what) {
                node.sh(DETACH).done();
                node.is_as_before(&before, what);
            }
        };
        killed += killed_at_each(&node, syscall, DETACH, prepare, settle);
    }
    assert!(killed > 0, "no kill at {syscalls:?}");
}

#[test]
fn attach_killed_at_any_message_to_the_kernel() {
    attach_is_killed_at(&["sendto"]);
}

#[test]
fn attach_killed_at_any_write_of_its_state() {
    attach_is_killed_at(&["pwrite64"]);
}

#[test]
fn attach_killed_in_the_namespace_and_elsewhere() {
    attach_is_killed_at(&["write", "setns", "clone3", "socket", "ftruncate"]);
}

#[test]
fn detach_killed_at_any_message_to_the_kernel() {
    detach_is_killed_at(&["sendto"]);
}

#[test]
fn detach_killed_at_any_write_of_its_state() {
    detach_is_killed_at(&["pwrite64"]);
}

#[test]
fn an_attach_that_makes_the_bridge_killed_anywhere_leaves_at_most_the_bridge() {
    let node = inhabited();
    node.sh("fairlead cluster set --kw 'network#app.network=10.31.0.0/24 fd00:31::/64'")
        .silent();
    node.run("ip netns add shop");
    let line = "fairlead attach app --netns /run/netns/shop --publish 7000:70";
    node.sh(line).done();
    node.sh("fairlead detach --id shop").done();
    node.run("ip link delete obr_app");
    let before = node.world();
    let settle = |what: &str| {
        node.sh("fairlead gc").done();
        if node.sh("fairlead ls app -o json").json() != serde_json::json!([]) {
            node.sh("fairlead cni check app /run/netns/shop").done();
            node.sh("fairlead detach --id shop").done();
        }
        // It is that of a declared network, which setup would make.
        node.try_run("ip link delete obr_app");
        node.is_as_before(&before, what);
    };
    assert!(killed_at_each(&node, "sendto", line, || (), settle) > 0);
}

#[test]
fn a_container_that_dies_after_a_killed_attach_leaves_nothing() {
    let (node, before) = prepared();
    let without = without_shop(before);
    let settle = |what: &str| {
        node.run("ip netns delete shop");
        node.sh("fairlead gc").done();
        node.is_as_before(&without, what);
        node.run("ip netns add shop");
    };
    assert!(killed_at_each(&node, "sendto", ATTACH, || (), settle) > 0);
}

/// The world without the container's inside.
fn without_shop(world: Vec<String>) -> Vec<String> {
    let is_other = |line: &String| !line.starts_with("shop: ");
    world.into_iter().filter(is_other).collect()
}

#[test]
fn a_killed_attach_is_tried_again_without_gc() {
    let (node, before) = prepared();
    let settle = |what: &str| {
        let state = record(&node).map(|one| one["state"].clone());
        if state != Some("ready".into()) {
            node.sh(ATTACH).done();
        }
        assert_eq!(record(&node).expect(what)["state"], "ready", "{what}");
        node.sh("fairlead cni check web /run/netns/shop").done();
        node.sh(DETACH).done();
        node.is_as_before(&before, what);
    };
    assert!(killed_at_each(&node, "sendto", ATTACH, || (), settle) > 0);
}

#[test]
fn a_killed_detach_is_tried_again_without_gc() {
    let (node, before) = prepared();
    let settle = |what: &str| {
        node.sh(DETACH).done();
        node.is_as_before(&before, what);
    };
    let prepare = || drop(node.sh(ATTACH).done());
    assert!(killed_at_each(&node, "sendto", DETACH, prepare, settle) > 0);
}

#[test]
fn gc_killed_at_any_message_to_the_kernel_is_finished_by_the_next() {
    let (node, before) = prepared();
    let without = without_shop(before);
    node.run("ip netns delete shop");
    let prepare = || {
        node.run("ip netns add shop");
        node.sh(ATTACH).done();
        node.run("ip netns delete shop");
    };
    let settle = |what: &str| {
        node.sh("fairlead gc").done();
        node.is_as_before(&without, what);
    };
    assert!(killed_at_each(&node, "sendto", "fairlead gc", prepare, settle) > 0);
}

/// A bridge that is made again has another number.
fn without_numbers(world: &[String]) -> Vec<String> {
    let line = |line: &String| match line.find("obr_app") {
        Some(at)
            if line.starts_with("host: ")
                && line[6..].starts_with(|c: char| c.is_ascii_digit()) =>
        {
            line[at..].to_owned()
        }
        _ => line.clone(),
    };
    world.iter().map(line).collect()
}

#[test]
fn setup_killed_at_any_message_to_the_kernel_is_finished_by_the_next() {
    let node = inhabited();
    let set = "fairlead cluster set --kw 'network#app.network=10.31.0.0/24 fd00:31::/64'";
    node.sh(set).silent();
    node.sh("fairlead net setup").done();
    let own_route = |world: &[String]| {
        world
            .iter()
            .any(|l| l.starts_with("host: local fd00:31::1 "))
    };
    let made = eventually(patience(), || {
        let world = without_numbers(&node.world());
        if own_route(&world) {
            Ok(world)
        } else {
            Err(world)
        }
    });
    node.sh("fairlead cluster unset --kw network#app.network")
        .silent();
    node.sh("fairlead net setup").done();
    let away = node.world();
    let settle = |what: &str| {
        node.sh("fairlead net setup").done();
        // The kernel makes an IPv6 address's own route a moment after the address.
        eventually(patience(), || {
            let now = without_numbers(&node.world());
            if now == made {
                Ok(())
            } else {
                Err((what.to_owned(), now))
            }
        });
        assert_eq!(
            node.sh("fairlead net setup").done(),
            "nothing to do\n",
            "{what}"
        );
        node.sh("fairlead cluster unset --kw network#app.network")
            .silent();
        node.sh("fairlead net setup").done();
        node.is_as_before(&away, what);
    };
    let prepare = || node.sh(set).silent();
    assert!(killed_at_each(&node, "sendto", "fairlead net setup", prepare, settle) > 0);
}
