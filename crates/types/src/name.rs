//! Names: each a newtype over a string that was checked once.

use serde::{Deserialize, Serialize};

/// Why a name was refused. Every variant carries the name as it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no characters.
    #[error("{kind} is empty")]
    Empty {
        /// What the name is of, in the words a user knows.
        kind: &'static str,
    },
    /// The name is longer than its users can take.
    #[error("{kind} {name:?} has {len} bytes, at most {max} are allowed")]
    TooLong {
        /// What the name is of.
        kind: &'static str,
        /// The name as given.
        name: String,
        /// Its length in bytes.
        len: usize,
        /// The greatest length in bytes.
        max: usize,
    },
    /// A character that is not allowed where it stands.
    #[error("{kind} {name:?} has the character {found:?}; {rule}")]
    Character {
        /// What the name is of.
        kind: &'static str,
        /// The name as given.
        name: String,
        /// The first character that is not allowed.
        found: char,
        /// What is allowed.
        rule: &'static str,
    },
    /// A name with a meaning of its own, such as `.` or `..`.
    #[error("{kind} {name:?} is reserved")]
    Reserved {
        /// What the name is of.
        kind: &'static str,
        /// The name as given.
        name: String,
    },
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks `name` and keeps it.
            ///
            /// # Errors
            /// [`NameError`] says what is wrong with it.
            pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
                let name = name.as_ref();
                $check(name)?;
                Ok(Self(name.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }
    };
}

name_type! {
    /// The name of a network interface: 1 to 15 bytes, without `/`, `:`, `%` or white
    /// space, and neither `.` nor `..` (the kernel's `dev_valid_name` and the CNI
    /// specification's rule for `CNI_IFNAME`).
    IfName, check_ifname
}

name_type! {
    /// A container's identifier as runtimes give it: a letter or digit, then
    /// letters, digits, `_`, `.` or `-` (CNI specification, `CNI_CONTAINERID`);
    /// at most 255 bytes.
    ContainerId, check_container_id
}

name_type! {
    /// The name of a network, the `name` of a CNI configuration: a letter or
    /// digit, then letters, digits, `_`, `.` or `-`; at most 255 bytes.
    NetworkName, check_network_name
}

name_type! {
    /// The object an attachment is for, as `namespace/kind/name` (three segments)
    /// or any path of such segments: each a letter or digit, then letters,
    /// digits, `_`, `.` or `-`; at most 255 bytes.
    ObjectName, check_object_name
}

name_type! {
    /// A resource of an object, as `ip#0`: a word of lower case letters and digits that
    /// begins with a letter, `#`, and letters, digits, `_`, `.` or `-`; at most 64 bytes.
    ResourceName, check_resource_name
}

name_type! {
    /// A name, or the beginning of one, in DNS: labels of 1 to 63 letters, digits, `-` and
    /// `_` with dots between them; at most 127 bytes, which leaves room for a zone.
    HostName, check_host_name
}

impl ObjectName {
    /// Namespace, kind and name, where it has three segments.
    #[must_use]
    pub fn parts(&self) -> Option<(&str, &str, &str)> {
        let mut parts = self.as_str().split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(namespace), Some(kind), Some(name), None) => Some((namespace, kind, name)),
            _ => None,
        }
    }
}

fn check_host_name(name: &str) -> Result<(), NameError> {
    const KIND: &str = "host name";
    sized(KIND, name, 127)?;
    let error = |found, rule| NameError::Character {
        kind: KIND,
        name: name.into(),
        found,
        rule,
    };
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(found) = name.chars().find(|c| !word(*c)) {
        return Err(error(
            found,
            "letters, digits, '-', '_' and '.' are allowed",
        ));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(error('.', "something must stand on both sides of it"));
        }
        sized("label of a host name", label, 63)?;
    }
    Ok(())
}

fn check_resource_name(name: &str) -> Result<(), NameError> {
    const KIND: &str = "resource";
    sized(KIND, name, 64)?;
    let error = |found| NameError::Character {
        kind: KIND,
        name: name.into(),
        found,
        rule: "a kind, '#' and an index are wanted, as in ip#0",
    };
    let last = name.chars().next_back().unwrap_or('#');
    let (kind, index) = name.split_once('#').ok_or_else(|| error(last))?;
    let not_kind = |(i, c): (usize, char)| {
        let good = c.is_ascii_lowercase() || (i > 0 && c.is_ascii_digit());
        (!good).then_some(c)
    };
    match kind.chars().enumerate().find_map(not_kind) {
        Some(found) => Err(error(found)),
        None if kind.is_empty() || index.is_empty() => Err(error('#')),
        None => check_word(KIND, index),
    }
}

