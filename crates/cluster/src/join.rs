//! Joining a cluster.

use crate::cluster::{Stored, options};
use crate::config::{Decision, of_node, write};
use crate::mirror::{identity, keep};
use crate::{Cluster, ClusterError, keys};
use fairlead_config::{
    Assigned, Change, Changed, Config, ConfigError, Document, EtcdSettings, KeyOp, KeyPath, Mirror,
    Operator, Target, change, changed, changed_with_segments, is_joined, nodename, update,
};
use fairlead_shared::{Etcd, SharedState, Txn};
use fairlead_types::Root;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// How a node that joins reaches etcd; see the section `[etcd]` of `node.conf`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinOptions {
    /// The servers, as `http://HOST:PORT` or `https://HOST:PORT`; at least one.
    pub endpoints: Vec<String>,
    /// The file of the authorities that the servers' certificates are checked with.
    pub ca: Option<PathBuf>,
    /// The file of the node's certificate; with `key`.
    pub cert: Option<PathBuf>,
    /// The file of the certificate's private key; with `cert`.
    pub key: Option<PathBuf>,
    /// The user; with `password_file`.
    pub user: Option<String>,
    /// The file that holds the user's password; with `user`.
    pub password_file: Option<PathBuf>,
    /// What every key begins with; empty for the default, `/fairlead`.
    pub prefix: String,
    /// Whether to give up networks of this node's own cluster.
    pub force: bool,
}

/// What a join did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Joined {
    /// The cluster's name.
    pub cluster: String,
    /// Whether this node's `cluster.conf` founded it.
    pub founded: bool,
    /// Its nodes, this one among them.
    pub nodes: Vec<String>,
    /// The segments that this node got now.
    pub segments: Vec<Assigned>,
    /// Where this node's former `cluster.conf` is kept, if it said something else.
    pub kept: Option<PathBuf>,
}

/// Puts this node in the cluster that an etcd holds, or founds one there by this node's
/// `cluster.conf`. The node gets its segments in the same transaction. Nothing is
/// changed before etcd answered; a join that was cut off anywhere is finished by
/// repeating it, and one that was not changes nothing.
///
/// # Errors
/// Options that cannot be, as [`ConfigError::Refused`]; etcd that does not answer;
/// [`ClusterError::OtherCluster`], [`ClusterError::NameTaken`]; a segment that cannot be
/// had.
pub fn join(root: &Root, options: &JoinOptions) -> Result<Joined, ClusterError> {
    join_as(root, &nodename(), options)
}

/// The same for the node of this name.
///
/// # Errors
/// As [`join`].
pub fn join_as(root: &Root, node: &str, given: &JoinOptions) -> Result<Joined, ClusterError> {
    let (changes, settings) = checked(root, node, given)?;
    let engine = Arc::new(Etcd::open(&options(&settings))?);
    join_over(root, node, engine, &settings.prefix, given.force, &changes)
}

/// The same over an open engine; `changes` make `node.conf` what it is to be.
pub(crate) fn join_over(
    root: &Root,
    node: &str,
    engine: Arc<dyn SharedState>,
    prefix: &str,
    force: bool,
    changes: &[Change],
) -> Result<Joined, ClusterError> {
    let cluster = Cluster::over(root, node, engine, Some(prefix.to_owned()))?;
    if is_joined(&Target::Node.read(root)?) {
        cluster.restore_mirror()?;
    }
    if !force {
        cluster.refuse_namesake()?;
    }
    let stored = Stored::of(&cluster.engine.range(keys::CONFIG)?, prefix)?;
    let founded = match stored {
        None => cluster.found()?,
        Some(_) => false,
    };
    if !founded && !force {
        cluster.refuse_other(prefix)?;
    }
    let kept = cluster.keep_own(prefix)?;
    let segments = cluster.transact("join the cluster", |config| {
        let (Changed { config, .. }, assigned) = changed_with_segments(config, &[member(node)])?;
        Ok(Decision {
            config,
            also: Vec::new(),
            told: of_node(assigned, node),
        })
    })?;
    // From here on the node is joined.
    change(root, Target::Node, node, changes, false)?;
    let config = cluster.local_config()?;
    let nodes = config.cluster_nodes();
    Ok(Joined {
        cluster: config.cluster_name()?,
        founded,
        nodes: nodes.into_iter().map(str::to_owned).collect(),
        segments,
        kept,
    })
}

impl Cluster {
    /// Refuses the name of a living node that is another machine.
    fn refuse_namesake(&self) -> Result<(), ClusterError> {
        match self.as_own() {
            Err(ClusterError::Namesake { node }) => Err(ClusterError::NameTaken { node }),
            result => result.map(|_| ()),
        }
    }

