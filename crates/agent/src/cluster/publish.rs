//! Publishing the addresses of this node's containers.

use super::Membership;
use fairlead_attach::Attachment;
use fairlead_cluster::PublishedAddress;
use fairlead_store::Store;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How often it is looked whether the node's state has changed; a look costs some
/// microseconds.
const LOOK: Duration = Duration::from_millis(200);
/// The waits between tries while shared state does not answer.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// Publishes what changes until the membership is over.
pub(super) fn run(membership: &Membership<'_>) {
    let mut store: Option<Store> = None;
    let mut published: Option<i64> = None;
    let mut retry = RETRY;
    let mut not_before = Instant::now();
    loop {
        let version = version(membership, &mut store);
        let is_due = version.is_some() && version != published && Instant::now() >= not_before;
        if is_due && membership.registered.load(Ordering::Relaxed) {
            // Taken before the records are read: what changes meanwhile is seen again.
            match publish(membership) {
                Ok(()) => {
                    published = version;
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

fn publish(membership: &Membership<'_>) -> Result<(), String> {
    let shared = membership.shared;
    let attachments = shared.node().attachments().map_err(|e| e.to_string())?;
    let current: Vec<PublishedAddress> = attachments
        .iter()
        .flat_map(|attachment| addresses(&shared.name, attachment))
        .collect();
    let done = membership.cluster.publish(&current);
    let done = done.map_err(|e| e.to_string())?;
    debug!("published {} addresses, {} gone", done.put, done.deleted);
    Ok(())
}

fn addresses<'a>(
    node: &'a str,
    attachment: &'a Attachment,
) -> impl Iterator<Item = PublishedAddress> + 'a {
    let text = |name: Option<String>| name.unwrap_or_default();
    attachment.addresses.iter().map(move |ip| PublishedAddress {
        node: node.to_owned(),
        network: attachment.owner.network.clone(),
        ip: *ip,
        object: text(attachment.object.as_ref().map(ToString::to_string)),
        resource: text(attachment.resource.as_ref().map(ToString::to_string)),
        naming: attachment.naming.clone(),
        container: attachment.owner.container.to_string(),
        ifname: attachment.owner.ifname.to_string(),
        since: attachment.since,
    })
}
