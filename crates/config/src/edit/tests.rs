mod refused;

use super::*;
use crate::Document;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// A root of its own, with the two files.
struct Place {
    _dir: TempDir,
    root: Root,
}

fn place(cluster: &str, local: &str) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::new(dir.path());
    std::fs::create_dir_all(root.etc()).unwrap();
    for (target, text) in [(Target::Cluster, cluster), (Target::Node, local)] {
        if !text.is_empty() {
            std::fs::write(target.path(&root), text).unwrap();
        }
    }
    Place { _dir: dir, root }
}

fn sets(texts: &[&str]) -> Vec<Change> {
    let set = |text: &&str| Change::Set(text.parse().unwrap());
    texts.iter().map(set).collect()
}

impl Place {
    fn change(&self, target: Target, changes: &[Change]) -> Result<Outcome, ConfigError> {
        change(&self.root, target, "n1", changes, false)
    }

    fn set(&self, texts: &[&str]) -> Result<Outcome, ConfigError> {
        self.change(Target::Cluster, &sets(texts))
    }

    fn text(&self, target: Target) -> Option<String> {
        std::fs::read_to_string(target.path(&self.root)).ok()
    }

    fn stored(&self, path: &str) -> Option<String> {
        let config = Config::load(&self.root, "n1").unwrap();
        let path = path.parse().unwrap();
        config.get(Target::Cluster, &path).map(str::to_owned)
    }
}

fn refusals(result: Result<Outcome, ConfigError>) -> Vec<String> {
    match result {
        Err(ConfigError::Refused { problems, .. }) => {
            problems.iter().map(ToString::to_string).collect()
        }
        other => panic!("not refused: {other:?}"),
    }
}

const ID: &str = "[DEFAULT]\nid = 01234567-89ab-4cde-8f01-23456789abcd\n\n";

#[test]
fn the_first_change_makes_the_file_and_its_identity() {
    let p = place("", "");
    let outcome = p.set(&["cluster.name=c1"]).unwrap();
    assert_eq!((outcome.changed, outcome.warnings.len()), (true, 0));
    let id = p.stored("id").unwrap();
    let text = p.text(Target::Cluster).unwrap();
    assert_eq!(
        text,
        format!("[DEFAULT]\nid = {id}\n\n[cluster]\nname = c1\n")
    );
    assert_eq!(
        (id.len(), id.as_bytes()[14]),
        (36, b'4'),
        "a version 4 uuid"
    );
    p.set(&["cluster.name=c2"]).unwrap();
    assert_eq!(p.stored("id"), Some(id), "made once");
    p.change(Target::Node, &sets(&["cni.plugins=/x"])).unwrap();
    assert_eq!(p.text(Target::Node).unwrap(), "[cni]\nplugins = /x\n");
    for target in [Target::Cluster, Target::Node] {
        let mode = target
            .path(&p.root)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn the_file_becomes_private_and_a_link_stays_one() {
    let p = place(&format!("{ID}# kept\n[cluster]\nname = c1\n"), "");
    let path = Target::Cluster.path(&p.root);
    let real = p.root.dir().join("real.conf");
    std::fs::rename(&path, &real).unwrap();
    std::os::unix::fs::symlink(&real, &path).unwrap();
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o644)).unwrap();
    p.set(&["cluster.name=c2"]).unwrap();
    assert!(path.symlink_metadata().unwrap().is_symlink());
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&real).unwrap();
    assert_eq!(text, format!("{ID}# kept\n[cluster]\nname = c2\n"));
}

#[test]
fn a_change_that_changes_nothing_writes_nothing() {
    let p = place("[cluster]\nname = c1\ndns = 10.0.0.1\n  10.0.0.2\n", "");
    let path = Target::Cluster.path(&p.root);
    let before = path.metadata().unwrap();
    for text in [
        "cluster.name=c1",
        "cluster.dns|=10.0.0.2",
        "cluster.dns-=10.0.0.3",
        "cluster.drpnodes-=n3",
    ] {
        assert!(!p.set(&[text]).unwrap().changed, "{text}");
    }
    let unset = Change::Unset("cluster.nodes".parse().unwrap());
    assert!(!p.change(Target::Cluster, &[unset]).unwrap().changed);
    let gone = Change::Delete("network#x".into());
    assert!(!p.change(Target::Cluster, &[gone]).unwrap().changed);
    let after = path.metadata().unwrap();
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&after),
        std::os::unix::fs::MetadataExt::ino(&before)
    );
    assert!(
        !place("", "")
            .set(&["cluster.dns-=10.0.0.1"])
            .unwrap()
            .changed
    );
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let p = place("", "");
    let run = |text: &str| change(&p.root, Target::Cluster, "n1", &sets(&[text]), true);
    let _held = file::lock(&p.root).unwrap();
    assert!(run("cluster.name=c1").unwrap().changed);
    assert!(run("cluster.name=a b").is_err());
    assert_eq!(p.text(Target::Cluster), None);
}

