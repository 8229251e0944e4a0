//! Bad input and faults: the message, the exit status, and nothing left behind.

#[path = "cli_faults/kill.rs"]
mod kill;
#[path = "cli_faults/many.rs"]
mod many;
#[path = "cli_faults/names.rs"]
mod names;
#[path = "cli_faults/plugins.rs"]
mod plugins;

use fairlead_tests::{Node, Place, Server, Transport, UPLINK_V4};
use serde_json::json;

/// A node with a network and a container on it that is there all the time.
fn inhabited() -> Node {
    let node = Node::new();
    node.networks(&["web=10.30.0.0/24 fd00:30::/64"]);
    node.run("ip netns add resident");
    let line = "fairlead attach web --netns /run/netns/resident --publish 8080:80/tcp -p 5353:53/udp \
                --object demo/svc/resident";
    node.sh(line).done();
    node
}

/// What is asked, the container `shop` shortened, and what is told.
const CANNOT: [(&str, &[&str]); 24] = [
    (
        "web --netns /run/netns/away",
        &["/run/netns/away", "No such file", "web"],
    ),
    (
        "web --netns /etc/hostname",
        &["/etc/hostname", "not a network namespace", "web"],
    ),
    (
        "web --netns /run/uts",
        &["/run/uts", "not a network namespace", "web"],
    ),
    (
        "web --netns /run/netns --id x",
        &["/run/netns", "web", "namespace"],
    ),
    (
        "web --netns /proc/self/ns/net --id x",
        &["/proc/self/ns/net", "--pid"],
    ),
    ("web --pid 99999999", &["99999999", "No such", "web"]),
    (
        "nowhere SHOP",
        &["nowhere", "default, lo, web", "network#nowhere.network"],
    ),
    (
        "web SHOP --ip 10.30.0.2",
        &["web", "10.30.0.2", "not available"],
    ),
    ("web SHOP --ip 10.30.0.1", &["web", "10.30.0.1", "gateway"]),
    ("web SHOP --ip 10.99.0.9", &["web", "10.99.0.9", "allocate"]),
    (
        "web SHOP --ip fd00:30::2",
        &["web", "fd00:30::2", "not available"],
    ),
    (
        "web SHOP --ip 10.30.0.9 --ip fd00:99::9",
        &["web", "fd00:99::9", "allocate"],
    ),
    (
        "web SHOP --mac 01:00:5e:00:00:01",
        &["web", "01:00:5e:00:00:01", "one interface"],
    ),
    (
        "web SHOP --publish 8080:8080",
        &["tcp port 8080", "container resident", "web"],
    ),
    (
        "web SHOP -p 5353:1/udp",
        &["udp port 5353", "container resident", "web"],
    ),
    (
        "web SHOP -p 198.51.100.1:8080:1",
        &["tcp port 8080", "container resident", "web"],
    ),
    (
        "web SHOP -p 8078-8082:1-5",
        &["tcp port 8080", "container resident", "web"],
    ),
    ("web SHOP -p 7000:1 -p 7000:2", &["7000", "tcp"]),
    ("web SHOP -p 7000-7002:1-3 -p 7001:9", &["7001", "tcp"]),
    (
        "lo SHOP --publish 80:80",
        &["--publish", "portMappings", "lo"],
    ),
    ("lo SHOP --ip 127.0.0.2", &["--ip", "\"ips\"", "lo"]),
    (
        "lo SHOP --mac 02:00:00:00:00:07",
        &["--mac", "\"mac\"", "lo"],
    ),
    ("web SHOP --ifname lo", &["lo", "web", "exist"]),
    (
        "web --netns /run/netns/resident",
        &["resident", "attached already", "--ifname"],
    ),
];

