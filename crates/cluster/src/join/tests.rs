//! A join and a leave that are cut off anywhere, and repeated.

use super::*;
use crate::leave::leave_over;
use crate::{ConfigSync, NodeReport};
use fairlead_config::stored_segments;
use fairlead_shared::{Committed, Entry, LeaseId, Local, Revision, SharedError, Snapshot, Watch};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// An engine that answers so many calls, then none: the one in between is made, and its
/// answer is lost.
#[derive(Debug)]
struct Cut {
    engine: Local,
    left: AtomicUsize,
    /// Whether the last call reaches the engine.
    made: bool,
}

impl Cut {
    fn after(calls: usize, made: bool, file: &Path) -> Arc<Self> {
        Arc::new(Self {
            engine: Local::open(file).unwrap(),
            left: AtomicUsize::new(calls),
            made,
        })
    }

    fn call<T>(
        &self,
        key: &str,
        call: impl FnOnce(&Local) -> Result<T, SharedError>,
    ) -> Result<T, SharedError> {
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if left.is_ok() {
            return call(&self.engine);
        }
        if self.made {
            call(&self.engine)?;
        }
        Err(SharedError::Unreachable {
            endpoints: "nowhere".to_owned(),
            operation: "reach",
            key: key.to_owned(),
            reason: "cut off".to_owned(),
            sent: self.made,
        })
    }
}

impl SharedState for Cut {
    fn get(&self, key: &str) -> Result<Option<Entry>, SharedError> {
        self.call(key, |e| e.get(key))
    }

    fn range(&self, prefix: &str) -> Result<Snapshot, SharedError> {
        self.call(prefix, |e| e.range(prefix))
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, SharedError> {
        self.call(prefix, |e| e.keys(prefix))
    }

    fn count(&self, prefix: &str) -> Result<u64, SharedError> {
        self.call(prefix, |e| e.count(prefix))
    }

    fn put(
        &self,
        key: &str,
        value: &[u8],
        lease: Option<LeaseId>,
    ) -> Result<Revision, SharedError> {
        self.call(key, |e| e.put(key, value, lease))
    }

    fn delete(&self, key: &str) -> Result<bool, SharedError> {
        self.call(key, |e| e.delete(key))
    }

    fn commit(&self, txn: &Txn) -> Result<Committed, SharedError> {
        self.call("a transaction", |e| e.commit(txn))
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, SharedError> {
        self.call(prefix, |e| e.watch(prefix, after))
    }

    fn grant(&self, ttl: Duration) -> Result<LeaseId, SharedError> {
        self.call("a lease", |e| e.grant(ttl))
    }

    fn keep_alive(&self, lease: LeaseId) -> Result<Duration, SharedError> {
        self.call("a lease", |e| e.keep_alive(lease))
    }

    fn revoke(&self, lease: LeaseId) -> Result<(), SharedError> {
        self.call("a lease", |e| e.revoke(lease))
    }
}

const ENOUGH: usize = 1000;
const NETWORK: &str = "[network#b]\ntype = routed_bridge\nnetwork = 10.11.0.0/16\n";

/// Some nodes and what they share.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("etcd.db")
    }

    fn root(&self, node: &str) -> Root {
        Root::new(self.dir.path().join(node))
    }

    fn node(&self, node: &str, cluster: &str) -> Root {
        let root = self.root(node);
        std::fs::create_dir_all(root.etc()).unwrap();
        std::fs::write(Target::Cluster.path(&root), cluster).unwrap();
        root
    }

    fn join(&self, node: &str, engine: Arc<Cut>) -> Result<Joined, ClusterError> {
        let given = JoinOptions {
            endpoints: vec!["http://n1:2379".to_owned()],
            ..JoinOptions::default()
        };
        let root = self.root(node);
        let (changes, settings) = checked(&root, node, &given)?;
        join_over(&root, node, engine, &settings.prefix, false, &changes)
    }

    fn open(&self, node: &str, engine: Arc<Cut>) -> Cluster {
        Cluster::over(&self.root(node), node, engine, Some("/fairlead".to_owned())).unwrap()
    }

    fn whole(&self) -> Arc<Cut> {
        Cut::after(ENOUGH, true, &self.file())
    }

    /// What is shared, as a document.
    fn shared(&self) -> Document {
        let entry = Local::open(&self.file())
            .unwrap()
            .get(keys::CONFIG)
            .unwrap();
        Document::parse(std::str::from_utf8(&entry.unwrap().value).unwrap()).unwrap()
    }

    fn segments(&self) -> Vec<(String, String)> {
        let document = self.shared();
        let stored = stored_segments(&document, "b").into_iter();
        stored.map(|(n, s)| (n.to_owned(), s.to_owned())).collect()
    }

    fn has_etcd(&self, node: &str) -> bool {
        let document = Target::Node.read(&self.root(node)).unwrap();
        document.has_section("etcd")
    }

    fn text(&self, node: &str) -> String {
        std::fs::read_to_string(Target::Cluster.path(&self.root(node))).unwrap()
    }
}

