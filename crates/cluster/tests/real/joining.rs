use crate::etcd::Keys as _;
use crate::place::{Place, address, network, options, refusal, segments, set};
use fairlead_cluster::{Cluster, ClusterError, JoinOptions, NodeReport, join_as, leave_as};
use fairlead_config::Document;
use fairlead_tests::LoneEtcd;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

const B: &str = "10.11.0.0/16";

#[test]
fn the_first_founds_and_the_next_get_the_documents_segments() {
    let server = LoneEtcd::start();
    let one = Place::new("n1", &network("b", B, 1024));
    let joined = one.join(&server).unwrap();
    assert!(joined.founded);
    assert_eq!(
        (joined.nodes.as_slice(), joined.kept),
        (&["n1".to_owned()][..], None)
    );
    let two = Place::joined("n2", "", &server);
    let three = Place::new("n3", "");
    let joined = three.join(&server).unwrap();
    assert!(!joined.founded);
    assert_eq!(joined.segments.len(), 1);
    assert_eq!(joined.segments[0].segment.to_string(), "10.11.8.0/22");
    let wanted = BTreeMap::from(
        [
            ("n1", "10.11.0.0/22"),
            ("n2", "10.11.4.0/22"),
            ("n3", "10.11.8.0/22"),
        ]
        .map(|(n, s)| (n.to_owned(), s.to_owned())),
    );
    assert_eq!(segments(&server.text("config"), "b"), wanted);
    for place in [&one, &two, &three] {
        assert_eq!(
            place.segments("b").get(&place.node),
            wanted.get(&place.node)
        );
        place.open().sync_config().unwrap();
        assert_eq!(place.text(), server.text("config"));
        assert!(place.node_conf().contains(server.url()));
        assert!(place.open().is_joined());
    }
}

#[test]
fn joining_twice_changes_nothing() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let before = (server.text("config"), one.text(), one.node_conf());
    let again = one.join(&server).unwrap();
    assert_eq!((again.founded, again.kept), (false, None));
    assert_eq!(again.segments, []);
    assert_eq!((server.text("config"), one.text(), one.node_conf()), before);
    assert!(!one.path(".before-join").exists());
}

#[test]
fn bad_options_and_an_etcd_that_is_not_there_change_nothing() {
    let mut server = LoneEtcd::start();
    let place = Place::new("n1", &network("b", B, 1024));
    let before = place.text();
    let bad = |options: JoinOptions| refusal(join_as(&place.root, "n1", &options));
    let good = options(&server);
    for (wrong, key) in [
        (
            JoinOptions {
                endpoints: vec!["n1".into()],
                ..good.clone()
            },
            "etcd.endpoints",
        ),
        (
            JoinOptions {
                cert: Some("/c".into()),
                ..good.clone()
            },
            "etcd.cert",
        ),
        (
            JoinOptions {
                key: Some("key".into()),
                ..good.clone()
            },
            "etcd.key",
        ),
        (
            JoinOptions {
                user: Some("u".into()),
                ..good.clone()
            },
            "etcd.user",
        ),
        (
            JoinOptions {
                prefix: "/a/".into(),
                ..good.clone()
            },
            "etcd.prefix",
        ),
    ] {
        let text = bad(wrong);
        assert!(text.contains(key), "{text}");
    }
    let none = join_as(&place.root, "n1", &JoinOptions::default());
    assert!(matches!(none, Err(ClusterError::NoEndpoints)), "{none:?}");
    server.kill();
    let error = place.join(&server).unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert!(error.to_string().contains(server.url()), "{error}");
    assert_eq!((place.text(), place.node_conf()), (before, String::new()));
    assert!(!place.path(".before-join").exists());
}

