//! The handle on the cluster.

use crate::counted::Counted;
use crate::identity::Trouble;
use crate::{ClusterError, keys};
use fairlead_config::{Config, Document, EtcdSettings, Target, is_joined, nodename};
use fairlead_shared::{Entry, Etcd, EtcdOptions, Local, SharedError, SharedState, Snapshot};
use fairlead_types::Root;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Something that was read, from shared state or, where that is not reached, from this
/// node's mirror of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading<T> {
    /// What was read.
    pub value: T,
    /// Since when shared state is not reached: the value is as it was then. Nothing if
    /// the value is of now.
    pub stale: Option<SystemTime>,
}

/// The cluster, opened for one node. It may be used by several threads.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) root: Root,
    pub(crate) node: String,
    pub(crate) engine: Counted,
    /// What every key begins with in etcd; nothing without etcd.
    pub(crate) prefix: Option<String>,
    mirror: Option<Local>,
    /// Whether `node.conf` said so, which it may cease to do.
    pub(crate) declared: bool,
    /// The keys and values of this node's addresses as they were last written; nothing if
    /// that is not known.
    published: Mutex<Option<BTreeMap<String, Vec<u8>>>>,
    /// What is wrong with this node's place in the cluster.
    pub(crate) trouble: Arc<Mutex<Trouble>>,
}

impl Cluster {
    /// Opens the cluster as this node, by `node.conf`. etcd is not asked yet, so it may
    /// be down.
    ///
    /// # Errors
    /// A bad `node.conf`; files named there or a state file that cannot be opened.
    pub fn open(root: &Root) -> Result<Self, ClusterError> {
        Self::open_as(root, &nodename())
    }

    /// The same as the node of this name.
    ///
    /// # Errors
    /// As [`Cluster::open`].
    pub fn open_as(root: &Root, node: &str) -> Result<Self, ClusterError> {
        let local = Target::Node.read(root)?;
        let config = Config::from_documents(root, node, Document::default(), local);
        match config.etcd()? {
            Some(settings) => {
                let engine = Arc::new(Etcd::open(&options(&settings))?);
                let cluster = Self::over(root, node, engine, Some(settings.prefix))?;
                Ok(Self {
                    declared: true,
                    ..cluster
                })
            }
            None => {
                let file = Local::open(&root.state().join("shared.db"))?;
                Self::over(root, node, Arc::new(file), None)
            }
        }
    }

    /// The same over an engine of the caller's: with `prefix` it is one that other nodes
    /// see too.
    ///
    /// # Errors
    /// As [`Cluster::open`].
    pub fn over(
        root: &Root,
        node: &str,
        engine: Arc<dyn SharedState>,
        prefix: Option<String>,
    ) -> Result<Self, ClusterError> {
        let mirror = match prefix {
            Some(_) => Some(open_mirror(root)?),
            None => None,
        };
        Ok(Self {
            root: root.clone(),
            node: node.to_owned(),
            engine: Counted::new(engine),
            prefix,
            mirror,
            declared: false,
            published: Mutex::default(),
            trouble: Arc::default(),
        })
    }

    /// Whether the node shares its state with others.
    #[must_use]
    pub const fn is_joined(&self) -> bool {
        self.prefix.is_some()
    }

    /// The node's name.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The engine. What others read is written by the methods here.
    #[must_use]
    pub fn state(&self) -> &dyn SharedState {
        &self.engine
    }

    /// Since when etcd has not answered; nothing if it answered the last call.
    #[must_use]
    pub fn staleness(&self) -> Option<SystemTime> {
        self.engine.silent_since()
    }

    /// Refuses where this node left its cluster since this handle was opened: its files
    /// are its own again.
    pub(crate) fn check_joined(&self) -> Result<(), ClusterError> {
        if self.declared && !is_joined(&Target::Node.read(&self.root)?) {
            let node = self.node.clone();
            return Err(ClusterError::NotJoined { node });
        }
        Ok(())
    }

    pub(crate) fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mirror of shared state, with etcd.
    pub(crate) const fn mirror_file(&self) -> Option<&Local> {
        self.mirror.as_ref()
    }

