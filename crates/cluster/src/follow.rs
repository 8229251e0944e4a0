//! Following shared state: the mirror is kept, and what changed is told.

use crate::mirror::ConfigSync;
use crate::{Cluster, ClusterError, PublishedAddress, keys};
use fairlead_config::Target;
use fairlead_shared::{Batch, Event, Local, Revision, SharedState, Watch};
use fairlead_types::Root;
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How long one wait for news is: a stop is seen after it at the latest.
const TICK: Duration = Duration::from_millis(250);
/// How often shared state is asked whether it is there.
const PING: Duration = Duration::from_secs(3);
/// How long the mirror counts as kept after the last sign of that.
const KEPT: Duration = Duration::from_secs(15);
/// The longest wait before another attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one who follows the cluster is told.
#[derive(Debug)]
pub enum Followed {
    /// The configuration is another one, or a local edit was rejected.
    Config(ConfigSync),
    /// These nodes reported, or went; true where the node lives.
    Nodes(BTreeMap<String, bool>),
    /// Addresses came, changed or went, in this order.
    Addresses(Vec<AddressChange>),
    /// Everything was read anew: at the start, after the history was lost, after etcd was
    /// restored.
    Anew,
    /// This many of this node's addresses were not in shared state any more and were
    /// written again.
    PutBack(usize),
    /// Shared state is not reached, or does not answer as it should. It is tried again.
    Lost(ClusterError),
    /// Shared state is reached again.
    Found,
    /// One thing could not be done; the following goes on.
    Failed(ClusterError),
}

/// What became of one published address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressChange {
    /// The node whose it is.
    pub node: String,
    /// The network.
    pub network: String,
    /// The key in shared state, the same for all changes of one address.
    pub key: String,
    /// As it is now; nothing where it is gone or cannot be read.
    pub address: Option<PublishedAddress>,
}

