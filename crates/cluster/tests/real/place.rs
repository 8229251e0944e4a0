//! A node: a root of its own.

use fairlead_cluster::{Cluster, ClusterError, JoinOptions, Joined, PublishedAddress, join_as};
use fairlead_config::{Change, ConfigError, Document, Target};
use fairlead_tests::{LoneEtcd, eventually, patience};
use fairlead_types::Root;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

pub(crate) struct Place {
    _dir: tempfile::TempDir,
    pub(crate) root: Root,
    pub(crate) node: String,
}

impl Place {
    /// A node whose `cluster.conf` has this text; none if it is empty.
    pub(crate) fn new(node: &str, cluster: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        std::fs::create_dir_all(root.etc()).unwrap();
        let place = Self {
            _dir: dir,
            root,
            node: node.to_owned(),
        };
        if !cluster.is_empty() {
            place.write(cluster);
        }
        place
    }

    /// A node that has joined.
    pub(crate) fn joined(node: &str, cluster: &str, server: &LoneEtcd) -> Self {
        let place = Self::new(node, cluster);
        place.join(server).unwrap();
        place
    }

    pub(crate) fn join(&self, server: &LoneEtcd) -> Result<Joined, ClusterError> {
        join_as(&self.root, &self.node, &options(server))
    }

    pub(crate) fn open(&self) -> Cluster {
        Cluster::open_as(&self.root, &self.node).unwrap()
    }

    pub(crate) fn path(&self, suffix: &str) -> PathBuf {
        let mut path = Target::Cluster.path(&self.root).into_os_string();
        path.push(suffix);
        path.into()
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.path("")).unwrap_or_default()
    }

    pub(crate) fn node_conf(&self) -> String {
        std::fs::read_to_string(Target::Node.path(&self.root)).unwrap_or_default()
    }

    pub(crate) fn write(&self, text: &str) {
        std::fs::write(self.path(""), text).unwrap();
    }

    /// The segments of a network that `cluster.conf` has here.
    pub(crate) fn segments(&self, network: &str) -> BTreeMap<String, String> {
        segments(&self.text(), network)
    }
}

pub(crate) fn segments(text: &str, network: &str) -> BTreeMap<String, String> {
    let document = Document::parse(text).unwrap();
    let stored = fairlead_config::stored_segments(&document, network);
    let own = |(node, segment): (&str, &str)| (node.to_owned(), segment.to_owned());
    stored.into_iter().map(own).collect()
}

pub(crate) fn options(server: &LoneEtcd) -> JoinOptions {
    JoinOptions {
        endpoints: vec![server.url().to_owned()],
        ..JoinOptions::default()
    }
}

pub(crate) fn set(texts: &[&str]) -> Vec<Change> {
    let change = |text: &&str| Change::Set(text.parse().unwrap());
    texts.iter().map(change).collect()
}

/// A routed bridge in `cluster.conf`.
pub(crate) fn network(name: &str, range: &str, size: u32) -> String {
    format!("[network#{name}]\ntype = routed_bridge\nnetwork = {range}\nips_per_node = {size}\n")
}

pub(crate) fn address(network: &str, ip: &str) -> PublishedAddress {
    let ip: IpAddr = ip.parse().unwrap();
    PublishedAddress {
        node: String::new(),
        network: network.parse().unwrap(),
        ip,
        object: "shop/svc/web".to_owned(),
        resource: "ip#0".to_owned(),
        naming: Default::default(),
        container: "c1".to_owned(),
        ifname: "eth0".to_owned(),
        since: 1,
    }
}

/// The faults that refused a change.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, ClusterError>) -> String {
    match result {
        Err(ClusterError::Config(e @ ConfigError::Refused { .. })) => e.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    eventually(patience() * 3, || ask().ok_or(what))
}
