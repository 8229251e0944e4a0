//! The open file, its transactions, and what they share.

use crate::error::{is_busy, is_damage};
use crate::{BootId, StoreError, open};
use fairlead_types::Root;
use rusqlite::{CachedStatement, Connection, Params, Row, Transaction, TransactionBehavior};
use std::fmt::Display;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The log's length from which [`Store::checkpoint_if_large`] folds it back, in
/// bytes: some twenty attachments. The first process that opens the file while no
/// other has it open reads the whole log, so it must not be long.
const LARGE_LOG: u64 = 128 * 1024;

/// The length at which a write folds the log back by itself, in bytes: nobody
/// seems to do it elsewhere.
const HUGE_LOG: u64 = 32 * LARGE_LOG;

/// The node's state file, open.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
    path: PathBuf,
}

impl Store {
    /// The name of the file in [`Root::state`].
    pub const FILE: &'static str = "node.db";

    /// Opens the node's file, and makes it (0600, in a directory 0700) when it is
    /// not there. The first to open it after a reboot removes every row that
    /// ended with the boot.
    ///
    /// # Errors
    /// [`StoreError`] names the file and the cure.
    pub fn open(root: &Root) -> Result<Self, StoreError> {
        let boot = BootId::current()?;
        Self::open_file(&root.state().join(Self::FILE), &boot)
    }

    /// Opens the file at `path` as in the boot given.
    ///
    /// # Errors
    /// [`StoreError`] names the file and the cure.
    pub fn open_file(path: &Path, boot: &BootId) -> Result<Self, StoreError> {
        let conn = open::open(path, boot)?;
        Ok(Self {
            conn,
            path: path.to_owned(),
        })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For single lookups, each of which sees the newest state.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            conn: &self.conn,
            path: &self.path,
        }
    }

    /// Runs `f` over one unchanging picture of the state.
    ///
    /// # Errors
    /// What `f` returns, or [`StoreError`] when the picture cannot be taken.
    pub fn read<T, E: From<StoreError>>(
        &mut self,
        f: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let tx = begin(&mut self.conn, &self.path, TransactionBehavior::Deferred)?;
        f(&View {
            conn: &tx,
            path: &self.path,
        })
    }

    /// Runs `f` as the only writer and commits what it did; when it fails,
    /// nothing of it stays.
    ///
    /// # Errors
    /// What `f` returns, [`StoreError::Busy`] when other writers do not come to an
    /// end, or another [`StoreError`] when the commit fails.
    pub fn write<T, E: From<StoreError>>(
        &mut self,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let tx = begin(&mut self.conn, &self.path, TransactionBehavior::Immediate)?;
        let path = &self.path;
        let view = View { conn: &tx, path };
        // A failure drops the transaction, and that rolls back.
        let done = f(&Tx { view })?;
        tx.commit()
            .map_err(|source| sql_error(path, "commit", "a change", source))?;
        if self.log_len() >= HUGE_LOG {
            self.checkpoint()?;
        }
        Ok(done)
    }

    /// A number that is another one after a change by any other connection, this
    /// process's or not, and by this one never (`PRAGMA data_version`). Asking costs some
    /// microseconds.
    ///
    /// # Errors
    /// [`StoreError::Sql`] when the file cannot be read.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        let read = self
            .conn
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)));
        read.map_err(|source| sql_error(&self.path, "read", "the version of the data", source))
    }

    /// Folds the log back into the file when it has grown long. It syncs twice,
    /// so it belongs where time is spent anyway: after a DEL, in `gc`, in the
    /// agent. Says whether it did.
    ///
    /// # Errors
    /// [`StoreError::Sql`] when the disk refuses; nothing is lost then.
    pub fn checkpoint_if_large(&mut self) -> Result<bool, StoreError> {
        if self.log_len() < LARGE_LOG {
            return Ok(false);
        }
        self.checkpoint()?;
        Ok(true)
    }

    /// Folds back all that no reader needs and, where that is all of it, cuts the
    /// log, without waiting for anybody. What a busy neighbour keeps in the log is
    /// folded back the next time.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        let path = &self.path;
        let failed = |source| sql_error(path, "fold back", "the log", source);
        self.conn.busy_timeout(Duration::ZERO).map_err(failed)?;
        let folded = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                Ok(row.get::<_, i64>(0)? == 0)
            })
            .and_then(|all| {
                // The writer that starts the log anew has to sync its header: be
                // that writer here, so that no ADD is. An update that changes
                // nothing would write nothing.
                if all {
                    self.conn
                        .execute_batch("UPDATE meta SET checkpoints = checkpoints + 1")?;
                }
                Ok(())
            });
        let waiting = open::wait_for_others(&mut self.conn);
        match folded {
            Err(error) if !is_busy(&error) => Err(failed(error)),
            _ => waiting.map_err(failed),
        }
    }

    /// The bytes of the log, which is as long as it was since it was last cut.
    fn log_len(&self) -> u64 {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        std::fs::metadata(log).map_or(0, |meta| meta.len())
    }
}

