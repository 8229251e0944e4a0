//! Which machine a node is: two of one name must not take each other's place.

use crate::{Cluster, ClusterError, NodeReport, keys};
use fairlead_shared::{Compare, Entry, SharedState};
use fairlead_types::Root;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::time::{Duration, Instant};

/// What tells this machine from another of its name. The file alone does not: a copy of
/// a machine has it too, but is not started by the same boot.
pub(crate) fn identity(root: &Root) -> Result<String, ClusterError> {
    let boot = "/proc/sys/kernel/random/boot_id";
    let boot = std::fs::read_to_string(boot).map_err(ClusterError::file("read", boot))?;
    Ok(format!("{}/{}", machine(root)?.trim(), boot.trim()))
}

/// The uuid in `node.id`, which the first call makes.
fn machine(root: &Root) -> Result<String, ClusterError> {
    let path = root.state().join("node.id");
    match std::fs::read_to_string(&path) {
        Ok(id) if !id.trim().is_empty() => return Ok(id),
        Err(e) if e.kind() != ErrorKind::NotFound => {
            return Err(ClusterError::file("read", path)(e));
        }
        _ => {}
    }
    let uuid = "/proc/sys/kernel/random/uuid";
    let id = std::fs::read_to_string(uuid).map_err(ClusterError::file("read", uuid))?;
    let new = path.with_file_name(format!("node.id.{}", id.trim()));
    let make = || {
        let dir = root.state();
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(id.as_bytes())?;
        file.sync_all()?;
        // Of two that make it at the same time, one does. One that is empty is replaced.
        let made = match std::fs::metadata(&path) {
            Ok(_) => std::fs::rename(&new, &path),
            Err(_) => std::fs::hard_link(&new, &path),
        };
        let _ = std::fs::remove_file(&new);
        match made {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => File::open(&dir)?.sync_all()?,
        }
        std::fs::read_to_string(&path)
    };
    make().map_err(ClusterError::file("make", &path))
}

/// Whether a node's registration is that of another machine than `own`.
pub(crate) fn is_of_another(entry: &Entry, own: &str) -> bool {
    let report: NodeReport = serde_json::from_slice(&entry.value).unwrap_or_default();
    !report.identity.is_empty() && report.identity != own
}

/// What is wrong with this node in the cluster.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// Since when another machine is seen under this node's name.
    seen: Option<Instant>,
    /// Why this node does not register.
    namesake: Option<String>,
    /// Why the cluster's configuration is not mirrored.
    pub(crate) lost: Option<String>,
}

impl Trouble {
    /// Notes who is registered under this node's name. One that was this machine before
    /// it was started anew is gone after `ttl`, so only one that stays is told.
    pub(crate) fn note(&mut self, node: &str, is_other: bool, ttl: Duration) {
        if !is_other {
            (self.seen, self.namesake) = (None, None);
            return;
        }
        if self.seen.get_or_insert_with(Instant::now).elapsed() > ttl {
            let node = node.to_owned();
            self.namesake = Some(ClusterError::Namesake { node }.to_string());
        }
    }
}

impl Cluster {
    /// What is wrong with this node's place in the cluster, a line each: another machine of
    /// its name, a segment that was given to another, a node that others took out.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = {
            let trouble = self.trouble();
            [&trouble.namesake, &trouble.lost]
                .into_iter()
                .flatten()
                .cloned()
                .collect()
        };
        let is_joined = self.is_joined() && self.check_joined().is_ok();
        if is_joined && self.is_member().is_ok_and(|member| !member) {
            let node = self.node.clone();
            problems.push(ClusterError::NotMember { node }.to_string());
        }
        problems
    }

    /// What holds while this node's name is this machine's, for a transaction that
    /// writes what is this node's; nothing where there are no others.
    pub(crate) fn as_own(&self) -> Result<Option<Compare>, ClusterError> {
        if !self.is_joined() {
            return Ok(None);
        }
        let key = keys::node(&self.node);
        Ok(Some(match self.engine.get(&key)? {
            Some(entry) if is_of_another(&entry, &identity(&self.root)?) => {
                let node = self.node.clone();
                return Err(ClusterError::Namesake { node });
            }
            Some(entry) => Compare::Modified(key, entry.modified),
            None => Compare::Absent(key),
        }))
    }
}
