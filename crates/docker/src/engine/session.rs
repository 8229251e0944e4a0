//! One conversation with an engine: from the moment it answers until it does not any more.
//!
//! Events are heard from before the first look on. What has to wait, for the engine or for
//! the disk, is done beside: an engine throws events away that nobody reads.

use crate::DoorError;
use crate::engine::Follower;
use crate::engine::asking::{Asking, Told};
use crate::engine::carry;
use crate::engine::look::Look;
use crate::view::Container;
use fairlead_libnetwork::engine::{EngineError, Event, NetworkStep, Step, Talk};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{debug, info};

/// How often it is looked what is due.
const TICK: Duration = Duration::from_millis(100);
/// How often the engine is looked at as a whole.
const LOOK: Duration = Duration::from_secs(60);
/// How often the networks of the cluster are compared with those of the engine.
const CARRY: Duration = Duration::from_secs(1);
/// How long after an event that is done.
const SOON: Duration = Duration::from_millis(50);
/// Events of so long before are told again: the engine begins to tell after it said so.
const BEFORE: Duration = Duration::from_secs(2);

/// What was done beside.
enum Done {
    Looked(Result<Look, EngineError>),
    /// The containers that are to be asked about.
    Tidied(Vec<String>),
    Asked(String, Told),
    Carried,
    Noted,
}

/// A conversation.
struct Session {
    follower: Arc<Follower>,
    talk: Arc<Talk>,
    jobs: JoinSet<Done>,
    asking: Asking,
    /// What was heard since the look began that is under way.
    looking: Option<Vec<Event>>,
    looked: bool,
    next_look: Instant,
    carrying: bool,
    next_carry: Instant,
}

/// Follows an engine until it is lost; ends without an error once another one is declared.
pub(super) async fn run(follower: &Arc<Follower>, talk: &Arc<Talk>) -> Result<(), EngineError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = now.unwrap_or_default().saturating_sub(BEFORE);
    let mut events = talk.events(since).await?;
    let now = Instant::now();
    let mut session = Session {
        follower: Arc::clone(follower),
        talk: Arc::clone(talk),
        jobs: JoinSet::new(),
        asking: Asking::default(),
        looking: None,
        looked: false,
        next_look: now,
        carrying: false,
        next_carry: now,
    };
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.next() => session.hear(event?),
            Some(done) = session.jobs.join_next() => session.done(done.unwrap_or(Done::Noted))?,
            _ = tick.tick() => {
                let is_due = Instant::now() >= session.next_carry;
                if is_due && follower.engine().is_some_and(|engine| engine != talk.socket()) {
                    return Ok(());
                }
            }
        }
        session.go_on();
    }
}

impl Session {
    /// Begins what is due.
    fn go_on(&mut self) {
        let now = Instant::now();
        if self.looking.is_none() && now >= self.next_look {
            self.looking = Some(Vec::new());
            let talk = Arc::clone(&self.talk);
            self.jobs
                .spawn(async move { Done::Looked(Look::at(&talk).await) });
        }
        if self.looked && !self.carrying && now >= self.next_carry {
            self.carrying = true;
            let (follower, talk) = (Arc::clone(&self.follower), Arc::clone(&self.talk));
            self.jobs.spawn(async move {
                carry::carry(follower, talk).await;
                Done::Carried
            });
        }
        while let Some(id) = self.asking.next(now) {
            let (follower, talk) = (Arc::clone(&self.follower), Arc::clone(&self.talk));
            self.jobs.spawn(async move {
                let told = ask(&follower, &talk, &id).await;
                Done::Asked(id, told)
            });
        }
    }

    fn done(&mut self, done: Done) -> Result<(), EngineError> {
        let now = Instant::now();
        match done {
            Done::Looked(look) => self.looked(look?),
            Done::Tidied(unknown) => unknown.iter().for_each(|id| self.asking.want(id)),
            Done::Asked(id, told) => self.asking.told(&id, told, now),
            Done::Carried => {
                self.carrying = false;
                self.next_carry = self.next_carry.max(now + CARRY);
            }
            Done::Noted => {}
        }
        Ok(())
    }

