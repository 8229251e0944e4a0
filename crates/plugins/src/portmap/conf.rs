//! The configuration of `portmap`, and the port mappings of a call.

use super::conditions;
use fairlead_cni::{Call, CniError, CniResult, Code};
use fairlead_types::Protocol;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;

/// A published port, as the capability `portMappings` has it (CNI conventions).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// The first port on the host, 1 to 65535.
    pub host_port: u16,
    /// The first port in the container, 1 to 65535.
    pub container_port: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// The host's address it is published on; every address where this is `None`.
    #[serde(rename = "hostIP", skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<IpAddr>,
    /// How many ports in a row, from 1; both sides count up together.
    pub range: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    host_port: Option<i64>,
    container_port: Option<i64>,
    protocol: Option<String>,
    #[serde(rename = "hostIP")]
    host_ip: Option<String>,
    range: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Keys {
    backend: Option<String>,
    snat: Option<bool>,
    #[serde(rename = "conditionsV4")]
    conditions_v4: Option<Vec<String>>,
    #[serde(rename = "conditionsV6")]
    conditions_v6: Option<Vec<String>>,
    masq_all: Option<bool>,
    mark_masq_bit: Option<i64>,
    external_set_mark_chain: Option<String>,
}

/// Whose connections to the published ports are masqueraded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Masquerade {
    /// Nobody's.
    #[default]
    Nobody,
    /// Those of the host itself and of the container's own network, which could not
    /// work without.
    Own,
    /// Everyone's.
    Everyone,
}

/// What a call asks of `portmap`.
#[derive(Debug, Default)]
pub(super) struct PortmapConf {
    pub(super) masquerade: Masquerade,
    pub(super) mappings: Vec<PortMapping>,
    /// In the words of `nft`; none without conditions. As are those of version 6.
    pub(super) conditions_v4: Option<String>,
    pub(super) conditions_v6: Option<String>,
}

impl PortmapConf {
    pub(super) fn of(call: &Call) -> Result<Self, CniError> {
        let keys: Keys = call.config.decode().map_err(parse_context)?;
        let mappings = call.config.runtime_config("portMappings");
        Self::from_keys(&keys, mappings).map_err(parse_context)
    }

    fn from_keys(keys: &Keys, mappings: Option<&Value>) -> Result<Self, CniError> {
        refuse_unsupported(keys)?;
        let words = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        Ok(Self {
            masquerade: match (keys.snat.unwrap_or(true), keys.masq_all.unwrap_or(false)) {
                (false, _) => Masquerade::Nobody,
                (true, false) => Masquerade::Own,
                (true, true) => Masquerade::Everyone,
            },
            conditions_v4: conditions::of_config(
                "conditionsV4",
                &words(&keys.conditions_v4),
                true,
            )?,
            conditions_v6: conditions::of_config(
                "conditionsV6",
                &words(&keys.conditions_v6),
                false,
            )?,
            mappings: self::mappings(mappings)?,
        })
    }

    /// The conditions for the ports of one family.
    pub(super) fn conditions(&self, v4: bool) -> Option<&String> {
        let conditions = if v4 {
            &self.conditions_v4
        } else {
            &self.conditions_v6
        };
        conditions.as_ref()
    }

    /// The prefix whose connections to a container in `net` are masqueraded.
    pub(super) fn masqueraded(&self, net: IpNet) -> Option<IpNet> {
        match self.masquerade {
            Masquerade::Nobody => None,
            Masquerade::Own => Some(net.trunc()),
            Masquerade::Everyone => Some(match net {
                IpNet::V4(_) => IpNet::V4(Ipv4Net::default()),
                IpNet::V6(_) => IpNet::V6(Ipv6Net::default()),
            }),
        }
    }
}

fn parse_context(error: CniError) -> CniError {
    error.context("failed to parse config")
}

