//! Giving out and taking back, over real state files.

use crate::support::{Node, addrs, ip, owner, sets};
use fairlead_ipam::{AllocateError, IpamError, Usage, check, pool_usage, release};
use fairlead_store::NetnsRef;

const NONE: (&[std::net::IpAddr], Option<&NetnsRef>) = (&[], None);

#[test]
fn addresses_go_round() {
    let node = Node::new();
    let mut store = node.open();
    let sets = sets(r#"{"subnet":"10.1.0.0/29"}"#);
    let mut give = |name: &str| addrs(&node.add(&mut store, &sets, name, NONE).unwrap());
    assert_eq!(give("a"), [ip("10.1.0.2")]);
    assert_eq!(give("b"), [ip("10.1.0.3")]);
    let mut store = node.open();
    assert_eq!(
        release(&mut store, &node.pool, &owner("a")).unwrap(),
        [ip("10.1.0.2")]
    );
    assert!(
        release(&mut store, &node.pool, &owner("a"))
            .unwrap()
            .is_empty()
    );
    for (name, addr) in [("c", 4), ("d", 5), ("e", 6), ("f", 2)] {
        let given = node.add(&mut store, &sets, name, NONE).unwrap();
        assert_eq!(addrs(&given), [ip(&format!("10.1.0.{addr}"))], "{name}");
    }
    let error = node.add(&mut store, &sets, "g", NONE).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-10.1.0.6"
    );
    let lease = node.add(&mut store, &sets, "a", (&[], None));
    assert!(lease.is_err());
    let usage = pool_usage(&store.view(), &node.pool, &sets).unwrap();
    assert_eq!(usage, [Usage { used: 5, size: 5 }]);
}

#[test]
fn a_lease_has_the_prefix_and_the_gateway() {
    let node = Node::new();
    let mut store = node.open();
    let sets = sets(
        r#"{"ranges":[[{"subnet":"10.1.0.0/24","rangeStart":"10.1.0.100","gateway":"10.1.0.254"}],[{"subnet":"fd00::/64"}]]}"#,
    );
    let given = node.add(&mut store, &sets, "a", NONE).unwrap();
    let text: Vec<_> = given.leases.iter().map(|l| l.address.to_string()).collect();
    assert_eq!(text, ["10.1.0.100/24", "fd00::2/64"]);
    assert_eq!(given.leases[0].gateway, Some(ip("10.1.0.254")));
    assert_eq!(given.leases[1].gateway, Some(ip("fd00::1")));
    let held = check(&mut store, &node.pool, &owner("a")).unwrap();
    assert_eq!(held, [ip("10.1.0.100"), ip("fd00::2")]);
    let error = check(&mut store, &node.pool, &owner("b")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "host-local: Failed to find address added by container b"
    );
}

