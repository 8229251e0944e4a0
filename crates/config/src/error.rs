//! What can go wrong with the configuration files.

use crate::{DocumentError, KeyError, Problem};
use std::fmt;
use std::path::PathBuf;

/// Why a configuration cannot be read, evaluated or changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file exists and cannot be read.
    #[error("read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file has bytes that are no text.
    #[error("read {}: line {line} is not UTF-8 text", .path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The line of the first such byte, from 1.
        line: usize,
    },
    /// A file has a line without meaning.
    #[error("read {}: {source}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which line, and why.
        source: DocumentError,
    },
    /// `cluster.conf` says nothing any more, and declared networks.
    #[error(
        "read {}: it is empty or gone and declared networks before, so everything stays as it is; put the last one back from {}, or write the line '[DEFAULT]' in it if nothing is to be declared", .path.display(), .copy.display()
    )]
    Vanished {
        /// The file.
        path: PathBuf,
        /// A copy of it as it was last.
        copy: PathBuf,
    },
    /// A text that addresses no keyword or is no change.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A value that cannot be evaluated.
    #[error("evaluate {0}")]
    Value(Box<Problem>),
    /// A change that would bring faults. Nothing was written.
    #[error("change {}: refused, nothing is written: {}", .path.display(), List(.problems))]
    Refused {
        /// The file that was to be changed.
        path: PathBuf,
        /// Every fault that the change would bring.
        problems: Vec<Problem>,
    },
    /// The lock that orders changes cannot be had.
    #[error("lock {}: {source}", .path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The new file cannot be written. The old one is as it was.
    #[error("write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No identity could be made for a new cluster.conf.
    #[error("make a uuid from /proc/sys/kernel/random/uuid: {0}")]
    Uuid(std::io::Error),
}

struct List<'a>(&'a [Problem]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}
