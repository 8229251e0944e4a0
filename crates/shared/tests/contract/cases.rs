//! The contract.

use crate::engine::{Engine, LIMIT, wait_for};
use crate::worker;
use fairlead_shared::{Batch, Change, Event, LeaseId, Revision, SharedError, Txn, Watch};
use std::time::Duration;

/// Reads a watch until it has told `count` events.
fn told(watch: &mut Watch, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    wait_for("an event", || {
        if let Some(batch) = watch.recv_timeout(Duration::from_millis(200)).unwrap() {
            check(&batch);
            events.extend(batch.events);
        }
        (events.len() >= count).then_some(())
    });
    assert_eq!(events.len(), count, "{events:?}");
    events
}

fn check(batch: &Batch) {
    assert_eq!(batch.events.last().unwrap().revision(), batch.revision);
    let sorted = batch.events.is_sorted_by_key(Event::revision);
    assert!(sorted, "{batch:?}");
}

fn brief(events: &[Event]) -> Vec<String> {
    let brief = |event: &Event| match event {
        Event::Put(entry) => format!("{}={}", entry.key, String::from_utf8_lossy(&entry.value)),
        Event::Delete { key, .. } => format!("-{key}"),
    };
    events.iter().map(brief).collect()
}

pub(crate) fn what_is_put_is_read(engine: &dyn Engine) {
    let state = engine.open();
    assert_eq!(state.get("a").unwrap(), None);
    let first = state.put("a", b"1", None).unwrap();
    let second = state.put("a", &[0, 255, 10, 0], None).unwrap();
    assert!(second > first);
    let entry = engine.open().get("a").unwrap().unwrap();
    assert_eq!(entry.value, [0, 255, 10, 0]);
    assert_eq!((entry.created, entry.modified), (first, second));
    assert_eq!((entry.key.as_str(), entry.lease), ("a", None));
    assert_eq!(engine.seen("a").unwrap(), [0, 255, 10, 0]);
    for key in [
        "ключ/中文",
        " ",
        "a\nb",
        "a\0b",
        "%",
        "'",
        "/",
        "//",
        "é",
        "\u{10ffff}",
    ] {
        state.put(key, key.as_bytes(), None).unwrap();
        assert_eq!(
            state.get(key).unwrap().unwrap().value,
            key.as_bytes(),
            "{key:?}"
        );
    }
    state.put("empty", b"", None).unwrap();
    assert_eq!(state.get("empty").unwrap().unwrap().value, b"");
    assert_eq!(state.count("").unwrap(), 12);
    let large = vec![7; 1_000_000];
    state.put("large", &large, None).unwrap();
    assert_eq!(state.get("large").unwrap().unwrap().value, large);
}

pub(crate) fn a_range_is_sorted_and_has_its_prefix_only(engine: &dyn Engine) {
    let state = engine.open();
    assert_eq!(state.range("").unwrap().entries, []);
    for key in ["n/b", "n/a", "n0", "n", "n/é", "n/a/x", "m/a", "o"] {
        state.put(key, key.as_bytes(), None).unwrap();
    }
    let snapshot = state.range("n/").unwrap();
    let keys: Vec<_> = snapshot.entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["n/a", "n/a/x", "n/b", "n/é"]);
    assert_eq!(snapshot.get("n/b").unwrap().value, b"n/b");
    assert_eq!(snapshot.get("n/c"), None);
    assert_eq!(
        snapshot.revision,
        state
            .put("last", b"", None)
            .map(|after| Revision(after.0 - 1))
            .unwrap()
    );
    assert_eq!(state.count("n/").unwrap(), 4);
    assert_eq!(state.count("n").unwrap(), 6);
    assert_eq!(state.keys("n/").unwrap(), keys);
    assert_eq!(state.keys("").unwrap().len(), 9);
    assert_eq!(state.range("").unwrap().entries.len(), 9);
    assert_eq!(state.range("nothing").unwrap().entries, []);
}

