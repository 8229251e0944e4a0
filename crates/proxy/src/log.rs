//! Telling what happens, on standard error. Bodies, queries and annotations are not told:
//! they may hold secrets.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Begins to tell. Systemd's journal has times of its own. A program that tells already goes
/// on as it does.
pub(crate) fn begin(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_default();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let begun = match std::env::var_os("JOURNAL_STREAM").is_some() {
        true => {
            let plain = lines.with_ansi(false).without_time();
            tracing::subscriber::set_global_default(plain.finish())
        }
        false => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            tracing::subscriber::set_global_default(lines.finish())
        }
    };
    drop(begun);
}
