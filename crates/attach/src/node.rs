//! The node: its configuration, its state, its plugins.

use crate::{AttachError, StoreCache};
use fairlead_cni::runtime::Runtime;
use fairlead_config::{Config, Document};
use fairlead_networks::Known;
use fairlead_plugins::{Host, PluginSet};
use fairlead_types::{ObjectName, Root};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where plugins of other makers are searched, behind `cni.plugins`.
const OTHER_PLUGIN_DIRECTORIES: [&str; 2] = ["/usr/lib/cni", "/usr/libexec/cni"];

/// This node, in the network namespace of the calling thread.
pub struct Node {
    pub(crate) config: Config,
    pub(crate) plugins: PluginSet,
    plugin_path: Vec<PathBuf>,
    pub(crate) time_limit: Duration,
    known: Known,
}

impl Node {
    /// Reads the configuration below `root`. The state is opened when it is needed.
    ///
    /// # Errors
    /// [`AttachError::Config`].
    pub fn open(root: &Root) -> Result<Self, AttachError> {
        Self::with_config(root, Config::load(root, &fairlead_config::nodename())?)
    }

    /// The node without its configuration, for taking things away when the files are
    /// damaged: that works from records.
    ///
    /// # Errors
    /// [`AttachError::Config`], which an empty configuration does not have.
    pub fn without_config(root: &Root) -> Result<Self, AttachError> {
        let name = fairlead_config::nodename();
        let (cluster, local) = (Document::default(), Document::default());
        Self::with_config(root, Config::from_documents(root, &name, cluster, local))
    }

    /// The node for the agent, whose threads share one `host` whatever becomes of the
    /// configuration. The plugins of other makers are those of `config`.
    ///
    /// # Errors
    /// [`AttachError::Config`].
    pub fn on(host: Arc<Host>, config: Config) -> Result<Self, AttachError> {
        Self::with_plugins(PluginSet::on(host), config)
    }

    fn with_config(root: &Root, config: Config) -> Result<Self, AttachError> {
        Self::with_plugins(PluginSet::new(root.clone()), config)
    }

    fn with_plugins(plugins: PluginSet, config: Config) -> Result<Self, AttachError> {
        let own = config.cni_plugins()?;
        let others = OTHER_PLUGIN_DIRECTORIES.iter().map(PathBuf::from);
        let others: Vec<PathBuf> = others.filter(|dir| *dir != own).collect();
        Ok(Self {
            time_limit: config.cni_timeout()?,
            plugin_path: std::iter::once(own).chain(others).collect(),
            plugins,
            config,
            known: Known::default(),
        })
    }

    /// Searches plugins of other makers in `path` instead, and gives each no longer than
    /// `limit`.
    pub fn use_programs(&mut self, path: Vec<PathBuf>, limit: Duration) {
        self.plugin_path = path;
        self.time_limit = limit;
    }

    /// The configuration as it was read.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Tells where the nodes of the cluster are, for looks at what leads to them.
    pub fn know(&mut self, known: Known) {
        self.known = known;
    }

    /// Where the nodes of the cluster are, as far as that was told.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// What the plugins share: the state and the nftables.
    #[must_use]
    pub fn host(&self) -> &Host {
        self.plugins.host()
    }

    /// Where plugins of other makers are searched.
    #[must_use]
    pub fn plugin_path(&self) -> &[PathBuf] {
        &self.plugin_path
    }

    /// The cache of attachments; what it records is for `object`.
    #[must_use]
    pub fn cache<'a>(&'a self, object: Option<&'a ObjectName>) -> StoreCache<'a> {
        StoreCache::new(self.host(), object)
    }

    /// The CNI runtime of this node.
    #[must_use]
    pub fn runtime<'a>(&'a self, cache: &'a StoreCache<'a>) -> Runtime<'a> {
        Runtime {
            path: self.plugin_path.clone(),
            builtins: &self.plugins,
            cache,
            time_limit: self.time_limit,
            prefer_external: false,
        }
    }
}
