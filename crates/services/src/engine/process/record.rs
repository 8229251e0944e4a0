//! What is known of a program between two calls: a file for each resource, written before
//! the program begins, and a lock beside it.

use super::identity::Identity;
use crate::engine::ContainerSpec;
use fairlead_types::Root;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long to rest before the lock is tried again.
const REST: Duration = Duration::from_millis(10);

/// A program that was started.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its first process.
    pub(super) process: Identity,
    /// The directory of its control group.
    pub(super) cgroup: PathBuf,
    /// A digest of what it was started from.
    pub(super) digest: String,
    /// The file that its network namespace was entered by; `None`: the starter's own.
    pub(super) namespace: Option<PathBuf>,
}

/// Where the record of a resource is.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    /// `run/fairlead/services/NAMESPACE/svc/NAME/container.0.json`.
    pub(super) fn of(root: &Root, spec: &ContainerSpec) -> Self {
        let dir = root.run().join("services").join(spec.service.as_str());
        Self {
            path: dir.join(format!("{}.json", spec.resource_word())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps other processes from starting or stopping the same resource until the value
    /// goes; `None` if another one has it for the whole time.
    pub(super) fn lock(&self, root: &Root, limit: Duration) -> io::Result<Option<File>> {
        root.make_run()?;
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = File::create(self.path.with_extension("lock"))?;
        let deadline = Instant::now() + limit;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(REST),
            }
        }
    }

    pub(super) fn read(&self) -> io::Result<Option<Record>> {
        match std::fs::read(&self.path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it whole or not at all.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        let new = self.path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(record)?)?;
        std::fs::rename(&new, &self.path)
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
