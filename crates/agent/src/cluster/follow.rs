//! Following shared state.

use super::Membership;
use crate::schedule::Cause;
use crate::shared::Shared;
use crate::zones::News;
use fairlead_cluster::{ConfigSync, Followed};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use tracing::{debug, info, warn};

/// Follows until the membership is over.
pub(super) fn run(membership: &Membership<'_>) {
    let shared = membership.shared;
    let mut failures = BTreeSet::new();
    membership.cluster.follow(membership.over, &mut |news| {
        if matches!(news, Followed::Nodes(_) | Followed::Anew | Followed::Found) {
            membership.recount.store(true, Ordering::Relaxed);
        }
        heard(shared, news, &mut failures);
    });
}

/// `failures` are those that were told: the same one again is not.
fn heard(shared: &Shared, news: Followed, failures: &mut BTreeSet<String>) {
    match news {
        Followed::Config(sync) => {
            tell_sync(&sync);
            shared.want(Cause::Declared);
        }
        Followed::Anew => {
            reached(shared);
            failures.clear();
            shared.tell_zones(News::Anew);
            shared.want(Cause::Declared);
        }
        Followed::Found => {
            reached(shared);
            failures.clear();
            shared.want(Cause::Cluster);
        }
        Followed::Nodes(nodes) => {
            debug!("nodes that came, went or reported: {nodes:?}");
            // What this one says changes nothing here.
            if nodes.keys().any(|node| *node != shared.name) {
                shared.want(Cause::Cluster);
            }
            shared.tell_zones(News::Nodes(nodes));
        }
        Followed::Addresses(changes) => {
            debug!("{} addresses changed", changes.len());
            shared.tell_zones(News::Changed(changes));
        }
        Followed::PutBack(count) => info!("{count} addresses put back into shared state"),
        Followed::Lost(error) => lost(shared, error.to_string()),
        Followed::Failed(error) => {
            let text = error.to_string();
            if failures.insert(text.clone()) {
                warn!("{text}");
            }
        }
    }
}

fn tell_sync(sync: &ConfigSync) {
    match sync {
        ConfigSync::Unchanged => {}
        ConfigSync::Written { generation } => {
            info!("cluster.conf is that of shared state, generation {generation}");
        }
        ConfigSync::LocalEdit { saved_as } => warn!(
            "cluster.conf was edited here and is that of shared state again; the edited one is {}; use fairlead cluster set",
            saved_as.display()
        ),
        ConfigSync::PutBack { generation } => {
            warn!("shared state had lost cluster.conf: generation {generation} is put back");
        }
    }
}

fn reached(shared: &Shared) {
    shared.cluster_status(|cluster| {
        if !cluster.reachable {
            info!("shared state is reached");
            cluster.reachable = true;
            cluster.since = fairlead_store::now();
        }
        cluster.problem = None;
    });
}

fn lost(shared: &Shared, text: String) {
    shared.cluster_status(|cluster| {
        if cluster.reachable || cluster.problem.as_ref() != Some(&text) {
            warn!("{text}; going on by what is mirrored");
        }
        if cluster.reachable || cluster.since == 0 {
            cluster.since = fairlead_store::now();
        }
        cluster.reachable = false;
        cluster.problem = Some(text);
    });
}
