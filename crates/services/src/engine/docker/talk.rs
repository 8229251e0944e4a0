//! One conversation with a daemon that speaks Docker's API: each question with a time
//! limit, each error with what was asked of whom.

use super::found::{self, Found};
use crate::engine::{EngineError, Kind};
use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, KillContainerOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use fairlead_types::ResourceName;
use futures_util::StreamExt;
use std::path::Path;
use std::time::Duration;

/// How long a question may take that costs the engine nothing.
const QUICK: Duration = Duration::from_secs(10);

/// How long removing may take, which frees the container's file system.
const REMOVING: Duration = Duration::from_secs(60);

/// How long the engine may take to notice that a container has ended.
const NOTICING: Duration = Duration::from_secs(2);

/// How long to rest before it is asked again.
const REST: Duration = Duration::from_millis(20);

/// Beyond every limit of ours, since the library wants one too.
const LIBRARY: u64 = 24 * 60 * 60;

/// How much of a container's last words is told, in bytes.
const WORDS: usize = 2048;

/// The shortest time that a question gets.
pub(super) fn quick() -> Duration {
    QUICK
}

/// A daemon that has answered once.
pub(super) struct Talk<'a> {
    api: bollard::Docker,
    kind: Kind,
    socket: &'a Path,
    resource: &'a ResourceName,
}

/// What is asked, and of which container.
#[derive(Clone, Copy)]
struct Question<'a> {
    operation: &'static str,
    name: &'a str,
    limit: Duration,
}

impl<'a> Talk<'a> {
    pub(super) async fn begin(
        kind: Kind,
        socket: &'a Path,
        resource: &'a ResourceName,
    ) -> Result<Self, EngineError> {
        let unreachable = |reason: String| EngineError::Unreachable {
            resource: resource.clone(),
            engine: kind,
            socket: socket.to_owned(),
            reason,
        };
        let path = socket
            .to_str()
            .ok_or_else(|| unreachable("the path is no text".to_owned()))?;
        let version = bollard::API_DEFAULT_VERSION;
        let api = bollard::Docker::connect_with_unix(path, LIBRARY, version)
            .map_err(|error| unreachable(words(&error)))?;
        let answer = tokio::time::timeout(QUICK, api.negotiate_version()).await;
        let api = answer
            .map_err(|_| unreachable(format!("no answer within {} s", QUICK.as_secs())))?
            .map_err(|error| unreachable(words(&error)))?;
        Ok(Self {
            api,
            kind,
            socket,
            resource,
        })
    }

