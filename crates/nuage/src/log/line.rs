//! One event as one line.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// What an event says, without line breaks.
#[derive(Debug)]
pub(super) struct Text {
    level: &'static str,
    message: String,
    /// `|key=value`, for each.
    fields: String,
}

impl Text {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        let mut text = Self::new(level, "");
        event.record(&mut text);
        text
    }

    pub(super) fn new(level: &'static str, message: &str) -> Self {
        Self {
            level,
            message: message.to_owned(),
            fields: String::new(),
        }
    }

    /// The whole line, with its end.
    pub(super) fn line(&self, now: Timestamp, count: u64, program: &str) -> String {
        let Self {
            level,
            message,
            fields,
        } = self;
        let time = go_time(now);
        format!("|{time}|{level}|{count:04}|{program}|{message}{fields}\n")
    }

    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let known = match field.name() {
            "message" => write!(Escaped(&mut self.message), "{value}"),
            name => write!(Escaped(&mut self.fields), "|{name}={value}"),
        };
        // A string takes everything.
        debug_assert!(known.is_ok());
    }
}

impl Visit for Text {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "fatal" && self.level == "ERROR" {
            if value {
                self.level = "FATAL";
            }
            return;
        }
        self.put(field, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}

/// Writes control characters as Rust's own texts have them, `\n`: a line is one line, and
/// leaves the terminal of whoever reads it alone.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    self.0.extend(c.escape_default());
                }
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// `time.Time.String` of Go, in UTC.
fn go_time(now: Timestamp) -> String {
    let shown = now.strftime("%Y-%m-%d %H:%M:%S%.9f").to_string();
    let shown = shown.trim_end_matches('0');
    // All of the fraction may have been zeros.
    format!("{} +0000 UTC", shown.strip_suffix('.').unwrap_or(shown))
}
