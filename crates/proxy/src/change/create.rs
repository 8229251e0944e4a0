//! `POST /containers/create` for a container that is to be on CNI networks.

use crate::json::Object;
use crate::keys;
use crate::route::ApiVersion;
use fairlead_types::Mac;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Since then containers have annotations.
const ANNOTATIONS: ApiVersion = (1, 43);
/// The label by which a container keeps its address while it is stopped.
const FIXED: &str = "fixed-ip";

/// Why a container cannot be had as it was asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Something that no CNI network has.
    #[error("network {network} is one of CNI, which cannot have {what}")]
    CannotHave {
        /// Which network.
        network: String,
        /// What was asked for.
        what: String,
    },
    /// A runtime that would not put it there.
    #[error(
        "network {network} is one of CNI, which needs the runtime {needed}: {given} cannot be had"
    )]
    Runtime {
        /// Which network.
        network: String,
        /// The runtime that it takes.
        needed: String,
        /// The one that was asked for.
        given: String,
    },
    /// Some of its networks are CNI's and some are not.
    #[error(
        "network {network} is one of CNI, but {other} is not: a container is on networks of one kind"
    )]
    Mixed {
        /// One that is.
        network: String,
        /// One that is not.
        other: String,
    },
    /// A value that is none.
    #[error("{key}={value:?} is no {what}")]
    Value {
        /// Where.
        key: &'static str,
        /// What is there.
        value: String,
        /// What should be.
        what: &'static str,
    },
    /// A port that the host would have to choose.
    #[error("container port {port}: say which port of the host leads to it, as -p 8080:{port}")]
    AnyPort {
        /// The port in the container.
        port: String,
    },
}

/// Whether a request could be one for a container on one of these networks.
pub(crate) fn concerns(body: &[u8], networks: &BTreeSet<String>) -> bool {
    Object::read(body).is_some_and(|request| !Wish::names(&request, networks).is_empty())
}

/// The request that makes Docker create the container for our runtime; none where it is not
/// on a CNI network, or is nothing that Docker would take.
///
/// # Errors
/// [`Refusal`] for what a CNI network cannot do.
pub(crate) fn rewrite(
    body: &[u8],
    version: ApiVersion,
    networks: &BTreeSet<String>,
    runtime: &str,
) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(mut request) = Object::read(body) else {
        return Ok(None);
    };
    let names = Wish::names(&request, networks);
    if names.is_empty() {
        return Ok(None);
    }
    let wish = Wish::of(&request, names, networks)?;
    let keys = wish.keys(&request)?;
    let mut host = request.object("HostConfig").unwrap_or_default();
    if let Some(given) = host.text("Runtime").filter(|given| given != runtime) {
        return Err(Refusal::Runtime {
            network: wish.first().to_owned(),
            needed: runtime.to_owned(),
            given,
        });
    }
    host.set("Runtime", &json!(runtime));
    host.set("NetworkMode", &json!("none"));
    match version >= ANNOTATIONS {
        true => host.set("Annotations", &with(&host.value("Annotations"), keys)),
        false => request.set("Labels", &with(&request.value("Labels"), keys)),
    }
    request.set_object("HostConfig", &host);
    let mut networking = request.object("NetworkingConfig").unwrap_or_default();
    networking.set("EndpointsConfig", &json!({}));
    request.set_object("NetworkingConfig", &networking);
    if request.has("MacAddress") {
        // Docker refuses one without a network; the runtime gives it.
        request.set("MacAddress", &json!(""));
    }
    Ok(Some(request.to_string().into_bytes()))
}

/// A map with more in it.
fn with(map: &Value, more: Map<String, Value>) -> Value {
    let mut map = map.as_object().cloned().unwrap_or_default();
    map.extend(more);
    Value::Object(map)
}

/// Where a container is to be.
struct Wish {
    /// As it was asked for.
    mode: String,
    /// The CNI networks, the first one first.
    names: Vec<String>,
    /// What is said of each.
    endpoints: Object,
}

impl Wish {
    /// The CNI networks that a request names, the first one first; nothing where Docker has to
    /// do with all of them.
    fn names(request: &Object, networks: &BTreeSet<String>) -> Vec<String> {
        let mode = mode(request);
        let endpoints = endpoints(request);
        let keys = endpoints.entries().map(|(name, _)| name.to_owned());
        let mut names: Vec<String> = keys.filter(|name| networks.contains(name)).collect();
        match networks.contains(&mode) {
            true => {
                names.retain(|name| *name != mode);
                names.insert(0, mode);
            }
            // 'default' is what it is if nobody said otherwise, and the endpoints do.
            false if mode.is_empty() || mode == "default" => {}
            false => names.clear(),
        }
        names
    }

    fn of(
        request: &Object,
        names: Vec<String>,
        networks: &BTreeSet<String>,
    ) -> Result<Self, Refusal> {
        let wish = Self {
            mode: mode(request),
            names,
            endpoints: endpoints(request),
        };
        for (name, _) in wish.endpoints.entries() {
            if !networks.contains(name) {
                return Err(Refusal::Mixed {
                    network: wish.first().to_owned(),
                    other: name.to_owned(),
                });
            }
        }
        let host = request.object("HostConfig").unwrap_or_default();
        if is_said(&host.value("Links")) {
            return Err(wish.cannot("links to containers (--link)"));
        }
        if host.value("PublishAllPorts") == json!(true) {
            return Err(wish.cannot("ports that the host chooses (-P)"));
        }
        for (number, name) in wish.names.iter().enumerate() {
            wish.can_have(number, &wish.endpoint(name))?;
        }
        Ok(wish)
    }

