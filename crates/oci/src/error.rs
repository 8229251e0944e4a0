//! Why a container could not get its place.

use fairlead_attach::AttachError;
use fairlead_cni::conf::ConfError;
use fairlead_networks::NetworkError;
use fairlead_types::NameError;
use std::path::PathBuf;

/// A failure of the door, in one line that reaches who started the container.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The settings cannot be read.
    #[error("settings {path}: {source}")]
    ReadSettings {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The settings are not what they must be.
    #[error("settings {path}: {reason}")]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the key.
        reason: String,
    },
    /// The command line of a runtime lacks something.
    #[error("{0}")]
    CommandLine(&'static str),
    /// The bundle cannot be read or written.
    #[error("{operation} {path}: {source}")]
    Bundle {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file is no JSON, or not of the form.
    #[error("{path}: {reason}")]
    Form {
        /// The file, or where the text came from.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// What the container asks for cannot be.
    #[error("{key}={value:?}: {reason}")]
    Choice {
        /// The annotation, label or variable.
        key: String,
        /// Its value.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no network at all.
    #[error(
        "no network: {dir} has no configuration that can be used{}, and the container names none", unusable(.broken)
    )]
    NoNetwork {
        /// The folder.
        dir: PathBuf,
        /// Why its files cannot be used.
        broken: Vec<String>,
    },
    /// The interface is there already: the engine has given one itself.
    #[error(
        "container {container} has an interface {ifname} already; run it with --net none under this runtime"
    )]
    HasInterface {
        /// The container.
        container: String,
        /// The interface.
        ifname: String,
    },
    /// A configuration cannot be loaded.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// A network cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The core says no.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// A name that nothing can have.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl From<fairlead_store::StoreError> for OciError {
    fn from(error: fairlead_store::StoreError) -> Self {
        Self::Attach(error.into())
    }
}

impl From<fairlead_kernel::KernelError> for OciError {
    fn from(error: fairlead_kernel::KernelError) -> Self {
        Self::Attach(error.into())
    }
}

fn unusable(files: &[String]) -> String {
    match files {
        [] => String::new(),
        files => format!(" ({})", files.join("; ")),
    }
}

/// A text in one line: runtimes and engines show the last line only.
pub(crate) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}
