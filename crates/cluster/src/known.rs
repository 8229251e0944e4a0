//! Where the nodes of a configuration are.

use crate::{Cluster, NodeReport, Resolved, keys, resolve};
use fairlead_config::Config;
use fairlead_networks::{Known, names_to_look_up};
use fairlead_shared::SharedState;
use std::time::Duration;

impl Cluster {
    /// Looks up what the ways between nodes need, and adds what their agents told.
    #[must_use]
    pub fn known(&self, config: &Config, limit: Duration) -> Known {
        self.known_by(resolve(&self.root, &names_to_look_up(config), limit))
    }

    /// The same of names that were looked up before. A node whose name nobody knows is
    /// where its agent says it is, as far as this node has that mirrored: a cluster needs
    /// no DNS.
    #[must_use]
    pub fn known_by(&self, resolved: Resolved) -> Known {
        let mut known = Known::default();
        let mut reports = self.reports();
        for (name, answer) in resolved {
            let told = reports.remove(&name);
            let told = told.map(|report| report.addresses).unwrap_or_default();
            match answer {
                Ok(addresses) => known.insert(name, addresses),
                Err(_) if !told.is_empty() => known.insert(name, told),
                Err(reason) => known.fail(name, reason),
            }
        }
        if self.is_joined() {
            known.expect_subnets();
        }
        for (node, report) in self.reports() {
            known.tell_subnets(node, report.subnets);
        }
        known
    }

    /// What agents told of their nodes, by the nodes' names. Without a mirror nothing.
    fn reports(&self) -> std::collections::BTreeMap<String, NodeReport> {
        let mirrored = self.mirror_file().and_then(|m| m.range(keys::NODES).ok());
        let entries = mirrored
            .map(|snapshot| snapshot.entries)
            .unwrap_or_default();
        let reports = entries.iter().filter_map(|entry| {
            let node = entry.key.strip_prefix(keys::NODES)?;
            let report = serde_json::from_slice(&entry.value).ok()?;
            Some((node.to_owned(), report))
        });
        reports.collect()
    }
}
