//! Docker's engine, followed: who a container is, which networks are to be on every node, and
//! what the engine has no more. It is heard when there is time for it: no call of Docker's
//! waits for anything here, since Docker itself may answer nobody until its call is served.

mod asking;
mod carry;
mod identity;
mod look;
mod plan;
mod problems;
mod request;
mod session;
#[cfg(test)]
mod tests;
mod tidy;

pub(crate) use problems::Problems;

use crate::Door;
use fairlead_libnetwork::engine::{EngineError, Network, Talk};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tracing::{debug, info, warn};

/// The first wait before an engine is looked for again; each is twice the one before.
const WAIT: Duration = Duration::from_millis(500);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(1);
/// How often it is asked whether to end.
const STOP: Duration = Duration::from_millis(100);
/// How long work that waits for the disk or for shared state may go on at the end.
const END: Duration = Duration::from_millis(300);
/// How many pieces of such work are under way at once, at most.
const BESIDE: usize = 8;

/// Follows the engine of the node's settings, whether it is there or not, until `stop` says
/// so: it waits for so long and tells whether to end.
pub fn follow(door: &Arc<Door>, stop: &dyn Fn(Duration) -> bool) {
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(BESIDE)
        .thread_name("docker")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            warn!("Docker's engine cannot be followed: {error}");
            return;
        }
    };
    let follower = Arc::new(Follower {
        door: Arc::clone(door),
        memory: Mutex::default(),
    });
    let mut wait = WAIT;
    while let Some(ended) = runtime.block_on(follower.until(stop)) {
        let was_followed = follower.lost(ended.as_ref().err());
        wait = match was_followed {
            true => WAIT,
            false => (wait * 2).min(LONGEST),
        };
        if ended.is_err() && stop(wait) {
            break;
        }
    }
    door.view.set(None);
    runtime.shutdown_timeout(END);
}

/// What is kept while engines come and go.
pub(crate) struct Follower {
    door: Arc<Door>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Whether an engine is followed.
    followed: bool,
    /// The networks of our driver that the engine has.
    networks: BTreeMap<String, Network>,
    /// The networks that it had while this agent ran, and their origins.
    origins: BTreeMap<String, String>,
    /// The origins of those that it removed, until the cluster knows.
    removed: BTreeSet<String>,
    /// Records without a network of the engine's, and since when.
    missing: BTreeMap<String, Instant>,
    /// Steps that were in vain, and until when they rest.
    rests: BTreeMap<String, Instant>,
}

impl Follower {
    /// A panic of another thread left a whole value.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket of the engine that is declared now; none while that cannot be read.
    fn engine(&self) -> Option<PathBuf> {
        let settings = self.door.ground.node().config().docker();
        settings.ok().map(|settings| settings.engine)
    }

    /// One conversation; none when it is to end for good.
    async fn until(
        self: &Arc<Self>,
        stop: &dyn Fn(Duration) -> bool,
    ) -> Option<Result<(), EngineError>> {
        let talk = Arc::new(Talk::new(self.engine().unwrap_or_default(), crate::DRIVER));
        let mut session = std::pin::pin!(session::run(self, &talk));
        loop {
            tokio::select! {
                ended = &mut session => return Some(ended),
                () = tokio::time::sleep(STOP) => {
                    if stop(Duration::ZERO) {
                        return None;
                    }
                }
            }
        }
    }

    /// An engine is followed from now on.
    fn reached(&self) {
        self.memory().followed = true;
    }

    /// It is not any more; says whether it was.
    fn lost(&self, error: Option<&EngineError>) -> bool {
        self.door.view.set(None);
        let mut memory = self.memory();
        memory.networks.clear();
        memory.missing.clear();
        let followed = std::mem::take(&mut memory.followed);
        match error {
            Some(error) if followed => warn!("Docker's engine is lost: {error}"),
            Some(error) => debug!("{error}"),
            None => info!("another engine of Docker is declared"),
        }
        followed
    }

    /// Does work that waits, on a thread for that; none if it ended in a fault.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let follower = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || work(&follower));
        work.await.ok()
    }
}
