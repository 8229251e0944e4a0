use crate::etcd::Keys as _;
use crate::place::{Place, network, refusal, set};
use fairlead_cluster::{ClusterError, ConfigSync};
use fairlead_tests::LoneEtcd;
use std::thread;

const B: &str = "10.11.0.0/16";

#[test]
fn a_change_is_one_for_all_and_a_bad_one_for_none() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", "", &server);
    let two = Place::joined("n2", "", &server);
    let before = server.text("config");
    let dry = one.open().change(&set(&["cluster.name=c1"]), true).unwrap();
    assert!(dry.changed);
    let text = refusal(
        one.open()
            .change(&set(&["network#b.network=nonsense"]), false),
    );
    assert!(text.contains("nonsense"), "{text}");
    assert_eq!(server.text("config"), before);
    let changes = set(&[
        "network#b.type=routed_bridge",
        "network#b.network=10.11.0.0/16",
    ]);
    one.open().change(&changes, false).unwrap();
    assert_eq!(one.text(), server.text("config"));
    assert_eq!(one.segments("b").len(), 2, "both nodes have theirs at once");
    assert_ne!(two.text(), one.text());
    let sync = two.open().sync_config().unwrap();
    assert!(matches!(sync, ConfigSync::Written { .. }), "{sync:?}");
    assert_eq!(two.text(), one.text());
    assert_eq!(two.open().sync_config().unwrap(), ConfigSync::Unchanged);
    assert!(!two.open().change(&changes, false).unwrap().changed);
}

#[test]
fn changes_of_many_at_once_are_all_made() {
    let server = LoneEtcd::start();
    let places: Vec<Place> = (0..4)
        .map(|i| Place::joined(&format!("n{i}"), "", &server))
        .collect();
    thread::scope(|scope| {
        for place in &places {
            scope.spawn(|| {
                let cluster = place.open();
                for i in 0..10 {
                    let node = &place.node;
                    let change = format!("network#{node}-{i}.network=none");
                    cluster.change(&set(&[&change]), false).unwrap();
                }
            });
            // The agent of each mirrors meanwhile.
            scope.spawn(|| {
                let cluster = place.open();
                for _ in 0..20 {
                    cluster.sync_config().unwrap();
                }
            });
        }
    });
    let text = server.text("config");
    assert_eq!(text.matches("network = none").count(), 40);
    for place in &places {
        place.open().sync_config().unwrap();
        assert_eq!(place.text(), text);
        assert!(
            !place.path(".rejected").exists(),
            "none of it was a local edit"
        );
    }
}

#[test]
fn an_edited_mirror_is_kept_and_told() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let good = one.text();
    for edited in [
        format!("{good}[network#x]\nnetwork = none\n"),
        "no configuration\n".to_owned(),
    ] {
        one.write(&edited);
        let sync = one.open().sync_config().unwrap();
        let saved_as = one.path(".rejected");
        assert_eq!(
            sync,
            ConfigSync::LocalEdit {
                saved_as: saved_as.clone()
            }
        );
        assert_eq!(std::fs::read_to_string(&saved_as).unwrap(), edited);
        assert_eq!(
            (one.text(), server.text("config")),
            (good.clone(), good.clone())
        );
        assert_eq!(one.open().sync_config().unwrap(), ConfigSync::Unchanged);
    }
    std::fs::remove_file(one.path("")).unwrap();
    let sync = one.open().sync_config().unwrap();
    assert!(matches!(sync, ConfigSync::Written { .. }), "{sync:?}");
    assert_eq!(one.text(), good);
}

#[test]
fn a_text_in_etcd_that_is_no_configuration_is_not_mirrored() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let good = one.text();
    server.ctl(&["put", "/fairlead/config", "no configuration"]);
    let error = one.open().sync_config().unwrap_err();
    assert!(matches!(error, ClusterError::BadConfig { .. }), "{error}");
    assert!(error.to_string().contains("/fairlead/config"), "{error}");
    let error = one
        .open()
        .change(&set(&["cluster.name=x"]), false)
        .unwrap_err();
    assert!(matches!(error, ClusterError::BadConfig { .. }), "{error}");
    assert_eq!(one.text(), good);
    // Someone mends it by hand, with a text of his own.
    let mended = format!("{good}# mended\n");
    server.ctl(&["put", "/fairlead/config", &mended]);
    one.open().sync_config().unwrap();
    assert_eq!(one.text(), mended);
}

#[test]
fn a_node_with_etcd_down_reads_its_mirror_and_changes_nothing() {
    let mut server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    server.kill();
    let before = one.text();
    let cluster = one.open();
    let error = cluster
        .change(&set(&["cluster.name=x"]), false)
        .unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert!(cluster.staleness().is_some());
    assert_eq!(
        cluster.assign_segments().unwrap().assigned,
        [],
        "nothing lacks, nobody is asked"
    );
    let nodes = cluster.nodes().unwrap();
    assert!(nodes.stale.is_some());
    assert!(nodes.value[0].member && !nodes.value[0].alive);
    assert_eq!(nodes.value[0].segments["b"].to_string(), "10.11.0.0/22");
    assert!(cluster.addresses(None).unwrap().stale.is_some());
    assert_eq!(one.text(), before);
    server.run();
    cluster.change(&set(&["cluster.name=x"]), false).unwrap();
    assert!(cluster.staleness().is_none());
}

#[test]
fn what_etcd_lost_comes_back_from_the_newest_mirror() {
    let mut server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let two = Place::joined("n2", "", &server);
    one.open().sync_config().unwrap();
    let old = one.text();
    two.open()
        .change(&set(&["cluster.name=new"]), false)
        .unwrap();
    let new = two.text();
    assert_ne!(old, new);
    server.wipe();
    server.run();
    // The one that mirrored less comes first.
    let sync = one.open().sync_config().unwrap();
    assert!(matches!(sync, ConfigSync::PutBack { .. }), "{sync:?}");
    assert_eq!(server.text("config"), old);
    let sync = two.open().sync_config().unwrap();
    assert!(matches!(sync, ConfigSync::PutBack { .. }), "{sync:?}");
    assert_eq!(server.text("config"), new);
    let sync = one.open().sync_config().unwrap();
    assert!(matches!(sync, ConfigSync::Written { .. }), "{sync:?}");
    assert_eq!(one.text(), new);
    // The same when the first thing after the loss is a change.
    server.wipe();
    server.run();
    one.open()
        .change(&set(&["cluster.name=newer"]), false)
        .unwrap();
    assert_eq!(one.segments("b").len(), 2);
    assert_eq!(
        two.open().sync_config().unwrap(),
        ConfigSync::Written { generation: 4 }
    );
}
