//! Opening the file: the short way for one that is ready, the long way, under a
//! lock, for one that must be made or brought to this boot.

use crate::error::{is_busy, is_damage};
use crate::{BootId, StoreError, runs, schema, store};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, FileControl, OpenFlags, OptionalExtension};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a writer waits for the others. A write takes well under a
/// millisecond, so only a stopped process ever makes it run out.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// The one row of `meta`.
const META: &str = "INSERT INTO meta(boot, checkpoints) VALUES(?, 0)";

/// Opens the file at `path` and sees to it that it has the tables and holds
/// nothing of another boot.
pub(crate) fn open(path: &Path, boot: &BootId) -> Result<Connection, StoreError> {
    match ready(path, boot) {
        Ok(Some(conn)) => Ok(conn),
        Ok(None) => prepare(path, boot),
        Err(error) => Err(refusal(path, error)),
    }
}

fn refusal(path: &Path, source: rusqlite::Error) -> StoreError {
    if is_damage(&source) || is_busy(&source) {
        return store::sql_error(path, "open", "the file", source);
    }
    StoreError::Open {
        path: path.into(),
        source: Box::new(source),
    }
}

/// The connection, if the file is there with this schema and of this boot.
fn ready(path: &Path, boot: &BootId) -> rusqlite::Result<Option<Connection>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match Connection::open_with_flags(path, flags) {
        Ok(conn) => conn,
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) => return Ok(None),
        Err(error) => return Err(error),
    };
    let conn = configured(conn)?;
    if version(&conn)? != schema::VERSION || recorded_boot(&conn)?.as_deref() != Some(boot.as_str())
    {
        return Ok(None);
    }
    Ok(Some(conn))
}

/// Sets what is not kept in the file.
fn configured(mut conn: Connection) -> rusqlite::Result<Connection> {
    wait_for_others(&mut conn)?;
    // The last to close would otherwise fold back the log, sync and delete it.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let mut keep = 1;
    conn.file_control(None::<&str>, FileControl::PersistWal(&mut keep))?;
    conn.execute_batch("PRAGMA synchronous=NORMAL;PRAGMA wal_autocheckpoint=0")?;
    conn.set_prepared_statement_cache_capacity(48);
    Ok(conn)
}

/// Makes the connection wait for a lock as [`wait`] does.
pub(crate) fn wait_for_others(conn: &mut Connection) -> rusqlite::Result<()> {
    conn.busy_handler(Some(wait()))
}

/// What a writer does while another writes: sleep a fraction of a millisecond,
/// at random so that many do not wake together, longer when it goes on.
fn wait() -> impl FnMut(i32) -> bool + Send + 'static {
    let mut since = Instant::now();
    let mut random = u64::from(std::process::id()) << 32 | 1;
    move |tried| {
        if tried == 0 {
            since = Instant::now();
            let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            random ^= clock.map_or(0, |now| u64::from(now.subsec_nanos()) << 1);
        }
        if since.elapsed() >= PATIENCE {
            return false;
        }
        random = xorshift(random);
        let ceiling = 200 << u32::try_from(tried / 4).unwrap_or(0).min(4);
        std::thread::sleep(Duration::from_micros(50 + random % ceiling));
        true
    }
}

/// Marsaglia's generator; `state` is never zero.
const fn xorshift(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ (state << 17)
}

fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn recorded_boot(conn: &Connection) -> rusqlite::Result<Option<String>> {
    conn.query_row("SELECT boot FROM meta", [], |row| row.get(0))
        .optional()
}

/// Makes or mends the file while nobody else does: a lock on the directory, held
/// by the open descriptor and so never left behind, keeps first comers apart.
fn prepare(path: &Path, boot: &BootId) -> Result<Connection, StoreError> {
    let _lock = lock_directory(path)?;
    let failed = |source| refusal(path, source);
    // SQLite makes a file with the mode of umask; this one is there before.
    make_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(failed)?;
    let mut conn = configured(conn).map_err(failed)?;
    let found = version(&conn).map_err(failed)?;
    if found > schema::VERSION {
        return Err(StoreError::Newer {
            path: path.into(),
            found,
            known: schema::VERSION,
        });
    }
    if found == 0 {
        create(&mut conn, boot).map_err(failed)?;
        return Ok(conn);
    }
    upgrade(&mut conn, found).map_err(failed)?;
    if recorded_boot(&conn).map_err(failed)?.as_deref() != Some(boot.as_str()) {
        new_boot(&mut conn, boot).map_err(failed)?;
    }
    Ok(conn)
}