pub(crate) fn delete_says_whether_it_was_there(engine: &dyn Engine) {
    let state = engine.open();
    state.put("a", b"", None).unwrap();
    let before = state.range("").unwrap().revision;
    assert!(!state.delete("b").unwrap());
    assert_eq!(
        state.range("").unwrap().revision,
        before,
        "nothing has changed"
    );
    assert!(state.delete("a").unwrap());
    assert!(!state.delete("a").unwrap());
    assert_eq!(engine.seen("a"), None);
    let again = state.put("a", b"", None).unwrap();
    assert_eq!(state.get("a").unwrap().unwrap().created, again);
    for key in ["p/1", "p/2", "q"] {
        state.put(key, b"", None).unwrap();
    }
    state.commit(&Txn::new().delete_prefix("p/")).unwrap();
    assert_eq!(
        (state.count("p/").unwrap(), state.count("").unwrap()),
        (0, 2)
    );
    state.commit(&Txn::new().delete_prefix("")).unwrap();
    assert_eq!(state.count("").unwrap(), 0);
}

pub(crate) fn each_comparison_holds_or_refuses(engine: &dyn Engine) {
    let state = engine.open();
    let old = state.put("a", b"0", None).unwrap();
    let now = state.put("a", b"1", None).unwrap();
    let try_one = |txn: Txn| state.commit(&txn.put("done", "x")).unwrap().is_done();
    for (txn, holds) in [
        (Txn::new(), true),
        (Txn::new().absent("b"), true),
        (Txn::new().absent("a"), false),
        (Txn::new().present("a"), true),
        (Txn::new().present("b"), false),
        (Txn::new().unchanged("a", now), true),
        (Txn::new().unchanged("a", old), false),
        (Txn::new().unchanged("b", now), false),
        (Txn::new().unchanged("b", Revision::ZERO), false),
        (Txn::new().has_value("a", "1"), true),
        (Txn::new().has_value("a", "0"), false),
        (Txn::new().has_value("b", ""), false),
        (Txn::new().present("a").absent("a"), false),
    ] {
        let told = format!("{txn:?}");
        assert_eq!(try_one(txn), holds, "{told}");
        assert_eq!(state.delete("done").unwrap(), holds, "{told}");
    }
}

pub(crate) fn a_transaction_is_made_as_a_whole(engine: &dyn Engine) {
    let state = engine.open();
    for key in ["old/1", "old/2", "gone"] {
        state.put(key, b"", None).unwrap();
    }
    let before = state.range("").unwrap();
    let txn = Txn::new()
        .put("new", "1")
        .delete("gone")
        .delete_prefix("old/");
    let refused = state.commit(&txn.clone().present("missing")).unwrap();
    assert!(!refused.is_done());
    assert_eq!(state.range("").unwrap(), before);
    let lease = LeaseId(0x1234);
    let error = state.commit(&txn.clone().put_leased("leased", "", lease));
    assert!(matches!(error, Err(SharedError::LeaseGone { lease: told }) if told == lease));
    assert_eq!(
        state.range("").unwrap(),
        before,
        "a lease that is gone stops it all"
    );
    let mut watch = state.watch("", before.revision).unwrap();
    assert!(state.commit(&txn).unwrap().is_done());
    let batch = wait_for("the batch", || watch.recv_timeout(LIMIT).unwrap());
    let mut brief = brief(&batch.events);
    brief.sort();
    assert_eq!(brief, ["-gone", "-old/1", "-old/2", "new=1"]);
    let one = |event: &Event| event.revision() == batch.revision;
    assert!(batch.events.iter().all(one));
    assert_eq!(state.range("").unwrap().revision, batch.revision);
}

pub(crate) fn a_transaction_that_some_engine_would_not_take_is_refused(engine: &dyn Engine) {
    let state = engine.open();
    let many = |count: usize| (0..count).fold(Txn::new(), |txn, key| txn.put(key.to_string(), ""));
    for txn in [
        Txn::new().put("a", "").put("a", ""),
        Txn::new().put("a", "").delete("a"),
        Txn::new().delete_prefix("a").put("ab", ""),
        many(Txn::MAX + 1),
        Txn::new().put("a", vec![0; Txn::MAX_BYTES]),
    ] {
        let error = state.commit(&txn).unwrap_err();
        assert!(matches!(error, SharedError::BadTxn { .. }), "{error}");
    }
    assert_eq!(state.count("").unwrap(), 0);
    state.commit(&many(Txn::MAX)).unwrap();
    assert_eq!(state.count("").unwrap(), Txn::MAX as u64);
    state.put("a", &vec![0; Txn::MAX_BYTES - 1], None).unwrap();
}

