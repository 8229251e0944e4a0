//! What is asked of an engine, each question with a time limit; the stream of events is an
//! answer that does not end. Answers are read as plain JSON: engines of other years have
//! other words in places that do not matter here.

use crate::engine::DriverName;
use crate::engine::event::{self, Event};
use crate::engine::found::{Inspected, Listed, Network};
use fairlead_ask::{encoded, parse};
use serde_json::Value;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::net::UnixStream;

/// How long a question may take. While Docker starts its containers it takes connections and
/// answers none.
const QUICK: Duration = Duration::from_secs(10);
/// How long making and removing a network may take: the driver is asked meanwhile.
const CHANGE: Duration = Duration::from_secs(30);
/// The longest answer, in bytes: a list of ten thousands of containers.
const LIMIT: u64 = 128 << 20;
/// What is told of containers and networks.
const EVENTS: &str = r#"{"type":["container","network"],"event":["create","start","die","destroy","rename","connect","disconnect"]}"#;

/// Why an engine did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody is there, or no longer.
    #[error("reach the engine at {}: {source}", .socket.display())]
    Unreachable {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It took the question and did not answer.
    #[error("{operation} {object}: no answer within {} s", .limit.as_secs())]
    Late {
        /// What was asked.
        operation: &'static str,
        /// Of what.
        object: String,
        /// How long it was waited.
        limit: Duration,
    },
    /// It said no.
    #[error("{operation} {object}: {reason}")]
    Refused {
        /// What was asked.
        operation: &'static str,
        /// Of what.
        object: String,
        /// The status of the answer.
        status: u16,
        /// The engine's words.
        reason: String,
    },
    /// Its answer is none.
    #[error("{operation} {object}: the answer cannot be read: {reason}")]
    Answer {
        /// What was asked.
        operation: &'static str,
        /// Of what.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl EngineError {
    /// Whether the engine said no because of what is there: a name that is taken, a network
    /// that is in use.
    pub const fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 403 | 409,
                ..
            }
        )
    }
}

/// An engine by its socket.
#[derive(Debug)]
pub struct Talk {
    socket: PathBuf,
    driver: DriverName,
}

/// One question.
#[derive(Clone, Copy)]
struct Question<'a> {
    operation: &'static str,
    object: &'a str,
    method: &'static str,
    path: &'a str,
    body: Option<&'a Value>,
    limit: Duration,
}

impl<'a> Question<'a> {
    const fn get(operation: &'static str, object: &'a str, path: &'a str) -> Self {
        Self {
            operation,
            object,
            method: "GET",
            path,
            body: None,
            limit: QUICK,
        }
    }

    fn text(&self) -> String {
        fairlead_ask::question(self.method, self.path, self.body)
    }

    fn late(&self) -> EngineError {
        EngineError::Late {
            operation: self.operation,
            object: self.object.to_owned(),
            limit: self.limit,
        }
    }

    fn unread(&self, reason: impl ToString) -> EngineError {
        EngineError::Answer {
            operation: self.operation,
            object: self.object.to_owned(),
            reason: reason.to_string(),
        }
    }

    fn read(&self, answer: &[u8]) -> Result<Value, EngineError> {
        match parse(answer) {
            Some((204, _)) => Ok(Value::Null),
            Some((200 | 201, body)) => {
                serde_json::from_slice(body).map_err(|error| self.unread(error))
            }
            Some((status, body)) => Err(self.refused(status, body)),
            None => Err(self.unread("it is not one of HTTP")),
        }
    }

    fn refused(&self, status: u16, body: &[u8]) -> EngineError {
        EngineError::Refused {
            operation: self.operation,
            object: self.object.to_owned(),
            status,
            reason: fairlead_ask::reason(status, body),
        }
    }
}

/// What an engine tells as it happens.
pub struct Events {
    lines: Lines<BufReader<UnixStream>>,
    socket: PathBuf,
    driver: DriverName,
}

impl Events {
    /// The next event of those that matter here. It may be given up waiting for: nothing is
    /// lost then.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] at the end of the stream.
    pub async fn next(&mut self) -> Result<Event, EngineError> {
        loop {
            let line = match self.lines.next_line().await {
                Ok(Some(line)) => line,
                Ok(None) => return Err(gone(&self.socket)(ErrorKind::UnexpectedEof.into())),
                Err(error) => return Err(gone(&self.socket)(error)),
            };
            if let Some(event) = event::read(&line, self.driver) {
                return Ok(event);
            }
        }
    }
}

impl Talk {
    /// The engine at that socket, as the driver of that name asks it.
    pub const fn new(socket: PathBuf, driver: DriverName) -> Self {
        Self { socket, driver }
    }

