//! What setup made that the kernel cannot mark as ours: addresses.
//!
//! A bridge carries a mark, an address cannot. So that an address is taken away only
//! if setup had added it, each is written down before it is added. The file ends with
//! the boot, as the addresses do.

use crate::{NetworkError, files};
use fairlead_types::{IfName, Root};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::PathBuf;

/// An address that setup added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The network it was added for.
    pub network: String,
    /// The bridge.
    pub bridge: IfName,
    /// The bridge's index: another bridge may get the name later.
    pub index: u32,
    /// The address.
    pub address: IpNet,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    /// The boot it was written in.
    boot: String,
    addresses: Vec<Recorded>,
}

/// The file.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    boot: String,
    pub(super) addresses: Vec<Recorded>,
}

fn path(root: &Root) -> PathBuf {
    root.run().join("networks.json")
}

/// Reads the file; what an earlier boot wrote counts for nothing.
pub(super) fn read(root: &Root, boot: &str) -> Result<Vec<Recorded>, NetworkError> {
    let path = path(root);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(files::error("read", &path, e)),
    };
    let contents: Contents =
        serde_json::from_slice(&text).map_err(|source| NetworkError::Record { path, source })?;
    Ok(if contents.boot == boot {
        contents.addresses
    } else {
        Vec::new()
    })
}

/// Removes what a setup left that was killed while it wrote; nobody else may write.
pub(super) fn tidy(root: &Root) -> Result<(), NetworkError> {
    files::remove(&files::temporary(&path(root)))
}

impl Record {
    pub(super) fn new(root: &Root, boot: String, addresses: Vec<Recorded>) -> Self {
        Self {
            path: path(root),
            boot,
            addresses,
        }
    }

    pub(super) fn add(&mut self, new: Recorded) -> Result<(), NetworkError> {
        if self.addresses.contains(&new) {
            return Ok(());
        }
        self.addresses.push(new);
        self.write()
    }

    /// Forgets the addresses that `keep` does not want to keep.
    pub(super) fn retain(
        &mut self,
        keep: impl FnMut(&Recorded) -> bool,
    ) -> Result<(), NetworkError> {
        let before = self.addresses.len();
        self.addresses.retain(keep);
        match self.addresses.len() == before {
            true => Ok(()),
            false => self.write(),
        }
    }

    fn write(&self) -> Result<(), NetworkError> {
        if self.addresses.is_empty() {
            return files::remove(&self.path);
        }
        let contents = Contents {
            boot: self.boot.clone(),
            addresses: self.addresses.clone(),
        };
        let text = serde_json::to_string(&contents).map_err(|source| NetworkError::Record {
            path: self.path.clone(),
            source,
        })?;
        files::replace(&self.path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_boot_wrote_counts_for_nothing_and_an_empty_record_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        let entry = Recorded {
            network: "a".into(),
            bridge: IfName::new("br0").unwrap(),
            index: 7,
            address: "10.1.0.1/24".parse().unwrap(),
        };
        let mut record = Record::new(&root, "one".into(), Vec::new());
        record.add(entry.clone()).unwrap();
        assert_eq!(read(&root, "one").unwrap(), [entry]);
        assert!(read(&root, "two").unwrap().is_empty());
        record.retain(|_| false).unwrap();
        assert!(!path(&root).exists());
        assert!(read(&root, "one").unwrap().is_empty());
    }
}