fn check_ifname(name: &str) -> Result<(), NameError> {
    const KIND: &str = "interface name";
    sized(KIND, name, 15)?;
    if name == "." || name == ".." {
        return Err(NameError::Reserved {
            kind: KIND,
            name: name.into(),
        });
    }
    // The kernel takes '%d' in a new link's name for 'the first free number'.
    let bad = |c: char| matches!(c, '/' | ':' | '%') || c.is_whitespace() || c.is_control();
    match name.chars().find(|c| bad(*c)) {
        None => Ok(()),
        Some(found) => Err(NameError::Character {
            kind: KIND,
            name: name.into(),
            found,
            rule: "'/', ':', '%', white space and control characters are not allowed",
        }),
    }
}

fn check_container_id(name: &str) -> Result<(), NameError> {
    check_word("container id", name)
}

fn check_network_name(name: &str) -> Result<(), NameError> {
    check_word("network name", name)
}

fn check_object_name(name: &str) -> Result<(), NameError> {
    sized("object", name, 255)?;
    if name.split('/').any(str::is_empty) {
        return Err(NameError::Character {
            kind: "object",
            name: name.into(),
            found: '/',
            rule: "something must stand on both sides of it, as in shop/svc/web",
        });
    }
    name.split('/')
        .try_for_each(|segment| check_word("object", segment))
}

/// The rule that the CNI specification has for container ids and network names.
fn check_word(kind: &'static str, name: &str) -> Result<(), NameError> {
    sized(kind, name, 255)?;
    let error = |found, rule| NameError::Character {
        kind,
        name: name.into(),
        found,
        rule,
    };
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_alphanumeric() {
            continue;
        }
        if i == 0 {
            return Err(error(c, "the first must be a letter or a digit"));
        }
        if !matches!(c, '_' | '.' | '-') {
            return Err(error(c, "letters, digits, '_', '.' and '-' are allowed"));
        }
    }
    Ok(())
}

fn sized(kind: &'static str, name: &str, max: usize) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { kind });
    }
    if name.len() > max {
        return Err(NameError::TooLong {
            kind,
            name: name.into(),
            len: name.len(),
            max,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_name_is_what_the_kernel_takes() {
        for good in ["eth0", "a", "veth0123456789a", "br-lan.1", "é"] {
            assert!(IfName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a/b",
            "a b",
            "a:b",
            "br%d",
            ".",
            "..",
            "0123456789abcdef",
            "a\tb",
            "a\u{0}",
        ] {
            assert!(IfName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_container_id_starts_with_a_letter_or_digit() {
        assert!(ContainerId::new("0abc-D_e.f").is_ok());
        for bad in ["", "-a", ".a", "a/b", "a b", "ü"] {
            assert!(ContainerId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_object_is_a_path_of_words() {
        assert!(ObjectName::new("ns/svc/web").is_ok());
        for bad in ["", "/svc", "ns//web", "../x", "ns/svc/"] {
            assert!(ObjectName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_host_name_is_labels_that_dns_takes() {
        let long = "a".repeat(63);
        for good in ["web", "a.b-c_d.e", "0", long.as_str()] {
            assert!(HostName::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "ü", long.as_str()] {
            assert!(HostName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_object_of_three_segments_has_parts() {
        let parts = |name| ObjectName::new(name).unwrap();
        assert_eq!(parts("a/svc/b").parts(), Some(("a", "svc", "b")));
        assert_eq!(parts("a/svc").parts(), None);
        assert_eq!(parts("a/svc/b/c").parts(), None);
    }

    #[test]
    fn a_resource_is_a_kind_and_an_index() {
        for good in ["ip#0", "container#web.1", "fs2#a"] {
            assert!(ResourceName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "", "ip", "#0", "ip#", "IP#0", "2ip#0", "ip#0#1", "ip#-a", "ip #0",
        ] {
            assert!(ResourceName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_message_names_the_object_and_the_reason() {
        let text = IfName::new("much-too-long-name").unwrap_err().to_string();
        assert_eq!(
            text,
            "interface name \"much-too-long-name\" has 18 bytes, at most 15 are allowed"
        );
    }
}
