//! Leaving a cluster.

use crate::config::Decision;
use crate::mirror::Record;
use crate::{Cluster, ClusterError, keys};
use fairlead_config::{
    Change, Config, KeyOp, KeyPath, Operator, Target, change, changed, nodename, stored_segments,
};
use fairlead_shared::{Change as Put, SharedState};
use fairlead_types::Root;
use serde::Serialize;

/// What a leave did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// The node that left.
    pub node: String,
    /// Whether the cluster knows: not so if etcd was not reached and that was forced.
    pub told: bool,
    /// The networks in which the node's segment stays taken until it is released.
    pub segments: Vec<String>,
}

/// Takes this node out of its cluster, or another one that is dead. Its segments stay
/// taken until they are released; its registration and its addresses go. This node's
/// `cluster.conf` stays as it is, and `node.conf` loses its section `[etcd]`.
///
/// With `force`, another node may be alive, and etcd need not be reached to take out this
/// one; others then see it until someone takes it out there.
///
/// # Errors
/// [`ClusterError::NotJoined`], [`ClusterError::UnknownNode`], [`ClusterError::Alive`]; etcd
/// that is not reached. Repeating it finishes one that was cut off.
pub fn leave(root: &Root, node: Option<&str>, force: bool) -> Result<Left, ClusterError> {
    leave_as(root, &nodename(), node, force)
}

/// The same as the node of this name.
///
/// # Errors
/// As [`leave`].
pub fn leave_as(
    root: &Root,
    own: &str,
    node: Option<&str>,
    force: bool,
) -> Result<Left, ClusterError> {
    leave_over(&Cluster::open_as(root, own)?, node, force)
}

/// The same over an open cluster.
pub(crate) fn leave_over(
    cluster: &Cluster,
    node: Option<&str>,
    force: bool,
) -> Result<Left, ClusterError> {
    if !cluster.is_joined() {
        let node = cluster.node().to_owned();
        return Err(ClusterError::NotJoined { node });
    }
    let own = node.is_none_or(|node| node == cluster.node());
    let node = node.unwrap_or(cluster.node());
    let left = match cluster.take_out(node, own, force) {
        Err(ClusterError::NotFounded { .. }) if own => left(&cluster.local_config()?, node),
        Err(e) if own && force && e.is_unreachable() => Left {
            told: false,
            ..left(&cluster.local_config()?, node)
        },
        // The transaction was made; what is not mirrored stays as it was here.
        Err(ClusterError::NotMirrored { .. }) if own => left(&cluster.local_config()?, node),
        result => result?,
    };
    if own {
        let section = Change::Delete("etcd".to_owned());
        change(&cluster.root, Target::Node, node, &[section], false)?;
        Record::remove(&cluster.root)?;
    }
    Ok(left)
}

impl Cluster {
    /// Takes a node out of shared state.
    fn take_out(&self, node: &str, own: bool, force: bool) -> Result<Left, ClusterError> {
        if !own && !force && self.engine.get(&keys::node(node))?.is_some() {
            let node = node.to_owned();
            return Err(ClusterError::Alive { node });
        }
        self.transact("leave the cluster", |config| {
            let nodes = config.cluster_nodes();
            if !own && !nodes.contains(&node) {
                return Err(ClusterError::UnknownNode {
                    node: node.to_owned(),
                    nodes: nodes.into_iter().map(str::to_owned).collect(),
                });
            }
            let out = Change::Set(KeyOp {
                path: KeyPath::new("cluster", "nodes"),
                operator: Operator::Remove,
                value: node.to_owned(),
            });
            Ok(Decision {
                config: changed(config, Target::Cluster, &[out])?.config,
                also: vec![
                    Put::Delete(keys::node(node)),
                    Put::DeletePrefix(keys::addresses_of(node)),
                ],
                told: left(config, node),
            })
        })
    }
}

/// What there is to tell of a node that leaves.
fn left(config: &Config, node: &str) -> Left {
    let document = config.document(Target::Cluster);
    let networks = document
        .sections()
        .filter_map(|s| s.strip_prefix("network#"));
    let has = |network: &&str| {
        let stored = stored_segments(document, network);
        stored.iter().any(|(owner, _)| *owner == node)
    };
    Left {
        node: node.to_owned(),
        told: true,
        segments: networks.filter(has).map(str::to_owned).collect(),
    }
}