    fn first(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    fn cannot(&self, what: impl Into<String>) -> Refusal {
        Refusal::CannotHave {
            network: self.first().to_owned(),
            what: what.into(),
        }
    }

    fn endpoint(&self, name: &str) -> Object {
        // Names of networks are what they are: no case is as good as another.
        let mut entries = self.endpoints.entries();
        let found = entries.find(|(key, _)| *key == name);
        let read = found.and_then(|(_, value)| Object::read(value.as_bytes()));
        read.unwrap_or_default()
    }

    /// Refuses what an endpoint cannot have.
    fn can_have(&self, number: usize, endpoint: &Object) -> Result<(), Refusal> {
        let ipam = endpoint.object("IPAMConfig").unwrap_or_default();
        let refused = [
            (is_said(&endpoint.value("Links")), "links to containers"),
            (
                is_said(&endpoint.value("DriverOpts")),
                "options of a driver",
            ),
            (is_said(&ipam.value("LinkLocalIPs")), "link-local addresses"),
        ];
        if let Some((_, what)) = refused.iter().find(|(said, _)| *said) {
            return Err(self.cannot(*what));
        }
        let mut addresses = ["IPv4Address", "IPv6Address"].iter();
        let has = addresses.any(|key| ipam.text(key).is_some());
        if number > 0 && (has || endpoint.text("MacAddress").is_some()) {
            return Err(self.cannot("addresses of a container's second network"));
        }
        Ok(())
    }

    /// What the runtime is told.
    fn keys(&self, request: &Object) -> Result<Map<String, Value>, Refusal> {
        let mut keys = Map::new();
        let mut tell = |key: &str, value: String| {
            keys.insert(key.to_owned(), Value::String(value));
        };
        tell(keys::NETWORK, self.names.join(","));
        tell(keys::MODE, self.mode.clone());
        let endpoint = self.endpoint(self.first());
        let ipam = endpoint.object("IPAMConfig").unwrap_or_default();
        if let Some(text) = ipam.text("IPv4Address") {
            let address = checked::<Ipv4Addr>("IPv4Address", &text, "IPv4 address")?;
            tell(keys::IPV4, address.to_string());
        }
        if let Some(text) = ipam.text("IPv6Address") {
            let address = checked::<Ipv6Addr>("IPv6Address", &text, "IPv6 address")?;
            tell(keys::IPV6, address.to_string());
        }
        let mac = endpoint.text("MacAddress");
        if let Some(text) = mac.or_else(|| request.text("MacAddress")) {
            let mac = checked::<Mac>("MacAddress", &text, "MAC address")?;
            tell(keys::MAC, mac.to_string());
        }
        let host = request.object("HostConfig").unwrap_or_default();
        let ports = ports(&host.value("PortBindings"))?;
        if !ports.is_empty() {
            tell(keys::PORTS, Value::Array(ports).to_string());
        }
        if keys::is_fixed(request.value("Labels").get(FIXED)) {
            tell(keys::FIXED, "1".to_owned());
        }
        Ok(keys)
    }
}

fn mode(request: &Object) -> String {
    let host = request.object("HostConfig").unwrap_or_default();
    host.text("NetworkMode").unwrap_or_default()
}

fn endpoints(request: &Object) -> Object {
    let networking = request.object("NetworkingConfig").unwrap_or_default();
    networking.object("EndpointsConfig").unwrap_or_default()
}

/// Whether a value says anything.
fn is_said(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

fn checked<T: std::str::FromStr>(
    key: &'static str,
    value: &str,
    what: &'static str,
) -> Result<T, Refusal> {
    value.parse().map_err(|_| Refusal::Value {
        key,
        value: value.to_owned(),
        what,
    })
}

/// `{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}` as CNI's capability `portMappings`.
fn ports(bindings: &Value) -> Result<Vec<Value>, Refusal> {
    let mut ports = Vec::new();
    for (container, hosts) in bindings.as_object().into_iter().flatten() {
        let (port, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
        let number: u16 = checked("PortBindings", port, "port")?;
        for host in hosts.as_array().into_iter().flatten() {
            let text = |key: &str| {
                let text = host.get(key).and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            let on_host = text("HostPort");
            if on_host.is_empty() || on_host == "0" || on_host.contains('-') {
                return Err(Refusal::AnyPort {
                    port: port.to_owned(),
                });
            }
            let on_host: u16 = checked("HostPort", &on_host, "port")?;
            let mut mapping = json!({
                "hostPort": on_host, "containerPort": number, "protocol": protocol.to_ascii_lowercase(),
            });
            let ip = text("HostIp");
            if !ip.is_empty() {
                let ip: IpAddr = checked("HostIp", &ip, "address")?;
                mapping["hostIP"] = json!(ip.to_string());
            }
            ports.push(mapping);
        }
    }
    Ok(ports)
}

#[cfg(test)]
mod tests;
