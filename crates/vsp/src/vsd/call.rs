//! One call of the interface: requests with the session's key, repeated where that is safe and of
//! use, within the time that a call may take.

use super::answer::{self, MOST, Reply, nonsense};
use super::error::{At, Transport, VsdError};
use super::request::{ME, PAGE, Request};
use super::session::{Key, used_for};
use super::settings::Retries;
use super::state::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use serde_json::Value;
use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::{Instant, sleep, timeout_at};

/// Whether a request that failed can be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It would fail again.
    Never,
    /// It was not carried out.
    Safe,
    /// It may have been carried out.
    Doubtful,
}

/// An attempt that failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) error: VsdError,
    pub(super) again: Again,
}

impl From<VsdError> for Failure {
    fn from(error: VsdError) -> Self {
        Self {
            error,
            again: Again::Never,
        }
    }
}

/// A call on its way.
pub(super) struct Call {
    pub(super) at: At,
    until: Instant,
    pub(super) shared: Arc<super::state::Shared>,
    pub(super) proxy_user: Option<HeaderValue>,
}

/// The attempts of a call.
pub(super) struct Pace {
    retries: Retries,
    done: u32,
    until: Instant,
}

impl Pace {
    /// Waits as is due; false if there is no further attempt, or no time for it.
    pub(super) async fn again(&mut self, failure: &Failure) -> bool {
        self.done += 1;
        let next = Instant::now() + self.retries.wait(self.done);
        if self.done >= self.retries.attempts || next >= self.until {
            return false;
        }
        tracing::debug!(attempt = self.done, "{}; it is tried again", failure.error);
        sleep(next.saturating_duration_since(Instant::now())).await;
        true
    }
}

impl Call {
    /// A call that begins now.
    pub(super) fn new(vsd: &super::Vsd, operation: &'static str, object: &str) -> Self {
        let state = vsd.shared.current();
        let at = At {
            operation,
            object: object.to_owned(),
            host: state.settings.url.host().to_owned(),
        };
        let now = Instant::now();
        let until = now
            .checked_add(state.settings.limit)
            .unwrap_or(now + super::state::LONG);
        let proxy_user = vsd.proxy_user.clone().filter(|_| state.settings.proxy_user);
        Self {
            at,
            until,
            shared: Arc::clone(&vsd.shared),
            proxy_user,
        }
    }

    pub(super) fn pace(&self) -> Pace {
        Pace {
            retries: self.shared.current().settings.retries,
            done: 0,
            until: self.until,
        }
    }

    /// A request that is made until there is an answer that is none of an absent VSD.
    pub(super) async fn exchange(&self, request: &Request) -> Result<Reply, VsdError> {
        let mut pace = self.pace();
        loop {
            let failure = match self.attempt(request).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let may = match failure.again {
                Again::Never => false,
                Again::Safe => true,
                Again::Doubtful => request.is_repeatable(),
            };
            if !may || !pace.again(&failure).await {
                return Err(failure.error);
            }
        }
    }

    /// A request, made once with a good key; the settings are those of the moment.
    pub(super) async fn attempt(&self, request: &Request) -> Result<Reply, Failure> {
        let mut state = self.shared.current();
        let mut key = self.key(&state, None).await?;
        let mut reply = self
            .send(&state, &self.at, &key.authorization, request)
            .await?;
        if matches!(reply.status, 401 | 419) {
            // The settings may be others by now, the password above all.
            state = self.shared.current();
            key = self.key(&state, Some(&key)).await?;
            reply = self
                .send(&state, &self.at, &key.authorization, request)
                .await?;
        }
        if reply.status == 300 && !request.choice {
            let sure = request.sure();
            reply = self
                .send(&state, &self.at, &key.authorization, &sure)
                .await?;
        }
        match reply.status {
            500 | 502 | 503 | 504 => Err(Failure {
                error: reply.refusal(&self.at),
                again: Again::Doubtful,
            }),
            401 | 419 => Err(reply.refusal(&self.at).into()),
            _ => Ok(reply),
        }
    }

    /// The key of the session, which is not to be `refused`.
    pub(super) async fn key(
        &self,
        state: &State,
        refused: Option<&Arc<Key>>,
    ) -> Result<Arc<Key>, Failure> {
        let login = self.login(state);
        let got = match timeout_at(self.until, state.session.key(refused, login)).await {
            Ok(got) => got,
            Err(_) => Err(self.over(state, &self.at)),
        };
        got.map_err(|mut failure| {
            let is_old = !Arc::ptr_eq(&state.session, &self.shared.current().session);
            failure.again = match failure.again {
                // The password was changed meanwhile: the new one may be right.
                Again::Never if is_old && failure.error.is_denied() => Again::Safe,
                // Whatever became of the login, the request itself was not sent.
                Again::Doubtful => Again::Safe,
                same => same,
            };
            failure
        })
    }

