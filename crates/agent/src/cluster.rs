//! The node's part in the cluster: it says that it lives, follows what the others say,
//! and publishes its addresses. Where shared state does not answer, everything on the node
//! goes on, and what was missed is made up for.

mod follow;
mod publish;
mod register;
mod report;

use crate::schedule::Cause;
use crate::shared::Shared;
use crate::zones::News;
use fairlead_cluster::{Cluster, ClusterError, Resolved};
use fairlead_config::{Config, Document, EtcdSettings, Target};
use fairlead_networks::Known;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tracing::{error, info};

/// How often it is looked whether the node joined or left.
const LOOK: Duration = Duration::from_secs(1);

/// What of `node.conf` says which cluster it is, and when the files named there were
/// written: a certificate that was renewed counts from then on.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    etcd: Option<EtcdSettings>,
    written: Vec<Option<SystemTime>>,
}

/// One membership, until the node joins, leaves or the agent ends.
pub(crate) struct Membership<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) cluster: &'a Cluster,
    pub(crate) over: &'a AtomicBool,
    /// Nodes came, went or reported since they were counted.
    pub(crate) recount: &'a AtomicBool,
    /// Whether the node's name is this machine's, as far as shared state said.
    pub(crate) registered: &'a AtomicBool,
}

impl Membership<'_> {
    /// Waits so long; returns whether the membership is over.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        self.shared.stop.wait(time) || self.is_over()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Opens the cluster that `node.conf` names; shared state is not asked yet.
pub(crate) fn open(shared: &Shared) -> Result<Arc<Cluster>, ClusterError> {
    Cluster::open_as(&shared.root, &shared.name).map(Arc::new)
}

/// Takes part until the agent ends.
pub(crate) fn take_part(shared: &Shared) {
    while !shared.stop.is_asked() {
        let place = place(shared);
        match open(shared) {
            Ok(cluster) => {
                shared.set_cluster(Arc::clone(&cluster));
                shared.want(Cause::Declared);
                live(shared, &cluster, &place);
            }
            Err(failed) => {
                // The one before, if any, still answers questions.
                told(shared, &failed);
                while !shared.stop.wait(LOOK) && self::place(shared) == place {}
            }
        }
    }
}

fn told(shared: &Shared, failed: &ClusterError) {
    let text = failed.to_string();
    error!("{text}");
    shared.cluster_status(|cluster| {
        cluster.reachable = false;
        cluster.since = fairlead_store::now();
        cluster.problem = Some(text);
    });
}

/// None also while `node.conf` cannot be read: then another look comes.
fn place(shared: &Shared) -> Option<Place> {
    let local = Target::Node.read(&shared.root).ok()?;
    let config = Config::from_documents(&shared.root, &shared.name, Document::default(), local);
    let etcd = config.etcd().ok()?;
    let files = etcd.iter().flat_map(|etcd| {
        let EtcdSettings {
            ca,
            cert,
            key,
            password_file,
            ..
        } = etcd;
        [ca, cert, key, password_file].into_iter().flatten()
    });
    let written = files.map(|file| std::fs::metadata(file).and_then(|m| m.modified()).ok());
    let written = written.collect();
    Some(Place { etcd, written })
}

fn live(shared: &Shared, cluster: &Cluster, place: &Option<Place>) {
    shared.cluster_status(|status| {
        status.joined = cluster.is_joined();
        status.reachable = !status.joined;
        status.since = fairlead_store::now();
        status.problem = None;
        status.nodes_alive = None;
    });
    if cluster.is_joined() {
        info!("a node of a cluster with shared state");
    }
    // What was mirrored, until shared state answers.
    shared.tell_zones(News::Anew);
    let over = AtomicBool::new(false);
    let recount = AtomicBool::new(true);
    let registered = AtomicBool::new(false);
    let membership = Membership {
        shared,
        cluster,
        over: &over,
        recount: &recount,
        registered: &registered,
    };
    std::thread::scope(|scope| {
        scope.spawn(|| follow::run(&membership));
        scope.spawn(|| register::run(&membership));
        scope.spawn(|| publish::run(&membership));
        while !shared.stop.wait(LOOK) && self::place(shared) == *place {}
        over.store(true, Ordering::Relaxed);
    });
}

/// Where the nodes are, by their names and by what their agents told.
pub(crate) fn known(shared: &Shared, resolved: Resolved) -> Known {
    if let Some(cluster) = shared.cluster() {
        return cluster.known_by(resolved);
    }
    let mut known = Known::default();
    for (name, answer) in resolved {
        match answer {
            Ok(addresses) => known.insert(name, addresses),
            Err(reason) => known.fail(name, reason),
        }
    }
    known
}

/// Gives the nodes of the cluster the segments that they lack; returns what is in the way.
pub(crate) fn assign(shared: &Shared) -> Option<ClusterError> {
    let cluster = shared.cluster()?;
    // Asking in vain would hold up what can be done.
    if cluster.staleness().is_some() {
        return None;
    }
    match cluster.assign_segments() {
        Ok(done) => {
            for given in done.assigned {
                info!(
                    "segment {} of network {} is node {}'s",
                    given.segment, given.network, given.node
                );
            }
            None
        }
        Err(error) if error.is_unreachable() => None,
        Err(error) => Some(error),
    }
}