fn lock_directory(path: &Path) -> Result<std::fs::File, StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    let failed = |source| StoreError::Directory {
        path: dir.into(),
        source,
    };
    // What is above it belongs to the system and gets the usual mode.
    if let Some(above) = dir.parent() {
        std::fs::create_dir_all(above).map_err(failed)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(failed(error));
        }
        _ => {}
    }
    let lock = std::fs::File::open(dir).map_err(failed)?;
    lock.lock().map_err(failed)?;
    Ok(lock)
}

fn make_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|source| StoreError::Directory {
        path: path.into(),
        source,
    })
}

fn create(conn: &mut Connection, boot: &BootId) -> rusqlite::Result<()> {
    // Outside of a transaction, and before there is a page.
    conn.execute_batch(&format!(
        "PRAGMA page_size={};PRAGMA journal_mode=WAL",
        schema::PAGE_SIZE
    ))?;
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.execute_batch(schema::TABLES)?;
    tx.execute(META, [boot.as_str()])?;
    tx.pragma_update(None, "user_version", schema::VERSION)?;
    tx.commit()?;
    // So that the file alone is sound, whatever becomes of the log.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Brings the tables from schema `found` to the one of this release.
fn upgrade(conn: &mut Connection, found: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(found - 1).unwrap_or(0);
    if done >= schema::UPGRADES.len() {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for step in &schema::UPGRADES[done..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", schema::VERSION)?;
    tx.commit()
}

/// Removes what ended with an earlier boot.
fn new_boot(conn: &mut Connection, boot: &BootId) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.execute_batch(
        "DELETE FROM addresses WHERE boot = 1;
         DELETE FROM attachments; DELETE FROM masquerades; DELETE FROM ports",
    )?;
    runs::rebuild(&tx)?;
    let known = tx.execute("UPDATE meta SET boot = ?", [boot.as_str()])?;
    if known == 0 {
        tx.execute(META, [boot.as_str()])?;
    }
    tx.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    /// Makes a file as the first release made it.
    fn first_release(path: &Path, boot: &BootId) {
        let mut conn = Connection::open(path).unwrap();
        create(&mut conn, boot).unwrap();
        conn.execute_batch(
            "ALTER TABLE attachments DROP COLUMN resource;
             ALTER TABLE attachments DROP COLUMN naming;
             DROP TABLE services;
             DROP TABLE docker_networks;
             DROP TABLE resting;
             DROP TABLE endpoints;
             DROP TABLE endpoint_containers;
             DROP TABLE vsp_leases;
             DROP TABLE vsp_networks;
             INSERT INTO attachments(container, ifname, network, id, state, since, config)
             VALUES('c1', 'eth0', 'web', 'c1', 1, 7, '{}');
             PRAGMA user_version = 1",
        )
        .unwrap();
    }

    #[test]
    fn a_file_of_an_earlier_release_is_brought_up_and_keeps_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.db");
        let boot = BootId::new("one");
        first_release(&path, &boot);
        for _ in 0..2 {
            let store = Store::open_file(&path, &boot).unwrap();
            let all = store
                .view()
                .attachments(&crate::AttachmentFilter::default())
                .unwrap();
            assert_eq!((all.len(), all[0].since), (1, 7));
            assert_eq!(all[0].resource, None);
            assert!(all[0].naming.is_empty());
            assert_eq!(store.view().services().unwrap(), []);
            assert_eq!(store.view().endpoints().unwrap(), []);
            assert_eq!(store.view().vsp_leases().unwrap(), []);
        }
        // The tables are those of a new file, column for column.
        let fresh = dir.path().join("fresh.db");
        drop(Store::open_file(&fresh, &boot).unwrap());
        let columns = |path: &Path| {
            let conn = Connection::open(path).unwrap();
            let mut all = conn
                .prepare("SELECT name FROM pragma_table_info('attachments')")
                .unwrap();
            let names = all.query_map([], |row| row.get::<_, String>(0)).unwrap();
            names.map(Result::unwrap).collect::<Vec<_>>()
        };
        assert_eq!(columns(&path), columns(&fresh));
    }
}
