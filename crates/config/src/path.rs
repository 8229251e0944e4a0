//! How a keyword is addressed and changed on the command line.

use std::fmt;
use std::str::FromStr;

/// Why a text names no keyword, or is no change of one. Every variant has the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No option name.
    #[error("{0:?} names no keyword: SECTION.OPTION is wanted, as in cluster.nodes")]
    NoOption(String),
    /// A section name that cannot be written to the file.
    #[error(
        "{0:?} has a section name that cannot be stored: brackets, line ends and outer white space are not allowed"
    )]
    Section(String),
    /// A section `network#` whose name is missing.
    #[error("{0:?} names no network: network#NAME.OPTION is wanted")]
    NoNetwork(String),
    /// An option or scope with a character that cannot be written to the file.
    #[error(
        "{text:?} has the character {found:?} in its option: letters, digits, '_', '-' and, in a scope, '.' are allowed"
    )]
    Option {
        /// The text as given.
        text: String,
        /// The first character that is not allowed.
        found: char,
    },
    /// An `@` with nothing behind it.
    #[error("{0:?} has an empty scope: OPTION@NODE is wanted")]
    NoScope(String),
    /// An index that is no number.
    #[error("{0:?} has no usable index: OPTION[0] is wanted")]
    Index(String),
    /// A change without operator.
    #[error("{0:?} has no operator: KEYWORD=VALUE is wanted, or '+=', '|=', '-=', '^=' for lists")]
    NoOperator(String),
    /// An index with an operator that has no place.
    #[error(
        "{text:?} has an index with the operator {operator}: an index goes with '=' and '+=' only"
    )]
    IndexedOperator {
        /// The text as given.
        text: String,
        /// The operator.
        operator: Operator,
    },
    /// An index where a whole keyword is wanted.
    #[error("{0:?} has an index: only a whole keyword can be removed; take elements out with '-='")]
    IndexedUnset(String),
}

/// A keyword's address: `section.option[@scope][[index]]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyPath {
    /// The section, `DEFAULT` if none was given. It may contain dots.
    pub section: String,
    /// The option without scope.
    pub option: String,
    /// A node name, `nodes` or `drpnodes`.
    pub scope: Option<String>,
    /// A place in a list, from 0.
    pub index: Option<usize>,
}

impl KeyPath {
    /// An unscoped keyword. The names are taken as they are.
    #[must_use]
    pub fn new(section: impl Into<String>, option: impl Into<String>) -> Self {
        Self {
            section: section.into(),
            option: option.into(),
            scope: None,
            index: None,
        }
    }

    /// The same keyword for one scope.
    #[must_use]
    pub fn at(self, scope: impl Into<String>) -> Self {
        Self {
            scope: Some(scope.into()),
            ..self
        }
    }

    /// The option as the file has it: with its scope.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.scope {
            Some(scope) => format!("{}@{scope}", self.option),
            None => self.option.clone(),
        }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.section, self.key())?;
        self.index.map_or(Ok(()), |i| write!(f, "[{i}]"))
    }
}

impl FromStr for KeyPath {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::read(text, text)
    }
}

impl KeyPath {
    /// Reads the address `name`, a part of `text`, which is what an error shows.
    fn read(name: &str, text: &str) -> Result<Self, KeyError> {
        let (name, index) = split_index(name.trim(), text)?;
        let (left, scope) = match name.split_once('@') {
            Some((left, scope)) => (left, Some(scope)),
            None => (name, None),
        };
        // A section index may contain dots, a scope too: the last dot before the '@'.
        let (section, option) = left.rsplit_once('.').unwrap_or(("DEFAULT", left));
        if option.is_empty() || section.is_empty() {
            return Err(KeyError::NoOption(text.into()));
        }
        let unusable = |c: char| matches!(c, '[' | ']') || c.is_control();
        if section.contains(unusable) || section.trim() != section {
            return Err(KeyError::Section(text.into()));
        }
        if section == "network#" {
            return Err(KeyError::NoNetwork(text.into()));
        }
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let found = match scope {
            Some("") => return Err(KeyError::NoScope(text.into())),
            Some(scope) => scope.chars().find(|c| !word(*c) && *c != '.'),
            None => None,
        };
        match option.chars().find(|c| !word(*c)).or(found) {
            Some(found) => Err(KeyError::Option {
                text: text.into(),
                found,
            }),
            None => Ok(Self {
                section: section.into(),
                option: option.into(),
                // What a scope names are nodes, whose names are lower case.
                scope: scope.map(str::to_lowercase),
                index,
            }),
        }
    }
}

