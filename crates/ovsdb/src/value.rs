//! What a column holds, as RFC 7047 section 5.1 has it (`<value>`).

use crate::atom::{Atom, ValueError};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a column holds. On the wire a set of one element and that element are the same, so
/// they are here: [`Value::set`] of one element is a [`Value::Atom`], and [`Value::elements`]
/// reads both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// One value, or a set of just one.
    Atom(Atom),
    /// None, or more than one.
    Set(BTreeSet<Atom>),
    /// Pairs.
    Map(BTreeMap<Atom, Atom>),
}

impl Value {
    /// A set.
    pub fn set<A: Into<Atom>>(elements: impl IntoIterator<Item = A>) -> Self {
        let mut elements: BTreeSet<Atom> = elements.into_iter().map(Into::into).collect();
        match elements.len() {
            1 => elements
                .pop_first()
                .map_or(Self::Set(BTreeSet::new()), Self::Atom),
            _ => Self::Set(elements),
        }
    }

    /// The set without elements, which is also how a column says that it has no value.
    #[must_use]
    pub fn none() -> Self {
        Self::Set(BTreeSet::new())
    }

    /// A map.
    pub fn map<K: Into<Atom>, V: Into<Atom>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let pairs = pairs.into_iter().map(|(k, v)| (k.into(), v.into()));
        Self::Map(pairs.collect())
    }

    /// The row that the same transaction inserts under this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::Atom(Atom::Named(name.to_owned()))
    }

    /// From JSON.
    ///
    /// # Errors
    /// It is no value.
    pub fn decode(json: &Json) -> Result<Self, ValueError> {
        let parts = json.as_array().map(Vec::as_slice);
        match parts {
            Some([Json::String(tag), Json::Array(elements)]) if tag == "set" => {
                let atoms: Result<Vec<Atom>, _> = elements.iter().map(Atom::decode).collect();
                Ok(Self::set(atoms?))
            }
            Some([Json::String(tag), Json::Array(pairs)]) if tag == "map" => {
                let mut map = BTreeMap::new();
                for pair in pairs {
                    let Some([key, value]) = pair.as_array().map(Vec::as_slice) else {
                        return Err(ValueError::new("a pair of a map", pair));
                    };
                    map.insert(Atom::decode(key)?, Atom::decode(value)?);
                }
                Ok(Self::Map(map))
            }
            _ => Atom::decode(json).map(Self::Atom),
        }
    }

    /// As JSON.
    #[must_use]
    pub fn encode(&self) -> Json {
        match self {
            Self::Atom(atom) => atom.encode(),
            Self::Set(atoms) => json!(["set", atoms.iter().map(Atom::encode).collect::<Vec<_>>()]),
            Self::Map(pairs) => {
                let pairs = pairs.iter().map(|(k, v)| json!([k.encode(), v.encode()]));
                json!(["map", pairs.collect::<Vec<_>>()])
            }
        }
    }

    /// The one atom of it, if there is just one.
    #[must_use]
    pub fn atom(&self) -> Option<&Atom> {
        match self {
            Self::Atom(atom) => Some(atom),
            _ => None,
        }
    }

    /// The elements of a set, of which a lone atom is one; none of a map.
    pub fn elements(&self) -> impl Iterator<Item = &Atom> {
        let (one, many) = match self {
            Self::Atom(atom) => (Some(atom), None),
            Self::Set(atoms) => (None, Some(atoms)),
            Self::Map(_) => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The pairs of a map; none of anything else.
    pub fn pairs(&self) -> impl Iterator<Item = (&Atom, &Atom)> {
        match self {
            Self::Map(pairs) => Some(pairs),
            _ => None,
        }
        .into_iter()
        .flatten()
    }

    /// The text under a key of a map of texts.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        match self {
            Self::Map(pairs) => pairs.get(&Atom::from(key))?.as_str(),
            _ => None,
        }
    }
}

impl<A: Into<Atom>> From<A> for Value {
    fn from(atom: A) -> Self {
        Self::Atom(atom.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn atoms() -> impl Strategy<Value = Atom> {
        prop_oneof![
            any::<i64>().prop_map(Atom::Integer),
            any::<f64>()
                .prop_filter("finite", |real| real.is_finite())
                .prop_map(Atom::Real),
            any::<bool>().prop_map(Atom::Boolean),
            any::<String>().prop_map(Atom::String),
            any::<u128>().prop_map(|id| Atom::Uuid(Uuid::from_u128(id))),
            "[a-z_][a-z0-9_]*".prop_map(Atom::Named),
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            atoms().prop_map(Value::Atom),
            proptest::collection::vec(atoms(), 0..5).prop_map(Value::set),
            proptest::collection::vec((atoms(), atoms()), 0..5).prop_map(Value::map),
        ]
    }

    proptest! {
        #[test]
        fn a_value_comes_back_as_it_went(value in values()) {
            let text = value.encode().to_string();
            let json: Json = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(Value::decode(&json).expect("a value"), value);
        }
    }

    #[test]
    fn a_set_of_one_is_its_element() {
        let bare = Value::decode(&json!("a")).expect("a value");
        let set = Value::decode(&json!(["set", ["a"]])).expect("a value");
        assert_eq!(bare, set);
        assert_eq!(set, Value::set(["a"]));
        assert_eq!(set.encode(), json!("a"));
        let elements: Vec<_> = bare.elements().collect();
        assert_eq!(elements, [&Atom::from("a")]);
        assert_eq!(Value::none().elements().count(), 0);
        assert_eq!(Value::none().encode(), json!(["set", []]));
    }

    #[test]
    fn what_is_no_value_is_named() {
        for (wrong, expected) in [
            (json!(null), "'null' is not an atom of OVSDB"),
            (json!({"a": 1}), "'{\"a\":1}' is not an atom of OVSDB"),
            (
                json!(["uuid", "x"]),
                "'[\"uuid\",\"x\"]' is not an atom of OVSDB",
            ),
            (json!(["map", [["a"]]]), "'[\"a\"]' is not a pair of a map"),
            (
                json!(["set", [["set", []]]]),
                "'[\"set\",[]]' is not an atom of OVSDB",
            ),
        ] {
            let error = Value::decode(&wrong).expect_err("no value");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_whole_real_of_a_server_is_a_number() {
        let value = Value::decode(&json!(3)).expect("a value");
        assert_eq!(value.atom().and_then(Atom::as_real), Some(3.0));
        assert_eq!(value.atom().and_then(Atom::as_integer), Some(3));
    }
}
