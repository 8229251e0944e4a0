//! What only etcd has: endpoints, certificates, users, and its absence.

use crate::engine::{Engine, LIMIT, wait_for};
use crate::proxy::Proxy;
use crate::server::{hasty, opened, options, text};
use fairlead_shared::{Batch, Etcd, EtcdOptions, Event, Revision, SharedError, SharedState, Watch};
use fairlead_tests::{Authority, LoneEtcd, own_loopback};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn next(watch: &mut Watch) -> Batch {
    wait_for("a batch", || watch.recv_timeout(LIMIT).unwrap())
}

fn values(batch: &Batch) -> Vec<String> {
    let value = |event: &Event| match event {
        Event::Put(entry) => String::from_utf8(entry.value.clone()).unwrap(),
        Event::Delete { .. } => "-".to_owned(),
    };
    batch.events.iter().map(value).collect()
}

#[test]
fn a_dead_first_endpoint_fails_no_call() {
    let server = LoneEtcd::start();
    let dead = format!("http://{}:2379", own_loopback());
    for once in 0..4 {
        let etcd = Etcd::open(&hasty(&[&dead, &dead, server.url()])).unwrap();
        match once {
            0 => assert!(etcd.put("a", b"1", None).unwrap() > Revision::ZERO),
            1 => assert_eq!(etcd.get("a").unwrap().unwrap().value, b"1"),
            2 => assert_ne!(etcd.grant(Duration::from_secs(5)).unwrap().0, 0),
            _ => {
                let mut watch = etcd.watch("", Revision::ZERO).unwrap();
                assert_eq!(values(&next(&mut watch)), ["1"]);
            }
        }
    }
}

#[test]
fn a_first_endpoint_that_hangs_fails_no_call() {
    let (hung, server) = (LoneEtcd::start(), LoneEtcd::start());
    hung.signal("-STOP");
    let etcd = Etcd::open(&hasty(&[hung.url(), server.url()])).unwrap();
    etcd.put("a", b"1", None).unwrap();
    assert_eq!(server.seen("a").unwrap(), b"1");
    let since = Instant::now();
    // One of them may wait for the disk.
    for _ in 0..4 {
        etcd.put("a", b"2", None).unwrap();
    }
    assert!(
        since.elapsed() < Duration::from_millis(3600),
        "it is not asked again"
    );
    hung.signal("-CONT");
    assert_eq!(hung.seen("a"), None);
}

#[test]
fn an_etcd_that_is_down_is_unreachable_and_the_error_names_it() {
    let dead = format!("http://{}:2379", own_loopback());
    let etcd = Etcd::open(&hasty(&[&dead])).unwrap();
    let error = etcd.put("some/key", b"", None).unwrap_err();
    let told = error.to_string();
    assert!(error.is_unreachable(), "{told}");
    for part in [&dead, "write 'some/key'", "refused", "node.conf"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains("may have been made"), "{told}");
}

