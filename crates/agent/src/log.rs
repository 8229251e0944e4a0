//! Telling what happens, on standard error.

use std::str::FromStr;
use tracing_subscriber::EnvFilter;

/// How much is told: a level (`error`, `warn`, `info`, `debug`, `trace`) or a filter of
/// `tracing` (`warn,fairlead_agent=debug`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel(String);

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".into())
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        EnvFilter::try_new(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|error| {
                format!("{text:?} is no level: {error}; one of error, warn, info, debug, trace")
            })
    }
}

/// Begins to tell. Systemd's journal has times of its own. A program that tells already
/// (a test) goes on as it does.
pub(crate) fn begin(level: &LogLevel) {
    let filter = EnvFilter::try_new(&level.0).unwrap_or_default();
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let begun = match journal {
        true => {
            let plain = lines.with_ansi(false).without_time();
            tracing::subscriber::set_global_default(plain.finish())
        }
        false => {
            use std::io::IsTerminal;
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            tracing::subscriber::set_global_default(lines.finish())
        }
    };
    drop(begun);
}
