//! The schema of a database, as RFC 7047 section 3.2 has it.

use crate::atom::{Atom, ValueError};
use crate::value::Value;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use uuid::Uuid;

/// What a database lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// A table.
    Table(String),
    /// A column of a table that is there.
    Column(String, String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => write!(f, "table {table}"),
            Self::Column(table, column) => write!(f, "column {table}.{column}"),
        }
    }
}

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Something is not in it that is needed.
    #[error("database {database} (schema version {version}) lacks {}", listed(.missing))]
    Lacks {
        /// The database.
        database: String,
        /// The version of its schema.
        version: String,
        /// All that is missing.
        missing: Vec<Missing>,
    },
    /// It is no schema.
    #[error("the schema of {database} cannot be read: {object}: {cause}")]
    Form {
        /// The database.
        database: String,
        /// The table or column.
        object: String,
        /// What is wrong there.
        #[source]
        cause: ValueError,
    },
}

fn listed(missing: &[Missing]) -> String {
    let texts: Vec<String> = missing.iter().map(Missing::to_string).collect();
    texts.join(", ")
}

/// The kind of an atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtomKind {
    /// A whole number.
    Integer,
    /// A number.
    Real,
    /// A truth value.
    Boolean,
    /// A text.
    String,
    /// A row's identity.
    Uuid,
}

/// What the atoms of a column are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Their kind.
    pub kind: AtomKind,
    /// The only values, if there is a list of them.
    pub choices: Option<Value>,
    /// The table whose rows they name.
    pub table: Option<String>,
    /// Does naming a row not keep it alive?
    pub weak: bool,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnKind {
    /// The elements, or a map's keys.
    pub key: Base,
    /// A map's values.
    pub value: Option<Base>,
    /// The fewest elements: 0 or 1.
    pub min: u64,
    /// The most elements; none means any number.
    pub max: Option<u64>,
}

impl ColumnKind {
    /// Can it hold more than one? Of such a column a server tells differences.
    #[must_use]
    pub fn is_composite(&self) -> bool {
        self.max != Some(1)
    }

    /// What it holds in a row that does not say.
    #[must_use]
    pub fn default_value(&self) -> Value {
        if self.min == 0 {
            return match self.value {
                Some(_) => Value::Map(BTreeMap::new()),
                None => Value::none(),
            };
        }
        let key = default_atom(self.key.kind);
        match &self.value {
            Some(value) => Value::map([(key, default_atom(value.kind))]),
            None => Value::Atom(key),
        }
    }
}

fn default_atom(kind: AtomKind) -> Atom {
    match kind {
        AtomKind::Integer => Atom::Integer(0),
        AtomKind::Real => Atom::Real(0.0),
        AtomKind::Boolean => Atom::Boolean(false),
        AtomKind::String => Atom::String(String::new()),
        AtomKind::Uuid => Atom::Uuid(Uuid::nil()),
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// What it holds.
    pub kind: ColumnKind,
    /// Can it be changed?
    pub mutable: bool,
    /// Is it forgotten when the server ends?
    pub ephemeral: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its columns, without `_uuid` and `_version`.
    pub columns: BTreeMap<String, Column>,
    /// Each a list of columns whose values together no two rows share.
    pub indexes: Vec<BTreeSet<String>>,
    /// Does a row stay that no other row names?
    pub is_root: bool,
    /// The most rows; none means any number.
    pub max_rows: Option<u64>,
}

/// The schema of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The database.
    pub name: String,
    /// The schema's version.
    pub version: String,
    /// Its tables.
    pub tables: BTreeMap<String, Table>,
}

impl Schema {
    /// From JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(json: &Json) -> Result<Self, SchemaError> {
        let name = json["name"].as_str().unwrap_or("?").to_owned();
        let form = |object: String, cause| SchemaError::Form {
            database: name.clone(),
            object,
            cause,
        };
        let list = json["tables"].as_object().ok_or_else(|| {
            let cause = ValueError::new("an object of tables", &json["tables"]);
            form("tables".to_owned(), cause)
        })?;
        let mut tables = BTreeMap::new();
        for (table, json) in list {
            let read = read_table(json).map_err(|(column, e)| form(format!("{table}{column}"), e));
            tables.insert(table.clone(), read?);
        }
        // Schemas from before the member existed have no root at all: then all are.
        if tables.values().all(|table| !table.is_root) {
            tables.values_mut().for_each(|table| table.is_root = true);
        }
        Ok(Self {
            version: json["version"].as_str().unwrap_or("unknown").to_owned(),
            name,
            tables,
        })
    }

    /// Checks that these tables and columns are there.
    ///
    /// # Errors
    /// All that is not.
    pub fn require(&self, needed: &[(&str, &[&str])]) -> Result<(), SchemaError> {
        let mut missing = Vec::new();
        for (name, columns) in needed {
            let Some(table) = self.tables.get(*name) else {
                missing.push(Missing::Table((*name).to_owned()));
                continue;
            };
            let absent = columns.iter().filter(|c| !table.columns.contains_key(**c));
            missing.extend(absent.map(|c| Missing::Column((*name).to_owned(), (*c).to_owned())));
        }
        match missing.is_empty() {
            true => Ok(()),
            false => Err(SchemaError::Lacks {
                database: self.name.clone(),
                version: self.version.clone(),
                missing,
            }),
        }
    }

    /// A column, if it is there.
    #[must_use]
    pub fn column(&self, table: &str, column: &str) -> Option<&Column> {
        self.tables.get(table)?.columns.get(column)
    }
}

