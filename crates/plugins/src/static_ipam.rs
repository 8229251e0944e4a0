//! `static`: the addresses that the configuration or the runtime names.

use crate::error::internal;
use crate::verify;
use fairlead_cni::{Call, CniError, CniResult, IpConfig, Plugin, Route};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Value;
use std::net::IpAddr;

/// The plugin `static`.
pub(crate) struct Static;

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    address: String,
    gateway: Option<String>,
}

impl Plugin for Static {
    fn add(&self, call: &Call) -> Result<CniResult, CniError> {
        plan(call)
    }

    fn del(&self, call: &Call) -> Result<(), CniError> {
        // Nothing is kept; a configuration that ADD would refuse is no reason to fail.
        let _ = call;
        Ok(())
    }

    fn check(&self, call: &Call) -> Result<(), CniError> {
        let wanted = plan(call)?;
        let result = verify::previous(call)?;
        for ip in &wanted.ips {
            if !result.ips.iter().any(|found| found.address == ip.address) {
                return Err(CniError::internal(format!(
                    "static: Failed to match addr {} on interface {}",
                    ip.address,
                    call.ifname.as_ref().map_or("", |name| name.as_str())
                )));
            }
        }
        Ok(())
    }

    fn status(&self, call: &Call) -> Result<(), CniError> {
        plan(call).map(drop)
    }
}

/// The whole result, from the configuration alone.
fn plan(call: &Call) -> Result<CniResult, CniError> {
    call.args.check(&["IP", "GATEWAY", "MAC"])?;
    let ipam = call
        .config
        .ipam()
        .ok_or_else(|| CniError::internal("IPAM config missing 'ipam' key"))?;
    let mut ips = match asked(call)? {
        Some(ips) => ips,
        None => {
            let mut ips = configured(ipam.get("addresses"))?;
            ips.extend(from_args(call)?);
            ips
        }
    };
    // The gateway of the arguments is for the addresses of its family that have none.
    for gateway in gateways(call)? {
        for ip in ips.iter_mut().filter(|ip| ip.address.contains(&gateway)) {
            ip.gateway = Some(gateway);
        }
    }
    let list = |key: &str| {
        ipam.get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let routes = list("routes");
    let routes = routes
        .iter()
        .enumerate()
        .map(|(i, value)| Route::from_json(value, &format!("ipam.routes[{i}]")).map_err(internal));
    let dns = ipam
        .get("dns")
        .map(|dns| fairlead_cni::Dns::from_json(dns, "ipam.dns"));
    Ok(CniResult {
        ips,
        routes: routes.collect::<Result<_, _>>()?,
        dns: dns.transpose().map_err(internal)?.unwrap_or_default(),
        ..CniResult::default()
    })
}

/// `ipam.addresses`.
fn configured(value: Option<&Value>) -> Result<Vec<IpConfig>, CniError> {
    let entries: Vec<Entry> = match value.filter(|v| !v.is_null()) {
        None => return Ok(Vec::new()),
        Some(value) => Deserialize::deserialize(value)
            .map_err(|e| CniError::internal(format!("ipam.addresses: {e}")))?,
    };
    entries
        .into_iter()
        .map(|entry| {
            let mut ip = address("address", &entry.address)?;
            ip.gateway = match entry
                .gateway
                .as_deref()
                .filter(|gateway| !gateway.is_empty())
            {
                None => None,
                Some(gateway) => Some(parse_ip("gateway", gateway)?),
            };
            Ok(ip)
        })
        .collect()
}

/// The addresses that the runtime asks for, in the place of the configured ones: the
/// capability `ips`, else `args.cni.ips`.
fn asked(call: &Call) -> Result<Option<Vec<IpConfig>>, CniError> {
    let Some(value) = call
        .config
        .runtime_config("ips")
        .or_else(|| call.config.cni_arg("ips"))
    else {
        return Ok(None);
    };
    let texts: Vec<String> =
        Deserialize::deserialize(value).map_err(|e| CniError::internal(format!("ips: {e}")))?;
    if texts.is_empty() {
        return Ok(None);
    }
    texts
        .iter()
        .map(|text| address("address", text))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn from_args(call: &Call) -> Result<Vec<IpConfig>, CniError> {
    let texts = call
        .args
        .get("IP")
        .into_iter()
        .flat_map(|ips| ips.split(','));
    texts
        .filter(|text| !text.is_empty())
        .map(|text| address("ip", text.trim()))
        .collect()
}

fn gateways(call: &Call) -> Result<Vec<IpAddr>, CniError> {
    let texts = call
        .args
        .get("GATEWAY")
        .into_iter()
        .flat_map(|list| list.split(','));
    texts
        .filter(|text| !text.is_empty())
        .map(|text| parse_ip("gateway", text.trim()))
        .collect()
}

fn address(field: &str, text: &str) -> Result<IpConfig, CniError> {
    text.parse::<IpNet>().map(IpConfig::new).map_err(|_| {
        CniError::internal(format!(
            "the '{field}' field is expected to be in CIDR notation, got: '{text}'"
        ))
    })
}

fn parse_ip(field: &str, text: &str) -> Result<IpAddr, CniError> {
    text.parse()
        .map_err(|_| CniError::internal(format!("invalid {field} address {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_cni::{CniArgs, Command, NetConf};
    use serde_json::json;

    fn call(ipam: Value, extra: Value, args: &str) -> Call {
        let mut raw = json!({"cniVersion": "1.0.0", "name": "net", "type": "x", "ipam": ipam});
        raw.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let config = NetConf::from_object(raw.as_object().unwrap().clone()).unwrap();
        Call {
            args: CniArgs::parse(args),
            ..Call::new(Command::Add, config)
        }
    }

    fn addresses(call: &Call) -> Vec<String> {
        let result = Static.add(call).unwrap();
        result.ips.iter().map(|ip| ip.address.to_string()).collect()
    }

    #[test]
    fn arguments_are_added_and_the_capability_replaces() {
        let ipam = json!({"type": "static", "addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}]});
        let plain = call(ipam.clone(), json!({}), "IP=10.2.0.5/24;GATEWAY=10.2.0.1");
        assert_eq!(addresses(&plain), ["10.1.0.5/24", "10.2.0.5/24"]);
        let result = Static.add(&plain).unwrap();
        assert_eq!(result.ips[1].gateway, "10.2.0.1".parse().ok());
        assert_eq!(result.ips[0].gateway, "10.1.0.1".parse().ok());
        let capability = call(ipam, json!({"runtimeConfig": {"ips": ["10.9.0.5/24"]}}), "");
        assert_eq!(addresses(&capability), ["10.9.0.5/24"]);
    }

    #[test]
    fn an_address_without_its_prefix_is_refused() {
        let bad = call(
            json!({"type": "static", "addresses": [{"address": "10.1.0.5"}]}),
            json!({}),
            "",
        );
        assert!(
            Static
                .add(&bad)
                .unwrap_err()
                .msg
                .contains("CIDR notation, got: '10.1.0.5'")
        );
        let bad = call(json!({"type": "static"}), json!({}), "IP=10.1.0.5");
        assert!(Static.add(&bad).unwrap_err().msg.contains("the 'ip' field"));
        Static.del(&bad).unwrap();
    }
}
