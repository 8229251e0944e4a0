//! Why the proxy does not run.

use std::io;
use std::path::PathBuf;

/// Why the proxy could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Settings say what cannot be.
    #[error("{}", .0.join("; "))]
    Settings(Vec<String>),
    /// A file cannot be read.
    #[error("read {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate or a key is none.
    #[error("{key}={}: {reason}", .path.display())]
    Certificate {
        /// The setting that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody can be listened to there.
    #[error("{operation} {host}: {source}")]
    Listen {
        /// What was tried.
        operation: &'static str,
        /// The setting.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The settings of CNI networks cannot be used.
    #[error("BARREL_ENABLE_CNI=1 with CNI_CONFIG_PATH={}: {reason}", .path.display())]
    Cni {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system gives no runtime or no signals.
    #[error("start the proxy: {0}")]
    Start(io::Error),
}
