//! `fairlead cluster|node set|unset|get|eval`, and the documents' command lines.

use std::process::Stdio;

use fairlead_tests::{Node, Place};
use serde_json::json;

const CLUSTER: &str = "/run/fairlead-root/etc/fairlead/cluster.conf";
const NODE: &str = "/run/fairlead-root/etc/fairlead/node.conf";

/// The value of a keyword as it is written.
#[track_caller]
fn get(node: &Node, keyword: &str) -> String {
    let printed = node.sh(&format!("fairlead cluster get --kw '{keyword}'"));
    printed.done().trim_end().to_owned()
}

#[test]
fn every_operator_does_what_it_is_for() {
    let node = Node::new();
    for (change, value) in [
        ("=10.0.0.1", "10.0.0.1"),
        ("+=10.0.0.2", "10.0.0.1 10.0.0.2"),
        // Appended even though it is there.
        ("+=10.0.0.2", "10.0.0.1 10.0.0.2 10.0.0.2"),
        ("|=10.0.0.2", "10.0.0.1 10.0.0.2 10.0.0.2"),
        (
            "|=10.0.0.3 10.0.0.4",
            "10.0.0.1 10.0.0.2 10.0.0.2 10.0.0.3 10.0.0.4",
        ),
        // The first occurrence goes.
        ("-=10.0.0.2", "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4"),
        ("-=10.0.0.2", "10.0.0.1 10.0.0.3 10.0.0.4"),
        ("-=10.9.9.9", "10.0.0.1 10.0.0.3 10.0.0.4"),
        ("^=10.0.0.3", "10.0.0.1 10.0.0.4"),
        ("^=10.0.0.3", "10.0.0.1 10.0.0.4 10.0.0.3"),
        ("[0]=10.0.0.9", "10.0.0.9 10.0.0.1 10.0.0.4 10.0.0.3"),
        (
            "[1]+=10.0.0.8",
            "10.0.0.9 10.0.0.8 10.0.0.1 10.0.0.4 10.0.0.3",
        ),
        ("=fd00::1", "fd00::1"),
    ] {
        let line = format!("fairlead cluster set --kw 'cluster.dns{change}'");
        node.sh(&line).silent();
        assert_eq!(get(&node, "cluster.dns"), value, "after {line}");
    }
    node.sh("fairlead cluster unset --kw cluster.dns").silent();
    assert_eq!(get(&node, "cluster.dns"), "None");
    assert!(!node.read(CLUSTER).contains("dns"));
}

#[test]
fn several_keywords_are_one_change() {
    let node = Node::new();
    let set = "fairlead cluster set --kw network#a.network=10.40.0.0/24 \
               --kw network#b.network=10.41.0.0/24";
    node.sh(set).silent();
    // Each of the two alone would overlap the other.
    let swap = "fairlead cluster set --kw network#a.network=10.41.0.0/24 \
                --kw network#b.network=10.40.0.0/24";
    node.sh(swap).silent();
    assert_eq!(get(&node, "network#a.network"), "10.41.0.0/24");
    let before = node.read(CLUSTER);
    let half =
        "fairlead cluster set --kw network#c.network=10.42.0.0/24 --kw network#a.public=perhaps";
    node.sh(half)
        .fails(&["network#a.public = \"perhaps\"", "true or false"]);
    assert_eq!(node.read(CLUSTER), before);
    let dry = "fairlead cluster set --dry-run --kw network#c.network=10.42.0.0/24";
    node.sh(dry).silent();
    assert_eq!(node.read(CLUSTER), before);
    node.sh("fairlead cluster unset --kw network#a.network --kw network#b.network")
        .done();
    assert!(!node.read(CLUSTER).contains("10.4"));
}

