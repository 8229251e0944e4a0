//! Docker's engine, followed: which networks there are, and who its containers are. No call of
//! Docker's waits for anything here.

use crate::door::Door;
use crate::error::short;
use fairlead_libnetwork::engine::{EngineError, Event, Listed, NetworkStep, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

/// How often it is looked what is due.
const TICK: Duration = Duration::from_millis(200);
/// How often the engine is looked at as a whole.
const LOOK: Duration = Duration::from_secs(30);
/// Events of so long before are told again: the engine begins to tell after it said so.
const BEFORE: Duration = Duration::from_secs(2);
/// How long it is waited before an engine is looked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// The first wait before a container is asked about again; each is twice the one before.
const FIRST: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST: Duration = Duration::from_secs(15);

/// Follows the engine for ever, whether it is there or not.
pub(crate) async fn follow(door: Arc<Door>) {
    let mut told = false;
    loop {
        let mut followed = false;
        if let Err(error) = session(&door, &mut followed).await {
            match followed || !told {
                true => warn!("Docker's engine is not followed: {error}"),
                false => debug!("{error}"),
            }
        }
        told = true;
        tokio::time::sleep(AGAIN).await;
    }
}

/// When a container is asked about next, and how long it is waited after that.
struct Due {
    at: Instant,
    wait: Duration,
    /// Something was heard while it was being asked about.
    again: bool,
}

/// One conversation with an engine.
struct Session {
    door: Arc<Door>,
    due: BTreeMap<String, Due>,
    busy: BTreeSet<String>,
    jobs: JoinSet<(String, bool)>,
    /// Networks that the engine did not have in the last look.
    missing: BTreeSet<String>,
}

async fn session(door: &Arc<Door>, followed: &mut bool) -> Result<(), EngineError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = now.unwrap_or_default().saturating_sub(BEFORE);
    let mut events = door.engine.events(since).await?;
    let mut session = Session {
        door: Arc::clone(door),
        due: BTreeMap::new(),
        busy: BTreeSet::new(),
        jobs: JoinSet::new(),
        missing: BTreeSet::new(),
    };
    let mut next_look = Instant::now();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.next() => session.hear(&event?),
            Some(done) = session.jobs.join_next() => {
                if let Ok((id, is_done)) = done {
                    session.asked(&id, is_done);
                }
            }
            _ = tick.tick() => {}
        }
        if Instant::now() >= next_look {
            session.look().await?;
            next_look = Instant::now() + LOOK;
            if !std::mem::replace(followed, true) {
                info!(
                    "Docker's engine at {} is followed",
                    door.engine.socket().display()
                );
            }
        }
        session.begin();
    }
}

impl Session {
    fn want(&mut self, id: &str) {
        let due = Due {
            at: Instant::now(),
            wait: FIRST,
            again: self.busy.contains(id),
        };
        self.due.insert(id.to_owned(), due);
    }

    /// Begins to ask about containers that are due.
    fn begin(&mut self) {
        let now = Instant::now();
        let is_due = |(id, due): &(&String, &Due)| due.at <= now && !self.busy.contains(*id);
        let ids: Vec<String> = self
            .due
            .iter()
            .filter(is_due)
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.busy.insert(id.clone());
            let door = Arc::clone(&self.door);
            self.jobs.spawn(async move {
                let done = ask(&door, &id).await;
                (id, done)
            });
        }
    }

    fn asked(&mut self, id: &str, is_done: bool) {
        self.busy.remove(id);
        match self.due.get_mut(id) {
            Some(due) if due.again => {
                due.again = false;
                due.at = Instant::now();
            }
            Some(_) if is_done => {
                self.due.remove(id);
            }
            Some(due) => {
                due.at = Instant::now() + due.wait;
                due.wait = (due.wait * 2).min(LONGEST);
            }
            None => {}
        }
    }

    fn hear(&mut self, event: &Event) {
        debug!("heard {event:?}");
        match event {
            Event::Network { id, step } => match step {
                NetworkStep::Connected { container } => self.want(container),
                NetworkStep::Created => {
                    tokio::spawn(learn(Arc::clone(&self.door), id.clone()));
                }
                // The driver was told, or another host's: the next look tells.
                NetworkStep::Disconnected | NetworkStep::Destroyed => {}
            },
            Event::Container { id, step } => match step {
                Step::Renamed => self.want(id),
                Step::Destroyed => {
                    self.due.remove(id);
                }
                Step::Created | Step::Started | Step::Died => {}
            },
        }
    }

    /// Looks at everything that the engine has.
    async fn look(&mut self) -> Result<(), EngineError> {
        let networks = self.door.engine.networks().await?;
        for network in &networks {
            if let Err(error) = self.door.learn(network).await {
                warn!("network {}: {error}", network.name());
            }
        }
        let there: BTreeSet<&str> = networks.iter().map(|network| network.id()).collect();
        self.forget_networks(&there);
        let containers = self.door.engine.containers().await?;
        match self.door.records.leases() {
            Ok(leases) => {
                let is_done = |endpoint: &str| {
                    let mut own = leases.iter();
                    let own = own.find(|lease| lease.endpoint.as_deref() == Some(endpoint));
                    own.is_none_or(|lease| lease.tenant.as_ref().is_some_and(|t| t.is_done()))
                };
                let undone = |listed: &&Listed| {
                    let mut endpoints = listed.places.iter().filter_map(|p| p.endpoint.as_deref());
                    endpoints.any(|endpoint| !is_done(endpoint))
                };
                let undone = containers.iter().filter(undone);
                undone.for_each(|listed| self.want(&listed.id));
            }
            Err(error) => warn!("{error}"),
        }
        Ok(())
    }

    /// Forgets networks that the engine has not had for two looks.
    fn forget_networks(&mut self, there: &BTreeSet<&str>) {
        let records = &self.door.records;
        let known = match records.networks() {
            Ok(known) => known,
            Err(error) => return warn!("{error}"),
        };
        let mut missing = BTreeSet::new();
        for network in known.into_iter().filter(|n| !there.contains(n.id.as_str())) {
            match self.missing.contains(&network.id) {
                true => match records.remove_network(&network.id) {
                    Ok(_) => info!("network {} is gone", short(&network.id)),
                    Err(error) => warn!("{error}"),
                },
                false => {
                    missing.insert(network.id);
                }
            }
        }
        self.missing = missing;
    }
}

/// Asks who a container is and tells it; false if that has to be done again.
async fn ask(door: &Door, id: &str) -> bool {
    let found = match door.engine.container(id).await {
        Ok(Some(found)) => found,
        Ok(None) => return true,
        Err(error) => {
            debug!("{error}");
            return false;
        }
    };
    if !found.is_running() {
        // Its end comes to the driver by itself.
        return true;
    }
    match door.identify(&found).await {
        Ok(()) => true,
        Err(error) => {
            warn!("container {}: {error}", found.name());
            false
        }
    }
}

async fn learn(door: Arc<Door>, id: String) {
    let told = match door.engine.network(&id).await {
        Ok(Some(told)) => told,
        Ok(None) => return,
        Err(error) => return debug!("{error}"),
    };
    if let Err(error) = door.learn(&told).await {
        warn!("network {}: {error}", told.name());
    }
}
