//! One indivisible value, as RFC 7047 section 5.1 has it (`<atom>`).

use serde_json::{Value as Json, json};
use std::cmp::Ordering;
use std::fmt;
use uuid::Uuid;

/// What of a server is no value of RFC 7047.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is not {expected}")]
pub struct ValueError {
    /// What belongs there.
    pub expected: &'static str,
    /// What was there, shortened.
    pub found: String,
}

impl ValueError {
    pub(crate) fn new(expected: &'static str, found: &Json) -> Self {
        Self {
            expected,
            found: found.to_string().chars().take(120).collect(),
        }
    }
}

/// One value that has no parts.
#[derive(Debug, Clone)]
pub enum Atom {
    /// A whole number.
    Integer(i64),
    /// A finite number. A server writes a whole one without a point, so that it is read as
    /// [`Atom::Integer`]; [`Atom::as_real`] takes both.
    Real(f64),
    /// A truth value.
    Boolean(bool),
    /// A text.
    String(String),
    /// The identity of a row.
    Uuid(Uuid),
    /// A row that another operation of the same transaction inserts under this name.
    Named(String),
}

impl Atom {
    /// From JSON.
    ///
    /// # Errors
    /// It is not an atom.
    pub fn decode(json: &Json) -> Result<Self, ValueError> {
        let wrong = || ValueError::new("an atom of OVSDB", json);
        match json {
            Json::String(text) => Ok(Self::String(text.clone())),
            Json::Bool(truth) => Ok(Self::Boolean(*truth)),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Ok(Self::Integer(whole)),
                (None, Some(real)) if real.is_finite() => Ok(Self::Real(real)),
                _ => Err(wrong()),
            },
            Json::Array(pair) => match pair.as_slice() {
                [Json::String(tag), Json::String(id)] if tag == "uuid" => {
                    Uuid::try_parse(id).map(Self::Uuid).map_err(|_| wrong())
                }
                [Json::String(tag), Json::String(name)] if tag == "named-uuid" => {
                    Ok(Self::Named(name.clone()))
                }
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }

    /// As JSON. A real number that is not finite has no form there and becomes `null`, which
    /// every server refuses.
    #[must_use]
    pub fn encode(&self) -> Json {
        match self {
            Self::Integer(whole) => json!(whole),
            Self::Real(real) => json!(real),
            Self::Boolean(truth) => json!(truth),
            Self::String(text) => json!(text),
            Self::Uuid(id) => json!(["uuid", id.to_string()]),
            Self::Named(name) => json!(["named-uuid", name]),
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(whole) => Some(*whole),
            _ => None,
        }
    }

    /// The number, whole or not.
    #[must_use]
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Self::Real(real) => Some(*real),
            // What a double cannot hold exactly was never one.
            #[expect(clippy::cast_precision_loss, reason = "the column is a double")]
            Self::Integer(whole) => Some(*whole as f64),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The row's identity, if it is one.
    #[must_use]
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(id) => Some(*id),
            _ => None,
        }
    }

    /// Where its kind stands among the others.
    fn rank(&self) -> u8 {
        match self {
            Self::Integer(_) => 0,
            Self::Real(_) => 1,
            Self::Boolean(_) => 2,
            Self::String(_) => 3,
            Self::Uuid(_) => 4,
            Self::Named(_) => 5,
        }
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) | (Self::Named(a), Self::Named(b)) => a.cmp(b),
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Atom {}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(whole) => whole.fmt(f),
            Self::Real(real) => real.fmt(f),
            Self::Boolean(truth) => truth.fmt(f),
            Self::String(text) | Self::Named(text) => text.fmt(f),
            Self::Uuid(id) => id.fmt(f),
        }
    }
}

impl From<i64> for Atom {
    fn from(whole: i64) -> Self {
        Self::Integer(whole)
    }
}

impl From<i32> for Atom {
    fn from(whole: i32) -> Self {
        Self::Integer(whole.into())
    }
}

impl From<bool> for Atom {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<&str> for Atom {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Atom {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<&String> for Atom {
    fn from(text: &String) -> Self {
        Self::String(text.clone())
    }
}

impl From<Uuid> for Atom {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id)
    }
}
