//! The cluster's names: which addresses they are of, and where they are answered.
//!
//! One thread ([`run`]) is told what changed and keeps the server's zones: the addresses of
//! this node as its own records have them, those of the others as shared state has them, as
//! long as their nodes live. Where shared state does not answer, what is known stays.

mod place;

pub use place::dns_servers;
pub(crate) use place::{listening, settings};

use crate::shared::Shared;
use fairlead_attach::Node;
use fairlead_cluster::{AddressChange, Cluster, ClusterError, PublishedAddress};
use fairlead_config::Config;
use fairlead_dns::{Backend, Change, DnsError, Instance, Record, Server, Zones};
use fairlead_store::AttachmentState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tracing::warn;

/// A node that is missing when all is read anew keeps its names for so long: after etcd was
/// restored each node registers again.
const GRACE: Duration = Duration::from_secs(15);
/// How long the first answer waits for what there is.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked for what is due.
const LOOK: Duration = Duration::from_secs(1);

/// What the thread is told.
pub(crate) enum News {
    /// The addresses of this node, all of them.
    Own(Vec<PublishedAddress>),
    /// Addresses in shared state came, changed or went.
    Changed(Vec<AddressChange>),
    /// Nodes reported (true), or went.
    Nodes(BTreeMap<String, bool>),
    /// Shared state is to be read anew.
    Anew,
    /// The declarations or the node's addresses may be others.
    Declared,
    /// The agent is to end.
    Stop,
}

/// The thread's own.
struct Keeper<'a> {
    shared: &'a Shared,
    server: Server,
    backend: Option<Backend>,
    /// By keys in shared state.
    others: BTreeMap<String, Instance>,
    own: BTreeMap<String, Instance>,
    /// What is in the zones now.
    served: BTreeMap<String, Instance>,
    /// The keys whose instances may differ from what is served: with 100,000 addresses a
    /// change of one costs no look at the others.
    touched: BTreeSet<String>,
    alive: BTreeSet<String>,
    /// Nodes that were missing when all was read anew, and until when they count.
    missing: BTreeMap<String, Instant>,
    /// Addresses that were missing then, and until when they count: their nodes may put
    /// them back.
    carried: BTreeMap<String, Instant>,
    /// Whether the addresses of this node and those of the others were told: before that
    /// an answer would deny what is there.
    told: (bool, bool),
    /// Whether it is answered at all.
    answers: bool,
    /// From when on it is answered all the same.
    patience: Instant,
}

/// A server that answers nowhere yet. Where a keyword cannot be, it begins with the defaults,
/// and the next reconciliation tells.
pub(crate) fn start(config: &Config) -> Result<Server, DnsError> {
    let none = BTreeSet::new();
    let declared = settings(config, &none).or_else(|_| {
        let empty = fairlead_config::Document::default;
        let config = Config::from_documents(config.root(), config.node(), empty(), empty());
        settings(&config, &none)
    });
    match declared {
        Ok(settings) => Server::start(settings),
        // The defaults are good.
        Err(error) => Err(DnsError::Start {
            source: std::io::Error::other(error),
        }),
    }
}

