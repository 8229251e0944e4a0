//! Events of an engine, as far as they matter here.

use crate::engine::DriverName;
use serde_json::Value;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// To a container.
    Container {
        /// Its id.
        id: String,
        /// What.
        step: Step,
    },
    /// To a network of the driver.
    Network {
        /// Its id.
        id: String,
        /// What.
        step: NetworkStep,
    },
}

/// What happens to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It was made.
    Created,
    /// It runs.
    Started,
    /// It runs no more.
    Died,
    /// It is gone.
    Destroyed,
    /// It has another name.
    Renamed,
}

/// What happens to a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkStep {
    /// It was made.
    Created,
    /// A container came on it.
    Connected {
        /// The container's id.
        container: String,
    },
    /// A container left it.
    Disconnected,
    /// It is gone.
    Destroyed,
}

/// An event from a line of the stream; none if it does not matter here.
pub(super) fn read(line: &str, driver: DriverName) -> Option<Event> {
    let all: Value = serde_json::from_str(line).ok()?;
    let text = |pointer: &str| all.pointer(pointer).and_then(Value::as_str);
    let id = text("/Actor/ID").filter(|id| !id.is_empty())?.to_owned();
    let action = text("/Action")?;
    match text("/Type")? {
        "container" => {
            let step = match action {
                "create" => Step::Created,
                "start" => Step::Started,
                "die" => Step::Died,
                "destroy" => Step::Destroyed,
                "rename" => Step::Renamed,
                _ => return None,
            };
            Some(Event::Container { id, step })
        }
        "network" if driver.is(text("/Actor/Attributes/type")?) => {
            let step = match action {
                "create" => NetworkStep::Created,
                "connect" => NetworkStep::Connected {
                    container: text("/Actor/Attributes/container")?.to_owned(),
                },
                "disconnect" => NetworkStep::Disconnected,
                "destroy" => NetworkStep::Destroyed,
                _ => return None,
            };
            Some(Event::Network { id, step })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRIVER: DriverName = DriverName::new("fairlead");

    /// As Docker 20.10 tells it.
    #[test]
    fn an_event_is_read_if_it_is_of_a_container_or_a_network_of_ours() {
        let connect = r#"{"Type":"network","Action":"connect","Actor":{"ID":"8f81","Attributes":{"container":"c1","name":"My Net","type":"DRIVER"}},"scope":"local","time":1,"timeNano":1}"#;
        let connected = Event::Network {
            id: "8f81".into(),
            step: NetworkStep::Connected {
                container: "c1".into(),
            },
        };
        for driver in ["fairlead", "fairlead:latest"] {
            let line = connect.replace("DRIVER", driver);
            assert_eq!(read(&line, DRIVER), Some(connected.clone()), "{driver}");
        }
        assert_eq!(read(&connect.replace("DRIVER", "bridge"), DRIVER), None);
        let die = r#"{"status":"die","id":"c1","from":"busybox","Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":{"exitCode":"0"}}}"#;
        let died = Event::Container {
            id: "c1".into(),
            step: Step::Died,
        };
        assert_eq!(read(die, DRIVER), Some(died));
        for line in ["", "{}", "null", &die.replace("\"die\"", "\"top\"")] {
            assert_eq!(read(line, DRIVER), None, "{line}");
        }
    }
}
