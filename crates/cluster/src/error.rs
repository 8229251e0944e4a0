//! What can go wrong with the cluster.

use fairlead_config::ConfigError;
use fairlead_shared::SharedError;
use std::path::PathBuf;

/// Why something about the cluster could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// One of the two files, or what was to be written in it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Shared state.
    #[error(transparent)]
    Shared(#[from] SharedError),
    /// There is no configuration in etcd, and none to put back.
    #[error(
        "there is no cluster in etcd below '{prefix}': run 'fairlead node join' with this node's etcd, or correct etcd.prefix in node.conf"
    )]
    NotFounded {
        /// The prefix of all keys.
        prefix: String,
    },
    /// What etcd has for `cluster.conf` cannot be used.
    #[error(
        "the key '{prefix}/config' in etcd, modified at revision {revision}, is no configuration: {reason}; put a good text there with etcdctl"
    )]
    BadConfig {
        /// The prefix of all keys.
        prefix: String,
        /// When it was last written.
        revision: i64,
        /// What is wrong.
        reason: String,
    },
    /// Others changed the configuration each time this one tried.
    #[error(
        "cannot {operation}: others changed the cluster's configuration {attempts} times meanwhile; nothing is changed, run it again"
    )]
    Contended {
        /// What was to be done.
        operation: &'static str,
        /// How often it was tried.
        attempts: u32,
    },
    /// The change is made in the cluster, but not yet on this node.
    #[error(
        "the cluster's configuration is changed, but this node has not written it to cluster.conf: {source}; the agent or the next command does"
    )]
    NotMirrored {
        /// Why it was not written.
        source: Box<ClusterError>,
    },
    /// The node does not belong to a cluster.
    #[error(
        "node {node} is in no cluster: node.conf has no etcd.endpoints; 'fairlead node join' puts it in one"
    )]
    NotJoined {
        /// This node.
        node: String,
    },
    /// A join without a server.
    #[error("no etcd is named: 'fairlead node join --etcd URL[,URL...]' is wanted")]
    NoEndpoints,
    /// The node has a cluster of its own already.
    #[error(
        "{} declares networks and is of another cluster ({own}) than the one in etcd ({theirs}); 'fairlead node join --force' keeps it as cluster.conf.before-join and takes the one in etcd", .path.display()
    )]
    OtherCluster {
        /// The file `cluster.conf`.
        path: PathBuf,
        /// The identity in it.
        own: String,
        /// The identity in etcd.
        theirs: String,
    },
    /// etcd has another cluster than the one this node is in.
    #[error(
        "etcd has another cluster ({theirs}) below '{prefix}' than this node's ({own}); its \
         configuration is neither taken nor changed: correct etcd.endpoints or etcd.prefix in node.conf, or go \
         over to it by 'fairlead node leave --force' and 'fairlead node join --force'"
    )]
    Stranger {
        /// The prefix of all keys.
        prefix: String,
        /// The identity of the cluster this node is in.
        own: String,
        /// The identity in etcd.
        theirs: String,
    },
    /// There is no such node.
    #[error("there is no node {node} in the cluster; there are: {}", list(.nodes))]
    UnknownNode {
        /// The name given.
        node: String,
        /// The nodes there are.
        nodes: Vec<String>,
    },
    /// The node that is to be taken out is alive.
    #[error("node {node} is alive: run 'fairlead node leave' there, or here with --force")]
    Alive {
        /// The node.
        node: String,
    },
    /// Another machine has the name of this node.
    #[error(
        "two nodes are called {node}: another machine is registered by this name and lives, so this one is not registered and publishes no addresses; give one of them another name (hostname) and let it join by that"
    )]
    Namesake {
        /// The name.
        node: String,
    },
    /// A join by the name of a living node.
    #[error(
        "another machine is node {node} of the cluster and lives: give this one another name (hostname) and join by that; if it is this machine as it was before, that one is forgotten within some seconds, and --force does not wait for it"
    )]
    NameTaken {
        /// The name.
        node: String,
    },
    /// Others took the node out of its cluster.
    #[error(
        "node {node} is not in cluster.nodes, so the others have no way to its containers: 'fairlead node join' brings it back, 'fairlead node leave' ends it here too"
    )]
    NotMember {
        /// This node.
        node: String,
    },
    /// What etcd has gives away what this node has.
    #[error(
        "etcd was restored from an older state, and the segment {segment} of node {node} in network {network} is another's there or another one since: this node keeps it and does not take what etcd has. Free the one that was given last, with 'fairlead net release --name {network} --node NODE --force' on another node, or give up this one's: detach its containers, 'fairlead node leave --force' and join again"
    )]
    SegmentLost {
        /// The network.
        network: String,
        /// This node.
        node: String,
        /// Its segment.
        segment: String,
    },
    /// There is no such network, or none with segments.
    #[error("network {network} has no segments; networks that have: {}", list(.networks))]
    NoSegments {
        /// The name given.
        network: String,
        /// The networks that have segments.
        networks: Vec<String>,
    },
    /// The node has no segment in the network.
    #[error("node {node} has no segment in network {network}; nodes that have: {}", list(.nodes))]
    NoSegment {
        /// The network.
        network: String,
        /// The node given.
        node: String,
        /// The nodes that have one.
        nodes: Vec<String>,
    },
    /// The segment belongs to a node of the cluster.
    #[error(
        "node {node} is in the cluster, so its segment in network {network} is in use: let it leave first, or use --force"
    )]
    Member {
        /// The network.
        network: String,
        /// The node.
        node: String,
    },
    /// There are addresses in the segment.
    #[error(
        "node {node} has {count} addresses published in network {network}: detach them first, or use --force"
    )]
    InUse {
        /// The network.
        network: String,
        /// The node.
        node: String,
        /// How many.
        count: u64,
    },
    /// A stored segment is no network.
    #[error(
        "the segment {value:?} of node {node} in network {network} is no cidr: remove it with 'cluster set', as network#{network}.subnet@{node}"
    )]
    BadSegment {
        /// The network.
        network: String,
        /// The node.
        node: String,
        /// What is stored.
        value: String,
    },
    /// A file of this node's memory of the cluster.
    #[error("cannot {operation} {}: {source}", .path.display())]
    File {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl ClusterError {
    /// Whether etcd did not answer at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Shared(e) => e.is_unreachable(),
            Self::NotMirrored { source } => source.is_unreachable(),
            _ => false,
        }
    }

    /// Whether a watch has to begin anew.
    pub(crate) fn is_compacted(&self) -> bool {
        matches!(self, Self::Shared(e) if e.is_compacted())
    }

    pub(crate) fn file(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            operation,
            path,
            source,
        }
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        _ => names.join(", "),
    }
}
