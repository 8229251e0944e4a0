//! What the agent's threads share.

use crate::links::Requests;
use crate::metrics::Metrics;
use crate::reconcile::Message;
use crate::schedule::Cause;
use crate::zones::News;
use fairlead_attach::Node;
use fairlead_cluster::Cluster;
use fairlead_control::{self as control, Namespace, Reconciled, Status};
use fairlead_docker::Door;
use fairlead_plugins::Host;
use fairlead_types::Root;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The agent, as its threads see it.
pub(crate) struct Shared {
    pub(crate) root: Root,
    /// The node's name.
    pub(crate) name: String,
    /// The network namespace it works in.
    pub(crate) namespace: Namespace,
    pub(crate) host: Arc<Host>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: Stop,
    pub(crate) requests: Requests,
    since: u64,
    ready: AtomicBool,
    /// The node with the newest configuration that could be read.
    node: Mutex<Arc<Node>>,
    reconciled: Mutex<Option<Reconciled>>,
    cluster_status: Mutex<control::Cluster>,
    cluster: Mutex<Option<Arc<Cluster>>>,
    /// What keeps names from being answered somewhere.
    name_problems: Mutex<BTreeSet<String>>,
    /// Docker's door, once it was opened.
    docker: OnceLock<Arc<Door>>,
    messages: Sender<Message>,
    zones: Sender<News>,
}

/// The parts that only the maker of [`Shared`] has.
pub(crate) struct Parts {
    pub(crate) root: Root,
    pub(crate) namespace: Namespace,
    pub(crate) host: Arc<Host>,
    pub(crate) node: Node,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) requests: Requests,
    pub(crate) messages: Sender<Message>,
    pub(crate) zones: Sender<News>,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            root: parts.root,
            name: fairlead_config::nodename(),
            namespace: parts.namespace,
            host: parts.host,
            metrics: parts.metrics,
            stop: Stop::default(),
            requests: parts.requests,
            since: fairlead_store::now(),
            ready: AtomicBool::new(false),
            node: Mutex::new(Arc::new(parts.node)),
            reconciled: Mutex::default(),
            cluster_status: Mutex::default(),
            cluster: Mutex::default(),
            name_problems: Mutex::default(),
            docker: OnceLock::new(),
            messages: parts.messages,
            zones: parts.zones,
        }
    }

    pub(crate) fn node(&self) -> Arc<Node> {
        Arc::clone(&locked(&self.node))
    }

    pub(crate) fn set_node(&self, node: Node) {
        *locked(&self.node) = Arc::new(node);
    }

    /// Asks for a reconciliation, without waiting for it.
    pub(crate) fn want(&self, cause: Cause) {
        self.tell(Message::Wanted(cause));
    }

    /// Says something to the thread that reconciles. When it has ended, so has the agent.
    pub(crate) fn tell(&self, message: Message) {
        let _ = self.messages.send(message);
    }

    /// Says something to the thread that keeps the cluster's names. When it has ended, so
    /// has the agent.
    pub(crate) fn tell_zones(&self, news: News) {
        let _ = self.zones.send(news);
    }

    pub(crate) fn name_problems(&self) -> BTreeSet<String> {
        locked(&self.name_problems).clone()
    }

    pub(crate) fn set_docker(&self, door: Arc<Door>) {
        // It is opened once.
        let _ = self.docker.set(door);
    }

    /// What keeps networks of Docker's from being on every node.
    pub(crate) fn docker_problems(&self) -> Vec<String> {
        let door = self.docker.get();
        door.map_or_else(Vec::new, |door| door.carried_problems())
    }

    pub(crate) fn set_name_problems(&self, problems: BTreeSet<String>) {
        let mut known = locked(&self.name_problems);
        if *known != problems {
            *known = problems;
            self.want(Cause::Declared);
        }
    }

    pub(crate) fn set_reconciled(&self, done: Reconciled) {
        *locked(&self.reconciled) = Some(done);
        self.ready.store(true, Ordering::Relaxed);
    }

    /// The cluster, once it could be opened.
    pub(crate) fn cluster(&self) -> Option<Arc<Cluster>> {
        locked(&self.cluster).clone()
    }

    pub(crate) fn set_cluster(&self, cluster: Arc<Cluster>) {
        *locked(&self.cluster) = Some(cluster);
    }

    /// Changes what is told of the cluster.
    pub(crate) fn cluster_status(&self, change: impl FnOnce(&mut control::Cluster)) {
        let mut cluster = locked(&self.cluster_status);
        change(&mut cluster);
        self.metrics
            .cluster(cluster.reachable, cluster.nodes_alive.unwrap_or(1));
    }

    pub(crate) fn status(&self) -> Status {
        Status {
            node: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: self.since,
            ready: self.ready.load(Ordering::Relaxed),
            reconciled: locked(&self.reconciled).clone(),
            cluster: locked(&self.cluster_status).clone(),
        }
    }
}

/// Whether the agent is to end, for threads that wait.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(crate) fn ask(&self) {
        *locked(&self.asked) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_asked(&self) -> bool {
        *locked(&self.asked)
    }

    /// Waits so long, or until the agent is to end; returns whether it is.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut asked = locked(&self.asked);
        while !*asked {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = self.changed.wait_timeout(asked, left);
            asked = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// A panic of another thread left a whole value: each is replaced, never half changed.
pub(crate) fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
