//! `cluster.conf` as the mirror of what etcd has.

use crate::cluster::Stored;
use crate::{Cluster, ClusterError, keys};
use fairlead_config::Target;
use fairlead_shared::{Committed, SharedState, Txn};
use fairlead_types::Root;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What [`Cluster::sync_config`] found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSync {
    /// `cluster.conf` is what etcd has; always so without etcd.
    Unchanged,
    /// The new text from etcd was written.
    Written {
        /// How often the cluster's configuration was changed until then.
        generation: u64,
    },
    /// Someone had edited `cluster.conf` here. What etcd has was written again.
    LocalEdit {
        /// Where the edited text is kept.
        saved_as: PathBuf,
    },
    /// etcd had lost the configuration, or had an older one; this node's was put back.
    PutBack {
        /// How often it was changed until then.
        generation: u64,
    },
}

/// What was mirrored last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// How often it had been changed.
    pub(crate) generation: u64,
    /// Its text.
    pub(crate) text: String,
    /// The text of the file before: it is still there after a crash in between.
    previous: Option<String>,
}

impl Record {
    fn path(root: &Root) -> PathBuf {
        root.state().join("config.mirror")
    }

    /// The record; nothing if nothing was mirrored. One that cannot be read is none: it
    /// is written anew by the next mirroring.
    pub(crate) fn read(root: &Root) -> Result<Option<Self>, ClusterError> {
        let path = Self::path(root);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ClusterError::file("read", path)(e)),
        }
    }

    fn write(&self, root: &Root) -> Result<(), ClusterError> {
        let path = Self::path(root);
        let text = serde_json::to_vec(self).unwrap_or_default();
        replace(&path, &text).map_err(ClusterError::file("write", path))
    }

    pub(crate) fn remove(root: &Root) -> Result<(), ClusterError> {
        let path = Self::path(root);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(ClusterError::file("remove", path)(e)),
            _ => Ok(()),
        }
    }

    /// Makes a text of the file one that came from the cluster.
    pub(crate) fn accept(root: &Root, text: Option<&str>) -> Result<(), ClusterError> {
        Self {
            generation: 0,
            text: text.unwrap_or_default().to_owned(),
            previous: None,
        }
        .write(root)
    }

    /// Whether a text of the file is one that was mirrored.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.text == text || self.previous.as_deref() == Some(text)
    }
}

impl Cluster {
    /// Makes `cluster.conf` what etcd has, at once for readers. A text that someone
    /// edited here is kept as `cluster.conf.rejected`. Where etcd was restored from
    /// nothing, or from a time before what this node mirrored last, this node's text is
    /// put back there first, so nothing that was given is given again.
    ///
    /// # Errors
    /// Shared state; a file that cannot be written; [`ClusterError::NotFounded`],
    /// [`ClusterError::BadConfig`]; [`ClusterError::NotJoined`] if this node left since the
    /// cluster was opened.
    pub fn sync_config(&self) -> Result<ConfigSync, ClusterError> {
        let Some(prefix) = &self.prefix else {
            return Ok(ConfigSync::Unchanged);
        };
        // Mostly there is nothing to do, and no lock to be held for it.
        let stored = Stored::of(&self.engine.range(keys::CONFIG)?, prefix)?;
        if let (Some(stored), Some(record)) = (stored, Record::read(&self.root)?)
            && (stored.generation, &stored.text) == (record.generation, &record.text)
            && std::fs::read(Target::Cluster.path(&self.root))
                .is_ok_and(|b| b == stored.text.as_bytes())
        {
            return Ok(ConfigSync::Unchanged);
        }
        Target::Cluster.rewrite(&self.root, |file| self.mirrored(prefix, file))
    }

    /// What the file is to have. It is decided under the lock of the file by what etcd
    /// has now, so of two processes the later one never writes the older text.
    fn mirrored(
        &self,
        prefix: &str,
        file: Option<&str>,
    ) -> Result<(Option<String>, ConfigSync), ClusterError> {
        self.check_joined()?;
        let record = Record::read(&self.root)?;
        let (stored, put_back) = self.put_back(prefix, record.as_ref())?;
        let ours = |text: &str| text == stored.text || record.as_ref().is_some_and(|r| r.has(text));
        let edited = file.filter(|text| !ours(text));
        let saved_as = match edited {
            Some(text) => Some(keep(&self.root, "rejected", text)?),
            None => None,
        };
        Record {
            generation: stored.generation,
            text: stored.text.clone(),
            previous: file.filter(|text| ours(text)).map(str::to_owned),
        }
        .write(&self.root)?;
        let generation = stored.generation;
        let sync = match saved_as {
            Some(saved_as) => ConfigSync::LocalEdit { saved_as },
            None if put_back => ConfigSync::PutBack { generation },
            None if file == Some(stored.text.as_str()) => ConfigSync::Unchanged,
            None => ConfigSync::Written { generation },
        };
        Ok((Some(stored.text), sync))
    }

    /// What etcd has, after putting back what it lost; says whether that was so.
    fn put_back(
        &self,
        prefix: &str,
        record: Option<&Record>,
    ) -> Result<(Stored, bool), ClusterError> {
        const ATTEMPTS: u32 = 10;
        for _ in 0..ATTEMPTS {
            let stored = Stored::of(&self.engine.range(keys::CONFIG)?, prefix)?;
            let (txn, record) = match (stored, record) {
                (None, Some(record)) => (Txn::new().absent(keys::CONFIG), record),
                (Some(stored), Some(record)) if stored.generation < record.generation => {
                    let at = stored.entry.modified;
                    (Txn::new().unchanged(keys::CONFIG, at), record)
                }
                (Some(stored), _) => return Ok((stored, false)),
                (None, None) => {
                    let prefix = prefix.to_owned();
                    return Err(ClusterError::NotFounded { prefix });
                }
            };
            let txn = txn
                .put(keys::CONFIG, record.text.clone())
                .put(keys::GENERATION, record.generation.to_string());
            if let Committed::Done(_) = self.engine.commit(&txn)? {
                let stored = Stored::of(&self.engine.range(keys::CONFIG)?, prefix)?;
                if let Some(stored) = stored {
                    return Ok((stored, true));
                }
            }
        }
        Err(ClusterError::Contended {
            operation: "put the cluster's configuration back",
            attempts: ATTEMPTS,
        })
    }
}

/// Keeps a text beside `cluster.conf`, as `cluster.conf.SUFFIX`.
pub(crate) fn keep(root: &Root, suffix: &str, text: &str) -> Result<PathBuf, ClusterError> {
    let mut name = Target::Cluster.path(root).into_os_string();
    name.push(".");
    name.push(suffix);
    let path = PathBuf::from(name);
    replace(&path, text.as_bytes()).map_err(ClusterError::file("write", &path))?;
    Ok(path)
}

/// Replaces a file at once. The caller holds the lock that orders writers.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&name)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&name, path)?;
    File::open(dir)?.sync_all()
}
