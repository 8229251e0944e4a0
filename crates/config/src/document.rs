//! The file format: an INI document that gives back every byte it was read from.
//!
//! - `[section]` and `option = value` start in the first column. An indented line
//!   continues the option above it; blank lines and comments in between do not end
//!   the value (as Python's configparser reads, which wrote the documents' files).
//! - A comment is a whole line whose first visible character is `#` or `;`. There
//!   are no comments behind a value.
//! - A section written twice is one section; of an option written twice the last
//!   one counts, and a change goes to the last one.
//! - Option names are case sensitive. Nothing is inherited from `[DEFAULT]`.

mod text;

use std::collections::BTreeMap;
use std::fmt;
use text::{
    check_option, check_section, first_line, is_comment, normal, prefix_of, render, value_of,
};

/// Why a text is no configuration, or why a change cannot be written into one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// A line that is neither header, option, continuation, comment nor blank.
    #[error("line {line}, {text:?}: {reason}")]
    Line {
        /// Line number, from 1.
        line: usize,
        /// The line without its end.
        text: String,
        /// What is wrong and what is wanted.
        reason: &'static str,
    },
    /// A section name that could not be read back.
    #[error("section {0:?}: a name without brackets, line ends and outer white space is wanted")]
    Section(String),
    /// An option name that could not be read back.
    #[error(
        "option {0:?}: a name without white space, '=', brackets and a leading '#' or ';' is wanted"
    )]
    Option(String),
    /// A value with a line that would be read back as a comment.
    #[error(
        "the line {0:?} of the value would be a comment in the file: a line after the first cannot start with '#' or ';'"
    )]
    CommentLine(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    /// One blank or comment line.
    Other(String),
    /// One `[name]` line.
    Header { raw: String, name: String },
    /// An option with its continuation lines.
    Entry {
        raw: String,
        option: String,
        value: String,
    },
}

impl Item {
    fn raw(&self) -> &str {
        match self {
            Self::Other(raw) | Self::Header { raw, .. } | Self::Entry { raw, .. } => raw,
        }
    }

    fn raw_mut(&mut self) -> &mut String {
        match self {
            Self::Other(raw) | Self::Header { raw, .. } | Self::Entry { raw, .. } => raw,
        }
    }

    fn is_blank(&self) -> bool {
        matches!(self, Self::Other(raw) if raw.trim().is_empty())
    }

    fn is_comment(&self) -> bool {
        matches!(self, Self::Other(raw) if is_comment(raw))
    }
}

/// A configuration file in memory. `to_string` gives the file's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    items: Vec<Item>,
    /// Section names in the order they first appear.
    order: Vec<String>,
    /// Section, option, and the item that counts.
    index: BTreeMap<String, BTreeMap<String, usize>>,
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.iter().try_for_each(|i| f.write_str(i.raw()))
    }
}

