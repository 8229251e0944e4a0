//! What was found, as tables and goals.

use crate::goals::Limit;
use crate::machine;
use crate::stats::Summary;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// The tables, in the order of the report.
    pub tables: Vec<Table>,
    /// What must be reached: what it is, and how much was measured.
    pub goals: Vec<(String, Limit)>,
    /// What could not be measured, and why.
    pub left_out: Vec<String>,
}

/// Lines that belong together.
#[derive(Debug)]
pub struct Table {
    title: &'static str,
    about: &'static str,
    /// The lines.
    pub lines: Vec<Line>,
}

/// One thing that was measured.
#[derive(Debug)]
pub struct Line {
    what: String,
    times: Vec<Duration>,
    note: String,
}

impl Table {
    /// An empty one; `about` says how it was measured.
    #[must_use]
    pub const fn new(title: &'static str, about: &'static str) -> Self {
        Self {
            title,
            about,
            lines: Vec::new(),
        }
    }
}

impl Line {
    /// Measured several times.
    #[must_use]
    pub fn times(what: impl Into<String>, times: Vec<Duration>) -> Self {
        let what = what.into();
        let note = String::new();
        Self { what, times, note }
    }

    /// Measured once.
    #[must_use]
    pub fn once(what: impl Into<String>, time: Duration) -> Self {
        Self::times(what, vec![time])
    }

    /// No time.
    #[must_use]
    pub fn fact(what: impl Into<String>, fact: impl Into<String>) -> Self {
        Self::times(what, Vec::new()).note(fact)
    }

    /// The same with something beside it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The median, in milliseconds.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        Summary::of(&self.times).map(|summary| summary.median)
    }

    fn row(&self) -> String {
        let (what, note) = (&self.what, &self.note);
        let (median, spread) = match Summary::of(&self.times) {
            None => ("-".to_owned(), "-".to_owned()),
            Some(Summary { median, low, high }) => (
                format!("{median:.1}"),
                match self.times.len() {
                    1 => "-".to_owned(),
                    _ => format!("{low:.1}..{high:.1}"),
                },
            ),
        };
        let count = self.times.len();
        let count = if count == 0 {
            String::new()
        } else {
            count.to_string()
        };
        format!("| {what} | {median} | {spread} | {count} | {note} |\n")
    }
}

impl Findings {
    /// A goal that is a limit from above.
    pub(super) fn at_most(&mut self, what: impl Into<String>, limit: f64, value: Option<f64>) {
        let limit = value.map(|value| Limit::new(value, limit, false));
        self.goals.extend(limit.map(|limit| (what.into(), limit)));
    }

    fn markdown(&self, about: &str) -> String {
        let mut text = about.to_owned();
        text += "\n## Goals\n\n| what | measured | goal | |\n| --- | ---: | ---: | --- |\n";
        for (what, limit) in &self.goals {
            text += &format!("| {what} | {limit} |\n");
        }
        for table in &self.tables {
            text += &format!(
                "\n## {}\n\n{}\n\n| what | median ms | 10th..90th percentile | times | |\n\
                 | --- | ---: | ---: | ---: | --- |\n",
                table.title, table.about
            );
            text.extend(table.lines.iter().map(Line::row));
        }
        if !self.left_out.is_empty() {
            text += "\n## Left out\n\n";
            text.extend(self.left_out.iter().map(|line| format!("- {line}\n")));
        }
        text
    }
}

/// Writes `size.md` into `dir`, and returns its path and text.
///
/// # Errors
/// When it cannot be written.
pub fn write(
    findings: &Findings,
    extent: super::Extent,
    load: &str,
    dir: &Path,
) -> Result<(PathBuf, String)> {
    let about = format!(
        "# One node of {nodes}, {day}, Linux {kernel}\n\n\
         {processor}; load before {load}, after {after}; fairlead {version}\n\n\
         {nodes} nodes in the registry and {addresses} addresses in shared state. etcd is real and has one member, and\n\
         one node is real, with its agent; the others are what they wrote to etcd. They are joined by a\n\
         `routed_bridge` of 10.0.0.0/8 with `tunnel=always` and `tunnel_mode=vxlan`. All files, those of etcd too, are in\n\
         memory. Times are medians; everything ran on the same processors, etcd and the writers included.\n",
        nodes = extent.nodes,
        addresses = extent.addresses,
        day = machine::day()?,
        kernel = machine::kernel(),
        processor = machine::processor(),
        after = machine::load(),
        version = env!("CARGO_PKG_VERSION"),
    );
    let text = findings.markdown(&about);
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let path = dir.join("size.md");
    std::fs::write(&path, &text).with_context(|| format!("write {}", path.display()))?;
    Ok((path, text))
}
