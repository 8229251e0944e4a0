//! `fairlead net`: what is declared is made, shown, changed and taken away.

use fairlead_tests::{Node, Place, Server, Transport};
use serde_json::{Value, json};

const CNI: &str = "/run/fairlead-root/opt/cni/net.d";
const CLUSTER: &str = "/run/fairlead-root/etc/fairlead/cluster.conf";

/// The file of a network that `setup` wrote, and when.
fn written(node: &Node, network: &str) -> String {
    node.run(&format!("stat -c %i-%Y-%Z-%s {CNI}/{network}.conflist"))
}

fn conflist(node: &Node, network: &str) -> Value {
    let text = node.read(&format!("{CNI}/{network}.conflist"));
    serde_json::from_str(&text).expect("a configuration is JSON")
}

#[test]
fn setup_makes_what_is_implied_and_repeated_does_nothing() {
    let node = Node::new();
    node.sh("fairlead net setup").done();
    let bridge = node.link("obr_default");
    assert_eq!(bridge["linkinfo"]["info_kind"], "bridge");
    assert!(bridge["flags"].to_string().contains("\"UP\""), "{bridge}");
    assert_eq!(node.addresses("obr_default"), ["10.22.0.1/16"]);
    assert_eq!(node.sysctl("net/ipv4/ip_forward"), "1");
    let list = conflist(&node, "default");
    assert_eq!(list["name"], "default");
    assert_eq!(list["plugins"][0]["bridge"], "obr_default");
    let (before, file) = (node.world(), written(&node, "default"));
    assert_eq!(node.sh("fairlead net setup").done(), "nothing to do\n");
    assert_eq!(node.sh("om net setup").done(), "nothing to do\n");
    node.is_as_before(&before, "a second setup");
    assert_eq!(written(&node, "default"), file);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let node = Node::new();
    node.sh("fairlead cluster set --kw network#web.network=10.30.0.0/24")
        .silent();
    let before = node.world();
    let said = node.sh("fairlead net setup --dry-run").done();
    for words in [
        "create bridge obr_web",
        "add 10.30.0.1/24 to obr_web",
        "web.conflist",
    ] {
        assert!(said.contains(words), "{said}");
    }
    node.is_as_before(&before, "a dry run");
    assert_eq!(node.sh("fairlead net setup").done(), said);
    let before = node.world();
    node.sh("fairlead cluster set --kw network#web.network=10.31.0.0/24")
        .silent();
    let said = node.sh("fairlead net setup --dry-run").done();
    assert!(said.contains("remove 10.30.0.1/24 from obr_web"), "{said}");
    node.is_as_before(&before, "a dry run of a change");
}

#[test]
fn a_change_changes_just_that() {
    let node = Node::new();
    node.networks(&["web=10.30.0.0/24 fd00:30::/64", "db=10.40.0.0/24"]);
    assert_eq!(node.addresses("obr_web"), ["10.30.0.1/24", "fd00:30::1/64"]);
    let others = ["default", "db"].map(|name| written(&node, name));
    let index = |name| node.link(name)["ifindex"].take();
    let links = ["obr_web", "obr_db"].map(index);
    node.networks(&["web=10.31.0.0/24 fd00:31::/64"]);
    assert_eq!(node.addresses("obr_web"), ["10.31.0.1/24", "fd00:31::1/64"]);
    let ranges = &conflist(&node, "web")["plugins"][0]["ipam"]["ranges"];
    assert_eq!(
        *ranges,
        json!([[{"subnet": "10.31.0.0/24"}], [{"subnet": "fd00:31::/64"}]])
    );
    assert_eq!(["default", "db"].map(|name| written(&node, name)), others);
    assert_eq!(["obr_web", "obr_db"].map(index), links);
    assert_eq!(node.addresses("obr_db"), ["10.40.0.1/24"]);
    let rules = node.run("nft list ruleset");
    assert!(
        rules.contains("10.31.0.0/24") && !rules.contains("10.30.0.0"),
        "{rules}"
    );
}

