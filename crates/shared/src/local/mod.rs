//! The engine of one node: an SQLite file that several processes use at once,
//! and that is also what a node keeps of etcd.

mod clock;
mod feed;
mod leases;
mod mirror;
mod open;
mod rows;

use crate::error::{is_busy, is_damage};
use crate::{
    Batch, Change, Committed, Compare, Entry, LeaseId, Revision, SharedError, SharedState,
    Snapshot, Txn, Watch, key,
};
use clock::Boot;
use feed::{LocalFeed, Signal};
use rows::Rows;
use rusqlite::{Connection, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shared state in a file.
///
/// Its leases end with their time by the clock that runs while the machine sleeps,
/// and with the boot. Whichever process looks first after that deletes their keys.
#[derive(Debug)]
pub struct Local {
    conn: Mutex<Connection>,
    path: PathBuf,
    boot: Boot,
    changed: Arc<Signal>,
}

/// An operation and the key, the prefix or the lease that it is done to.
type What<'a> = (&'static str, &'a str);

impl Local {
    /// Opens the file at `path`, and makes it (0600, in a directory 0700) when it is
    /// not there.
    ///
    /// # Errors
    /// [`SharedError`] names the file and the cure.
    pub fn open(path: &Path) -> Result<Self, SharedError> {
        let boot = Boot::current()?;
        Ok(Self {
            conn: Mutex::new(open::open(path)?),
            path: path.to_owned(),
            boot,
            changed: Arc::default(),
        })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes what etcd told so in this file, and keeps etcd's revisions. Events that
    /// the file has already change nothing.
    ///
    /// # Errors
    /// [`SharedError`] names the file and the cure; nothing of the batch was applied
    /// then.
    pub fn apply(&self, batch: &Batch) -> Result<(), SharedError> {
        self.change(("mirror", ""), |rows| mirror::apply(rows, batch))
    }

    /// Makes what is under `prefix` the same as in `snapshot`, whose keys all have
    /// it. Watches of this file have to begin anew.
    ///
    /// # Errors
    /// [`SharedError`] names the file and the cure; nothing was replaced then.
    pub fn replace(&self, prefix: &str, snapshot: &Snapshot) -> Result<(), SharedError> {
        self.change(("mirror", prefix), |rows| {
            mirror::replace(rows, prefix, snapshot)
        })
    }

    /// The revision of etcd that this file has come to, or none when it was never
    /// written from etcd.
    ///
    /// # Errors
    /// [`SharedError`] names the file and the cure.
    pub fn mirrored(&self) -> Result<Option<Revision>, SharedError> {
        self.read(("read", "the mirrored revision"), |rows| {
            let meta = rows.meta()?;
            Ok(meta.mirror.then_some(meta.revision))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A thread that panicked left no transaction open: it was rolled back.
        self.conn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` over one unchanging picture, without what has expired.
    fn read<T>(
        &self,
        what: What<'_>,
        f: impl FnOnce(&Rows<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, SharedError> {
        let mut conn = self.lock();
        self.sweep(&mut conn)?;
        let run = || {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Deferred)?;
            f(&Rows::new(&tx))
        };
        run().map_err(|source| sql_error(&self.path, what, source))
    }

    /// Runs `f` as the only writer, for a caller that is not the mirror.
    fn write<T>(
        &self,
        what: What<'_>,
        f: impl FnOnce(&Rows<'_>) -> Result<T, Stop>,
    ) -> Result<T, SharedError> {
        let done = self.attempt(|rows| {
            if rows.meta()?.mirror {
                return Err(Stop::Mirror);
            }
            leases::sweep(rows, &self.boot)?;
            f(rows)
        });
        done.map_err(|stop| self.error(what, stop))
    }

    /// Runs `f` as the only writer, for the mirror.
    fn change<T>(
        &self,
        what: What<'_>,
        f: impl FnOnce(&Rows<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, SharedError> {
        let done = self.attempt(|rows| Ok(f(rows)?));
        done.map_err(|stop| self.error(what, stop))
    }

    /// Commits what `f` did, unless it stopped: nothing of it stays then.
    fn attempt<T>(&self, f: impl FnOnce(&Rows<'_>) -> Result<T, Stop>) -> Result<T, Stop> {
        let mut conn = self.lock();
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = f(&Rows::new(&tx))?;
        tx.commit()?;
        self.changed.notify();
        Ok(done)
    }

    fn error(&self, what: What<'_>, stop: Stop) -> SharedError {
        match stop {
            Stop::LeaseGone(lease) => SharedError::LeaseGone { lease },
            Stop::Sql(source) => sql_error(&self.path, what, source),
            Stop::Mirror => SharedError::Mirror {
                operation: what.0,
                key: what.1.to_owned(),
                path: self.path.as_path().into(),
            },
        }
    }

    fn sweep(&self, conn: &mut Connection) -> Result<(), SharedError> {
        let swept = leases::sweep_if_due(conn, &self.boot)
            .map_err(|source| sql_error(&self.path, ("end", "leases"), source))?;
        if swept {
            self.changed.notify();
        }
        Ok(())
    }
}

/// Why a write was given up.
enum Stop {
    Mirror,
    LeaseGone(LeaseId),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// The error for a statement that failed, by what SQLite says of it.
fn sql_error(path: &Path, (operation, key): What<'_>, source: rusqlite::Error) -> SharedError {
    let path = path.into();
    if is_damage(&source) {
        let source = Box::new(source);
        return SharedError::Damaged { path, source };
    }
    let key = key.to_owned();
    if is_busy(&source) {
        let waited = open::PATIENCE.as_secs();
        return SharedError::Busy {
            operation,
            key,
            path,
            waited,
        };
    }
    SharedError::Sql {
        operation,
        key,
        path,
        source: Box::new(source),
    }
}

fn holds(rows: &Rows<'_>, compare: &Compare) -> rusqlite::Result<bool> {
    let found = rows.get(compare.key())?;
    Ok(match compare {
        Compare::Absent(_) => found.is_none(),
        Compare::Present(_) => found.is_some(),
        Compare::Modified(_, revision) => found.is_some_and(|entry| entry.modified == *revision),
        Compare::Value(_, value) => found.is_some_and(|entry| entry.value == *value),
    })
}

fn make(rows: &Rows<'_>, change: &Change, revision: Revision) -> Result<u64, Stop> {
    Ok(match change {
        Change::Put { key, value, lease } => {
            match lease {
                Some(lease) if !rows.has_lease(*lease)? => return Err(Stop::LeaseGone(*lease)),
                _ => {}
            }
            rows.put(key, value, *lease, revision)?;
            1
        }
        Change::Delete(key) => u64::from(rows.delete(key, revision)?),
        Change::DeletePrefix(prefix) => rows.delete_prefix(prefix, revision)?,
    })
}

impl SharedState for Local {
    fn get(&self, key: &str) -> Result<Option<Entry>, SharedError> {
        key::check(key)?;
        self.read(("read", key), |rows| rows.get(key))
    }

    fn range(&self, prefix: &str) -> Result<Snapshot, SharedError> {
        self.read(("read", prefix), |rows| {
            Ok(Snapshot {
                entries: rows.range(prefix)?,
                revision: rows.meta()?.revision,
            })
        })
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, SharedError> {
        self.read(("read", prefix), |rows| rows.keys(prefix))
    }

    fn count(&self, prefix: &str) -> Result<u64, SharedError> {
        self.read(("count", prefix), |rows| rows.count(prefix))
    }

    fn put(
        &self,
        key: &str,
        value: &[u8],
        lease: Option<LeaseId>,
    ) -> Result<Revision, SharedError> {
        let txn = Txn::new().then(Change::Put {
            key: key.to_owned(),
            value: value.to_owned(),
            lease,
        });
        match self.commit(&txn)? {
            Committed::Done(revision) => Ok(revision),
            Committed::Refused => Err(SharedError::BadTxn {
                reason: "a write without a condition was refused".to_owned(),
            }),
        }
    }

    fn delete(&self, key: &str) -> Result<bool, SharedError> {
        key::check(key)?;
        self.write(("delete", key), |rows| {
            let next = rows.next_revision()?;
            let there = rows.delete(key, next)?;
            if there {
                rows.advance(next)?;
            }
            Ok(there)
        })
    }

    fn commit(&self, txn: &Txn) -> Result<Committed, SharedError> {
        txn.check()?;
        let subject = txn.then.first().map(Change::key);
        let subject = subject.or_else(|| txn.when.first().map(Compare::key));
        self.write(("write", subject.unwrap_or_default()), |rows| {
            for compare in &txn.when {
                if !holds(rows, compare)? {
                    return Ok(Committed::Refused);
                }
            }
            let next = rows.next_revision()?;
            let mut changes = 0;
            for change in &txn.then {
                changes += make(rows, change, next)?;
            }
            if changes == 0 {
                return Ok(Committed::Done(rows.meta()?.revision));
            }
            rows.advance(next)?;
            Ok(Committed::Done(next))
        })
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, SharedError> {
        let feed = LocalFeed::begin(
            &self.path,
            self.boot.clone(),
            Arc::clone(&self.changed),
            prefix,
            after,
        )?;
        Ok(Watch::new(feed))
    }

    fn grant(&self, ttl: Duration) -> Result<LeaseId, SharedError> {
        self.write(("grant", "a lease"), |rows| {
            Ok(leases::grant(rows, &self.boot, ttl)?)
        })
    }

    fn keep_alive(&self, lease: LeaseId) -> Result<Duration, SharedError> {
        self.write(("keep alive", &format!("lease {lease}")), |rows| {
            leases::keep_alive(rows, &self.boot, lease)?.ok_or(Stop::LeaseGone(lease))
        })
    }

    fn revoke(&self, lease: LeaseId) -> Result<(), SharedError> {
        self.write(("revoke", &format!("lease {lease}")), |rows| {
            Ok(leases::end(rows, lease)?)
        })
    }
}
