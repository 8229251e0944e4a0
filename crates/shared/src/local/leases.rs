//! Leases: what ends by itself.

use super::clock::{Boot, millis};
use super::rows::{Rows, key_of};
use crate::LeaseId;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::time::Duration;

/// A lease that ends `ttl` from now.
pub(super) fn grant(rows: &Rows<'_>, boot: &Boot, ttl: Duration) -> rusqlite::Result<LeaseId> {
    let ttl = millis(ttl);
    rows.conn
        .prepare_cached("INSERT INTO leases(boot, ttl, expires) VALUES(?, ?, ?)")?
        .execute(params![boot.as_str(), ttl, boot.now() + ttl])?;
    Ok(LeaseId(rows.conn.last_insert_rowid()))
}

/// Starts its time anew; none when there is no such lease.
pub(super) fn keep_alive(
    rows: &Rows<'_>,
    boot: &Boot,
    lease: LeaseId,
) -> rusqlite::Result<Option<Duration>> {
    let sql = "UPDATE leases SET expires = ? + ttl WHERE id = ? RETURNING ttl";
    let ttl: Option<i64> = rows
        .conn
        .prepare_cached(sql)?
        .query_row(params![boot.now(), lease.0], |row| row.get(0))
        .optional()?;
    Ok(ttl.map(|ttl| Duration::from_millis(u64::try_from(ttl).unwrap_or_default())))
}

/// Ends a lease and deletes its keys, in one revision.
pub(super) fn end(rows: &Rows<'_>, lease: LeaseId) -> rusqlite::Result<()> {
    let keys: Vec<String> = rows
        .conn
        .prepare_cached("SELECT key FROM entries WHERE lease = ? ORDER BY key")?
        .query_map([lease.0], |row| key_of(row, 0))?
        .collect::<rusqlite::Result<_>>()?;
    if !keys.is_empty() {
        let revision = rows.next_revision()?;
        for key in keys {
            rows.delete(&key, revision)?;
        }
        rows.advance(revision)?;
    }
    rows.conn
        .prepare_cached("DELETE FROM leases WHERE id = ?")?
        .execute([lease.0])?;
    Ok(())
}

const EXPIRED: &str = "SELECT id FROM leases WHERE boot <> ?1 OR expires <= ?2";

/// Ends every lease whose time is over.
pub(super) fn sweep(rows: &Rows<'_>, boot: &Boot) -> rusqlite::Result<()> {
    let expired: Vec<i64> = rows
        .conn
        .prepare_cached(EXPIRED)?
        .query_map(params![boot.as_str(), boot.now()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    expired
        .into_iter()
        .try_for_each(|id| end(rows, LeaseId(id)))
}

/// The same, with a lock on the file only where there is something to do. Says
/// whether there was.
pub(super) fn sweep_if_due(conn: &mut Connection, boot: &Boot) -> rusqlite::Result<bool> {
    let due = conn
        .prepare_cached(EXPIRED)?
        .exists(params![boot.as_str(), boot.now()])?;
    if due {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        sweep(&Rows::new(&tx), boot)?;
        tx.commit()?;
    }
    Ok(due)
}
