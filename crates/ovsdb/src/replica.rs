//! What is known of a database by a monitor's updates.

use crate::atom::{Atom, ValueError};
use crate::monitor::Plan;
use crate::row::Row;
use crate::schema::ColumnKind;
use crate::value::Value;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Where an update comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The whole content, at the beginning or because the server does not know what has
    /// changed since. The changes are those against what was known.
    Reset,
    /// What has changed since the connection was lost; it may be nothing.
    Resumed,
    /// What has just changed.
    Live,
}

/// How a server tells rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `<table-updates>` of RFC 7047 section 4.1.6.
    Whole,
    /// `<table-updates2>` of `ovsdb-server(7)`.
    Difference,
}

/// One row that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its table.
    pub table: String,
    /// Its identity.
    pub uuid: Uuid,
    /// What it was; none of a new row.
    pub old: Option<Row>,
    /// What it is; none of a row that is gone.
    pub new: Option<Row>,
}

/// Rows that changed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Where it comes from.
    pub origin: Origin,
    /// The rows.
    pub changes: Vec<Change>,
}

type Rows = BTreeMap<Uuid, Row>;

/// What is known of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replica {
    tables: BTreeMap<String, Rows>,
}

impl Replica {
    /// The rows of a table.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Row)> {
        let rows = self.tables.get(table).into_iter().flatten();
        rows.map(|(uuid, row)| (*uuid, row))
    }

    /// One row.
    #[must_use]
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Row> {
        self.tables.get(table)?.get(&uuid)
    }

    /// The first row whose column has this value.
    #[must_use]
    pub fn find(&self, table: &str, column: &str, value: &Value) -> Option<(Uuid, &Row)> {
        self.rows(table)
            .find(|(_, row)| row.get(column) == Some(value))
    }

    /// Takes in what a server told. After an error everything is as it was.
    pub(crate) fn apply(
        &mut self,
        plan: &Plan,
        origin: Origin,
        form: Form,
        tables: &Json,
    ) -> Result<Update, ValueError> {
        let mut changes = Vec::new();
        let empty = Self::default();
        let before = match origin {
            Origin::Reset => &empty,
            Origin::Resumed | Origin::Live => &*self,
        };
        let told = tables
            .as_object()
            .ok_or_else(|| ValueError::new("updates of tables", tables))?;
        for (table, rows) in told {
            let rows = rows
                .as_object()
                .ok_or_else(|| ValueError::new("updates of rows", rows))?;
            for (id, update) in rows {
                let uuid = Uuid::try_parse(id)
                    .map_err(|_| ValueError::new("a row's identity", &Json::from(id.as_str())))?;
                let old = before.row(table, uuid);
                let (old, new) = match form {
                    Form::Whole => whole(old, update)?,
                    Form::Difference => (old.cloned(), difference(plan, table, old, update)?),
                };
                if old != new {
                    changes.push(Change {
                        table: table.clone(),
                        uuid,
                        old,
                        new,
                    });
                }
            }
        }
        if origin == Origin::Reset {
            changes = self.against(changes);
        }
        self.take(&changes);
        Ok(Update { origin, changes })
    }

    /// A whole content as changes against what is known.
    fn against(&self, content: Vec<Change>) -> Vec<Change> {
        let there: BTreeSet<(&str, Uuid)> = content
            .iter()
            .map(|change| (change.table.as_str(), change.uuid))
            .collect();
        let mut changes = Vec::new();
        for (table, rows) in &self.tables {
            for (uuid, row) in rows {
                if !there.contains(&(table.as_str(), *uuid)) {
                    changes.push(Change {
                        table: table.clone(),
                        uuid: *uuid,
                        old: Some(row.clone()),
                        new: None,
                    });
                }
            }
        }
        for change in content {
            let old = self.row(&change.table, change.uuid).cloned();
            if old != change.new {
                changes.push(Change { old, ..change });
            }
        }
        changes
    }

    fn take(&mut self, changes: &[Change]) {
        for change in changes {
            let rows = self.tables.entry(change.table.clone()).or_default();
            match &change.new {
                Some(row) => rows.insert(change.uuid, row.clone()),
                None => rows.remove(&change.uuid),
            };
        }
    }
}

type Pair = (Option<Row>, Option<Row>);

/// `{"old": .., "new": ..}`: of a changed row, `old` has only what changed.
fn whole(known: Option<&Row>, update: &Json) -> Result<Pair, ValueError> {
    let new = update.get("new").map(Row::decode).transpose()?;
    let told = update.get("old").map(Row::decode).transpose()?;
    let old = match (known, told, &new) {
        (Some(row), _, _) => Some(row.clone()),
        (None, Some(part), Some(new)) => {
            let mut old = new.clone();
            part.columns()
                .for_each(|(name, v)| old.set(name, v.clone()));
            Some(old)
        }
        (None, told, _) => told,
    };
    Ok((old, new))
}

/// `{"initial": ..}`, `{"insert": ..}`, `{"modify": ..}` or `{"delete": ..}`.
fn difference(
    plan: &Plan,
    table: &str,
    old: Option<&Row>,
    update: &Json,
) -> Result<Option<Row>, ValueError> {
    if let Some(row) = update.get("initial").or_else(|| update.get("insert")) {
        // What is not told has its default.
        let told = Row::decode(row)?;
        let mut row = Row::new();
        for name in plan.columns(table) {
            if let Some(column) = plan.schema.column(table, name) {
                row.set(name, column.kind.default_value());
            }
        }
        told.columns()
            .for_each(|(name, v)| row.set(name, v.clone()));
        return Ok(Some(row));
    }
    if let Some(part) = update.get("modify") {
        let mut row = old
            .cloned()
            .ok_or_else(|| ValueError::new("a change of a row that is known", part))?;
        for (name, change) in Row::decode(part)?.columns() {
            let kind = plan.schema.column(table, name).map(|column| &column.kind);
            let value = match (kind, row.get(name)) {
                (Some(kind), Some(value)) if kind.is_composite() => differs(kind, value, change),
                _ => change.clone(),
            };
            row.set(name, value);
        }
        return Ok(Some(row));
    }
    match update.get("delete") {
        Some(_) => Ok(None),
        None => Err(ValueError::new("an update of a row", update)),
    }
}

/// A set or map that may have several elements is told as what is in the old or the new one
/// and not in both; a key whose value changed with its new value.
fn differs(kind: &ColumnKind, value: &Value, change: &Value) -> Value {
    if kind.value.is_none() {
        let old: BTreeSet<&Atom> = value.elements().collect();
        let change: BTreeSet<&Atom> = change.elements().collect();
        return Value::set(old.symmetric_difference(&change).map(|&atom| atom.clone()));
    }
    let mut pairs: BTreeMap<Atom, Atom> =
        value.pairs().map(|(k, v)| (k.clone(), v.clone())).collect();
    for (key, new) in change.pairs() {
        match pairs.get(key) {
            Some(old) if old == new => {
                pairs.remove(key);
            }
            _ => {
                pairs.insert(key.clone(), new.clone());
            }
        }
    }
    Value::Map(pairs)
}