#[test]
fn network_broadcast_and_gateway_are_never_given() {
    let node = Node::new();
    let mut store = node.open();
    let all = sets(
        r#"{"subnet":"10.1.0.0/29","rangeStart":"10.1.0.0","rangeEnd":"10.1.0.7","gateway":"10.1.0.4"}"#,
    );
    assert_eq!(all[0].size(), 5);
    let mut given = Vec::new();
    for number in 0..5 {
        let allocation = node
            .add(&mut store, &all, &format!("c{number}"), NONE)
            .unwrap();
        given.extend(addrs(&allocation));
    }
    assert_eq!(
        given,
        ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.5", "10.1.0.6"].map(ip)
    );
    assert!(node.add(&mut store, &all, "x", NONE).is_err());
    for (addr, words) in [
        ("10.1.0.0", "failed to allocate all requested IPs: 10.1.0.0"),
        ("10.1.0.7", "failed to allocate all requested IPs: 10.1.0.7"),
        (
            "10.1.0.4",
            "failed to allocate for range 0: requested ip 10.1.0.4 is subnet's gateway",
        ),
        (
            "10.1.0.5",
            "failed to allocate for range 0: requested IP address 10.1.0.5 is not available in range set 10.1.0.0-10.1.0.7",
        ),
    ] {
        release(&mut store, &node.pool, &owner("c0")).unwrap();
        let asked = [ip(addr)];
        let error = node.add(&mut store, &all, "x", (&asked, None)).unwrap_err();
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn a_duplicate_is_refused() {
    let node = Node::new();
    let mut store = node.open();
    let sets = sets(r#"{"subnet":"10.1.0.0/24"}"#);
    node.add(&mut store, &sets, "x1", (&[ip("10.1.0.50")], None))
        .unwrap();
    let error = node.add(&mut store, &sets, "x1", NONE).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to allocate for range 0: 10.1.0.50 has been allocated to x1, duplicate allocation is not allowed"
    );
    // The search goes on after the address that was asked for.
    assert_eq!(
        addrs(&node.add(&mut store, &sets, "x2", NONE).unwrap()),
        [ip("10.1.0.51")]
    );
}

#[test]
fn a_failure_leaves_nothing() {
    let node = Node::new();
    let mut store = node.open();
    let both = sets(
        r#"{"ranges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00::/126","rangeEnd":"fd00::2"}]]}"#,
    );
    node.add(&mut store, &both, "a", NONE).unwrap();
    let error = node.add(&mut store, &both, "b", NONE).unwrap_err();
    let full = matches!(
        &error,
        IpamError::Allocate {
            index: 1,
            source: AllocateError::Full(_)
        }
    );
    assert!(full, "{error}");
    assert_eq!(
        store.view().addresses().unwrap().len(),
        2,
        "only those of a"
    );
    let asked = [ip("10.1.0.9"), ip("10.7.7.7"), ip("fe80::1")];
    let v4 = &both[..1];
    let error = node.add(&mut store, v4, "b", (&asked, None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to allocate all requested IPs: 10.7.7.7 fe80::1"
    );
    let given = node.add(&mut store, v4, "b", NONE).unwrap();
    assert_eq!(
        addrs(&given),
        [ip("10.1.0.3")],
        "the cursor has not moved either"
    );
}

/// A namespace that is there, and one that had the same path before.
fn live_and_gone(node: &Node) -> (NetnsRef, NetnsRef) {
    let path = node.dir.path().join("ns");
    std::fs::write(&path, "").unwrap();
    let live = NetnsRef::of(&path).unwrap();
    let gone = NetnsRef {
        ino: live.ino + 1,
        ..live.clone()
    };
    (live, gone)
}

#[test]
fn addresses_of_gone_namespaces_are_reclaimed_when_there_is_no_other() {
    let node = Node::new();
    let mut store = node.open();
    let (live, gone) = live_and_gone(&node);
    let sets = sets(r#"{"subnet":"10.1.0.0/29"}"#);
    for (name, netns) in [
        ("a", &live),
        ("b", &gone),
        ("c", &gone),
        ("d", &live),
        ("e", &live),
    ] {
        let given = node
            .add(&mut store, &sets, name, (&[], Some(netns)))
            .unwrap();
        assert!(given.reclaimed.is_empty(), "{name}");
    }
    let given = node
        .add(&mut store, &sets, "f", (&[], Some(&live)))
        .unwrap();
    assert_eq!(addrs(&given), [ip("10.1.0.3")]);
    assert_eq!(given.reclaimed, [owner("b"), owner("c")]);
    let given = node
        .add(&mut store, &sets, "g", (&[], Some(&gone)))
        .unwrap();
    assert_eq!(addrs(&given), [ip("10.1.0.4")]);
    // One that is asked for by name, and held by nobody alive.
    let given = node
        .add(&mut store, &sets, "h", (&[ip("10.1.0.4")], Some(&live)))
        .unwrap();
    assert_eq!(given.reclaimed, [owner("g")]);
    let error = node
        .add(&mut store, &sets, "i", (&[], Some(&live)))
        .unwrap_err();
    assert!(
        error.to_string().contains("no IP addresses available"),
        "{error}"
    );
}

#[test]
fn a_container_that_died_and_is_started_again_under_its_name_gets_an_address() {
    let node = Node::new();
    let mut store = node.open();
    let (live, gone) = live_and_gone(&node);
    let sets = sets(r#"{"subnet":"10.1.0.0/29"}"#);
    node.add(&mut store, &sets, "a", (&[], Some(&gone)))
        .unwrap();
    let given = node
        .add(&mut store, &sets, "a", (&[], Some(&live)))
        .unwrap();
    assert_eq!(given.reclaimed, [owner("a")]);
    let error = node
        .add(&mut store, &sets, "a", (&[], Some(&live)))
        .unwrap_err();
    assert!(error.to_string().contains("duplicate"), "{error}");
}

#[test]
fn a_reclaimed_request_does_not_keep_another_range_from_being_reclaimed() {
    let node = Node::new();
    let mut store = node.open();
    let (live, gone) = live_and_gone(&node);
    let mut both = sets(r#"{"subnet":"10.1.0.0/24"}"#);
    both.extend(sets(r#"{"subnet":"fd00::/126"}"#));
    for name in ["a", "b"] {
        node.add(&mut store, &both, name, (&[], Some(&gone)))
            .unwrap();
    }
    let given = node
        .add(&mut store, &both, "c", (&[ip("10.1.0.2")], Some(&live)))
        .unwrap();
    assert_eq!(given.leases.len(), 2);
}

#[test]
fn two_hundred_at_once_get_two_hundred_addresses() {
    let node = Node::new();
    let sets = sets(r#"{"subnet":"10.1.0.0/24"}"#);
    let mut given: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..200)
            .map(|number| {
                let (node, sets) = (&node, &sets);
                scope.spawn(move || {
                    let name = format!("c{number}");
                    let allocation = node.add(&mut node.open(), sets, &name, NONE).unwrap();
                    addrs(&allocation)[0]
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    given.sort_unstable();
    let expected: Vec<_> = (2..202).map(|n| ip(&format!("10.1.0.{n}"))).collect();
    assert_eq!(given, expected);
}

#[test]
fn processes_at_once_get_different_addresses() {
    const FILE: &str = "IPAM_TEST_DIR";
    const EACH: usize = 5;
    let sets = sets(r#"{"subnet":"10.1.0.0/24"}"#);
    if let Some(dir) = std::env::var_os(FILE) {
        // A child of the test below.
        let mut node = Node::new();
        node.dir = tempfile::Builder::new().tempdir_in(&dir).unwrap();
        let file = std::path::Path::new(&dir).join("state/node.db");
        for number in 0..EACH {
            let boot = fairlead_store::BootId::new("boot");
            let mut store = fairlead_store::Store::open_file(&file, &boot).unwrap();
            let name = format!("p{}-{number}", std::process::id());
            node.add(&mut store, &sets, &name, NONE).unwrap();
        }
        return;
    }
    let node = Node::new();
    let children: Vec<_> = (0..40)
        .map(|_| {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "allocate::processes_at_once_get_different_addresses",
                ])
                .env(FILE, node.dir.path())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let rows = node.open().view().addresses().unwrap();
    let given: Vec<_> = rows.iter().map(|row| row.addr).collect();
    let expected: Vec<_> = (2..2 + 40 * EACH)
        .map(|n| ip(&format!("10.1.0.{n}")))
        .collect();
    assert_eq!(given, expected);
}