#[test]
fn a_join_cut_off_anywhere_is_finished_by_repeating_it() {
    for made in [false, true] {
        // The first founds, the second joins.
        for second in [false, true] {
            let mut cuts = 0;
            loop {
                let world = World::new();
                world.node("n1", NETWORK);
                if second {
                    world.join("n1", world.whole()).unwrap();
                    world.node("n2", "[cluster]\nname = mine\n");
                }
                let node = if second { "n2" } else { "n1" };
                let cut = world.join(node, Cut::after(cuts, made, &world.file()));
                let Err(error) = cut else { break };
                assert!(error.is_unreachable(), "{error}");
                assert!(!world.has_etcd(node), "joined only when it is: {cuts}");
                world.join(node, world.whole()).unwrap();
                assert!(world.has_etcd(node));
                let segments = world.segments();
                assert_eq!(
                    segments.len(),
                    1 + usize::from(second),
                    "{cuts}: {segments:?}"
                );
                let apart: BTreeSet<_> = segments.iter().map(|(_, s)| s).collect();
                assert_eq!(apart.len(), segments.len(), "{cuts}: {segments:?}");
                assert_eq!(world.text(node), world.shared().to_string());
                let root = world.root(node);
                let kept = |suffix: &str| root.etc().join(format!("cluster.conf.{suffix}"));
                assert!(!kept("rejected").exists(), "{cuts}");
                assert_eq!(kept("before-join").exists(), second, "{cuts}");
                if second {
                    let text = std::fs::read_to_string(kept("before-join")).unwrap();
                    assert_eq!(text, "[cluster]\nname = mine\n", "{cuts}");
                }
                cuts += 1;
            }
            assert!(cuts > 4, "{cuts} calls are fewer than a join has");
        }
    }
}

#[test]
fn a_join_that_cannot_write_node_conf_is_finished_by_repeating_it() {
    let world = World::new();
    let root = world.node("n1", NETWORK);
    let path = Target::Node.path(&root);
    let changes = checked(
        &root,
        "n1",
        &JoinOptions {
            endpoints: vec!["http://n1:2379".to_owned()],
            ..JoinOptions::default()
        },
    )
    .unwrap()
    .0;
    std::fs::create_dir(&path).unwrap();
    let cut = join_over(&root, "n1", world.whole(), "/fairlead", false, &changes);
    assert!(matches!(cut, Err(ClusterError::Config(_))), "{cut:?}");
    std::fs::remove_dir(&path).unwrap();
    let again = world.join("n1", world.whole()).unwrap();
    assert_eq!(again.nodes, ["n1"]);
    assert_eq!(world.segments().len(), 1);
    assert_eq!(world.text("n1"), world.shared().to_string());
}

#[test]
fn a_leave_cut_off_anywhere_is_finished_by_repeating_it() {
    for made in [false, true] {
        let mut cuts = 0;
        loop {
            let world = World::new();
            world.node("n1", NETWORK);
            world.node("n2", "");
            world.join("n1", world.whole()).unwrap();
            world.join("n2", world.whole()).unwrap();
            let whole = world.open("n2", world.whole());
            whole
                .register(&NodeReport::default(), Duration::from_secs(60))
                .unwrap();
            let cut = world.open("n2", Cut::after(cuts, made, &world.file()));
            let result = leave_over(&cut, None, false);
            let done = result.is_ok();
            if let Err(error) = result {
                assert!(error.is_unreachable(), "{error}");
                assert!(world.has_etcd("n2"), "{cuts}");
                leave_over(&whole, None, false).unwrap();
            }
            assert!(!world.has_etcd("n2"), "{cuts}");
            assert_eq!(world.shared().get("cluster", "nodes"), Some("n1"), "{cuts}");
            let nodes = whole.state().range(keys::NODES).unwrap();
            assert_eq!(nodes.entries, [], "{cuts}");
            assert_eq!(world.segments().len(), 2, "{cuts}");
            if done {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 2, "{cuts} calls are fewer than a leave has");
    }
}

#[test]
fn a_change_whose_answer_was_lost_is_made_once() {
    for cuts in 0..8 {
        let world = World::new();
        world.node("n1", NETWORK);
        world.join("n1", world.whole()).unwrap();
        let append = set("cluster", "drpnodes", Operator::Merge, "n9");
        let cut = world.open("n1", Cut::after(cuts, true, &world.file()));
        if let Err(error) = cut.change(std::slice::from_ref(&append), false) {
            assert!(error.is_unreachable(), "{error}");
        }
        let whole = world.open("n1", world.whole());
        whole.change(&[append], false).unwrap();
        assert_eq!(world.shared().get("cluster", "drpnodes"), Some("n9"));
        assert_eq!(world.text("n1"), world.shared().to_string());
        assert_eq!(whole.sync_config().unwrap(), ConfigSync::Unchanged);
        let rejected = world.root("n1").etc().join("cluster.conf.rejected");
        assert!(!rejected.exists(), "{cuts}");
    }
}
