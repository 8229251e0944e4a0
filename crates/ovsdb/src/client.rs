//! The handle that calls go through.

use crate::actor::{Actor, Answered, Call, Command, Watched};
use crate::endpoint::Endpoints;
use crate::error::{LinkError, OvsdbError};
use crate::monitor::{Level, Monitor, MonitorPlan, Plan};
use crate::operation::Operation;
use crate::result::{self, OpResult};
use crate::schema::Schema;
use crate::settings::Settings;
use crate::tls;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

/// How many commands of handles the task may be behind.
const COMMANDS: usize = 256;

/// Whether there is a connection.
#[derive(Debug, Clone)]
pub enum State {
    /// There is none; it is being made.
    Away {
        /// Why.
        cause: Arc<LinkError>,
    },
    /// There is one.
    Connected {
        /// Where to.
        endpoint: String,
    },
}

/// A handle of a connection that is made again whenever it is lost. Clones use the same one;
/// it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<State>,
    endpoints: Arc<str>,
    limit: Duration,
    settings: Arc<Settings>,
    monitors: Arc<AtomicU64>,
}

impl Client {
    /// Begins to connect, on the runtime that this is called on, and does not wait for it:
    /// calls do, for as long as their limit.
    ///
    /// # Errors
    /// A server is reached by TLS, and the settings or files for that are not usable.
    pub fn new(endpoints: impl Into<Endpoints>, settings: Settings) -> Result<Self, OvsdbError> {
        let endpoints = endpoints.into();
        let settings = Arc::new(settings);
        let tls = tls::connector(&endpoints, settings.tls.as_ref())?;
        let (commands, received) = mpsc::channel(COMMANDS);
        let cause = Arc::new(LinkError::NotYet);
        let (told, state) = watch::channel(State::Away { cause });
        let client = Self {
            commands,
            state,
            endpoints: endpoints.to_string().into(),
            limit: settings.call_limit,
            settings: Arc::clone(&settings),
            monitors: Arc::default(),
        };
        let actor = Actor::new(endpoints, settings, tls, received, told);
        tokio::spawn(actor.run());
        Ok(client)
    }

    /// The same connection; calls through this handle have another limit.
    #[must_use]
    pub fn with_limit(&self, limit: Duration) -> Self {
        Self {
            limit,
            ..self.clone()
        }
    }

    /// Whether there is a connection, and when that changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// The servers, for messages.
    #[must_use]
    pub fn endpoints(&self) -> &str {
        &self.endpoints
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// There is none within the limit.
    pub async fn ready(&self) -> Result<(), OvsdbError> {
        let mut state = self.state.clone();
        let deadline = Instant::now() + self.limit;
        let connected = state.wait_for(|state| matches!(state, State::Connected { .. }));
        match timeout_at(deadline, connected).await {
            Err(_) => Err(self.unreachable("connect")),
            Ok(Err(_)) => Err(OvsdbError::Closed),
            Ok(Ok(_)) => Ok(()),
        }
    }

    fn unreachable(&self, method: &'static str) -> OvsdbError {
        let cause = match &*self.state.borrow() {
            State::Away { cause } => Arc::clone(cause),
            State::Connected { .. } => Arc::new(LinkError::Busy),
        };
        OvsdbError::Unreachable {
            method,
            endpoint: self.endpoints.to_string(),
            limit: self.limit,
            cause,
        }
    }

    async fn call(&self, method: &'static str, params: Json, repeatable: bool) -> Answered {
        let deadline = Instant::now() + self.limit;
        let permit = match timeout_at(deadline, self.commands.reserve()).await {
            Err(_) => return Err(self.unreachable(method)),
            Ok(Err(_)) => return Err(OvsdbError::Closed),
            Ok(Ok(permit)) => permit,
        };
        let (reply, answer) = oneshot::channel();
        permit.send(Command::Call(Call {
            method,
            params,
            repeatable,
            deadline,
            limit: self.limit,
            reply,
        }));
        answer.await.unwrap_or(Err(OvsdbError::Closed))
    }

    /// The databases of the server (RFC 7047 section 4.1.1).
    ///
    /// # Errors
    /// See [`OvsdbError`]; nothing has changed.
    pub async fn list_dbs(&self) -> Result<Vec<String>, OvsdbError> {
        let (answer, endpoint) = self.call("list_dbs", json!([]), true).await?;
        let names = answer.as_array().into_iter().flatten();
        let names: Option<Vec<String>> = names.map(|n| n.as_str().map(str::to_owned)).collect();
        let wrong = || OvsdbError::answer("list_dbs", &endpoint, format!("'{answer}'"));
        names.filter(|_| answer.is_array()).ok_or_else(wrong)
    }

    /// The schema of a database (RFC 7047 section 4.1.2).
    ///
    /// # Errors
    /// See [`OvsdbError`]; nothing has changed.
    pub async fn get_schema(&self, database: &str) -> Result<Schema, OvsdbError> {
        let (answer, _) = self.call("get_schema", json!([database]), true).await?;
        Ok(Schema::decode(&answer)?)
    }

    /// Does all operations, or none (RFC 7047 section 4.1.3): one result for each.
    ///
    /// # Errors
    /// An operation failed, or the commit, or there is no answer. Only where
    /// [`OvsdbError::may_have_happened`] says so can the database have changed; this never
    /// asks twice.
    pub async fn transact(
        &self,
        database: &str,
        operations: &[Operation],
    ) -> Result<Vec<OpResult>, OvsdbError> {
        let first = std::iter::once(json!(database));
        let params: Json = first
            .chain(operations.iter().map(Operation::encode))
            .collect();
        // What only reads may be asked twice.
        let reads = operations
            .iter()
            .all(|operation| operation.verb() == "select");
        let (answer, endpoint) = self.call("transact", params, reads).await?;
        result::decode(&endpoint, database, operations, &answer)
    }

    /// Begins to follow tables. The first update is their whole content.
    ///
    /// # Errors
    /// The schema cannot be had, or has not what is asked for; or the plan is one that no
    /// server can follow.
    pub async fn monitor(&self, database: &str, plan: MonitorPlan) -> Result<Monitor, OvsdbError> {
        let schema = Arc::new(self.get_schema(database).await?);
        let plan = Arc::new(Plan::new(schema, plan)?);
        let mut monitor = Monitor::new(self.clone(), plan);
        monitor.subscribe().await?;
        Ok(monitor)
    }

    pub(crate) async fn watch(
        &self,
        plan: &Arc<Plan>,
        last: Option<Uuid>,
    ) -> Result<(u64, mpsc::Receiver<crate::monitor::Event>), OvsdbError> {
        let permit = self.commands.reserve().await;
        let permit = permit.map_err(|_| OvsdbError::Closed)?;
        let id = self.monitors.fetch_add(1, Ordering::Relaxed);
        let (events, received) = mpsc::channel(self.settings.max_behind.max(1));
        let watched = Watched {
            plan: Arc::clone(plan),
            last,
            level: Level::BEST,
            events,
        };
        permit.send(Command::Watch(id, watched));
        Ok((id, received))
    }

    /// If the task is too busy to hear it, it finds out by itself that nobody reads.
    pub(crate) fn unwatch(&self, id: u64) {
        let _ = self.commands.try_send(Command::Unwatch(id));
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }
}