fn split_index<'a>(name: &'a str, text: &str) -> Result<(&'a str, Option<usize>), KeyError> {
    let Some(inner) = name.strip_suffix(']') else {
        return Ok((name, None));
    };
    let error = || KeyError::Index(text.into());
    let (name, digits) = inner.rsplit_once('[').ok_or_else(error)?;
    // `parse` would take a sign.
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(error());
    }
    let index = digits.parse().map_err(|_| error())?;
    Ok((name, Some(index)))
}

/// What `set` does with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`: replaces the value.
    Assign,
    /// `+=`: appends to a list, also what is there already.
    Append,
    /// `|=`: appends each element that is not there.
    Merge,
    /// `-=`: removes each element once, the first of equal ones.
    Remove,
    /// `^=`: removes each element that is there, all of equal ones, and appends each that is not.
    Toggle,
    /// `option[i]=` and `option[i]+=`: inserts before the element `i`, at the end if there are fewer.
    Insert(usize),
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assign | Self::Insert(_) => "'='",
            Self::Append => "'+='",
            Self::Merge => "'|='",
            Self::Remove => "'-='",
            Self::Toggle => "'^='",
        })
    }
}

impl Operator {
    /// The new value from the stored one.
    #[must_use]
    pub fn apply(self, stored: &str, value: &str) -> String {
        let mut list: Vec<&str> = stored.split_whitespace().collect();
        let elements = value.split_whitespace();
        match self {
            Self::Assign => return value.to_owned(),
            Self::Append => list.extend(elements),
            Self::Insert(place) => {
                let place = place.min(list.len());
                list.splice(place..place, elements);
            }
            Self::Merge => {
                for element in elements {
                    if !list.contains(&element) {
                        list.push(element);
                    }
                }
            }
            Self::Remove => {
                for element in elements {
                    if let Some(place) = list.iter().position(|e| *e == element) {
                        list.remove(place);
                    }
                }
            }
            Self::Toggle => {
                for element in elements {
                    let before = list.len();
                    list.retain(|e| *e != element);
                    if list.len() == before {
                        list.push(element);
                    }
                }
            }
        }
        list.join(" ")
    }
}

/// A change of one keyword, as `set --kw` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOp {
    /// Which keyword. The index is in the operator.
    pub path: KeyPath,
    /// What to do.
    pub operator: Operator,
    /// With what.
    pub value: String,
}

impl FromStr for KeyOp {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (left, value) = text
            .split_once('=')
            .ok_or_else(|| KeyError::NoOperator(text.into()))?;
        let operators = [
            ('+', Operator::Append),
            ('|', Operator::Merge),
            ('-', Operator::Remove),
            ('^', Operator::Toggle),
        ];
        let (name, operator) = operators
            .into_iter()
            .find_map(|(sign, operator)| Some((left.strip_suffix(sign)?, operator)))
            .unwrap_or((left, Operator::Assign));
        let mut path = KeyPath::read(name, text)?;
        let operator = match (path.index.take(), operator) {
            (None, operator) => operator,
            (Some(place), Operator::Assign | Operator::Append) => Operator::Insert(place),
            (Some(_), operator) => {
                let text = text.into();
                return Err(KeyError::IndexedOperator { text, operator });
            }
        };
        let value = value.trim().to_owned();
        Ok(Self {
            path,
            operator,
            value,
        })
    }
}

#[cfg(test)]
mod tests;
