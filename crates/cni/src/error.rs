//! The error that a plugin prints and a runtime reads.

use crate::SpecVersion;
use serde_json::{Map, Value, json};
use std::fmt;

/// The number of an error (CNI specification, section 5, "Error"). 0 to 99 are
/// the specification's, the rest a plugin's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u32);

impl Code {
    /// The configuration's version is not one the plugin speaks.
    pub const INCOMPATIBLE_VERSION: Self = Self(1);
    /// A field of the configuration that the plugin does not support; the
    /// message names key and value.
    pub const UNSUPPORTED_FIELD: Self = Self(2);
    /// No such container; nothing needs to be cleaned up.
    pub const UNKNOWN_CONTAINER: Self = Self(3);
    /// A variable such as `CNI_COMMAND` is missing or bad; the message names it.
    pub const INVALID_ENVIRONMENT: Self = Self(4);
    /// Reading or writing failed.
    pub const IO_FAILURE: Self = Self(5);
    /// A text could not be decoded.
    pub const DECODING_FAILURE: Self = Self(6);
    /// The network's configuration is not valid.
    pub const INVALID_NETWORK_CONFIG: Self = Self(7);
    /// The namespace is not one the plugin may work on.
    pub const INVALID_NETNS: Self = Self(8);
    /// Try again later: something passing is in the way.
    pub const TRY_AGAIN_LATER: Self = Self(11);
    /// STATUS: the plugin cannot serve ADD.
    pub const PLUGIN_NOT_AVAILABLE: Self = Self(50);
    /// STATUS: the same, and what runs may be cut off.
    pub const LIMITED_CONNECTIVITY: Self = Self(51);
    /// A plugin's own failure without a number of its own; what the reference
    /// plugins use.
    pub const INTERNAL: Self = Self(999);
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An error as it stands in the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{msg}{sep}{details}", sep = if details.is_empty() { "" } else { "; " })]
pub struct CniError {
    /// What kind of error.
    pub code: Code,
    /// What failed, on what, and how to mend it.
    pub msg: String,
    /// More, or empty.
    pub details: String,
}

impl CniError {
    /// An error without details.
    pub fn new(code: Code, msg: impl Into<String>) -> Self {
        Self {
            code,
            msg: msg.into(),
            details: String::new(),
        }
    }

    /// A plugin's own failure, [`Code::INTERNAL`].
    pub fn internal(msg: impl fmt::Display) -> Self {
        Self::new(Code::INTERNAL, msg.to_string())
    }

    /// A configuration that is not valid, [`Code::INVALID_NETWORK_CONFIG`].
    pub fn invalid_config(msg: impl fmt::Display) -> Self {
        Self::new(Code::INVALID_NETWORK_CONFIG, msg.to_string())
    }

    /// The same error with details.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// The same error with words put before the message; the code stays, so a
    /// delegated plugin's number reaches the runtime.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.msg = format!("{what}: {}", self.msg);
        self
    }

    /// The JSON form, with the version of the configuration it answers.
    #[must_use]
    pub fn to_json(&self, version: SpecVersion) -> Value {
        let mut object = Map::new();
        object.insert("cniVersion".into(), json!(version.as_str()));
        object.insert("code".into(), json!(self.code.0));
        object.insert("msg".into(), json!(self.msg));
        if !self.details.is_empty() {
            object.insert("details".into(), json!(self.details));
        }
        Value::Object(object)
    }

    /// Reads what a plugin printed when it failed; `None` when it is no error
    /// object. A missing number is [`Code::INTERNAL`].
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let text = |key| object.get(key).and_then(Value::as_str).unwrap_or_default();
        if !object.contains_key("code") && !object.contains_key("msg") {
            return None;
        }
        let code = object.get("code").and_then(Value::as_u64);
        Some(Self {
            code: code
                .and_then(|c| u32::try_from(c).ok())
                .map_or(Code::INTERNAL, Code),
            msg: text("msg").to_owned(),
            details: text("details").to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_printed_with_the_version_and_read_back() {
        let error = CniError::new(Code::INVALID_NETWORK_CONFIG, "no range").with_details("at x");
        let json = error.to_json(SpecVersion::V0_4_0);
        assert_eq!(
            json.to_string(),
            r#"{"cniVersion":"0.4.0","code":7,"msg":"no range","details":"at x"}"#
        );
        assert_eq!(CniError::from_json(&json), Some(error.clone()));
        assert_eq!(error.to_string(), "no range; at x");
        assert_eq!(error.context("ipam").to_string(), "ipam: no range; at x");
    }

    #[test]
    fn what_is_no_error_object_is_not_read_as_one() {
        for bad in [json!(null), json!([1]), json!({}), json!({"ips": []})] {
            assert_eq!(CniError::from_json(&bad), None, "{bad}");
        }
        let odd = CniError::from_json(&json!({"code": -1, "msg": 3})).unwrap();
        assert_eq!((odd.code, odd.msg.as_str()), (Code::INTERNAL, ""));
    }
}