/// A change that is refused, and what is told: keyword, value and reason.
const REFUSED: [(&str, &[&str]); 17] = [
    (
        "network#web.type=vlan",
        &["network#web.type = \"vlan\"", "bridge, routed_bridge"],
    ),
    (
        "network#web.network=10.0.0.0",
        &["network#web.network = \"10.0.0.0\"", "cidr"],
    ),
    (
        "network#web.network=10.31.0.5/24",
        &["10.31.0.5/24 has host bits set", "10.31.0.0/24"],
    ),
    (
        "network#web.network=10.31.0.0/33",
        &["\"10.31.0.0/33\"", "cidr"],
    ),
    (
        "network#web.network=10.31.0.0/32",
        &["\"10.31.0.0/32\"", "too small"],
    ),
    (
        "network#web.public=perhaps",
        &["network#web.public = \"perhaps\"", "true or false"],
    ),
    (
        "network#web.type@node=bridge",
        &["network#web.type@node = \"bridge\"", "no scope"],
    ),
    (
        "network#new.network=10.22.7.0/24",
        &["network#new.network", "overlaps 10.22.0.0/16", "default"],
    ),
    (
        "network#new.network=10.30.0.128/25",
        &["\"10.30.0.128/25\"", "overlaps 10.30.0.0/24", "web"],
    ),
    (
        "network#twelve-chars.network=10.50.0.0/24",
        &["network#twelve-chars", "obr_twelve-chars", "15"],
    ),
    (
        "network#web.dev=more-than-15-bytes",
        &["network#web.dev = \"more-than-15-bytes\"", "15"],
    ),
    ("cni.timeout=soon", &["cni.timeout = \"soon\"", "30s"]),
    (
        "cni.plugins=opt/cni",
        &["cni.plugins = \"opt/cni\"", "absolute path"],
    ),
    (
        "cluster.dns=10.0.0.1 nameserver",
        &["cluster.dns", "\"nameserver\"", "no IP address"],
    ),
    (
        "cluster.dns={nothing}",
        &["cluster.dns", "{nothing}", "no value"],
    ),
    (
        "network#web.network",
        &["\"network#web.network\" has no operator"],
    ),
    ("network#../x.network=10.51.0.0/24", &["network#../x"]),
];

#[test]
fn what_is_refused_is_named_and_nothing_is_written() {
    let node = Node::new();
    let empty = node.sh("fairlead cluster set --kw network#web.type=vlan");
    empty.fails(&["network#web.type"]);
    assert!(
        !node.path(CLUSTER).exists(),
        "a refused change makes no file"
    );
    let text = "# ours\n[network#web]\nnetwork = 10.30.0.0/24\n; end\n";
    for (file, target) in [(CLUSTER, "cluster"), (NODE, "node")] {
        node.write(file, text);
        for (change, words) in REFUSED {
            node.sh(&format!("fairlead {target} set --kw '{change}'"))
                .fails(words);
            assert_eq!(node.read(file), text, "after {target} {change}");
        }
    }
}

#[test]
fn a_network_in_one_file_must_not_overlap_one_in_the_other() {
    let node = Node::new();
    node.sh("fairlead cluster set --kw network#web.network=10.30.0.0/24")
        .silent();
    let line = "fairlead node set --kw network#local.network=10.30.0.0/25";
    node.sh(line)
        .fails(&["network#local.network", "overlaps 10.30.0.0/24", "web"]);
    assert!(!node.path(NODE).exists());
    // What node.conf has is what counts on this node.
    node.sh("fairlead node set --kw network#web.network=10.31.0.0/24")
        .silent();
    node.sh(line).silent();
    assert_eq!(
        node.sh("fairlead cluster eval --kw network#web.network")
            .done(),
        "10.31.0.0/24\n"
    );
    assert_eq!(
        node.sh("fairlead cluster get --kw network#web.network")
            .done(),
        "10.30.0.0/24\n"
    );
}

#[test]
fn an_unknown_keyword_is_written_with_a_warning() {
    let node = Node::new();
    let set = node.sh(
        "fairlead cluster set --kw network#web.network=10.30.0.0/24 --kw network#web.colour=red",
    );
    set.warns(&["warning", "network#web.colour", "\"red\"", "not known"]);
    assert_eq!(get(&node, "network#web.colour"), "red");
    let set = node.sh("fairlead cluster set --kw kitchen.sink=full");
    set.warns(&["warning", "kitchen", "not known"]);
}

#[test]
fn comments_and_order_are_kept() {
    let node = Node::new();
    node.write(
        CLUSTER,
        "# The cluster of the cellar.\n\n[network#web]\n# wide enough\nnetwork = 10.30.0.0/24\n\
         type = bridge\n\n[cluster]\nnodes = n1\n\tn2\n; the last word\n",
    );
    let set = "fairlead cluster set --kw network#web.network=10.31.0.0/24 --kw cluster.name=cellar \
               --kw network#web.public=true";
    node.sh(set).silent();
    let text = node.read(CLUSTER);
    let (start, id) = text
        .split_once("[DEFAULT]\nid = ")
        .expect("the cluster's identity");
    let (uuid, rest) = id.split_once('\n').expect("a line");
    assert_eq!(uuid.len(), 36, "{text}");
    let rest = format!("{start}{rest}");
    let in_order = [
        "# The cluster of the cellar.\n",
        "[network#web]\n# wide enough\nnetwork = 10.31.0.0/24\ntype = bridge\n",
        "public = true\n",
        "[cluster]\nnodes = n1\n\tn2\n",
        "; the last word\n",
    ];
    let places: Vec<_> = in_order.iter().map(|part| rest.find(part)).collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{text}"
    );
    assert!(rest.contains("\nname = cellar\n"), "{text}");
    // A second change leaves the identity.
    node.sh("fairlead cluster set --kw cluster.name=attic")
        .silent();
    assert_eq!(node.read(CLUSTER), text.replace("cellar\n", "attic\n"));
    assert_eq!(node.run(&format!("stat -c %a {CLUSTER}")), "600\n");
    assert_eq!(
        node.run("find /run/fairlead-root/etc -name *.conf*")
            .lines()
            .count(),
        1
    );
}

