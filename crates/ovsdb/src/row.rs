//! A row, or a part of one: columns by name.

use crate::atom::{Atom, ValueError};
use crate::value::Value;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Columns of a row by name; all of them or some, as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row(BTreeMap<String, Value>);

impl Row {
    /// One without columns.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this column.
    #[must_use]
    pub fn with(mut self, column: &str, value: impl Into<Value>) -> Self {
        self.set(column, value);
        self
    }

    /// Sets a column.
    pub fn set(&mut self, column: &str, value: impl Into<Value>) {
        self.0.insert(column.to_owned(), value.into());
    }

    /// From JSON (`<row>` of RFC 7047 section 5.1).
    ///
    /// # Errors
    /// It is none.
    pub fn decode(json: &Json) -> Result<Self, ValueError> {
        let columns = json
            .as_object()
            .ok_or_else(|| ValueError::new("a row", json))?;
        let columns = columns
            .iter()
            .map(|(name, value)| Ok((name.clone(), Value::decode(value)?)));
        columns.collect::<Result<_, _>>().map(Self)
    }

    /// As JSON.
    #[must_use]
    pub fn encode(&self) -> Json {
        let columns = self.0.iter().map(|(name, v)| (name.clone(), v.encode()));
        Json::Object(columns.collect())
    }

    /// A column's value.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&Value> {
        self.0.get(column)
    }

    /// All columns.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The one text of a column; none if it is empty, more, or something else.
    #[must_use]
    pub fn text(&self, column: &str) -> Option<&str> {
        self.get(column)?.atom()?.as_str()
    }

    /// The one whole number of a column.
    #[must_use]
    pub fn integer(&self, column: &str) -> Option<i64> {
        self.get(column)?.atom()?.as_integer()
    }

    /// The one truth value of a column.
    #[must_use]
    pub fn boolean(&self, column: &str) -> Option<bool> {
        self.get(column)?.atom()?.as_bool()
    }

    /// The one row that a column names; `_uuid` is the row's own identity.
    #[must_use]
    pub fn uuid(&self, column: &str) -> Option<Uuid> {
        self.get(column)?.atom()?.as_uuid()
    }

    /// The texts of a set.
    pub fn texts(&self, column: &str) -> impl Iterator<Item = &str> {
        self.elements(column).filter_map(Atom::as_str)
    }

    /// The rows that a set names.
    pub fn uuids(&self, column: &str) -> impl Iterator<Item = Uuid> {
        self.elements(column).filter_map(Atom::as_uuid)
    }

    /// The pairs of a map of texts.
    #[must_use]
    pub fn map(&self, column: &str) -> BTreeMap<String, String> {
        let pairs = self.get(column).into_iter().flat_map(Value::pairs);
        pairs
            .filter_map(|(k, v)| Some((k.as_str()?.to_owned(), v.as_str()?.to_owned())))
            .collect()
    }

    fn elements(&self, column: &str) -> impl Iterator<Item = &Atom> {
        self.get(column).into_iter().flat_map(Value::elements)
    }
}
