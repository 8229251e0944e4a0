//! The networks that this node has, declared or found as files.

use crate::files::{Scan, is_generated, scan};
use crate::generate::{generate, ranges};
use crate::routed::local_ranges;
use crate::{CniFile, NetworkError};
use fairlead_cni::ConfList;
use fairlead_cni::conf::{ConfError, load_directory};
use fairlead_config::{Config, Network, NetworkKind};
use fairlead_kernel::Route;
use fairlead_types::NetworkName;
use ipnet::IpNet;
use std::path::{Path, PathBuf};

/// Every network that can be listed, sorted by name.
#[derive(Debug)]
pub struct Catalog {
    /// The networks.
    pub networks: Vec<Entry>,
    /// What is wrong with declarations.
    pub problems: Vec<NetworkError>,
}

/// One network.
#[derive(Debug)]
pub struct Entry {
    /// Its name; for a file that cannot be loaded, the file's.
    pub name: String,
    /// Where it is from.
    pub source: Source,
}

/// Where a network is from.
#[derive(Debug)]
pub enum Source {
    /// The configuration, or implied.
    Declared {
        /// The declaration.
        network: Box<Network>,
        /// The file that was generated from it, if setup has run.
        file: Option<CniFile>,
    },
    /// A file of `cni.config` that somebody else wrote.
    Found(CniFile),
    /// A file of `cni.config` that cannot be loaded.
    Broken {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: ConfError,
    },
}

impl Entry {
    /// The type as listings show it (specification 2): the loopback network is
    /// `loopback`, what is not declared `undef`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.source {
            Source::Declared { network, .. } => match network.kind {
                NetworkKind::Lo => "loopback",
                kind => kind.as_str(),
            },
            Source::Found(_) | Source::Broken { .. } => "undef",
        }
    }

    /// The ranges that are known: declared, or of `host-local` in a file.
    #[must_use]
    pub fn ranges(&self) -> Vec<IpNet> {
        match &self.source {
            Source::Declared { network, .. } => network.ranges.clone(),
            Source::Found(file) => ranges(&file.list),
            Source::Broken { .. } => Vec::new(),
        }
    }

    /// The ranges as listings show them, `undef` if none is known.
    #[must_use]
    pub fn network(&self) -> String {
        let ranges: Vec<String> = self.ranges().iter().map(IpNet::to_string).collect();
        match ranges.is_empty() {
            true => "undef".to_owned(),
            false => ranges.join(" "),
        }
    }

    /// The CNI file it has.
    #[must_use]
    pub const fn file(&self) -> Option<&CniFile> {
        match &self.source {
            Source::Declared { file, .. } => file.as_ref(),
            Source::Found(file) => Some(file),
            Source::Broken { .. } => None,
        }
    }
}

