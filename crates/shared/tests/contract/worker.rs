//! What other processes do: this test program, started again.

use crate::engine::Engine;
use fairlead_shared::{Etcd, EtcdOptions, Local, SharedState, Txn};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Starts `work` (a test of this module) in a process of its own.
pub(crate) fn start(engine: &dyn Engine, work: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", &format!("worker::{work}")])
        .stdout(Stdio::null());
    engine.tell(&mut command);
    command.spawn().unwrap()
}

fn state() -> Box<dyn SharedState> {
    if let Some(path) = std::env::var_os("SHARED_FILE") {
        return Box::new(Local::open(Path::new(&path)).unwrap());
    }
    let url = std::env::var("SHARED_ETCD").unwrap();
    Box::new(
        Etcd::open(&EtcdOptions {
            endpoints: vec![url],
            ..EtcdOptions::default()
        })
        .unwrap(),
    )
}

/// Adds one to `counter` in a transaction, `times` times.
pub(crate) fn count(state: &dyn SharedState, times: u32) {
    let mut done = 0;
    while done < times {
        let (value, txn) = match state.get("counter").unwrap() {
            None => (0, Txn::new().absent("counter")),
            Some(entry) => (
                String::from_utf8(entry.value).unwrap().parse().unwrap(),
                Txn::new().unchanged("counter", entry.modified),
            ),
        };
        let next: u32 = value + 1;
        let txn = txn.put("counter", next.to_string());
        done += u32::from(state.commit(&txn).unwrap().is_done());
    }
}

#[test]
#[ignore = "started by other tests as a process of its own"]
fn counts() {
    count(&*state(), 50);
}

#[test]
#[ignore = "started by other tests as a process of its own"]
fn writes_pairs_for_ever() {
    let state = state();
    for number in 0_u64.. {
        let number = number.to_string();
        let txn = Txn::new().put("left", number.clone()).put("right", number);
        assert!(state.commit(&txn).unwrap().is_done());
    }
}