    /// Logs in.
    async fn login(&self, state: &State) -> Result<Key, Failure> {
        let settings = &state.settings;
        let at = At {
            operation: "log in as",
            object: settings.user.clone(),
            ..self.at.clone()
        };
        let password = authorization(&settings.user, settings.password.expose(), &at)?;
        let reply = self
            .send(state, &at, &password, &Request::get(ME.to_owned()))
            .await?;
        match reply.status {
            200..=299 => {}
            status @ (401 | 403) => {
                let host = at.host;
                let (user, organization) = (settings.user.clone(), settings.organization.clone());
                return Err(VsdError::Login {
                    host,
                    user,
                    organization,
                    status,
                }
                .into());
            }
            500 | 502 | 503 | 504 => {
                return Err(Failure {
                    error: reply.refusal(&at),
                    again: Again::Safe,
                });
            }
            _ => return Err(reply.refusal(&at).into()),
        }
        let object = reply.one(&at)?;
        let key = object
            .get("APIKey")
            .and_then(Value::as_str)
            .filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| nonsense(&at, "there is no APIKey in it".to_owned()))?;
        let authorization = authorization(&settings.user, key, &at)?;
        let used = used_for(object.get("APIKeyExpiry"), SystemTime::now());
        let until = used.and_then(|used| Instant::now().checked_add(used));
        Ok(Key {
            authorization,
            until,
            me: answer::read(&at, object)?,
        })
    }

    fn over(&self, state: &State, at: &At) -> Failure {
        let cause = Transport::Limit(state.settings.limit);
        Failure {
            error: VsdError::Unreachable {
                at: at.clone(),
                cause,
            },
            again: Again::Never,
        }
    }

    /// Sends a request and reads its answer. What is logged has no header and no body.
    async fn send(
        &self,
        state: &State,
        at: &At,
        authorization: &HeaderValue,
        request: &Request,
    ) -> Result<Reply, Failure> {
        let began = Instant::now();
        let left = self
            .until
            .saturating_duration_since(began)
            .min(state.settings.timeout);
        if left.is_zero() {
            return Err(self.over(state, at));
        }
        let choice = if request.choice {
            "?responseChoice=1"
        } else {
            ""
        };
        let url = format!("{}{}{choice}", state.root, request.path);
        let mut builder = state
            .http
            .request(request.method.clone(), url)
            .timeout(left);
        builder = builder
            .header("Authorization", authorization.clone())
            .header("Content-Type", "application/json")
            .header("X-Nuage-Organization", state.organization.clone())
            .header("X-Nuage-PageSize", PAGE);
        // The session is everybody's, so its login is nobody's but our own.
        if let Some(user) = self.proxy_user.as_ref().filter(|_| request.path != ME) {
            builder = builder.header("X-Nuage-ProxyUser", user.clone());
        }
        if let Some(page) = request.page {
            builder = builder.header("X-Nuage-Page", page);
        }
        if let Some(filter) = &request.filter {
            builder = builder
                .header("X-Nuage-Filter", filter.header())
                .header("X-Nuage-FilterType", "predicate");
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let got = match builder.send().await {
            Ok(response) => receive(response).await,
            Err(error) => Err(error),
        };
        let status = got.as_ref().map_or(0, |reply| reply.status);
        let (method, path, took) = (&request.method, &request.path, began.elapsed());
        tracing::debug!(%method, path, status, ?took, "VSD");
        let reply = got.map_err(|error| failed(at, &error, left))?;
        if reply.body.len() > MOST {
            return Err(nonsense(at, format!("it is longer than {MOST} bytes")).into());
        }
        Ok(reply)
    }
}

/// The header that says who asks, marked so that no library prints it.
fn authorization(user: &str, secret: &str, at: &At) -> Result<HeaderValue, VsdError> {
    let pair = STANDARD.encode(format!("{user}:{secret}"));
    let mut value = HeaderValue::try_from(format!("XREST {pair}"))
        .map_err(|_| nonsense(at, "its key cannot be sent".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The whole of an answer, or a little more than the most of it.
async fn receive(mut response: reqwest::Response) -> Result<Reply, reqwest::Error> {
    let count = response.headers().get("X-Nuage-Count");
    let count = count.and_then(|count| count.to_str().ok()?.trim().parse().ok());
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            break;
        }
    }
    Ok(Reply {
        status,
        count,
        body,
    })
}

/// A request without an answer.
fn failed(at: &At, error: &reqwest::Error, waited: std::time::Duration) -> Failure {
    let (again, cause) = match (rejected(error), error.is_connect(), error.is_timeout()) {
        (Some(why), _, _) => (Again::Never, Transport::Certificate(why)),
        (None, true, _) => (Again::Safe, Transport::Connect(last(error))),
        (None, false, true) => (Again::Doubtful, Transport::Timeout(waited)),
        (None, false, false) => (Again::Doubtful, Transport::Broken(last(error))),
    };
    Failure {
        error: VsdError::Unreachable {
            at: at.clone(),
            cause,
        },
        again,
    }
}

/// Why the VSD's certificate was rejected, if that was it. An I/O error hides what it is made of
/// from its `source`, and there may be one in another.
fn rejected(error: &reqwest::Error) -> Option<String> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            return Some(why.to_string());
        }
        cause = match error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The innermost of the causes: those around it say only that something failed.
fn last(error: &reqwest::Error) -> String {
    let mut cause: &(dyn Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
