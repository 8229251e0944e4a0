//! Where the nodes of a configuration are.

use crate::{Cluster, NodeReport, keys, resolve};
use fairlead_config::Config;
use fairlead_networks::{Known, names_to_look_up};
use fairlead_shared::SharedState;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

impl Cluster {
    /// Looks up what the ways between nodes need. A node whose name nobody knows is where
    /// its agent says it is, as far as this node has that mirrored: a cluster needs no DNS.
    #[must_use]
    pub fn known(&self, config: &Config, limit: Duration) -> Known {
        let mut known = Known::default();
        let mut told = None;
        for (name, answer) in resolve(&self.root, &names_to_look_up(config), limit) {
            match answer {
                Ok(addresses) => known.insert(name, addresses),
                Err(reason) => {
                    let told = told.get_or_insert_with(|| self.told());
                    match told.remove(&name) {
                        Some(addresses) => known.insert(name, addresses),
                        None => known.fail(name, reason),
                    }
                }
            }
        }
        known
    }

    /// The addresses that agents told of their nodes, by the nodes' names.
    fn told(&self) -> BTreeMap<String, Vec<IpAddr>> {
        // Without a mirror there is nothing to fall back on.
        let mirrored = self.mirror_file().and_then(|m| m.range(keys::NODES).ok());
        let entries = mirrored
            .map(|snapshot| snapshot.entries)
            .unwrap_or_default();
        let reports = entries.iter().filter_map(|entry| {
            let node = entry.key.strip_prefix(keys::NODES)?;
            let report: NodeReport = serde_json::from_slice(&entry.value).ok()?;
            Some((node.to_owned(), report.addresses))
        });
        reports.filter(|(_, all)| !all.is_empty()).collect()
    }
}
