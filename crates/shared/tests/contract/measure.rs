//! What the engines do in a second; run by hand with `--ignored --nocapture measure`.

use crate::engine::{Engine, File};
use fairlead_shared::{Revision, Txn};
use fairlead_tests::LoneEtcd;
use std::time::{Duration, Instant};

const KEYS: usize = 100_000;

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| {
        status
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    format!("{} {}", line("VmRSS"), line("VmHWM"))
}

fn measure(name: &str, engine: &dyn Engine) {
    let state = engine.open();
    let timed = |what: &str, f: &mut dyn FnMut()| {
        let since = Instant::now();
        f();
        println!("{name} {what}: {:?}; {}", since.elapsed(), memory());
    };
    let value = vec![b'x'; 150];
    timed("1,000 single puts", &mut || {
        for key in 0..1000 {
            state.put(&format!("single/{key}"), &value, None).unwrap();
        }
    });
    let start = state.range("single/").unwrap().revision;
    timed("100,000 puts in transactions of 100", &mut || {
        for first in (0..KEYS).step_by(100) {
            let txn = (first..first + 100).fold(Txn::new(), |txn, key| {
                txn.put(format!("addresses/{key:06}"), value.clone())
            });
            assert!(state.commit(&txn).unwrap().is_done());
        }
    });
    timed("range", &mut || {
        assert_eq!(state.range("addresses/").unwrap().entries.len(), KEYS);
    });
    timed("count", &mut || {
        assert_eq!(state.count("addresses/").unwrap(), KEYS as u64)
    });
    timed("watch of 40,000 events", &mut || {
        let mut watch = state.watch("addresses/", Revision(start.0 + 600)).unwrap();
        let mut events = 0;
        while events < 40_000 {
            let batch = watch.recv_timeout(Duration::from_secs(9)).unwrap().unwrap();
            events += batch.events.len();
        }
    });
    let mut watch = state
        .watch("one", state.range("one").unwrap().revision)
        .unwrap();
    assert_eq!(
        watch.recv_timeout(Duration::from_millis(500)).unwrap(),
        None
    );
    timed("one put until its watch tells", &mut || {
        state.put("one", b"", None).unwrap();
        assert!(
            watch
                .recv_timeout(Duration::from_secs(9))
                .unwrap()
                .is_some()
        );
    });
}

#[test]
#[ignore = "measures; run by hand"]
fn measure_local() {
    measure("local", &File::new());
}

#[test]
#[ignore = "measures; run by hand"]
fn measure_etcd() {
    measure("etcd", &LoneEtcd::start());
}
