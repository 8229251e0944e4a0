//! What is asked of an engine. Each question has a connection of its own and the oldest form
//! of HTTP, in which the answer is what comes until the end; the stream of events is an
//! answer that does not end. Answers are read as plain JSON: engines of other years have
//! other words in places that do not matter here.

use crate::engine::event::{self, Event};
use crate::engine::found::{Inspected, Listed, Network};
use serde_json::Value;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
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
pub(crate) enum EngineError {
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
    pub(super) const fn is_conflict(&self) -> bool {
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
pub(super) struct Talk {
    socket: PathBuf,
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
        let Self { method, path, .. } = self;
        let head = format!("{method} {path} HTTP/1.0\r\nHost: engine\r\n");
        match self.body.map(Value::to_string) {
            None => format!("{head}\r\n"),
            Some(body) => format!(
                "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        }
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
        let told: Value = serde_json::from_slice(body).unwrap_or_default();
        let told = told.get("message").and_then(Value::as_str);
        EngineError::Refused {
            operation: self.operation,
            object: self.object.to_owned(),
            status,
            reason: told.map_or_else(|| format!("status {status}"), |text| text.trim().to_owned()),
        }
    }
}

/// What an engine tells as it happens.
pub(super) struct Events {
    lines: Lines<BufReader<UnixStream>>,
    socket: PathBuf,
}

impl Events {
    /// The next event of those that matter here. It may be given up waiting for: nothing is
    /// lost then.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Event, EngineError> {
        loop {
            let line = match self.lines.next_line().await {
                Ok(Some(line)) => line,
                Ok(None) => return Err(gone(&self.socket)(ErrorKind::UnexpectedEof.into())),
                Err(error) => return Err(gone(&self.socket)(error)),
            };
            if let Some(event) = event::read(&line) {
                return Ok(event);
            }
        }
    }
}

impl Talk {
    pub(super) const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Events from a moment on, in seconds and nanoseconds since 1970: those of a short time
    /// before are repeated.
    pub(super) async fn events(&self, since: Duration) -> Result<Events, EngineError> {
        let (filters, seconds, nanos) = (encoded(EVENTS), since.as_secs(), since.subsec_nanos());
        let path = format!("/events?since={seconds}.{nanos:09}&filters={filters}");
        let question = Question::get("follow", "the events", &path);
        let begun = async {
            let mut stream = BufReader::new(self.begin(question).await?);
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
                }),
                Some((status, _)) => Err(question.refused(status, &[])),
                None => Err(question.unread("it is not one of HTTP")),
            }
        };
        let begun = tokio::time::timeout(question.limit, begun).await;
        begun.map_err(|_| question.late())?
    }

    /// All containers, whether they run or not.
    pub(super) async fn containers(&self) -> Result<Vec<Listed>, EngineError> {
        let question = Question::get("list", "the containers", "/containers/json?all=1");
        let list = self.must(question).await?;
        let list = list.as_array().ok_or_else(|| question.unread("no list"))?;
        Ok(list.iter().filter_map(Listed::of).collect())
    }

    /// A container with all that is known of it. One that starts at this moment is told when
    /// it has started.
    pub(super) async fn container(&self, id: &str) -> Result<Option<Inspected>, EngineError> {
        let path = format!("/containers/{}/json", encoded(id));
        let found = self.ask(Question::get("look at container", id, &path));
        Ok(found.await?.map(Inspected::new))
    }

    /// The networks of our driver, without who is on them.
    pub(super) async fn networks(&self) -> Result<Vec<Network>, EngineError> {
        let question = Question::get("list", "the networks", "/networks");
        let list = self.must(question).await?;
        let list = list.as_array().ok_or_else(|| question.unread("no list"))?;
        let networks = list.iter().cloned().map(Network::new);
        Ok(networks.filter(Network::is_ours).collect())
    }

    /// A network with who is on it.
    pub(super) async fn network(&self, id: &str) -> Result<Option<Network>, EngineError> {
        let path = format!("/networks/{}", encoded(id));
        let found = self.ask(Question::get("look at network", id, &path));
        Ok(found.await?.map(Network::new))
    }

    /// Makes a network; returns its id.
    pub(super) async fn make_network(
        &self,
        name: &str,
        body: &Value,
    ) -> Result<String, EngineError> {
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
    pub(super) async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
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
        let asked = async {
            let stream = self.begin(question).await?;
            let mut answer = Vec::new();
            let read = stream.take(LIMIT).read_to_end(&mut answer).await;
            read.map_err(gone(&self.socket))?;
            Ok(answer)
        };
        let answer = tokio::time::timeout(question.limit, asked).await;
        answer.map_err(|_| question.late())?
    }

    async fn begin(&self, question: Question<'_>) -> Result<UnixStream, EngineError> {
        let mut stream = UnixStream::connect(&self.socket)
            .await
            .map_err(gone(&self.socket))?;
        let sent = stream.write_all(question.text().as_bytes()).await;
        sent.map_err(gone(&self.socket))?;
        Ok(stream)
    }
}

fn gone(socket: &Path) -> impl Fn(io::Error) -> EngineError {
    move |source| EngineError::Unreachable {
        socket: socket.to_owned(),
        source,
    }
}

/// Status and body.
fn parse(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some((status.get(..3)?.parse().ok()?, &answer[end + 4..]))
}

/// A text as a part of an address.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_question_has_its_body_and_its_length() {
        let body = json!({"Name": "é"});
        let question = Question {
            method: "POST",
            body: Some(&body),
            ..Question::get("make network", "é", "/networks/create")
        };
        let text = question.text();
        assert!(text.starts_with("POST /networks/create HTTP/1.0\r\n"));
        assert!(
            text.ends_with("Content-Length: 13\r\n\r\n{\"Name\":\"é\"}"),
            "{text}"
        );
        assert_eq!(encoded("a/b?c d"), "a%2Fb%3Fc%20d");
    }

    #[test]
    fn an_answer_has_a_status_and_a_body_or_is_told_as_none() {
        let answer = b"HTTP/1.0 409 Conflict\r\nServer: x\r\n\r\n{\"message\":\"it is taken\\n\"}";
        let (status, body) = parse(answer).unwrap();
        let error = Question::get("make network", "web", "/").refused(status, body);
        assert!(error.is_conflict());
        assert_eq!(error.to_string(), "make network web: it is taken");
        assert_eq!(parse(b"HTTP/1.1 204\r\n\r\n"), Some((204, b"".as_slice())));
        assert_eq!(parse(b"nonsense\r\n\r\n"), None);
    }
}
