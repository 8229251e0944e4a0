//! The addresses that nodes publish.

use crate::cluster::Reading;
use crate::follow::{Kept, kept};
use crate::{Cluster, ClusterError, PublishedAddress, keys};
use fairlead_shared::{Change, Entry, SharedError, SharedState, Snapshot, Txn};
use std::collections::BTreeMap;

/// The most changes that one transaction carries. Less than the limit of the engines,
/// to leave others their turn.
const BATCH: usize = 100;
/// How often a transaction is tried again when the node's registration changed.
const ATTEMPTS: u32 = 20;

/// What a publication changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Published {
    /// How many addresses were written.
    pub put: usize,
    /// How many were deleted.
    pub deleted: usize,
}

impl Cluster {
    /// Makes this node's addresses in shared state the given ones. What is the same is
    /// not written: the first call compares with shared state, later ones with what
    /// was written last. The node in each address is this one whatever it says.
    ///
    /// # Errors
    /// Shared state; [`ClusterError::Namesake`]. A part may have been published; the next
    /// call compares anew.
    pub fn publish(&self, current: &[PublishedAddress]) -> Result<Published, ClusterError> {
        // Held to the end: who follows shared state must not take what is deleted here
        // for something lost.
        let mut known = self.published();
        let before = match known.take() {
            Some(before) => before,
            None => own(&self.engine.range(&keys::addresses_of(&self.node))?),
        };
        let mut wanted = BTreeMap::new();
        for address in current {
            let key = keys::address(&self.node, address.network.as_str(), address.ip);
            let address = PublishedAddress {
                node: self.node.clone(),
                ..address.clone()
            };
            wanted.insert(key, serde_json::to_vec(&address).unwrap_or_default());
        }
        let puts = wanted
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(value));
        let puts = puts.map(|(key, value)| put(key, value));
        let gone = before.keys().filter(|key| !wanted.contains_key(*key));
        let gone = gone.map(|key| Change::Delete(key.clone()));
        let changes: Vec<Change> = gone.chain(puts).collect();
        let deleted = changes
            .iter()
            .filter(|c| matches!(c, Change::Delete(_)))
            .count();
        let done = Published {
            put: changes.len() - deleted,
            deleted,
        };
        self.commit_all(changes)?;
        *known = Some(wanted);
        Ok(done)
    }

    /// Writes this node's addresses again that shared state does not have (any more),
    /// as far as this process published them; says how many that were.
    pub(crate) fn restore(&self, snapshot: &Snapshot) -> Result<usize, ClusterError> {
        let known = self.published();
        let Some(published) = known.as_ref() else {
            return Ok(0);
        };
        let there = own(snapshot);
        let lost = published
            .iter()
            .filter(|(key, value)| there.get(*key) != Some(value));
        let mut changes: Vec<Change> = lost.map(|(key, value)| put(key, value)).collect();
        // What an older state of etcd brought back and this node has no more.
        let prefix = keys::addresses_of(&self.node);
        let own = there.keys().filter(|key| key.starts_with(&prefix));
        let gone = own.filter(|key| !published.contains_key(*key));
        changes.extend(gone.map(|key| Change::Delete(key.clone())));
        if changes.is_empty() || self.has_left()? {
            return Ok(0);
        }
        let count = changes.len();
        match self.commit_all(changes) {
            // They are the other machine's now, which is told.
            Err(ClusterError::Namesake { .. }) => Ok(0),
            done => done.map(|()| count),
        }
    }

    /// Writes one of this node's addresses again that someone else deleted or changed.
    pub(crate) fn restore_one(&self, key: &str, now: Option<&[u8]>) -> Result<bool, ClusterError> {
        let known = self.published();
        let value = known.as_ref().and_then(|published| published.get(key));
        match value {
            Some(value) if now != Some(value.as_slice()) => {
                // It may have been put back or replaced since the event.
                let there = self.engine.get(key)?;
                if there.is_some_and(|entry| &entry.value == value) || self.has_left()? {
                    return Ok(false);
                }
                match self.commit_all(vec![put(key, value)]) {
                    Err(ClusterError::Namesake { .. }) => Ok(false),
                    done => done.map(|()| true),
                }
            }
            _ => Ok(false),
        }
    }

    /// Writes what is this node's, as long as its name is this machine's.
    fn commit_all(&self, changes: Vec<Change>) -> Result<(), ClusterError> {
        let mut rest = changes.into_iter().peekable();
        while rest.peek().is_some() {
            let mut txn = Txn::new();
            txn.then.extend(rest.by_ref().take(BATCH));
            self.commit_own(txn)?;
        }
        Ok(())
    }

    fn commit_own(&self, mut txn: Txn) -> Result<(), ClusterError> {
        // The agent's own report may be written meanwhile, which is not often.
        for _ in 0..ATTEMPTS {
            txn.when = self.as_own()?.into_iter().collect();
            if self.engine.commit(&txn)?.is_done() {
                return Ok(());
            }
        }
        Err(ClusterError::Contended {
            operation: "publish addresses",
            attempts: ATTEMPTS,
        })
    }

    /// How many addresses are published in each network, in the whole cluster but for
    /// the node `without`. The mirror answers while an agent keeps it fresh.
    ///
    /// # Errors
    /// Shared state.
    pub fn counts(
        &self,
        without: Option<&str>,
    ) -> Result<Reading<BTreeMap<String, u64>>, ClusterError> {
        let keys = self.reading(|state| state.keys(keys::ADDRESSES))?;
        let mut counts = BTreeMap::new();
        let of = keys.value.iter().filter_map(|key| keys::of_address(key));
        for (_, network) in of.filter(|(node, _)| without != Some(*node)) {
            match counts.get_mut(network) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(network.to_owned(), 1);
                }
            }
        }
        Ok(Reading {
            value: counts,
            stale: keys.stale,
        })
    }

    /// The published addresses of the whole cluster, or of one network, sorted by node,
    /// network and the text of the address. What cannot be read as an address is left
    /// out.
    ///
    /// # Errors
    /// Shared state.
    pub fn addresses(
        &self,
        network: Option<&str>,
    ) -> Result<Reading<Vec<PublishedAddress>>, ClusterError> {
        let snapshot = self.snapshot(keys::ADDRESSES)?;
        let wanted = |entry: &&Entry| {
            let of = keys::of_address(&entry.key);
            of.is_some_and(|(_, name)| network.is_none_or(|wanted| wanted == name))
        };
        let entries = snapshot.value.entries.iter().filter(wanted);
        Ok(Reading {
            value: entries
                .filter_map(|e| serde_json::from_slice(&e.value).ok())
                .collect(),
            stale: snapshot.stale,
        })
    }

    /// Everything under a prefix.
    pub(crate) fn snapshot(&self, prefix: &str) -> Result<Reading<Snapshot>, ClusterError> {
        self.reading(|state| state.range(prefix))
    }

    /// Reads from the mirror while it is fresh, else from shared state, else from the
    /// mirror as it is.
    fn reading<T>(
        &self,
        read: impl Fn(&dyn SharedState) -> Result<T, SharedError>,
    ) -> Result<Reading<T>, ClusterError> {
        if let Some(mirror) = self.mirror_file() {
            // Someone waits for shared state already: nobody else needs to.
            let stale = match kept(&self.root) {
                Kept::Fresh => Some(None),
                Kept::Stale(since) => Some(Some(since)),
                Kept::No => None,
            };
            if let Some(stale) = stale {
                let value = read(mirror)?;
                return Ok(Reading { value, stale });
            }
        }
        self.read(read)
    }
}

