//! What the API tells of a container. It is read here and not by the API's library: that
//! knows each word that a state may be told with, and Podman has some more.

use serde_json::Value;
use std::io::{self, Error, ErrorKind};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The longest answer, in bytes.
const LIMIT: u64 = 16 * 1024 * 1024;

/// A container, as `GET /containers/NAME/json` has it.
#[derive(Debug, Clone)]
pub(super) struct Found(Value);

impl Found {
    fn text(&self, pointer: &str) -> Option<&str> {
        let text = self.0.pointer(pointer).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    }

    fn is(&self, pointer: &str) -> bool {
        self.0.pointer(pointer) == Some(&Value::Bool(true))
    }

    pub(super) fn id(&self) -> &str {
        self.text("/Id").unwrap_or_default()
    }

    /// The identifier of the image that it was made of.
    pub(super) fn image(&self) -> Option<&str> {
        self.text("/Image")
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        let labels = self.0.pointer("/Config/Labels")?;
        labels.get(name)?.as_str()
    }

    pub(super) fn hostname(&self) -> Option<&str> {
        self.text("/Config/Hostname")
    }

    /// The engine's file of its network namespace, if it has one.
    pub(super) fn sandbox(&self) -> Option<&str> {
        self.text("/NetworkSettings/SandboxKey")
    }

    pub(super) fn network_mode(&self) -> Option<&str> {
        self.text("/HostConfig/NetworkMode")
    }

    /// Whether it runs, or is between two runs.
    pub(super) fn is_up(&self) -> bool {
        self.is("/State/Running") || self.is("/State/Restarting")
    }

    /// Its first process, if it has one at this moment.
    pub(super) fn pid(&self) -> Option<u32> {
        let pid = self.0.pointer("/State/Pid")?.as_u64()?;
        let pid = u32::try_from(pid).ok().filter(|pid| *pid > 0);
        pid.filter(|_| self.is("/State/Running"))
    }

    /// With which status its last run ended.
    pub(super) fn exit_code(&self) -> i64 {
        let code = self.0.pointer("/State/ExitCode");
        code.and_then(Value::as_i64).unwrap_or_default()
    }
}

/// Looks for a container by its name or identifier.
pub(super) async fn one(socket: &Path, name: &str) -> io::Result<Option<Found>> {
    let found = get(socket, &format!("/containers/{name}/json")).await?;
    Ok(found.map(Found))
}

/// The identifiers of all containers that have this label.
pub(super) async fn labelled(socket: &Path, name: &str, value: &str) -> io::Result<Vec<String>> {
    // {"label":["NAME=VALUE"]}, as an address has it.
    let filter = format!("%7B%22label%22%3A%5B%22{name}%3D{value}%22%5D%7D");
    let found = get(
        socket,
        &format!("/containers/json?all=true&filters={filter}"),
    )
    .await?;
    let list = found.as_ref().and_then(Value::as_array);
    let ids = list.into_iter().flatten();
    let ids = ids.filter_map(|one| one.get("Id")?.as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// Asks; `None` for 'not found'. By the oldest version of the protocol, in which the
/// answer is what comes until the end.
async fn get(socket: &Path, path: &str) -> io::Result<Option<Value>> {
    let mut stream = UnixStream::connect(socket).await?;
    let question = format!("GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LIMIT).read_to_end(&mut answer).await?;
    let (status, body) = parse(&answer)
        .ok_or_else(|| Error::new(ErrorKind::InvalidData, "the answer is not one of HTTP"))?;
    match status {
        200 => Ok(Some(serde_json::from_slice(body)?)),
        404 => Ok(None),
        _ => {
            let told = serde_json::from_slice::<Value>(body).unwrap_or_default();
            let told = told.get("message").and_then(Value::as_str);
            let told = told.map_or_else(|| format!("status {status}"), str::to_owned);
            Err(Error::other(told))
        }
    }
}

/// Status and body.
fn parse(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some((status.parse().ok()?, &answer[end + 4..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let answer = b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n{}";
        assert_eq!(parse(answer), Some((200, b"{}".as_slice())));
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n"), None);
        assert_eq!(parse(b"nonsense\r\n\r\n"), None);
    }

    #[test]
    fn a_container_between_two_runs_is_up_without_a_process() {
        let state = json!({"Status": "stopped", "Running": false, "Restarting": true, "Pid": 7});
        let found = Found(json!({"Id": "ab", "State": state, "Config": {"Labels": null}}));
        assert!(found.is_up());
        assert_eq!(
            (found.pid(), found.label("x"), found.id()),
            (None, None, "ab")
        );
    }
}