#[test]
fn a_removal_takes_away_what_setup_had_made_and_nothing_else() {
    let node = Node::new();
    // Hand-made things of all sorts.
    node.run("ip link add hand type bridge");
    node.run("ip address add 10.77.0.1/24 dev hand");
    node.run("ip link set hand up");
    node.write(
        &format!("{CNI}/own.conf"),
        r#"{"cniVersion":"1.0.0","name":"own","type":"ptp"}"#,
    );
    node.run("nft add table inet own");
    node.sh("fairlead cluster set --kw cluster.name=cellar")
        .silent();
    node.sh("fairlead net setup").done();
    let before = node.world();
    node.networks(&["web=10.30.0.0/24 fd00:30::/64"]);
    let sandbox = node.sandbox("shop");
    node.sh("fairlead attach web --netns /run/netns/shop -p 8080:80")
        .done();
    node.sh("fairlead detach web --netns /run/netns/shop")
        .done();
    drop(sandbox);
    node.sh("fairlead cluster unset --kw network#web.network")
        .done();
    node.sh("fairlead net setup").done();
    let state = "/run/fairlead-root/var/lib/fairlead";
    assert!(node.path(state).is_dir());
    node.is_as_before(&before, "the network was removed");
    assert_eq!(node.sh("fairlead net setup").done(), "nothing to do\n");
}

#[test]
fn a_network_set_to_none_is_hidden_and_taken_away() {
    let node = Node::new();
    node.networks(&["web=10.30.0.0/24"]);
    node.networks(&["default=none"]);
    assert!(!node.has_link("obr_default"));
    assert!(!node.path(&format!("{CNI}/default.conflist")).exists());
    assert!(!node.run("nft list ruleset").contains("10.22.0.0"));
    assert_eq!(node.sh("fairlead net ls").done(), "lo\nweb\n");
    let sandbox = node.sandbox("shop");
    let line = format!("fairlead attach default --netns {}", sandbox.netns());
    node.sh(&line).fails(&["default", "lo, web"]);
}

#[test]
fn a_bridge_that_somebody_made_is_used_and_outlives_the_network() {
    let node = Node::new();
    // A bridge without an address of its own would take that of a port.
    node.run("ip link add br7 address 02:00:00:00:00:77 type bridge");
    node.run("ip address add 10.77.0.1/24 dev br7");
    node.run("ip link set br7 up");
    node.sh("fairlead cluster set --kw cluster.name=cellar")
        .silent();
    node.sh("fairlead net setup").done();
    let before = node.world();
    let line =
        "fairlead cluster set --kw network#seven.network=10.77.0.0/24 --kw network#seven.dev=br7";
    node.sh(line).silent();
    node.sh("fairlead net setup").done();
    let (one, two) = (node.sandbox("one"), node.sandbox("two"));
    for name in ["one", "two"] {
        node.sh(&format!("fairlead attach seven --netns /run/netns/{name}"))
            .done();
    }
    one.ping("10.77.0.1");
    one.ping("10.77.0.3");
    assert_eq!(node.run("ip -br link show master br7").lines().count(), 2);
    for name in ["one", "two"] {
        node.sh(&format!("fairlead detach --netns /run/netns/{name}"))
            .done();
    }
    drop((one, two));
    node.sh("fairlead cluster unset --kw network#seven.network --kw network#seven.dev")
        .done();
    node.sh("fairlead net setup").done();
    node.is_as_before(
        &before,
        "a network on a bridge of somebody else was removed",
    );
}

