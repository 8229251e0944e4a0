//! The file as the mirror of etcd: entries and revisions as etcd has them.

use super::rows::Rows;
use crate::{Batch, Entry, Event, Snapshot};
use std::cmp::Ordering;

/// Makes what `batch` tells so. What the file has from later is left alone, so that
/// a batch may come twice.
pub(super) fn apply(rows: &Rows<'_>, batch: &Batch) -> rusqlite::Result<()> {
    for event in &batch.events {
        let known = rows.get(event.key())?;
        if known.is_some_and(|known| known.modified >= event.revision()) {
            continue;
        }
        match event {
            Event::Put(entry) => rows.write(entry)?,
            Event::Delete { key, revision } => {
                rows.delete(key, *revision)?;
            }
        }
    }
    rows.conn.execute("UPDATE meta SET mirror = 1", [])?;
    let revision = rows.meta()?.revision.max(batch.revision);
    rows.advance(revision)?;
    rows.cut_log()
}

/// Makes what is under `prefix` equal to `snapshot`. Only rows that differ are
/// written. The history begins anew: it may be another one.
pub(super) fn replace(rows: &Rows<'_>, prefix: &str, snapshot: &Snapshot) -> rusqlite::Result<()> {
    let known = rows.range(prefix)?;
    let mut known = known.iter().peekable();
    let mut wanted = snapshot.entries.iter().peekable();
    loop {
        let order = match (known.peek(), wanted.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(known), Some(wanted)) => known.key.cmp(&wanted.key),
        };
        let old: Option<&Entry> = if order.is_le() { known.next() } else { None };
        let new: Option<&Entry> = if order.is_ge() { wanted.next() } else { None };
        match (old, new) {
            (Some(old), None) => drop(rows.delete(&old.key, snapshot.revision)?),
            (old, Some(new)) if old != Some(new) => rows.write(new)?,
            _ => {}
        }
    }
    rows.conn.execute("DELETE FROM log", [])?;
    rows.conn.execute(
        "UPDATE meta SET mirror = 1, epoch = epoch + 1, revision = ?1, compacted = ?1",
        [snapshot.revision.0],
    )?;
    Ok(())
}