#[test]
fn a_cluster_of_its_own_is_given_up_by_force_only() {
    let server = LoneEtcd::start();
    let _one = Place::joined("n1", &network("b", B, 1024), &server);
    let own = "[DEFAULT]\nid = 01234567-89ab-4cde-8f01-23456789abcd\n[network#x]\nnetwork = 10.77.0.0/16\n";
    let two = Place::new("n2", own);
    let refused = two.join(&server);
    assert!(
        matches!(refused, Err(ClusterError::OtherCluster { .. })),
        "{refused:?}"
    );
    assert_eq!((two.text().as_str(), two.node_conf().as_str()), (own, ""));
    assert!(!server.text("config").contains("n2"));
    let forced = JoinOptions {
        force: true,
        ..options(&server)
    };
    let joined = join_as(&two.root, "n2", &forced).unwrap();
    assert_eq!(joined.kept, Some(two.path(".before-join")));
    assert_eq!(
        std::fs::read_to_string(two.path(".before-join")).unwrap(),
        own
    );
    assert_eq!(two.text(), server.text("config"));
    assert!(!two.path(".rejected").exists());
    // Without networks of its own there is nothing to give up.
    let three = Place::new("n3", "[cluster]\nname = mine\n");
    assert!(three.join(&server).unwrap().kept.is_some());
    // A copy of the cluster's file is no other one.
    let four = Place::new("n4", &server.text("config"));
    assert_eq!(four.join(&server).unwrap().kept, None);
}

#[test]
fn two_that_join_at_the_same_moment_never_share_a_segment() {
    let server = LoneEtcd::start();
    let rounds = 100;
    for round in 0..rounds {
        let prefix = format!("/r{round}");
        let both = [Place::new("n1", ""), Place::new("n2", "")];
        let founder = Place::new("n0", &network("b", "10.11.0.0/20", 1024));
        let options = JoinOptions {
            prefix: prefix.clone(),
            ..options(&server)
        };
        // Every third time the two also find nothing there.
        if round % 3 != 0 {
            join_as(&founder.root, "n0", &options).unwrap();
        } else {
            both.iter().for_each(|p| p.write(&founder.text()));
        }
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for place in &both {
                let (start, options) = (&start, &options);
                scope.spawn(move || {
                    start.wait();
                    let forced = JoinOptions {
                        force: true,
                        ..options.clone()
                    };
                    let joined = join_as(&place.root, &place.node, &forced).unwrap();
                    assert!(joined.nodes.contains(&place.node));
                });
            }
        });
        let text = server.ctl(&["get", &format!("{prefix}/config"), "--print-value-only"]);
        let given = segments(&String::from_utf8(text).unwrap(), "b");
        assert_eq!(
            given.len(),
            if round % 3 != 0 { 3 } else { 2 },
            "round {round}: {given:?}"
        );
        let apart: BTreeSet<_> = given.values().collect();
        assert_eq!(apart.len(), given.len(), "round {round}: {given:?}");
        for place in &both {
            place.open().sync_config().unwrap();
            assert_eq!(place.segments("b"), given);
        }
    }
}

#[test]
fn one_that_left_keeps_its_segment_until_it_is_released() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", "10.11.0.0/23", 256), &server);
    let two = Place::joined("n2", "", &server);
    let cluster = two.open();
    cluster.publish(&[address("b", "10.11.1.2")]).unwrap();
    let _registration = cluster
        .register(&NodeReport::default(), Duration::from_secs(30))
        .unwrap();
    assert!(server.keys().contains(&"nodes/n2".to_owned()));
    let left = leave_as(&two.root, "n2", None, false).unwrap();
    assert!(left.told);
    assert_eq!(left.segments, ["b"]);
    assert_eq!(server.keys(), ["config", "config.generation"]);
    assert!(!two.open().is_joined());
    assert!(!two.node_conf().contains("etcd"));
    assert_eq!(two.segments("b").len(), 2, "its own file stays");
    let again = leave_as(&two.root, "n2", None, false);
    assert!(
        matches!(again, Err(ClusterError::NotJoined { .. })),
        "{again:?}"
    );
    let three = Place::new("n3", "");
    let full = refusal(three.join(&server));
    assert!(
        full.contains("nodes that left: n2") && full.contains("net release"),
        "{full}"
    );
    assert_eq!(three.node_conf(), "");
    let network = "b".parse().unwrap();
    let one = one.open();
    let member = one.release(&network, "n1", false);
    assert!(
        matches!(member, Err(ClusterError::Member { .. })),
        "{member:?}"
    );
    let unknown = one.release(&network, "n9", false).unwrap_err().to_string();
    assert!(unknown.contains("n1, n2"), "{unknown}");
    let other = one
        .release(&"c".parse().unwrap(), "n1", false)
        .unwrap_err()
        .to_string();
    assert!(other.ends_with("networks that have: b"), "{other}");
    assert_eq!(
        one.release(&network, "n2", false).unwrap().to_string(),
        "10.11.1.0/24"
    );
    let joined = three.join(&server).unwrap();
    assert_eq!(joined.segments[0].segment.to_string(), "10.11.1.0/24");
    two.write("");
    let back = refusal(two.join(&server));
    assert!(back.contains("does not fit 3 times"), "{back}");
}