#[test]
fn a_bridge_name_that_another_link_has_stops_that_network_only() {
    let node = Node::new();
    node.run("ip link add obr_web type veth peer name other");
    let line = "fairlead cluster set --kw network#web.network=10.30.0.0/24 --kw network#app.network=10.31.0.0/24";
    node.sh(line).silent();
    node.sh("fairlead net setup").fails(&[
        "network web",
        "obr_web",
        "veth",
        "no bridge",
        "network#web.dev",
    ]);
    assert_eq!(node.link("obr_web")["linkinfo"]["info_kind"], "veth");
    assert!(node.addresses("obr_web").is_empty());
    assert_eq!(node.addresses("obr_app"), ["10.31.0.1/24"]);
    assert!(!node.path(&format!("{CNI}/web.conflist")).exists());
    node.sh("fairlead cluster set --kw network#web.dev=brweb")
        .silent();
    node.sh("fairlead net setup").done();
    assert_eq!(node.addresses("brweb"), ["10.30.0.1/24"]);
}

#[test]
fn networks_that_overlap_in_an_edited_file_are_skipped_and_the_others_made() {
    let node = Node::new();
    node.write(
        CLUSTER,
        "[network#a]\nnetwork = 10.40.0.0/16\n[network#b]\nnetwork = 10.40.1.0/24\n[network#c]\nnetwork = 10.41.0.0/24\n",
    );
    node.sh("fairlead net setup").fails(&[
        "network#a",
        "network#b",
        "10.40.0.0/16",
        "10.40.1.0/24",
    ]);
    assert_eq!(node.addresses("obr_c"), ["10.41.0.1/24"]);
    assert!(!node.has_link("obr_a") && !node.has_link("obr_b"));
    assert_eq!(node.addresses("obr_default"), ["10.22.0.1/16"]);
}

#[test]
fn a_network_with_containers_is_not_torn_down_under_them() {
    let node = Node::new();
    node.networks(&["web=10.30.0.0/24"]);
    let shop = node.sandbox("shop");
    node.sh("fairlead attach web --netns /run/netns/shop --publish 8080:80")
        .done();
    let _server = Server::start(&shop, Transport::Tcp, 80, "shop");
    node.sh("fairlead cluster unset --kw network#web.network")
        .done();
    node.sh("fairlead net setup")
        .fails(&["obr_web", "still on it", "detach"]);
    shop.ping("10.30.0.1");
    assert_eq!(
        Transport::Tcp
            .ask(&node.outside(), fairlead_tests::UPLINK_V4, 8080)
            .text,
        "shop"
    );
    node.sh("fairlead detach --netns /run/netns/shop").done();
    node.sh("fairlead net setup").done();
    assert!(!node.has_link("obr_web"));
}

const CBR0: &str = r#"mkdir -p /var/lib/opensvc/cni/net.d
cat > /var/lib/opensvc/cni/net.d/cbr0.conf <<EOF
{
    "cniVersion": "0.2.0",
    "name": "cbr0",
    "type": "bridge",
    "bridge": "cbr0",
    "isGateway": true,
    "ipMasq": true,
    "ipam": {
	"type": "host-local",
	"subnet": "10.15.20.0/24",
	"routes": [
	    { "dst": "0.0.0.0/0" },
	    { "dst": "1.1.1.1/32", "gw":"10.15.20.1"}
	]
    }
}
EOF"#;

