//! Looking after the services that were started on this node: a container that its engine
//! started again gets its address back, a gateway follows its file.

use crate::shared::Shared;
use fairlead_services::{Done, ServiceError, Services};
use fairlead_store::StartedService;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How often it is looked; a look at a service that is whole costs no call of an engine.
const LOOK: Duration = Duration::from_millis(500);

/// The longest wait before an engine is asked again whether what is down is up.
const LONGEST: Duration = Duration::from_secs(2);

/// What is remembered of a service between two looks.
#[derive(Default)]
struct Known {
    /// The failure that was told.
    told: Option<String>,
    /// When its engine is asked next, and how long was waited before.
    due: Option<Instant>,
    wait: Duration,
}

/// Looks after them until the agent ends.
pub(crate) fn run(shared: &Shared) {
    let mut known = BTreeMap::new();
    while !shared.stop.wait(LOOK) {
        look(shared, &mut known);
    }
}

fn look(shared: &Shared, known: &mut BTreeMap<String, Known>) {
    let node = shared.node();
    let tell = |done: &Done| match &done.resource {
        Some(resource) => info!("{}: {resource}: {}", done.object, done.what),
        None => info!("{}: {}", done.object, done.what),
    };
    let services = match Services::new(&node, true, &tell) {
        Ok(services) => services,
        Err(error) => return note(known.entry(String::new()).or_default(), Err(error)),
    };
    let started = match services.started() {
        Ok(started) => started,
        Err(error) => return note(known.entry(String::new()).or_default(), Err(error)),
    };
    known.retain(|object, _| started.iter().any(|s| s.object.as_str() == object));
    for service in started {
        if shared.stop.is_asked() {
            return;
        }
        let known = known.entry(service.object.to_string()).or_default();
        let healed = heal(&services, &service, known);
        // One does not wait for the other to succeed.
        let followed = services.follow_gateway(&service.object).map(drop);
        match healed.and_then(|tried| followed.map(|()| tried)) {
            // What failed last has not been tried again yet.
            Ok(false) => {}
            result => note(known, result.map(drop)),
        }
    }
}

/// Heals a service that is not whole. While nothing can be done for it, as its container is
/// down, its engine is asked less and less often: returns whether it was time, or nothing
/// was to be done.
fn heal(
    services: &Services<'_>,
    service: &StartedService,
    known: &mut Known,
) -> Result<bool, ServiceError> {
    if services.is_whole(service)? {
        (known.due, known.wait) = (None, LOOK);
        return Ok(true);
    }
    let now = Instant::now();
    if known.due.is_some_and(|due| due > now) {
        return Ok(false);
    }
    let healed = services.heal(&service.object);
    known.wait = match &healed {
        Ok(done) if !done.is_empty() => LOOK,
        _ => (known.wait * 2).clamp(LOOK, LONGEST),
    };
    known.due = Some(Instant::now() + known.wait);
    healed.map(|_| true)
}

/// Tells a failure once, until there is another or none.
fn note(known: &mut Known, result: Result<(), ServiceError>) {
    match result {
        Ok(()) => {
            if let Some(text) = known.told.take() {
                info!("mended: {text}");
            }
        }
        Err(error) => {
            let text = error.to_string();
            if known.told.as_ref() != Some(&text) {
                warn!("{text}");
                known.told = Some(text);
            }
        }
    }
}
