//! The plugin's side of the protocol: the call, the trait, and `serve`, which
//! turns environment and standard input into a call.

mod args;
mod serve;
#[cfg(test)]
mod tests;

pub use args::CniArgs;
pub(crate) use serve::refuse_own_namespace;
pub use serve::{PluginIo, serve};

use crate::{CniError, CniResult, Code, NetConf, SpecVersion};
use fairlead_types::{ContainerId, IfName, Owner};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a plugin may take when nobody says otherwise. A delegated plugin
/// such as `dhcp` waits for the network, so it is long.
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(120);

/// What is asked of a plugin, `CNI_COMMAND`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Put the container on the network.
    Add,
    /// Take it off.
    Del,
    /// Is what ADD made still there?
    Check,
    /// Remove what belongs to no valid attachment.
    Gc,
    /// Can the plugin serve ADD?
    Status,
    /// Which versions does the plugin speak?
    Version,
}

impl Command {
    /// The word in the environment.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }

    /// The command of a word; they are written in capitals.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Add,
            Self::Del,
            Self::Check,
            Self::Gc,
            Self::Status,
            Self::Version,
        ]
        .into_iter()
        .find(|c| c.as_str() == word)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One call of a plugin, checked: ADD, DEL and CHECK have a container and an
/// interface name, ADD and CHECK a namespace.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked.
    pub command: Command,
    /// The container; none on GC and STATUS.
    pub container: Option<ContainerId>,
    /// The path of the container's namespace; DEL may have none.
    pub netns: Option<PathBuf>,
    /// The interface's name in the container; none on GC and STATUS.
    pub ifname: Option<IfName>,
    /// `CNI_ARGS`.
    pub args: CniArgs,
    /// `CNI_PATH`: where delegated plugins are searched.
    pub path: Vec<PathBuf>,
    /// `CNI_NETNS_OVERRIDE`: the namespace may be the plugin's own.
    pub netns_override: bool,
    /// The version to answer in.
    pub version: SpecVersion,
    /// The configuration.
    pub config: NetConf,
    /// How long a delegated program may take.
    pub time_limit: Duration,
}

impl Call {
    /// A call without container, namespace and arguments; its version is the
    /// configuration's.
    #[must_use]
    pub fn new(command: Command, config: NetConf) -> Self {
        Self {
            command,
            container: None,
            netns: None,
            ifname: None,
            args: CniArgs::default(),
            path: Vec::new(),
            netns_override: false,
            version: config.version(),
            config,
            time_limit: DEFAULT_TIME_LIMIT,
        }
    }

    /// Who holds what the call makes.
    ///
    /// # Errors
    /// Code 4 when the call has no container or interface, as GC and STATUS.
    pub fn owner(&self) -> Result<Owner, CniError> {
        match (&self.container, &self.ifname) {
            (Some(container), Some(ifname)) => Ok(Owner {
                network: self.config.name().clone(),
                container: container.clone(),
                ifname: ifname.clone(),
            }),
            (None, _) => Err(missing(&["CNI_CONTAINERID"])),
            (_, None) => Err(missing(&["CNI_IFNAME"])),
        }
    }

    /// The path of the container's namespace.
    ///
    /// # Errors
    /// Code 4 when the call has none.
    pub fn netns(&self) -> Result<&Path, CniError> {
        self.netns.as_deref().ok_or_else(|| missing(&["CNI_NETNS"]))
    }
}

fn missing(names: &[&str]) -> CniError {
    CniError::new(
        Code::INVALID_ENVIRONMENT,
        format!("required env variables [{}] missing", names.join(",")),
    )
}

/// What a plugin does. Every method may be called again for the same attachment;
/// DEL and GC treat what is gone as done.
pub trait Plugin {
    /// Puts the container on the network, or leaves nothing behind.
    ///
    /// # Errors
    /// What the runtime is told.
    fn add(&self, call: &Call) -> Result<CniResult, CniError>;

    /// Takes the container off the network.
    ///
    /// # Errors
    /// What could not be removed.
    fn del(&self, call: &Call) -> Result<(), CniError>;

    /// Whether what ADD made is as `prevResult` says.
    ///
    /// # Errors
    /// What is missing or different.
    fn check(&self, call: &Call) -> Result<(), CniError>;

    /// Removes what belongs to no attachment that is still valid. Nothing to
    /// remove unless a plugin says otherwise.
    ///
    /// # Errors
    /// What could not be removed.
    fn gc(&self, call: &Call) -> Result<(), CniError> {
        let _ = call;
        Ok(())
    }

    /// Whether ADD can be served. Yes unless a plugin says otherwise.
    ///
    /// # Errors
    /// Codes 50 and 51.
    fn status(&self, call: &Call) -> Result<(), CniError> {
        let _ = call;
        Ok(())
    }
}

/// The plugins that are run in process, by `type`. Each speaks every version.
pub trait Builtins {
    /// The plugin of that type, when it is built in.
    fn get(&self, plugin_type: &str) -> Option<&dyn Plugin>;
}

/// No plugin is built in.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBuiltins;

impl Builtins for NoBuiltins {
    fn get(&self, _: &str) -> Option<&dyn Plugin> {
        None
    }
}