/// What only the iptables backend of the reference can do is refused by name.
fn refuse_unsupported(keys: &Keys) -> Result<(), CniError> {
    if keys.mark_masq_bit.is_some() && keys.external_set_mark_chain.is_some() {
        return Err(CniError::internal(
            "Cannot specify externalSetMarkChain and markMasqBit",
        ));
    }
    if keys
        .mark_masq_bit
        .is_some_and(|bit| !(0..=31).contains(&bit))
    {
        return Err(CniError::internal("MasqMarkBit must be between 0 and 31"));
    }
    let unsupported = |key: &str, value: &str, why: &str| {
        let text = format!("{key} {value:?} is not supported: {why}");
        Err(CniError::new(Code::UNSUPPORTED_FIELD, text))
    };
    match keys.backend.as_deref() {
        None | Some("" | "nftables") => {}
        Some(other) => {
            let why = "ports are published by nftables only; leave it out or set \"nftables\"";
            return unsupported("backend", other, why);
        }
    }
    if let Some(chain) = &keys.external_set_mark_chain {
        let why = "it is a chain of iptables, and masquerading needs no mark here; \
                   leave it out, and set masqAll to masquerade every client";
        return unsupported("externalSetMarkChain", chain, why);
    }
    Ok(())
}

fn mappings(value: Option<&Value>) -> Result<Vec<PortMapping>, CniError> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let entries: Vec<Entry> = Deserialize::deserialize(value).map_err(|e| {
        CniError::internal(format!(
            "failed to parse network configuration: portMappings: {e}"
        ))
    })?;
    entries.iter().map(mapping).collect()
}

fn mapping(entry: &Entry) -> Result<PortMapping, CniError> {
    let port = |side: &str, port: Option<i64>| {
        let port = port.unwrap_or(0);
        u16::try_from(port)
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| CniError::internal(format!("Invalid {side} port number: {port}")))
    };
    let container_port = port("container", entry.container_port)?;
    let host_port = port("host", entry.host_port)?;
    let protocol = entry.protocol.as_deref().unwrap_or_default();
    let protocol = protocol
        .parse()
        .map_err(|error| CniError::internal(format!("portMappings protocol: {error}")))?;
    let host_ip = match entry.host_ip.as_deref().filter(|ip| !ip.is_empty()) {
        None => None,
        Some(ip) => Some(ip.parse::<IpAddr>().map_err(|_| {
            CniError::internal(format!("portMappings hostIP {ip:?} is no address"))
        })?),
    };
    let range = port("range of", entry.range.or(Some(1)))?;
    let fits = |first: u16| u32::from(first) + u32::from(range) <= 65536;
    if !fits(host_port) || !fits(container_port) {
        return Err(CniError::internal(format!(
            "portMappings range {range} from host port {host_port} to container port \
             {container_port} goes beyond 65535"
        )));
    }
    Ok(PortMapping {
        host_port,
        container_port,
        protocol,
        host_ip,
        range,
    })
}

