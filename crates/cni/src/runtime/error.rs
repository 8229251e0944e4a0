//! What can go wrong when a list of plugins is run.

use crate::conf::ConfError;
use crate::{CacheError, CniError, Code, Command, ResultError, SpecVersion};
use fairlead_types::{NetworkName, Owner};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a verb of the runtime failed.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No such plugin is built in or in the directories.
    #[error(
        "find plugin {plugin:?}: not built in and not in {}; install it there or set cni.plugins",
        paths(searched)
    )]
    NotFound {
        /// The plugin's `type`.
        plugin: String,
        /// The directories, in the order they were searched.
        searched: Vec<PathBuf>,
    },
    /// The name would lead out of the directories.
    #[error("find plugin {plugin:?}: a plugin's name is the name of one file, without '/'")]
    PluginName {
        /// The plugin's `type`.
        plugin: String,
    },
    /// The program could not be started or talked to.
    #[error("{operation} {program}: {source}", program = program.display())]
    Program {
        /// What was tried.
        operation: &'static str,
        /// The program.
        program: PathBuf,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// The program did not end in time and was killed.
    #[error("{command} of {program}: not done after {limit:?}, killed{said}", program = program.display())]
    TimeLimit {
        /// What was asked.
        command: Command,
        /// The program.
        program: PathBuf,
        /// The time it had.
        limit: Duration,
        /// What it wrote to standard error.
        said: Said,
    },
    /// The program wrote more than [`crate::MAX_INPUT`] bytes and was killed.
    #[error("{command} of {program}: more than {} bytes on standard output, killed{said}", crate::MAX_INPUT, program = program.display())]
    TooMuchOutput {
        /// What was asked.
        command: Command,
        /// The program.
        program: PathBuf,
        /// What it wrote to standard error.
        said: Said,
    },
    /// The program failed without an error object.
    #[error("{command} of {program}: {status} without an error on standard output{said}", program = program.display())]
    Exit {
        /// What was asked.
        command: Command,
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error, or else to standard output.
        said: Said,
    },
    /// The program succeeded but its answer is none.
    #[error("{command} of {program}: the answer is not as the specification has it: {reason}{said}", program = program.display())]
    Answer {
        /// What was asked.
        command: Command,
        /// The program.
        program: PathBuf,
        /// What is wrong with the answer.
        reason: String,
        /// What it wrote to standard error.
        said: Said,
    },
    /// The plugin answered with an error.
    #[error("{command} of plugin {plugin}{}: {source}", own_number(source))]
    Plugin {
        /// What was asked.
        command: Command,
        /// The plugin's `type`.
        plugin: String,
        /// Its answer.
        source: CniError,
    },
    /// ADD failed; what had been done was undone as far as `undo` does not say.
    #[error("add to network {network}: {failed}{}", undone(undo))]
    Add {
        /// The network.
        network: NetworkName,
        /// Why.
        #[source]
        failed: Box<RuntimeError>,
        /// What could not be undone.
        undo: Vec<RuntimeError>,
    },
    /// A verb that goes on to the end met these.
    #[error("{command} on network {network}: {}", join(errors))]
    Several {
        /// What was asked.
        command: Command,
        /// The network.
        network: NetworkName,
        /// At least one.
        errors: Vec<RuntimeError>,
    },
    /// The list has no plugin.
    #[error("run network {network}: its configuration has no plugin")]
    NoPlugin {
        /// The network.
        network: NetworkName,
    },
    /// An argument cannot be passed.
    #[error("pass the arguments of {owner}: {source}")]
    Arguments {
        /// The attachment.
        owner: Owner,
        /// What is wrong.
        source: CniError,
    },
    /// ADD for an attachment that is there, or was left by an ADD that died.
    #[error("add {owner}: it is attached already; detach it first")]
    AlreadyAttached {
        /// The attachment.
        owner: Owner,
    },
    /// CHECK for an attachment that ADD did not make.
    #[error("check {owner}: it is not attached, or its ADD did not end")]
    NotAttached {
        /// The attachment.
        owner: Owner,
    },
    /// CHECK of a list whose version does not have it.
    #[error(
        "check network {network}: cniVersion {version} does not have CHECK, 0.4.0 and later do"
    )]
    CheckTooEarly {
        /// The network.
        network: NetworkName,
        /// The list's version.
        version: SpecVersion,
    },
    /// The plugin does not speak the list's version.
    #[error("plugin {plugin} does not speak cniVersion {version}: it speaks {}", speaks.join(", "))]
    Version {
        /// The plugin's `type`.
        plugin: String,
        /// The list's version.
        version: SpecVersion,
        /// What it says it speaks.
        speaks: Vec<String>,
    },
    /// The cache failed.
    #[error("{operation} the record of {what}: {source}")]
    Cache {
        /// What was tried.
        operation: &'static str,
        /// The attachment or network.
        what: String,
        /// The cache's reason.
        source: CacheError,
    },
    /// The configuration in the cache cannot be read.
    #[error("read the recorded configuration of {owner}: {source}")]
    RecordedConfig {
        /// The attachment.
        owner: Owner,
        /// Why.
        source: Box<ConfError>,
    },
    /// The result in the cache cannot be read.
    #[error("read the recorded result of {owner}: {source}")]
    RecordedResult {
        /// The attachment.
        owner: Owner,
        /// Why.
        source: ResultError,
    },
}

