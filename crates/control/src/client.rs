//! The client: one connection a question.

use crate::{ControlError, answer, socket};
use fairlead_types::Root;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a question may take unless it is said otherwise.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks the agent of a node.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    limit: Duration,
}

impl Client {
    /// A client for the agent of the node whose files are below `root`. Whether there is
    /// one is seen when it is asked.
    #[must_use]
    pub fn new(root: &Root) -> Self {
        Self {
            socket: socket(root),
            limit: LIMIT,
        }
    }

    /// The same with another time limit for a whole question, 10 s by default.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Asks; `None` when no agent runs.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn get<T: DeserializeOwned>(&self, path: &'static str) -> Result<Option<T>, ControlError> {
        let Some(bytes) = self.exchange("GET", path, b"")? else {
            return Ok(None);
        };
        self.decode(path, &bytes).map(Some)
    }

    /// Asks for a text that is not JSON; `None` when no agent runs.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn get_text(&self, path: &'static str) -> Result<Option<String>, ControlError> {
        let bytes = self.exchange("GET", path, b"")?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Asks for something to be done; `None` when no agent runs.
    ///
    /// # Errors
    /// [`ControlError`]; after one that [is unknown](ControlError::is_unknown) it may have
    /// been done.
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &'static str,
        question: &impl Serialize,
    ) -> Result<Option<T>, ControlError> {
        let body = serde_json::to_vec(question)
            .map_err(|error| self.unreadable(path, format!("the question: {error}")))?;
        let Some(bytes) = self.exchange("POST", path, &body)? else {
            return Ok(None);
        };
        self.decode(path, &bytes).map(Some)
    }

    fn decode<T: DeserializeOwned>(
        &self,
        path: &'static str,
        bytes: &[u8],
    ) -> Result<T, ControlError> {
        serde_json::from_slice(bytes).map_err(|error| self.unreadable(path, error.to_string()))
    }

    fn exchange(
        &self,
        method: &str,
        path: &'static str,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, ControlError> {
        let deadline = Instant::now() + self.limit;
        let Some(mut stream) = self.connect(path)? else {
            return Ok(None);
        };
        let length = body.len();
        let mut question = format!(
            "{method} {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        question.extend_from_slice(body);
        // An agent that refuses may answer before it has read all.
        let sent = stream.write_all(&question);
        let answered = self.receive(&mut stream, path, deadline);
        match (answered, sent) {
            (Ok(answer), _) => Ok(Some(answer)),
            (Err(error @ ControlError::Refused { .. }), _) => Err(error),
            (Err(_), Err(source)) => Err(self.io("send to", path, source)),
            (Err(error), Ok(())) => Err(error),
        }
    }

    /// No file, or nobody behind it, is no agent. The time limit holds for waiting to be
    /// let in too: a stopped agent lets nobody in.
    fn connect(&self, path: &'static str) -> Result<Option<UnixStream>, ControlError> {
        let failed = |errno: Errno| match errno {
            Errno::AGAIN => self.late(path),
            errno => self.io("connect to", path, errno.into()),
        };
        let address = match SocketAddrUnix::new(&self.socket) {
            Ok(address) => address,
            // Too long for an address: no agent can have bound it either.
            Err(Errno::NAMETOOLONG) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        let fd = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(failed)?;
        set_socket_timeout(&fd, Timeout::Send, Some(self.limit)).map_err(failed)?;
        match rustix::net::connect(&fd, &address) {
            Ok(()) => Ok(Some(UnixStream::from(fd))),
            Err(Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn receive(
        &self,
        stream: &mut UnixStream,
        path: &'static str,
        deadline: Instant,
    ) -> Result<Vec<u8>, ControlError> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 * 1024];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.late(path));
            }
            let read = stream
                .set_read_timeout(Some(left))
                .and_then(|()| stream.read(&mut chunk));
            let count = match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other.map_err(|source| self.io("read from", path, source))?,
            };
            if count == 0 {
                let source = ErrorKind::UnexpectedEof.into();
                return Err(self.io("read from", path, source));
            }
            bytes.extend_from_slice(&chunk[..count]);
            if bytes.len() > answer::LIMIT {
                return Err(self.unreadable(path, "it does not end".into()));
            }
            let answer = answer::read(&bytes).map_err(|reason| self.unreadable(path, reason))?;
            match answer {
                None => {}
                Some(answer) if answer.status < 400 => return Ok(answer.body.to_vec()),
                Some(answer) => return Err(refused(path, answer.status, answer.body)),
            }
        }
    }

    fn late(&self, path: &'static str) -> ControlError {
        ControlError::Late {
            socket: self.socket.clone(),
            path,
            limit: self.limit,
        }
    }

    fn io(
        &self,
        operation: &'static str,
        path: &'static str,
        source: std::io::Error,
    ) -> ControlError {
        // What a time limit of the socket yields.
        if matches!(source.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            return self.late(path);
        }
        ControlError::Io {
            operation,
            socket: self.socket.clone(),
            source,
        }
    }

    fn unreadable(&self, path: &'static str, reason: String) -> ControlError {
        ControlError::Answer {
            socket: self.socket.clone(),
            path,
            reason,
        }
    }
}

/// The agent's errors are `{"error": "..."}`; anything else is shown as it is.
fn refused(path: &'static str, status: u16, body: &[u8]) -> ControlError {
    let told = serde_json::from_slice::<serde_json::Value>(body).ok();
    let told = told.and_then(|value| Some(value.get("error")?.as_str()?.to_owned()));
    ControlError::Refused {
        path,
        status,
        reason: told.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
    }
}
