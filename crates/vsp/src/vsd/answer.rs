//! What the VSD answered, read without belief in its shape: everything is an array, the reasons of a
//! refusal are nested ones that may be empty, and what a proxy in between says is HTML.

use super::error::{At, Code, VsdError};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// No answer is read further than this, in bytes.
pub(super) const MOST: usize = 32 << 20;

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    /// Its status.
    pub(super) status: u16,
    /// How many objects there are in all, as the VSD counts (`X-Nuage-Count`).
    pub(super) count: Option<usize>,
    /// Its body.
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Whether what was asked for was done.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Itself, if what was asked for was done.
    pub(super) fn done(self, at: &At) -> Result<Self, VsdError> {
        if self.is_done() {
            Ok(self)
        } else {
            Err(self.refusal(at))
        }
    }

    /// The objects of a list. None are told by an empty body too.
    pub(super) fn list(&self, at: &At) -> Result<Vec<Value>, VsdError> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Vec::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Array(objects)) => Ok(objects),
            Ok(other) => Err(nonsense(
                at,
                format!("a list is wanted, not {}", kind(&other)),
            )),
            Err(error) => {
                let shown = words(&String::from_utf8_lossy(&self.body), 60);
                Err(nonsense(
                    at,
                    format!("no JSON ({error}): it begins with {shown:?}"),
                ))
            }
        }
    }

    /// The object of a list of one.
    pub(super) fn one(&self, at: &At) -> Result<Value, VsdError> {
        let mut objects = self.list(at)?;
        match (objects.pop(), objects.len()) {
            (Some(object), 0) => Ok(object),
            (None, _) => Err(nonsense(
                at,
                "one object is wanted, there is none".to_owned(),
            )),
            (_, more) => Err(nonsense(
                at,
                format!("one object is wanted, not {}", more + 1),
            )),
        }
    }

    /// Why what was asked for was not done.
    pub(super) fn refusal(&self, at: &At) -> VsdError {
        let at = at.clone();
        let told: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        match self.status {
            404 => VsdError::Gone {
                at,
                text: reason(&told),
            },
            401 | 403 | 419 => VsdError::Denied {
                at,
                status: self.status,
            },
            status @ (500 | 502 | 503 | 504) => VsdError::Down { at, status },
            status => VsdError::Refused {
                at,
                status,
                code: code(&told),
                text: reason(&told),
            },
        }
    }
}

/// An answer that makes no sense.
pub(super) fn nonsense(at: &At, reason: String) -> VsdError {
    VsdError::Answer {
        at: at.clone(),
        reason,
    }
}

/// An object as a resource.
pub(super) fn read<T: DeserializeOwned>(at: &At, object: Value) -> Result<T, VsdError> {
    serde_path_to_error::deserialize(object).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.inner());
        nonsense(at, format!("at {path}: {}", words(&inner.to_string(), 200)))
    })
}

/// What kind of JSON it is, for messages: the value itself may be long.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The number of a refusal; some versions write it as a text.
fn code(told: &Value) -> Option<Code> {
    let code = told.get("internalErrorCode")?;
    code.as_i64()
        .or_else(|| code.as_str()?.trim().parse().ok())
        .map(Code::from)
}

/// The words of a refusal.
fn reason(told: &Value) -> String {
    let first = told.pointer("/errors/0/descriptions/0").unwrap_or(told);
    let text = |key| {
        first
            .get(key)
            .or_else(|| told.get(key))
            .and_then(Value::as_str)
    };
    let said: Vec<&str> = ["title", "description"]
        .into_iter()
        .filter_map(text)
        .filter(|t| !t.is_empty())
        .collect();
    if said.is_empty() {
        "it does not say why".to_owned()
    } else {
        words(&said.join(": "), 300)
    }
}

/// A text of another's in one line of no more than `most` characters.
fn words(text: &str, most: usize) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.trim().chars().map(plain).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> At {
        At {
            operation: "find subnet",
            object: "x".to_owned(),
            host: "vsd:8443".to_owned(),
        }
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            count: None,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_list_is_a_list_and_nothing_else() {
        assert_eq!(reply(200, "[{}, 1]").list(&at()).unwrap().len(), 2);
        for empty in ["", " \r\n", "[]"] {
            assert!(reply(200, empty).list(&at()).unwrap().is_empty());
            assert!(matches!(
                reply(200, empty).one(&at()),
                Err(VsdError::Answer { .. })
            ));
        }
        for bad in ["{}", "null", "<html>\n<b>", "[{]", "\u{0}", "[1,2"] {
            let error = reply(200, bad).list(&at()).unwrap_err();
            assert!(matches!(error, VsdError::Answer { .. }), "{bad:?}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        assert!(matches!(
            reply(200, "[1,2]").one(&at()),
            Err(VsdError::Answer { .. })
        ));
    }

    #[test]
    fn refusals_of_any_shape_are_told() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"errors":[]}"#,
            r#"{"errors":[{"descriptions":[]}]}"#,
            r#"{"errors":{"descriptions":7}}"#,
            r#"{"errors":[{"descriptions":[{"title":null}]}],"internalErrorCode":"x"}"#,
            "<html>",
        ] {
            let error = reply(409, body).refusal(&at());
            assert_eq!(error.code(), None, "{body}");
            assert!(error.to_string().contains("does not say why"), "{error}");
        }
        let body = r#"{"errors":[{"property":"IPAddress","descriptions":[{"title":"IP in use",
            "description":"10.0.0.2\nis used"}]}],"internalErrorCode":2704}"#;
        let error = reply(409, body).refusal(&at());
        assert_eq!(error.code(), Some(Code::AddressInUse));
        let want = "cannot find subnet x at VSD vsd:8443: IP in use: 10.0.0.2 is used (status 409, AddressInUse)";
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn a_missing_object_is_told_by_the_outer_words_too() {
        let body = r#"{"description":"Cannot find it","title":"not found","errors":[]}"#;
        let error = reply(404, body).refusal(&at());
        assert!(error.is_gone());
        assert!(
            error.to_string().contains("not found: Cannot find it"),
            "{error}"
        );
    }
}
