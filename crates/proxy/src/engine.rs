//! Dockerd: connections to it, and the few questions that the proxy has itself.

use crate::route::ApiVersion;
use fairlead_ask::{encoded, parse, question, reason};
use serde_json::Value;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::UnixStream;

/// How long a question may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const ANSWER: u64 = 128 << 20;
/// How long is waited for room in the queue of a daemon that has much to do.
const QUEUE: Duration = Duration::from_millis(5);
/// How often it is looked for.
const QUEUE_TRIES: u32 = 1000;
/// What is heard of containers.
const EVENTS: &str = r#"{"type":["container"],"event":["destroy"]}"#;

/// Why dockerd did not say what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// Nobody is there, or no longer.
    #[error("cannot reach dockerd at unix://{}: {source}", .socket.display())]
    Unreachable {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It took the question and did not answer in time.
    #[error("dockerd does not answer GET {path} within {} s", LIMIT.as_secs())]
    Late {
        /// What was asked for.
        path: String,
    },
    /// Its answer is not what was asked for.
    #[error("dockerd answers GET {path} with {reason}")]
    Answer {
        /// What was asked for.
        path: String,
        /// Its words.
        reason: String,
    },
}

/// Dockerd by its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Engine {
    socket: PathBuf,
}

impl Engine {
    pub(crate) const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// A new connection.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`].
    pub(crate) async fn connect(&self) -> Result<UnixStream, EngineError> {
        let mut tries = 0;
        loop {
            match UnixStream::connect(&self.socket).await {
                // A full queue makes a client that can wait wait.
                Err(error) if error.kind() == ErrorKind::WouldBlock && tries < QUEUE_TRIES => {
                    tries += 1;
                    tokio::time::sleep(QUEUE).await;
                }
                connected => return connected.map_err(|source| self.unreachable(source)),
            }
        }
    }

    /// The full id of a container by its name or a part of its id; none if there is no such.
    pub(crate) async fn container_id(&self, name: &str) -> Result<Option<String>, EngineError> {
        let path = format!("/containers/{}/json", encoded(name));
        let Some(found) = self.get(&path).await? else {
            return Ok(None);
        };
        let id = found.get("Id").and_then(Value::as_str);
        let id = id.map(|id| Some(id.to_owned()));
        id.ok_or_else(|| EngineError::Answer {
            path,
            reason: "a container without an id".to_owned(),
        })
    }

    /// The version of the API that a path without one means.
    pub(crate) async fn api_version(&self) -> Result<ApiVersion, EngineError> {
        let found = self.get("/version").await?.unwrap_or_default();
        let text = found.get("ApiVersion").and_then(Value::as_str);
        let version = text.unwrap_or_default().split_once('.');
        let version = version.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        version.ok_or_else(|| EngineError::Answer {
            path: "/version".to_owned(),
            reason: "no version of its API".to_owned(),
        })
    }

    /// What happens from now on.
    pub(crate) async fn events(&self) -> Result<Events, EngineError> {
        let path = format!("/events?filters={}", encoded(EVENTS));
        let text = question("GET", &path, None);
        let begun = async {
            let stream = fairlead_ask::begin(&self.socket, &text).await;
            let stream = stream.map_err(|source| self.unreachable(source))?;
            let mut lines = BufReader::new(stream).lines();
            let mut head = String::new();
            loop {
                let line = lines.next_line().await;
                let line = line.map_err(|source| self.unreachable(source))?;
                let line = line.ok_or_else(|| self.unreachable(ErrorKind::UnexpectedEof.into()))?;
                head = head + &line + "\r\n";
                if line.is_empty() {
                    break;
                }
            }
            match parse(head.as_bytes()) {
                Some((200, _)) => Ok(Events(lines)),
                Some((status, _)) => Err(EngineError::Answer {
                    path: "/events".to_owned(),
                    reason: format!("status {status}"),
                }),
                None => Err(EngineError::Answer {
                    path: "/events".to_owned(),
                    reason: "no HTTP".to_owned(),
                }),
            }
        };
        let begun = tokio::time::timeout(LIMIT, begun).await;
        begun.map_err(|_| EngineError::Late {
            path: "/events".to_owned(),
        })?
    }

    /// Asks for something; none where it is not there.
    async fn get(&self, path: &str) -> Result<Option<Value>, EngineError> {
        let text = question("GET", path, None);
        let asked = fairlead_ask::ask(&self.socket, &text, ANSWER);
        let answer = tokio::time::timeout(LIMIT, asked).await;
        let answer = answer.map_err(|_| EngineError::Late {
            path: path.to_owned(),
        })?;
        let answer = answer.map_err(|source| self.unreachable(source))?;
        let wrong = |reason| EngineError::Answer {
            path: path.to_owned(),
            reason,
        };
        match parse(&answer) {
            Some((404, _)) => Ok(None),
            Some((200, body)) => {
                let value = serde_json::from_slice(body);
                value.map(Some).map_err(|error| wrong(error.to_string()))
            }
            Some((status, body)) => Err(wrong(reason(status, body))),
            None => Err(wrong("no HTTP".to_owned())),
        }
    }

    fn unreachable(&self, source: io::Error) -> EngineError {
        EngineError::Unreachable {
            socket: self.socket.clone(),
            source,
        }
    }
}

/// What dockerd tells as it happens.
#[derive(Debug)]
pub(crate) struct Events(Lines<BufReader<UnixStream>>);

impl Events {
    /// The id of the next container that was removed; none when dockerd tells no more.
    pub(crate) async fn removed(&mut self) -> Option<String> {
        loop {
            let line = self.0.next_line().await.ok()??;
            if let Some(id) = destroyed(&line) {
                return Some(id);
            }
        }
    }
}

fn destroyed(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    let text = |key| event.get(key).and_then(Value::as_str);
    let is = text("Type") == Some("container") && text("Action") == Some("destroy");
    let id = event.get("Actor")?.get("ID")?.as_str()?;
    is.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_container_is_heard_and_no_other() {
        let line = r#"{"Type":"container","Action":"destroy","Actor":{"ID":"abc"}}"#;
        assert_eq!(destroyed(line).as_deref(), Some("abc"));
        for other in [
            r#"{"Type":"network","Action":"destroy","Actor":{"ID":"abc"}}"#,
            r#"{"Type":"container","Action":"die","Actor":{"ID":"abc"}}"#,
            r#"{"Type":"container","Action":"destroy"}"#,
            "4f",
            "",
        ] {
            assert_eq!(destroyed(other), None, "{other}");
        }
    }
}