impl Catalog {
    /// Reads the declarations and the files.
    ///
    /// # Errors
    /// [`NetworkError::Config`] when `cni.config` cannot be evaluated,
    /// [`NetworkError::Conf`] when the directory cannot be listed.
    pub fn read(config: &Config) -> Result<Self, NetworkError> {
        let scan = scan(&config.cni_config()?)?;
        let hidden = hidden(config);
        let taken: Vec<&str> = config
            .network_names()
            .into_iter()
            .filter(|n| !hidden.contains(n))
            .collect();
        let (networks, problems) = config.networks();
        let Scan {
            mut files, broken, ..
        } = scan;
        let mut entries: Vec<Entry> = networks
            .into_iter()
            .map(|network| {
                let ours = files
                    .iter()
                    .position(|f| f.generated && f.list.name == network.name);
                let file = ours.map(|at| files.remove(at));
                Entry {
                    name: network.name.to_string(),
                    source: Source::Declared {
                        network: Box::new(network),
                        file,
                    },
                }
            })
            .collect();
        // Of several files with one name the first list wins, as for any runtime.
        files.sort_by_key(|f| f.path.extension().is_none_or(|e| e != "conflist"));
        for file in files
            .into_iter()
            .filter(|f| !f.generated && !is_portmap(&f.list))
        {
            let name = file.list.name.to_string();
            if !taken.contains(&&*name) && !entries.iter().any(|e| e.name == name) {
                entries.push(Entry {
                    name,
                    source: Source::Found(file),
                });
            }
        }
        for (path, reason) in broken {
            let name = stem(&path);
            if !taken.contains(&&*name) && !entries.iter().any(|e| e.name == name) {
                entries.push(Entry {
                    name,
                    source: Source::Broken { path, reason },
                });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let problems = problems
            .into_iter()
            .map(NetworkError::Declaration)
            .collect();
        Ok(Self {
            networks: entries,
            problems,
        })
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// A file that only maps ports is part of other networks (specification 3).
fn is_portmap(list: &ConfList) -> bool {
    list.plugins
        .iter()
        .all(|plugin| plugin.plugin_type() == "portmap")
}

/// The names of networks that are hidden: neither set up nor faulty.
pub(crate) fn hidden(config: &Config) -> Vec<&str> {
    let (networks, problems) = config.networks();
    let mut names = config.network_names();
    names.retain(|name| {
        let usable = networks.iter().any(|n| n.name.as_str() == *name);
        let faulty = problems.iter().any(|p| p.network() == Some(*name));
        !usable && !faulty
    });
    names
}

/// The configuration that a declared network has on this node. The greatest packet of a
/// routed bridge is that of its bridge, which setup gave it.
fn on_this_node(config: &Config, network: &Network) -> Result<ConfList, NetworkError> {
    let node = config.node();
    let mtu = match (network.kind, &network.bridge) {
        // A node without a segment is told so by `generate`.
        (NetworkKind::RoutedBridge, Some(bridge)) if !local_ranges(network, node).is_empty() => {
            let link = Route::open()?.link(bridge)?;
            let absent = || NetworkError::NotSetUp {
                network: network.name.clone(),
                bridge: bridge.clone(),
            };
            Some(link.ok_or_else(absent)?.mtu)
        }
        _ => None,
    };
    generate(network, node, mtu)
}

/// The configuration of one network. That of a declared network is generated, never
/// read: a file that is out of date or was changed by hand does no harm. Any other is
/// read from `cni.config`.
///
/// # Errors
/// [`NetworkError::Unknown`] names the networks there are;
/// [`NetworkError::Declaration`] for a faulty declaration,
/// [`NetworkError::NoSegment`] and [`NetworkError::NotSetUp`] for a routed bridge that was
/// not set up here;
/// [`NetworkError::Conf`] when the network's file cannot be loaded.
pub fn find(config: &Config, name: &NetworkName) -> Result<ConfList, NetworkError> {
    let (networks, problems) = config.networks();
    if let Some(network) = networks.iter().find(|n| n.name == *name) {
        return on_this_node(config, network);
    }
    let about = |p: &fairlead_config::Problem| p.network() == Some(name.as_str());
    if let Some(problem) = problems.into_iter().find(about) {
        return Err(NetworkError::Declaration(problem));
    }
    let dir = config.cni_config()?;
    let mut directory = load_directory(&dir)?;
    // What was generated for a network that is declared no more counts for nothing.
    directory
        .lists
        .retain(|(path, list)| !is_generated(&dir, path, list));
    if let Ok(list) = directory.find(name) {
        return Ok(list.clone());
    }
    let broken = directory
        .broken
        .into_iter()
        .find(|(path, _)| stem(path) == name.as_str());
    if let Some((_, reason)) = broken {
        return Err(reason.into());
    }
    let declared = networks.iter().map(|n| n.name.to_string());
    let found = directory.lists.iter().filter(|(_, list)| !is_portmap(list));
    let mut known: Vec<String> = declared
        .chain(found.map(|(_, list)| list.name.to_string()))
        .collect();
    known.sort();
    known.dedup();
    Err(NetworkError::Unknown {
        name: name.clone(),
        known,
        dir,
    })
}