#[test]
fn what_cannot_be_attached_is_told_and_leaves_nothing() {
    let node = inhabited();
    let _shop = node.sandbox("shop");
    node.write("/run/uts", "");
    node.run("mount --bind /proc/self/ns/uts /run/uts");
    let before = node.world();
    for (rest, words) in CANNOT {
        let rest = rest.replace("SHOP", "--netns /run/netns/shop");
        let line = format!("fairlead attach {rest}");
        node.sh(&line).fails(words);
        node.is_as_before(&before, &line);
    }
}

#[test]
fn a_line_that_cannot_be_meant_is_refused_before_anything_is_done() {
    let node = inhabited();
    let _shop = node.sandbox("shop");
    let before = node.world();
    for (rest, words) in [
        ("--object /x", ["--object", "/x"]),
        ("--object 'a b'", ["--object", "a b"]),
        ("--object ''", ["--object", "empty"]),
        ("--id ../x", ["--id", "../x"]),
        (
            "--ifname abcdefghijklmnop",
            ["--ifname", "abcdefghijklmnop"],
        ),
        ("--ifname a/b", ["--ifname", "a/b"]),
        ("--ifname ..", ["--ifname", ".."]),
        ("--ip 10.30.0.300", ["--ip", "10.30.0.300"]),
        ("--ip 10.30.0.0/24", ["--ip", "10.30.0.0/24"]),
        ("--mac 02:00:00:00:00", ["--mac", "02:00:00:00:00"]),
        ("--pid 1", ["--pid", "--netns"]),
        ("--publish 80", ["80", "publishes nothing"]),
        ("--publish 0:80", ["0:80", "is no port"]),
        ("--publish 80:65536", ["65536", "is no port"]),
        ("--publish 80:http", ["http", "is no port"]),
        ("--publish 80:80/icmp", ["icmp", "tcp, udp and sctp"]),
        ("--publish 80-82:80-81", ["80-82:80-81", "differ in length"]),
        ("--publish 82-80:82-80", ["82-80:82-80", "backwards"]),
        ("--publish 2001:db8::1:80:80", ["2001:db8::1", "brackets"]),
        ("--publish ''", ["publish", "nothing"]),
    ] {
        let line = format!("fairlead attach web --netns /run/netns/shop {rest}");
        node.sh(&line).is_no_command(&words);
    }
    for (line, word) in [
        ("fairlead attach web", "--netns"),
        ("fairlead attach --netns /run/netns/shop", "NETWORK"),
        ("fairlead attach we/b --netns /run/netns/shop", "we/b"),
        ("fairlead attach web --pid minus", "minus"),
        ("fairlead detach web", "--netns"),
        ("fairlead detach --object ..", ".."),
        ("fairlead net frobnicate", "frobnicate"),
        ("fairlead frobnicate", "frobnicate"),
        ("fairlead", "Usage"),
    ] {
        node.sh(line).is_no_command(&[word]);
    }
    node.is_as_before(&before, "every refused line");
}

#[test]
fn a_full_range_is_told_and_a_freed_address_serves_again() {
    let node = Node::new();
    node.networks(&["small=10.62.0.0/29"]);
    for i in 2..=7 {
        node.run(&format!("ip netns add c{i}"));
    }
    for i in 2..=6 {
        node.sh(&format!("fairlead attach small --netns /run/netns/c{i}"))
            .done();
    }
    let before = node.world();
    let line = "fairlead attach small --netns /run/netns/c7 --publish 8080:80";
    node.sh(line)
        .fails(&["small", "no IP addresses available", "10.62.0.1-10.62.0.6"]);
    node.is_as_before(&before, line);
    node.sh("fairlead detach --id c4").done();
    let attached = node.sh(&format!("{line} -o json")).json();
    assert_eq!(attached["addresses"], json!(["10.62.0.4"]));
    // What died without a word is found by gc.
    node.run("ip netns delete c5");
    node.sh("fairlead gc").done();
    node.sh("fairlead detach --id c7").done();
    let again = node.sh(&format!("{line} -o json")).json();
    assert_eq!(
        again["addresses"],
        json!(["10.62.0.5"]),
        "a freed address rests as long as it can"
    );
}

