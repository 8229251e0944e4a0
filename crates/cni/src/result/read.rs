//! Results from text, of any version. Keys are read by name, so that one
//! reader serves every version and what it does not know stays in `extra`.

use super::{CniResult, Dns, Interface, IpConfig, ResultError, Route};
use crate::SpecVersion;
use ipnet::IpNet;
use serde_json::{Map, Value};
use std::net::IpAddr;

type Read<T> = Result<T, ResultError>;

pub(super) fn result(value: &Value) -> Read<CniResult> {
    let object = object(value, "$")?;
    let version = text(object, "cniVersion", "")?;
    let old = match version.parse::<SpecVersion>()? {
        _ if version.is_empty() => object.contains_key("ip4") || object.contains_key("ip6"),
        version => version.has_single_addresses(),
    };
    let mut result = CniResult {
        dns: match present(object, "dns") {
            Some(value) => dns(value, "dns")?,
            None => Dns::default(),
        },
        ..CniResult::default()
    };
    if old {
        single_address(object, "ip4", &mut result)?;
        single_address(object, "ip6", &mut result)?;
    }
    result.interfaces = list(object, "interfaces", "", interface)?;
    if !old {
        result.ips = list(object, "ips", "", address)?;
        result.routes = list(object, "routes", "", route)?;
        // The keys of the other form are known too: they are not passed on.
        result.extra = rest(
            object,
            &[
                "cniVersion",
                "interfaces",
                "ips",
                "routes",
                "dns",
                "ip4",
                "ip6",
            ],
        );
    }
    Ok(result)
}

fn single_address(from: &Map<String, Value>, key: &str, result: &mut CniResult) -> Read<()> {
    let Some(value) = present(from, key) else {
        return Ok(());
    };
    let ip = object(value, key)?;
    result.ips.push(IpConfig {
        gateway: address_of(ip, "gateway", key)?,
        ..IpConfig::new(network(ip, "ip", key)?)
    });
    result.routes.extend(list(ip, "routes", key, route)?);
    Ok(())
}

fn interface(value: &Value, at: &str) -> Read<Interface> {
    let from = object(value, at)?;
    Ok(Interface {
        name: text(from, "name", at)?,
        mac: text(from, "mac", at)?,
        mtu: number(from, "mtu", at)?.filter(|n| *n != 0),
        sandbox: text(from, "sandbox", at)?,
        socket_path: text(from, "socketPath", at)?,
        pci_id: text(from, "pciID", at)?,
        extra: rest(
            from,
            &["name", "mac", "mtu", "sandbox", "socketPath", "pciID"],
        ),
    })
}

fn address(value: &Value, at: &str) -> Read<IpConfig> {
    let from = object(value, at)?;
    Ok(IpConfig {
        address: network(from, "address", at)?,
        gateway: address_of(from, "gateway", at)?,
        interface: number(from, "interface", at)?,
        extra: rest(from, &["version", "interface", "address", "gateway"]),
    })
}

pub(super) fn route(value: &Value, at: &str) -> Read<Route> {
    let from = object(value, at)?;
    Ok(Route {
        dst: network(from, "dst", at)?,
        gw: address_of(from, "gw", at)?,
        mtu: number(from, "mtu", at)?.filter(|n| *n != 0),
        advmss: number(from, "advmss", at)?.filter(|n| *n != 0),
        priority: number(from, "priority", at)?.filter(|n| *n != 0),
        table: number(from, "table", at)?,
        scope: number(from, "scope", at)?,
        extra: rest(
            from,
            &["dst", "gw", "mtu", "advmss", "priority", "table", "scope"],
        ),
    })
}

pub(super) fn dns(value: &Value, at: &str) -> Read<Dns> {
    let from = object(value, at)?;
    let texts = |key| list(from, key, at, |v, at| string(v, at).map(str::to_owned));
    Ok(Dns {
        nameservers: texts("nameservers")?,
        domain: text(from, "domain", at)?,
        search: texts("search")?,
        options: texts("options")?,
    })
}

fn wrong(at: &str, value: &Value, wanted: &'static str) -> ResultError {
    let mut value = value.to_string();
    if value.len() > 100 {
        value = value.chars().take(100).collect::<String>() + "...";
    }
    ResultError::Value {
        at: at.to_owned(),
        value,
        wanted,
    }
}

fn below(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.to_owned()
    } else {
        format!("{at}.{key}")
    }
}

/// The value of a key; null stands for none, as the reference reads it.
fn present<'a>(from: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    from.get(key).filter(|v| !v.is_null())
}

fn object<'a>(value: &'a Value, at: &str) -> Read<&'a Map<String, Value>> {
    value
        .as_object()
        .ok_or_else(|| wrong(at, value, "an object"))
}

fn string<'a>(value: &'a Value, at: &str) -> Read<&'a str> {
    value.as_str().ok_or_else(|| wrong(at, value, "a text"))
}

fn text(from: &Map<String, Value>, key: &str, at: &str) -> Read<String> {
    match present(from, key) {
        None => Ok(String::new()),
        Some(value) => string(value, &below(at, key)).map(str::to_owned),
    }
}

fn number<T: TryFrom<u64>>(from: &Map<String, Value>, key: &str, at: &str) -> Read<Option<T>> {
    let Some(value) = present(from, key) else {
        return Ok(None);
    };
    let number = value.as_u64().and_then(|n| T::try_from(n).ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(wrong(
            &below(at, key),
            value,
            "a whole number that its field can hold",
        )),
    }
}

fn network(from: &Map<String, Value>, key: &str, at: &str) -> Read<IpNet> {
    let value = from.get(key).unwrap_or(&Value::Null);
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| wrong(&below(at, key), value, "an address with a prefix length"))
}

fn address_of(from: &Map<String, Value>, key: &str, at: &str) -> Read<Option<IpAddr>> {
    let Some(value) = present(from, key) else {
        return Ok(None);
    };
    match value.as_str() {
        Some("") => Ok(None),
        Some(text) if text.parse::<IpAddr>().is_ok() => {
            Ok(text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical()))
        }
        _ => Err(wrong(&below(at, key), value, "an address")),
    }
}

fn list<T>(
    from: &Map<String, Value>,
    key: &str,
    at: &str,
    one: impl Fn(&Value, &str) -> Read<T>,
) -> Read<Vec<T>> {
    let Some(value) = present(from, key) else {
        return Ok(Vec::new());
    };
    let at = below(at, key);
    let items = value
        .as_array()
        .ok_or_else(|| wrong(&at, value, "a list"))?;
    items
        .iter()
        .enumerate()
        .map(|(i, item)| one(item, &format!("{at}[{i}]")))
        .collect()
}

fn rest(from: &Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    from.iter()
        .filter(|(key, _)| !known.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