#[test]
fn get_shows_what_is_written_and_eval_what_counts() {
    let node = Node::new();
    let set = "fairlead cluster set --kw cluster.name=cellar --kw 'cluster.nodes=node other' \
               --kw network#back.type=routed_bridge --kw network#back.network=10.11.0.0/16 \
               --kw network#back.addr@node=192.0.2.1 --kw network#back.addr@nodes=192.0.2.9 \
               --kw 'listener.dns_sock_uid={clustername}'";
    node.sh(set).silent();
    for (line, printed) in [
        ("get --kw listener.dns_sock_uid", "{clustername}\n"),
        ("get --eval --kw listener.dns_sock_uid", "cellar\n"),
        ("eval --kw listener.dns_sock_uid", "cellar\n"),
        ("get --kw network#back.addr@node", "192.0.2.1\n"),
        ("get --kw network#back.addr", "None\n"),
        ("eval --kw network#back.addr", "192.0.2.1\n"),
        (
            "eval --kw network#back.addr --impersonate other",
            "192.0.2.9\n",
        ),
        // The default is what counts, and it is not written.
        ("get --kw network#back.tunnel", "None\n"),
        ("eval --kw network#back.tunnel", "auto\n"),
        ("eval --kw cluster.nodes", "node other\n"),
        ("eval --kw cluster.nodes[1]", "other\n"),
        ("get --kw no.such", "None\n"),
    ] {
        assert_eq!(
            node.sh(&format!("fairlead cluster {line}")).done(),
            printed,
            "{line}"
        );
    }
    assert_eq!(
        node.sh("fairlead cluster eval --kw cluster.nodes -o json")
            .json(),
        json!(["node", "other"])
    );
    // The node's view is the merged one.
    assert_eq!(
        node.sh("fairlead node get --kw cluster.name").done(),
        "cellar\n"
    );
    node.sh("fairlead cluster get").is_no_command(&["--kw"]);
}

#[test]
fn a_damaged_file_is_told_with_its_line_and_left_as_it_is() {
    let node = Node::new();
    let text = "[network#web]\nnetwork = 10.30.0.0/24\n[torn\n";
    node.write(CLUSTER, text);
    for line in [
        "fairlead cluster set --kw cluster.name=a",
        "fairlead cluster unset --kw cluster.name",
        "fairlead node get --kw cluster.name",
        "fairlead net setup",
        "fairlead net ls",
    ] {
        node.sh(line).fails(&["cluster.conf", "line 3", "[torn"]);
    }
    assert_eq!(node.read(CLUSTER), text);
}

/// Command lines of the documents, as they are written there; what follows '='
/// in some had been links and is lost.
const DOCUMENTS: &str = r"
set -e
nodemgr set --kw cni.plugins=/usr/libexec/cni --kw cni.config=/var/lib/opensvc/cni/net.d
om cluster set --kw cni.plugins=/usr/libexec/cni --kw cni.config=/var/lib/opensvc/cni/net.d
om cluster set --kw network#local1.type=bridge --kw
om node set --kw network#local1.type=bridge --kw
om cluster set --kw network#backend1.type=routed_bridge \
                 --kw \
                 --kw network#backend1.ips_per_node=1024
om cluster set --kw network#backend1.addr@node1= \
                 --kw network#backend1.addr@node2= \
                 --kw network#backend1.addr@node3=
om cluster set --kw network#backend1.tunnel=always
om cluster set --kw network#weave1.type=weave --kw
om net ls
om net status
om net status --verbose --name backend
";