#[test]
fn a_refused_port_leaves_the_holder_as_it_was() {
    let node = inhabited();
    let _shop = node.sandbox("shop");
    let place = node.existing("resident");
    let _server = Server::start(&place, Transport::Tcp, 80, "resident");
    let ask = || Transport::Tcp.ask(&node.outside(), UPLINK_V4, 8080).text;
    assert_eq!(ask(), "resident");
    let line = "fairlead attach web --netns /run/netns/shop -p 8079-8081:79-81";
    node.sh(line)
        .fails(&["8080", "container resident interface eth0 on network web"]);
    assert_eq!(ask(), "resident");
    // Freed, it can be had.
    node.sh("fairlead detach --id resident").done();
    node.sh(line).done();
    Transport::Tcp.nobody(&node.outside(), UPLINK_V4, 8080);
}

#[test]
fn a_bridge_name_that_another_link_has_is_told() {
    let node = inhabited();
    let _shop = node.sandbox("shop");
    node.run("ip link add obr_app type veth peer name other");
    let set = "fairlead cluster set --kw network#app.network=10.31.0.0/24";
    node.sh(set).silent();
    let before = node.world();
    let line = "fairlead attach app --netns /run/netns/shop";
    node.sh(line).fails(&["app", "obr_app", "bridge"]);
    node.is_as_before(&before, line);
    // Without setup the first attach makes the bridge, which may stay; nothing else does.
    node.run("ip link delete obr_app");
    let line = "fairlead attach app --netns /run/netns/shop --publish 8080:80";
    node.sh(line).fails(&["8080", "resident"]);
    assert_eq!(node.sh("fairlead ls app -o json").json(), json!([]));
    let before = node.world();
    node.sh(line).fails(&["8080", "resident"]);
    node.is_as_before(&before, line);
}

#[test]
fn a_name_that_is_taken_in_the_container_is_told() {
    let node = inhabited();
    let shop = node.sandbox("shop");
    shop.run("ip link add eth0 type veth peer name eth9");
    let before = node.world();
    let line = "fairlead attach web --netns /run/netns/shop";
    node.sh(line).fails(&["web", "eth0", "exist"]);
    node.is_as_before(&before, line);
    node.sh("fairlead attach web --netns /run/netns/shop --ifname eth1")
        .done();
    shop.ping("10.30.0.1");
}

#[test]
fn a_damaged_state_is_told_and_nothing_is_done() {
    let node = inhabited();
    let _shop = node.sandbox("shop");
    let db = node.run("find /run/fairlead-root -name node.db");
    let db = db.trim();
    node.run(&format!("mv {db} {db}.good"));
    node.run(&format!("rm -f {db}-wal {db}-shm"));
    node.write(db, "this is no database, and long enough to have a header of a hundred bytes or so, really: ....................");
    let links = node.snapshot();
    let line = "fairlead attach web --netns /run/netns/shop";
    node.sh(line).fails(&["node.db"]);
    node.sh("fairlead ls").fails(&["node.db"]);
    node.sh("fairlead gc").fails(&["node.db"]);
    assert_eq!(node.snapshot(), links);
    assert!(!node.read(db).is_empty());
}

#[test]
fn a_second_network_by_the_same_name_leaves_the_first() {
    let node = inhabited();
    node.networks(&["db=10.40.0.0/24"]);
    node.sh("fairlead attach db --netns /run/netns/resident --ifname eth1")
        .done();
    node.sh("fairlead detach db --netns /run/netns/resident")
        .done();
    let before = node.world();
    let line = "fairlead attach db --netns /run/netns/resident";
    node.sh(line).fails(&["db", "eth0", "exist"]);
    node.is_as_before(&before, line);
    node.existing("resident").ping("10.30.0.1");
}