pub(crate) fn bad_keys_are_refused(engine: &dyn Engine) {
    let state = engine.open();
    for key in ["".to_owned(), "x".repeat(5000)] {
        for error in [
            state.get(&key).map(drop),
            state.put(&key, b"", None).map(drop),
            state.delete(&key).map(drop),
            state.commit(&Txn::new().absent(&key)).map(drop),
            state
                .commit(&Txn::new().then(Change::Delete(key.clone())))
                .map(drop),
        ] {
            assert!(
                matches!(error, Err(SharedError::BadKey { .. })),
                "{error:?}"
            );
        }
    }
}

pub(crate) fn threads_that_count_lose_nothing(engine: &dyn Engine) {
    let state = engine.open();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| worker::count(&*state, 25));
        }
    });
    assert_eq!(engine.seen("counter").unwrap(), b"100");
}

pub(crate) fn processes_that_count_lose_nothing(engine: &dyn Engine) {
    let workers: Vec<_> = (0..3).map(|_| worker::start(engine, "counts")).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    assert_eq!(engine.seen("counter").unwrap(), b"150");
}

pub(crate) fn a_watch_tells_history_and_then_what_happens(engine: &dyn Engine) {
    let state = engine.open();
    let start = state.put("n/before", b"", None).unwrap();
    state.put("n/a", b"1", None).unwrap();
    state.put("m/a", b"", None).unwrap();
    state.delete("n/a").unwrap();
    let mut watch = state.watch("n/", start).unwrap();
    assert_eq!(brief(&told(&mut watch, 2)), ["n/a=1", "-n/a"]);
    assert_eq!(watch.recv_timeout(Duration::ZERO).unwrap(), None);
    let other = engine.open();
    let modified = other.put("n/b", b"2", None).unwrap();
    let events = told(&mut watch, 1);
    let expected = other.get("n/b").unwrap().unwrap();
    assert_eq!(events, [Event::Put(expected)]);
    assert_eq!(events[0].revision(), modified);
    let mut all = state.watch("", Revision::ZERO).unwrap();
    assert_eq!(told(&mut all, 5).len(), 5);
}

pub(crate) fn a_watch_resumes_without_loss_or_repetition(engine: &dyn Engine) {
    // Each waits for a disk, which others may keep busy.
    const COUNT: usize = 500;
    let state = engine.open();
    let mut after = state.range("").unwrap().revision;
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..COUNT).for_each(|number| {
                state
                    .put("n", format!("{number}").as_bytes(), None)
                    .unwrap();
            });
        });
        // A new watch after each batch: what another process would do.
        wait_for("all events", || {
            let mut watch = state.watch("n", after).unwrap();
            for _ in 0..3 {
                if let Some(batch) = watch.recv_timeout(Duration::from_millis(100)).unwrap() {
                    check(&batch);
                    after = batch.revision;
                    seen.extend(brief(&batch.events));
                }
            }
            (seen.len() >= COUNT).then_some(())
        });
    });
    let expected: Vec<_> = (0..COUNT).map(|number| format!("n={number}")).collect();
    assert_eq!(seen, expected);
}

pub(crate) fn a_watch_of_compacted_history_says_so(engine: &dyn Engine) {
    let state = engine.open();
    let start = state.put("a", b"", None).unwrap();
    state.put("a", b"2", None).unwrap();
    engine.compact(&*state);
    let ended = state
        .watch("a", start)
        .and_then(|mut watch| watch.recv_timeout(LIMIT));
    assert!(ended.unwrap_err().is_compacted());
    let snapshot = state.range("a").unwrap();
    let mut watch = state.watch("a", snapshot.revision).unwrap();
    state.put("a", b"3", None).unwrap();
    assert_eq!(brief(&told(&mut watch, 1)), ["a=3"]);
}

