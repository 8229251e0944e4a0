//! The endpoints, a client for each, and which of them is used.

use super::fault::Fault;
use super::options::Target;
use crate::{LeaseId, Revision, SharedError};
use etcd_client::{Client, GetOptions};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long an endpoint that has answered is taken to be alive, so that a change is
/// sent to it without asking first.
const FRESH: Duration = Duration::from_secs(1);

/// How long is waited before etcd is asked again while it elects a leader.
const PAUSE: Duration = Duration::from_millis(100);

/// What is being done, for errors.
#[derive(Debug, Clone)]
pub(super) struct Op {
    pub(super) name: &'static str,
    /// The key, the prefix or the lease, as the caller knows it.
    pub(super) key: String,
    /// Whether it must not be done twice.
    pub(super) once: bool,
}

impl Op {
    pub(super) fn read(name: &'static str, key: &str) -> Self {
        let key = key.to_owned();
        Self {
            name,
            key,
            once: false,
        }
    }

    pub(super) fn write(name: &'static str, key: &str) -> Self {
        let key = key.to_owned();
        Self {
            name,
            key,
            once: true,
        }
    }
}

/// One endpoint.
#[derive(Default)]
struct Member {
    client: Mutex<Option<Client>>,
    answered: Mutex<Option<Instant>>,
    /// Whether it ever let us in.
    trusted: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// See the module.
pub(super) struct Pool {
    pub(super) target: Target,
    members: Vec<Member>,
    current: AtomicUsize,
}

impl Pool {
    pub(super) fn new(target: Target) -> Self {
        let members = target.endpoints.iter().map(|_| Member::default());
        Self {
            members: members.collect(),
            current: AtomicUsize::new(0),
            target,
        }
    }

