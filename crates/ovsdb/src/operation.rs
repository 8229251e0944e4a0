//! What a transaction does, as RFC 7047 section 5.2 has it.

use crate::row::Row;
use crate::value::Value;
use serde_json::{Value as Json, json};

/// How a condition compares a column with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The same.
    Equal,
    /// Not the same.
    NotEqual,
    /// A smaller number.
    Less,
    /// A number that is not larger.
    LessOrEqual,
    /// A larger number.
    Greater,
    /// A number that is not smaller.
    GreaterOrEqual,
    /// All elements or pairs are in the column.
    Includes,
    /// No element or pair is in the column.
    Excludes,
}

impl Function {
    fn text(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Includes => "includes",
            Self::Excludes => "excludes",
        }
    }
}

/// Which rows are meant. Several conditions must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    column: String,
    function: Function,
    value: Value,
}

impl Condition {
    /// A condition on a column.
    pub fn new(column: &str, function: Function, value: impl Into<Value>) -> Self {
        Self {
            column: column.to_owned(),
            function,
            value: value.into(),
        }
    }

    /// The column has this value.
    pub fn eq(column: &str, value: impl Into<Value>) -> Self {
        Self::new(column, Function::Equal, value)
    }

    /// The column has not this value.
    pub fn ne(column: &str, value: impl Into<Value>) -> Self {
        Self::new(column, Function::NotEqual, value)
    }

    /// The column has all of this.
    pub fn includes(column: &str, value: impl Into<Value>) -> Self {
        Self::new(column, Function::Includes, value)
    }

    pub(crate) fn encode(&self) -> Json {
        json!([self.column, self.function.text(), self.value.encode()])
    }
}

/// How a mutation changes a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutator {
    /// To numbers.
    Add,
    /// From numbers.
    Subtract,
    /// Numbers.
    Multiply,
    /// Numbers.
    Divide,
    /// What is left of whole numbers.
    Remainder,
    /// Elements that are not there, pairs whose key is not there.
    Insert,
    /// Elements; pairs, or keys by a set of them.
    Delete,
}

/// A change of one column from what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    column: String,
    mutator: Mutator,
    value: Value,
}

impl Mutation {
    /// A change of a column.
    pub fn new(column: &str, mutator: Mutator, value: impl Into<Value>) -> Self {
        Self {
            column: column.to_owned(),
            mutator,
            value: value.into(),
        }
    }

    /// Puts into a set or map.
    pub fn insert(column: &str, value: impl Into<Value>) -> Self {
        Self::new(column, Mutator::Insert, value)
    }

    /// Takes out of a set or map.
    pub fn delete(column: &str, value: impl Into<Value>) -> Self {
        Self::new(column, Mutator::Delete, value)
    }

    fn encode(&self) -> Json {
        let mutator = match self.mutator {
            Mutator::Add => "+=",
            Mutator::Subtract => "-=",
            Mutator::Multiply => "*=",
            Mutator::Divide => "/=",
            Mutator::Remainder => "%=",
            Mutator::Insert => "insert",
            Mutator::Delete => "delete",
        };
        json!([self.column, mutator, self.value.encode()])
    }
}

/// What a [`Operation::Wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The rows are these.
    Equal,
    /// The rows are not these.
    NotEqual,
}