    pub(crate) fn published(&self) -> MutexGuard<'_, Option<BTreeMap<String, Vec<u8>>>> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The files of this node as they are: with etcd, what was mirrored last.
    pub(crate) fn local_config(&self) -> Result<Config, ClusterError> {
        Ok(Config::load(&self.root, &self.node)?)
    }

    /// Reads by `read` from shared state, or from the mirror if that is not reached.
    pub(crate) fn read<T>(
        &self,
        read: impl Fn(&dyn SharedState) -> Result<T, fairlead_shared::SharedError>,
    ) -> Result<Reading<T>, ClusterError> {
        match (read(&self.engine), &self.mirror) {
            (Ok(value), _) => Ok(Reading { value, stale: None }),
            (Err(e), Some(mirror)) if e.is_unreachable() => {
                let value = read(mirror)?;
                let stale = Some(self.staleness().unwrap_or_else(SystemTime::now));
                Ok(Reading { value, stale })
            }
            (Err(e), _) => Err(e.into()),
        }
    }
}

/// Opens the mirror. One that is damaged is set aside: all that is in it is in etcd, and
/// is read from there again.
fn open_mirror(root: &Root) -> Result<Local, ClusterError> {
    let path = root.state().join("mirror.db");
    match Local::open(&path) {
        Err(SharedError::Damaged { .. }) => {
            for end in ["", "-wal", "-shm"] {
                let file = format!("{}{end}", path.display());
                match std::fs::rename(&file, format!("{file}.damaged")) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(ClusterError::file("set aside", file)(error));
                    }
                    _ => {}
                }
            }
            Ok(Local::open(&path)?)
        }
        opened => Ok(opened?),
    }
}

/// The settings of `node.conf` for the engine.
pub(crate) fn options(settings: &EtcdSettings) -> EtcdOptions {
    EtcdOptions {
        endpoints: settings.endpoints.clone(),
        ca: settings.ca.clone(),
        cert: settings.cert.clone(),
        key: settings.key.clone(),
        user: settings.user.clone(),
        password_file: settings.password_file.clone(),
        prefix: settings.prefix.clone(),
        ..EtcdOptions::default()
    }
}

/// The cluster's configuration in shared state.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// The key's entry.
    pub(crate) entry: Entry,
    /// The text of `cluster.conf`.
    pub(crate) text: String,
    /// How often it was changed.
    pub(crate) generation: u64,
}

impl Stored {
    /// From the entries under the prefix `config`; nothing if it is not there.
    ///
    /// # Errors
    /// [`ClusterError::BadConfig`]: no text, or no configuration.
    pub(crate) fn of(snapshot: &Snapshot, prefix: &str) -> Result<Option<Self>, ClusterError> {
        let Some(entry) = snapshot.get(keys::CONFIG) else {
            return Ok(None);
        };
        let bad = |reason: String| ClusterError::BadConfig {
            prefix: prefix.to_owned(),
            revision: entry.modified.0,
            reason,
        };
        let text = std::str::from_utf8(&entry.value).map_err(|e| bad(e.to_string()))?;
        Document::parse(text).map_err(|e| bad(e.to_string()))?;
        // Someone who writes `config` by hand need not know of the generation.
        let number = snapshot.get(keys::GENERATION).and_then(|e| {
            let text = std::str::from_utf8(&e.value).ok()?;
            text.trim().parse().ok()
        });
        Ok(Some(Self {
            entry: entry.clone(),
            text: text.to_owned(),
            generation: number.unwrap_or_default(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_mirror_is_set_aside_and_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        let engine = Arc::new(Local::open(&dir.path().join("engine.db")).unwrap());
        let open = || Cluster::over(&root, "n1", engine.clone(), Some("/fairlead".into()));
        drop(open().unwrap());
        let mirror = root.state().join("mirror.db");
        std::fs::write(&mirror, vec![7; 8192]).unwrap();
        let cluster = open().unwrap();
        assert!(cluster.mirror_file().is_some());
        assert!(root.state().join("mirror.db.damaged").exists());
    }
}
