//! JSON objects of which a few members are changed and all others stay as they were written:
//! their order, the text of their numbers, and what nobody here knows.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// An object, its members as they were written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// Reads an object; none of what is none.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// A member as it was written. Docker takes its keys in any case, and of several the last.
    pub(crate) fn raw(&self, key: &str) -> Option<&str> {
        let mut members = self.0.iter().rev();
        let found = members.find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.get())
    }

    /// A member as a value; null where there is none.
    pub(crate) fn value(&self, key: &str) -> Value {
        let raw = self.raw(key).unwrap_or("null");
        serde_json::from_str(raw).unwrap_or_default()
    }

    /// A member that is a text which says something.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        match self.value(key) {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A member that is an object; none where there is none, or null.
    pub(crate) fn object(&self, key: &str) -> Option<Self> {
        Self::read(self.raw(key)?.as_bytes())
    }

    /// The members of an object of which each key stands for something: a map.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.0.iter();
        entries.map(|(name, value)| (name.as_str(), value.get()))
    }

    /// Puts a value in the place of a member, or behind all others.
    pub(crate) fn set(&mut self, key: &str, value: &Value) {
        if let Ok(value) = serde_json::value::to_raw_value(value) {
            self.put(key, value);
        }
    }

    /// The same with an object.
    pub(crate) fn set_object(&mut self, key: &str, object: &Self) {
        if let Ok(value) = RawValue::from_string(object.to_string()) {
            self.put(key, value);
        }
    }

    /// Whether there is such a member.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    fn put(&mut self, key: &str, value: Box<RawValue>) {
        let is = |(name, _): &(String, _)| name.eq_ignore_ascii_case(key);
        match self.0.iter().rposition(is) {
            Some(at) => self.0[at].1 = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (number, (name, value)) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str(",")?;
            }
            let name = serde_json::to_string(name).map_err(|_| fmt::Error)?;
            write!(f, "{name}:{}", value.get())?;
        }
        f.write_str("}")
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_touched_stays_as_it_was_written() {
        let text = r#"{"z":18446744073709551616,"a":1.10,"B":{"x":[1e400,"\u00e9"]},"a b":null}"#;
        let mut object = Object::read(text.as_bytes()).unwrap();
        assert_eq!(object.to_string(), text);
        object.set("b", &json!({"y": 1}));
        object.set("new", &json!("é"));
        assert_eq!(
            object.to_string(),
            r#"{"z":18446744073709551616,"a":1.10,"B":{"y":1},"a b":null,"new":"é"}"#
        );
    }

    #[test]
    fn members_are_found_in_any_case_and_of_several_the_last() {
        let object = Object::read(br#"{"Name":"one","name":"two","Map":null}"#).unwrap();
        assert_eq!(object.text("NAME").as_deref(), Some("two"));
        assert!(object.object("Map").is_none());
        assert!(!object.has("Other"));
        assert!(Object::read(b"[]").is_none());
        assert!(Object::read(b"{\"a\":1} x").is_none());
    }
}
