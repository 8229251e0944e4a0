//! Lines and values of the file format, as text.

use super::DocumentError;

pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

pub(super) fn first_line(raw: &str) -> &str {
    raw.split_inclusive('\n').next().unwrap_or_default()
}

pub(super) fn check_section(name: &str) -> Result<(), DocumentError> {
    let bad = name.is_empty() || name.trim() != name || name.contains(['[', ']', '\n', '\r']);
    match bad {
        true => Err(DocumentError::Section(name.to_owned())),
        false => Ok(()),
    }
}

pub(super) fn check_option(name: &str) -> Result<(), DocumentError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '=' | '[' | ']');
    // The byte order mark would vanish at the start of a file.
    if name.is_empty() || is_comment(name) || name.contains(bad) || name.starts_with('\u{feff}') {
        return Err(DocumentError::Option(name.to_owned()));
    }
    Ok(())
}

/// The value as it is read back: no outer white space, neither whole nor per line.
pub(super) fn normal(value: &str) -> Result<String, DocumentError> {
    let mut lines = value.trim().split('\n').map(str::trim);
    let mut text = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        if is_comment(line) {
            return Err(DocumentError::CommentLine(line.to_owned()));
        }
        text.push('\n');
        text.push_str(line);
    }
    Ok(text)
}

/// The value in an option's text: what stands behind `=` and on the lines below,
/// without the comments between them.
pub(super) fn value_of(raw: &str) -> String {
    let text = raw.split_once('=').map_or("", |(_, value)| value);
    let mut lines = text.split('\n');
    let mut value = lines.next().unwrap_or_default().trim().to_owned();
    for line in lines.filter(|l| !is_comment(l)) {
        value.push('\n');
        value.push_str(line.trim());
    }
    value.trim().to_owned()
}

/// `option = ` as it is written, to keep a file's own layout.
pub(super) fn prefix_of(raw: &str) -> String {
    let line = first_line(raw);
    let Some((option, rest)) = line.split_once('=') else {
        return line.to_owned();
    };
    let rest = rest.trim_end();
    let space = match rest.is_empty() {
        true if option.ends_with(char::is_whitespace) => " ",
        true => "",
        false => &rest[..rest.len() - rest.trim_start().len()],
    };
    format!("{option}={space}")
}

pub(super) fn render(prefix: &str, value: &str, eol: &str) -> String {
    let mut lines = value.split('\n');
    let first = lines.next().unwrap_or_default();
    let mut raw = format!("{prefix}{first}").trim_end().to_owned();
    raw.push_str(eol);
    for line in lines {
        if !line.is_empty() {
            raw.push('\t');
            raw.push_str(line);
        }
        raw.push_str(eol);
    }
    raw
}
