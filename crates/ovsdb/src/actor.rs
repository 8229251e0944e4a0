//! The task that owns the connection: calls that wait, calls that were sent, monitors.

use crate::client::State;
use crate::endpoint::Endpoints;
use crate::error::{LinkError, OvsdbError, Unheard};
use crate::link::Link;
use crate::message::{Message, Refusal, request};
use crate::monitor::{Event, Level, Plan};
use crate::settings::Settings;
use serde_json::{Value as Json, json};
use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Duration, Instant, sleep_until};
use tokio_rustls::TlsConnector;
use uuid::Uuid;

/// An answer, and whose it is.
pub(crate) type Answered = Result<(Json, Arc<str>), OvsdbError>;

/// A call that has no answer yet.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) params: Json,
    /// May it be said again when the answer was lost?
    pub(crate) repeatable: bool,
    pub(crate) deadline: Instant,
    pub(crate) limit: Duration,
    pub(crate) reply: oneshot::Sender<Answered>,
}

/// A monitor, whoever reads it.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) plan: Arc<Plan>,
    /// The last transaction that was told, if the server names them.
    pub(crate) last: Option<Uuid>,
    pub(crate) level: Level,
    pub(crate) events: mpsc::Sender<Event>,
}

/// What handles ask the task for.
#[derive(Debug)]
pub(crate) enum Command {
    Call(Call),
    Watch(u64, Watched),
    Unwatch(u64),
}

/// What an answer is for.
enum Asked {
    /// And where its request begins on the link.
    Call(Call, u64),
    Monitor(u64),
    /// Nobody wants to know.
    Nothing,
}

pub(crate) struct Actor {
    endpoints: Endpoints,
    settings: Arc<Settings>,
    tls: Option<TlsConnector>,
    commands: mpsc::Receiver<Command>,
    state: watch::Sender<State>,
    /// Calls that were not sent.
    waiting: VecDeque<Call>,
    asked: HashMap<u64, Asked>,
    watched: HashMap<u64, Watched>,
    next_id: u64,
    /// No call's limit passes before.
    deadline: Option<Instant>,
    cause: Arc<LinkError>,
}

impl Actor {
    pub(crate) fn new(
        endpoints: Endpoints,
        settings: Arc<Settings>,
        tls: Option<TlsConnector>,
        commands: mpsc::Receiver<Command>,
        state: watch::Sender<State>,
    ) -> Self {
        Self {
            endpoints,
            settings,
            tls,
            commands,
            state,
            waiting: VecDeque::new(),
            asked: HashMap::new(),
            watched: HashMap::new(),
            next_id: 0,
            deadline: None,
            cause: Arc::new(LinkError::NotYet),
        }
    }

    /// Until all handles are gone.
    pub(crate) async fn run(mut self) {
        let mut attempt = 0;
        let mut failed = 0;
        loop {
            let endpoint = self.endpoints.turn(attempt);
            let opening = Link::open(endpoint, Arc::clone(&self.settings), self.tls.clone());
            let cause = match self.meanwhile(opening).await {
                None => return,
                Some(Err(cause)) => Arc::new(cause),
                Some(Ok(mut link)) => {
                    let endpoint = link.endpoint.to_string();
                    self.state.send_replace(State::Connected { endpoint });
                    let Some(cause) = self.serve(&mut link).await else {
                        return;
                    };
                    // Who says nothing but nonsense is not come back to at once.
                    if link.spoke {
                        failed = 0;
                    }
                    self.lose(&link, &cause);
                    cause
                }
            };
            self.away(cause);
            attempt += 1;
            failed += 1;
            if let Some(pause) = self.pause(failed)
                && self.meanwhile(tokio::time::sleep(pause)).await.is_none()
            {
                return;
            }
        }
    }

    /// How long to wait after so many failures in a row: after each whole round of the
    /// servers, twice as long as after the round before.
    fn pause(&self, failed: usize) -> Option<Duration> {
        let servers = self.endpoints.as_slice().len();
        if !failed.is_multiple_of(servers) {
            return None;
        }
        let doublings = u32::try_from(failed / servers - 1)
            .unwrap_or(u32::MAX)
            .min(20);
        let pause = self.settings.back_off_first * 2_u32.pow(doublings);
        Some(pause.min(self.settings.back_off_most))
    }

