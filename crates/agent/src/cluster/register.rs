//! Saying that the node lives.

use super::{Membership, report};
use crate::schedule::Cause;
use fairlead_cluster::{ClusterError, NodeReport, Registration};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::{debug, warn};

/// How long the node counts as alive after the last sign of life.
const TTL: Duration = Duration::from_secs(10);
/// How often it gives one.
const SIGN: Duration = Duration::from_secs(3);

/// Gives signs of life until the membership is over. A node that leaves its cluster says
/// so.
pub(super) fn run(membership: &Membership<'_>) {
    let mut registration: Option<Registration> = None;
    let mut failed = false;
    let mut known = BTreeSet::new();
    loop {
        let signed = sign(membership, &mut registration);
        let is_other = matches!(signed, Err(ClusterError::Namesake { .. }));
        let is_unreachable = signed.as_ref().is_err_and(ClusterError::is_unreachable);
        // Before it is known whose the name is, nothing is written by it.
        if !is_unreachable {
            membership.registered.store(!is_other, Ordering::Relaxed);
        }
        match signed {
            Ok(()) => failed = false,
            // That shared state is not reached is told by who follows it, and another
            // machine when it stays.
            Err(error) if is_unreachable || is_other || failed => debug!("{error}"),
            Err(error) => {
                failed = true;
                warn!("register the node: {error}");
            }
        }
        tell(membership, &mut known);
        count(membership);
        if membership.wait(SIGN) {
            break;
        }
    }
    // An agent that ends is mostly started again: until then its node's containers run on,
    // and their names stay as long as its lease.
    if let Some(registration) = registration
        && !membership.shared.stop.is_asked()
        && let Err(error) = registration.end()
    {
        debug!("end the registration: {error}");
    }
}

/// What is wrong with the node's place in the cluster; the next reconciliation tells it.
fn tell(membership: &Membership<'_>, known: &mut BTreeSet<String>) {
    let now: BTreeSet<String> = membership.cluster.problems().into_iter().collect();
    membership.shared.cluster_status(|cluster| {
        // That shared state is not reached is the greater trouble.
        if cluster.reachable {
            cluster.problem = now.first().cloned();
        }
    });
    if now == *known {
        return;
    }
    *known = now;
    membership.shared.want(Cause::Cluster);
}

fn sign(
    membership: &Membership<'_>,
    registration: &mut Option<Registration>,
) -> Result<(), ClusterError> {
    let report: NodeReport = report::of(membership.shared, membership.cluster);
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
