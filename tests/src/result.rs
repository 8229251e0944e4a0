//! The result of ADD, read by the rules of the version it claims.

use serde_json::{Map, Value};

use crate::place::text;

/// A link in a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its MAC address; empty if not given.
    pub mac: String,
    /// Its namespace; none on the host.
    pub sandbox: Option<String>,
}

/// An address in a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `ADDRESS/LENGTH`.
    pub address: String,
    /// The gateway, if given.
    pub gateway: Option<String>,
    /// The place of its link in the list of links; versions before 0.3.0 have none.
    pub interface: Option<u64>,
}

impl Address {
    /// The address without its length.
    #[must_use]
    pub fn host(&self) -> &str {
        self.address.split('/').next().unwrap_or_default()
    }

    /// Is it a version 6 address?
    #[must_use]
    pub fn is_v6(&self) -> bool {
        self.address.contains(':')
    }
}

/// A route in a result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The destination.
    pub dst: String,
    /// The next hop, if given.
    pub gw: Option<String>,
}

/// A result in the same form for every version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Links; versions before 0.3.0 have none.
    pub interfaces: Vec<Interface>,
    /// Addresses.
    pub ips: Vec<Address>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Name servers and so on, as they are.
    pub dns: Value,
}

impl View {
    /// Reads a result.
    ///
    /// # Panics
    /// If it has not exactly the form that its version's specification gives it.
    #[track_caller]
    #[must_use]
    pub fn of(result: &Value, version: &str) -> Self {
        let top = map(result);
        assert_eq!(result["cniVersion"], version, "{result}");
        if matches!(version, "0.1.0" | "0.2.0") {
            only(top, &["cniVersion", "ip4", "ip6", "dns"]);
            return Self::of_two_families(top);
        }
        only(top, &["cniVersion", "interfaces", "ips", "routes", "dns"]);
        let interface_keys: &[&str] = if version == "1.1.0" {
            &["name", "mac", "sandbox", "mtu", "socketPath", "pciID"]
        } else {
            &["name", "mac", "sandbox"]
        };
        let view = Self {
            interfaces: list(top.get("interfaces"))
                .map(|interface| {
                    only(map(interface), interface_keys);
                    Interface {
                        name: text(&interface["name"]),
                        mac: optional(interface, "mac").unwrap_or_default(),
                        sandbox: optional(interface, "sandbox"),
                    }
                })
                .collect(),
            ips: list(top.get("ips"))
                .map(|ip| address(ip, version))
                .collect(),
            routes: list(top.get("routes")).map(|r| route(r, version)).collect(),
            dns: dns(top),
        };
        for ip in &view.ips {
            let link = ip.interface.map_or(0, |at| at as usize);
            assert!(
                ip.interface.is_none() || link < view.interfaces.len(),
                "an address of link {link}, which is not there: {result}"
            );
        }
        view
    }

    fn of_two_families(top: &Map<String, Value>) -> Self {
        let mut view = Self {
            interfaces: Vec::new(),
            ips: Vec::new(),
            routes: Vec::new(),
            dns: dns(top),
        };
        for (key, v6) in [("ip4", false), ("ip6", true)] {
            let Some(ip) = top.get(key) else { continue };
            only(map(ip), &["ip", "gateway", "routes"]);
            let address = Address {
                address: text(&ip["ip"]),
                gateway: optional(ip, "gateway"),
                interface: None,
            };
            assert_eq!(address.is_v6(), v6, "{key}: {ip}");
            for entry in list(ip.get("routes")) {
                let route = route(entry, "0.2.0");
                assert_eq!(route.dst.contains(':'), v6, "a route in {key}: {ip}");
                view.routes.push(route);
            }
            view.ips.push(address);
        }
        view
    }

    /// The address of this family.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    #[must_use]
    pub fn ip(&self, v6: bool) -> &Address {
        let mut found = self.ips.iter().filter(|ip| ip.is_v6() == v6);
        let ip = found
            .next()
            .unwrap_or_else(|| panic!("no such address in {self:?}"));
        assert!(
            found.next().is_none(),
            "two addresses of a family in {self:?}"
        );
        ip
    }

    /// The addresses without lengths, in order.
    #[must_use]
    pub fn hosts(&self) -> Vec<&str> {
        self.ips.iter().map(Address::host).collect()
    }
}

#[track_caller]
fn address(ip: &Value, version: &str) -> Address {
    let tells_family = matches!(version, "0.3.0" | "0.3.1" | "0.4.0");
    let address = Address {
        address: text(&ip["address"]),
        gateway: optional(ip, "gateway"),
        interface: ip.get("interface").map(|at| {
            at.as_u64()
                .unwrap_or_else(|| panic!("interface is a number: {ip}"))
        }),
    };
    if tells_family {
        only(map(ip), &["version", "address", "gateway", "interface"]);
        assert_eq!(
            ip["version"],
            if address.is_v6() { "6" } else { "4" },
            "{ip}"
        );
    } else {
        only(map(ip), &["address", "gateway", "interface"]);
    }
    address
}

#[track_caller]
fn route(route: &Value, version: &str) -> Route {
    if version == "1.1.0" {
        only(
            map(route),
            &["dst", "gw", "mtu", "advmss", "priority", "table", "scope"],
        );
    } else {
        only(map(route), &["dst", "gw"]);
    }
    Route {
        dst: text(&route["dst"]),
        gw: optional(route, "gw"),
    }
}

#[track_caller]
fn dns(top: &Map<String, Value>) -> Value {
    let dns = top
        .get("dns")
        .cloned()
        .unwrap_or_else(|| Value::Object(Map::new()));
    only(map(&dns), &["nameservers", "domain", "search", "options"]);
    dns
}

#[track_caller]
fn only(object: &Map<String, Value>, allowed: &[&str]) {
    for key in object.keys() {
        assert!(
            allowed.contains(&key.as_str()),
            "key {key} in {object:?}; only {allowed:?}"
        );
    }
}

#[track_caller]
fn map(value: &Value) -> &Map<String, Value> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("an object is expected, not {value}"))
}

/// The members of a list; a missing one has none.
#[track_caller]
fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value
        .map(|list| {
            list.as_array()
                .unwrap_or_else(|| panic!("a list is expected, not {list}"))
        })
        .into_iter()
        .flatten()
}

#[track_caller]
fn optional(object: &Value, key: &str) -> Option<String> {
    object.get(key).map(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn old_and_new_forms_read_the_same_addresses() {
        let old = json!({"cniVersion": "0.2.0", "dns": {},
            "ip4": {"ip": "10.0.0.2/24", "gateway": "10.0.0.1", "routes": [{"dst": "0.0.0.0/0"}]}});
        let new = json!({"cniVersion": "1.0.0", "dns": {}, "routes": [{"dst": "0.0.0.0/0"}],
            "ips": [{"address": "10.0.0.2/24", "gateway": "10.0.0.1"}]});
        assert_eq!(View::of(&old, "0.2.0"), View::of(&new, "1.0.0"));
    }

    #[test]
    #[should_panic(expected = "key version")]
    fn a_family_in_a_new_result_is_refused() {
        let result =
            json!({"cniVersion": "1.0.0", "ips": [{"version": "4", "address": "10.0.0.2/24"}]});
        let _ = View::of(&result, "1.0.0");
    }

    #[test]
    #[should_panic(expected = "which is not there")]
    fn an_address_of_no_link_is_refused() {
        let result =
            json!({"cniVersion": "1.0.0", "ips": [{"interface": 0, "address": "10.0.0.2/24"}]});
        let _ = View::of(&result, "1.0.0");
    }
}
