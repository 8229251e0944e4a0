//! A `cluster.conf` that someone damages, and an etcd that comes back as it was before.

use crate::etcd::Keys as _;
use crate::living::followed;
use crate::place::{Place, network, refusal, segments, set};
use fairlead_cluster::{ClusterError, ConfigSync};
use fairlead_config::{Config, ConfigError};
use fairlead_tests::LoneEtcd;

const B: &str = "10.11.0.0/16";

impl Place {
    /// The segments as any command reads them.
    fn loaded(&self) -> Vec<(String, String)> {
        let config = Config::load(&self.root, &self.node).unwrap();
        let document = config.document(fairlead_config::Target::Cluster);
        segments(&document.to_string(), "b").into_iter().collect()
    }
}

#[test]
fn a_damaged_mirror_never_counts_and_is_mended_without_etcd() {
    let mut server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    server.kill();
    let good = one.text();
    let given = one.loaded();
    assert_eq!(given.len(), 1);
    for damaged in ["", "no configuration\n", "[network#x]\nnetwork = none\n"] {
        one.write(damaged);
        assert_eq!(one.loaded(), given, "{damaged:?}");
        let sync = one.open().restore_mirror().unwrap();
        let saved_as = one.path(".rejected");
        assert_eq!(std::fs::read_to_string(&saved_as).unwrap(), damaged);
        assert_eq!(sync, ConfigSync::LocalEdit { saved_as });
        assert_eq!(one.text(), good);
    }
    std::fs::remove_file(one.path("")).unwrap();
    assert_eq!(one.loaded(), given);
    let sync = one.open().restore_mirror().unwrap();
    assert!(matches!(sync, ConfigSync::Written { .. }), "{sync:?}");
    assert_eq!(one.text(), good);
    let again = one.open().restore_mirror().unwrap();
    assert_eq!(again, ConfigSync::Unchanged);
    // Who follows mends it too.
    followed(&one.open(), |told| {
        told.wait("lost");
        one.write("[network#y]\n");
        told.wait("edit");
        assert_eq!(one.text(), good);
    });
}

#[test]
fn an_edit_is_seen_also_when_something_else_happens() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let good = one.text();
    followed(&one.open(), |told| {
        told.wait("anew");
        one.write("");
        server.ctl(&["put", "/fairlead/nodes/n2", "{}"]);
        told.wait("nodes {\"n2\"}");
        told.wait("edit");
        assert_eq!(one.text(), good);
    });
}

#[test]
fn without_etcd_an_emptied_file_is_no_declaration() {
    let one = Place::new("n1", &network("b", B, 1024));
    let cluster = one.open();
    cluster.assign_segments().unwrap();
    let good = one.text();
    for damaged in [Some(""), None] {
        match damaged {
            Some(text) => one.write(text),
            None => std::fs::remove_file(one.path("")).unwrap(),
        }
        let error = cluster.assign_segments().unwrap_err();
        let is_vanished =
            |e: &ClusterError| matches!(e, ClusterError::Config(ConfigError::Vanished { .. }));
        assert!(is_vanished(&error), "{error}");
        let error = cluster
            .change(&set(&["cluster.name=x"]), false)
            .unwrap_err();
        assert!(is_vanished(&error), "{error}");
    }
    one.write("[DEFAULT]\n");
    cluster.assign_segments().unwrap();
    one.write(&good);
    cluster.assign_segments().unwrap();
    assert_eq!(one.segments("b").len(), 1);
}

#[test]
fn nothing_is_decided_on_an_older_text() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let old = (server.text("config"), server.text("config.generation"));
    let two = Place::joined("n2", "", &server);
    two.open()
        .change(&set(&["cluster.name=new"]), false)
        .unwrap();
    server_put(&server, "config", &old.0);
    server_put(&server, "config.generation", &old.1);
    let text = "network#c.network=10.12.0.0/24";
    two.open().change(&set(&[text]), false).unwrap();
    for text in [server.text("config"), two.text()] {
        assert!(
            text.contains("10.12.0.0/24") && text.contains("name = new"),
            "{text}"
        );
        assert_eq!(segments(&text, "b").len(), 2, "{text}");
    }
    // The one whose mirror is older takes it.
    one.open().sync_config().unwrap();
    assert_eq!(one.text(), two.text());
}

/// Two nodes after some changes, and what etcd had before the second joined.
fn grown(server: &LoneEtcd) -> ([Place; 2], String) {
    let one = Place::joined("n1", &network("b", B, 1024), server);
    let old = server.text("config");
    let two = Place::joined("n2", "", server);
    for i in 0..5 {
        let name = format!("cluster.name=c{i}");
        two.open().change(&set(&[&name]), false).unwrap();
    }
    assert_eq!(two.segments("b")["n2"], "10.11.4.0/22");
    ([one, two], old)
}

