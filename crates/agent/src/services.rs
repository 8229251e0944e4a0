//! Looking after the services that were started on this node: a container that its engine
//! started again gets its address back, a gateway follows its file.

use crate::shared::Shared;
use fairlead_services::{Done, ServiceError, Services};
use std::collections::BTreeMap;
use std::time::Duration;
use tracing::{info, warn};

/// How often it is looked; a look at a service that is whole costs no call of an engine.
const LOOK: Duration = Duration::from_millis(500);

/// Looks after them until the agent ends.
pub(crate) fn run(shared: &Shared) {
    // What was told of each service already.
    let mut told = BTreeMap::new();
    while !shared.stop.wait(LOOK) {
        look(shared, &mut told);
    }
}

fn look(shared: &Shared, told: &mut BTreeMap<String, String>) {
    let node = shared.node();
    let tell = |done: &Done| match &done.resource {
        Some(resource) => info!("{}: {resource}: {}", done.object, done.what),
        None => info!("{}: {}", done.object, done.what),
    };
    let services = match Services::new(&node, true, &tell) {
        Ok(services) => services,
        Err(error) => return note(told, "", Err(error)),
    };
    let started = match services.started() {
        Ok(started) => started,
        Err(error) => return note(told, "", Err(error)),
    };
    told.retain(|object, _| started.iter().any(|s| s.object.as_str() == object));
    for service in started {
        if shared.stop.is_asked() {
            return;
        }
        let healed = match services.is_whole(&service) {
            Ok(true) => Ok(()),
            Ok(false) => services.heal(&service).map(drop),
            Err(error) => Err(error),
        };
        let followed = healed.and_then(|()| services.follow_gateway(&service.object).map(drop));
        note(told, service.object.as_str(), followed);
    }
}

/// Tells a failure once, until there is another or none.
fn note(told: &mut BTreeMap<String, String>, object: &str, result: Result<(), ServiceError>) {
    match result {
        Ok(()) => {
            if let Some(text) = told.remove(object) {
                info!("mended: {text}");
            }
        }
        Err(error) => {
            let text = error.to_string();
            if told.get(object) != Some(&text) {
                warn!("{text}");
                told.insert(object.to_owned(), text);
            }
        }
    }
}
