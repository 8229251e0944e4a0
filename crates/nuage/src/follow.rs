//! Docker's engine, followed: which networks there are, and who its containers are. No call of
//! Docker's waits for anything here.

use crate::door::Door;
use crate::error::DoorError;
use fairlead_libnetwork::engine::short;
use fairlead_libnetwork::engine::{EngineError, Event, Listed, Network, NetworkStep, Step};
use fairlead_store::{VspLease, VspTenant};
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
    /// Why it was not done the last time.
    told: Option<String>,
}

/// One conversation with an engine.
struct Session {
    door: Arc<Door>,
    due: BTreeMap<String, Due>,
    busy: BTreeSet<String>,
    jobs: JoinSet<(String, Result<(), DoorError>)>,
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
                if let Ok((id, done)) = done {
                    session.asked(&id, done);
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
            told: None,
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
                let done = door.identify(&id).await;
                (id, done)
            });
        }
    }

    fn asked(&mut self, id: &str, done: Result<(), DoorError>) {
        self.busy.remove(id);
        let Some(due) = self.due.get_mut(id) else {
            return;
        };
        if std::mem::take(&mut due.again) {
            due.at = Instant::now();
            return;
        }
        let Err(error) = done else {
            self.due.remove(id);
            return;
        };
        let error = Some(error.to_string());
        if let Some(new) = error.as_ref().filter(|_| due.told != error) {
            warn!("container {}: {new}; it is tried again", short(id));
        }
        due.told = error;
        due.at = Instant::now() + due.wait;
        due.wait = (due.wait * 2).min(LONGEST);
    }

    fn hear(&mut self, event: &Event) {
        debug!("heard {event:?}");
        match event {
            Event::Network { id, step } => match step {
                NetworkStep::Connected { container } => self.want(container),
                NetworkStep::Created => {
                    tokio::spawn(learn_by_id(Arc::clone(&self.door), id.clone()));
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
        for network in networks.iter().cloned() {
            // It may ask the controller, which need not answer.
            tokio::spawn(learn(Arc::clone(&self.door), network));
        }
        let there: BTreeSet<&str> = networks.iter().map(|network| network.id()).collect();
        self.forget_networks(&there).await?;
        let containers = self.door.engine.containers().await?;
        let leases = match self.door.records.leases() {
            Ok(leases) => leases,
            Err(error) => {
                warn!("{error}");
                return Ok(());
            }
        };
        for listed in containers.iter().filter(|listed| is_open(listed, &leases)) {
            // One that is tried again already keeps its pace.
            if !self.due.contains_key(&listed.id) {
                self.want(&listed.id);
            }
        }
        Ok(())
    }

    /// Forgets networks that the engine has not had for two looks, and says that it has not. A
    /// list may lack some where the engines' common store is away.
    async fn forget_networks(&mut self, there: &BTreeSet<&str>) -> Result<(), EngineError> {
        let door = Arc::clone(&self.door);
        let known = door.records.networks().unwrap_or_default();
        let mut missing = BTreeSet::new();
        for network in known.into_iter().filter(|n| !there.contains(n.id.as_str())) {
            let was_missing = self.missing.contains(&network.id);
            if !was_missing || door.engine.network(&network.id).await?.is_some() {
                missing.insert(network.id);
                continue;
            }
            match door.records.remove_network(&network.id) {
                Ok(_) => info!("network {} is gone", short(&network.id)),
                Err(error) => warn!("{error}"),
            }
        }
        self.missing = missing;
        Ok(())
    }
}

/// Whether something of a container is not told yet: whose an endpoint is, or its new name.
fn is_open(listed: &Listed, leases: &[VspLease]) -> bool {
    let is_told = |tenant: &VspTenant| tenant.is_done() && tenant.name == listed.name;
    let mut endpoints = listed
        .places
        .iter()
        .filter_map(|place| place.endpoint.as_deref());
    endpoints.any(|endpoint| {
        let mut own = leases.iter();
        let own = own.find(|lease| lease.endpoint.as_deref() == Some(endpoint));
        own.is_some_and(|lease| !lease.tenant.as_ref().is_some_and(is_told))
    })
}

async fn learn_by_id(door: Arc<Door>, id: String) {
    match door.engine.network(&id).await {
        Ok(Some(told)) => learn(door, told).await,
        Ok(None) => {}
        Err(error) => debug!("{error}"),
    }
}

async fn learn(door: Arc<Door>, told: Network) {
    if let Err(error) = door.learn(&told).await {
        warn!("network {}: {error}", told.name());
    }
}
