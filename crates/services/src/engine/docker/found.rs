//! What the API tells of a container. It is read here and not by the API's library: that
//! knows each word that a state may be told with, and Podman has some more.

use serde_json::Value;
use std::io::{self, Error, ErrorKind};
use std::path::Path;

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
    let filter = fairlead_ask::encoded(&format!("{{\"label\":[\"{name}={value}\"]}}"));
    let path = format!("/containers/json?all=true&filters={filter}");
    let found = get(socket, &path).await?;
    let list = found.as_ref().and_then(Value::as_array);
    let ids = list.into_iter().flatten();
    let ids = ids.filter_map(|one| one.get("Id")?.as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// Asks; `None` for 'not found'.
async fn get(socket: &Path, path: &str) -> io::Result<Option<Value>> {
    let question = fairlead_ask::question("GET", path, None);
    let answer = fairlead_ask::ask(socket, &question, LIMIT).await?;
    let (status, body) = fairlead_ask::parse(&answer)
        .ok_or_else(|| Error::new(ErrorKind::InvalidData, "the answer is not one of HTTP"))?;
    match status {
        200 => Ok(Some(serde_json::from_slice(body)?)),
        404 => Ok(None),
        _ => Err(Error::other(fairlead_ask::reason(status, body))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