fn put(key: &str, value: &[u8]) -> Change {
    Change::Put {
        key: key.to_owned(),
        value: value.to_vec(),
        lease: None,
    }
}

fn own(snapshot: &Snapshot) -> BTreeMap<String, Vec<u8>> {
    let entries = snapshot.entries.iter();
    entries.map(|e| (e.key.clone(), e.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_shared::Local;
    use fairlead_types::Root;
    use std::sync::Arc;

    /// As an etcd that was restored from an older state has them.
    #[test]
    fn addresses_that_this_node_has_no_more_go_and_those_of_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        let engine = Arc::new(Local::open(&dir.path().join("engine.db")).unwrap());
        let cluster = Cluster::over(&root, "n1", engine.clone(), Some("/fairlead".into())).unwrap();
        let address: PublishedAddress = serde_json::from_value(serde_json::json!({
            "node": "n1", "network": "b", "ip": "10.11.0.2",
        }))
        .unwrap();
        cluster.publish(std::slice::from_ref(&address)).unwrap();
        let others = [
            "addresses/n1/b/10.11.0.9",
            "addresses/n10/b/10.11.4.9",
            "config",
            "nodes/n2",
        ];
        for key in others {
            engine.put(key, b"{}", None).unwrap();
        }
        cluster.restore(&engine.range("").unwrap()).unwrap();
        let left = engine.range("").unwrap().entries;
        let left: Vec<&str> = left.iter().map(|entry| entry.key.as_str()).collect();
        let wanted = [
            "addresses/n1/b/10.11.0.2",
            "addresses/n10/b/10.11.4.9",
            "config",
            "nodes/n2",
        ];
        assert_eq!(left, wanted);
    }
}
