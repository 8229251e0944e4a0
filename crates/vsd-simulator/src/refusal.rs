//! Answers of no, in the form that a VSD gives them.
//!
//! The 401, the 404 and the codes 2039, 2510, 2702, 2704, 2748, 5001, 7010, 7097, 7309 and
//! 9501 are those of a VSD as its clients know them; the other codes and all texts are the
//! simulator's own.

use crate::kind::Kind;
use serde_json::{Value, json};

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Nobody is logged in by what the request says.
    #[error("not logged in")]
    Unauthorized,
    /// No object has this ID.
    #[error("Cannot find {} with ID {id}", kind.rest_name())]
    NoObject {
        /// What was looked for.
        kind: Kind,
        /// Its ID.
        id: String,
    },
    /// The path leads nowhere.
    #[error("no resource {0}")]
    NoResource(String),
    /// The path leads somewhere, but not with this method.
    #[error("this cannot be done here")]
    NotAllowed,
    /// The body is not what it should be.
    #[error("{0}")]
    Malformed(&'static str),
    /// A rule is against it.
    #[error("{title}: {description}")]
    Rule {
        /// The code that clients look at.
        code: u32,
        /// The attribute it is about; may be empty.
        property: &'static str,
        /// In short.
        title: &'static str,
        /// In full.
        description: String,
    },
}

impl Refusal {
    /// A rule's no.
    pub(crate) fn rule(
        code: u32,
        property: &'static str,
        title: &'static str,
        description: impl Into<String>,
    ) -> Self {
        Self::Rule {
            code,
            property,
            title,
            description: description.into(),
        }
    }

    /// An attribute must be given and is not.
    pub(crate) fn missing(property: &'static str) -> Self {
        Self::rule(5001, property, "Invalid input", "This value is mandatory.")
    }

    /// An attribute has a value that cannot be.
    pub(crate) fn invalid(property: &'static str, why: impl Into<String>) -> Self {
        Self::rule(5002, property, "Invalid input", why)
    }

    /// No object has this ID.
    pub(crate) fn no_object(kind: Kind, id: &str) -> Self {
        Self::NoObject {
            kind,
            id: id.to_owned(),
        }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::NoObject { .. } | Self::NoResource(_) => 404,
            Self::NotAllowed => 405,
            Self::Malformed(_) => 400,
            Self::Rule { .. } => 409,
        }
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> Value {
        let description = self.to_string();
        match self {
            Self::Rule {
                code,
                property,
                title,
                description,
            } => json!({
                "errors": errors(property, title, description),
                "internalErrorCode": code,
            }),
            Self::NoObject { kind, .. } => {
                let title = format!("{} not found", kind.rest_name());
                let errors = errors("", &title, &description);
                json!({"description": description, "title": title, "errors": errors})
            }
            Self::NoResource(_) => {
                let errors = errors("", "not found", &description);
                json!({"description": description, "title": "not found", "errors": errors})
            }
            Self::Malformed(_) => json!({"errors": errors("", "Malformed JSON", &description)}),
            Self::NotAllowed => json!({"errors": errors("", "Not allowed", &description)}),
            Self::Unauthorized => Value::Null,
        }
    }
}

/// The list that both SDKs read their texts from.
pub(crate) fn errors(property: &str, title: &str, description: &str) -> Value {
    json!([{
        "property": property,
        "descriptions": [{"title": title, "description": description}],
    }])
}
