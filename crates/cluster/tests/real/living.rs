use crate::etcd::Keys as _;
use crate::place::{Place, address, network, set, wait_for};
use fairlead_cluster::{Cluster, ConfigSync, Followed, NodeReport, Published};
use fairlead_tests::LoneEtcd;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const B: &str = "10.11.0.0/16";

/// What a follower was told, in words.
#[derive(Default)]
pub(crate) struct Told(Mutex<Vec<String>>);

impl Told {
    fn note(&self, followed: &Followed) {
        let text = match followed {
            Followed::Config(ConfigSync::LocalEdit { .. }) => "edit".to_owned(),
            Followed::Config(_) => "config".to_owned(),
            Followed::Nodes(nodes) => {
                let nodes: BTreeSet<&String> = nodes.keys().collect();
                format!("nodes {nodes:?}")
            }
            Followed::Addresses(changes) => {
                let networks: BTreeSet<&String> = changes.iter().map(|c| &c.network).collect();
                format!("addresses {networks:?}")
            }
            Followed::Anew => "anew".to_owned(),
            Followed::PutBack(count) => format!("put back {count}"),
            Followed::Lost(_) => "lost".to_owned(),
            Followed::Found => "found".to_owned(),
            Followed::Failed(_) => "failed".to_owned(),
        };
        self.0.lock().unwrap().push(text);
    }

    /// Waits for these words behind what was waited for before.
    #[track_caller]
    pub(crate) fn wait(&self, words: &str) {
        wait_for(words, || {
            let mut told = self.0.lock().unwrap();
            let at = told.iter().position(|t| t == words)?;
            told.drain(..=at);
            Some(())
        });
    }
}