#[test]
fn a_server_that_is_stopped_holds_up_a_call_for_its_time_limit_only() {
    let server = LoneEtcd::start();
    let etcd = Etcd::open(&hasty(&[server.url()])).unwrap();
    etcd.put("a", b"", None).unwrap();
    server.signal("-STOP");
    for write in [false, true] {
        let since = Instant::now();
        let error = if write {
            etcd.put("a", b"", None).unwrap_err()
        } else {
            etcd.get("a").unwrap_err()
        };
        assert!(error.is_unreachable(), "{error}");
        let took = since.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    server.signal("-CONT");
    wait_for("etcd again", || etcd.get("a").ok());
}

#[test]
fn a_watch_outlives_a_killed_server() {
    let mut server = LoneEtcd::start();
    let etcd = opened(&server);
    let start = etcd.put("n", b"0", None).unwrap();
    let mut watch = etcd.watch("n", start).unwrap();
    etcd.put("n", b"1", None).unwrap();
    assert_eq!(values(&next(&mut watch)), ["1"]);
    for round in 0..3 {
        server.kill();
        assert_eq!(
            watch.recv_timeout(Duration::from_millis(300)).unwrap(),
            None
        );
        server.run();
        server.wait(&[]);
        let value = format!("after {round}");
        server.ctl(&["put", "/fairlead/n", &value]);
        assert_eq!(values(&next(&mut watch)), [value]);
    }
}

#[test]
fn a_watch_notices_that_its_connection_carries_nothing() {
    let server = LoneEtcd::start();
    let proxy = Proxy::to(server.url());
    let etcd = Etcd::open(&hasty(&[&proxy.url])).unwrap();
    let start = etcd.put("n", b"0", None).unwrap();
    let mut watch = etcd.watch("n", start).unwrap();
    etcd.put("n", b"1", None).unwrap();
    assert_eq!(values(&next(&mut watch)), ["1"]);
    proxy.freeze();
    server.ctl(&["put", "/fairlead/n", "2"]);
    // No call is made that could notice it first.
    assert_eq!(values(&next(&mut watch)), ["2"]);
    assert_eq!(etcd.get("n").unwrap().unwrap().value, b"2");
}

#[test]
fn an_etcd_restored_from_nothing_ends_the_watch() {
    // Few changes: the new history is shorter. Many: it is longer than the old one.
    for changes in [0, 50] {
        let mut server = LoneEtcd::start();
        let etcd = opened(&server);
        for _ in 0..9 {
            etcd.put("n", b"old", None).unwrap();
        }
        let now = etcd.range("").unwrap().revision;
        let mut watch = etcd.watch("", now).unwrap();
        etcd.put("n", b"last", None).unwrap();
        assert_eq!(values(&next(&mut watch)), ["last"]);
        server.wipe();
        server.run();
        server.wait(&[]);
        // By another handle, as the watch may be back in the meantime.
        let other = opened(&server);
        let ended = (0..=changes).find_map(|_| {
            other.put("n", b"new", None).unwrap();
            watch.recv_timeout(Duration::ZERO).err()
        });
        let error = ended.unwrap_or_else(|| {
            wait_for("the end", || {
                watch.recv_timeout(Duration::from_secs(1)).err()
            })
        });
        assert!(error.is_compacted(), "{error}");
        assert_eq!(etcd.get("n").unwrap().unwrap().value, b"new");
    }
}

#[test]
fn prefixes_keep_states_apart() {
    let server = LoneEtcd::start();
    let with = |prefix: &str| {
        let prefix = prefix.to_owned();
        Etcd::open(&EtcdOptions {
            prefix,
            ..options(&server)
        })
        .unwrap()
    };
    let (one, two) = (with("/one"), with("/one2/"));
    one.put("a", b"1", None).unwrap();
    two.put("a", b"2", None).unwrap();
    server.ctl(&["put", "/onearm", "x"]);
    assert_eq!(one.range("").unwrap().entries.len(), 1);
    assert_eq!(two.get("a").unwrap().unwrap().value, b"2");
    assert_eq!(
        server.ctl(&["get", "/one2/a", "--print-value-only"]),
        b"2\n"
    );
    one.commit(&fairlead_shared::Txn::new().delete_prefix(""))
        .unwrap();
    assert_eq!((one.count("").unwrap(), two.count("").unwrap()), (0, 1));
}

#[test]
fn a_call_from_a_thread_of_another_runtime_does_not_panic() {
    let server = LoneEtcd::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let etcd = opened(&server);
        etcd.put("a", b"", None).unwrap();
        let mut watch = etcd.watch("", Revision::ZERO).unwrap();
        assert_eq!(values(&next(&mut watch)), [""]);
        drop((watch, etcd));
    });
}

#[test]
fn user_and_password_are_checked_and_never_shown() {
    let server = LoneEtcd::start();
    for args in [
        "user add root:rootpw",
        "role add fl",
        "role grant-permission fl --prefix=true readwrite /fairlead/",
        "user add fl:s3cret",
        "user grant-role fl fl",
        "user grant-role root root",
        "auth enable",
    ] {
        server.ctl(&args.split(' ').collect::<Vec<_>>());
    }
    let file = server.dir().join("password");
    let with = |user: Option<&str>, password: &str, prefix: &str| {
        std::fs::write(&file, format!("{password}\n")).unwrap();
        let options = EtcdOptions {
            user: user.map(str::to_owned),
            password_file: user.map(|_| file.clone()),
            prefix: prefix.to_owned(),
            ..options(&server)
        };
        let etcd = Etcd::open(&options).unwrap();
        assert!(!format!("{etcd:?} {options:?}").contains("s3cret"));
        etcd
    };
    let right = with(Some("fl"), "s3cret", "/fairlead");
    right.put("a", b"1", None).unwrap();
    let mut watch = right.watch("", Revision::ZERO).unwrap();
    assert_eq!(values(&next(&mut watch)), ["1"]);
    for wrong in [
        with(Some("fl"), "s3cretX", "/fairlead"),
        with(Some("nobody"), "s3cret", "/fairlead"),
        with(None, "", "/fairlead"),
        with(Some("fl"), "s3cret", "/elsewhere"),
    ] {
        let mut watch = wrong.watch("", Revision::ZERO).unwrap();
        for error in [
            wrong.get("a").unwrap_err(),
            wrong.put("a", b"2", None).unwrap_err(),
            watch.recv_timeout(LIMIT).unwrap_err(),
        ] {
            let told = error.to_string();
            assert!(matches!(error, SharedError::Denied { .. }), "{told}");
            assert!(
                told.contains("etcd.password_file") && !told.contains("s3cret"),
                "{told}"
            );
        }
    }
    assert_eq!(right.get("a").unwrap().unwrap().value, b"1");
}

