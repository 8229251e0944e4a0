//! Opening the file, and its tables.

use super::sql_error;
use crate::SharedError;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// How long a writer waits for the others. A write takes milliseconds, so only a
/// stopped process ever makes it run out.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

const VERSION: i64 = 1;

/// Keys are blobs, so that they are sorted by their bytes as etcd has them. In
/// `log`, a row without a value is a deletion. `epoch` counts how often the
/// history was replaced by another.
const TABLES: &str = "
CREATE TABLE meta(
    revision INTEGER NOT NULL,
    compacted INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    mirror INTEGER NOT NULL
);
INSERT INTO meta VALUES(0, 0, 0, 0);
CREATE TABLE entries(
    key BLOB PRIMARY KEY,
    value BLOB NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    lease INTEGER
) WITHOUT ROWID;
CREATE INDEX entries_lease ON entries(lease) WHERE lease IS NOT NULL;
CREATE TABLE log(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB,
    created INTEGER,
    lease INTEGER
);
CREATE INDEX log_revision ON log(revision);
CREATE TABLE leases(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    boot TEXT NOT NULL,
    ttl INTEGER NOT NULL,
    expires INTEGER NOT NULL
);
";

/// Opens the file at `path` and sees to it that it has the tables.
pub(super) fn open(path: &Path) -> Result<Connection, SharedError> {
    make_directory(path)?;
    make_private(path)?;
    let failed = |source| sql_error(path, ("open", "the file"), source);
    let mut conn = connect(path).map_err(failed)?;
    let mut found = version(&conn).map_err(failed)?;
    if found == 0 {
        create(&mut conn).map_err(failed)?;
        found = version(&conn).map_err(failed)?;
    }
    if found != VERSION {
        return Err(SharedError::Schema {
            path: path.into(),
            found,
            known: VERSION,
        });
    }
    Ok(conn)
}

/// A connection to a file that is there and ready.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(PATIENCE)?;
    conn.execute_batch("PRAGMA synchronous=NORMAL")?;
    conn.set_prepared_statement_cache_capacity(32);
    Ok(conn)
}

fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Makes the tables, unless another process was quicker.
fn create(conn: &mut Connection) -> rusqlite::Result<()> {
    // SQLite does not wait for a lock here, and whoever has it does the same.
    match conn.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(())) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
        done => done?,
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version(&tx)? == 0 {
        tx.execute_batch(TABLES)?;
        tx.pragma_update(None, "user_version", VERSION)?;
    }
    tx.commit()
}

fn make_directory(path: &Path) -> Result<(), SharedError> {
    use std::os::unix::fs::DirBuilderExt;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    let failed = |source| SharedError::Directory {
        path: dir.into(),
        source,
    };
    // What is above it belongs to the system and gets the usual mode.
    if let Some(above) = dir.parent() {
        std::fs::create_dir_all(above).map_err(failed)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

/// SQLite makes a file with the mode of umask; this one is there before.
fn make_private(path: &Path) -> Result<(), SharedError> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|source| SharedError::Directory {
        path: path.into(),
        source,
    })
}