#[test]
fn a_configuration_by_hand_is_listed_and_usable() {
    let node = Node::new();
    node.sh(
        "nodemgr set --kw cni.plugins=/usr/libexec/cni --kw cni.config=/var/lib/opensvc/cni/net.d",
    )
    .silent();
    node.sh(CBR0).silent();
    let weave = r#"{"cniVersion": "0.2.0", "name": "weave", "type": "weave-net"}"#;
    node.write("/var/lib/opensvc/cni/net.d/weave.conf", weave);
    assert_eq!(node.sh("om net ls").done(), "cbr0\ndefault\nlo\nweave\n");
    node.sh("fairlead net setup").done();
    let status = node.sh("om net status -o json").json();
    assert_eq!(status["cbr0"]["type"], "undef");
    let shop = node.sandbox("shop");
    node.sh("fairlead attach cbr0 --netns /run/netns/shop")
        .done();
    assert_eq!(shop.addresses("eth0"), ["10.15.20.2/24"]);
    shop.ping("10.15.20.1");
    let routes = shop.run("ip route");
    assert!(routes.contains("default via 10.15.20.1"), "{routes}");
    assert!(routes.contains("1.1.1.1 via 10.15.20.1"), "{routes}");
    let seen = {
        let _server = Server::start(&node.outside(), Transport::Tcp, 7000, "outside");
        Transport::Tcp
            .ask(&shop, fairlead_tests::OUTSIDE_V4, 7000)
            .client
    };
    assert_eq!(seen.to_string(), fairlead_tests::UPLINK_V4, "masqueraded");
    assert_eq!(node.sh("om net status -o json").json()["cbr0"]["used"], 1);
    node.sh("fairlead detach cbr0 --netns /run/netns/shop")
        .done();
    assert!(!shop.has_link("eth0"));
    let line = "fairlead attach weave --netns /run/netns/shop";
    node.sh(line)
        .fails(&["weave-net", "/usr/libexec/cni", "cni.plugins"]);
    assert_eq!(node.sh("fairlead ls -o json").json(), json!([]));
}

#[test]
fn the_status_is_laid_out_as_the_documents_have_it() {
    let node = Node::new();
    let line = "om cluster set --kw network#backend1.type=routed_bridge --kw network#backend1.network=10.11.0.0/16";
    node.sh(line).done();
    let wanted = concat!(
        "name         type           network       size   used  free   pct    \n",
        "|- backend1  routed_bridge  10.11.0.0/16  65536  0     65536  0.00%  \n",
        "|- default   bridge         10.22.0.0/16  65536  0     65536  0.00%  \n",
        "`- lo        loopback       127.0.0.1/32  1      0     1      0.00%  \n",
        "\n",
    );
    assert_eq!(node.sh("om net status").done(), wanted);
    assert_eq!(node.sh("fairlead net status").done(), wanted);
    let empty = concat!(
        "name            type           network       size      used  free   pct    \n",
        "`- backend1     routed_bridge  10.11.0.0/16  65536     0     65536  0.00%  \n",
        "   `- ip        node           service       resource                      \n",
        "\n",
    );
    let verbose = node.sh("om net status --verbose --name backend1").done();
    assert_eq!(squeezed(&verbose), squeezed(empty));
    assert_widths(&verbose);
    assert_eq!(
        node.sh("om net status --name nothing").done(),
        "name  type  network  size  used  free  pct  \n\n"
    );
    assert_eq!(
        node.sh("om net status --name nothing --format json").json(),
        json!({})
    );
}

/// The words of each line with single spaces.
fn squeezed(text: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(words).collect()
}

/// Every line of a tree table is as long as the others and ends in two spaces.
#[track_caller]
fn assert_widths(text: &str) {
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(
        lines
            .iter()
            .all(|line| line.len() == lines[0].len() && line.ends_with("  ")),
        "{text}"
    );
    assert!(text.ends_with("\n\n"), "{text:?}");
}