/// One step of a transaction. All of them happen, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Reads rows.
    Select {
        /// The table.
        table: String,
        /// Which rows.
        conditions: Vec<Condition>,
        /// Which columns; none means all.
        columns: Vec<String>,
    },
    /// Makes a row.
    Insert {
        /// The table.
        table: String,
        /// Its columns; those not given have their default.
        row: Row,
        /// What the other operations call it.
        name: Option<String>,
    },
    /// Sets columns.
    Update {
        /// The table.
        table: String,
        /// Which rows.
        conditions: Vec<Condition>,
        /// The columns.
        row: Row,
    },
    /// Changes columns from what they hold.
    Mutate {
        /// The table.
        table: String,
        /// Which rows.
        conditions: Vec<Condition>,
        /// The changes.
        mutations: Vec<Mutation>,
    },
    /// Takes rows away.
    Delete {
        /// The table.
        table: String,
        /// Which rows.
        conditions: Vec<Condition>,
    },
    /// Goes on only if, or as soon as, rows are or are not as given.
    Wait {
        /// The table.
        table: String,
        /// Which rows are looked at.
        conditions: Vec<Condition>,
        /// Which of their columns.
        columns: Vec<String>,
        /// What is waited for.
        until: Until,
        /// The rows to compare with.
        rows: Vec<Row>,
        /// How long, in milliseconds; 0 means to look once, none to wait without end.
        timeout: Option<u64>,
    },
    /// A word for the server's log.
    Comment {
        /// The word.
        text: String,
    },
    /// Ends the transaction without a change.
    Abort,
    /// Fails unless this client has the lock.
    Assert {
        /// The lock.
        lock: String,
    },
}

impl Operation {
    /// Reads all columns of rows.
    #[must_use]
    pub fn select(table: &str, conditions: impl IntoIterator<Item = Condition>) -> Self {
        Self::Select {
            table: table.to_owned(),
            conditions: conditions.into_iter().collect(),
            columns: Vec::new(),
        }
    }

    /// The same select or wait with these columns only.
    #[must_use]
    pub fn columns(mut self, names: &[&str]) -> Self {
        if let Self::Select { columns, .. } | Self::Wait { columns, .. } = &mut self {
            *columns = names.iter().map(|&name| name.to_owned()).collect();
        }
        self
    }

    /// Makes a row.
    #[must_use]
    pub fn insert(table: &str, row: Row) -> Self {
        Self::Insert {
            table: table.to_owned(),
            row,
            name: None,
        }
    }

    /// Makes a row that the other operations call `name` ([`Value::named`]): letters, digits
    /// and `_`, and no digit first.
    #[must_use]
    pub fn insert_as(table: &str, name: &str, row: Row) -> Self {
        Self::Insert {
            table: table.to_owned(),
            row,
            name: Some(name.to_owned()),
        }
    }

    /// Sets columns of rows.
    #[must_use]
    pub fn update(table: &str, conditions: impl IntoIterator<Item = Condition>, row: Row) -> Self {
        Self::Update {
            table: table.to_owned(),
            conditions: conditions.into_iter().collect(),
            row,
        }
    }

    /// Changes columns of rows.
    #[must_use]
    pub fn mutate(
        table: &str,
        conditions: impl IntoIterator<Item = Condition>,
        mutations: impl IntoIterator<Item = Mutation>,
    ) -> Self {
        Self::Mutate {
            table: table.to_owned(),
            conditions: conditions.into_iter().collect(),
            mutations: mutations.into_iter().collect(),
        }
    }

    /// Takes rows away.
    #[must_use]
    pub fn delete(table: &str, conditions: impl IntoIterator<Item = Condition>) -> Self {
        Self::Delete {
            table: table.to_owned(),
            conditions: conditions.into_iter().collect(),
        }
    }

    /// Goes on only if the rows are, or are not, these; it looks once. Columns are those of
    /// the first row unless [`Operation::columns`] names others.
    #[must_use]
    pub fn wait(
        table: &str,
        conditions: impl IntoIterator<Item = Condition>,
        until: Until,
        rows: Vec<Row>,
    ) -> Self {
        let first = rows.iter().take(1).flat_map(Row::columns);
        Self::Wait {
            table: table.to_owned(),
            conditions: conditions.into_iter().collect(),
            columns: first.map(|(name, _)| name.to_owned()).collect(),
            until,
            rows,
            timeout: Some(0),
        }
    }

    /// A word for the server's log.
    #[must_use]
    pub fn comment(text: &str) -> Self {
        Self::Comment {
            text: text.to_owned(),
        }
    }

