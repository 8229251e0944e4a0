//! What an engine tells of its containers and networks.

use crate::engine::DriverName;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

/// How long a container that was made and never started may be one that starts now, in
/// seconds.
const NEW: u64 = 30;

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
}

/// A name without the slash that the API puts before it.
fn name(text: &str) -> &str {
    text.strip_prefix('/').unwrap_or(text)
}

/// One place of a container on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The network's id.
    pub network: String,
    /// The endpoint's id; none while the container does not run.
    pub endpoint: Option<String>,
    /// The address of version 4, while it runs.
    pub address: Option<IpAddr>,
    /// The hardware address, while it runs.
    pub mac: Option<String>,
}

fn places(value: &Value) -> Vec<Place> {
    let networks = value.pointer("/NetworkSettings/Networks");
    let networks = networks.and_then(Value::as_object).into_iter().flatten();
    let place = |(_, network): (&String, &Value)| {
        Some(Place {
            network: text(network, "/NetworkID")?.to_owned(),
            endpoint: text(network, "/EndpointID").map(str::to_owned),
            address: text(network, "/IPAddress").and_then(|ip| ip.parse().ok()),
            mac: text(network, "/MacAddress").map(str::to_owned),
        })
    };
    networks.filter_map(place).collect()
}

/// How far a container of a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was made so many seconds ago, and may be about to start for the first time.
    New(u64),
    /// It has a process.
    Running,
    /// It has none.
    Stopped,
}

/// A container, as `GET /containers/json` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The engine's word for how far it is.
    state: String,
    /// When it was made, in seconds since 1970.
    created: u64,
    /// Where it is, or would be if it ran.
    pub places: Vec<Place>,
}

impl Listed {
    /// One without an id is none.
    pub fn of(value: &Value) -> Option<Self> {
        Some(Self {
            id: text(value, "/Id")?.to_owned(),
            name: name(text(value, "/Names/0").unwrap_or_default()).to_owned(),
            state: text(value, "/State").unwrap_or_default().to_owned(),
            created: value.get("Created").and_then(Value::as_u64).unwrap_or(0),
            places: places(value),
        })
    }

    /// How far it is at the moment `now`, in seconds since 1970.
    pub fn state(&self, now: u64) -> State {
        let age = now.saturating_sub(self.created);
        match self.state.as_str() {
            "created" if age < NEW => State::New(age),
            "running" | "paused" => State::Running,
            _ => State::Stopped,
        }
    }
}

/// A container, as `GET /containers/ID/json` has it.
#[derive(Debug, Clone)]
pub struct Inspected(Value);

impl Inspected {
    /// What was told of it.
    pub const fn new(value: Value) -> Self {
        Self(value)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        text(&self.0, "/Id").unwrap_or_default()
    }

    /// Without the slash that the API puts before it.
    pub fn name(&self) -> &str {
        name(text(&self.0, "/Name").unwrap_or_default())
    }

    /// The value of a label, if it is not empty.
    pub fn label(&self, name: &str) -> Option<&str> {
        let labels = self.0.pointer("/Config/Labels")?;
        labels.get(name)?.as_str().filter(|value| !value.is_empty())
    }

