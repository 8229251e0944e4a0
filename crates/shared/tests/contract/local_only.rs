//! What only the file has: crashes, damage, and being the mirror.

use crate::engine::{Engine, File, wait_for};
use crate::worker;
use fairlead_shared::{Batch, Entry, Event, Local, Revision, SharedError, SharedState, Snapshot};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn entry(key: &str, value: &str, modified: i64) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.into(),
        created: Revision(1),
        modified: Revision(modified),
        lease: None,
    }
}

#[test]
fn the_file_is_private() {
    let file = File::new();
    let _state = file.local();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file.path()), 0o600);
    assert_eq!(mode(file.path().parent().unwrap()), 0o700);
}

#[test]
fn a_writer_that_is_killed_leaves_whole_transactions() {
    let file = File::new();
    let state = file.open();
    for _ in 0..5 {
        let before = state.get("left").unwrap();
        let mut writer = worker::start(&file, "writes_pairs_for_ever");
        wait_for("a write", || {
            (state.get("left").unwrap() != before).then_some(())
        });
        writer.kill().unwrap();
        writer.wait().unwrap();
        let value = |key| state.get(key).unwrap().unwrap().value;
        assert_eq!(value("left"), value("right"));
        state.put("other", b"", None).unwrap();
    }
}

#[test]
fn damage_is_told_with_the_file_and_the_cure() {
    let file = File::new();
    drop(file.local());
    for damage in [
        b"this is no database at all".repeat(400),
        vec![0xaa; 100_000],
    ] {
        std::fs::write(file.path(), damage).unwrap();
        let error = Local::open(&file.path()).unwrap_err();
        assert!(matches!(error, SharedError::Damaged { .. }), "{error}");
        let told = error.to_string();
        assert!(
            told.contains("shared.db") && told.contains("move it"),
            "{told}"
        );
    }
}

#[test]
fn a_file_of_another_release_is_refused() {
    let file = File::new();
    drop(file.local());
    let conn = rusqlite::Connection::open(file.path()).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    let error = Local::open(&file.path()).unwrap_err().to_string();
    assert!(error.contains("schema 99"), "{error}");
}

#[test]
fn a_lease_of_an_earlier_boot_has_ended() {
    let file = File::new();
    let state = file.local();
    let lease = state.grant(Duration::from_secs(600)).unwrap();
    state.put("a", b"", Some(lease)).unwrap();
    assert!(state.get("a").unwrap().is_some());
    let conn = rusqlite::Connection::open(file.path()).unwrap();
    conn.execute("UPDATE leases SET boot = 'earlier'", [])
        .unwrap();
    assert_eq!(state.get("a").unwrap(), None);
}

#[test]
fn the_mirror_keeps_what_etcd_told_and_takes_nothing_else() {
    let file = File::new();
    let mirror = file.local();
    assert_eq!(mirror.mirrored().unwrap(), None);
    let snapshot = Snapshot {
        entries: vec![entry("a", "1", 7), entry("b", "2", 5)],
        revision: Revision(9),
    };
    mirror.replace("", &snapshot).unwrap();
    assert_eq!(file.local().range("").unwrap(), snapshot);
    assert_eq!(mirror.mirrored().unwrap(), Some(Revision(9)));
    let mut watch = file.local().watch("", Revision(9)).unwrap();
    let batch = Batch {
        revision: Revision(12),
        events: vec![
            Event::Put(entry("c", "3", 10)),
            Event::Delete {
                key: "a".into(),
                revision: Revision(12),
            },
        ],
    };
    // Twice is as once.
    mirror.apply(&batch).unwrap();
    mirror.apply(&batch).unwrap();
    let expected = Snapshot {
        entries: vec![entry("b", "2", 5), entry("c", "3", 10)],
        revision: Revision(12),
    };
    assert_eq!(mirror.range("").unwrap(), expected);
    let told = wait_for("the batch", || {
        watch.recv_timeout(Duration::from_secs(1)).unwrap()
    });
    assert_eq!(told, batch);
    let error = mirror.put("x", b"", None).unwrap_err();
    assert!(matches!(error, SharedError::Mirror { .. }), "{error}");
    assert!(mirror.grant(Duration::from_secs(1)).is_err());
    // etcd was restored from nothing.
    let anew = Snapshot {
        entries: vec![entry("b", "2", 2)],
        revision: Revision(3),
    };
    mirror.replace("", &anew).unwrap();
    assert_eq!(mirror.range("").unwrap(), anew);
    assert!(
        watch
            .recv_timeout(Duration::ZERO)
            .unwrap_err()
            .is_compacted()
    );
    assert!(
        watch
            .recv_timeout(Duration::ZERO)
            .unwrap_err()
            .is_compacted()
    );
}