/// Runs `work` while `cluster` is followed.
pub(crate) fn followed(cluster: &Cluster, work: impl FnOnce(&Told)) {
    let (stop, told) = (AtomicBool::new(false), Told::default());
    thread::scope(|scope| {
        scope.spawn(|| cluster.follow(&stop, &mut |f| told.note(&f)));
        // The follower ends also when the work panics.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&told)));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = done {
            eprintln!("told: {:?}", told.0.lock().unwrap());
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn only_what_changed_is_published() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let cluster = one.open();
    let many: Vec<_> = (2..252)
        .map(|i| address("b", &format!("10.11.0.{i}")))
        .collect();
    let done = |put, deleted| Published { put, deleted };
    assert_eq!(cluster.publish(&many).unwrap(), done(250, 0));
    assert_eq!(cluster.publish(&many).unwrap(), done(0, 0));
    let mut fewer = many[5..].to_vec();
    fewer[0].object = "shop/svc/db".to_owned();
    assert_eq!(cluster.publish(&fewer).unwrap(), done(1, 5));
    // Another process of the node compares with what is there.
    let again = one.open();
    assert_eq!(again.publish(&fewer[..1]).unwrap(), done(0, 244));
    let keys = server.keys();
    assert_eq!(keys[0], "addresses/n1/b/10.11.0.7");
    assert_eq!(keys.len(), 3);
    let there = again.addresses(Some("b")).unwrap().value;
    assert_eq!(
        (there[0].node.as_str(), there[0].object.as_str()),
        ("n1", "shop/svc/db")
    );
    assert_eq!(again.addresses(Some("c")).unwrap().value, []);
    assert_eq!(again.counts(None).unwrap().value["b"], 1);
}

#[test]
fn a_node_lives_while_it_says_so_and_comes_back_by_itself() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", "", &server);
    let two = Place::joined("n2", "", &server);
    let report = NodeReport {
        addresses: vec!["192.0.2.1".parse().unwrap()],
        version: "1".to_owned(),
        ..NodeReport::default()
    };
    let cluster = one.open();
    let mut registration = cluster.register(&report, Duration::from_secs(2)).unwrap();
    let row = |index: usize| two.open().nodes().unwrap().value.swap_remove(index);
    let told = row(0).report.unwrap();
    assert!(row(0).alive && !told.identity.is_empty());
    let identity = told.identity.clone();
    assert_eq!(
        told,
        NodeReport {
            identity,
            ..report.clone()
        }
    );
    assert!(!row(1).alive && row(1).member);
    assert!(!registration.keep_alive().unwrap());
    wait_for("end of the lease", || (!row(0).alive).then_some(()));
    assert!(registration.keep_alive().unwrap(), "written again");
    assert!(row(0).alive);
    server.ctl(&["del", "/fairlead/nodes/n1"]);
    assert!(registration.keep_alive().unwrap());
    let newer = NodeReport {
        version: "2".to_owned(),
        ..report
    };
    registration.update(&newer).unwrap();
    assert_eq!(row(0).report.unwrap().version, "2");
    registration.end().unwrap();
    assert!(!row(0).alive);
}

#[test]
fn a_follower_mirrors_and_tells_what_changed() {
    let mut server = LoneEtcd::start();
    let one = Place::joined("n1", "", &server);
    let two = Place::joined("n2", "", &server);
    let cluster = one.open();
    let other = two.open();
    followed(&cluster, |told| {
        told.wait("anew");
        other
            .change(
                &set(&[
                    "network#b.type=routed_bridge",
                    "network#b.network=10.11.0.0/16",
                ]),
                false,
            )
            .unwrap();
        told.wait("config");
        assert_eq!(one.text(), two.text());
        let _registration = other
            .register(&NodeReport::default(), Duration::from_secs(60))
            .unwrap();
        told.wait("nodes {\"n2\"}");
        other.publish(&[address("b", "10.11.4.2")]).unwrap();
        told.wait("addresses {\"b\"}");
        one.write("[cluster]\nname = edited\n");
        told.wait("edit");
        assert_eq!(one.text(), two.text());
        server.kill();
        told.wait("lost");
        // Another process of the node reads the mirror at once.
        let reader = one.open();
        let counts = reader.counts(None).unwrap();
        assert_eq!(counts.value["b"], 1);
        assert!(counts.stale.is_some());
        assert!(reader.nodes().unwrap().value[1].alive);
        server.run();
        told.wait("found");
        assert!(reader.counts(None).unwrap().stale.is_none());
    });
}

#[test]
fn what_etcd_lost_is_put_back_by_those_who_follow() {
    let mut server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let two = Place::joined("n2", "", &server);
    let (first, second) = (one.open(), two.open());
    first
        .publish(&[address("b", "10.11.0.2"), address("b", "10.11.0.3")])
        .unwrap();
    second.publish(&[address("b", "10.11.4.2")]).unwrap();
    one.open().sync_config().unwrap();
    let mut registration = first
        .register(&NodeReport::default(), Duration::from_secs(60))
        .unwrap();
    let (keys, config) = (server.keys(), server.text("config"));
    followed(&first, |told_first| {
        followed(&second, |told_second| {
            told_first.wait("anew");
            told_second.wait("anew");
            server.wipe();
            server.run();
            told_first.wait("put back 2");
            told_second.wait("put back 1");
            assert!(registration.keep_alive().unwrap(), "a new lease");
            assert_eq!(server.keys(), keys);
            assert_eq!(server.text("config"), config);
            server.ctl(&["del", "/fairlead/addresses/n1/b/10.11.0.2"]);
            told_first.wait("put back 1");
            assert_eq!(server.keys(), keys);
        });
    });
    assert_eq!((one.text(), two.text()), (config.clone(), config));
}

#[test]
fn a_follower_that_starts_without_etcd_waits_for_it() {
    let mut server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    server.kill();
    let cluster = one.open();
    followed(&cluster, |told| {
        told.wait("lost");
        server.run();
        told.wait("anew");
    });
}

#[test]
fn what_goes_with_a_node_that_leaves_is_not_put_back() {
    let server = LoneEtcd::start();
    let _one = Place::joined("n1", &network("b", B, 1024), &server);
    let two = Place::joined("n2", "", &server);
    let agent = two.open();
    agent.publish(&[address("b", "10.11.4.2")]).unwrap();
    let report = NodeReport::default();
    let mut registration = agent.register(&report, Duration::from_secs(60)).unwrap();
    followed(&agent, |told| {
        told.wait("anew");
        fairlead_cluster::leave_as(&two.root, "n2", None, false).unwrap();
        told.wait("nodes {\"n2\"}");
        told.wait("addresses {\"b\"}");
        assert!(!registration.keep_alive().unwrap());
        assert_eq!(server.keys(), ["config", "config.generation"]);
        // Its file is its own again, whatever still follows.
        two.open()
            .change(&set(&["cluster.name=mine"]), false)
            .unwrap();
        told.wait("failed");
        assert!(two.text().contains("name = mine"));
        assert!(!two.path(".rejected").exists());
    });
}

#[test]
fn a_bad_text_in_etcd_keeps_nobody_from_following_the_rest() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let two = Place::joined("n2", "", &server);
    server.ctl(&["put", "/fairlead/config", "no configuration"]);
    let cluster = one.open();
    followed(&cluster, |told| {
        told.wait("anew");
        two.open().publish(&[address("b", "10.11.4.2")]).unwrap();
        told.wait("addresses {\"b\"}");
        assert_eq!(one.open().counts(None).unwrap().value["b"], 1);
    });
}