#[test]
fn a_dead_node_is_taken_out_by_another_and_a_living_one_by_force() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let two = Place::joined("n2", "", &server);
    let cluster = two.open();
    cluster.publish(&[address("b", "10.11.4.2")]).unwrap();
    let registration = cluster
        .register(&NodeReport::default(), Duration::from_secs(30))
        .unwrap();
    let out = |force| leave_as(&one.root, "n1", Some("n2"), force);
    assert!(matches!(out(false), Err(ClusterError::Alive { .. })));
    let in_use = one.open().release(&"b".parse().unwrap(), "n2", false);
    assert!(
        matches!(in_use, Err(ClusterError::InUse { count: 1, .. })),
        "{in_use:?}"
    );
    registration.end().unwrap();
    assert_eq!(out(false).unwrap().segments, ["b"]);
    assert_eq!(server.keys(), ["config", "config.generation"]);
    assert!(one.open().is_joined(), "the one that took it out stays");
    let unknown = out(false).unwrap_err();
    assert!(
        matches!(&unknown, ClusterError::UnknownNode { nodes, .. } if nodes == &["n1"]),
        "{unknown}"
    );
    // The last one may leave, and come back to what it had.
    leave_as(&one.root, "n1", None, false).unwrap();
    let document = Document::parse(&server.text("config")).unwrap();
    assert_eq!(document.get("cluster", "nodes"), Some(""));
    one.join(&server).unwrap();
    assert_eq!(one.segments("b")["n1"], "10.11.0.0/22");
}

#[test]
fn a_leave_without_etcd_is_forced_and_said_so() {
    let mut server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    server.kill();
    let error = leave_as(&one.root, "n1", None, false).unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert!(one.open().is_joined());
    let left = leave_as(&one.root, "n1", None, true).unwrap();
    assert!(!left.told);
    assert!(!one.open().is_joined());
    assert_eq!(one.segments("b").len(), 1);
}

#[test]
fn without_etcd_the_file_decides_and_gets_its_segments() {
    let place = Place::new("n1", "");
    let cluster = place.open();
    assert!(!cluster.is_joined());
    let changes = set(&[
        "cluster.nodes=n1 n2 n3",
        "network#b.type=routed_bridge",
        "network#b.network=10.11.0.0/16",
    ]);
    assert!(cluster.change(&changes, true).unwrap().changed);
    assert_eq!(place.text(), "");
    cluster.change(&changes, false).unwrap();
    assert_eq!(place.segments("b")["n3"], "10.11.8.0/22");
    // The same declarations on another node come to the same segments.
    let bare =
        "[cluster]\nnodes = n1 n2 n3\n[network#b]\ntype = routed_bridge\nnetwork = 10.11.0.0/16\n";
    let other = Place::new("n2", bare);
    let assigned = other.open().assign_segments().unwrap();
    assert_eq!((assigned.assigned.len(), assigned.problems.len()), (3, 0));
    assert_eq!(other.segments("b"), place.segments("b"));
    assert_eq!(other.open().assign_segments().unwrap().assigned, []);
    let no = Cluster::open_as(&place.root, "n1")
        .unwrap()
        .sync_config()
        .unwrap();
    assert_eq!(no, fairlead_cluster::ConfigSync::Unchanged);
    let left = leave_as(&place.root, "n1", None, true);
    assert!(
        matches!(left, Err(ClusterError::NotJoined { .. })),
        "{left:?}"
    );
}
