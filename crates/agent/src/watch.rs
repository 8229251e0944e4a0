//! Watching for what makes the node differ from what is declared: the files, the kernel.

use crate::schedule::Cause;
use crate::shared::Shared;
use fairlead_config::Config;
use fairlead_kernel::{KernelError, Monitor};
use fairlead_store::Store;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{debug, warn};

/// How often the files are looked at.
const FILES: Duration = Duration::from_secs(1);
/// How long the kernel is listened to before the agent's end is looked for.
const LISTEN: Duration = Duration::from_millis(500);
/// What the kernel tells in this time after a change is heard together.
const BURST: Duration = Duration::from_millis(100);
/// How long is waited before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What tells one version of a file from another without reading it.
type Stamp = (u64, i64, i64, u64);

/// Looks at the declarations and at the CNI files that follow them, until the agent ends.
/// Between two looks it folds back the log of the node's state, which detaches leave to
/// it.
pub(crate) fn files(shared: &Shared) {
    let mut seen = Stamps::of(shared);
    let mut store: Option<Store> = None;
    while !shared.stop.wait(FILES) {
        let now = Stamps::of(shared);
        if now != seen {
            seen = now;
            shared.want(Cause::Declared);
        }
        // A connection of its own: nobody waits for the disk.
        if store.is_none() {
            store = Store::open(&shared.root).ok();
        }
        if let Some(open) = &mut store
            && let Err(error) = open.checkpoint_if_large()
        {
            warn!("{error}");
            store = None;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stamps {
    declared: [Option<Stamp>; 2],
    cni: BTreeMap<OsString, Stamp>,
}

impl Stamps {
    fn of(shared: &Shared) -> Self {
        let etc = shared.root.etc();
        Self {
            declared: ["cluster.conf", "node.conf"].map(|name| stamp(&etc.join(name))),
            cni: cni_directory(shared.node().config())
                .map(|dir| stamps(&dir))
                .unwrap_or_default(),
        }
    }
}

fn cni_directory(config: &Config) -> Option<PathBuf> {
    config.cni_config().ok()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len()))
}

fn stamps(dir: &Path) -> BTreeMap<OsString, Stamp> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.file_name(), stamp(&entry.path())?)))
        .collect()
}

/// Listens to the kernel until the agent ends.
pub(crate) fn kernel(shared: &Shared) {
    while !shared.stop.is_asked() {
        if let Err(error) = listen(shared) {
            warn!("listen to the kernel: {error}");
        }
        // Whatever happened while nobody listened.
        shared.want(Cause::Kernel);
        shared.stop.wait(RETRY);
    }
}

fn listen(shared: &Shared) -> Result<(), KernelError> {
    let mut monitor = Monitor::open()?;
    while !shared.stop.is_asked() {
        if let Some(seen) = monitor.wait(LISTEN)? {
            debug!("the kernel tells: {seen:?}");
            shared.want(Cause::Kernel);
            // Changes come in bursts, as when many links are deleted: waking up for each
            // message would cost more than making them.
            shared.stop.wait(BURST);
        }
    }
    Ok(())
}
