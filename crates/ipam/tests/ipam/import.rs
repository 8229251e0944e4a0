//! Taking over a directory of the reference plugin.

use crate::support::{Node, addrs, ip, owner, sets};
use fairlead_ipam::{Pool, check, import_host_local, release};
use fairlead_types::Root;
use std::path::Path;

fn write(dir: &Path, file: &str, text: &str) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join(file), text).unwrap();
}

#[test]
fn the_first_use_takes_over_what_is_there() {
    let node = Node::new();
    let mut store = node.open();
    let dir = node.pool.host_local();
    write(dir, "10.1.0.2", "one\r\neth0");
    write(dir, "10.1.0.3", "two\r\nnet1\r\n");
    write(dir, "10.1.0.6", "old-format");
    write(dir, "10.1.0.7", "");
    write(dir, "10.1.0.9", "bad/id\r\neth0");
    write(dir, "fd00::5", "one\r\neth0");
    write(dir, "last_reserved_ip.0", "10.1.0.5");
    write(dir, "last_reserved_ip.x", "10.1.0.5");
    write(dir, "lock", "");
    write(dir, "README", "hello");
    std::fs::create_dir(dir.join("10.1.0.8")).unwrap();

    let sets = sets(r#"{"subnet":"10.1.0.0/24"}"#);
    let given = node.add(&mut store, &sets, "new", (&[], None)).unwrap();
    assert_eq!(
        addrs(&given),
        [ip("10.1.0.8")],
        "after the last one, beside what is taken"
    );
    let report = given.imported.unwrap();
    let imported: Vec<_> = report
        .imported
        .iter()
        .map(|(addr, owner)| format!("{addr} {} {}", owner.container, owner.ifname))
        .collect();
    assert_eq!(
        imported,
        [
            "10.1.0.2 one eth0",
            "10.1.0.3 two net1",
            "10.1.0.6 old-format eth0",
            "fd00::5 one eth0"
        ]
    );
    let mut unclaimed: Vec<_> = report.unclaimed.iter().map(|i| i.file.as_str()).collect();
    unclaimed.sort_unstable();
    assert_eq!(unclaimed, ["10.1.0.7", "10.1.0.9"]);
    let mut ignored: Vec<_> = report.ignored.iter().map(|i| i.file.as_str()).collect();
    ignored.sort_unstable();
    assert_eq!(ignored, ["10.1.0.8", "README", "last_reserved_ip.x"]);

    // Once only: what comes into the directory later is not looked at.
    write(dir, "10.1.0.10", "late\r\neth0");
    let given = node.add(&mut store, &sets, "next", (&[], None)).unwrap();
    assert_eq!(given.imported, None);
    assert_eq!(addrs(&given), [ip("10.1.0.10")]);
}

#[test]
fn a_container_of_the_reference_plugin_can_be_checked_and_released() {
    let node = Node::new();
    let mut store = node.open();
    write(node.pool.host_local(), "10.1.0.2", "one\r\neth0");
    assert_eq!(
        check(&mut store, &node.pool, &owner("one")).unwrap(),
        [ip("10.1.0.2")]
    );
    assert_eq!(
        release(&mut store, &node.pool, &owner("one")).unwrap(),
        [ip("10.1.0.2")]
    );
    assert!(check(&mut store, &node.pool, &owner("one")).is_err());

    let node = Node::new();
    let mut store = node.open();
    write(node.pool.host_local(), "10.1.0.2", "one\r\neth0");
    assert_eq!(
        release(&mut store, &node.pool, &owner("one")).unwrap(),
        [ip("10.1.0.2")]
    );
    let report = store
        .write(|tx| import_host_local(tx, &node.pool, node.pool.host_local()))
        .unwrap();
    assert_eq!(report.imported.len(), 1, "by hand it can be done again");
}

#[test]
fn a_directory_that_cannot_be_read_stops_the_allocation() {
    let node = Node::new();
    let dir = node.pool.host_local();
    write(
        dir.parent().unwrap(),
        "net1",
        "a file where the directory should be",
    );
    let sets = sets(r#"{"subnet":"10.1.0.0/24"}"#);
    let error = node
        .add(&mut node.open(), &sets, "a", (&[], None))
        .unwrap_err();
    assert!(error.to_string().contains(dir.to_str().unwrap()), "{error}");
    assert!(node.open().view().addresses().unwrap().is_empty());
}

#[test]
fn a_directory_of_its_own_makes_a_pool_of_its_own() {
    let network = "net1".parse().unwrap();
    let root = Root::new("/r");
    let pool = |dir: Option<&str>| Pool::new(&root, &network, dir.map(Path::new));
    assert_eq!(pool(None).id(), "net1");
    assert_eq!(
        pool(None).host_local(),
        Path::new("/r/var/lib/cni/networks/net1")
    );
    assert_eq!(pool(Some("/var/lib/cni/networks")), pool(None));
    assert_eq!(pool(Some("/srv")).id(), "/srv/net1");
    assert_eq!(pool(Some("/srv")).host_local(), Path::new("/srv/net1"));
}