#[test]
fn the_documents_lines_work_as_they_are_written() {
    let node = Node::new();
    node.sh("om cluster set --kw 'cluster.nodes=node1 node2 node3'")
        .silent();
    for line in DOCUMENTS
        .replace("\\\n", " ")
        .lines()
        .filter(|line| !line.is_empty())
    {
        node.sh(line).done();
    }
    let all = node.sh(DOCUMENTS).done();
    assert!(
        all.contains("\nweave1\n") && all.contains("`- weave1 "),
        "{all}"
    );
    for (keyword, value) in [
        ("cni.plugins", "/usr/libexec/cni"),
        ("cni.config", "/var/lib/opensvc/cni/net.d"),
        ("network#local1.type", "bridge"),
        ("network#backend1.type", "routed_bridge"),
        ("network#backend1.ips_per_node", "1024"),
        ("network#backend1.tunnel", "always"),
        ("network#weave1.type", "weave"),
    ] {
        assert_eq!(get(&node, keyword), value, "{keyword}");
    }
    assert!(node.read(NODE).contains("plugins = /usr/libexec/cni"));
    assert!(node.read(NODE).contains("[network#local1]\n"));
}

#[test]
fn the_documents_lines_with_their_values_work_too() {
    let node = Node::new();
    for line in [
        "om cluster set --kw 'cluster.nodes=node1 node2 node3'",
        "om cluster set --kw network#local1.type=bridge --kw network#local1.network=10.10.10.0/24",
        "om node set --kw network#local2.type=bridge --kw network#local2.network=10.10.11.0/24",
        "om cluster set --kw network#backend1.type=routed_bridge --kw network#backend1.network=10.11.0.0/16 \
         --kw network#backend1.ips_per_node=1024",
        "om cluster set --kw network#backend1.addr@node1=1.2.3.4 --kw network#backend1.addr@node2=1.2.3.5 \
         --kw network#backend1.addr@node3=1.2.3.6",
        "om cluster set --kw network#weave1.type=weave --kw network#weave1.network=10.32.0.0/16",
    ] {
        node.sh(line).silent();
    }
    let names = node.sh("om net ls").done();
    assert_eq!(names, "backend1\ndefault\nlo\nlocal1\nlocal2\nweave1\n");
    assert_eq!(node.sh("om network ls").done(), names);
    assert_eq!(node.sh("nodemgr network ls").done(), names);
}

#[test]
fn the_nodes_of_the_cluster_can_be_put_into_a_command() {
    let node = Node::new();
    node.sh("om cluster set --kw 'cluster.nodes=n1 n2 n3'")
        .silent();
    let line = r#"set -- $(om node get --kw cluster.nodes); echo "$# $1 $2 $3""#;
    assert_eq!(node.sh(line).done(), "3 n1 n2 n3\n");
    let line = r#"set -- $(nodemgr get --kw cluster.nodes); echo "$# $1 $2 $3""#;
    assert_eq!(node.sh(line).done(), "3 n1 n2 n3\n");
}

#[test]
fn twenty_changes_at_the_same_time_lose_nothing() {
    let node = Node::new();
    let running: Vec<_> = (0..20)
        .map(|i| {
            let line = format!(
                "fairlead cluster set --kw network#n{i}.network=10.60.{i}.0/24 --kw 'cluster.nodes|=n{i}'"
            );
            node.shell(&line).stderr(Stdio::piped()).spawn().expect("a shell")
        })
        .collect();
    for child in running {
        let output = child.wait_with_output().expect("the end of the line");
        assert!(output.status.success(), "{output:?}");
    }
    for i in 0..20 {
        assert_eq!(
            get(&node, &format!("network#n{i}.network")),
            format!("10.60.{i}.0/24")
        );
    }
    let nodes = get(&node, "cluster.nodes");
    assert_eq!(nodes.split(' ').count(), 20, "{nodes}");
}

#[test]
fn install_makes_the_other_names() {
    let node = Node::new();
    node.sh("fairlead install --links /run/bin --plugins /run/cni")
        .done();
    node.sh("fairlead install --links /run/bin --plugins /run/cni")
        .done();
    node.sh("/run/bin/om cluster set --kw cluster.name=cellar")
        .silent();
    assert_eq!(
        node.sh("/run/bin/nodemgr get --kw cluster.name").done(),
        "cellar\n"
    );
    let answer = node.sh(r#"echo '{"cniVersion":"1.0.0"}' | CNI_COMMAND=VERSION /run/cni/bridge"#);
    assert_eq!(answer.json()["supportedVersions"][0], "0.1.0");
    node.run("ln -sf /bin/true /run/cni/ptp");
    node.sh("fairlead install --plugins /run/cni")
        .fails(&["/run/cni/ptp", "--force"]);
    node.sh("fairlead install --plugins /run/cni --force")
        .done();
    assert_ne!(node.run("readlink /run/cni/ptp"), "/bin/true\n");
}
