//! How what a container has on CNI networks looks in Docker's words.

use crate::json::Object;
use crate::keys;
use crate::places::Attached;
use ipnet::IpNet;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// What a container asked for, by its annotations or labels.
pub(crate) struct Asked {
    annotations: Value,
    labels: Value,
}

impl Asked {
    pub(crate) const fn new(annotations: Value, labels: Value) -> Self {
        Self {
            annotations,
            labels,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let of = |map| Value::get(map, key).and_then(Value::as_str);
        of(&self.annotations).or_else(|| of(&self.labels))
    }

    /// The networks, as they were named.
    fn networks(&self) -> impl Iterator<Item = &str> {
        let names = self.get(keys::NETWORK).unwrap_or_default().split(',');
        names.map(str::trim).filter(|name| !name.is_empty())
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.networks().next().is_some()
    }

    /// What was asked for in the first network.
    fn ipam(&self) -> Value {
        let mut ipam = Map::new();
        for (key, name) in [(keys::IPV4, "IPv4Address"), (keys::IPV6, "IPv6Address")] {
            if let Some(address) = self.get(key) {
                ipam.insert(name.to_owned(), json!(address));
            }
        }
        match ipam.is_empty() {
            true => Value::Null,
            false => Value::Object(ipam),
        }
    }

    fn is_fixed(&self) -> bool {
        let fixed = self.get(keys::FIXED).map(|text| json!(text));
        keys::is_fixed(fixed.as_ref())
    }
}

/// A container of which Docker knows no network.
pub(crate) struct Container<'c> {
    pub(crate) id: &'c str,
    pub(crate) asked: &'c Asked,
    pub(crate) attached: &'c [Attached],
    pub(crate) running: bool,
}

impl Container<'_> {
    /// `Networks`: those that Docker has, but `none`, and ours.
    pub(crate) fn networks(&self, dockers: &Object) -> Object {
        let mut networks = Object::default();
        for (name, value) in dockers.entries().filter(|(name, _)| *name != "none") {
            let value = serde_json::from_str(value).unwrap_or_default();
            networks.set(name, &value);
        }
        for attached in self.attached {
            networks.set(&attached.network, &self.endpoint(attached));
        }
        let names = self.asked.networks().enumerate();
        for (number, name) in names.filter(|(_, name)| !self.has(name)) {
            let ipam = match number {
                0 => self.asked.ipam(),
                _ => Value::Null,
            };
            networks.set(name, &empty(name, ipam));
        }
        networks
    }

    fn has(&self, network: &str) -> bool {
        let mut attached = self.attached.iter();
        attached.any(|attached| attached.network == network)
    }

    fn endpoint(&self, attached: &Attached) -> Value {
        let first = self.asked.networks().next();
        let mut ipam = match first == Some(&attached.network) {
            true => self.asked.ipam(),
            false => Value::Null,
        };
        if ipam.is_null() && self.asked.is_fixed() {
            ipam = kept(attached);
        }
        let mut shown = empty(&attached.network, ipam);
        if !self.running {
            // As Docker shows one that is stopped.
            return shown;
        }
        let key = [self.id, &attached.network, &attached.ifname].join("/");
        shown["EndpointID"] = json!(id(&key));
        shown["MacAddress"] = json!(attached.mac.map(|mac| mac.to_string()).unwrap_or_default());
        if let Some(net) = address(attached, IpAddr::is_ipv4) {
            shown["IPAddress"] = json!(net.addr().to_string());
            shown["IPPrefixLen"] = json!(net.prefix_len());
        }
        if let Some(net) = address(attached, IpAddr::is_ipv6) {
            shown["GlobalIPv6Address"] = json!(net.addr().to_string());
            shown["GlobalIPv6PrefixLen"] = json!(net.prefix_len());
        }
        for gateway in &attached.gateways {
            let key = match gateway {
                IpAddr::V4(_) => "Gateway",
                IpAddr::V6(_) => "IPv6Gateway",
            };
            shown[key] = json!(gateway.to_string());
        }
        shown
    }
}

/// The first address of one family.
fn address(attached: &Attached, is: impl Fn(&IpAddr) -> bool) -> Option<&IpNet> {
    attached.addresses.iter().find(|net| is(&net.addr()))
}

/// The addresses that a container keeps, as if it had asked for them.
fn kept(attached: &Attached) -> Value {
    let mut ipam = Map::new();
    for net in &attached.addresses {
        let key = match net {
            IpNet::V4(_) => "IPv4Address",
            IpNet::V6(_) => "IPv6Address",
        };
        ipam.insert(key.to_owned(), json!(net.addr().to_string()));
    }
    Value::Object(ipam)
}

/// A network of a container that is not there at this moment.
fn empty(network: &str, ipam: Value) -> Value {
    json!({
        "IPAMConfig": ipam,
        "Links": null,
        "Aliases": null,
        "MacAddress": "",
        "NetworkID": id(network),
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DriverOpts": null,
    })
}

/// An id like Docker's own that is the same each time.
fn id(of: &str) -> String {
    let hash = digest(&SHA256, of.as_bytes());
    let bytes = hash.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}