    /// Refuses what etcd has where this node's own `cluster.conf` is of another cluster
    /// and declares networks.
    fn refuse_other(&self, prefix: &str) -> Result<(), ClusterError> {
        let own = match self.local_config() {
            // What is gone is not given up: the cluster's comes in its place.
            Err(ClusterError::Config(ConfigError::Vanished { .. })) => return Ok(()),
            own => own?,
        };
        let document = own.document(Target::Cluster);
        let networks = document.sections().any(|s| s.starts_with("network#"));
        let stored = Stored::of(&self.engine.range(keys::CONFIG)?, prefix)?;
        let Some(stored) = stored.filter(|_| networks) else {
            return Ok(());
        };
        let theirs = own.with_text(Target::Cluster, &stored.text)?;
        let same = own.identity().is_some() && own.identity() == theirs.identity();
        // The same file on each node before there was a cluster is the cluster's.
        if same || declares_same(document, theirs.document(Target::Cluster)) {
            return Ok(());
        }
        let id = |config: &Config| config.identity().unwrap_or("without identity").to_owned();
        Err(ClusterError::OtherCluster {
            path: Target::Cluster.path(&self.root),
            own: id(&own),
            theirs: id(&theirs),
        })
    }

    /// Makes this node's `cluster.conf` that of the cluster; says whether it was quicker
    /// than others.
    fn found(&self) -> Result<bool, ClusterError> {
        // The identity is kept first: a repeated join knows its own by it.
        let own = update(&self.root, &self.node, |config| {
            *config = config.clone().identified()?;
            Ok::<_, ClusterError>(config.clone())
        })?;
        let (Changed { config, .. }, _) = changed_with_segments(&own, &[member(&self.node)])?;
        let text = config.document(Target::Cluster).to_string();
        let generation = Mirror::read(&self.root)?.map_or(0, |r| r.generation) + 1;
        let txn = write(Txn::new().absent(keys::CONFIG), &text, generation);
        Ok(self.engine.commit(&txn)?.is_done())
    }

    /// Keeps this node's `cluster.conf` as `cluster.conf.before-join` if it says something
    /// that the cluster's does not come from.
    fn keep_own(&self, prefix: &str) -> Result<Option<PathBuf>, ClusterError> {
        let stored = Stored::of(&self.engine.range(keys::CONFIG)?, prefix)?;
        let record = Mirror::read(&self.root)?;
        let theirs = stored.map(|s| s.text).unwrap_or_default();
        if is_joined(&Target::Node.read(&self.root)?)
            && record.as_ref().is_some_and(|r| is_same(&r.text, &theirs))
        {
            // A node of this very cluster: what it mirrored counts against an older state.
            return Ok(None);
        }
        Target::Cluster.rewrite(&self.root, |file| {
            let mirrored = |text: &str| record.as_ref().is_some_and(|r| r.has(text));
            let says = |text: &&str| {
                let same = match (Document::parse(text), Document::parse(&theirs)) {
                    (Ok(text), Ok(theirs)) => declares_same(&text, &theirs),
                    _ => false,
                };
                !text.trim().is_empty() && !same && !mirrored(text)
            };
            let kept = match file.filter(says) {
                Some(text) => Some(keep(&self.root, "before-join", text)?),
                None => None,
            };
            // What is kept, or came from the cluster, is no local edit for the mirror.
            Mirror {
                text: file.unwrap_or_default().to_owned(),
                ..Mirror::default()
            }
            .write(&self.root)?;
            Ok((None, kept))
        })
    }
}

/// Whether two texts are of one cluster.
fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (identity(one), identity(other));
    one.is_some() && one == other
}

/// Whether everything that a text declares is in another one with the same value, but
/// for the nodes, which a join adds to.
fn declares_same(text: &Document, other: &Document) -> bool {
    text.sections().all(|section| {
        other.has_section(section)
            && text.options(section).all(|(option, value)| {
                (section, option) == ("cluster", "nodes")
                    || other.get(section, option) == Some(value)
            })
    })
}

/// The change that makes a node one of the cluster.
fn member(node: &str) -> Change {
    set("cluster", "nodes", Operator::Merge, node)
}

fn set(section: &str, option: &str, operator: Operator, value: &str) -> Change {
    Change::Set(KeyOp {
        path: KeyPath::new(section, option),
        operator,
        value: value.to_owned(),
    })
}

/// The changes of `node.conf` that the options mean, and the settings that come of them.
fn checked(
    root: &Root,
    node: &str,
    given: &JoinOptions,
) -> Result<(Vec<Change>, EtcdSettings), ClusterError> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string());
    let endpoints = given.endpoints.join(" ");
    let values = [
        ("endpoints", Some(endpoints).filter(|e| !e.is_empty())),
        ("ca", path(&given.ca)),
        ("cert", path(&given.cert)),
        ("key", path(&given.key)),
        ("user", given.user.clone()),
        ("password_file", path(&given.password_file)),
        (
            "prefix",
            Some(given.prefix.clone()).filter(|p| !p.is_empty()),
        ),
    ];
    let changes: Vec<Change> = values
        .into_iter()
        .map(|(option, value)| match value {
            Some(value) => set("etcd", option, Operator::Assign, &value),
            None => Change::Unset(KeyPath::new("etcd", option)),
        })
        .collect();
    // Only `node.conf` is looked at: `cluster.conf` is judged when it is needed.
    let local = Target::Node.read(root)?;
    let config = Config::from_documents(root, node, Document::default(), local);
    let after = changed(&config, Target::Node, &changes)?.config;
    match after.etcd()? {
        Some(settings) => Ok((changes, settings)),
        None => Err(ClusterError::NoEndpoints),
    }
}

#[cfg(test)]
mod tests;