#[test]
fn a_change_holds_the_lock() {
    let p = place("", "");
    let held = file::lock(&p.root).unwrap();
    let path = p.root.run().join("config.lock");
    let other = std::fs::File::open(path).unwrap();
    assert!(other.try_lock().is_err());
    drop(held);
    assert!(other.try_lock().is_ok());
}

#[test]
fn the_lists_change_as_the_specification_says() {
    let p = place("", "");
    let one = "10.0.0.1";
    let two = "10.0.0.2";
    for (change, wanted) in [
        (format!("cluster.dns={one}"), one.to_owned()),
        (format!("cluster.dns+={two}"), format!("{one} {two}")),
        (format!("cluster.dns+={two}"), format!("{one} {two} {two}")),
        (format!("cluster.dns|={two}"), format!("{one} {two} {two}")),
        (
            "cluster.dns[0]+=10.0.0.9".into(),
            format!("10.0.0.9 {one} {two} {two}"),
        ),
        (
            format!("cluster.dns-={two}"),
            format!("10.0.0.9 {one} {two}"),
        ),
        (
            format!("cluster.dns^={one} 10.0.0.3"),
            format!("10.0.0.9 {two} 10.0.0.3"),
        ),
    ] {
        p.set(&[&change]).unwrap();
        assert_eq!(p.stored("cluster.dns"), Some(wanted), "{change}");
    }
    // A list that is not stored starts from its default.
    let routed = ["network#b.type=routed_bridge", "network#b.tables+=100"];
    p.set(&routed).unwrap();
    assert_eq!(p.stored("network#b.tables").as_deref(), Some("main 100"));
    // node.conf starts from the merged value, and cluster.conf stays.
    p.change(Target::Node, &sets(&["cluster.dns-=10.0.0.9"]))
        .unwrap();
    assert_eq!(
        p.text(Target::Node).unwrap(),
        format!("[cluster]\ndns = {two} 10.0.0.3\n")
    );
    assert_eq!(p.stored("cluster.dns[0]").as_deref(), Some("10.0.0.9"));
}

#[test]
fn unset_and_delete_remove_just_that() {
    let text = format!(
        "{ID}# the nodes\n[cluster]\nnodes = n1 n2\n\n[network#a]\nnetwork = 10.1.0.0/16\nnetwork@n2 = 10.2.0.0/16\n"
    );
    let p = place(&text, "");
    let unset = |path: &str| Change::Unset(path.parse().unwrap());
    let changes = [unset("network#a.network@n2")];
    assert!(p.change(Target::Cluster, &changes).unwrap().changed);
    let left = text.replace("network@n2 = 10.2.0.0/16\n", "");
    assert_eq!(p.text(Target::Cluster).unwrap(), left);
    let gone = [Change::Delete("network#a".into())];
    p.change(Target::Cluster, &gone).unwrap();
    assert_eq!(
        p.text(Target::Cluster).unwrap(),
        format!("{ID}# the nodes\n[cluster]\nnodes = n1 n2\n")
    );
    let message = p
        .change(Target::Cluster, &[unset("cluster.nodes[0]")])
        .unwrap_err();
    assert!(
        message
            .to_string()
            .contains("\"cluster.nodes[0]\" has an index")
    );
}

#[test]
fn a_bad_change_names_keyword_value_and_reason() {
    let start = format!(
        "{ID}[cluster]\nnodes = n1 n2 n3\n[network#a]\nnetwork = 10.1.0.0/16\n\
         [network#r]\ntype = routed_bridge\nnetwork = 10.11.0.0/16\n\
         [network#s]\ntype = routed_bridge\nnetwork = 10.128.0.0/9\n"
    );
    for (text, wanted) in refused::TABLE {
        let p = place(&start, "");
        let found = refusals(p.set(&["cluster.drpnodes=d1", text]));
        assert_eq!(found, [*wanted], "{text}");
        assert_eq!(p.text(Target::Cluster).unwrap(), start, "{text}");
    }
}