/// Keeps the zones until the agent ends.
pub(crate) fn run(shared: &Shared, server: Server, news: &Receiver<News>) {
    let mut keeper = Keeper {
        shared,
        server,
        backend: None,
        others: BTreeMap::new(),
        own: BTreeMap::new(),
        served: BTreeMap::new(),
        touched: BTreeSet::new(),
        alive: BTreeSet::new(),
        missing: BTreeMap::new(),
        carried: BTreeMap::new(),
        told: (false, false),
        answers: false,
        patience: Instant::now() + PATIENCE,
    };
    loop {
        match news.recv_timeout(LOOK) {
            Ok(News::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Ok(first) => {
                let mut stop = keeper.heard(first);
                // What has come meanwhile is one step.
                while !stop && let Ok(next) = news.try_recv() {
                    stop = matches!(next, News::Stop) || keeper.heard(next);
                }
                keeper.serve();
                if stop {
                    break;
                }
            }
            Err(RecvTimeoutError::Timeout) => keeper.serve(),
        }
    }
    if let Some(backend) = keeper.backend {
        backend.stop();
    }
    keeper.server.stop();
}

impl Keeper<'_> {
    /// Takes one piece of news; returns whether it is the last.
    fn heard(&mut self, news: News) -> bool {
        match news {
            News::Own(addresses) => {
                let own = addresses
                    .iter()
                    .filter_map(|a| Some((key(a), instance(a)?)));
                let before = std::mem::replace(&mut self.own, own.collect());
                self.touched.extend(before.into_keys());
                self.touched.extend(self.own.keys().cloned());
                self.told.0 = true;
            }
            News::Changed(changes) => changes.into_iter().for_each(|c| self.changed(c)),
            News::Nodes(nodes) => {
                for (node, lives) in nodes {
                    let was_missing = self.missing.remove(&node).is_some();
                    let changed = match lives {
                        true => self.alive.insert(node.clone()),
                        false => self.alive.remove(&node),
                    };
                    if changed || was_missing {
                        self.touch_node(&node);
                    }
                }
            }
            News::Anew => self.read_anew(),
            News::Declared => self.configure(),
            News::Stop => return true,
        }
        false
    }

    fn changed(&mut self, change: AddressChange) {
        // This node knows best what it has.
        if change.node == self.shared.name {
            return;
        }
        self.touched.insert(change.key.clone());
        self.carried.remove(&change.key);
        match change.address.as_ref().and_then(instance) {
            Some(instance) => self.others.insert(change.key, instance),
            None => self.others.remove(&change.key),
        };
    }

    fn touch_node(&mut self, node: &str) {
        let start = format!("addresses/{node}/");
        let keys = self.others.range(start.clone()..).map(|(key, _)| key);
        let of_node = keys.take_while(|key| key.starts_with(&start));
        self.touched.extend(of_node.cloned());
    }

    /// Everything that shared state has, or the mirror of it.
    fn read_anew(&mut self) {
        let Some(cluster) = self.shared.cluster() else {
            return;
        };
        let read = || -> Result<_, ClusterError> {
            Ok((cluster.addresses(None)?.value, cluster.nodes()?.value))
        };
        let (addresses, nodes) = match read() {
            Ok(read) => read,
            Err(error) => {
                warn!("read the names of the cluster: {error}");
                return;
            }
        };
        let theirs = addresses.iter().filter(|a| a.node != self.shared.name);
        let before = std::mem::take(&mut self.others);
        self.others = theirs
            .filter_map(|a| Some((key(a), instance(a)?)))
            .collect();
        let alive = nodes
            .iter()
            .filter(|row| row.alive)
            .map(|row| row.node.clone());
        let alive: BTreeSet<String> = alive.collect();
        let until = Instant::now() + GRACE;
        for node in self.alive.difference(&alive) {
            self.missing.entry(node.clone()).or_insert(until);
        }
        self.missing.retain(|node, _| !alive.contains(node));
        // The addresses of a node may be missing, too.
        self.carried.clear();
        for (key, instance) in before {
            let served = self.served.contains_key(&key);
            if served && !self.others.contains_key(&key) {
                self.carried.insert(key.clone(), until);
                self.others.insert(key, instance);
            }
        }
        self.told.1 = true;
        self.alive = alive;
        self.touched.extend(self.others.keys().cloned());
        self.touched.extend(self.served.keys().cloned());
    }

    /// Makes the zones what is known.
    fn serve(&mut self) {
        let now = Instant::now();
        let over = self.missing.iter().filter(|(_, until)| **until <= now);
        let over: Vec<String> = over.map(|(node, _)| node.clone()).collect();
        for node in over {
            self.missing.remove(&node);
            self.touch_node(&node);
        }
        let over = self.carried.iter().filter(|(_, until)| **until <= now);
        let over: Vec<String> = over.map(|(key, _)| key.clone()).collect();
        for key in over {
            self.carried.remove(&key);
            self.others.remove(&key);
            self.touched.insert(key);
        }
        let mut changes = Vec::new();
        for key in std::mem::take(&mut self.touched) {
            let lives =
                |i: &&Instance| self.alive.contains(&i.node) || self.missing.contains_key(&i.node);
            let theirs = || self.others.get(&key).filter(lives);
            let wanted = self.own.get(&key).or_else(theirs).cloned();
            let served = match &wanted {
                Some(instance) => self.served.insert(key, instance.clone()),
                None => self.served.remove(&key),
            };
            if served != wanted {
                changes.extend(served.map(Change::Remove));
                changes.extend(wanted.map(Change::Insert));
            }
        }
        if !changes.is_empty() {
            self.server.apply(changes);
        }
        let is_whole = self.told == (true, true) || now >= self.patience;
        if is_whole && !self.answers {
            self.answers = true;
            self.configure();
        }
    }

    /// Answers for what is declared now, where the node's addresses are now.
    fn configure(&mut self) {
        let node = self.shared.node();
        let config = node.config();
        let mut problems = BTreeSet::new();
        let addresses = match listening(config) {
            Ok(addresses) => addresses,
            Err(error) => {
                problems.insert(error);
                BTreeSet::new()
            }
        };
        match settings(config, &addresses) {
            Ok(settings) => {
                self.server.configure(settings);
                if self.answers {
                    let failed = self.server.listen(&addresses);
                    problems.extend(failed.iter().map(ToString::to_string));
                }
            }
            Err(error) => {
                problems.insert(error.to_string());
            }
        }
        problems.extend(self.open_backend());
        // The next reconciliation tells.
        self.shared.set_name_problems(problems);
    }

    /// The socket for PowerDNS, if it is not open yet; why it cannot be. The rest works
    /// without.
    fn open_backend(&mut self) -> Option<String> {
        if self.backend.is_some() {
            return None;
        }
        match place::backend(&self.server, self.shared.node().config()) {
            Ok(backend) => {
                self.backend = Some(backend);
                None
            }
            Err(error) => Some(error),
        }
    }
}