pub(crate) fn a_watch_from_the_future_says_so(engine: &dyn Engine) {
    let state = engine.open();
    let now = state.put("a", b"", None).unwrap();
    let ended = state
        .watch("a", Revision(now.0 + 1000))
        .and_then(|mut watch| watch.recv_timeout(LIMIT));
    assert!(ended.unwrap_err().is_compacted());
}

pub(crate) fn a_lease_ends_with_its_keys(engine: &dyn Engine) {
    let state = engine.open();
    let lease = state.grant(Duration::from_secs(1)).unwrap();
    let txn = Txn::new()
        .put_leased("n/a", "1", lease)
        .put_leased("n/b", "2", lease);
    state.commit(&txn).unwrap();
    let after = state.put("n/c", b"3", Some(lease)).unwrap();
    assert_eq!(state.get("n/c").unwrap().unwrap().lease, Some(lease));
    // Written again without it, a key stays.
    let after = state.put("n/c", b"3", None).unwrap().max(after);
    let mut watch = state.watch("n/", after).unwrap();
    let mut gone = brief(&told(&mut watch, 2));
    gone.sort();
    assert_eq!(gone, ["-n/a", "-n/b"]);
    assert_eq!(engine.seen("n/a"), None);
    assert_eq!(engine.seen("n/c").unwrap(), b"3");
    let gone =
        |error| matches!(error, Err(SharedError::LeaseGone { lease: told }) if told == lease);
    assert!(gone(state.keep_alive(lease).map(drop)));
    assert!(gone(state.put("n/d", b"", Some(lease)).map(drop)));
    state.revoke(lease).unwrap();
}

pub(crate) fn a_lease_that_is_kept_alive_lives(engine: &dyn Engine) {
    let state = engine.open();
    let short = state.grant(Duration::from_secs(1)).unwrap();
    let kept = state.grant(Duration::from_secs(1)).unwrap();
    state.put("short", b"", Some(short)).unwrap();
    state.put("kept", b"", Some(kept)).unwrap();
    // For twice as long as the other lives.
    for round in 0..2 {
        wait_for("the end of the other lease", || {
            let left = state.keep_alive(kept).unwrap();
            assert!(
                left > Duration::ZERO && left < Duration::from_secs(5),
                "{left:?}"
            );
            state.get("short").unwrap().is_none().then_some(())
        });
        assert!(engine.seen("kept").is_some(), "round {round}");
        let next = state.grant(Duration::from_secs(1)).unwrap();
        state.put("short", b"", Some(next)).unwrap();
    }
}

pub(crate) fn a_revoked_lease_takes_its_keys_along(engine: &dyn Engine) {
    let state = engine.open();
    let lease = state.grant(Duration::from_secs(600)).unwrap();
    let after = state.put("a", b"", Some(lease)).unwrap();
    state.revoke(lease).unwrap();
    assert_eq!(state.get("a").unwrap(), None);
    let mut watch = state.watch("", after).unwrap();
    assert_eq!(brief(&told(&mut watch, 1)), ["-a"]);
    state.revoke(lease).unwrap();
}

pub(crate) fn a_hundred_thousand_keys_are_read(engine: &dyn Engine) {
    let state = engine.open();
    let start = state.range("").unwrap().revision;
    let mut key = 0;
    while key < 100_000 {
        let txn = (key..key + 125).fold(Txn::new(), |txn, key| {
            txn.put(
                format!("addresses/{key:06}"),
                format!("{{\"node\":\"n{key}\"}}"),
            )
        });
        state.commit(&txn).unwrap();
        key += 125;
    }
    let snapshot = state.range("addresses/").unwrap();
    assert_eq!(snapshot.entries.len(), 100_000);
    assert!(snapshot.entries.is_sorted_by(|a, b| a.key < b.key));
    assert_eq!(state.count("addresses/").unwrap(), 100_000);
    assert_eq!(state.range("addresses/0000").unwrap().entries.len(), 100);
    // The last quarter of the history is never cut.
    let late = Revision(start.0 + 700);
    let mut watch = state.watch("addresses/", late).unwrap();
    assert_eq!(told(&mut watch, 100 * 125).len(), 100 * 125);
}
