//! Where the nodes of a configuration are.

use crate::{Cluster, NodeReport, Resolved, keys, resolve};
use fairlead_config::Config;
use fairlead_networks::{Known, names_to_look_up};
use fairlead_shared::SharedState;
use std::collections::BTreeMap;
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
        let reports = self.reports();
        for (name, answer) in resolved {
            let told = reports.get(&name).map(|report| &report.addresses);
            match (answer, told.filter(|told| !told.is_empty())) {
                (Ok(addresses), _) => known.insert(name, addresses),
                (Err(_), Some(told)) => known.insert(name, told.clone()),
                (Err(reason), None) => known.fail(name, reason),
            }
        }
        if self.is_joined() {
            known.expect_subnets();
        }
        for (node, report) in reports {
            known.tell_subnets(node, report.subnets);
        }
        known
    }

    /// What agents told of their nodes, by the nodes' names. Without a mirror nothing.
    fn reports(&self) -> BTreeMap<String, NodeReport> {
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