#[test]
fn both_networks_of_an_overlap_are_named() {
    let p = place(&format!("{ID}[network#a]\nnetwork = 10.1.0.0/16\n"), "");
    let found = refusals(p.set(&["network#b.network=10.1.8.0/24"]));
    assert_eq!(
        found,
        [
            "network#a.network = \"10.1.0.0/16\": 10.1.0.0/16 overlaps 10.1.8.0/24 of network b",
            "network#b.network = \"10.1.8.0/24\": 10.1.8.0/24 overlaps 10.1.0.0/16 of network a",
        ]
    );
    let found = refusals(p.set(&["network#b.network=10.22.0.0/16"]));
    assert!(
        found
            .iter()
            .any(|f| f.contains("unless network#default.network is none"))
    );
    p.set(&[
        "network#b.network=10.22.0.0/16",
        "network#default.network=none",
    ])
    .unwrap();
    // A range that only another node has is seen too.
    let found = refusals(p.set(&[
        "network#c.network=10.3.0.0/16",
        "network#c.network@n2=10.1.0.0/24",
    ]));
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_fault_that_node_conf_hides_here_is_seen() {
    let p = place(
        ID,
        "[network#a]\nnetwork = 10.1.0.0/16\n[cni]\nplugins = /x\n",
    );
    let found = refusals(p.set(&["network#a.network=10.22.0.0/24", "cni.plugins=y"]));
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn all_faults_are_told_at_once_and_nothing_is_written() {
    let p = place("", "");
    let error = p
        .set(&[
            "cluster.name=a b",
            "network#x.type=vlan",
            "cni.config=rel",
            "cluster.nodes=n1",
        ])
        .unwrap_err();
    let message = error.to_string();
    let file = Target::Cluster.path(&p.root);
    assert!(
        message.starts_with(&format!("change {}: refused", file.display())),
        "{message}"
    );
    for part in [
        "cluster.name = \"a b\"",
        "network#x.type = \"vlan\"",
        "cni.config = \"rel\"",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(p.text(Target::Cluster), None);
}

#[test]
fn an_old_fault_does_not_keep_from_mending_another() {
    let broken = format!(
        "{ID}[cluster]\nname = a b\nwhat = 1\n[network#x]\nnetwork = 10.1.0.0/16\n[network#y]\nnetwork = 10.1.0.0/16\n\
         [network#far-too-long]\nnetwork = 10.2.0.0/16\n"
    );
    let p = place(&broken, "");
    let outcome = p.set(&["cni.plugins=/x"]).unwrap();
    assert_eq!(outcome.warnings, [], "old warnings are not repeated");
    assert_eq!(
        refusals(p.set(&["cluster.name=a b"])).len(),
        1,
        "what is set must be right"
    );
    assert_eq!(
        refusals(p.set(&["network#far-too-long.public=true"])).len(),
        1
    );
    p.set(&["network#far-too-long.dev=br0"]).unwrap();
    p.set(&["network#y.network=10.3.0.0/16"]).unwrap();
    p.set(&["cluster.name=ab"]).unwrap();
    let (networks, problems) = Config::load(&p.root, "n1").unwrap().networks();
    assert_eq!((networks.len(), problems.len()), (5, 0));
}

#[test]
fn what_is_odd_is_warned_about_and_written() {
    let p = place(&format!("{ID}[cluster]\nnodes = n1\n"), "");
    for (text, wanted) in [
        (
            "network#a.vlan=1500",
            "network#a.vlan = \"1500\": the keyword is not known",
        ),
        (
            "netwrk#a.type=bridge",
            "netwrk#a: the section is not known; network#NAME, cluster, node, cni, dns, docker, listener, etcd and DEFAULT are",
        ),
        (
            "network#a.tunnel=auto",
            "network#a.tunnel = \"auto\": the keyword has no effect on a network of type bridge, only on routed_bridge",
        ),
        (
            "cluster.dns@n7=10.0.0.1",
            "cluster.dns@n7 = \"10.0.0.1\": the scope \"n7\" is none of cluster.nodes (n1), 'nodes' or 'drpnodes'",
        ),
        (
            "network#b.type=bridge",
            "network#b: the network has no range; set network#b.network",
        ),
    ] {
        let outcome = p.set(&[text]).unwrap();
        assert!(outcome.changed, "{text}");
        let warnings: Vec<_> = outcome.warnings.iter().map(ToString::to_string).collect();
        assert!(
            warnings.contains(&wanted.to_owned()),
            "{text}: {warnings:?}"
        );
    }
}

/// The command lines of the documents, some of which lost their values in print.
#[test]
fn the_commands_of_the_documents_are_taken() {
    let p = place("", "");
    for texts in [
        &[
            "cni.plugins=/usr/libexec/cni",
            "cni.config=/var/lib/opensvc/cni/net.d",
        ][..],
        &["network#local1.type=bridge"],
        &[
            "network#backend1.type=routed_bridge",
            "network#backend1.ips_per_node=1024",
        ],
        &[
            "network#backend1.addr@node1=",
            "network#backend1.addr@node2=",
            "network#backend1.addr@node3=",
        ],
        &["network#backend1.tunnel=always"],
        &["network#weave1.type=weave"],
        &[
            "network#backend1.network=10.11.0.0/16",
            "network#local1.network=10.12.0.0/16",
        ],
    ] {
        p.set(texts).unwrap();
    }
    let (networks, problems) = Config::load(&p.root, "node1").unwrap().networks();
    assert_eq!(problems, []);
    let names: Vec<_> = networks.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["backend1", "default", "lo", "local1", "weave1"]);
    assert_eq!(p.stored("network#backend1.addr@node1").as_deref(), Some(""));
}

#[test]
fn no_concurrent_change_is_lost() {
    let p = place("", "");
    std::fs::write(p.root.etc().join(".fairlead-left-by-a-crash"), "[").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let p = &p;
            scope.spawn(move || {
                for i in 0..10 {
                    p.set(&[&format!("cluster.nodes+=n{thread}-{i}")]).unwrap();
                    let own = [format!("network#t{thread}.public={}", i % 2 == 0)];
                    p.set(&[&own[0]]).unwrap();
                }
            });
        }
    });
    let nodes = p.stored("cluster.nodes").unwrap();
    let nodes: BTreeSet<_> = nodes.split_whitespace().collect();
    assert_eq!(nodes.len(), 80);
    let config = Config::load(&p.root, "n1").unwrap();
    assert_eq!(config.network_names().len(), 10);
    let files = std::fs::read_dir(p.root.etc()).unwrap().count();
    assert_eq!(
        files, 2,
        "cluster.conf and the leftover, no other temporary file"
    );
}

