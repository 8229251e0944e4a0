//! What Docker asks its drivers of networks and addresses, and what they answer
//! (libnetwork, remote drivers). Docker leaves keys out, or says `null`, as it likes.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The option that says what an address is for.
pub const ADDRESS_TYPE: &str = "RequestAddressType";
/// What asks for a gateway's address.
pub const GATEWAY_TYPE: &str = "com.docker.network.gateway";

/// The options that Docker's user gave (`-o`).
pub const GENERIC: &str = "com.docker.network.generic";
/// Whether nothing leads out.
pub const INTERNAL: &str = "com.docker.network.internal";
/// The ports that are published.
pub const PORT_MAP: &str = "com.docker.network.portmap";
/// The ports that are offered.
pub const EXPOSED_PORTS: &str = "com.docker.network.endpoint.exposedports";
/// The hardware address that Docker's user gave.
pub const MAC_ADDRESS: &str = "com.docker.network.endpoint.macaddress";

/// `NetworkDriver.CreateNetwork`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateNetwork {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// What else was said.
    #[serde(default, deserialize_with = "or_default")]
    pub options: Map<String, Value>,
    /// What its addresses of version 4 come from.
    #[serde(default, rename = "IPv4Data", deserialize_with = "or_default")]
    pub ipv4_data: Vec<IpamData>,
    /// The same of version 6.
    #[serde(default, rename = "IPv6Data", deserialize_with = "or_default")]
    pub ipv6_data: Vec<IpamData>,
}

/// What a network gives addresses from, as Docker was told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IpamData {
    /// The space of the driver of addresses.
    #[serde(default)]
    pub address_space: String,
    /// The subnet; empty is none.
    pub pool: IpNet,
    /// The gateway; empty is none.
    #[serde(default, deserialize_with = "net_or_address")]
    pub gateway: Option<IpAddr>,
    /// Addresses that no container gets, by their names.
    #[serde(default, deserialize_with = "or_default")]
    pub aux_addresses: BTreeMap<String, Value>,
}

/// Any call about a network.
#[derive(Debug, Deserialize)]
pub struct OfNetwork {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
}

/// Any call about an endpoint.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OfEndpoint {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// What else was said.
    #[serde(default, deserialize_with = "or_default")]
    pub options: Map<String, Value>,
}

/// `NetworkDriver.CreateEndpoint`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateEndpoint {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// Its addresses.
    #[serde(default, deserialize_with = "or_default")]
    pub interface: Interface,
}

/// An endpoint's addresses; what is empty is not set.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Interface {
    /// The address; empty is none.
    #[serde(default)]
    pub address: String,
    /// The same of version 6.
    #[serde(default, rename = "AddressIPv6")]
    pub address_ipv6: String,
    /// The hardware address; empty is none.
    #[serde(default)]
    pub mac_address: String,
}

/// The answer to `NetworkDriver.CreateEndpoint`: what the request did not have.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Created {
    /// Its addresses.
    pub interface: Interface,
}

/// The answer to `NetworkDriver.Join`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Joined {
    /// Which link it is.
    pub interface_name: InterfaceName,
    /// The gateway; empty is none.
    pub gateway: String,
    /// The gateway of version 6; empty is none.
    #[serde(rename = "GatewayIPv6")]
    pub gateway_ipv6: String,
    /// More routes.
    pub static_routes: Vec<StaticRoute>,
    /// Whether the engine may give no default route of its own.
    pub disable_gateway_service: bool,
}

/// Which link becomes the container's, and how it is called there: the prefix and a number.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InterfaceName {
    /// The link.
    pub src_name: String,
    /// How it is called there, before its number.
    pub dst_prefix: String,
}

/// A route of the container; type 0 is one by a next hop.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StaticRoute {
    /// Where to.
    pub destination: String,
    /// 0: by a next hop, 1: on the link.
    pub route_type: u8,
    /// By whom.
    pub next_hop: String,
}

