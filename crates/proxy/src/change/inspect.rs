//! The answer to `GET /containers/NAME/json`.

use crate::change::shown::{Asked, Container};
use crate::json::Object;
use crate::keys;
use crate::places::Attached;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// The members that show the network of Docker's own bridge; engines of today have none.
const OLD: [&str; 7] = [
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "MacAddress",
];

/// The answer with what the container has on CNI networks; none where it has nothing to do
/// with them, or is not as expected.
pub(crate) fn fill(body: &[u8], attached: &BTreeMap<String, Vec<Attached>>) -> Option<Vec<u8>> {
    let mut answer = Object::read(body)?;
    let id = answer.text("Id")?;
    let mut host = answer.object("HostConfig")?;
    let config = answer.object("Config")?;
    let asked = Asked::new(host.value("Annotations"), config.value("Labels"));
    let attached = attached.get(&id).map(Vec::as_slice).unwrap_or_default();
    // A container of the agent's drivers has a record as well, and Docker knows its networks.
    let alone = host.text("NetworkMode").as_deref() == Some("none");
    if !asked.is_ours() && (attached.is_empty() || !alone) {
        return None;
    }
    let state = answer.object("State")?;
    let container = Container {
        id: &id,
        asked: &asked,
        attached,
        running: state.value("Running") == json!(true),
    };
    let mut settings = answer.object("NetworkSettings")?;
    let networks = container.networks(&settings.object("Networks").unwrap_or_default());
    settings.set_object("Networks", &networks);
    if container.running
        && let Some(first) = attached.first()
    {
        let first = networks.object(&first.network).unwrap_or_default();
        for key in OLD
            .iter()
            .filter(|key| settings.has(key))
            .collect::<Vec<_>>()
        {
            settings.set(key, &first.value(key));
        }
        settings.set("Ports", &ports(settings.value("Ports"), attached));
    }
    answer.set_object("NetworkSettings", &settings);
    if let Some(mode) = asked.get(keys::MODE) {
        host.set("NetworkMode", &json!(mode));
        answer.set_object("HostConfig", &host);
    }
    let mut text = answer.to_string();
    text.push('\n');
    Some(text.into_bytes())
}

/// `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}`, with the exposed ones that are
/// there already.
fn ports(dockers: Value, attached: &[Attached]) -> Value {
    let mut shown: Map<String, Value> = dockers.as_object().cloned().unwrap_or_default();
    for port in attached.iter().flat_map(|attached| &attached.ports) {
        let ip = port.host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let key = format!("{}/{}", port.container_port, port.protocol);
        let binding = json!({"HostIp": ip.to_string(), "HostPort": port.host_port.to_string()});
        match shown.get_mut(&key).and_then(Value::as_array_mut) {
            Some(bindings) => bindings.push(binding),
            None => drop(shown.insert(key, json!([binding]))),
        }
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests;
