//! Saying that the node lives.

use super::{Membership, report};
use fairlead_cluster::{ClusterError, NodeReport, Registration};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::{debug, warn};

/// How long the node counts as alive after the last sign of life.
const TTL: Duration = Duration::from_secs(10);
/// How often it gives one.
const SIGN: Duration = Duration::from_secs(3);

/// Gives signs of life until the membership is over, and then says so.
pub(super) fn run(membership: &Membership<'_>) {
    let mut registration: Option<Registration> = None;
    let mut failed = false;
    loop {
        match sign(membership, &mut registration) {
            Ok(()) => failed = false,
            // That shared state is not reached is told by who follows it.
            Err(error) if error.is_unreachable() || failed => debug!("{error}"),
            Err(error) => {
                failed = true;
                warn!("register the node: {error}");
            }
        }
        count(membership);
        if membership.wait(SIGN) {
            break;
        }
    }
    if let Some(registration) = registration
        && let Err(error) = registration.end()
    {
        debug!("end the registration: {error}");
    }
}

fn sign(
    membership: &Membership<'_>,
    registration: &mut Option<Registration>,
) -> Result<(), ClusterError> {
    let report: NodeReport = report::of(membership.shared);
    match registration {
        Some(registered) => {
            registered.keep_alive()?;
            registered.update(&report)
        }
        None => {
            *registration = Some(membership.cluster.register(&report, TTL)?);
            Ok(())
        }
    }
}

/// How many nodes live, for status and metrics.
fn count(membership: &Membership<'_>) {
    // Reading a thousand reports is not for every sign of life.
    if !membership.recount.swap(false, Ordering::Relaxed) {
        return;
    }
    let Ok(nodes) = membership.cluster.nodes() else {
        membership.recount.store(true, Ordering::Relaxed);
        return;
    };
    let alive = nodes.value.iter().filter(|row| row.alive).count() as u64;
    membership
        .shared
        .cluster_status(|cluster| cluster.nodes_alive = Some(alive));
}
