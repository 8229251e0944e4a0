//! The nodes: who is in the cluster, and whose agent lives.

use crate::cluster::Reading;
use crate::counted::Counted;
use crate::identity::{Trouble, identity, is_of_another};
use crate::leave::is_leaving;
use crate::{Cluster, ClusterError, NodeReport, NodeRow, keys};
use fairlead_config::{Document, Target, is_joined, stored_segments};
use fairlead_shared::{Entry, LeaseId, SharedError, SharedState, Txn};
use fairlead_types::Root;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A node's report in shared state, which ends with its lease.
#[derive(Debug)]
pub struct Registration {
    engine: Counted,
    root: Root,
    node: String,
    /// What tells this machine from another of its name; nothing where there are no others.
    identity: Option<String>,
    /// Whether `node.conf` says that the node is in the cluster.
    declared: bool,
    trouble: Arc<Mutex<Trouble>>,
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
    /// Shared state; [`ClusterError::Namesake`] while another machine is registered by this
    /// name, which is left alone. The next call tries again.
    pub fn keep_alive(&mut self) -> Result<bool, ClusterError> {
        if let Some(lease) = self.lease {
            match self.engine.keep_alive(lease) {
                Ok(_) => {
                    let there = self.engine.get(&self.key)?;
                    if there.is_some_and(|e| e.lease == Some(lease)) {
                        self.note(false);
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
        let value = told(report, self.identity.as_deref());
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

    /// Whether the report is gone because this node leaves.
    fn has_left(&self) -> Result<bool, ClusterError> {
        if self.declared && !is_joined(&Target::Node.read(&self.root)?) {
            return Ok(true);
        }
        if !is_leaving(&self.root) {
            return Ok(false);
        }
        let entry = self.engine.get(keys::CONFIG)?;
        let text = entry.and_then(|e| String::from_utf8(e.value).ok());
        let Some(Ok(document)) = text.map(|text| Document::parse(&text)) else {
            return Ok(false);
        };
        let nodes = document.get("cluster", "nodes").unwrap_or_default();
        let mut nodes = nodes.split_whitespace().map(str::to_lowercase);
        Ok(nodes.all(|node| node != self.node))
    }

    fn renew(&mut self) -> Result<(), ClusterError> {
        self.check_own(self.engine.get(&self.key)?.as_ref())?;
        let lease = self.engine.grant(self.ttl)?;
        if let Err(error) = self.write(lease) {
            if matches!(error, ClusterError::Namesake { .. }) {
                self.engine.revoke(lease)?;
            }
            return Err(error);
        }
        self.lease = Some(lease);
        Ok(())
    }

    /// Writes the report, unless another machine of this name did meanwhile.
    fn write(&self, lease: LeaseId) -> Result<(), ClusterError> {
        for _ in 0..ATTEMPTS {
            let there = self.engine.get(&self.key)?;
            self.check_own(there.as_ref())?;
            let txn = match there {
                Some(entry) => Txn::new().unchanged(&self.key, entry.modified),
                None => Txn::new().absent(&self.key),
            };
            let txn = txn.put_leased(&self.key, self.value.clone(), lease);
            if self.engine.commit(&txn)?.is_done() {
                return Ok(());
            }
        }
        Err(ClusterError::Contended {
            operation: "register the node",
            attempts: ATTEMPTS,
        })
    }

    fn check_own(&self, there: Option<&Entry>) -> Result<(), ClusterError> {
        let own = self.identity.as_deref();
        let is_other = own
            .zip(there)
            .is_some_and(|(own, entry)| is_of_another(entry, own));
        self.note(is_other);
        match is_other {
            true => Err(ClusterError::Namesake {
                node: self.node.clone(),
            }),
            false => Ok(()),
        }
    }

    fn note(&self, is_other: bool) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.note(&self.node, is_other, self.ttl);
    }
}

/// How often a report is written again when another one was quicker.
const ATTEMPTS: u32 = 10;

/// The report as it is written.
fn told(report: &NodeReport, identity: Option<&str>) -> Vec<u8> {
    let report = NodeReport {
        identity: identity.unwrap_or_default().to_owned(),
        ..report.clone()
    };
    serde_json::to_vec(&report).unwrap_or_default()
}

impl Cluster {
    /// Says that this node lives, for `ttl` and as long as [`Registration::keep_alive`]
    /// is called.
    ///
    /// # Errors
    /// Shared state; [`ClusterError::Namesake`] while another machine lives by this name.
    pub fn register(
        &self,
        report: &NodeReport,
        ttl: Duration,
    ) -> Result<Registration, ClusterError> {
        let identity = match self.is_joined() {
            true => Some(identity(&self.root)?),
            false => None,
        };
        let mut registration = Registration {
            engine: self.engine.clone(),
            root: self.root.clone(),
            node: self.node.clone(),
            value: told(report, identity.as_deref()),
            identity,
            declared: self.declared,
            trouble: Arc::clone(&self.trouble),
            key: keys::node(&self.node),
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