fn begin<'a>(
    conn: &'a mut Connection,
    path: &Path,
    behavior: TransactionBehavior,
) -> Result<Transaction<'a>, StoreError> {
    Transaction::new(conn, behavior)
        .map_err(|source| sql_error(path, "begin", "a transaction", source))
}

/// The state as it can be read.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    conn: &'a Connection,
    path: &'a Path,
}

/// The state inside [`Store::write`]: what [`View`] reads, and every change.
#[derive(Debug)]
pub struct Tx<'a> {
    view: View<'a>,
}

impl<'a> Deref for Tx<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl View<'_> {
    /// Every row that `sql` yields, read by `read`.
    pub(crate) fn rows<T>(
        &self,
        object: &dyn Display,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let run = || {
            let mut statement = self.conn.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            let mut out = Vec::new();
            while let Some(row) = rows.next()? {
                out.push(read(row)?);
            }
            Ok(out)
        };
        run().map_err(|source| sql_error(self.path, "read", object, source))
    }

    /// The first row that `sql` yields, if any.
    pub(crate) fn first<T>(
        &self,
        object: &dyn Display,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let run = || {
            let mut statement = self.conn.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            rows.next()?.map(read).transpose()
        };
        run().map_err(|source| sql_error(self.path, "read", object, source))
    }

    /// The plan that SQLite has for `sql`, for tests of indexes.
    #[cfg(test)]
    pub(crate) fn plan(&self, sql: &str) -> String {
        let mut statement = self
            .conn
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let lines = statement
            .raw_query()
            .mapped(|row| row.get::<_, String>(3))
            .collect::<Result<Vec<_>, _>>();
        lines.unwrap().join("\n")
    }
}

impl Tx<'_> {
    /// Runs a statement that changes rows; returns how many.
    pub(crate) fn change(
        &self,
        operation: &'static str,
        object: &dyn Display,
        sql: &str,
        params: impl Params,
    ) -> Result<usize, StoreError> {
        let run = || -> rusqlite::Result<usize> {
            let mut statement: CachedStatement<'_> = self.conn.prepare_cached(sql)?;
            statement.execute(params)
        };
        run().map_err(|source| sql_error(self.path, operation, object, source))
    }
}

