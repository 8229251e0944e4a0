//! What the cases need of an engine beside the trait.

use fairlead_shared::{Local, SharedState};
use fairlead_tests::eventually;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long anything may take that is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// An engine that is ready, empty, and this test's own.
pub(crate) trait Engine {
    /// Another handle of the same state.
    fn open(&self) -> Box<dyn SharedState>;
    /// The value of a key as a foreign tool reads it.
    fn seen(&self, key: &str) -> Option<Vec<u8>>;
    /// Removes the history up to now.
    fn compact(&self, state: &dyn SharedState);
    /// Tells a worker process where the state is.
    fn tell(&self, command: &mut Command);
}

/// Waits until `done` gives something.
pub(crate) fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    eventually(LIMIT, || done().ok_or(what))
}

pub(crate) struct File {
    dir: tempfile::TempDir,
}

impl File {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("state/shared.db")
    }

    pub(crate) fn local(&self) -> Local {
        Local::open(&self.path()).unwrap()
    }
}

impl Engine for File {
    fn open(&self) -> Box<dyn SharedState> {
        Box::new(self.local())
    }

    fn seen(&self, key: &str) -> Option<Vec<u8>> {
        let conn = rusqlite::Connection::open(self.path()).unwrap();
        let sql = "SELECT value FROM entries WHERE key = ?";
        conn.query_row(sql, [key.as_bytes()], |row| row.get(0)).ok()
    }

    fn compact(&self, state: &dyn SharedState) {
        // More changes than the log keeps, in transactions as large as may be.
        for round in 0..600 {
            let mut txn = fairlead_shared::Txn::new();
            for key in 0..fairlead_shared::Txn::MAX {
                txn = txn.put(format!("filler/{key}"), format!("{round}"));
            }
            assert!(state.commit(&txn).unwrap().is_done());
        }
    }

    fn tell(&self, command: &mut Command) {
        command.env("SHARED_FILE", self.path());
    }
}