    /// The value of a variable of its environment. The first `=` ends the name.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        let all = self.0.pointer("/Config/Env")?.as_array()?;
        let mut all = all.iter().filter_map(Value::as_str);
        all.find_map(|one| one.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether it has a process.
    pub fn is_running(&self) -> bool {
        self.0.pointer("/State/Running") == Some(&Value::Bool(true))
    }

    /// The host name that its user chose. Docker's own is the beginning of the id.
    pub fn hostname(&self) -> Option<&str> {
        let hostname = text(&self.0, "/Config/Hostname")?;
        (self.id().get(..12) != Some(hostname)).then_some(hostname)
    }

    /// Where its network namespace can be opened, the better ways first: the engine's own
    /// file outlives the first process.
    pub fn sandboxes(&self) -> Vec<PathBuf> {
        let key = text(&self.0, "/NetworkSettings/SandboxKey").map(PathBuf::from);
        let pid = self.0.pointer("/State/Pid").and_then(Value::as_u64);
        let pid = pid.filter(|pid| *pid > 0);
        let by_pid = pid.map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
        key.into_iter().chain(by_pid).collect()
    }

    /// The ports that it offers, and those that are published, in Docker's words.
    pub fn ports(&self) -> BTreeSet<&str> {
        let keys = |pointer| {
            let ports = self.0.pointer(pointer).and_then(Value::as_object);
            ports.into_iter().flatten().map(|(port, _)| port.as_str())
        };
        let exposed = keys("/Config/ExposedPorts");
        exposed.chain(keys("/HostConfig/PortBindings")).collect()
    }

    /// The networks that it is on.
    pub fn places(&self) -> Vec<Place> {
        places(&self.0)
    }
}

/// A network, as `GET /networks/ID` has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Network(Value);

impl Network {
    /// What was told of it.
    pub const fn new(value: Value) -> Self {
        Self(value)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        text(&self.0, "/Id").unwrap_or_default()
    }

    /// What its user calls it.
    pub fn name(&self) -> &str {
        text(&self.0, "/Name").unwrap_or_default()
    }

    /// Whether it is one of the driver's.
    #[must_use]
    pub fn is_of(&self, driver: DriverName) -> bool {
        driver.is(text(&self.0, "/Driver").unwrap_or_default())
    }

    /// A part of what was told.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// The ids of the endpoints that are on it. Those whose containers the engine has lost
    /// are among them.
    pub fn endpoints(&self) -> impl Iterator<Item = String> {
        let all = self.0.get("Containers").and_then(Value::as_object);
        let all = all.into_iter().flatten();
        all.filter_map(|(_, one)| text(one, "/EndpointID").map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DRIVER: DriverName = DriverName::new("fairlead");

    #[test]
    fn a_container_is_as_far_as_the_list_says() {
        let listed = |state: &str, networks: Value| {
            let all = json!({"Id": "c1", "State": state, "Created": 100, "NetworkSettings": {"Networks": networks}});
            Listed::of(&all).unwrap()
        };
        let none = || json!(null);
        assert_eq!(listed("created", none()).state(110), State::New(10));
        assert_eq!(listed("created", none()).state(90), State::New(0));
        assert_eq!(listed("created", none()).state(130), State::Stopped);
        assert_eq!(listed("paused", none()).state(110), State::Running);
        assert_eq!(listed("exited", none()).state(110), State::Stopped);
        let networks = json!({
            "a": {"NetworkID": "n1", "EndpointID": "e1"},
            "b": {"NetworkID": "n2", "EndpointID": ""},
            "c": {"NetworkID": ""},
        });
        let endpoints: Vec<_> = listed("running", networks)
            .places
            .into_iter()
            .map(|place| (place.network, place.endpoint))
            .collect();
        let wanted = [
            ("n1".to_owned(), Some("e1".to_owned())),
            ("n2".to_owned(), None),
        ];
        assert_eq!(endpoints, wanted);
        assert_eq!(Listed::of(&json!({"State": "running"})), None);
    }

    #[test]
    fn a_network_tells_its_endpoints_whoever_has_them() {
        let network = Network::new(
            json!({"Id": "n1", "Name": "My Net", "Driver": "fairlead:latest",
            "Options": null, "Containers": {"c1": {"EndpointID": "e1"}, "ep-e2": {"EndpointID": "e2"}}}),
        );
        assert!(network.is_of(DRIVER));
        assert_eq!(network.endpoints().collect::<Vec<_>>(), ["e1", "e2"]);
        assert_eq!(network.get("Options"), None);
        assert!(!Network::new(json!({"Driver": "fairleader"})).is_of(DRIVER));
        assert!(
            Network::new(json!({"Containers": null}))
                .endpoints()
                .next()
                .is_none()
        );
    }
}