    fn away(&mut self, cause: Arc<LinkError>) {
        self.state.send_replace(State::Away {
            cause: Arc::clone(&cause),
        });
        self.cause = cause;
    }

    /// Waits for something while there is no connection; none when all handles are gone.
    async fn meanwhile<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        let mut what = pin!(what);
        loop {
            let room = self.waiting.len() < self.settings.max_waiting;
            tokio::select! {
                done = &mut what => return Some(done),
                command = self.commands.recv(), if room => self.take(command?, None),
                () = passes(self.deadline) => self.expire(None),
            }
        }
    }

    /// Says and hears until the connection is lost; none when all handles are gone.
    async fn serve(&mut self, link: &mut Link) -> Option<Arc<LinkError>> {
        let ids: Vec<u64> = self.watched.keys().copied().collect();
        for id in ids {
            self.monitor(link, id, Level::BEST);
        }
        loop {
            self.say_waiting(link);
            let room = self.asked.len() < self.settings.max_waiting;
            let heard = tokio::select! {
                message = link.next() => message,
                command = self.commands.recv(), if room => {
                    self.take(command?, Some(&mut *link));
                    continue;
                }
                () = passes(self.deadline) => {
                    self.expire(Some(&link.endpoint));
                    continue;
                }
            };
            match heard {
                Ok(message) => self.hear(link, message),
                Err(cause) => return Some(Arc::new(cause)),
            }
        }
    }

    fn take(&mut self, command: Command, link: Option<&mut Link>) {
        match command {
            Command::Call(call) => {
                self.mind(call.deadline);
                self.waiting.push_back(call);
            }
            Command::Watch(id, watched) => {
                self.watched.insert(id, watched);
                if let Some(link) = link {
                    self.monitor(link, id, Level::BEST);
                }
            }
            Command::Unwatch(id) => self.unwatch(id, link),
        }
    }

    fn mind(&mut self, deadline: Instant) {
        self.deadline = Some(
            self.deadline
                .map_or(deadline, |before| before.min(deadline)),
        );
    }

    fn say(&mut self, link: &mut Link, method: &str, params: &Json, asked: Asked) {
        let id = self.next_id();
        link.say(&request(method, id, params));
        self.asked.insert(id, asked);
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn say_waiting(&mut self, link: &mut Link) {
        while self.asked.len() < self.settings.max_waiting {
            let Some(call) = self.waiting.pop_front() else {
                return;
            };
            // Whoever has gone away before it was said wants it no longer.
            if !call.reply.is_closed() {
                let id = self.next_id();
                let begin = link.say(&request(call.method, id, &call.params));
                self.asked.insert(id, Asked::Call(call, begin));
            }
        }
    }

    /// Asks for a monitor's content and changes, since the last that was told if possible.
    fn monitor(&mut self, link: &mut Link, id: u64, level: Level) {
        let Some(watched) = self.watched.get_mut(&id) else {
            return;
        };
        watched.level = level.min(watched.plan.best());
        let (method, params) = watched.plan.request(id, watched.level, watched.last);
        self.say(link, method, &params, Asked::Monitor(id));
    }

    fn unwatch(&mut self, id: u64, link: Option<&mut Link>) {
        if self.watched.remove(&id).is_some()
            && let Some(link) = link
        {
            self.say(link, "monitor_cancel", &json!([id]), Asked::Nothing);
        }
    }

    fn hear(&mut self, link: &mut Link, message: Message) {
        match message {
            Message::Answer { id, result } => {
                // What is late has no entry any more.
                match id.as_u64().and_then(|id| self.asked.remove(&id)) {
                    Some(Asked::Call(call, _)) => {
                        let endpoint = &link.endpoint;
                        let result = result.map(|json| (json, Arc::clone(endpoint)));
                        let result = result.map_err(|no| refused(call.method, endpoint, no));
                        // Whoever has gone away wants it no longer.
                        let _ = call.reply.send(result);
                    }
                    Some(Asked::Monitor(id)) => self.monitored(link, id, result),
                    Some(Asked::Nothing) | None => {}
                }
            }
            Message::Notice { method, params } => {
                if let Some((id, event)) = Event::notice(&method, params) {
                    self.tell(link, id, event);
                }
            }
            // The link has answered it.
            Message::Request { .. } => {}
        }
    }

    /// The answer to a request for a monitor.
    fn monitored(&mut self, link: &mut Link, id: u64, result: Result<Json, Refusal>) {
        let Some(watched) = self.watched.get(&id) else {
            return;
        };
        match result {
            Ok(content) => {
                let event = Event::begin(watched.level, content);
                self.tell(link, id, event);
            }
            Err(no) if no.error == "unknown method" && watched.level.lower().is_some() => {
                let lower = watched.level.lower().unwrap_or(Level::BEST);
                match watched.plan.fits(lower) {
                    Ok(()) => self.monitor(link, id, lower),
                    Err(error) => self.fail(id, error),
                }
            }
            Err(no) => {
                let error = refused(watched.level.method(), &link.endpoint, no);
                self.fail(id, error);
            }
        }
    }

    fn fail(&mut self, id: u64, error: OvsdbError) {
        if let Some(watched) = self.watched.remove(&id) {
            // A reader that is behind finds out when it asks for the rest.
            let _ = watched.events.try_send(Event::Failed(error));
        }
    }

    /// Tells a reader. One that is too far behind is cut off, so that nobody waits for it: it
    /// still has what was told before, and then asks for the rest by itself.
    fn tell(&mut self, link: &mut Link, id: u64, event: Event) {
        let Some(watched) = self.watched.get_mut(&id) else {
            return;
        };
        let last = event.last();
        match watched.events.try_send(event) {
            Ok(()) => watched.last = last,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => self.unwatch(id, Some(link)),
        }
    }

    /// After a connection: what was asked is not answered any more. What has not left us, not
    /// even in part, and what changes nothing, waits for the next connection.
    fn lose(&mut self, link: &Link, cause: &Arc<LinkError>) {
        let mut again: Vec<(u64, Call)> = Vec::new();
        for (id, asked) in self.asked.drain() {
            match asked {
                Asked::Call(call, begin) if call.repeatable || begin >= link.sent() => {
                    again.push((id, call));
                }
                Asked::Call(call, _) => {
                    let why = Unheard::Lost(Arc::clone(cause));
                    let _ = call
                        .reply
                        .send(Err(unanswered(call.method, &link.endpoint, why)));
                }
                Asked::Monitor(_) | Asked::Nothing => {}
            }
        }
        again.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        for (_, call) in again {
            self.waiting.push_front(call);
        }
    }

    /// Ends calls whose limit has passed.
    fn expire(&mut self, endpoint: Option<&Arc<str>>) {
        let now = Instant::now();
        self.deadline = None;
        for call in std::mem::take(&mut self.waiting) {
            if call.deadline > now {
                self.mind(call.deadline);
                self.waiting.push_back(call);
                continue;
            }
            let cause = match endpoint {
                None => Arc::clone(&self.cause),
                Some(_) => Arc::new(LinkError::Busy),
            };
            let _ = call.reply.send(Err(OvsdbError::Unreachable {
                method: call.method,
                endpoint: self.endpoints.to_string(),
                limit: call.limit,
                cause,
            }));
        }
        let asked = std::mem::take(&mut self.asked);
        for (id, asked) in asked {
            match asked {
                Asked::Call(call, _) if call.deadline <= now => {
                    let why = Unheard::Late(call.limit);
                    let endpoint = endpoint.map_or("the server", |endpoint| endpoint);
                    let _ = call.reply.send(Err(unanswered(call.method, endpoint, why)));
                    continue;
                }
                Asked::Call(ref call, _) => self.mind(call.deadline),
                Asked::Monitor(_) | Asked::Nothing => {}
            }
            self.asked.insert(id, asked);
        }
    }
}

fn refused(method: &'static str, endpoint: &str, refusal: Refusal) -> OvsdbError {
    OvsdbError::Refused {
        method,
        endpoint: endpoint.to_owned(),
        error: refusal.error,
        details: refusal.details,
    }
}

fn unanswered(method: &'static str, endpoint: &str, why: Unheard) -> OvsdbError {
    OvsdbError::Unanswered {
        method,
        endpoint: endpoint.to_owned(),
        why,
    }
}

/// Waits until this moment; for ever if there is none.
async fn passes(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
