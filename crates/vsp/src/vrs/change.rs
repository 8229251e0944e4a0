//! Changing rows that somebody else may change at the same time: what was read is compared
//! again in the transaction that relies on it, and if it has changed all is done again.

use super::{DATABASE, Vrs, VrsError};
use fairlead_ovsdb::{Condition, OpResult, Operation, Row, Until};

/// How often a change is tried again.
const ATTEMPTS: usize = 8;

/// A transaction by what has just been read.
pub(super) struct Change {
    /// What must still be so; the first of them may be about the bridge.
    pub(super) if_still: Vec<Operation>,
    /// What is done then; nothing if all is as it should be.
    pub(super) then: Vec<Operation>,
    /// Is the first thing that must be so the bridge?
    pub(super) on_bridge: bool,
}

/// These rows of these columns are all that there is.
pub(super) fn still(
    table: &str,
    conditions: Vec<Condition>,
    columns: &[&str],
    rows: &[Row],
) -> Operation {
    let part = |row: &Row| {
        let told = columns
            .iter()
            .filter_map(|&c| Some((c, row.get(c)?.clone())));
        told.fold(Row::new(), |part, (column, value)| part.with(column, value))
    };
    let rows = rows.iter().map(part).collect();
    Operation::wait(table, conditions, Until::Equal, rows).columns(columns)
}

impl Vrs {
    /// The bridge is there.
    pub(super) fn bridge_is_there(&self) -> Operation {
        let name = self.bridge.as_str();
        let row = Row::new().with("name", name);
        still(
            "Bridge",
            vec![Condition::eq("name", name)],
            &["name"],
            &[row],
        )
    }

    /// Reads, plans and does; again if what was read was no longer so, or if the answer was
    /// lost: what was done is then read, and not done twice.
    pub(super) async fn change(
        &self,
        doing: &'static str,
        object: &str,
        reads: &[Operation],
        plan: impl Fn(&[OpResult]) -> Result<Change, VrsError>,
    ) -> Result<(), VrsError> {
        for _ in 0..ATTEMPTS {
            let found = self.transact(doing, object, reads).await?;
            let change = plan(&found)?;
            if change.then.is_empty() {
                return Ok(());
            }
            let mut operations = change.if_still;
            operations.extend(change.then);
            operations.push(Operation::comment(&format!("fairlead: {doing} {object}")));
            let Err(error) = self.transact(doing, object, &operations).await else {
                return Ok(());
            };
            match error.stale() {
                Some(0) if change.on_bridge => return Err(self.no_bridge()),
                Some(_) => {}
                None if error.may_have_happened() => {}
                None => return Err(error),
            }
        }
        Err(VrsError::Busy {
            doing,
            object: format!("{object} of {DATABASE}"),
            attempts: ATTEMPTS,
        })
    }
}
