//! The rows of the file inside one transaction. Every change is written to the log
//! too, which is what watches read.

use crate::{Entry, LeaseId, Revision, key};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// How many rows the log keeps at least: what a watch may be behind.
const KEEP: i64 = 50_000;

/// How many revisions lie between two times that the log is cut.
const CUT_EVERY: i64 = 512;

/// The row of `meta`.
pub(super) struct Meta {
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
    pub(super) epoch: i64,
    pub(super) mirror: bool,
}

/// The open transaction.
pub(super) struct Rows<'a> {
    pub(super) conn: &'a Connection,
}

const COLUMNS: &str = "key, value, created, modified, lease";

fn text(bytes: Vec<u8>) -> rusqlite::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let kind = rusqlite::types::Type::Blob;
        rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(error))
    })
}

/// The key in column `at`.
pub(super) fn key_of(row: &Row<'_>, at: usize) -> rusqlite::Result<String> {
    text(row.get(at)?)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        key: key_of(row, 0)?,
        value: row.get(1)?,
        created: Revision(row.get(2)?),
        modified: Revision(row.get(3)?),
        lease: row.get::<_, Option<i64>>(4)?.map(LeaseId),
    })
}

impl<'a> Rows<'a> {
    pub(super) const fn new(conn: &'a Connection) -> Self {
        Self { conn }
    }

    pub(super) fn meta(&self) -> rusqlite::Result<Meta> {
        let sql = "SELECT revision, compacted, epoch, mirror FROM meta";
        self.conn.prepare_cached(sql)?.query_row([], |row| {
            Ok(Meta {
                revision: Revision(row.get(0)?),
                compacted: Revision(row.get(1)?),
                epoch: row.get(2)?,
                mirror: row.get(3)?,
            })
        })
    }

    pub(super) fn next_revision(&self) -> rusqlite::Result<Revision> {
        Ok(Revision(self.meta()?.revision.0 + 1))
    }

    /// Makes `revision` the newest, and cuts the log where it has grown long.
    pub(super) fn advance(&self, revision: Revision) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached("UPDATE meta SET revision = ?")?
            .execute([revision.0])?;
        if revision.0 % CUT_EVERY == 0 {
            self.cut_log()?;
        }
        Ok(())
    }

    /// Removes what is older than [`KEEP`] rows, whole revisions at a time.
    pub(super) fn cut_log(&self) -> rusqlite::Result<()> {
        let sql = "SELECT revision FROM log WHERE id <= (SELECT max(id) FROM log) - ?
                   ORDER BY id DESC LIMIT 1";
        let upto: Option<i64> = self
            .conn
            .query_row(sql, [KEEP], |row| row.get(0))
            .optional()?;
        let Some(upto) = upto else { return Ok(()) };
        // The revision at the edge may go on after it: it goes as a whole.
        self.conn
            .execute("DELETE FROM log WHERE revision <= ?", [upto])?;
        self.conn
            .execute("UPDATE meta SET compacted = max(compacted, ?)", [upto])?;
        Ok(())
    }

    pub(super) fn get(&self, key: &str) -> rusqlite::Result<Option<Entry>> {
        self.conn
            .prepare_cached(&format!("SELECT {COLUMNS} FROM entries WHERE key = ?"))?
            .query_row([key.as_bytes()], entry)
            .optional()
    }

    pub(super) fn range(&self, prefix: &str) -> rusqlite::Result<Vec<Entry>> {
        let sql = |to| format!("SELECT {COLUMNS} FROM entries WHERE key >= ?{to} ORDER BY key");
        match key::end_of(prefix.as_bytes()) {
            Some(end) => self
                .conn
                .prepare_cached(&sql(" AND key < ?"))?
                .query_map(params![prefix.as_bytes(), end], entry)?
                .collect(),
            None => self
                .conn
                .prepare_cached(&sql(""))?
                .query_map([prefix.as_bytes()], entry)?
                .collect(),
        }
    }

    pub(super) fn count(&self, prefix: &str) -> rusqlite::Result<u64> {
        let sql = |to| format!("SELECT count(*) FROM entries WHERE key >= ?{to}");
        let count: i64 = match key::end_of(prefix.as_bytes()) {
            Some(end) => self
                .conn
                .prepare_cached(&sql(" AND key < ?"))?
                .query_row(params![prefix.as_bytes(), end], |row| row.get(0))?,
            None => self
                .conn
                .prepare_cached(&sql(""))?
                .query_row([prefix.as_bytes()], |row| row.get(0))?,
        };
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Writes a key at `revision`.
    pub(super) fn put(
        &self,
        key: &str,
        value: &[u8],
        lease: Option<LeaseId>,
        revision: Revision,
    ) -> rusqlite::Result<()> {
        let sql = "SELECT created FROM entries WHERE key = ?";
        let created: Option<i64> = self
            .conn
            .prepare_cached(sql)?
            .query_row([key.as_bytes()], |row| row.get(0))
            .optional()?;
        self.write(&Entry {
            key: key.to_owned(),
            value: value.to_owned(),
            created: created.map_or(revision, Revision),
            modified: revision,
            lease,
        })
    }

    /// Writes an entry as it is.
    pub(super) fn write(&self, entry: &Entry) -> rusqlite::Result<()> {
        let key = entry.key.as_bytes();
        let lease = entry.lease.map(|lease| lease.0);
        let (created, modified) = (entry.created.0, entry.modified.0);
        let sql = "INSERT OR REPLACE INTO entries(key, value, created, modified, lease)
                   VALUES(?, ?, ?, ?, ?)";
        self.conn.prepare_cached(sql)?.execute(params![
            key,
            entry.value,
            created,
            modified,
            lease
        ])?;
        let sql = "INSERT INTO log(revision, key, value, created, lease) VALUES(?, ?, ?, ?, ?)";
        self.conn.prepare_cached(sql)?.execute(params![
            modified,
            key,
            entry.value,
            created,
            lease
        ])?;
        Ok(())
    }

    /// Deletes a key at `revision`; says whether it was there.
    pub(super) fn delete(&self, key: &str, revision: Revision) -> rusqlite::Result<bool> {
        let there = self
            .conn
            .prepare_cached("DELETE FROM entries WHERE key = ?")?
            .execute([key.as_bytes()])?;
        if there == 0 {
            return Ok(false);
        }
        self.conn
            .prepare_cached("INSERT INTO log(revision, key) VALUES(?, ?)")?
            .execute(params![revision.0, key.as_bytes()])?;
        Ok(true)
    }

    /// Deletes every key under `prefix`; returns how many.
    pub(super) fn delete_prefix(&self, prefix: &str, revision: Revision) -> rusqlite::Result<u64> {
        let mut deleted = 0;
        for key in self.keys(prefix)? {
            deleted += u64::from(self.delete(&key, revision)?);
        }
        Ok(deleted)
    }

    /// The keys under `prefix`, sorted.
    pub(super) fn keys(&self, prefix: &str) -> rusqlite::Result<Vec<String>> {
        let sql = "SELECT key FROM entries WHERE key >= ?1 AND (?2 IS NULL OR key < ?2)
                   ORDER BY key";
        self.conn
            .prepare_cached(sql)?
            .query_map(
                params![prefix.as_bytes(), key::end_of(prefix.as_bytes())],
                |row| key_of(row, 0),
            )?
            .collect()
    }

    pub(super) fn has_lease(&self, lease: LeaseId) -> rusqlite::Result<bool> {
        self.conn
            .prepare_cached("SELECT 1 FROM leases WHERE id = ?")?
            .exists([lease.0])
    }
}
