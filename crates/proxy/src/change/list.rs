//! The answer to `GET /containers/json`.

use crate::change::shown::{Asked, Container};
use crate::json::Object;
use crate::keys;
use crate::places::Attached;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// The answer with what containers have on CNI networks; none where none of them has
/// anything to do with those.
pub(crate) fn fill(body: &[u8], attached: &BTreeMap<String, Vec<Attached>>) -> Option<Vec<u8>> {
    let list: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
    let filled: Vec<Option<String>> = list.iter().map(|one| one_of(one, attached)).collect();
    if filled.iter().all(Option::is_none) {
        return None;
    }
    let all = list.iter().zip(&filled);
    let all: Vec<&str> = all
        .map(|(one, filled)| filled.as_deref().unwrap_or(one.get()))
        .collect();
    Some(format!("[{}]\n", all.join(",")).into_bytes())
}

fn one_of(one: &RawValue, attached: &BTreeMap<String, Vec<Attached>>) -> Option<String> {
    let mut answer = Object::read(one.get().as_bytes())?;
    let id = answer.text("Id")?;
    let mut host = answer.object("HostConfig").unwrap_or_default();
    let asked = Asked::new(host.value("Annotations"), answer.value("Labels"));
    let attached = attached.get(&id).map(Vec::as_slice).unwrap_or_default();
    // A container of the agent's drivers has a record as well, and Docker knows its networks.
    let alone = host.text("NetworkMode").as_deref() == Some("none");
    if !asked.is_ours() && (attached.is_empty() || !alone) {
        return None;
    }
    let state = answer.text("State").unwrap_or_default();
    let container = Container {
        id: &id,
        asked: &asked,
        attached,
        running: ["running", "paused", "restarting"].contains(&state.as_str()),
    };
    let mut settings = answer.object("NetworkSettings").unwrap_or_default();
    let networks = container.networks(&settings.object("Networks").unwrap_or_default());
    settings.set_object("Networks", &networks);
    answer.set_object("NetworkSettings", &settings);
    if container.running {
        answer.set("Ports", &ports(answer.value("Ports"), attached));
    }
    // Docker lists annotations since a late version only: then the mode is the first network.
    let first = attached.first().map(|first| first.network.as_str());
    let mode = asked.get(keys::MODE).or(first);
    if let (Some(mode), Some("none")) = (mode, host.text("NetworkMode").as_deref()) {
        host.set("NetworkMode", &json!(mode));
        answer.set_object("HostConfig", &host);
    }
    Some(answer.to_string())
}

/// `[{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]`; an exposed
/// one gives way to its published form.
fn ports(dockers: Value, attached: &[Attached]) -> Value {
    let mut shown = dockers.as_array().cloned().unwrap_or_default();
    for port in attached.iter().flat_map(|attached| &attached.ports) {
        let ip = port.host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let (private, kind) = (json!(port.container_port), json!(port.protocol.to_string()));
        shown.retain(|other| {
            let same =
                other.get("PrivatePort") == Some(&private) && other.get("Type") == Some(&kind);
            !same || other.get("PublicPort").is_some()
        });
        shown.push(json!({
            "IP": ip.to_string(),
            "PrivatePort": private,
            "PublicPort": port.host_port,
            "Type": kind,
        }));
    }
    Value::Array(shown)
}

#[cfg(test)]
mod tests;