/// A text with another node and its segment.
fn with(old: &str, node: &str, segment: &str) -> String {
    let text = old.replace("nodes = n1", &format!("nodes = n1 {node}"));
    let own = "subnet@n1 = 10.11.0.0/22\n";
    text.replace(own, &format!("{own}subnet@{node} = {segment}\n"))
}

/// Gives etcd a text that was changed more often than any mirror knows.
fn restored(server: &mut LoneEtcd, text: &str) {
    server.wipe();
    server.run();
    server_put(server, "config", text);
    server_put(server, "config.generation", "99");
}

#[test]
fn what_a_newer_history_gave_and_what_was_mirrored_become_one() {
    let mut server = LoneEtcd::start();
    let ([one, two], old) = grown(&server);
    restored(&mut server, &with(&old, "n3", "10.11.8.0/22"));
    two.open().sync_config().unwrap();
    let given = segments(&server.text("config"), "b");
    let wanted = [
        ("n1", "10.11.0.0/22"),
        ("n2", "10.11.4.0/22"),
        ("n3", "10.11.8.0/22"),
    ];
    assert!(wanted.iter().all(|(n, s)| given[*n] == *s), "{given:?}");
    assert!(server.text("config").contains("nodes = n1 n3 n2"));
    assert_eq!(server.text("config.generation"), "100");
    one.open().sync_config().unwrap();
    assert_eq!(one.text(), two.text());
}

#[test]
fn a_node_keeps_the_segment_that_a_newer_history_gave_to_another() {
    let mut server = LoneEtcd::start();
    let ([_one, two], old) = grown(&server);
    let own = two.text();
    let text = with(&old, "n4", "10.11.4.0/22");
    restored(&mut server, &text);
    let cluster = two.open();
    let error = cluster.sync_config().unwrap_err();
    assert!(matches!(error, ClusterError::SegmentLost { .. }), "{error}");
    assert_eq!(cluster.problems(), [error.to_string()]);
    let refused = cluster
        .change(&set(&["cluster.name=x"]), false)
        .unwrap_err();
    assert!(
        matches!(refused, ClusterError::SegmentLost { .. }),
        "{refused}"
    );
    assert_eq!((two.text(), server.text("config")), (own, text));
    let mine = ("n2".to_owned(), "10.11.4.0/22".to_owned());
    assert!(two.loaded().contains(&mine));
    // The cure that the message names, on another node.
    let four = Place::new("n4", "");
    four.write("[DEFAULT]\n");
    four.join(&server).unwrap();
    let network = "b".parse().unwrap();
    four.open().release(&network, "n4", true).unwrap();
    cluster.sync_config().unwrap();
    assert_eq!(cluster.problems(), [""; 0]);
    four.open().assign_segments().unwrap();
    let given = segments(&server.text("config"), "b");
    assert_eq!(given["n2"], "10.11.4.0/22");
    four.open().sync_config().unwrap();
    four.open().assign_segments().unwrap();
    let given = segments(&server.text("config"), "b");
    assert_eq!(
        (&*given["n2"], &*given["n4"]),
        ("10.11.4.0/22", "10.11.8.0/22")
    );
}

#[test]
fn a_segment_is_moved_by_nobody() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let cluster = one.open();
    let text = refusal(cluster.change(&set(&["network#b.subnet@n1=10.11.8.0/22"]), false));
    assert!(text.contains("net release --name b --node n1"), "{text}");
    let same = set(&["network#b.subnet@n1=10.11.0.0/22"]);
    assert!(!cluster.change(&same, false).unwrap().changed);
    cluster
        .change(&set(&["network#b.subnet@n2=10.11.8.0/22"]), false)
        .unwrap();
    let whole = fairlead_config::Change::Delete("network#b".to_owned());
    cluster.change(&[whole], false).unwrap();
    assert!(one.segments("b").is_empty());
}

fn server_put(server: &LoneEtcd, key: &str, value: &str) {
    server.ctl(&["put", &format!("/fairlead/{key}"), value]);
}

/// etcd was lost and founded anew by somebody else while this node was away.
#[test]
fn another_cluster_in_the_same_place_is_neither_taken_nor_overwritten() {
    let mut server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let own = one.text();
    server.wipe();
    server.run();
    let other = Place::joined("n9", &network("c", "10.12.0.0/16", 1024), &server);
    for name in ["x", "y", "z"] {
        let change = set(&[&format!("cluster.name={name}")]);
        other.open().change(&change, false).unwrap();
    }
    let theirs = server.text("config");
    let cluster = one.open();
    let text = cluster.sync_config().unwrap_err().to_string();
    assert!(
        text.contains("another cluster") && text.contains("node leave"),
        "{text}"
    );
    let change = set(&["network#d.network=10.13.0.0/24"]);
    cluster.change(&change, false).unwrap_err();
    assert_eq!(one.text(), own);
    assert_eq!(server.text("config"), theirs);
}