    /// The container of that name, or identifier.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Found>, EngineError> {
        let question = Question {
            operation: "look at",
            name,
            limit: QUICK,
        };
        let answer = self.wait(question, found::one(self.socket, name)).await?;
        answer.map_err(|error| self.refused(question, &Error::from(error)))
    }

    /// The same once the engine has noticed that it ended, if it does so soon.
    pub(super) async fn find_ended(&self, name: &str) -> Result<Option<Found>, EngineError> {
        let deadline = tokio::time::Instant::now() + NOTICING;
        loop {
            let found = self.find(name).await?;
            let is_up = found.as_ref().is_some_and(Found::is_up);
            if !is_up || tokio::time::Instant::now() > deadline {
                return Ok(found);
            }
            tokio::time::sleep(REST).await;
        }
    }

    /// The containers that have this label and are in the network of the one of this
    /// identifier.
    pub(super) async fn guests(
        &self,
        label: (&str, &str),
        host: &str,
    ) -> Result<Vec<Found>, EngineError> {
        let question = Question {
            operation: "look for guests of",
            name: host,
            limit: QUICK,
        };
        let ids = self.wait(question, found::labelled(self.socket, label.0, label.1));
        let ids = ids.await?;
        let ids = ids.map_err(|error| self.refused(question, &Error::from(error)))?;
        let mut guests = Vec::new();
        for id in ids {
            let found = self.find(&id).await?;
            let mode = format!("container:{host}");
            guests.extend(found.filter(|found| found.network_mode() == Some(&mode)));
        }
        Ok(guests)
    }

    /// The identifier of the image of that name.
    pub(super) async fn image(&self, image: &str) -> Result<Option<String>, EngineError> {
        let question = Question {
            operation: "look at the image",
            name: image,
            limit: QUICK,
        };
        let found = self.ask(question, self.api.inspect_image(image)).await?;
        Ok(found.and_then(|image| image.id))
    }

    /// Fetches an image. The error is a part of a sentence.
    pub(super) async fn pull(&self, image: &str, limit: Duration) -> Result<(), String> {
        let options = CreateImageOptionsBuilder::new().from_image(image).build();
        let mut steps = std::pin::pin!(self.api.create_image(Some(options), None, None));
        let all = async {
            while let Some(step) = steps.next().await {
                step.map_err(|error| words(&error))?;
            }
            Ok(())
        };
        match tokio::time::timeout(limit, all).await {
            Ok(done) => done,
            Err(_) => Err(format!("it took more than {} s", limit.as_secs())),
        }
    }

    pub(super) async fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
        limit: Duration,
    ) -> Result<(), EngineError> {
        let question = Question {
            operation: "make",
            name,
            limit,
        };
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let made = self.api.create_container(Some(options), body);
        self.must(question, made).await.map(drop)
    }

    pub(super) async fn start(&self, name: &str, limit: Duration) -> Result<(), EngineError> {
        let question = Question {
            operation: "start",
            name,
            limit,
        };
        self.must(question, self.api.start_container(name, None))
            .await
    }

    /// Ends it, by force after `grace`; the engine may take `more` beyond that.
    pub(super) async fn stop(
        &self,
        name: &str,
        grace: Duration,
        more: Duration,
    ) -> Result<(), EngineError> {
        let question = Question {
            operation: "stop",
            name,
            limit: grace + more,
        };
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        // One that has gone meanwhile is stopped.
        let stopped = self.ask(question, self.api.stop_container(name, Some(options)));
        stopped.await.map(drop)
    }

    /// Removes it with its nameless volumes, even if it runs.
    pub(super) async fn remove(&self, name: &str) -> Result<(), EngineError> {
        let question = Question {
            operation: "remove",
            name,
            limit: REMOVING,
        };
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
        let removed = self.api.remove_container(name, Some(options.build()));
        self.ask(question, removed).await.map(drop)
    }

    pub(super) async fn kill(&self, name: &str, signal: &str) -> Result<(), EngineError> {
        let question = Question {
            operation: "signal",
            name,
            limit: QUICK,
        };
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        self.must(question, self.api.kill_container(name, Some(options)))
            .await
    }

    /// What it printed last, for an error's message; nothing if the engine keeps no log.
    pub(super) async fn last_words(&self, name: &str) -> String {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .tail("10")
            .build();
        let mut lines = std::pin::pin!(self.api.logs(name, Some(options)));
        let mut all = String::new();
        let reading = async {
            while let Some(Ok(line)) = lines.next().await {
                all.push_str(&line.to_string());
                if all.len() > WORDS {
                    break;
                }
            }
        };
        // What has come so far is worth telling.
        let _ = tokio::time::timeout(QUICK, reading).await;
        all
    }

    /// Asks for something that need not be there.
    async fn ask<T>(
        &self,
        question: Question<'_>,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, EngineError> {
        match self.wait(question, answer).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(None),
            Err(error) => Err(self.refused(question, &error)),
        }
    }

    /// Asks for something whose absence is an error.
    async fn must<T>(
        &self,
        question: Question<'_>,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, EngineError> {
        let answer = self.wait(question, answer).await?;
        answer.map_err(|error| self.refused(question, &error))
    }

    async fn wait<T>(
        &self,
        question: Question<'_>,
        answer: impl Future<Output = T>,
    ) -> Result<T, EngineError> {
        let answer = tokio::time::timeout(question.limit, answer).await;
        answer.map_err(|_| EngineError::Late {
            resource: self.resource.clone(),
            engine: self.kind,
            operation: question.operation,
            name: question.name.to_owned(),
            limit: question.limit,
        })
    }

    fn refused(&self, question: Question<'_>, error: &Error) -> EngineError {
        if is_gone(error) {
            return EngineError::Unreachable {
                resource: self.resource.clone(),
                engine: self.kind,
                socket: self.socket.to_owned(),
                reason: words(error),
            };
        }
        EngineError::Refused {
            resource: self.resource.clone(),
            engine: self.kind,
            operation: question.operation,
            name: question.name.to_owned(),
            reason: words(error),
        }
    }
}

/// Whether nobody is at the other end any more.
fn is_gone(error: &Error) -> bool {
    use std::io::ErrorKind;
    match error {
        Error::HyperLegacyError { .. } | Error::SocketNotFoundError(_) => true,
        Error::IOError { err } => matches!(
            err.kind(),
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
        ),
        _ => false,
    }
}

/// An error with its causes, without what the library puts around the daemon's words.
fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        Error::SocketNotFoundError(_) => "there is no such socket".to_owned(),
        // The library's words say only that it is a library.
        Error::HyperLegacyError { err } => deepest(err).to_string(),
        error => {
            let mut all = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                let text = error.to_string();
                if !all.contains(&text) {
                    all.push_str(": ");
                    all.push_str(&text);
                }
                cause = error.source();
            }
            all
        }
    }
}

/// The first cause of an error.
fn deepest<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a dyn std::error::Error {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}