    /// Takes everything as it was seen, and then what was heard meanwhile.
    fn looked(&mut self, look: Look) {
        let follower = Arc::clone(&self.follower);
        follower
            .door
            .view
            .set(Some(look.view(fairlead_store::now())));
        follower.memory().networks = look.networks().clone();
        for event in self.looking.take().unwrap_or_default() {
            self.tell(&event);
        }
        if !self.looked {
            self.looked = true;
            info!(
                "Docker's engine at {} is followed",
                self.talk.socket().display()
            );
            follower.reached();
            look.on_ours().for_each(|id| self.asking.want(id));
        }
        self.next_look = Instant::now() + LOOK;
        self.beside(move |follower| Done::Tidied(follower.tidy(&look)));
    }

    /// Takes an event.
    fn hear(&mut self, event: Event) {
        debug!("heard {event:?}");
        self.tell(&event);
        match &event {
            Event::Container { id, step } => match step {
                Step::Renamed => self.asking.want(id),
                Step::Started => {
                    self.asking.started(id);
                    let id = id.clone();
                    self.beside(move |follower| {
                        let by_runtime = follower.door.is_by_runtime(&id).unwrap_or_default();
                        Done::Tidied(by_runtime.then_some(id).into_iter().collect())
                    });
                }
                Step::Destroyed => {
                    self.asking.gone(id);
                    let id = id.clone();
                    self.beside(move |follower| {
                        let forgotten = follower.door.forget_container(&id);
                        noted(forgotten)
                    });
                }
                Step::Created | Step::Died => {}
            },
            Event::Network { id, step } => {
                let changed = match step {
                    NetworkStep::Connected { container } => {
                        self.asking.joined(container);
                        false
                    }
                    NetworkStep::Disconnected => self.follower.unused(),
                    NetworkStep::Destroyed => {
                        self.follower.removed(id);
                        true
                    }
                    NetworkStep::Created => true,
                };
                if changed {
                    self.next_carry = self.next_carry.min(Instant::now() + SOON);
                }
            }
        }
        if let Some(heard) = &mut self.looking {
            heard.push(event);
        }
    }

    /// What an event says of what there is. It may be told twice.
    fn tell(&mut self, event: &Event) {
        let view = &self.follower.door.view;
        match event {
            Event::Container { id, step } => match step {
                // An old event of one that has run meanwhile says nothing.
                Step::Created if view.container(id).is_some() => {}
                Step::Created => view.tell(id, Some(Container::New(Instant::now()))),
                Step::Started => view.tell(id, Some(Container::Running)),
                Step::Died => view.tell(id, Some(Container::Stopped)),
                Step::Destroyed => view.tell(id, None),
                Step::Renamed => {}
            },
            Event::Network { id, step } => match step {
                NetworkStep::Created => {
                    let (follower, talk) = (Arc::clone(&self.follower), Arc::clone(&self.talk));
                    let id = id.clone();
                    self.jobs.spawn(async move {
                        match talk.network(&id).await {
                            Ok(Some(network)) => follower.has(network),
                            Ok(None) => {}
                            // The next look finds it.
                            Err(error) => debug!("{error}"),
                        }
                        Done::Noted
                    });
                }
                NetworkStep::Destroyed => {
                    self.follower.memory().networks.remove(id);
                }
                NetworkStep::Connected { .. } | NetworkStep::Disconnected => {}
            },
        }
    }

    /// Does what waits for the disk or for shared state.
    fn beside(&mut self, work: impl FnOnce(&Follower) -> Done + Send + 'static) {
        let follower = Arc::clone(&self.follower);
        self.jobs
            .spawn(async move { follower.blocking(work).await.unwrap_or(Done::Noted) });
    }
}

fn noted(done: Result<(), DoorError>) -> Done {
    if let Err(error) = done {
        debug!("{error}");
    }
    Done::Noted
}

/// Asks who a container is, and notes it.
async fn ask(follower: &Arc<Follower>, talk: &Talk, id: &str) -> Told {
    let found = match talk.container(id).await {
        Ok(Some(found)) => found,
        Ok(None) => return Told::All,
        Err(error) => {
            debug!("{error}");
            return Told::Part;
        }
    };
    if !found.is_running() {
        return Told::Down;
    }
    let noted = follower.blocking(move |follower| follower.door.identify(&found));
    match noted.await {
        Some(Ok(true)) => Told::All,
        Some(Ok(false)) | None => Told::Part,
        Some(Err(error)) => {
            debug!("who container {id} is: {error}");
            Told::Part
        }
    }
}
