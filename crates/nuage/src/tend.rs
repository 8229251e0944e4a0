//! What is done without being asked for: leases that could not be given back are tried again,
//! and now and then everything is compared with everything.

use crate::audit::{Report, Suspects};
use crate::door::Door;
use crate::error::DoorError;
use fairlead_store::VspState;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// How often it is looked what is on its way back.
const TICK: Duration = Duration::from_secs(1);
/// The first wait before one is tried again; each is twice the one before.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(30);
/// So many at once.
const AT_ONCE: usize = 8;

/// Tends for ever; `audit` is told when somebody wants an audit now, and `report` gets what came
/// of that.
pub(crate) async fn tend(
    door: Arc<Door>,
    audit: Arc<Notify>,
    report: impl Fn(&Report) + Send + Sync,
) {
    let mut rests: BTreeMap<String, (Instant, Duration)> = BTreeMap::new();
    let mut suspects = Suspects::default();
    let mut next_audit = Instant::now();
    loop {
        let asked = tokio::select! {
            () = door.wake.notified() => false,
            () = audit.notified() => true,
            () = tokio::time::sleep(TICK) => false,
        };
        if let Err(error) = give_back(&door, &mut rests).await {
            warn!("{error}");
        }
        if asked {
            // Who asks wants it done now. Everything is looked at once more before it goes.
            let asked = door.audit(&mut Suspects::once()).await;
            asked.tell(true);
            report(&asked);
            next_audit = Instant::now() + door.settings().audit_interval;
        } else if Instant::now() >= next_audit {
            door.audit(&mut suspects).await.tell(false);
            next_audit = Instant::now() + door.settings().audit_interval;
        }
    }
}

async fn give_back(
    door: &Arc<Door>,
    rests: &mut BTreeMap<String, (Instant, Duration)>,
) -> Result<(), DoorError> {
    let now = Instant::now();
    let leases = door.records.leases()?;
    let leaving: Vec<_> = leases
        .into_iter()
        .filter(|lease| lease.state == VspState::Leaving)
        .collect();
    rests.retain(|id, _| leaving.iter().any(|lease| lease.id == *id));
    let mut jobs = JoinSet::new();
    for lease in leaving {
        if rests.get(&lease.id).is_some_and(|(until, _)| *until > now) {
            continue;
        }
        if jobs.len() >= AT_ONCE
            && let Some(Ok((id, done))) = jobs.join_next().await
        {
            rest(rests, id, done);
        }
        let door = Arc::clone(door);
        jobs.spawn(async move {
            let done = door.take_back(&lease.id).await;
            (lease.id, done)
        });
    }
    while let Some(done) = jobs.join_next().await {
        if let Ok((id, done)) = done {
            rest(rests, id, done);
        }
    }
    Ok(())
}

fn rest(
    rests: &mut BTreeMap<String, (Instant, Duration)>,
    id: String,
    done: Result<(), DoorError>,
) {
    match done {
        Ok(()) => {
            rests.remove(&id);
        }
        Err(error) => {
            let (until, wait) = rests.entry(id).or_insert((Instant::now(), FIRST));
            match *wait == FIRST {
                true => warn!("give back: {error}; it is tried again"),
                false => debug!("give back: {error}"),
            }
            *until = Instant::now() + *wait;
            *wait = (*wait * 2).min(LONGEST);
        }
    }
}
