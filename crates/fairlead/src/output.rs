//! How answers are shown: tables for people, JSON and YAML for programs.

use crate::cli::{Color, Format};
use anyhow::{Context, Result};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// How this run shows its answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
    color: bool,
}

impl Output {
    pub(crate) fn new(format: Format, color: Color) -> Self {
        let color = match color {
            Color::Yes => true,
            Color::No => false,
            Color::Auto => {
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
            }
        };
        Self { format, color }
    }

    /// Whether it is for a person.
    pub(crate) fn is_table(self) -> bool {
        self.format == Format::Table
    }

    pub(crate) fn is_colored(self) -> bool {
        self.color
    }

    /// Shows `value` to a program, or what `text` makes of it to a person.
    pub(crate) fn show<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        match self.format {
            Format::Table => write(&text(value)),
            Format::Json => write(&(indented(value)? + "\n")),
            Format::Yaml => {
                write(&serde_saphyr::to_string(value).context("cannot write the answer as YAML")?)
            }
        }
    }

    /// A table with a header, bold where colours are on.
    pub(crate) fn table(self, header: &[&str], rows: Vec<Vec<String>>) -> String {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header).add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut lines = table.lines();
        let first = lines.next().unwrap_or_default();
        let first = first.trim_end();
        let mut text = if self.color {
            format!("\u{1b}[1m{first}\u{1b}[0m\n")
        } else {
            format!("{first}\n")
        };
        lines.for_each(|line| text += &format!("{}\n", line.trim_end()));
        text
    }
}

/// JSON with four spaces, as the commands we carry on print it.
fn indented<T: Serialize>(value: &T) -> Result<String> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value
        .serialize(&mut serializer)
        .context("cannot write the answer as JSON")?;
    String::from_utf8(bytes).context("cannot write the answer as JSON")
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no error.
pub(crate) fn write(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// Tells a person something beside the answer.
pub(crate) fn note(text: impl std::fmt::Display) {
    // Nobody to tell is no reason to fail.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
