//! The plugin's log file, one event a line:
//!
//! ```text
//! |2017-01-10 17:55:16.123456789 +0000 UTC|INFO|0001|nuage-libnetwork|message|key=value
//! ```
//!
//! The time is as Go prints it, without zeros at the end of the fraction, and always UTC; the
//! level is `DEBUG`, `INFO`, `WARNING`, `ERROR`, or `FATAL` for an error with the field
//! `fatal = true`; the number counts lines from 1. A line break in a message is written as
//! `\n`. Other crates than those of this workspace are heard from `WARN` on: what they say at
//! lower levels may hold the headers and bodies of requests.
//!
//! A file that has its size is put away as `nuage-libnetwork-2017-01-10T17-55-16.123.log`, and
//! those that are older than 30 days are removed. One that somebody else has moved away or
//! removed (logrotate) is made anew with the next line; no signal is needed.

mod file;
mod line;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

use crate::settings::LogLevel;
use file::LogFile;

/// Where the log is, unless another file is named.
pub const LOG_FILE: &str = "/var/log/nuage-libnetwork/nuage-libnetwork.log";

/// Bytes of a megabyte, as `logfilesize` counts.
const MEGABYTE: u64 = 1 << 20;

/// Crates of this workspace, by their names.
const OURS: &str = "fairlead";

/// Changes the log while it is written.
#[derive(Debug, Clone)]
pub struct LogHandle(Arc<Shared>);

/// Writes events to the log's file.
#[derive(Debug)]
pub struct LogLayer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// As [`rank`] has it.
    most: AtomicU8,
    file: LogFile,
}

/// A log at `path`, whose lines are those of `program`. Until it is told otherwise it has what
/// is [`LogLevel::Info`], and files of 1 MB. Nothing is made before the first line.
#[must_use]
pub fn layer(path: &Path, program: &str) -> (LogLayer, LogHandle) {
    let shared = Arc::new(Shared {
        most: AtomicU8::new(rank(LogLevel::Info)),
        file: LogFile::new(path, program, MEGABYTE),
    });
    (LogLayer(Arc::clone(&shared)), LogHandle(shared))
}

/// Begins to write everything that this process tells to `path`. A process that tells already
/// (a test) goes on as it does.
#[must_use]
pub fn begin(path: &Path, program: &str) -> LogHandle {
    let (layer, handle) = layer(path, program);
    drop(tracing::subscriber::set_global_default(
        Registry::default().with(layer),
    ));
    handle
}

impl LogHandle {
    /// Writes what is at least as grave.
    pub fn set_level(&self, level: LogLevel) {
        self.0.most.store(rank(level), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// Puts a file away when it would become larger; at least 1 MB.
    pub fn set_file_size(&self, megabytes: u64) {
        let bytes = megabytes.max(1).saturating_mul(MEGABYTE);
        self.0.file.set_limit(bytes);
    }

    /// Opens the file anew, and makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be opened; lines go to standard error meanwhile.
    pub fn reopen(&self) -> io::Result<()> {
        self.0.file.reopen()
    }
}

/// How much a level lets through.
fn rank(level: LogLevel) -> u8 {
    match level {
        LogLevel::Error => 1,
        LogLevel::Warn => 2,
        LogLevel::Info => 3,
        LogLevel::Debug => 4,
    }
}

impl Shared {
    fn filter(&self) -> LevelFilter {
        match self.most.load(Ordering::Relaxed) {
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            _ => LevelFilter::DEBUG,
        }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().starts_with(OURS);
        let level = *metadata.level();
        level <= self.filter() && (ours || level <= Level::WARN)
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.filter())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if self.0.wants(event.metadata()) {
            let text = line::Text::of(event);
            self.0.file.write(&text);
        }
    }
}

#[cfg(test)]
mod tests;
