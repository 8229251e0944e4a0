//! `cluster.conf` as the mirror of what etcd has.

use crate::cluster::Stored;
use crate::config::write;
use crate::{Cluster, ClusterError, keys};
use fairlead_config::{Document, Mirror, Target};
use fairlead_shared::{Committed, SharedState, Txn};
use fairlead_types::Root;
use std::path::PathBuf;

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

impl Cluster {
    /// Makes `cluster.conf` what etcd has, at once for readers. A text that someone
    /// edited here is kept as `cluster.conf.rejected`. Where etcd was restored from
    /// nothing, or from a time before what this node mirrored last, this node's text is
    /// put back there first, so nothing that was given is given again.
    ///
    /// # Errors
    /// Shared state; a file that cannot be written; [`ClusterError::NotFounded`],
    /// [`ClusterError::BadConfig`]; [`ClusterError::SegmentLost`];
    /// [`ClusterError::NotJoined`] if this node left since the cluster was opened.
    pub fn sync_config(&self) -> Result<ConfigSync, ClusterError> {
        let result = self.sync();
        match &result {
            Ok(_) => self.trouble().lost = None,
            Err(e @ ClusterError::SegmentLost { .. }) => self.trouble().lost = Some(e.to_string()),
            Err(_) => {}
        }
        result
    }

    fn sync(&self) -> Result<ConfigSync, ClusterError> {
        let Some(prefix) = &self.prefix else {
            return Ok(ConfigSync::Unchanged);
        };
        // Mostly there is nothing to do, and no lock to be held for it.
        let stored = Stored::of(&self.engine.range(keys::CONFIG)?, prefix)?;
        if let (Some(stored), Some(record)) = (stored, Mirror::read(&self.root)?)
            && (stored.generation, &stored.text) == (record.generation, &record.text)
            && stored.entry.modified.0 == record.revision
            && self.file_has(&stored.text)
        {
            return Ok(ConfigSync::Unchanged);
        }
        Target::Cluster.rewrite(&self.root, |file| self.mirrored(prefix, file))
    }

    /// Makes `cluster.conf` what was mirrored last, without asking etcd: nothing else
    /// counts on a node that is in a cluster. A text that someone edited here is kept as
    /// `cluster.conf.rejected`.
    ///
    /// # Errors
    /// A file that cannot be read or written; [`ClusterError::NotJoined`] if this node left
    /// since the cluster was opened.
    pub fn restore_mirror(&self) -> Result<ConfigSync, ClusterError> {
        let record = match self.is_joined() {
            true => Mirror::read(&self.root)?,
            false => None,
        };
        if record.is_none_or(|record| self.file_has(&record.text)) {
            return Ok(ConfigSync::Unchanged);
        }
        Target::Cluster.rewrite(&self.root, |file| {
            self.check_joined()?;
            // Another process may have mirrored meanwhile.
            let Some(record) = Mirror::read(&self.root)? else {
                return Ok((None, ConfigSync::Unchanged));
            };
            if file == Some(&record.text) {
                return Ok((None, ConfigSync::Unchanged));
            }
            let generation = record.generation;
            let sync = match file.filter(|text| !record.has(text)) {
                Some(text) => ConfigSync::LocalEdit {
                    saved_as: keep(&self.root, "rejected", text)?,
                },
                None => ConfigSync::Written { generation },
            };
            Ok((Some(record.text), sync))
        })
    }

    fn file_has(&self, text: &str) -> bool {
        let file = std::fs::read(Target::Cluster.path(&self.root));
        file.is_ok_and(|bytes| bytes == text.as_bytes())
    }

    /// What the file is to have. It is decided under the lock of the file by what etcd
    /// has now, so of two processes the later one never writes the older text.
    fn mirrored(
        &self,
        prefix: &str,
        file: Option<&str>,
    ) -> Result<(Option<String>, ConfigSync), ClusterError> {
        self.check_joined()?;
        let record = Mirror::read(&self.root)?;
        let (stored, put_back) = self.put_back(prefix, record.as_ref())?;
        let ours = |text: &str| text == stored.text || record.as_ref().is_some_and(|r| r.has(text));
        let edited = file.filter(|text| !ours(text));
        let saved_as = match edited {
            Some(text) => Some(keep(&self.root, "rejected", text)?),
            None => None,
        };
        Mirror {
            generation: stored.generation,
            revision: stored.entry.modified.0,
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
        record: Option<&Mirror>,
    ) -> Result<(Stored, bool), ClusterError> {
        const ATTEMPTS: u32 = 10;
        for _ in 0..ATTEMPTS {
            let stored = Stored::of(&self.engine.range(keys::CONFIG)?, prefix)?;
            if let (Some(stored), Some(record)) = (&stored, record) {
                refuse_stranger(prefix, stored, record)?;
            }
            let (txn, text, generation) = match (stored, record) {
                (None, Some(record)) => {
                    let txn = Txn::new().absent(keys::CONFIG);
                    (txn, record.text.clone(), record.generation)
                }
                (Some(stored), Some(record)) if is_older(&stored, record) => {
                    let (text, generation) = self.reconciled(&stored, record)?;
                    if (&text, generation) == (&stored.text, stored.generation) {
                        return Ok((stored, false));
                    }
                    let at = stored.entry.modified;
                    (Txn::new().unchanged(keys::CONFIG, at), text, generation)
                }
                (Some(stored), _) => return Ok((stored, false)),
                (None, None) => {
                    let prefix = prefix.to_owned();
                    return Err(ClusterError::NotFounded { prefix });
                }
            };
            let txn = write(txn, &text, generation);
            if let Committed::Done(_) = self.engine.commit(&txn)? {
                let stored = Stored::of(&self.engine.range(keys::CONFIG)?, prefix)?;
                // Another one may have been quicker with something older still.
                if let Some(stored) = stored.filter(|s| s.generation >= generation) {
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

/// Refuses the configuration of another cluster than the one that was mirrored: etcd was
/// founded anew while this node was away, or its address or prefix was mistaken.
pub(crate) fn refuse_stranger(
    prefix: &str,
    stored: &Stored,
    record: &Mirror,
) -> Result<(), ClusterError> {
    let (theirs, own) = (identity(&stored.text), identity(&record.text));
    match (theirs, own) {
        // A record without a generation is of a join that is under way.
        (Some(theirs), Some(own)) if theirs != own && record.generation > 0 => {
            Err(ClusterError::Stranger {
                prefix: prefix.to_owned(),
                own,
                theirs,
            })
        }
        _ => Ok(()),
    }
}

/// The identity that a text of `cluster.conf` gives its cluster.
pub(crate) fn identity(text: &str) -> Option<String> {
    let document = Document::parse(text).ok()?;
    let own = document.get("cluster", "id").filter(|id| !id.is_empty());
    own.or(document.get("DEFAULT", "id")).map(str::to_owned)
}

/// Whether what etcd has is of a time before what was mirrored: it was changed fewer
/// times, or written earlier. After a restore it may have been changed as often since.
pub(crate) fn is_older(stored: &Stored, record: &Mirror) -> bool {
    stored.generation < record.generation || stored.entry.modified.0 < record.revision
}

/// Keeps a text beside `cluster.conf`, as `cluster.conf.SUFFIX`.
pub(crate) fn keep(root: &Root, suffix: &str, text: &str) -> Result<PathBuf, ClusterError> {
    let mut name = Target::Cluster.path(root).into_os_string();
    name.push(".");
    name.push(suffix);
    let path = PathBuf::from(name);
    fairlead_config::replace(&path, text.as_bytes(), 0o755)
        .map_err(ClusterError::file("write", &path))?;
    Ok(path)
}
