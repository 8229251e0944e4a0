//! The domain in which an address has one holder.

use fairlead_types::{NetworkName, Root};
use std::path::{Path, PathBuf};

/// A pool: the network, and the host-local directory it is kept apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    id: String,
    network: NetworkName,
    host_local: PathBuf,
}

impl Pool {
    /// Where host-local keeps its files unless `dataDir` says otherwise.
    pub const DATA_DIR: &'static str = "/var/lib/cni/networks";

    /// The pool of a network. `data_dir` is the configuration's `dataDir`: two
    /// networks of one name but different directories share no addresses.
    #[must_use]
    pub fn new(root: &Root, network: &NetworkName, data_dir: Option<&Path>) -> Self {
        let own = data_dir.filter(|dir| *dir != Path::new(Self::DATA_DIR));
        let (id, dir) = match own {
            // No network's name has a slash, so the two forms never meet.
            Some(dir) => (format!("{}/{network}", dir.display()), dir.to_owned()),
            None => (network.to_string(), root.join(Self::DATA_DIR)),
        };
        Self {
            id,
            network: network.clone(),
            host_local: dir.join(network.as_str()),
        }
    }

    /// The name in the store.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The network.
    #[must_use]
    pub const fn network(&self) -> &NetworkName {
        &self.network
    }

    /// The directory in which the reference plugin kept this pool.
    #[must_use]
    pub fn host_local(&self) -> &Path {
        &self.host_local
    }
}