/// The error for a statement that failed, by what SQLite says of it.
pub(crate) fn sql_error(
    path: &Path,
    operation: &'static str,
    object: impl Display,
    source: rusqlite::Error,
) -> StoreError {
    let path = path.into();
    if is_damage(&source) {
        let source = Box::new(source);
        return StoreError::Damaged { path, source };
    }
    let object = object.to_string().into();
    if is_busy(&source) {
        let waited = open::PATIENCE.as_secs();
        return StoreError::Busy {
            operation,
            object,
            path,
            waited,
        };
    }
    StoreError::Sql {
        operation,
        object,
        path,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lookup_on_the_path_of_a_call_uses_an_index() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_file(&dir.path().join("db"), &BootId::new("a")).unwrap();
        let owner = "container = 'c' AND ifname = 'e'";
        for (table, condition, index) in [
            ("addresses", owner, "addresses_owner"),
            (
                "addresses",
                &format!("{owner} AND pool = 'p'"),
                "addresses_owner",
            ),
            ("addresses", "pool = 'p' AND addr = x'04'", "PRIMARY KEY"),
            (
                "runs",
                "pool = 'p' AND first <= x'04' ORDER BY first DESC LIMIT 1",
                "PRIMARY KEY",
            ),
            ("cursors", "pool = 'p'", "PRIMARY KEY"),
            (
                "attachments",
                &format!("{owner} AND network = 'n'"),
                "PRIMARY KEY",
            ),
            ("attachments", "container = 'c'", "PRIMARY KEY"),
            ("attachments", "object = 'o'", "attachments_object"),
            (
                "masquerades",
                &format!("{owner} AND network = 'n'"),
                "PRIMARY KEY",
            ),
            (
                "ports",
                "protocol = 6 AND family = 4 AND port = 80",
                "PRIMARY KEY",
            ),
            (
                "ports",
                &format!("{owner} AND network = 'n'"),
                "ports_owner",
            ),
        ] {
            let plan = store
                .view()
                .plan(&format!("SELECT * FROM {table} WHERE {condition}"));
            assert!(
                plan.starts_with("SEARCH") && plan.contains(index),
                "{table}: {plan}"
            );
            assert!(!plan.contains("TEMP B-TREE"), "{table}: {plan}");
        }
        let plan = store.view().plan("SELECT * FROM addresses");
        assert!(
            plan.starts_with("SCAN"),
            "the plan tells a scan apart: {plan}"
        );
    }

    #[test]
    fn the_log_is_cut_when_it_is_long_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let mut store = Store::open_file(&path, &BootId::new("a")).unwrap();
        assert!(!store.checkpoint_if_large().unwrap());
        while store.log_len() < LARGE_LOG {
            store
                .write(|tx| tx.begin_pool(&format!("{}", tx.conn.total_changes())))
                .unwrap();
        }
        let pools = |store: &Store| {
            let count = "SELECT count(*) FROM cursors";
            store.conn.query_row(count, [], |row| row.get::<_, i64>(0))
        };
        let before = pools(&store).unwrap();
        assert!(store.checkpoint_if_large().unwrap());
        assert!(store.log_len() > 0, "the log has its new header");
        assert!(store.log_len() < LARGE_LOG / 8);
        assert_eq!(pools(&store).unwrap(), before);
    }

    #[test]
    fn closing_neither_folds_the_log_back_nor_removes_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let mut store = Store::open_file(&path, &BootId::new("a")).unwrap();
        store.write(|tx| tx.begin_pool("p")).unwrap();
        let files = || ["db", "db-wal"].map(|file| std::fs::read(dir.path().join(file)).unwrap());
        let before = files();
        drop(store);
        assert_eq!(files(), before);
        let store = Store::open_file(&path, &BootId::new("a")).unwrap();
        assert_eq!(store.view().cursors("p").unwrap(), Some(Vec::new()));
    }

    #[test]
    fn a_reader_does_not_hold_up_a_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let mut reader = Store::open_file(&path, &BootId::new("a")).unwrap();
        let mut store = Store::open_file(&path, &BootId::new("a")).unwrap();
        reader
            .read(|view| {
                assert_eq!(view.cursors("p")?, None);
                store.write(|tx| tx.begin_pool("p"))?;
                store.checkpoint()?;
                assert_eq!(view.cursors("p")?, None, "its picture has not changed");
                Ok::<_, StoreError>(())
            })
            .unwrap();
        assert_eq!(reader.view().cursors("p").unwrap(), Some(Vec::new()));
    }
}
