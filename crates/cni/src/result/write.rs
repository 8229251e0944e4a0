//! Results as text: key order and omissions are those of the reference plugins.

use super::{CniResult, Dns, Interface, IpConfig, Route};
use crate::SpecVersion;
use ipnet::IpNet;
use serde_json::{Map, Value, json};

pub(super) fn result(result: &CniResult, version: SpecVersion) -> Value {
    let mut object = Map::new();
    object.insert("cniVersion".into(), json!(version.as_str()));
    if version.has_single_addresses() {
        for (key, v4) in [("ip4", true), ("ip6", false)] {
            if let Some(ip) = result.ips.iter().find(|ip| is_v4(&ip.address) == v4) {
                object.insert(key.into(), single_address(ip, &result.routes));
            }
        }
        object.insert("dns".into(), dns(&result.dns));
        return Value::Object(object);
    }
    list(&mut object, "interfaces", &result.interfaces, |i| {
        interface(i, version)
    });
    list(&mut object, "ips", &result.ips, |ip| address(ip, version));
    list(&mut object, "routes", &result.routes, route);
    object.insert("dns".into(), dns(&result.dns));
    object.extend(result.extra.clone());
    Value::Object(object)
}

fn is_v4(net: &IpNet) -> bool {
    matches!(net, IpNet::V4(_))
}

fn list<T>(object: &mut Map<String, Value>, key: &str, items: &[T], one: impl Fn(&T) -> Value) {
    if !items.is_empty() {
        object.insert(key.into(), items.iter().map(one).collect());
    }
}

fn text(object: &mut Map<String, Value>, key: &str, value: &str) {
    if !value.is_empty() {
        object.insert(key.into(), json!(value));
    }
}

fn value<T: serde::Serialize>(object: &mut Map<String, Value>, key: &str, value: Option<T>) {
    if let Some(value) = value {
        object.insert(key.into(), json!(value));
    }
}

fn single_address(ip: &IpConfig, routes: &[Route]) -> Value {
    let mut object = Map::new();
    object.insert("ip".into(), json!(ip.address));
    value(&mut object, "gateway", ip.gateway);
    let family = is_v4(&ip.address);
    let mine: Vec<_> = routes.iter().filter(|r| is_v4(&r.dst) == family).collect();
    list(&mut object, "routes", &mine, |r| {
        let mut object = Map::new();
        object.insert("dst".into(), json!(r.dst));
        value(&mut object, "gw", r.gw);
        Value::Object(object)
    });
    Value::Object(object)
}

fn interface(interface: &Interface, version: SpecVersion) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), json!(interface.name));
    text(&mut object, "mac", &interface.mac);
    let rich = version >= SpecVersion::V1_0_0;
    if rich {
        value(&mut object, "mtu", interface.mtu);
    }
    text(&mut object, "sandbox", &interface.sandbox);
    if rich {
        text(&mut object, "socketPath", &interface.socket_path);
        text(&mut object, "pciID", &interface.pci_id);
    }
    object.extend(interface.extra.clone());
    Value::Object(object)
}

fn address(ip: &IpConfig, version: SpecVersion) -> Value {
    let mut object = Map::new();
    if version < SpecVersion::V1_0_0 {
        let family = if is_v4(&ip.address) { "4" } else { "6" };
        object.insert("version".into(), json!(family));
    }
    value(&mut object, "interface", ip.interface);
    object.insert("address".into(), json!(ip.address));
    value(&mut object, "gateway", ip.gateway);
    object.extend(ip.extra.clone());
    Value::Object(object)
}

fn route(route: &Route) -> Value {
    let mut object = Map::new();
    object.insert("dst".into(), json!(route.dst));
    value(&mut object, "gw", route.gw);
    value(&mut object, "mtu", route.mtu);
    value(&mut object, "advmss", route.advmss);
    value(&mut object, "priority", route.priority);
    value(&mut object, "table", route.table);
    value(&mut object, "scope", route.scope);
    object.extend(route.extra.clone());
    Value::Object(object)
}

pub(super) fn dns(dns: &Dns) -> Value {
    let mut object = Map::new();
    list(&mut object, "nameservers", &dns.nameservers, |s| json!(s));
    text(&mut object, "domain", &dns.domain);
    list(&mut object, "search", &dns.search, |s| json!(s));
    list(&mut object, "options", &dns.options, |s| json!(s));
    Value::Object(object)
}
