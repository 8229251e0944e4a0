//! The nodes: who is in the cluster, and whose agent lives.

use crate::cluster::Reading;
use crate::counted::Counted;
use crate::{Cluster, ClusterError, NodeReport, NodeRow, keys};
use fairlead_config::{Document, Target, stored_segments};
use fairlead_shared::{LeaseId, SharedError, SharedState};
use std::collections::BTreeMap;
use std::time::Duration;

/// A node's report in shared state, which ends with its lease.
#[derive(Debug)]
pub struct Registration {
    engine: Counted,
    node: String,
    key: String,
    value: Vec<u8>,
    ttl: Duration,
    lease: Option<LeaseId>,
}

impl Registration {
    /// Lets the report live for another time limit. Where the lease is gone, as after
    /// a pause or when etcd was restored, the report is written again under a new one;
    /// says whether that was so. One that was deleted because the node left its cluster
    /// stays so. To be called three times in the time limit.
    ///
    /// # Errors
    /// Shared state; the next call tries again.
    pub fn keep_alive(&mut self) -> Result<bool, ClusterError> {
        if let Some(lease) = self.lease {
            match self.engine.keep_alive(lease) {
                Ok(_) => {
                    let there = self.engine.get(&self.key)?;
                    if there.is_some_and(|e| e.lease == Some(lease)) {
                        return Ok(false);
                    }
                    if self.has_left()? {
                        return Ok(false);
                    }
                    return self.write(lease).map(|()| true);
                }
                Err(SharedError::LeaseGone { .. }) => self.lease = None,
                Err(e) => return Err(e.into()),
            }
        }
        self.renew()?;
        Ok(true)
    }

    /// Writes another report, if it is another.
    ///
    /// # Errors
    /// Shared state; [`Registration::keep_alive`] writes it then.
    pub fn update(&mut self, report: &NodeReport) -> Result<(), ClusterError> {
        let value = serde_json::to_vec(report).unwrap_or_default();
        if value == self.value {
            return Ok(());
        }
        self.value = value;
        match self.lease {
            Some(lease) => match self.write(lease) {
                Err(ClusterError::Shared(SharedError::LeaseGone { .. })) => self.renew(),
                // It may or may not be written: a new lease makes sure that it is.
                Err(e) => {
                    self.lease = None;
                    Err(e)
                }
                Ok(()) => Ok(()),
            },
            None => self.renew(),
        }
    }

    /// Ends the registration: the node does not live any more.
    ///
    /// # Errors
    /// Shared state; the report ends with its time limit then.
    pub fn end(mut self) -> Result<(), ClusterError> {
        match self.lease.take() {
            Some(lease) => Ok(self.engine.revoke(lease)?),
            None => Ok(()),
        }
    }

    /// Whether the cluster's configuration is there and does not have the node.
    fn has_left(&self) -> Result<bool, ClusterError> {
        let entry = self.engine.get(keys::CONFIG)?;
        let text = entry.and_then(|e| String::from_utf8(e.value).ok());
        let Some(Ok(document)) = text.map(|text| Document::parse(&text)) else {
            return Ok(false);
        };
        let nodes = document.get("cluster", "nodes").unwrap_or_default();
        Ok(nodes.split_whitespace().all(|node| node != self.node))
    }

    fn renew(&mut self) -> Result<(), ClusterError> {
        let lease = self.engine.grant(self.ttl)?;
        self.write(lease)?;
        self.lease = Some(lease);
        Ok(())
    }

    fn write(&self, lease: LeaseId) -> Result<(), ClusterError> {
        self.engine.put(&self.key, &self.value, Some(lease))?;
        Ok(())
    }
}

impl Cluster {
    /// Says that this node lives, for `ttl` and as long as [`Registration::keep_alive`]
    /// is called.
    ///
    /// # Errors
    /// Shared state.
    pub fn register(
        &self,
        report: &NodeReport,
        ttl: Duration,
    ) -> Result<Registration, ClusterError> {
        let mut registration = Registration {
            engine: self.engine.clone(),
            node: self.node.clone(),
            key: keys::node(&self.node),
            value: serde_json::to_vec(report).unwrap_or_default(),
            ttl,
            lease: None,
        };
        registration.renew()?;
        Ok(registration)
    }

    /// The nodes: those of the cluster in their order, then by name those that have a
    /// segment or a living agent without being in it.
    ///
    /// # Errors
    /// Shared state; a `cluster.conf` that cannot be read.
    pub fn nodes(&self) -> Result<Reading<Vec<NodeRow>>, ClusterError> {
        let config = self.local_config()?;
        let snapshot = self.snapshot(keys::NODES)?;
        let mut reports: BTreeMap<&str, NodeReport> = BTreeMap::new();
        for entry in &snapshot.value.entries {
            if let Some(node) = entry.key.strip_prefix(keys::NODES) {
                // A report of another release is better half read than not at all.
                let report = serde_json::from_slice(&entry.value).unwrap_or_default();
                reports.insert(node, report);
            }
        }
        let mut segments: BTreeMap<&str, BTreeMap<String, ipnet::IpNet>> = BTreeMap::new();
        for target in [Target::Cluster, Target::Node] {
            let document = config.document(target);
            let names = document
                .sections()
                .filter_map(|s| s.strip_prefix("network#"));
            for network in names {
                for (node, value) in stored_segments(document, network) {
                    if let Ok(segment) = value.parse() {
                        let of = segments.entry(node).or_default();
                        of.insert(network.to_owned(), segment);
                    }
                }
            }
        }
        let mut members = config.cluster_nodes();
        if members.is_empty() {
            members.push(&self.node);
        }
        let mut order: Vec<(&str, bool)> = Vec::new();
        let mut rest: BTreeMap<&str, ()> = BTreeMap::new();
        rest.extend(segments.keys().chain(reports.keys()).map(|n| (*n, ())));
        // Who looks is somewhere, also after it left.
        rest.insert(&self.node, ());
        for node in members {
            rest.remove(node);
            order.push((node, true));
        }
        order.extend(rest.into_keys().map(|node| (node, false)));
        let rows = order.into_iter().map(|(node, member)| {
            let report = reports.get(node).cloned();
            NodeRow {
                node: node.to_owned(),
                member,
                alive: report.is_some(),
                report,
                segments: segments.get(node).cloned().unwrap_or_default(),
            }
        });
        Ok(Reading {
            value: rows.collect(),
            stale: snapshot.stale,
        })
    }
}
