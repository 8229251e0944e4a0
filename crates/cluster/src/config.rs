//! Changing the cluster's configuration, for every node at once.

use crate::cluster::Stored;
use crate::mirror::{is_older, refuse_stranger};
use crate::{Cluster, ClusterError, keys};
use fairlead_config::{
    Assigned, Assignment, Change, Changed, Config, ConfigError, KeyPath, Mirror, Outcome, Target,
    assign_segments, changed, changed_with_segments, remember, stored_segments, update,
};
use fairlead_shared::{Change as Put, Committed, SharedState, Txn};
use fairlead_types::NetworkName;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::thread;
use std::time::Duration;

/// How often a change is tried again when others were quicker.
const ATTEMPTS: u32 = 100;

/// What a transaction on the configuration is to do.
pub(crate) struct Decision<T> {
    /// Both files as they are to be; only `cluster.conf` counts.
    pub(crate) config: Config,
    /// What else is changed in shared state in the same moment.
    pub(crate) also: Vec<Put>,
    /// What the caller wants to know.
    pub(crate) told: T,
}

impl Cluster {
    /// Changes `cluster.conf`, for every node of the cluster in one transaction. Nodes
    /// and networks that are new get their segments in the same moment. The result is
    /// checked as [`fairlead_config::change`] does. A dry run changes nothing.
    ///
    /// # Errors
    /// [`ConfigError::Refused`] with every fault; [`ClusterError::Contended`];
    /// [`ClusterError::NotMirrored`] after the change was made; shared state.
    pub fn change(&self, changes: &[Change], dry_run: bool) -> Result<Outcome, ClusterError> {
        let decide = |config: &Config| {
            let (Changed { config, outcome }, _) = changed_with_segments(config, changes)?;
            Ok(Decision {
                config,
                also: Vec::new(),
                told: outcome,
            })
        };
        if dry_run {
            let config = match &self.prefix {
                Some(prefix) => self.current(prefix)?.1,
                None => self.local_config()?,
            };
            return Ok(decide(&config)?.told);
        }
        self.transact("change cluster.conf", decide)
    }

    /// Gives each node of the cluster the segments that it lacks, and this node those of
    /// the routed bridges in its own `node.conf`. The problems say who can have none.
    ///
    /// # Errors
    /// As [`Cluster::change`]. Where nothing is lacking, shared state is not asked.
    pub fn assign_segments(&self) -> Result<Assignment, ClusterError> {
        let config = self.local_config()?;
        if !self.is_joined() {
            // From now on an empty file is a damaged one if this declares networks.
            remember(&self.root)?;
        }
        let mut result = assign_segments(&config, Target::Cluster);
        if !result.assigned.is_empty() {
            result = self.transact("give segments", |config| {
                let told = assign_segments(config, Target::Cluster);
                let config = changed(config, Target::Cluster, &told.changes())?.config;
                Ok(Decision {
                    config,
                    also: Vec::new(),
                    told,
                })
            })?;
        }
        let mut own = assign_segments(&config, Target::Node);
        if !own.assigned.is_empty() {
            own = update(&self.root, &self.node, |config| {
                let own = assign_segments(config, Target::Node);
                *config = changed(config, Target::Node, &own.changes())?.config;
                Ok::<_, ConfigError>(own)
            })?;
        }
        result.assigned.append(&mut own.assigned);
        result.problems.append(&mut own.problems);
        Ok(result)
    }

    /// Gives up a node's segment: the next node that lacks one may get it. Refused, unless
    /// `force`, while the node is in the cluster or has addresses published there. A
    /// node of the cluster that lost its segment gets one at the next change.
    ///
    /// # Errors
    /// [`ClusterError::Member`], [`ClusterError::InUse`], and [`ClusterError::NoSegments`]
    /// or [`ClusterError::NoSegment`], which name what there is; else as
    /// [`Cluster::change`].
    pub fn release(
        &self,
        network: &NetworkName,
        node: &str,
        force: bool,
    ) -> Result<IpNet, ClusterError> {
        let node = &node.to_lowercase();
        let section = format!("network#{network}");
        let local = self.local_config()?;
        let only_local = local.document(Target::Node).has_section(&section)
            && !local.document(Target::Cluster).has_section(&section);
        if !force {
            let count = self
                .engine
                .count(&keys::addresses_on(node, network.as_str()))?;
            if count > 0 {
                return Err(ClusterError::InUse {
                    network: network.to_string(),
                    node: node.to_owned(),
                    count,
                });
            }
        }
        if only_local {
            return update(&self.root, &self.node, |config| {
                let (after, freed) = freed(config, Target::Node, network, node, force)?;
                *config = after;
                Ok(freed)
            });
        }
        self.transact("release a segment", |config| {
            let (config, told) = freed(config, Target::Cluster, network, node, force)?;
            Ok(Decision {
                config,
                also: Vec::new(),
                told,
            })
        })
    }

    /// The configuration in etcd now, together with this node's own file.
    fn current(&self, prefix: &str) -> Result<(Stored, Config), ClusterError> {
        let stored = Stored::of(&self.engine.range(keys::CONFIG)?, prefix)?;
        let Some(stored) = stored else {
            let prefix = prefix.to_owned();
            return Err(ClusterError::NotFounded { prefix });
        };
        let local = Target::Node.read(&self.root)?;
        let config = Config::from_documents(&self.root, &self.node, <_>::default(), local)
            .with_text(Target::Cluster, &stored.text)?;
        Ok((stored, config))
    }

