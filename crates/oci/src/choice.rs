//! What a container wants: by annotations of its bundle first, then by labels of Docker's,
//! then by variables of its environment.

use crate::OciError;
use crate::bundle::Bundle;
use crate::keys;
use crate::settings::Settings;
use fairlead_types::{Mac, NetworkName};
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::path::Path;

/// What a container wants. What it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// The networks, in order; the default one where it is empty.
    pub networks: Vec<NetworkName>,
    /// The pool of addresses.
    pub pool: Option<Pool>,
    /// The addresses, at most one of a family, on the first network.
    pub addresses: Vec<IpAddr>,
    /// The hardware address of the first interface.
    pub mac: Option<Mac>,
    /// Whether the addresses are kept while the container is stopped.
    pub fixed: bool,
    /// The ports to publish, on the first network.
    pub ports: Option<Value>,
    /// More of `CNI_ARGS`.
    pub args: Vec<(String, String)>,
}

/// A pool of addresses that a container names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// The annotation, label or variable that says so.
    pub key: String,
}

impl Choice {
    /// What the container of a bundle wants.
    ///
    /// # Errors
    /// [`OciError::Choice`] with the key and its value.
    pub fn of(bundle: &Bundle, settings: &Settings) -> Result<Self, OciError> {
        let home = bundle.docker_home().filter(|_| settings.label_keys);
        let said = Said {
            bundle,
            labels: home.map_or_else(|| Ok(Map::new()), |home| labels(&home))?,
            env_keys: settings.env_keys,
        };
        Self::read(&said)
    }

    fn read(said: &Said<'_>) -> Result<Self, OciError> {
        let mut choice = Self::default();
        if let Some((key, value)) = said.value(keys::NETWORK, None) {
            let text = word(&key, value)?;
            for name in text
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
            {
                let name = NetworkName::new(name).map_err(|e| wrong(&key, &text, e))?;
                if choice.networks.contains(&name) {
                    return Err(wrong(&key, &text, format!("{name} stands there twice")));
                }
                choice.networks.push(name);
            }
        }
        if let Some((key, value)) = said.value(keys::IPPOOL, Some("IPPOOL")) {
            let name = word(&key, value)?;
            choice.pool = (!name.is_empty()).then_some(Pool { name, key });
        }
        for (key, variable, v4) in [(keys::IPV4, Some("IPV4"), true), (keys::IPV6, None, false)] {
            if let Some((key, value)) = said.value(key, variable) {
                let text = word(&key, value)?;
                if !text.is_empty() {
                    choice.addresses.push(address(&key, &text, v4)?);
                }
            }
        }
        if let Some((key, value)) = said.value(keys::MAC, None) {
            let text = word(&key, value)?;
            let mac: Mac = text.parse().map_err(|e| wrong(&key, &text, e))?;
            if !mac.is_unicast() {
                return Err(wrong(&key, &text, "it is no address of one station"));
            }
            choice.mac = Some(mac);
        }
        choice.fixed = match said.value(keys::FIXED, Some("fixed-ip")) {
            Some((_, value)) => keys::is_fixed(Some(&value)),
            None => false,
        };
        if let Some((key, value)) = said.value(keys::PORTS, None) {
            let text = word(&key, value)?;
            let ports: Value = serde_json::from_str(&text).map_err(|e| wrong(&key, &text, e))?;
            if !ports.is_array() {
                return Err(wrong(&key, &text, "it is no JSON array of port mappings"));
            }
            choice.ports = Some(ports);
        }
        if let Some((key, value)) = said.value(keys::ARGS, None) {
            choice.args = args(&key, &word(&key, value)?)?;
        }
        Ok(choice)
    }
}

/// What a container says, in three places.
struct Said<'a> {
    bundle: &'a Bundle,
    labels: Map<String, Value>,
    env_keys: bool,
}

impl Said<'_> {
    /// The value of a key, with the name of what said it.
    fn value(&self, key: &str, variable: Option<&str>) -> Option<(String, Value)> {
        let annotations = self.bundle.annotations();
        if let Some(value) = annotations.and_then(|all| all.get(key)) {
            return Some((key.to_owned(), value.clone()));
        }
        if let Some(value) = self.labels.get(key) {
            return Some((format!("label {key}"), value.clone()));
        }
        let variable = variable.filter(|_| self.env_keys)?;
        let value = self.bundle.variable(variable)?;
        Some((variable.to_owned(), Value::String(value.to_owned())))
    }
}

