//! What containers had on CNI networks goes when they go, however that is: dockerd tells each
//! removal, and at times all is compared.

use crate::live::Live;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, info, warn};

/// How long is waited before dockerd is asked again: twice as long each time, up to the most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const MOST_WAIT: Duration = Duration::from_secs(5);
/// How often all is compared, for what failed before.
const COMPARE: Duration = Duration::from_secs(60);

/// Follows dockerd until it is given up.
pub(crate) async fn follow(mut live: watch::Receiver<Arc<Live>>) {
    loop {
        let now = Arc::clone(&live.borrow_and_update());
        let followed = async {
            match now.places {
                Some(_) => follow_one(&now).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = followed => {}
            changed = live.changed() => if changed.is_err() {
                return;
            }
        }
    }
}

async fn follow_one(live: &Live) {
    let mut wait = FIRST_WAIT;
    let mut told = false;
    loop {
        match live.engine.events().await {
            Ok(mut events) => {
                info!(
                    "containers of unix://{} are followed",
                    live.engine.socket().display()
                );
                // First listened to, then compared: nothing is missed in between.
                let mut compare = interval(COMPARE);
                compare.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        _ = compare.tick() => reconcile(live).await,
                        id = events.removed() => match id {
                            Some(id) => live.removed(&id).await,
                            None => break,
                        },
                    }
                }
                info!("dockerd tells no more events");
                live.forget_version();
                wait = FIRST_WAIT;
                told = false;
            }
            Err(error) if told => debug!("{error}"),
            Err(error) => {
                warn!("{error}; nothing that containers have is released meanwhile");
                told = true;
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(MOST_WAIT);
    }
}

/// Takes away what containers have that are not there. Whether one is there is seen by its
/// folder, not asked of dockerd: one that is away has not removed anything.
async fn reconcile(live: &Live) {
    match live.reconcile().await {
        Ok(gone) if gone.is_empty() => debug!("nothing is left of containers that are gone"),
        Ok(gone) => info!("what was left of containers: {}", gone.join("; ")),
        Err(error) => warn!("what is left of containers that are gone: {error}"),
    }
}