/// The container's addresses in the result of the plugins before: the first of each
/// family that is on the container's interface.
pub(super) fn container_addresses(call: &Call, result: &CniResult) -> Vec<IpNet> {
    let name = call.ifname.as_ref().map_or("", |name| name.as_str());
    let on_container = |index: Option<usize>| {
        let interface = index.and_then(|index| result.interfaces.get(index));
        interface.is_none_or(|i| i.name == name && !i.sandbox.is_empty())
    };
    let first = |v4: bool| {
        let mut found = result
            .ips
            .iter()
            .filter(|ip| on_container(ip.interface))
            .map(|ip| ip.address)
            .filter(move |net| net.addr().is_ipv4() == v4);
        found.next()
    };
    [first(true), first(false)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: Value) -> Result<Vec<PortMapping>, CniError> {
        mappings(Some(&json!([value])))
    }

    fn from_keys(keys: Value) -> Result<PortmapConf, CniError> {
        PortmapConf::from_keys(&serde_json::from_value(keys).unwrap(), None)
    }

    #[test]
    fn keys_of_the_reference_are_taken() {
        for (keys, masquerade) in [
            (json!({}), Masquerade::Own),
            (json!({"snat": false}), Masquerade::Nobody),
            (json!({"masqAll": true}), Masquerade::Everyone),
            (json!({"masqAll": true, "snat": false}), Masquerade::Nobody),
            (
                json!({"masqAll": false, "markMasqBit": 31}),
                Masquerade::Own,
            ),
            (
                json!({"markMasqBit": 0, "backend": "nftables"}),
                Masquerade::Own,
            ),
        ] {
            assert_eq!(from_keys(keys).unwrap().masquerade, masquerade);
        }
        let conf = from_keys(json!({
            "conditionsV4": ["!", "-d", "192.0.2.0/24"],
            "conditionsV6": ["ip6 saddr fd00::/8"],
        }));
        let conf = conf.unwrap();
        assert_eq!(conf.conditions(true).unwrap(), "ip daddr != 192.0.2.0/24");
        assert_eq!(conf.conditions(false).unwrap(), "ip6 saddr fd00::/8");
        let conf = from_keys(json!({"conditionsV4": [], "conditionsV6": null})).unwrap();
        assert_eq!((conf.conditions_v4, conf.conditions_v6), (None, None));
    }

    #[test]
    fn keys_of_iptables_are_refused_with_the_cure() {
        for (keys, words) in [
            (
                json!({"backend": "iptables"}),
                ["backend \"iptables\"", "set \"nftables\""],
            ),
            (
                json!({"externalSetMarkChain": "KUBE-MARK"}),
                ["externalSetMarkChain \"KUBE-MARK\"", "leave it out"],
            ),
            (
                json!({"conditionsV6": ["-m", "mac"]}),
                ["conditionsV6", "\"-m\""],
            ),
        ] {
            let error = from_keys(keys).unwrap_err();
            assert_eq!(error.code, Code::UNSUPPORTED_FIELD);
            assert!(words.iter().all(|word| error.msg.contains(word)), "{error}");
        }
        for keys in [
            json!({"markMasqBit": 32}),
            json!({"markMasqBit": -1}),
            json!({"markMasqBit": 3, "externalSetMarkChain": "X"}),
        ] {
            assert_eq!(from_keys(keys).unwrap_err().code, Code::INTERNAL);
        }
    }

    #[test]
    fn a_mapping_is_read_with_its_defaults() {
        let read = parse(json!({"hostPort": 8080, "containerPort": 80, "protocol": "TCP"}));
        let expected = PortMapping {
            host_port: 8080,
            container_port: 80,
            protocol: Protocol::Tcp,
            host_ip: None,
            range: 1,
        };
        assert_eq!(read.unwrap(), [expected]);
    }

    #[test]
    fn a_bad_mapping_is_refused_with_its_value() {
        let cases = [
            (
                json!({"hostPort": 0, "containerPort": 80, "protocol": "tcp"}),
                "host port number: 0",
            ),
            (
                json!({"hostPort": 1, "containerPort": 0, "protocol": "tcp"}),
                "container port number: 0",
            ),
            (
                json!({"hostPort": 70000, "containerPort": 1, "protocol": "tcp"}),
                "70000",
            ),
            (
                json!({"hostPort": 1, "containerPort": 1, "protocol": "xyz"}),
                "\"xyz\"",
            ),
            (json!({"hostPort": 1, "containerPort": 1}), "protocol"),
            (
                json!({"hostPort": 1, "containerPort": 1, "protocol": "tcp", "hostIP": "zz"}),
                "\"zz\"",
            ),
            (
                json!({"hostPort": 65535, "containerPort": 1, "protocol": "tcp", "range": 2}),
                "beyond 65535",
            ),
            (json!({"hostPort": "x"}), "portMappings"),
        ];
        for (value, text) in cases {
            let error = parse(value.clone()).unwrap_err();
            assert!(error.msg.contains(text), "{value}: {error}");
        }
    }

    #[test]
    fn the_containers_addresses_are_those_on_its_own_interface() {
        let result = json!({"cniVersion": "1.0.0",
            "interfaces": [{"name": "br0"}, {"name": "eth0", "sandbox": "/run/netns/x"}],
            "ips": [{"address": "10.0.0.1/24", "interface": 0},
                    {"address": "10.0.0.5/24", "interface": 1},
                    {"address": "fd00::5/64", "interface": 1}]});
        let result = CniResult::from_json(&result).unwrap();
        let raw = json!({"cniVersion": "1.0.0", "name": "n", "type": "portmap"});
        let config = fairlead_cni::NetConf::from_object(raw.as_object().unwrap().clone()).unwrap();
        let mut call = Call::new(fairlead_cni::Command::Add, config);
        call.ifname = fairlead_types::IfName::new("eth0").ok();
        let found: Vec<_> = container_addresses(&call, &result)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["10.0.0.5/24", "fd00::5/64"]);
    }
}