/// Writes a text to a file of a folder; returns the file.
fn written(dir: &Path, name: &str, text: &str) -> PathBuf {
    let file = dir.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn certificates_are_checked_by_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let address = own_loopback();
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let ca = written(dir.path(), "ca.pem", &ours.pem());
    let bad_ca = written(dir.path(), "other-ca.pem", &other.pem());
    let leaf = |authority: &Authority, name: &str| {
        let (certificate, key) = authority.sign(&[&address.to_string()]);
        let file = |end: &str, text: &str| written(dir.path(), &format!("{name}.{end}"), text);
        (file("pem", &certificate), file("key", &key))
    };
    let (server_cert, server_key) = leaf(&ours, "server");
    let (cert, key) = leaf(&ours, "client");
    let (bad_cert, bad_key) = leaf(&other, "stranger");
    let extra: Vec<String> = [
        format!("--cert-file={}", text(&server_cert)),
        format!("--key-file={}", text(&server_key)),
        format!("--trusted-ca-file={}", text(&ca)),
        "--client-cert-auth".to_owned(),
    ]
    .into();
    let server = LoneEtcd::start_with("https", address, dir, &extra);
    let (ca_text, cert_text, key_text) = (text(&ca), text(&cert), text(&key));
    let secure = [
        "--cacert", &ca_text, "--cert", &cert_text, "--key", &key_text,
    ];
    server.wait(&secure);
    let with = |ca: &Path, identity: Option<(&Path, &Path)>| EtcdOptions {
        ca: Some(ca.to_owned()),
        cert: identity.map(|(cert, _)| cert.to_owned()),
        key: identity.map(|(_, key)| key.to_owned()),
        ..hasty(&[server.url()])
    };
    let right = Etcd::open(&with(&ca, Some((&cert, &key)))).unwrap();
    right.put("a", b"1", None).unwrap();
    for wrong in [
        with(&bad_ca, Some((&cert, &key))),
        with(&ca, None),
        with(&ca, Some((&bad_cert, &bad_key))),
    ] {
        let error = Etcd::open(&wrong).unwrap().get("a").unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, SharedError::Certificate { .. }), "{told}");
        assert!(
            told.contains(server.url()) && told.contains("etcd.cert"),
            "{told}"
        );
    }
}

#[test]
fn options_that_cannot_be_used_are_refused_by_keyword() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "\n").unwrap();
    let good = || hasty(&["http://127.0.0.1:1"]);
    let some = || Some(file.clone());
    for (keyword, options) in [
        ("endpoints", hasty(&[])),
        ("endpoints", hasty(&["ftp://a:1"])),
        ("endpoints", hasty(&["http://a"])),
        ("endpoints", hasty(&["http://a:1", "https://a:1"])),
        (
            "endpoints",
            EtcdOptions {
                ca: some(),
                ..good()
            },
        ),
        ("ca", hasty(&["https://a:1"])),
        (
            "ca",
            EtcdOptions {
                ca: some(),
                ..hasty(&["a:1"])
            },
        ),
        (
            "user",
            EtcdOptions {
                user: Some("u".into()),
                ..good()
            },
        ),
        (
            "password_file",
            EtcdOptions {
                user: Some("u".into()),
                password_file: some(),
                ..good()
            },
        ),
        (
            "timeout",
            EtcdOptions {
                timeout: Duration::ZERO,
                ..good()
            },
        ),
    ] {
        match Etcd::open(&options).unwrap_err() {
            SharedError::Options { keyword: told, .. } => assert_eq!(told, keyword),
            error => panic!("{error}"),
        }
    }
}
