//! A keyword's value after evaluation.

use fairlead_types::Expose;
use ipnet::IpNet;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// An evaluated value. Its text form separates list elements by a space; its JSON
/// form is the natural one (a duration is a number of seconds).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A text, also a choice, a path, a name.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// A number.
    Int(u64),
    /// A network.
    Cidr(IpNet),
    /// The ranges of a network; empty for `none`.
    Ranges(Vec<IpNet>),
    /// An address.
    Ip(IpAddr),
    /// Addresses.
    Ips(Vec<IpAddr>),
    /// Words.
    List(Vec<String>),
    /// Ports that are offered.
    Expose(Vec<Expose>),
    /// A time.
    #[serde(serialize_with = "seconds")]
    Duration(Duration),
}

impl Value {
    /// The elements of a list; any other value is one element.
    #[must_use]
    pub fn elements(&self) -> Vec<String> {
        fn texts<T: ToString>(list: &[T]) -> Vec<String> {
            list.iter().map(T::to_string).collect()
        }
        match self {
            Self::List(list) => list.clone(),
            Self::Ips(list) => texts(list),
            Self::Ranges(list) => texts(list),
            Self::Expose(list) => texts(list),
            Self::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
            other => vec![other.to_string()],
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(v) => f.write_str(v),
            Self::Bool(v) => v.fmt(f),
            Self::Int(v) => v.fmt(f),
            Self::Cidr(v) => v.fmt(f),
            Self::Ip(v) => v.fmt(f),
            Self::Ranges(v) if v.is_empty() => f.write_str("none"),
            Self::Duration(v) if v.subsec_millis() != 0 => write!(f, "{}ms", v.as_millis()),
            Self::Duration(v) => write!(f, "{}s", v.as_secs()),
            Self::Ranges(_) | Self::Ips(_) | Self::List(_) | Self::Expose(_) => {
                f.write_str(&self.elements().join(" "))
            }
        }
    }
}

fn seconds<S: serde::Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(value.as_secs_f64())
}