/// A table, or the column that is wrong as `.NAME`.
fn read_table(json: &Json) -> Result<Table, (String, ValueError)> {
    let list = json["columns"].as_object().ok_or_else(|| {
        let cause = ValueError::new("an object of columns", &json["columns"]);
        (String::new(), cause)
    })?;
    let columns = list.iter().map(|(name, json)| {
        let column = Column {
            kind: read_kind(&json["type"]).map_err(|e| (format!(".{name}"), e))?,
            mutable: json["mutable"].as_bool().unwrap_or(true),
            ephemeral: json["ephemeral"].as_bool().unwrap_or(false),
        };
        Ok((name.clone(), column))
    });
    let indexes = json["indexes"].as_array().into_iter().flatten();
    let indexes = indexes.map(|index| {
        let names = index.as_array().into_iter().flatten();
        names.filter_map(Json::as_str).map(str::to_owned).collect()
    });
    Ok(Table {
        columns: columns.collect::<Result<_, _>>()?,
        indexes: indexes.collect(),
        is_root: json["isRoot"].as_bool().unwrap_or(false),
        max_rows: json["maxRows"].as_u64(),
    })
}

fn read_kind(json: &Json) -> Result<ColumnKind, ValueError> {
    if json.is_string() {
        return Ok(ColumnKind {
            key: read_base(json)?,
            value: None,
            min: 1,
            max: Some(1),
        });
    }
    let value = json.get("value").map(read_base).transpose()?;
    Ok(ColumnKind {
        key: read_base(&json["key"])?,
        value,
        min: json["min"].as_u64().unwrap_or(1),
        max: match &json["max"] {
            Json::String(text) if text == "unlimited" => None,
            max => Some(max.as_u64().unwrap_or(1)),
        },
    })
}

fn read_base(json: &Json) -> Result<Base, ValueError> {
    let kind = match json.as_str().or_else(|| json["type"].as_str()) {
        Some("integer") => AtomKind::Integer,
        Some("real") => AtomKind::Real,
        Some("boolean") => AtomKind::Boolean,
        Some("string") => AtomKind::String,
        Some("uuid") => AtomKind::Uuid,
        _ => return Err(ValueError::new("a type of OVSDB", json)),
    };
    Ok(Base {
        kind,
        choices: json.get("enum").map(Value::decode).transpose()?,
        table: json["refTable"].as_str().map(str::to_owned),
        weak: json["refType"] == "weak",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn small() -> Schema {
        Schema::decode(&json!({"name": "DB", "version": "1.2.3", "tables": {
            "T": {"isRoot": true, "indexes": [["name"]], "maxRows": 1, "columns": {
                "name": {"type": "string", "mutable": false},
                "rows": {"type": {"key": {"type": "uuid", "refTable": "U", "refType": "weak"},
                                  "min": 0, "max": "unlimited"}},
                "mode": {"type": {"key": {"type": "string", "enum": ["set", ["a", "b"]]},
                                  "min": 0}},
                "ids": {"type": {"key": "string", "value": "integer", "min": 0, "max": 5}}}},
            "U": {"columns": {}}}}))
        .expect("a schema")
    }

    #[test]
    fn types_are_read() {
        let schema = small();
        let table = &schema.tables["T"];
        assert!(table.is_root && !schema.tables["U"].is_root);
        assert_eq!(table.max_rows, Some(1));
        assert!(table.indexes[0].contains("name"));
        assert!(!table.columns["name"].mutable);
        let rows = &table.columns["rows"].kind;
        assert!(rows.is_composite() && rows.key.weak);
        assert_eq!(rows.key.table.as_deref(), Some("U"));
        let mode = &table.columns["mode"].kind;
        assert_eq!(mode.key.choices, Some(Value::set(["a", "b"])));
        assert!(!mode.is_composite());
        assert_eq!(mode.default_value(), Value::none());
        let ids = &table.columns["ids"].kind;
        assert_eq!((ids.min, ids.max), (0, Some(5)));
        assert_eq!(ids.default_value(), Value::map::<&str, i64>([]));
        assert_eq!(table.columns["name"].kind.default_value(), "".into());
    }

    #[test]
    fn all_that_is_missing_is_named() {
        let needed: [(&str, &[&str]); 3] = [
            ("T", &["name", "colour", "size"]),
            ("U", &[]),
            ("Nuage_Port_Table", &["name"]),
        ];
        let error = small().require(&needed).expect_err("missing");
        assert_eq!(
            error.to_string(),
            "database DB (schema version 1.2.3) lacks column T.colour, column T.size, \
             table Nuage_Port_Table"
        );
        assert_eq!(small().require(&needed[1..2]), Ok(()));
    }

    #[test]
    fn what_is_no_schema_says_where() {
        let json = json!({"name": "DB", "tables": {"T": {"columns": {"c": {"type": "text"}}}}});
        let error = Schema::decode(&json).expect_err("no schema");
        assert_eq!(
            error.to_string(),
            "the schema of DB cannot be read: T.c: '\"text\"' is not a type of OVSDB"
        );
        assert!(Schema::decode(&json!([])).is_err());
    }
}
