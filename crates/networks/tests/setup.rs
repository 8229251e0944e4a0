//! Setup on the real kernel, judged by `ip -j` and `nft`.

mod common;

use common::Node;

const WEB: &str = "[network#web]\nnetwork = 10.30.0.0/24 fd00:30::/64\n";

fn sysctl(node: &Node, key: &str) -> String {
    node.run(&format!("cat /proc/sys/net/{key}"))
        .trim()
        .to_owned()
}

#[test]
fn a_declared_network_gets_its_bridge_and_file_and_a_second_setup_changes_nothing() {
    let node = Node::new();
    node.files.declare(WEB);
    let dry = node.try_setup(true).unwrap();
    assert_eq!(node.links(), Vec::<String>::new());
    assert_eq!(node.files.names(), Vec::<String>::new());
    let steps = node.complete();
    assert_eq!(
        steps,
        dry.steps
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    );

    let link = &node.ip("link show obr_web")[0];
    assert_eq!(link["linkinfo"]["info_kind"], "bridge");
    assert_eq!(link["address"], "0a:58:0a:1e:00:01");
    assert_eq!(link["ifalias"], "fairlead network#web");
    assert!(link["flags"].as_array().unwrap().contains(&"UP".into()));
    assert_eq!(node.addresses("obr_web"), ["10.30.0.1/24", "fd00:30::1/64"]);
    let shown = node.ip("address show dev obr_web");
    let six = shown[0]["addr_info"].as_array().unwrap().clone();
    let six = six
        .iter()
        .find(|a| a["local"] == "fd00:30::1")
        .unwrap()
        .clone();
    assert_eq!(six["nodad"], true, "{six}");
    assert_eq!(sysctl(&node, "ipv6/conf/obr_web/accept_ra"), "0");
    assert_eq!(sysctl(&node, "ipv4/ip_forward"), "1");
    assert_eq!(sysctl(&node, "ipv6/conf/all/forwarding"), "1");
    let set = node.run("nft list set inet fairlead networks4");
    assert!(set.contains("10.30.0.0/24"), "{set}");
    assert!(
        node.run("nft list set inet fairlead networks6")
            .contains("fd00:30::/64")
    );
    assert_eq!(node.files.names(), ["web.conflist"]);

    let before = node.state();
    assert_eq!(node.complete(), Vec::<String>::new());
    assert_eq!(node.state(), before);
}

#[test]
fn a_change_of_the_range_changes_just_that() {
    let node = Node::new();
    let other = "[network#other]\nnetwork = 10.50.0.0/24\n";
    node.files.declare(&format!("{WEB}{other}"));
    node.complete();
    let index = node.ip("link show obr_web")[0]["ifindex"].clone();
    // The same IPv6 address with another prefix length cannot be there twice.
    node.files.declare(&format!(
        "[network#web]\nnetwork = 10.40.0.0/24 fd00:30::/48\n{other}"
    ));
    let steps = node.complete();
    let file = node.files.cni("web.conflist");
    assert_eq!(
        steps,
        [
            "remove 10.30.0.1/24 from obr_web".to_owned(),
            "remove fd00:30::1/64 from obr_web".to_owned(),
            "add 10.40.0.1/24 to obr_web".to_owned(),
            "add fd00:30::1/48 to obr_web".to_owned(),
            format!("rewrite {}", file.display()),
            "declare to the firewall the ranges 10.40.0.0/24, 10.50.0.0/24, fd00:30::/48"
                .to_owned(),
        ]
    );
    assert_eq!(node.addresses("obr_web"), ["10.40.0.1/24", "fd00:30::1/48"]);
    assert_eq!(node.ip("link show obr_web")[0]["ifindex"], index);
    assert!(
        std::fs::read_to_string(file)
            .unwrap()
            .contains("10.40.0.0/24")
    );
    assert_eq!(node.complete(), Vec::<String>::new());
}

