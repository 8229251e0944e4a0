//! What this node keeps of `cluster.conf` elsewhere, so that a damaged file harms nobody.
//!
//! On a node of a cluster the file is a mirror of what the cluster has, and the
//! [`Mirror`] beside the node's state says what was mirrored last: that counts, whatever
//! became of the file. On a node alone the file is the truth, and one that vanished or
//! was emptied is told from one that declares nothing by a copy of the last good text.

use crate::file::{self, Target};
use crate::{ConfigError, Document};
use fairlead_types::Root;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What was mirrored last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// How often it had been changed.
    pub generation: u64,
    /// When it was written, in revisions of the state it came from; 0 if that is not
    /// known. A smaller one there tells that the state was restored.
    #[serde(default)]
    pub revision: i64,
    /// Its text.
    pub text: String,
    /// The text of the file before: it is still there after a crash in between.
    #[serde(default)]
    pub previous: Option<String>,
}

impl Mirror {
    fn path(root: &Root) -> PathBuf {
        root.state().join("config.mirror")
    }

    /// The record below `root`; nothing if nothing was mirrored. One that cannot be
    /// understood is none: it is written anew by the next mirroring.
    ///
    /// # Errors
    /// [`ConfigError::Read`].
    pub fn read(root: &Root) -> Result<Option<Self>, ConfigError> {
        let bytes = read(&Self::path(root))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Makes it the record below `root`, at once for readers.
    ///
    /// # Errors
    /// [`ConfigError::Write`].
    pub fn write(&self, root: &Root) -> Result<(), ConfigError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        replace(&Self::path(root), &text)
    }

    /// Removes the record: nothing is mirrored any more.
    ///
    /// # Errors
    /// [`ConfigError::Write`].
    pub fn remove(root: &Root) -> Result<(), ConfigError> {
        let path = Self::path(root);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(ConfigError::Write { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Whether a text of the file is one that was mirrored.
    #[must_use]
    pub fn has(&self, text: &str) -> bool {
        self.text == text || self.previous.as_deref() == Some(text)
    }
}

/// Whether a `node.conf` says that the node is one of a cluster.
#[must_use]
pub fn is_joined(local: &Document) -> bool {
    let mut options = local.options("etcd");
    options.any(|(key, value)| key.split('@').next() == Some("endpoints") && !value.is_empty())
}

/// What counts as `cluster.conf` on the node with this `node.conf`.
pub(crate) fn cluster(root: &Root, local: &Document) -> Result<Document, ConfigError> {
    if is_joined(local)
        && let Some(mirror) = Mirror::read(root)?
    {
        let path = Mirror::path(root);
        return Document::parse(&mirror.text)
            .map_err(|source| ConfigError::Malformed { path, source });
    }
    let path = Target::Cluster.path(root);
    let document = file::read(&path)?;
    if says_nothing(&document) {
        let copy = copy_path(root);
        let last = read(&copy)?.and_then(|bytes| String::from_utf8(bytes).ok());
        let last = last.and_then(|text| Document::parse(&text).ok());
        if last.is_some_and(|last| last.sections().any(|s| s.starts_with("network#"))) {
            return Err(ConfigError::Vanished { path, copy });
        }
    }
    Ok(document)
}

/// Keeps a copy of `cluster.conf` as one that counted. Afterwards an empty file, or none,
/// counts as damaged if the copy declares networks.
///
/// # Errors
/// A file that cannot be read or written.
pub fn remember(root: &Root) -> Result<(), ConfigError> {
    let path = Target::Cluster.path(root);
    let Some(bytes) = read(&path)? else {
        return Ok(());
    };
    let copy = copy_path(root);
    if read(&copy)?.as_ref() == Some(&bytes) {
        return Ok(());
    }
    let document = String::from_utf8(bytes.clone()).ok();
    let document = document.and_then(|text| Document::parse(&text).ok());
    if document.is_none_or(|document| says_nothing(&document)) {
        return Ok(());
    }
    replace(&copy, &bytes)
}

/// A file that someone meant has a section at least.
fn says_nothing(document: &Document) -> bool {
    document.sections().next().is_none()
}

fn copy_path(root: &Root) -> PathBuf {
    root.state().join("cluster.conf.last")
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, ConfigError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => {
            let path = path.to_path_buf();
            Err(ConfigError::Read { path, source })
        }
    }
}

/// Replaces a file of the node's state at once.
fn replace(path: &Path, text: &[u8]) -> Result<(), ConfigError> {
    file::replace(path, text, 0o700).map_err(|source| ConfigError::Write {
        path: path.to_path_buf(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Config, change};

    const NETWORK: &str = "[network#b]\ntype = bridge\nnetwork = 10.77.0.0/24\n";

    fn root() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        std::fs::create_dir_all(root.etc()).unwrap();
        (dir, root)
    }

    fn write(root: &Root, target: Target, text: &str) {
        std::fs::write(target.path(root), text).unwrap();
    }

    fn networks(root: &Root) -> Result<usize, ConfigError> {
        let config = Config::load(root, "n1")?;
        let sections = config.sections().into_iter();
        Ok(sections.filter(|s| s.starts_with("network#")).count())
    }

    #[test]
    fn a_node_of_a_cluster_reads_what_was_mirrored_whatever_became_of_the_file() {
        let (_dir, root) = root();
        let mirror = Mirror {
            text: NETWORK.to_owned(),
            ..Mirror::default()
        };
        mirror.write(&root).unwrap();
        assert_eq!(networks(&root).unwrap(), 0, "a node alone has its own file");
        write(&root, Target::Node, "[etcd]\nendpoints = http://n1:2379\n");
        for damaged in ["", "no configuration\n", "[network#x]\n[network#y]\n"] {
            write(&root, Target::Cluster, damaged);
            assert_eq!(networks(&root).unwrap(), 1, "{damaged:?}");
        }
        std::fs::remove_file(Target::Cluster.path(&root)).unwrap();
        assert_eq!(networks(&root).unwrap(), 1);
        Mirror::remove(&root).unwrap();
        assert_eq!(networks(&root).unwrap(), 0);
    }

    #[test]
    fn a_file_that_lost_its_networks_cannot_be_read_until_it_says_something() {
        let (_dir, root) = root();
        assert_eq!(networks(&root).unwrap(), 0, "there never was one");
        write(&root, Target::Cluster, NETWORK);
        remember(&root).unwrap();
        let path = Target::Cluster.path(&root);
        for damaged in [Some(""), Some("# nothing\n\n"), None] {
            match damaged {
                Some(text) => write(&root, Target::Cluster, text),
                None => std::fs::remove_file(&path).unwrap(),
            }
            remember(&root).unwrap();
            let told = networks(&root).unwrap_err().to_string();
            assert!(told.contains("cluster.conf.last"), "{told}");
            let id = Change::Set("cluster.name=x".parse().unwrap());
            let refused = change(&root, Target::Cluster, "n1", &[id], false);
            assert!(
                matches!(refused, Err(ConfigError::Vanished { .. })),
                "{refused:?}"
            );
        }
        // The cure that the message names.
        std::fs::copy(copy_path(&root), &path).unwrap();
        assert_eq!(networks(&root).unwrap(), 1);
        // Who takes the last network out means it.
        let out = Change::Delete("network#b".to_owned());
        change(&root, Target::Cluster, "n1", &[out], false).unwrap();
        assert_eq!(networks(&root).unwrap(), 0);
        remember(&root).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(networks(&root).unwrap(), 0, "nothing was lost");
    }
}
