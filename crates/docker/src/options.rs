//! What `-o` and `--ipam-opt` say.

use crate::DoorError;
use fairlead_libnetwork::protocol::{GENERIC, INTERNAL};
use fairlead_types::NetworkName;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What the driver of networks knows.
const KNOWN: &str = "network, com.docker.network.driver.mtu, mtu and com.docker.network.bridge.enable_ip_masquerade";

/// What is asked of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NetworkOptions {
    /// The declared network to be on.
    pub(crate) network: Option<NetworkName>,
    /// The network of another node that this is a copy of.
    pub(crate) origin: Option<String>,
    /// The largest packet, in bytes.
    pub(crate) mtu: Option<u16>,
    /// Whether what leaves the network keeps its address.
    pub(crate) unmasked: bool,
    /// Whether the network leads nowhere else.
    pub(crate) internal: bool,
}

impl NetworkOptions {
    /// From the options of `CreateNetwork`.
    pub(crate) fn of(options: &Map<String, Value>) -> Result<Self, DoorError> {
        let mut found = Self {
            internal: options.get(INTERNAL).and_then(Value::as_bool) == Some(true),
            ..Self::default()
        };
        let generic = options.get(GENERIC).and_then(Value::as_object);
        for (option, value) in generic.into_iter().flatten() {
            found.take(option, &text(value))?;
        }
        Ok(found)
    }

    fn take(&mut self, option: &str, value: &str) -> Result<(), DoorError> {
        match option {
            "network" => self.network = Some(NetworkName::new(value)?),
            "origin" => self.origin = Some(value.to_owned()),
            "mtu" | "com.docker.network.driver.mtu" => self.mtu = Some(mtu(value)?),
            "com.docker.network.bridge.enable_ip_masquerade" => match value {
                "true" | "1" => self.unmasked = false,
                "false" | "0" => self.unmasked = true,
                _ => {
                    return Err(DoorError::Value {
                        option: "com.docker.network.bridge.enable_ip_masquerade",
                        value: value.to_owned(),
                        reason: "true or false is wanted".to_owned(),
                    });
                }
            },
            _ => {
                return Err(DoorError::Option {
                    option: option.to_owned(),
                    known: KNOWN,
                });
            }
        }
        Ok(())
    }
}

fn mtu(value: &str) -> Result<u16, DoorError> {
    let number = value.parse().ok().filter(|mtu| *mtu >= 1280);
    number.ok_or_else(|| DoorError::Value {
        option: "mtu",
        value: value.to_owned(),
        reason: "a number from 1280 to 65535 is wanted".to_owned(),
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The declared network that `--ipam-opt` names.
pub(crate) fn ipam_network(
    options: &BTreeMap<String, String>,
) -> Result<Option<NetworkName>, DoorError> {
    let mut network = None;
    for (option, value) in options {
        match option.as_str() {
            "network" => network = Some(NetworkName::new(value)?),
            // Docker's own, as `com.docker.network.ipam.serial`.
            docker if docker.starts_with("com.docker.") => {}
            _ => {
                return Err(DoorError::Option {
                    option: option.clone(),
                    known: "network",
                });
            }
        }
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(generic: Value) -> Result<NetworkOptions, DoorError> {
        let options = json!({GENERIC: generic, INTERNAL: true});
        NetworkOptions::of(options.as_object().unwrap())
    }

    #[test]
    fn options_are_read_or_refused_by_name() {
        let found = read(json!({"network": "web", "mtu": "1400"})).unwrap();
        assert_eq!(found.network, NetworkName::new("web").ok());
        assert_eq!((found.mtu, found.internal), (Some(1400), true));
        assert!(read(json!(null)).unwrap().network.is_none());
        let bad = [
            (json!({"netwrok": "web"}), "option \"netwrok\" is not known"),
            (json!({"mtu": "12"}), "option mtu=12"),
            (json!({"network": "a b"}), "a b"),
            (
                json!({"com.docker.network.bridge.enable_ip_masquerade": "x"}),
                "true or false",
            ),
        ];
        for (generic, wanted) in bad {
            let error = read(generic.clone()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{generic}: {error}");
        }
    }

    #[test]
    fn the_driver_of_addresses_knows_one_option() {
        let options = |key: &str| BTreeMap::from([(key.to_owned(), "web".to_owned())]);
        assert!(ipam_network(&options("network")).unwrap().is_some());
        assert!(
            ipam_network(&options("com.docker.network.ipam.serial"))
                .unwrap()
                .is_none()
        );
        assert!(ipam_network(&options("subnet")).is_err());
    }
}
