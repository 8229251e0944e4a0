//! Leaving a cluster.

use crate::config::Decision;
use crate::{Cluster, ClusterError, keys};
use fairlead_config::{
    Change, Config, KeyOp, KeyPath, Mirror, Operator, Target, change, changed, nodename, remember,
    stored_segments,
};
use fairlead_shared::{Change as Put, SharedState};
use fairlead_types::Root;
use serde::Serialize;
use std::path::PathBuf;

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
/// With `force`, another node may be alive; what is forced to leave keeps its addresses,
/// so its segments are not released by mistake while it has containers. And etcd need not be reached to take out this
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
    let node = node.unwrap_or(cluster.node()).to_lowercase();
    let node = node.as_str();
    let own = node == cluster.node();
    let _leaving = match own {
        true => Some(Leaving::begin(&cluster.root)?),
        false => None,
    };
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
        // The file is this node's own from now on.
        cluster.restore_mirror()?;
        remember(&cluster.root)?;
        let section = Change::Delete("etcd".to_owned());
        change(&cluster.root, Target::Node, node, &[section], false)?;
        Mirror::remove(&cluster.root)?;
    }
    Ok(left)
}

impl Cluster {
    /// Takes a node out of shared state.
    fn take_out(&self, node: &str, own: bool, force: bool) -> Result<Left, ClusterError> {
        let is_alive = !own && self.engine.get(&keys::node(node))?.is_some();
        if is_alive && !force {
            let node = node.to_owned();
            return Err(ClusterError::Alive { node });
        }
        // A living node says itself when its addresses end, and one that is forced to
        // leave may have containers: until then its segment is in use.
        let also = match (is_alive, own && force) {
            (true, _) => Vec::new(),
            (false, true) => vec![Put::Delete(keys::node(node))],
            (false, false) => vec![
                Put::Delete(keys::node(node)),
                Put::DeletePrefix(keys::addresses_of(node)),
                Put::DeletePrefix(keys::docker_holders_of(node)),
            ],
        };
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
                also: also.clone(),
                told: left(config, node),
            })
        })
    }
}

/// This node's leave, from before others know of it to the end: what goes meanwhile is
/// not lost, and not put back.
struct Leaving(PathBuf);

impl Leaving {
    fn path(root: &Root) -> PathBuf {
        root.run().join("leaving")
    }

    fn begin(root: &Root) -> Result<Self, ClusterError> {
        let path = Self::path(root);
        let make = || {
            root.make_run()?;
            std::fs::write(&path, "")
        };
        make().map_err(ClusterError::file("write", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        // One that stays counts only while the node is not in the cluster.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Whether this node's leave has begun, or was cut off.
pub(crate) fn is_leaving(root: &Root) -> bool {
    Leaving::path(root).exists()
}

impl Cluster {
    /// Whether what is gone from shared state is gone because this node leaves.
    pub(crate) fn has_left(&self) -> Result<bool, ClusterError> {
        match self.check_joined() {
            Err(ClusterError::NotJoined { .. }) => Ok(true),
            Err(e) => Err(e),
            Ok(()) => Ok(is_leaving(&self.root) && !self.is_member()?),
        }
    }

    /// Whether the configuration, as it was mirrored last, has this node.
    pub(crate) fn is_member(&self) -> Result<bool, ClusterError> {
        let config = self.local_config()?;
        Ok(config.cluster_nodes().contains(&self.node.as_str()))
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
