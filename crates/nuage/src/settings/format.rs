//! The two formats, up to names and values.

use std::collections::BTreeMap;
use std::path::Path;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `key: value`, YAML.
    Yaml,
    /// `Key = value`, TOML with comments after `//` as well: `nuage.cfg`.
    Old,
}

/// What a file says about one name.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: Result<String, NotSingle>,
}

/// It is a list or a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotSingle;

/// Where a file stops being one of its format, and why, without its values.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) reason: String,
}

impl Format {
    /// By the first line that says something, else by the name of the file.
    #[must_use]
    pub fn of(path: &Path, text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|l| !l.is_empty() && !l.starts_with('#') && !l.starts_with("//"));
        for line in lines {
            let plain = |c: char| c.is_alphanumeric() || "-_\"'".contains(c);
            match line.trim_start_matches(plain).trim_start().chars().next() {
                Some('=') => return Self::Old,
                Some(':') => return Self::Yaml,
                // A mark such as '---', a table's head, or what belongs to neither.
                _ => {}
            }
        }
        Self::by_name(path)
    }

    /// By the name of the file: all that there is if the file is not.
    #[must_use]
    pub fn by_name(path: &Path) -> Self {
        let ending = path.extension().and_then(|e| e.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("cfg" | "conf" | "toml") => Self::Old,
            _ => Self::Yaml,
        }
    }

    pub(super) fn pairs(self, text: &str) -> Result<Vec<Pair>, Broken> {
        match self {
            Self::Yaml => yaml(text),
            Self::Old => old(text),
        }
    }
}

/// A name that is there twice is an error, by the parser's own default.
fn yaml(text: &str) -> Result<Vec<Pair>, Broken> {
    // A picture of the place shows the lines around it, and one of them is the password.
    let options = serde_saphyr::options! { with_snippet: false };
    let map: BTreeMap<String, Option<String>> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| {
            let line = error.location().map_or(0, |place| place.line());
            Broken {
                line: usize::try_from(line).unwrap_or(0),
                reason: first_line(&error.to_string()),
            }
        })?;
    let pair = |(key, value): (String, Option<String>)| Pair {
        key,
        value: Ok(value.unwrap_or_default().trim().to_owned()),
    };
    Ok(map.into_iter().map(pair).collect())
}

fn old(text: &str) -> Result<Vec<Pair>, Broken> {
    let text = without_comments(text);
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(&text);
        Broken {
            line: before.matches('\n').count() + 1,
            reason: first_line(error.message()),
        }
    })?;
    let pair = |(key, value): (String, toml::Value)| Pair {
        key,
        value: match value {
            toml::Value::String(text) => Ok(text.trim().to_owned()),
            toml::Value::Integer(number) => Ok(number.to_string()),
            toml::Value::Float(number) => Ok(number.to_string()),
            toml::Value::Boolean(switch) => Ok(switch.to_string()),
            toml::Value::Datetime(time) => Ok(time.to_string()),
            toml::Value::Array(_) | toml::Value::Table(_) => Err(NotSingle),
        },
    };
    Ok(table.into_iter().map(pair).collect())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The text without what follows `//` or `#` outside quotes; its lines keep their numbers.
pub(super) fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let end = comment(line).unwrap_or(line.len());
        kept.push_str(&line[..end]);
        if end < line.len() && line.ends_with('\n') {
            kept.push('\n');
        }
    }
    kept
}

/// Where the comment of a line begins. Values of several lines are not looked for: no key
/// has one.
fn comment(line: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (place, c) in line.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '#' || line[place..].starts_with("//") => return Some(place),
            None => {}
        }
    }
    None
}