#[test]
fn the_verbose_status_has_every_address_to_the_letter() {
    let node = Node::new();
    node.networks(&["backend1=10.11.0.0/24"]);
    for (name, ip) in [
        ("s1", "10.11.0.12"),
        ("s2", "10.11.0.4"),
        ("s3", "10.11.0.7"),
    ] {
        node.run(&format!("ip netns add {name}"));
        let object = if name == "s3" {
            String::new()
        } else {
            format!("--object testbackend/svc/{name}")
        };
        let line = format!("fairlead attach backend1 --netns /run/netns/{name} --ip {ip} {object}");
        node.sh(&line).done();
    }
    let wanted = concat!(
        "name                 type    network             size      used  free  pct    \n",
        "`- backend1          bridge  10.11.0.0/24        256       3     253   1.17%  \n",
        "   `- ip             node    service             resource                     \n",
        "      |- 10.11.0.12  node    testbackend/svc/s1                               \n",
        "      |- 10.11.0.4   node    testbackend/svc/s2                               \n",
        "      `- 10.11.0.7   node                                                     \n",
        "\n",
    );
    assert_eq!(
        node.sh("om net status --verbose --name backend1").done(),
        wanted
    );
    let all = node.sh("om net status --verbose").done();
    assert_widths(&all);
    // A header of addresses below each network, even where there is none.
    assert_eq!(
        squeezed(&all)
            .iter()
            .filter(|line| line.ends_with("ip node service resource"))
            .count(),
        3
    );
    let json = node
        .sh("om net status --format json --name backend1")
        .json();
    let ips = json!([
        {"ip": "10.11.0.12", "node": "node", "path": "testbackend/svc/s1", "rid": ""},
        {"ip": "10.11.0.4", "node": "node", "path": "testbackend/svc/s2", "rid": ""},
        {"ip": "10.11.0.7", "node": "node", "path": "", "rid": ""},
    ]);
    assert_eq!(json["backend1"]["ips"], ips);
    assert_eq!(json["backend1"]["free"], 253);
}

#[test]
fn every_answer_comes_as_json_and_yaml_too() {
    let node = Node::new();
    node.networks(&["web=10.30.0.0/24 fd00:30::/64"]);
    let shown = node.sh("fairlead net show -o json").json();
    assert_eq!(
        shown["web"]["config"]["network"],
        "10.30.0.0/24 fd00:30::/64"
    );
    assert_eq!(shown["web"]["cni"]["data"], conflist(&node, "web"));
    assert_eq!(node.sh("fairlead net ls -o json").json(), shown);
    let one = node.sh("fairlead net show --name web").done();
    assert!(one.contains("`- web") && !one.contains("default"), "{one}");
    let yaml = node.sh("fairlead net status -o yaml --name web").done();
    assert!(yaml.starts_with("web:\n  type: bridge\n"), "{yaml}");
    // More addresses than 64 bits can count.
    assert!(yaml.contains("size: 18446744073709551872\n"), "{yaml}");
    let steps = node.sh("fairlead net setup -o json").json();
    assert_eq!(steps["steps"], json!([]));
    node.sh("fairlead net status -o xml")
        .is_no_command(&["xml"]);
}

#[test]
fn a_network_that_was_not_set_up_here_is_told_at_an_attach() {
    let node = Node::new();
    let line = "om cluster set --kw network#back.type=routed_bridge --kw network#back.network=10.11.0.0/16";
    node.sh(line).done();
    let shop = node.sandbox("shop");
    let before = node.world();
    node.sh(&format!("fairlead attach back --netns {}", shop.netns()))
        .fails(&["network back", "obr_back", "fairlead net setup"]);
    node.is_as_before(&before, "an attach to what was not set up");
    node.sh("om net setup").done();
    node.sh(&format!("fairlead attach back --netns {}", shop.netns()))
        .done();
    shop.ping("10.11.0.1");
}

#[test]
fn everything_is_below_the_root_that_is_given() {
    let node = Node::new();
    let line = |rest: &str| format!("env -u FAIRLEAD_ROOT fairlead --root /run/elsewhere {rest}");
    node.sh(&line("cluster set --kw network#web.network=10.30.0.0/24"))
        .silent();
    node.sh(&line("net setup")).done();
    let shop = node.sandbox("shop");
    node.sh(&line("attach web --netns /run/netns/shop")).done();
    shop.ping("10.30.0.1");
    let files = node.run("find /run/elsewhere -type f");
    for file in [
        "etc/fairlead/cluster.conf",
        "opt/cni/net.d/web.conflist",
        "node.db",
    ] {
        assert!(files.contains(file), "{files}");
    }
    assert!(!node.path(Node::ROOT).exists());
    let private = node.run("find /run/elsewhere -name node.db* -perm /077");
    assert_eq!(private, "", "the state is root's alone");
    node.sh(&line("detach web --netns /run/netns/shop")).done();
}