impl Document {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`DocumentError::Line`] for the first line that has no meaning.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let mut document = Self::default();
        let mut pending = Vec::new();
        for (number, raw) in text.split_inclusive('\n').enumerate() {
            // A byte order mark belongs to the file, not to its first line.
            let line = match number {
                0 => raw.trim_start_matches('\u{feff}'),
                _ => raw,
            };
            let error = |reason| DocumentError::Line {
                line: number + 1,
                text: line.trim_end().to_owned(),
                reason,
            };
            if line.trim().is_empty() || is_comment(line) {
                pending.push(raw);
            } else if line.starts_with([' ', '\t']) {
                let Some(Item::Entry { raw: entry, .. }) = document.items.last_mut() else {
                    return Err(error(
                        "an indented line continues an option, but none is above it; remove the indentation",
                    ));
                };
                pending.drain(..).for_each(|p| entry.push_str(p));
                entry.push_str(raw);
            } else {
                let others = pending.drain(..).map(|p| Item::Other(p.to_owned()));
                document.items.extend(others);
                let in_section = document.has_header();
                let item = read_item(raw, line, in_section).map_err(error)?;
                document.items.push(item);
            }
        }
        let others = pending.drain(..).map(|p| Item::Other(p.to_owned()));
        document.items.extend(others);
        for item in &mut document.items {
            if let Item::Entry { raw, value, .. } = item {
                *value = value_of(raw);
            }
        }
        document.reindex();
        Ok(document)
    }

    /// The section names, each once, in the order of the file.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// Whether the section is there, even without options.
    #[must_use]
    pub fn has_section(&self, section: &str) -> bool {
        self.index.contains_key(section)
    }

    /// The options of a section with their values, in the order of the file.
    pub fn options<'a>(&'a self, section: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut places: Vec<usize> = self
            .index
            .get(section)
            .map(|options| options.values().copied().collect())
            .unwrap_or_default();
        places.sort_unstable();
        places.into_iter().filter_map(|i| self.entry(i))
    }

    /// The stored value: lines joined by a line feed, each without outer white space.
    #[must_use]
    pub fn get(&self, section: &str, option: &str) -> Option<&str> {
        let place = *self.index.get(section)?.get(option)?;
        self.entry(place).map(|(_, value)| value)
    }

    /// Sets an option and says whether that changed anything. An option that was
    /// there keeps its place and its spelling of `=`; comments inside its old value
    /// are kept behind it. A new one goes behind the last option of its section.
    ///
    /// # Errors
    /// A name or value that could not be read back as it was given.
    pub fn set(&mut self, section: &str, option: &str, value: &str) -> Result<bool, DocumentError> {
        let value = normal(value)?;
        if self.get(section, option) == Some(value.as_str()) {
            return Ok(false);
        }
        let eol = self.line_end();
        let place = self.index.get(section).and_then(|o| o.get(option)).copied();
        if let Some(place) = place {
            if self.replace(place, &value, eol) {
                return Ok(true);
            }
        } else {
            check_section(section)?;
            check_option(option)?;
            let found = self.end_of(section);
            let at = match found {
                Some(at) => at,
                None => self.open_section(section, eol),
            };
            let raw = render(&format!("{option} = "), &value, eol);
            let option = option.to_owned();
            self.end_line_before(at, eol);
            if found.is_some() {
                self.index_one(section, &option, at);
                self.items.insert(at, Item::Entry { raw, option, value });
                return Ok(true);
            }
            self.items.insert(at, Item::Entry { raw, option, value });
        }
        self.reindex();
        Ok(true)
    }

    /// Removes an option wherever it is written, and its section if that leaves
    /// none; says whether it was there.
    pub fn unset(&mut self, section: &str, option: &str) -> bool {
        if self.get(section, option).is_none() {
            return false;
        }
        let mut places = self.entries_of(section);
        let all = places.len();
        places.retain(|i| self.entry(*i).is_some_and(|(o, _)| o == option));
        let left = all - places.len();
        for place in places.into_iter().rev() {
            let comments = comments_in(self.items[place].raw());
            self.items.splice(place..=place, comments);
        }
        if left == 0 {
            self.drop_headers(section);
        }
        self.reindex();
        true
    }

    /// Removes a section with its options and the comments between them; says
    /// whether it was there. Comments behind its last option stay: they mostly
    /// introduce what follows.
    pub fn remove_section(&mut self, section: &str) -> bool {
        if !self.has_section(section) {
            return false;
        }
        while let Some(start) = self.header_of(section) {
            let next = self.next_header(start + 1);
            let last = (start..next)
                .rev()
                .find(|i| matches!(self.items[*i], Item::Entry { .. }))
                .unwrap_or(start);
            self.items.drain(start + 1..=last);
            self.drop_header(start);
        }
        self.reindex();
        true
    }

    fn entry(&self, place: usize) -> Option<(&str, &str)> {
        match self.items.get(place) {
            Some(Item::Entry { option, value, .. }) => Some((option, value)),
            _ => None,
        }
    }

    fn has_header(&self) -> bool {
        self.items.iter().any(|i| matches!(i, Item::Header { .. }))
    }

    fn header_of(&self, section: &str) -> Option<usize> {
        let wanted = |i: &Item| matches!(i, Item::Header { name, .. } if name == section);
        self.items.iter().position(wanted)
    }

    fn next_header(&self, from: usize) -> usize {
        (from..self.items.len())
            .find(|i| matches!(self.items[*i], Item::Header { .. }))
            .unwrap_or(self.items.len())
    }

    /// Every entry of a section, duplicates too.
    fn entries_of(&self, section: &str) -> Vec<usize> {
        let mut inside = false;
        let mut found = Vec::new();
        for (place, item) in self.items.iter().enumerate() {
            match item {
                Item::Header { name, .. } => inside = name == section,
                Item::Entry { .. } if inside => found.push(place),
                _ => {}
            }
        }
        found
    }

    /// Where a new option of the section goes: behind the last option or header of
    /// its last part, before the comments that introduce the next section.
    fn end_of(&self, section: &str) -> Option<usize> {
        let wanted = |i: &Item| matches!(i, Item::Header { name, .. } if name == section);
        let start = self.items.iter().rposition(wanted)?;
        let next = self.next_header(start + 1);
        let last = (start..next)
            .rev()
            .find(|i| !matches!(self.items[*i], Item::Other(_)));
        last.map(|i| i + 1)
    }

    /// Writes the header of a new section: `DEFAULT` before the others, any other at
    /// the end. Returns the place behind it.
    fn open_section(&mut self, section: &str, eol: &str) -> usize {
        let header = Item::Header {
            raw: format!("[{section}]{eol}"),
            name: section.to_owned(),
        };
        let blank = Item::Other(eol.to_owned());
        if section == "DEFAULT" && self.has_header() {
            let first = self.next_header(0);
            // The comment block right above the first header belongs to it.
            let block = self.items[..first].iter().rev();
            let at = first - block.take_while(|i| i.is_comment()).count();
            self.items.splice(at..at, [header, blank]);
            return at + 1;
        }
        let end = self.items.len();
        self.end_line_before(end, eol);
        if self.items.last().is_some_and(|i| !i.is_blank()) {
            self.items.push(blank);
        }
        self.items.push(header);
        self.items.len()
    }

    /// Writes a new value; says whether every item is where it was.
    fn replace(&mut self, place: usize, value: &str, eol: &str) -> bool {
        let Item::Entry {
            raw, value: old, ..
        } = &mut self.items[place]
        else {
            return true;
        };
        let comments = comments_in(raw);
        let in_place = comments.is_empty();
        let ended = raw.ends_with('\n');
        *raw = render(&prefix_of(raw), value, eol);
        value.clone_into(old);
        if !ended && comments.is_empty() {
            raw.truncate(raw.trim_end_matches(['\r', '\n']).len());
        }
        self.items.splice(place + 1..place + 1, comments);
        in_place
    }

    fn drop_headers(&mut self, section: &str) {
        while let Some(place) = self.header_of(section) {
            self.drop_header(place);
        }
    }

    /// Removes a header, and the blank line before it when one would be left over.
    fn drop_header(&mut self, place: usize) {
        self.items.remove(place);
        let after_blank = place > 0 && self.items[place - 1].is_blank();
        if after_blank && self.items.get(place).is_none_or(Item::is_blank) {
            self.items.remove(place - 1);
        } else if place == 0 && self.items.first().is_some_and(Item::is_blank) {
            self.items.remove(0);
        }
    }

    /// The last line of a file may lack its end: give it one before writing behind it.
    fn end_line_before(&mut self, place: usize, eol: &str) {
        if let Some(before) = place.checked_sub(1).and_then(|i| self.items.get_mut(i)) {
            let raw = before.raw_mut();
            if !raw.ends_with('\n') {
                raw.push_str(eol);
            }
        }
    }

    fn line_end(&self) -> &'static str {
        let first = self.items.first().map_or("", Item::raw);
        match first_line(first).ends_with("\r\n") {
            true => "\r\n",
            false => "\n",
        }
    }

    /// Makes room in the index for a new option of a section that is there, at `at`.
    /// A thousand nodes' options are set one by one: each must not read the whole
    /// document again.
    fn index_one(&mut self, section: &str, option: &str, at: usize) {
        let places = self.index.values_mut().flat_map(BTreeMap::values_mut);
        places.filter(|p| **p >= at).for_each(|p| *p += 1);
        if let Some(options) = self.index.get_mut(section) {
            options.insert(option.to_owned(), at);
        }
    }

    fn reindex(&mut self) {
        self.order.clear();
        self.index.clear();
        let mut current = None;
        for (place, item) in self.items.iter().enumerate() {
            match item {
                Item::Header { name, .. } => {
                    if !self.index.contains_key(name) {
                        self.order.push(name.clone());
                    }
                    current = Some(self.index.entry(name.clone()).or_default());
                }
                Item::Entry { option, .. } => {
                    if let Some(options) = &mut current {
                        options.insert(option.clone(), place);
                    }
                }
                Item::Other(_) => {}
            }
        }
    }
}