    /// The key as etcd has it.
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}{key}", self.target.prefix)
    }

    /// The key as callers have it; none for one that is not text or not ours.
    pub(super) fn short(&self, key: &[u8]) -> Option<String> {
        let key = key.strip_prefix(self.target.prefix.as_bytes())?;
        Some(std::str::from_utf8(key).ok()?.to_owned())
    }

    /// Which endpoint is used.
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed) % self.members.len()
    }

    /// A client of endpoint `at`; with a user it is one that etcd has let in.
    pub(super) async fn client(&self, at: usize) -> Result<Client, Fault> {
        let member = &self.members[at];
        let known = lock(&member.client).clone();
        if let Some(client) = known {
            return Ok(client);
        }
        let endpoint = &self.target.endpoints[at..=at];
        let client = Client::connect(endpoint, Some(self.target.connect.clone())).await;
        let client = client.map_err(|error| Fault::of(&error))?;
        *lock(&member.client) = Some(client.clone());
        Ok(client)
    }

    /// Forgets the connection to endpoint `at`, and uses the next from now on.
    pub(super) fn leave(&self, at: usize) {
        *lock(&self.members[at].client) = None;
        *lock(&self.members[at].answered) = None;
        let next = (at + 1) % self.members.len();
        let relaxed = Ordering::Relaxed;
        // Another call may have left it already.
        let _ = self.current.compare_exchange(at, next, relaxed, relaxed);
    }

    /// Asks endpoint `at` for something small that needs a quorum.
    pub(super) async fn probe(&self, client: &Client) -> Result<(), Fault> {
        let options = GetOptions::new().with_keys_only();
        let answer = client.kv_client().get(self.full(""), Some(options)).await;
        answer.map(drop).map_err(|error| Fault::of(&error))
    }

    async fn attempt<T, F, R>(
        &self,
        at: usize,
        op: &Op,
        sent: &AtomicBool,
        f: &F,
    ) -> Result<T, Fault>
    where
        F: Fn(Client) -> R,
        R: Future<Output = Result<T, etcd_client::Error>>,
    {
        let client = self.client(at).await?;
        let member = &self.members[at];
        if op.once {
            let answered = *lock(&member.answered);
            if answered.is_none_or(|at| at.elapsed() > FRESH) {
                self.probe(&client).await?;
            }
            sent.store(true, Ordering::Relaxed);
        }
        let done = f(client).await.map_err(|error| Fault::of(&error))?;
        *lock(&member.answered) = Some(Instant::now());
        member.trusted.store(true, Ordering::Relaxed);
        Ok(done)
    }

    /// A server that does not like our certificate just closes the connection: TLS 1.3
    /// has the client done before it is looked at.
    fn explained(&self, at: usize, fault: Fault) -> Fault {
        let trusted = self.members[at].trusted.load(Ordering::Relaxed);
        match fault {
            Fault::Lost(text)
                if !trusted
                    && self.target.endpoints[at].starts_with("https")
                    && text.contains("clos") | text.contains("broken") | text.contains("reset") =>
            {
                Fault::Certificate(format!(
                    "{text}: the server closed the connection, as it does when it asks for a \
                     certificate and gets none that it trusts"
                ))
            }
            fault => fault,
        }
    }

    /// Calls `f` with a client of the endpoint in use, and of the others in turn
    /// while that can be done safely: always for what only reads, and for a change
    /// as long as it was not sent.
    pub(super) async fn call<T, F, R>(&self, op: &Op, f: F) -> Result<T, SharedError>
    where
        F: Fn(Client) -> R,
        R: Future<Output = Result<T, etcd_client::Error>>,
    {
        let deadline = Instant::now() + self.target.timeout;
        loop {
            let mut again = None;
            let start = self.current();
            let count = self.members.len();
            let mut last = (start, Fault::Lost("there was no time".to_owned()));
            for step in 0..count {
                let at = (start + step) % count;
                let left = deadline.saturating_duration_since(Instant::now());
                let share = left / u32::try_from(count - step).unwrap_or(1);
                let sent = AtomicBool::new(false);
                let attempt = timeout(share, self.attempt(at, op, &sent, &f)).await;
                let fault = match attempt {
                    Ok(Ok(done)) => return Ok(done),
                    Ok(Err(fault)) => self.explained(at, fault),
                    Err(_) => Fault::Lost(format!("no answer in {:.1} s", share.as_secs_f64())),
                };
                let sent = sent.load(Ordering::Relaxed);
                match &fault {
                    Fault::Connect(_) | Fault::Certificate(_) => self.leave(at),
                    Fault::Lost(_) => {
                        self.leave(at);
                        if sent {
                            return Err(self.error(op, at, fault, true));
                        }
                    }
                    Fault::NotNow(_) => {
                        self.leave(at);
                        again = Some(fault.clone());
                    }
                    _ => return Err(self.error(op, at, fault, false)),
                }
                last = (at, fault);
            }
            if again.is_none() || Instant::now() + PAUSE >= deadline {
                return Err(self.error(op, last.0, last.1, false));
            }
            sleep(PAUSE).await;
        }
    }

    /// The error for callers.
    pub(super) fn error(&self, op: &Op, at: usize, fault: Fault, sent: bool) -> SharedError {
        let (operation, key) = (op.name, op.key.clone());
        let endpoint = self.target.endpoints[at].clone();
        match fault {
            Fault::Connect(reason) | Fault::Lost(reason) | Fault::NotNow(reason) => {
                SharedError::Unreachable {
                    endpoints: self.target.endpoints.join(", "),
                    operation,
                    key,
                    reason,
                    sent,
                }
            }
            Fault::Certificate(reason) => SharedError::Certificate {
                endpoint,
                operation,
                key,
                reason,
            },
            Fault::Denied(reason) => SharedError::Denied {
                endpoint,
                operation,
                key,
                prefix: self.target.prefix.clone(),
                reason,
            },
            Fault::LeaseGone => SharedError::LeaseGone { lease: LeaseId(0) },
            Fault::Compacted => SharedError::Compacted {
                prefix: key,
                after: Revision::ZERO,
            },
            Fault::Server(reason) => SharedError::Server {
                endpoint,
                operation,
                key,
                reason,
            },
        }
    }
}