#[test]
fn a_removal_removes_what_was_made_and_nothing_else() {
    let node = Node::new();
    node.run("ip link add br0 type bridge");
    node.run("ip link set br0 up");
    node.run("ip address add 192.168.9.1/24 dev br0");
    let mine = r#"{"cniVersion":"1.0.0","name":"mine","type":"ptp"}"#;
    node.files.write("mine.conf", mine);
    node.files.declare("");
    assert_eq!(node.complete(), Vec::<String>::new());
    let addresses = node.addresses("br0");
    node.files.declare(WEB);
    node.complete();
    node.files.declare("");
    let steps = node.complete();
    assert_eq!(steps.len(), 3, "{steps:?}");
    assert_eq!(node.links(), ["br0"]);
    assert_eq!(node.addresses("br0"), addresses);
    assert_eq!(node.files.names(), ["mine.conf"]);
    assert_eq!(node.run("nft list ruleset"), "");
    assert_eq!(node.complete(), Vec::<String>::new());
}

#[test]
fn a_foreign_bridge_is_used_as_it_is_and_given_back_as_it_was() {
    let node = Node::new();
    node.run("ip link add br0 type bridge");
    node.run("ip link set br0 up alias uplink");
    let before = node.ip("link show br0")[0].clone();
    node.files
        .declare("[network#lan]\nnetwork = 10.60.0.0/24\ndev = br0\n");
    node.complete();
    assert_eq!(node.addresses("br0"), ["10.60.0.1/24"]);
    assert_eq!(node.ip("link show br0")[0]["ifalias"], "uplink");
    assert_eq!(node.ip("link show br0")[0]["address"], before["address"]);
    node.files
        .declare("[network#lan]\nnetwork = 10.61.0.0/24\ndev = br0\n");
    node.complete();
    assert_eq!(node.addresses("br0"), ["10.61.0.1/24"]);
    node.files.declare("");
    node.complete();
    assert_eq!(node.addresses("br0"), Vec::<String>::new());
    assert_eq!(node.links(), ["br0"]);

    node.run("ip address add 10.9.9.9/24 dev br0");
    node.files
        .declare("[network#lan]\nnetwork = 10.60.0.0/24\ndev = br0\n");
    let (_, problems) = node.setup();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("has 10.9.9.9/24 where containers expect 10.60.0.1/24"));
    assert_eq!(node.addresses("br0"), ["10.9.9.9/24"]);
}

#[test]
fn a_bridge_that_dev_names_and_nobody_made_is_ours() {
    let node = Node::new();
    node.files
        .declare("[network#lan]\nnetwork = 10.60.0.0/24\ndev = br-lan\n");
    node.complete();
    assert_eq!(node.links(), ["br-lan"]);
    // A change of the bridge removes the one that setup had made.
    node.files
        .declare("[network#lan]\nnetwork = 10.60.0.0/24\n");
    node.complete();
    assert_eq!(node.links(), ["obr_lan"]);
    node.files.declare("");
    node.complete();
    assert_eq!(node.links(), Vec::<String>::new());
}

#[test]
fn a_port_keeps_the_bridge_until_it_is_gone() {
    let node = Node::new();
    node.files.declare(WEB);
    node.complete();
    node.run("ip link add v0 type veth peer name v1");
    node.run("ip link set v0 master obr_web");
    node.files.declare("");
    let (_, problems) = node.setup();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("1 containers are still on it: detach them first"));
    assert_eq!(node.addresses("obr_web"), ["10.30.0.1/24", "fd00:30::1/64"]);
    node.run("ip link delete v0");
    assert_eq!(node.complete(), ["delete bridge obr_web of network web"]);
    assert_eq!(node.links(), Vec::<String>::new());
}

#[test]
fn a_name_that_is_another_kind_of_link_is_said_and_left() {
    let node = Node::new();
    node.run("ip link add obr_web type veth peer name v1");
    node.files
        .declare(&format!("{WEB}[network#other]\nnetwork = 10.50.0.0/24\n"));
    let (_, problems) = node.setup();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].contains("obr_web is a link of kind veth and no bridge"),
        "{problems:?}"
    );
    assert_eq!(node.links(), ["obr_other", "obr_web", "v1"]);
    assert_eq!(node.files.names(), ["other.conflist"]);
}

#[test]
fn what_a_killed_setup_left_is_swept_and_finished() {
    let node = Node::new();
    node.files.write(".fairlead-web.conflist.tmp", "{\"cniVers");
    node.run("ip link add obr_web type bridge");
    node.files.declare(WEB);
    node.complete();
    assert_eq!(node.files.names(), ["web.conflist"]);
    assert_eq!(
        node.ip("link show obr_web")[0]["ifalias"],
        "fairlead network#web"
    );
    assert_eq!(node.complete(), Vec::<String>::new());
    node.files.declare("");
    node.complete();
    assert_eq!(node.links(), Vec::<String>::new());
    assert_eq!(node.files.names(), Vec::<String>::new());
}