/// Reads a header or the first line of an option.
fn read_item(raw: &str, line: &str, in_section: bool) -> Result<Item, &'static str> {
    let raw = raw.to_owned();
    if let Some(rest) = line.strip_prefix('[') {
        let (name, tail) = rest.split_once(']').ok_or("the ']' is missing")?;
        let tail = tail.trim();
        if !tail.is_empty() && !is_comment(tail) {
            return Err("nothing but a comment may follow the ']'");
        }
        let name = name.trim().to_owned();
        check_section(&name).map_err(|_| "the section has no usable name")?;
        return Ok(Item::Header { raw, name });
    }
    let (option, _) = line
        .split_once('=')
        .ok_or("'option = value' or '[section]' is wanted")?;
    let option = option.trim().to_owned();
    check_option(&option).map_err(
        |_| "the option has no usable name: white space and brackets are not allowed in it",
    )?;
    if !in_section {
        return Err("an option needs a section: write [DEFAULT] above it");
    }
    // The value is read when all continuation lines are known.
    let value = String::new();
    Ok(Item::Entry { raw, option, value })
}

/// The comment lines inside an option's text, as items of their own.
fn comments_in(raw: &str) -> Vec<Item> {
    let lines = raw.split_inclusive('\n').skip(1);
    lines
        .filter(|l| is_comment(l))
        .map(|l| Item::Other(l.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
