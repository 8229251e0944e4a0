//! What is wrong with a configuration: every fault with the place it is at.

use crate::{CniError, Code, ResultError, UnknownVersion};
use fairlead_types::{NameError, NetworkName};
use std::fmt;
use std::path::PathBuf;

/// One fault of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct Fault {
    /// The place, as in `plugins[1].capabilities.portMappings`.
    pub at: String,
    /// What is wrong there.
    pub reason: FaultReason,
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultReason {
    /// The key has to be there.
    #[error("is missing")]
    Missing,
    /// The value has another type than its key takes.
    #[error("{value} is not {wanted}")]
    Type {
        /// The value, shortened.
        value: String,
        /// What the key takes.
        wanted: &'static str,
    },
    /// The name of the network is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The version is not known.
    #[error(transparent)]
    Version(#[from] UnknownVersion),
    /// The plugin's name cannot be that of a program.
    #[error("{0:?} cannot be the name of a plugin: '/', NUL, '.' and '..' are not allowed")]
    PluginType(String),
    /// There has to be at least one plugin.
    #[error("has no plugin")]
    NoPlugin,
    /// A value of `dns` is wrong.
    #[error(transparent)]
    Dns(#[from] ResultError),
    /// The runtime sets the key; a configuration must not.
    #[error("is set by the runtime, remove it")]
    Reserved,
    /// The key says something else than the list does.
    #[error("is {value:?}, but the list has {list:?}; remove it")]
    Differs {
        /// What stands there.
        value: String,
        /// What the list has.
        list: String,
    },
    /// The key asks for what only later versions have.
    #[error("needs cniVersion {since} or later, the list has {version}")]
    TooEarly {
        /// The first version that has it.
        since: crate::SpecVersion,
        /// The list's version.
        version: crate::SpecVersion,
    },
}

/// Why a configuration could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    /// The file or directory could not be read.
    #[error("read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// The text is larger than [`crate::MAX_INPUT`].
    #[error("read {origin}: more than {} bytes", crate::MAX_INPUT)]
    TooLarge {
        /// Where the text is from.
        origin: Origin,
    },
    /// The text is no JSON.
    #[error("parse {origin}: {source}")]
    Syntax {
        /// Where the text is from.
        origin: Origin,
        /// What is wrong with it, with line and column.
        source: serde_json::Error,
    },
    /// The text is JSON but no configuration; all faults.
    #[error("{origin} is no network configuration: {}", list(faults))]
    Invalid {
        /// Where the text is from.
        origin: Origin,
        /// At least one fault.
        faults: Vec<Fault>,
    },
    /// No file of a directory has the network.
    #[error("find network {name}: no configuration of that name in {dir}{broken}", dir = dir.display())]
    NotFound {
        /// The network.
        name: NetworkName,
        /// The directory.
        dir: PathBuf,
        /// The files that could not be loaded, one of which may be it.
        broken: Broken,
    },
}

/// Where a configuration is from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// A text without a file.
    #[default]
    Text,
    /// A file.
    File(PathBuf),
}

/// Files that could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Broken(pub Vec<PathBuf>);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("the configuration"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, path) in self.0.iter().enumerate() {
            let before = if i == 0 { "; not readable: " } else { ", " };
            write!(f, "{before}{}", path.display())?;
        }
        Ok(())
    }
}

impl ConfError {
    /// The same error, saying which file it is about.
    #[must_use]
    pub(super) fn of_file(self, path: &std::path::Path) -> Self {
        let origin = Origin::File(path.to_owned());
        match self {
            Self::TooLarge { .. } => Self::TooLarge { origin },
            Self::Syntax { source, .. } => Self::Syntax { origin, source },
            Self::Invalid { faults, .. } => Self::Invalid { origin, faults },
            other @ (Self::Read { .. } | Self::NotFound { .. }) => other,
        }
    }
}

impl From<&ConfError> for CniError {
    fn from(error: &ConfError) -> Self {
        let code = match error {
            ConfError::Read { .. } => Code::IO_FAILURE,
            ConfError::TooLarge { .. } | ConfError::Syntax { .. } => Code::DECODING_FAILURE,
            ConfError::Invalid { faults, .. } => {
                let unknown = |f: &Fault| matches!(f.reason, FaultReason::Version(_));
                if faults.iter().any(unknown) {
                    Code::INCOMPATIBLE_VERSION
                } else {
                    Code::INVALID_NETWORK_CONFIG
                }
            }
            ConfError::NotFound { .. } => Code::INVALID_NETWORK_CONFIG,
        };
        Self::new(code, error.to_string())
    }
}

fn list(faults: &[Fault]) -> String {
    let texts: Vec<_> = faults.iter().map(Fault::to_string).collect();
    texts.join("; ")
}