    /// The word of the protocol for it.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Select { .. } => "select",
            Self::Insert { .. } => "insert",
            Self::Update { .. } => "update",
            Self::Mutate { .. } => "mutate",
            Self::Delete { .. } => "delete",
            Self::Wait { .. } => "wait",
            Self::Comment { .. } => "comment",
            Self::Abort => "abort",
            Self::Assert { .. } => "assert",
        }
    }

    /// The table it is about, if it is about one.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        match self {
            Self::Select { table, .. }
            | Self::Insert { table, .. }
            | Self::Update { table, .. }
            | Self::Mutate { table, .. }
            | Self::Delete { table, .. }
            | Self::Wait { table, .. } => Some(table),
            Self::Comment { .. } | Self::Abort | Self::Assert { .. } => None,
        }
    }

    /// As JSON.
    #[must_use]
    pub fn encode(&self) -> Json {
        let mut object = self.own_members();
        object["op"] = json!(self.verb());
        if let Some(table) = self.table() {
            object["table"] = json!(table);
        }
        let conditions = match self {
            Self::Select { conditions, .. }
            | Self::Update { conditions, .. }
            | Self::Mutate { conditions, .. }
            | Self::Delete { conditions, .. }
            | Self::Wait { conditions, .. } => conditions,
            _ => return object,
        };
        object["where"] = conditions.iter().map(Condition::encode).collect();
        object
    }

    /// What only this kind has.
    fn own_members(&self) -> Json {
        match self {
            Self::Select { columns, .. } if columns.is_empty() => json!({}),
            Self::Select { columns, .. } => json!({ "columns": columns }),
            Self::Insert { row, name, .. } => match name {
                None => json!({ "row": row.encode() }),
                Some(name) => json!({ "row": row.encode(), "uuid-name": name }),
            },
            Self::Update { row, .. } => json!({ "row": row.encode() }),
            Self::Mutate { mutations, .. } => {
                json!({ "mutations": mutations.iter().map(Mutation::encode).collect::<Json>() })
            }
            Self::Wait {
                columns,
                until,
                rows,
                timeout,
                ..
            } => {
                let until = match until {
                    Until::Equal => "==",
                    Until::NotEqual => "!=",
                };
                let rows: Json = rows.iter().map(Row::encode).collect();
                let mut object = json!({ "columns": columns, "until": until, "rows": rows });
                if let Some(timeout) = timeout {
                    object["timeout"] = json!(timeout);
                }
                object
            }
            Self::Comment { text } => json!({ "comment": text }),
            Self::Assert { lock } => json!({ "lock": lock }),
            Self::Delete { .. } | Self::Abort => json!({}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_the_form_of_the_protocol() {
        let insert = Operation::insert_as("Port", "p", Row::new().with("name", "a b"));
        assert_eq!(
            insert.encode(),
            json!({"op": "insert", "table": "Port", "row": {"name": "a b"}, "uuid-name": "p"})
        );
        let mutate = Operation::mutate(
            "Bridge",
            [Condition::eq("name", "br0")],
            [Mutation::insert("ports", Value::named("p"))],
        );
        assert_eq!(
            mutate.encode(),
            json!({"op": "mutate", "table": "Bridge", "where": [["name", "==", "br0"]],
                   "mutations": [["ports", "insert", ["named-uuid", "p"]]]})
        );
        let wait = Operation::wait("T", [], Until::NotEqual, vec![Row::new().with("n", 1)]);
        assert_eq!(
            wait.encode(),
            json!({"op": "wait", "table": "T", "where": [], "columns": ["n"], "until": "!=",
                   "rows": [{"n": 1}], "timeout": 0})
        );
        let select = Operation::select("T", []).columns(&["a"]);
        assert_eq!(
            select.encode(),
            json!({"op": "select", "table": "T", "where": [], "columns": ["a"]})
        );
        assert_eq!(Operation::Abort.encode(), json!({"op": "abort"}));
    }
}