/// The key of an address in shared state, the same here.
fn key(address: &PublishedAddress) -> String {
    format!(
        "addresses/{}/{}/{}",
        address.node, address.network, address.ip
    )
}

/// What DNS is made of; nothing of an address that is for no object.
fn instance(address: &PublishedAddress) -> Option<Instance> {
    Some(Instance {
        node: address.node.clone(),
        object: address.object.parse().ok()?,
        resource: address.resource.parse().ok(),
        ip: address.ip,
        naming: address.naming.clone(),
    })
}

/// The addresses of this node's containers, as they are published.
///
/// # Errors
/// The node's state cannot be read.
pub fn own_addresses(node: &Node) -> Result<Vec<PublishedAddress>, fairlead_attach::AttachError> {
    let name = node.config().node();
    let attachments = node.attachments()?;
    let ready = attachments
        .iter()
        .filter(|a| a.state == AttachmentState::Ready);
    Ok(ready
        .flat_map(|attachment| place::published(name, attachment))
        .collect())
}

/// Every record of the cluster's zones as this node knows them, by name; without an agent.
///
/// # Errors
/// The node's state, shared state, or a keyword, in words.
pub fn records(node: &Node, cluster: &Cluster) -> Result<Vec<Record>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let config = node.config();
    let settings = settings(config, &BTreeSet::new()).map_err(|e| text(&e))?;
    let mut zones = Zones::new(&settings, place::serial_now());
    let rows = cluster.nodes().map_err(|e| text(&e))?.value;
    let alive: BTreeSet<String> = rows
        .into_iter()
        .filter(|row| row.alive)
        .map(|row| row.node)
        .collect();
    let all = cluster.addresses(None).map_err(|e| text(&e))?.value;
    let theirs = all
        .into_iter()
        .filter(|a| a.node != config.node() && alive.contains(&a.node));
    let own = own_addresses(node).map_err(|e| text(&e))?;
    for address in theirs.chain(own) {
        if let Some(instance) = instance(&address) {
            zones.insert(&instance);
        }
    }
    Ok(zones.records())
}