#[test]
fn a_place_that_cannot_be_used_is_named() {
    let p = place("", "");
    std::fs::remove_dir(p.root.etc()).unwrap();
    std::fs::write(p.root.etc(), "in the way").unwrap();
    let error = p.set(&["cluster.name=c1"]).unwrap_err();
    assert!(matches!(error, ConfigError::Read { .. }), "{error}");

    let p = place("", "");
    std::fs::create_dir_all(p.root.run().parent().unwrap()).unwrap();
    std::fs::write(p.root.run(), "in the way").unwrap();
    let error = p.set(&["cluster.name=c1"]).unwrap_err();
    assert!(matches!(error, ConfigError::Lock { .. }), "{error}");
    assert!(error.to_string().contains("config.lock"), "{error}");
}

mod property {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What is set is what get gives, in the file as well as in memory, and the
        /// rest of the file is as it was.
        #[test]
        fn set_then_get(option in "[a-z_]{1,8}", value in "[ -~\n]{0,20}") {
            let before = format!("{ID}# mine\n[other]\nx  = 1 ; 2\n");
            let p = place(&before, "");
            let path = KeyPath::new("other", option);
            prop_assume!(path.option != "x");
            let op = KeyOp { path: path.clone(), operator: Operator::Assign, value: value.clone() };
            let lines = value.trim().split('\n').map(str::trim).collect::<Vec<_>>();
            let comment = lines.iter().skip(1).any(|l| l.starts_with(['#', ';']));
            let result = p.change(Target::Cluster, &[Change::Set(op)]);
            prop_assert_eq!(result.is_err(), comment);
            let text = p.text(Target::Cluster).unwrap();
            prop_assert!(text.starts_with(&before));
            let document = Document::parse(&text).unwrap();
            let wanted = lines.join("\n");
            let wanted = (!comment).then_some(wanted.as_str());
            prop_assert_eq!(document.get("other", &path.option), wanted);
        }
    }
}