#[test]
fn a_file_written_by_hand_stays_and_is_said() {
    let node = Node::new();
    let hand = r#"{"cniVersion":"1.0.0","name":"web","plugins":[{"type":"ptp"}]}"#;
    for name in ["web.conflist", "10-web.conflist"] {
        node.files.write(name, hand);
        node.files.declare(WEB);
        let (_, problems) = node.setup();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(name) && problems[0].contains("remove or rename it"));
        assert_eq!(std::fs::read_to_string(node.files.cni(name)).unwrap(), hand);
        assert_eq!(node.links(), ["obr_web"]);
        std::fs::remove_file(node.files.cni(name)).unwrap();
        node.complete();
        assert_eq!(node.files.names(), ["web.conflist"]);
    }
}

#[test]
fn a_file_that_was_changed_by_hand_is_mended_and_its_mode_is_for_all() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::new();
    node.files.declare(WEB);
    node.complete();
    let path = node.files.cni("web.conflist");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("10.30.0.0/24", "10.31.0.0/24")).unwrap();
    assert_eq!(node.complete(), [format!("rewrite {}", path.display())]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o644
    );
}

#[test]
fn a_directory_that_cannot_be_made_takes_the_bridge_back() {
    let node = Node::new();
    node.files
        .declare(&format!("[cni]\nconfig = /dev/null/net.d\n{WEB}"));
    let (steps, problems) = node.setup();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("network web: make directory /dev/null/net.d"),
        "{problems:?}"
    );
    assert!(!steps.iter().any(|s| s.contains("obr_web")), "{steps:?}");
    assert_eq!(node.links(), Vec::<String>::new());
}

#[test]
fn overlapping_networks_are_said_and_another_is_made() {
    let node = Node::new();
    node.files.declare(
        "[network#a]\nnetwork = 10.1.0.0/16\n[network#b]\nnetwork = 10.1.2.0/24\n\
         [network#c]\nnetwork = 10.2.0.0/24\n[network#w]\ntype = weave\nnetwork = 10.3.0.0/24\n",
    );
    let (_, problems) = node.setup();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(node.links(), ["obr_c"]);
    assert_eq!(node.files.names(), ["c.conflist", "w.conflist"]);
}

#[test]
fn a_record_that_cannot_be_read_names_the_file() {
    let node = Node::new();
    node.files.declare(WEB);
    node.complete();
    let record = node.files.config().root().run().join("networks.json");
    assert!(record.exists());
    std::fs::write(&record, "{").unwrap();
    let error = node.try_setup(false).unwrap_err().to_string();
    assert!(
        error.contains("networks.json") && error.contains("remove the file"),
        "{error}"
    );
}

#[test]
fn two_setups_at_once_wait_for_each_other() {
    let node = Node::new();
    node.files.declare(WEB);
    let reports = std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| node.setup()));
        both.map(|thread| thread.join().unwrap())
    });
    let mut counts = reports.map(|(steps, problems)| (steps.len(), problems.len()));
    counts.sort_unstable();
    assert_eq!(counts[0], (0, 0), "the second finds everything made");
    assert_eq!(counts[1].1, 0);
    assert!(counts[1].0 > 0);
}

#[test]
fn an_address_on_a_bridge_that_was_made_anew_is_not_ours() {
    let node = Node::new();
    node.run("ip link add br0 type bridge");
    node.files
        .declare("[network#lan]\nnetwork = 10.60.0.0/24\ndev = br0\n");
    node.run("ip link set br0 alias uplink");
    node.complete();
    node.run("ip link delete br0");
    node.run("ip link add br0 type bridge");
    node.run("ip address add 10.60.0.1/24 dev br0");
    node.files.declare("");
    node.complete();
    assert_eq!(node.addresses("br0"), ["10.60.0.1/24"]);
}

#[test]
fn a_copy_of_a_generated_file_belongs_to_who_made_it() {
    let node = Node::new();
    node.files.declare(WEB);
    node.complete();
    let text = std::fs::read_to_string(node.files.cni("web.conflist")).unwrap();
    node.files.write("99-web.conflist", &text);
    node.files.declare("");
    node.complete();
    assert_eq!(node.files.names(), ["99-web.conflist"]);
}
