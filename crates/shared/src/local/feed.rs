//! A watch of the file: its log, read whenever some process has committed.

use super::clock::Boot;
use super::rows::{Rows, key_of};
use super::{leases, open, sql_error};
use crate::{Batch, Entry, Event, Feed, LeaseId, Revision, SharedError};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked at whether another process has committed.
const POLL: Duration = Duration::from_millis(100);

/// How many events make a batch full. The last revision in it is never cut.
const FULL: usize = 1000;

/// Tells the watches of one [`super::Local`] that it has committed, so that they
/// need not wait for the next poll.
#[derive(Debug, Default)]
pub(super) struct Signal {
    commits: Mutex<u64>,
    changed: Condvar,
}

impl Signal {
    pub(super) fn notify(&self) {
        *self.commits.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    fn commits(&self) -> u64 {
        *self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a commit that is not among the `seen` ones, for `limit` at most.
    fn wait(&self, seen: u64, limit: Duration) {
        let commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(commits, limit, |commits| *commits == seen);
        drop(waited);
    }
}

/// See the module.
pub(super) struct LocalFeed {
    conn: Connection,
    path: PathBuf,
    boot: Boot,
    signal: Arc<Signal>,
    prefix: String,
    /// The last revision that was told.
    after: Revision,
    /// The last row of the log that was read.
    row: i64,
    epoch: i64,
    /// What `PRAGMA data_version` said when the log had been read to its end.
    version: Option<i64>,
    ended: bool,
}

impl LocalFeed {
    /// A watch with a connection of its own, so that each commit of anybody else
    /// shows in its `data_version`.
    pub(super) fn begin(
        path: &Path,
        boot: Boot,
        signal: Arc<Signal>,
        prefix: &str,
        after: Revision,
    ) -> Result<Self, SharedError> {
        let failed = |source| sql_error(path, ("watch", prefix), source);
        let mut conn = open::connect(path).map_err(failed)?;
        let mut start = || {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Deferred)?;
            let meta = Rows::new(&tx).meta()?;
            let sql = "SELECT id FROM log WHERE revision <= ?
                       ORDER BY revision DESC, id DESC LIMIT 1";
            let row: Option<i64> = tx.query_row(sql, [after.0], |row| row.get(0)).optional()?;
            rusqlite::Result::Ok((meta, row.unwrap_or_default()))
        };
        let (meta, row) = start().map_err(failed)?;
        if after < meta.compacted || after > meta.revision {
            return Err(SharedError::Compacted {
                prefix: prefix.to_owned(),
                after,
            });
        }
        Ok(Self {
            conn,
            path: path.to_owned(),
            boot,
            signal,
            prefix: prefix.to_owned(),
            after,
            row,
            epoch: meta.epoch,
            version: None,
            ended: false,
        })
    }

    /// What the log has after the last row read, if anything of the prefix.
    fn next(&mut self) -> rusqlite::Result<Result<Option<Batch>, Gone>> {
        if leases::sweep_if_due(&mut self.conn, &self.boot)? {
            // What a connection itself commits does not show in its version.
            self.version = None;
        }
        let version = self
            .conn
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        while self.version != Some(version) {
            let behavior = TransactionBehavior::Deferred;
            let tx = self.conn.transaction_with_behavior(behavior)?;
            let meta = Rows::new(&tx).meta()?;
            if meta.epoch != self.epoch || self.after < meta.compacted {
                return Ok(Err(Gone));
            }
            let (events, last) = read(&tx, &self.prefix, self.row)?;
            drop(tx);
            let Some((row, revision)) = last else {
                self.version = Some(version);
                break;
            };
            self.row = row;
            self.after = revision;
            if !events.is_empty() {
                return Ok(Ok(Some(Batch { revision, events })));
            }
        }
        Ok(Ok(None))
    }
}

/// History that was not told yet is not there any more.
struct Gone;

/// The row of the log and the revision up to which was read.
type Position = (i64, Revision);

fn read(
    conn: &Connection,
    prefix: &str,
    after: i64,
) -> rusqlite::Result<(Vec<Event>, Option<Position>)> {
    let sql = "SELECT id, revision, key, value, created, lease FROM log WHERE id > ? ORDER BY id";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([after])?;
    let mut events = Vec::new();
    let mut last: Option<Position> = None;
    while let Some(row) = rows.next()? {
        let revision = Revision(row.get(1)?);
        if events.len() >= FULL && last.is_some_and(|(_, last)| last != revision) {
            break;
        }
        last = Some((row.get(0)?, revision));
        if !row.get_ref(2)?.as_blob()?.starts_with(prefix.as_bytes()) {
            continue;
        }
        let key = key_of(row, 2)?;
        events.push(match row.get(3)? {
            None => Event::Delete { key, revision },
            Some(value) => Event::Put(Entry {
                key,
                value,
                created: Revision(row.get(4)?),
                modified: revision,
                lease: row.get::<_, Option<i64>>(5)?.map(LeaseId),
            }),
        });
    }
    Ok((events, last))
}

impl Feed for LocalFeed {
    fn recv_timeout(&mut self, limit: Duration) -> Result<Option<Batch>, SharedError> {
        let since = Instant::now();
        loop {
            let seen = self.signal.commits();
            let compacted = || SharedError::Compacted {
                prefix: self.prefix.clone(),
                after: self.after,
            };
            if self.ended {
                return Err(compacted());
            }
            match self.next() {
                Ok(Ok(Some(batch))) => return Ok(Some(batch)),
                Ok(Ok(None)) => {}
                Ok(Err(Gone)) => {
                    self.ended = true;
                    continue;
                }
                Err(source) => {
                    return Err(sql_error(&self.path, ("watch", &self.prefix), source));
                }
            }
            let left = limit.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            self.signal.wait(seen, left.min(POLL));
        }
    }
}