    /// Changes `cluster.conf` by what `decide` makes of the present one: in etcd if this
    /// node is joined, and mirrored at once; else the file. `decide` may be called
    /// several times, and its last result is told.
    pub(crate) fn transact<T>(
        &self,
        operation: &'static str,
        decide: impl Fn(&Config) -> Result<Decision<T>, ClusterError>,
    ) -> Result<T, ClusterError> {
        let Some(prefix) = &self.prefix else {
            return update(&self.root, &self.node, |config| {
                let decision = decide(config)?;
                let text = decision.config.document(Target::Cluster).to_string();
                *config = config.with_text(Target::Cluster, &text)?;
                if !decision.also.is_empty() {
                    let mut txn = Txn::new();
                    txn.then = decision.also;
                    self.engine.commit(&txn)?;
                }
                Ok(decision.told)
            });
        };
        for attempt in 0..ATTEMPTS {
            self.put_back_first(prefix)?;
            let (stored, config) = self.current(prefix)?;
            // etcd was restored this very moment.
            if Mirror::read(&self.root)?.is_some_and(|record| is_older(&stored, &record)) {
                pause(attempt);
                continue;
            }
            let decision = decide(&config)?;
            let text = decision.config.document(Target::Cluster).to_string();
            if text == stored.text && decision.also.is_empty() {
                self.mirror_now()?;
                return Ok(decision.told);
            }
            let mut txn = Txn::new().unchanged(keys::CONFIG, stored.entry.modified);
            txn = write(txn, &text, stored.generation + 1);
            txn.then.extend(decision.also);
            match self.engine.commit(&txn)? {
                Committed::Done(_) => {
                    self.mirror_now()?;
                    return Ok(decision.told);
                }
                Committed::Refused => pause(attempt),
            }
        }
        Err(ClusterError::Contended {
            operation,
            attempts: ATTEMPTS,
        })
    }

    /// After a loss of etcd's data, what this node knows goes before its changes: on an
    /// older text nothing is decided.
    fn put_back_first(&self, prefix: &str) -> Result<(), ClusterError> {
        let Some(record) = Mirror::read(&self.root)? else {
            return Ok(());
        };
        let stored = Stored::of(&self.engine.range(keys::CONFIG)?, prefix)?;
        if let Some(stored) = &stored {
            refuse_stranger(prefix, stored, &record)?;
        }
        if stored.is_none_or(|stored| is_older(&stored, &record)) {
            self.sync_config()?;
        }
        Ok(())
    }

    fn mirror_now(&self) -> Result<(), ClusterError> {
        let failed = |source| ClusterError::NotMirrored {
            source: Box::new(source),
        };
        self.sync_config().map(|_| ()).map_err(failed)
    }
}

/// Adds the new text of the configuration to a transaction.
pub(crate) fn write(txn: Txn, text: &str, generation: u64) -> Txn {
    txn.put(keys::CONFIG, text)
        .put(keys::GENERATION, generation.to_string())
}

/// Waits a little and by chance, so that nodes which met once do not meet again.
pub(crate) fn pause(attempt: u32) {
    let most = 4_u64 << attempt.min(5);
    let chance = RandomState::new().build_hasher().finish();
    thread::sleep(Duration::from_millis(chance % most));
}

/// A configuration without a segment, and that segment.
fn freed(
    config: &Config,
    target: Target,
    network: &NetworkName,
    node: &str,
    force: bool,
) -> Result<(Config, IpNet), ClusterError> {
    let document = config.document(target);
    let stored = stored_segments(document, network.as_str());
    if stored.is_empty() {
        return Err(ClusterError::NoSegments {
            network: network.to_string(),
            networks: with_segments(config),
        });
    }
    let Some((_, value)) = stored.iter().find(|(n, _)| *n == node) else {
        return Err(ClusterError::NoSegment {
            network: network.to_string(),
            node: node.to_owned(),
            nodes: stored.iter().map(|(n, _)| (*n).to_owned()).collect(),
        });
    };
    let segment = value.parse().map_err(|_| ClusterError::BadSegment {
        network: network.to_string(),
        node: node.to_owned(),
        value: (*value).to_owned(),
    })?;
    let nodes = config.cluster_nodes();
    let alone = nodes.is_empty() && node == config.node();
    if !force && (alone || nodes.contains(&node)) {
        return Err(ClusterError::Member {
            network: network.to_string(),
            node: node.to_owned(),
        });
    }
    let key = KeyPath::new(format!("network#{network}"), "subnet").at(node);
    let config = changed(config, target, &[Change::Unset(key)])?.config;
    Ok((config, segment))
}

/// The networks that have stored segments.
fn with_segments(config: &Config) -> Vec<String> {
    let sections = config.sections().into_iter();
    let names = sections.filter_map(|s| s.strip_prefix("network#"));
    let has = |name: &&str| {
        [Target::Cluster, Target::Node]
            .iter()
            .any(|t| !stored_segments(config.document(*t), name).is_empty())
    };
    let found: BTreeSet<&str> = names.filter(has).collect();
    found.into_iter().map(str::to_owned).collect()
}

/// The segments of one node among those given.
pub(crate) fn of_node(assigned: Vec<Assigned>, node: &str) -> Vec<Assigned> {
    assigned.into_iter().filter(|a| a.node == node).collect()
}