    /// Where it is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Events from a moment on, in seconds and nanoseconds since 1970: those of a short time
    /// before are repeated.
    pub async fn events(&self, since: Duration) -> Result<Events, EngineError> {
        let (filters, seconds, nanos) = (encoded(EVENTS), since.as_secs(), since.subsec_nanos());
        let path = format!("/events?since={seconds}.{nanos:09}&filters={filters}");
        let question = Question::get("follow", "the events", &path);
        let begun = async {
            let stream = fairlead_ask::begin(&self.socket, &question.text()).await;
            let mut stream = BufReader::new(stream.map_err(gone(&self.socket))?);
            let mut head = Vec::new();
            let mut left = (&mut stream).take(64 << 10);
            while !head.ends_with(b"\r\n\r\n") {
                let read = left.read_until(b'\n', &mut head).await;
                if read.map_err(gone(&self.socket))? == 0 {
                    return Err(question.unread("it is not one of HTTP"));
                }
            }
            match parse(&head) {
                Some((200, _)) => Ok(Events {
                    lines: stream.lines(),
                    socket: self.socket.clone(),
                    driver: self.driver,
                }),
                Some((status, _)) => Err(question.refused(status, &[])),
                None => Err(question.unread("it is not one of HTTP")),
            }
        };
        let begun = tokio::time::timeout(question.limit, begun).await;
        begun.map_err(|_| question.late())?
    }

    /// All containers, whether they run or not.
    pub async fn containers(&self) -> Result<Vec<Listed>, EngineError> {
        let question = Question::get("list", "the containers", "/containers/json?all=1");
        let list = self.must(question).await?;
        let list = list.as_array().ok_or_else(|| question.unread("no list"))?;
        Ok(list.iter().filter_map(Listed::of).collect())
    }

    /// A container with all that is known of it. One that starts at this moment is told when
    /// it has started.
    pub async fn container(&self, id: &str) -> Result<Option<Inspected>, EngineError> {
        let path = format!("/containers/{}/json", encoded(id));
        let found = self.ask(Question::get("look at container", id, &path));
        Ok(found.await?.map(Inspected::new))
    }

    /// The networks of the driver, without who is on them.
    pub async fn networks(&self) -> Result<Vec<Network>, EngineError> {
        let question = Question::get("list", "the networks", "/networks");
        let list = self.must(question).await?;
        let list = list.as_array().ok_or_else(|| question.unread("no list"))?;
        let networks = list.iter().cloned().map(Network::new);
        Ok(networks
            .filter(|network| network.is_of(self.driver))
            .collect())
    }

    /// A network with who is on it.
    pub async fn network(&self, id: &str) -> Result<Option<Network>, EngineError> {
        let path = format!("/networks/{}", encoded(id));
        let found = self.ask(Question::get("look at network", id, &path));
        Ok(found.await?.map(Network::new))
    }

    /// Makes a network; returns its id.
    pub async fn make_network(&self, name: &str, body: &Value) -> Result<String, EngineError> {
        let question = Question {
            operation: "make network",
            object: name,
            method: "POST",
            path: "/networks/create",
            body: Some(body),
            limit: CHANGE,
        };
        let made = self.must(question).await?;
        let id = made.get("Id").and_then(Value::as_str);
        id.map(str::to_owned)
            .ok_or_else(|| question.unread("it has no id"))
    }

    /// Removes a network; one that is not there is removed.
    pub async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        let question = Question {
            method: "DELETE",
            limit: CHANGE,
            ..Question::get("remove network", id, "")
        };
        let path = format!("/networks/{}", encoded(id));
        let question = Question {
            path: &path,
            ..question
        };
        self.ask(question).await.map(drop)
    }

    /// Asks for something whose absence is an error.
    async fn must(&self, question: Question<'_>) -> Result<Value, EngineError> {
        let answer = self.answer(question).await?;
        question.read(&answer)
    }

    /// Asks; none for what is not there.
    async fn ask(&self, question: Question<'_>) -> Result<Option<Value>, EngineError> {
        let answer = self.answer(question).await?;
        match parse(&answer) {
            Some((404, _)) => Ok(None),
            _ => question.read(&answer).map(Some),
        }
    }

    async fn answer(&self, question: Question<'_>) -> Result<Vec<u8>, EngineError> {
        let text = question.text();
        let asked = fairlead_ask::ask(&self.socket, &text, LIMIT);
        let answer = tokio::time::timeout(question.limit, asked).await;
        answer
            .map_err(|_| question.late())?
            .map_err(gone(&self.socket))
    }
}

fn gone(socket: &Path) -> impl Fn(io::Error) -> EngineError {
    move |source| EngineError::Unreachable {
        socket: socket.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_what_was_asked() {
        let answer = b"HTTP/1.0 409 Conflict\r\nServer: x\r\n\r\n{\"message\":\"it is taken\\n\"}";
        let (status, body) = parse(answer).unwrap();
        let error = Question::get("make network", "web", "/").refused(status, body);
        assert!(error.is_conflict());
        assert_eq!(error.to_string(), "make network web: it is taken");
    }
}