/// A published port; a host port of 0 is any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortBinding {
    /// The number of the protocol.
    pub proto: u8,
    /// The address in the container.
    #[serde(rename = "IP")]
    pub ip: String,
    /// The port there.
    pub port: u16,
    /// The address of the host.
    #[serde(rename = "HostIP")]
    pub host_ip: String,
    /// The port of the host.
    pub host_port: u16,
    /// The last port of the host.
    pub host_port_end: u16,
}

/// `IpamDriver.RequestPool`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RequestPool {
    /// The subnet; empty is none.
    #[serde(default)]
    pub pool: String,
    /// The part of it that addresses are given from; empty is all of it.
    #[serde(default)]
    pub sub_pool: String,
    /// What else was said.
    #[serde(default, deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
    /// Whether it is of version 6.
    #[serde(default, rename = "V6")]
    pub v6: bool,
}

/// `IpamDriver.ReleasePool`.
#[derive(Debug, Deserialize)]
pub struct ReleasePool {
    /// The pool.
    #[serde(rename = "PoolID")]
    pub pool_id: String,
}

/// `IpamDriver.RequestAddress` and `IpamDriver.ReleaseAddress`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OfAddress {
    /// The pool.
    #[serde(rename = "PoolID")]
    pub pool_id: String,
    /// The address; empty is none.
    #[serde(default)]
    pub address: String,
    /// What else was said.
    #[serde(default, deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
}

impl OfAddress {
    /// Whether the address is a gateway's.
    #[must_use]
    pub fn is_gateway(&self) -> bool {
        self.options.get(ADDRESS_TYPE).map(String::as_str) == Some(GATEWAY_TYPE)
    }
}

/// `null` is as good as nothing.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An address with or without a prefix length; empty is none.
fn net_or_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    address(&text)
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no address")))
}

/// The address of a text with or without a prefix length.
#[must_use]
pub fn address(text: &str) -> Option<IpAddr> {
    let bare = text.split('/').next().unwrap_or_default();
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Docker 20.10 sends it.
    #[test]
    fn a_network_is_read_with_and_without_what_docker_leaves_out() {
        let text = r#"{"NetworkID":"8f81","Options":{"com.docker.network.enable_ipv6":false,
            "com.docker.network.generic":{"network":"web"}},
            "IPv4Data":[{"AddressSpace":"LocalDefault","Pool":"10.21.59.0/24",
            "Gateway":"10.21.59.1/24","AuxAddresses":{"a":"10.21.59.9/24"}}],"IPv6Data":[]}"#;
        let read: CreateNetwork = serde_json::from_str(text).unwrap();
        let data = &read.ipv4_data[0];
        assert_eq!(data.gateway, "10.21.59.1".parse().ok());
        assert_eq!(data.aux_addresses.len(), 1);
        let text = r#"{"NetworkID":"8f81","Options":null,"IPv4Data":null}"#;
        let read: CreateNetwork = serde_json::from_str(text).unwrap();
        assert!(read.options.is_empty() && read.ipv4_data.is_empty());
    }

    #[test]
    fn answers_have_every_key_that_docker_reads() {
        let joined = Joined {
            interface_name: InterfaceName {
                src_name: "flp1".into(),
                dst_prefix: "eth".into(),
            },
            gateway: "10.1.0.1".into(),
            gateway_ipv6: String::new(),
            static_routes: Vec::new(),
            disable_gateway_service: false,
        };
        assert_eq!(
            serde_json::to_string(&joined).unwrap(),
            r#"{"InterfaceName":{"SrcName":"flp1","DstPrefix":"eth"},"Gateway":"10.1.0.1","GatewayIPv6":"","StaticRoutes":[],"DisableGatewayService":false}"#
        );
    }

    #[test]
    fn an_address_is_a_gateways_only_if_docker_says_so() {
        let text = r#"{"PoolID":"p","Address":"","Options":{"RequestAddressType":"com.docker.network.gateway"}}"#;
        let read: OfAddress = serde_json::from_str(text).unwrap();
        assert!(read.is_gateway());
        let text = r#"{"PoolID":"p","Address":"10.1.0.2","Options":null}"#;
        let read: OfAddress = serde_json::from_str(text).unwrap();
        assert!(!read.is_gateway());
        assert_eq!(address("10.1.0.2/24"), address(&read.address));
    }
}