/// The labels that Docker has for a container, which it puts into no bundle.
///
/// Where they cannot be read, nothing is guessed: the container would be on another network.
fn labels(home: &Path) -> Result<Map<String, Value>, OciError> {
    let path = home.join("config.v2.json");
    let text = std::fs::read(&path).map_err(|source| OciError::Bundle {
        operation: "read labels from",
        path: path.clone(),
        source,
    })?;
    let config: Value = serde_json::from_slice(&text).map_err(|error| OciError::Form {
        path,
        reason: error.to_string(),
    })?;
    let mut labels = config["Config"]["Labels"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    labels.retain(|key, _| key.starts_with(keys::PREFIX));
    Ok(labels)
}

fn wrong(key: &str, value: &str, reason: impl ToString) -> OciError {
    // Arguments are the plugins' own, and may be secrets.
    let value = if key.ends_with(keys::ARGS) {
        "***"
    } else {
        value
    };
    OciError::Choice {
        key: key.to_owned(),
        value: value.to_owned(),
        reason: reason.to_string(),
    }
}

fn word(key: &str, value: Value) -> Result<String, OciError> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong(key, &other.to_string(), "it is no text")),
    }
}

fn address(key: &str, text: &str, v4: bool) -> Result<IpAddr, OciError> {
    let parsed: Option<IpAddr> = text.parse().ok();
    let usable = |ip: &IpAddr| ip.is_ipv4() == v4 && !ip.is_unspecified() && !ip.is_multicast();
    let family = if v4 { "IPv4" } else { "IPv6" };
    let reason = || format!("it is no {family} address that a container can have");
    parsed
        .filter(usable)
        .ok_or_else(|| wrong(key, text, reason()))
}

fn args(key: &str, text: &str) -> Result<Vec<(String, String)>, OciError> {
    let pairs = text.split(';').filter(|pair| !pair.trim().is_empty());
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.contains('=') => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(wrong(
            key,
            text,
            "it is not of the form K=V;K=V, without = in a value",
        )),
    };
    pairs.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn choose(annotations: Value, labels: Value, env: &[&str]) -> Result<Choice, String> {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let docker = json!({"Config": {"Labels": labels}});
        std::fs::write(home.join("config.v2.json"), docker.to_string()).unwrap();
        let config = json!({
            "annotations": annotations,
            "process": {"env": env},
            "mounts": [{"destination": "/etc/hosts", "source": home.join("hosts")}],
        });
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let bundle = Bundle::read(dir.path()).unwrap();
        let settings = Settings::parse(Path::new("/x"), "").unwrap();
        Choice::of(&bundle, &settings).map_err(|e| e.to_string())
    }

    #[test]
    fn annotations_come_before_labels_and_those_before_variables() {
        let env = ["IPV4=10.1.0.3", "IPPOOL=c", "fixed-ip=0"];
        let all = choose(
            json!({"eru.cni/ipv4": "10.1.0.1"}),
            json!({"eru.cni/ipv4": "10.1.0.2", "eru.cni/network": "a, b", "other": "x"}),
            &env,
        );
        let all = all.unwrap();
        assert_eq!(all.addresses, ["10.1.0.1".parse::<IpAddr>().unwrap()]);
        let names: Vec<_> = all.networks.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(
            all.pool.map(|pool| (pool.name, pool.key)),
            Some(("c".to_owned(), "IPPOOL".to_owned()))
        );
        assert!(!all.fixed, "the variable says no");
        let label = choose(json!({}), json!({"eru.cni/ipv4": "10.1.0.2"}), &env).unwrap();
        assert_eq!(label.addresses, ["10.1.0.2".parse::<IpAddr>().unwrap()]);
        let off = choose(json!({"eru.cni/fixed-ip": "0"}), json!(null), &env).unwrap();
        assert!(!off.fixed);
        assert_eq!(
            choose(json!(null), json!(null), &[]).unwrap(),
            Choice::default()
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_key_in_one_line() {
        let bad = [
            (json!({"eru.cni/network": "a,a"}), "a stands there twice"),
            (json!({"eru.cni/network": "a/b"}), "eru.cni/network=\"a/b\""),
            (json!({"eru.cni/network": 7}), "it is no text"),
            (json!({"eru.cni/ipv4": "../../etc"}), "no IPv4 address"),
            (json!({"eru.cni/ipv4": "fd00::1"}), "no IPv4 address"),
            (json!({"eru.cni/ipv6": "10.1.0.1"}), "no IPv6 address"),
            (json!({"eru.cni/ipv4": "0.0.0.0"}), "no IPv4 address"),
            (json!({"eru.cni/mac": "zz"}), "eru.cni/mac"),
            (json!({"eru.cni/mac": "01:00:5e:00:00:01"}), "one station"),
            (json!({"eru.cni/ports": "80"}), "no JSON array"),
            (json!({"eru.cni/ports": "["}), "eru.cni/ports"),
            (json!({"eru.cni/args": "TOKEN"}), "=\"***\""),
            (json!({"eru.cni/args": "TOKEN=abc=="}), "=\"***\""),
        ];
        for (annotations, reason) in bad {
            let error = choose(annotations.clone(), json!(null), &[]).unwrap_err();
            assert!(
                error.contains(reason) && error.lines().count() == 1,
                "{annotations}: {error}"
            );
        }
        let env = choose(json!(null), json!(null), &["IPV4=x"]).unwrap_err();
        assert!(env.starts_with("IPV4=\"x\""), "{env}");
    }
}
