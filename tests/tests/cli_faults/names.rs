//! Names that mean something else by now: nobody's links are taken away by them.

use std::time::Instant;

use fairlead_tests::{Node, Place, killed_at_each, patience};
use serde_json::json;

use super::inhabited;

/// A node with the networks `web` and `db`, both in use, and a container `shop` with
/// `eth0` on `web`.
fn with_shop() -> Node {
    let node = inhabited();
    node.networks(&["db=10.40.0.0/24"]);
    node.run("ip netns add shop");
    node.sh("fairlead attach db --netns /run/netns/resident --ifname eth1")
        .done();
    node.sh("fairlead attach web --netns /run/netns/shop --publish 7000:70")
        .done();
    node
}

/// The same, but the namespace is a new one of the same name.
fn replaced() -> Node {
    let node = with_shop();
    node.run("ip netns delete shop");
    node.run("ip netns add shop");
    node
}

/// The same once the kernel has quite forgotten the old namespace: it mostly gives its
/// inode number to the new one, which cannot be told from the old by path and number.
fn replaced_later() -> Node {
    let node = with_shop();
    let number = || node.run("stat -L -c %i /run/netns/shop");
    let (old, start) = (number(), Instant::now());
    node.run("ip netns delete shop");
    node.run("ip netns add shop");
    // If another test keeps the number, it is a case like the one before.
    while number() != old && start.elapsed() < patience() {
        node.run("ip netns delete shop");
        node.run("ip netns add shop");
    }
    node
}

#[test]
fn a_namespace_with_the_number_of_the_old_one_is_another() {
    let node = replaced_later();
    let said = node.sh("fairlead gc").done();
    assert!(
        said.contains("container shop interface eth0 on network web"),
        "{said}"
    );
    node.sh("fairlead attach db --netns /run/netns/shop").done();
    only_the_new_one_is_there(&node, "gc before the new attach");
    let node = replaced_later();
    node.sh("fairlead attach db --netns /run/netns/shop").done();
    let said = node.sh("fairlead gc").done();
    assert!(
        said.contains("container shop interface eth0 on network web"),
        "{said}"
    );
    only_the_new_one_is_there(&node, "gc after the new attach");
}

#[test]
fn a_restarted_container_is_attached_again_by_the_same_name() {
    let node = replaced_later();
    node.sh("fairlead attach web --netns /run/netns/shop --publish 7000:70")
        .done();
    node.existing("shop").ping("10.30.0.1");
    node.sh("fairlead gc").done();
    node.existing("shop").ping("10.30.0.1");
}

/// The new `shop` is on `db` as it should be, and nothing of the old one is left.
#[track_caller]
fn only_the_new_one_is_there(node: &Node, what: &str) {
    let listed = node.sh("fairlead ls -o json").json();
    let listed = listed.as_array().expect("a list");
    let shop: Vec<_> = listed
        .iter()
        .filter(|one| one["container"] == "shop")
        .collect();
    assert_eq!(shop.len(), 1, "{what}: {listed:?}");
    assert_eq!(
        (&shop[0]["network"], &shop[0]["state"]),
        (&json!("db"), &json!("ready")),
        "{what}"
    );
    node.existing("shop").ping("10.40.0.1");
    assert!(!node.run("nft list ruleset").contains("7000"), "{what}");
}

#[test]
fn gc_of_an_old_container_leaves_the_new_one_of_its_name() {
    let node = replaced();
    node.sh("fairlead attach db --netns /run/netns/shop").done();
    let said = node.sh("fairlead gc").done();
    assert!(
        said.contains("container shop interface eth0 on network web"),
        "{said}"
    );
    only_the_new_one_is_there(&node, "gc");
}

#[test]
fn detach_of_an_old_container_leaves_the_new_one_of_its_name() {
    for target in ["--netns /run/netns/shop", "--id shop"] {
        let node = replaced();
        node.sh("fairlead attach db --netns /run/netns/shop").done();
        node.sh(&format!("fairlead detach web {target}")).done();
        only_the_new_one_is_there(&node, target);
    }
}

#[test]
fn gc_of_an_old_container_leaves_a_link_by_hand() {
    let node = replaced();
    node.run("ip -netns shop link add eth0 type veth peer name eth9");
    node.sh("fairlead gc").done();
    node.run("ip -netns shop link show dev eth0");
    assert_eq!(
        node.sh("fairlead ls db -o json").json()[0]["container"],
        "resident"
    );
}

#[test]
fn one_id_in_two_namespaces_harms_nobody() {
    let node = inhabited();
    node.networks(&["db=10.40.0.0/24"]);
    node.sh("fairlead attach db --netns /run/netns/resident --ifname eth1")
        .done();
    node.run("ip netns add shop");
    let before = node.world();
    let ran = node.sh("fairlead attach db --netns /run/netns/shop --id resident");
    if ran.status == Some(0) {
        node.existing("shop").ping("10.40.0.1");
        node.sh("fairlead detach db --id resident --ifname eth0")
            .done();
    } else {
        ran.fails(&["resident", "db"]);
    }
    node.is_as_before(&before, "a second container of the same id");
    node.existing("resident").ping("10.30.0.1");
}

#[test]
fn an_attach_by_a_taken_name_killed_anywhere_takes_nothing_away() {
    let node = inhabited();
    node.networks(&["db=10.40.0.0/24"]);
    let line = "fairlead attach db --netns /run/netns/resident";
    node.sh(&format!("{line} --ifname eth1")).done();
    node.sh("fairlead detach db --netns /run/netns/resident")
        .done();
    let before = node.world();
    for syscall in ["sendto", "pwrite64"] {
        let settle = |what: &str| {
            node.sh("fairlead gc").done();
            node.is_as_before(&before, what);
        };
        killed_at_each(&node, syscall, line, || (), settle);
    }
}