impl Cluster {
    /// Keeps the mirror and `cluster.conf` what shared state is, and tells what changed,
    /// until `stop`. What etcd lost is put back: the configuration if it is absent or
    /// older, and this node's addresses as far as this process published them; the
    /// registration is put back by its own. Without etcd it only waits for the stop.
    pub fn follow(&self, stop: &AtomicBool, tell: &mut dyn FnMut(Followed)) {
        let Some(mirror) = self.mirror_file() else {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(TICK);
            }
            return;
        };
        let mut wait = Duration::from_millis(100);
        while !stop.load(Ordering::Relaxed) {
            let start = Instant::now();
            let Err(error) = self.pass(mirror, stop, tell) else {
                break;
            };
            if start.elapsed() > PATIENCE {
                wait = Duration::from_millis(100);
            }
            self.touch();
            self.tell_restored(tell);
            if !error.is_compacted() {
                tell(Followed::Lost(error));
            }
            sleep(wait, stop);
            wait = (wait * 2).min(PATIENCE);
        }
        // Nobody keeps it from now on.
        let _ = std::fs::remove_file(kept_file(&self.root));
    }

    /// Reads everything, then follows from there, until the stop or an error.
    fn pass(
        &self,
        mirror: &Local,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(Followed),
    ) -> Result<(), ClusterError> {
        // Of the time before, so that an edit meanwhile is seen.
        let file = self.stamp();
        // What was lost is put back before it is read, so that it is mirrored.
        let sync = match self.sync_config() {
            Err(e) if e.is_unreachable() => return Err(e),
            // The rest is followed all the same.
            Err(e) => {
                tell(Followed::Failed(e));
                ConfigSync::Unchanged
            }
            Ok(sync) => sync,
        };
        let revision = self.read_all(mirror, tell)?;
        let mut watch = self.engine.watch("", revision)?;
        if sync != ConfigSync::Unchanged {
            tell(Followed::Config(sync));
        }
        tell(Followed::Anew);
        self.touch();
        let mut state = Alive {
            ping: Instant::now(),
            lost: false,
            file,
        };
        while !stop.load(Ordering::Relaxed) {
            if let Some(batch) = self.next(&mut watch)? {
                mirror.apply(&batch)?;
                self.tell_batch(&batch, tell);
            }
            self.look_after(&mut state, tell);
        }
        Ok(())
    }

    fn next(&self, watch: &mut Watch) -> Result<Option<Batch>, ClusterError> {
        Ok(watch.recv_timeout(TICK)?)
    }

    /// Mirrors everything and puts back this node's addresses; gives the revision.
    fn read_all(
        &self,
        mirror: &Local,
        tell: &mut dyn FnMut(Followed),
    ) -> Result<Revision, ClusterError> {
        let snapshot = self.engine.range("")?;
        mirror.replace("", &snapshot)?;
        let count = self.restore(&snapshot)?;
        if count > 0 {
            tell(Followed::PutBack(count));
        }
        Ok(snapshot.revision)
    }

    /// Tells what a batch changed, each thing once.
    fn tell_batch(&self, batch: &Batch, tell: &mut dyn FnMut(Followed)) {
        let (mut nodes, mut addresses) = (BTreeMap::new(), Vec::new());
        let mut back = 0;
        // First, as it says whether this node is in the cluster still.
        let config = |event: &Event| matches!(event.key(), keys::CONFIG | keys::GENERATION);
        if batch.events.iter().any(config) {
            self.tell_config(tell);
        }
        for event in &batch.events {
            let key = event.key();
            let now = match event {
                Event::Put(entry) => Some(entry.value.as_slice()),
                Event::Delete { .. } => None,
            };
            if let Some(node) = key.strip_prefix(keys::NODES) {
                nodes.insert(node.to_owned(), now.is_some());
            } else if let Some((node, network)) = keys::of_address(key) {
                addresses.push(AddressChange {
                    node: node.to_owned(),
                    network: network.to_owned(),
                    key: key.to_owned(),
                    address: now.and_then(|value| serde_json::from_slice(value).ok()),
                });
                if node == self.node {
                    match self.restore_one(key, now) {
                        Ok(done) => back += usize::from(done),
                        Err(e) => tell(Followed::Failed(e)),
                    }
                }
            }
        }
        if !nodes.is_empty() {
            tell(Followed::Nodes(nodes));
        }
        if !addresses.is_empty() {
            tell(Followed::Addresses(addresses));
        }
        if back > 0 {
            tell(Followed::PutBack(back));
        }
    }

    fn tell_config(&self, tell: &mut dyn FnMut(Followed)) {
        match self.sync_config() {
            Ok(ConfigSync::Unchanged) => {}
            Ok(sync) => tell(Followed::Config(sync)),
            Err(e) => tell(Followed::Failed(e)),
        }
    }

    /// From time to time: is shared state there, and `cluster.conf` untouched?
    fn look_after(&self, state: &mut Alive, tell: &mut dyn FnMut(Followed)) {
        if state.ping.elapsed() < PING {
            return;
        }
        let answer = self.engine.get(keys::GENERATION);
        self.touch();
        match answer {
            Ok(_) => {
                if std::mem::take(&mut state.lost) {
                    tell(Followed::Found);
                }
                let stamp = self.stamp();
                if state.file != stamp {
                    self.tell_config(tell);
                    // Where that failed, what was mirrored counts all the same.
                    self.tell_restored(tell);
                    // Of the time before: another edit meanwhile is seen the next time.
                    state.file = stamp;
                }
            }
            Err(e) => {
                self.tell_restored(tell);
                if !std::mem::replace(&mut state.lost, true) {
                    tell(Followed::Lost(e.into()));
                }
            }
        }
        state.ping = Instant::now();
    }

    /// Undoes an edit of `cluster.conf` without asking shared state.
    fn tell_restored(&self, tell: &mut dyn FnMut(Followed)) {
        match self.restore_mirror() {
            Ok(ConfigSync::Unchanged) | Err(ClusterError::NotJoined { .. }) => {}
            Ok(sync) => tell(Followed::Config(sync)),
            Err(e) => tell(Followed::Failed(e)),
        }
    }

    /// What tells one `cluster.conf` from another without reading it.
    fn stamp(&self) -> Option<(u64, i64, i64, u64)> {
        let meta = std::fs::metadata(Target::Cluster.path(&self.root)).ok()?;
        Some((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len()))
    }

    /// Says that the mirror is kept, and whether it is of now. That it cannot be said
    /// makes readers ask shared state, so it is no error.
    fn touch(&self) {
        let seconds = self.staleness().map(|since| {
            let age = since.duration_since(SystemTime::UNIX_EPOCH);
            age.map_or(0, |age| age.as_secs())
        });
        let text = seconds.map(|s| s.to_string()).unwrap_or_default();
        let path = kept_file(&self.root);
        let write = || {
            let mut dir = DirBuilder::new();
            dir.recursive(true).mode(0o755).create(self.root.run())?;
            let new = path.with_extension("new");
            std::fs::write(&new, text)?;
            std::fs::rename(&new, &path)
        };
        let _ = write();
    }
}

/// What a pass remembers between two looks.
struct Alive {
    ping: Instant,
    lost: bool,
    file: Option<(u64, i64, i64, u64)>,
}

/// The file whose time says until when someone kept the mirror. It has the time, in
/// seconds since 1970, since when shared state is not reached, if so.
fn kept_file(root: &Root) -> PathBuf {
    root.run().join("mirror.kept")
}

/// How well the mirror is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// By nobody: it may be of any time.
    No,
    /// It is what shared state is.
    Fresh,
    /// Its keeper does not reach shared state since then.
    Stale(SystemTime),
}

/// How well the mirror is kept now.
pub(crate) fn kept(root: &Root) -> Kept {
    let path = kept_file(root);
    let touched = std::fs::metadata(&path).and_then(|m| m.modified());
    if !touched.is_ok_and(|at| at.elapsed().is_ok_and(|age| age < KEPT)) {
        return Kept::No;
    }
    match std::fs::read_to_string(&path) {
        Ok(text) if text.is_empty() => Kept::Fresh,
        Ok(text) => match text.trim().parse() {
            Ok(s) => Kept::Stale(SystemTime::UNIX_EPOCH + Duration::from_secs(s)),
            Err(_) => Kept::No,
        },
        Err(_) => Kept::No,
    }
}

/// Sleeps, or less if there is a stop.
fn sleep(time: Duration, stop: &AtomicBool) {
    let end = Instant::now() + time;
    while !stop.load(Ordering::Relaxed) && Instant::now() < end {
        thread::sleep(TICK.min(time));
    }
}
