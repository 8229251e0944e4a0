//! JSON text in the shape of the reference plugins.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// With an indent of four spaces and no newline at the end.
pub(crate) fn pretty(value: &Value) -> Vec<u8> {
    let mut text = Vec::with_capacity(1024);
    let mut serializer =
        Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    match value.serialize(&mut serializer) {
        Ok(()) => text,
        // A value has text keys and memory takes every write: there is no way here.
        Err(e) => e.to_string().into_bytes(),
    }
}
