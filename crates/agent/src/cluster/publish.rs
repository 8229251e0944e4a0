//! Publishing the addresses of this node's containers.

use super::Membership;
use crate::zones::{News, own_addresses};
use fairlead_cluster::PublishedAddress;
use fairlead_store::Store;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How often it is looked whether the node's state has changed; a look costs some
/// microseconds.
const LOOK: Duration = Duration::from_millis(100);
/// The waits between tries while shared state does not answer.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// Publishes what changes until the membership is over: to the names of the cluster at
/// once, to shared state when that is possible.
pub(super) fn run(membership: &Membership<'_>) {
    let shared = membership.shared;
    let mut store: Option<Store> = None;
    let mut seen: Option<i64> = None;
    let mut own: Vec<PublishedAddress> = Vec::new();
    let mut due = false;
    let mut retry = RETRY;
    let mut not_before = Instant::now();
    loop {
        // Taken before the records are read: what changes meanwhile is seen again.
        let version = version(membership, &mut store);
        if version.is_some() && version != seen {
            match own_addresses(&shared.node()) {
                Ok(now) => {
                    (seen, due) = (version, true);
                    own = now;
                    shared.tell_zones(News::Own(own.clone()));
                }
                Err(error) => debug!("publish addresses: {error}"),
            }
        }
        let may = membership.registered.load(Ordering::Relaxed);
        if due && may && Instant::now() >= not_before {
            match publish(membership, &own) {
                Ok(()) => {
                    due = false;
                    retry = RETRY;
                }
                Err(error) => {
                    debug!("publish addresses: {error}");
                    not_before = Instant::now() + retry;
                    retry = (retry * 2).min(LONGEST);
                }
            }
        }
        if membership.wait(LOOK) {
            return;
        }
    }
}

/// The number of the state's newest change.
fn version(membership: &Membership<'_>, store: &mut Option<Store>) -> Option<i64> {
    if store.is_none() {
        match Store::open(&membership.shared.root) {
            Ok(open) => *store = Some(open),
            Err(error) => {
                debug!("{error}");
                return None;
            }
        }
    }
    match store.as_ref()?.data_version() {
        Ok(version) => Some(version),
        Err(error) => {
            warn!("{error}");
            *store = None;
            None
        }
    }
}

fn publish(membership: &Membership<'_>, own: &[PublishedAddress]) -> Result<(), String> {
    let done = membership.cluster.publish(own);
    let done = done.map_err(|e| e.to_string())?;
    debug!("published {} addresses, {} gone", done.put, done.deleted);
    Ok(())
}