impl RuntimeError {
    /// Whether the plugin cannot have done anything: it never ran, or refused the
    /// version. Its DEL would fail the same way and undo nothing.
    pub(super) fn did_nothing(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::PluginName { .. } | Self::Arguments { .. } => true,
            Self::Program { operation, .. } => *operation == START,
            Self::Plugin { source, .. } => source.code == Code::INCOMPATIBLE_VERSION,
            _ => false,
        }
    }
}

/// The number of an error that is a plugin's own: its maker's documents have it.
fn own_number(error: &CniError) -> String {
    match error.code {
        Code(0..100) | Code::INTERNAL => String::new(),
        own => format!(" (its error {own})"),
    }
}

/// The operation of [`RuntimeError::Program`] before there is a process.
pub(super) const START: &str = "start";

/// What a program wrote to standard error: its last part, shortened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said(pub String);

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, "; it said: {}", self.0)
    }
}

impl From<&RuntimeError> for CniError {
    fn from(error: &RuntimeError) -> Self {
        use RuntimeError as E;
        let code = match error {
            // A plugin's own error passes unchanged: its number is what the caller acts on.
            E::Plugin { source, .. } | E::Arguments { source, .. } => return source.clone(),
            E::Add { failed, .. } => Self::from(failed.as_ref()).code,
            E::Several { errors, .. } => errors
                .first()
                .map_or(Code::INTERNAL, |e| Self::from(e).code),
            E::Program { .. } | E::Cache { .. } => Code::IO_FAILURE,
            E::TooMuchOutput { .. } | E::Answer { .. } | E::RecordedResult { .. } => {
                Code::DECODING_FAILURE
            }
            E::PluginName { .. } | E::NoPlugin { .. } => Code::INVALID_NETWORK_CONFIG,
            E::CheckTooEarly { .. } | E::Version { .. } => Code::INCOMPATIBLE_VERSION,
            E::NotAttached { .. } => Code::UNKNOWN_CONTAINER,
            E::RecordedConfig { source, .. } => Self::from(source.as_ref()).code,
            E::NotFound { .. }
            | E::TimeLimit { .. }
            | E::Exit { .. }
            | E::AlreadyAttached { .. } => Code::INTERNAL,
        };
        Self::new(code, error.to_string())
    }
}

fn paths(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "any directory (none is given)".into();
    }
    let texts: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
    texts.join(", ")
}

pub(super) fn join(errors: &[RuntimeError]) -> String {
    let texts: Vec<_> = errors.iter().map(RuntimeError::to_string).collect();
    texts.join("; ")
}

fn undone(undo: &[RuntimeError]) -> String {
    if undo.is_empty() {
        return String::new();
    }
    format!("; undoing it failed too: {}", join(undo))
}
