//! What Docker asks its drivers of networks and addresses, and what they answer
//! (libnetwork, remote drivers). Docker leaves keys out, or says `null`, as it likes.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The space that addresses of a network with scope local are from. Docker's own
/// addresses are from `LocalDefault`.
pub(crate) const LOCAL_SPACE: &str = "fairlead-local";
/// The same with scope global.
pub(crate) const GLOBAL_SPACE: &str = "fairlead-global";

/// What asks for a gateway's address.
pub(crate) const ADDRESS_TYPE: &str = "RequestAddressType";
pub(crate) const GATEWAY_TYPE: &str = "com.docker.network.gateway";

pub(crate) const GENERIC: &str = "com.docker.network.generic";
pub(crate) const INTERNAL: &str = "com.docker.network.internal";
pub(crate) const PORT_MAP: &str = "com.docker.network.portmap";
pub(crate) const EXPOSED_PORTS: &str = "com.docker.network.endpoint.exposedports";
pub(crate) const MAC_ADDRESS: &str = "com.docker.network.endpoint.macaddress";

/// `NetworkDriver.CreateNetwork`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateNetwork {
    #[serde(rename = "NetworkID")]
    pub(crate) network_id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) options: Map<String, Value>,
    #[serde(default, rename = "IPv4Data", deserialize_with = "or_default")]
    pub(crate) ipv4_data: Vec<IpamData>,
    #[serde(default, rename = "IPv6Data", deserialize_with = "or_default")]
    pub(crate) ipv6_data: Vec<IpamData>,
}

/// What a network gives addresses from, as Docker was told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IpamData {
    #[serde(default)]
    pub(crate) address_space: String,
    pub(crate) pool: IpNet,
    #[serde(default, deserialize_with = "net_or_address")]
    pub(crate) gateway: Option<IpAddr>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) aux_addresses: BTreeMap<String, Value>,
}

/// Any call about a network.
#[derive(Debug, Deserialize)]
pub(crate) struct OfNetwork {
    #[serde(rename = "NetworkID")]
    pub(crate) network_id: String,
}

/// Any call about an endpoint.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OfEndpoint {
    #[serde(rename = "NetworkID")]
    pub(crate) network_id: String,
    #[serde(rename = "EndpointID")]
    pub(crate) endpoint_id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) options: Map<String, Value>,
}

/// `NetworkDriver.CreateEndpoint`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateEndpoint {
    #[serde(rename = "NetworkID")]
    pub(crate) network_id: String,
    #[serde(rename = "EndpointID")]
    pub(crate) endpoint_id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) interface: Interface,
}

/// An endpoint's addresses; what is empty is not set.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Interface {
    #[serde(default)]
    pub(crate) address: String,
    #[serde(default, rename = "AddressIPv6")]
    pub(crate) address_ipv6: String,
    #[serde(default)]
    pub(crate) mac_address: String,
}

/// The answer to `NetworkDriver.CreateEndpoint`: what the request did not have.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Created {
    pub(crate) interface: Interface,
}

/// The answer to `NetworkDriver.Join`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Joined {
    pub(crate) interface_name: InterfaceName,
    pub(crate) gateway: String,
    #[serde(rename = "GatewayIPv6")]
    pub(crate) gateway_ipv6: String,
    pub(crate) static_routes: Vec<StaticRoute>,
    pub(crate) disable_gateway_service: bool,
}

/// Which link becomes the container's, and how it is called there: the prefix and a number.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct InterfaceName {
    pub(crate) src_name: String,
    pub(crate) dst_prefix: String,
}

/// A route of the container; type 0 is one by a next hop.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StaticRoute {
    pub(crate) destination: String,
    pub(crate) route_type: u8,
    pub(crate) next_hop: String,
}

/// A published port; a host port of 0 is any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PortBinding {
    pub(crate) proto: u8,
    #[serde(rename = "IP")]
    pub(crate) ip: String,
    pub(crate) port: u16,
    #[serde(rename = "HostIP")]
    pub(crate) host_ip: String,
    pub(crate) host_port: u16,
    pub(crate) host_port_end: u16,
}

/// `IpamDriver.RequestPool`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RequestPool {
    #[serde(default)]
    pub(crate) pool: String,
    #[serde(default)]
    pub(crate) sub_pool: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) options: BTreeMap<String, String>,
    #[serde(default, rename = "V6")]
    pub(crate) v6: bool,
}

/// `IpamDriver.ReleasePool`.
#[derive(Debug, Deserialize)]
pub(crate) struct ReleasePool {
    #[serde(rename = "PoolID")]
    pub(crate) pool_id: String,
}

/// `IpamDriver.RequestAddress` and `IpamDriver.ReleaseAddress`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OfAddress {
    #[serde(rename = "PoolID")]
    pub(crate) pool_id: String,
    #[serde(default)]
    pub(crate) address: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) options: BTreeMap<String, String>,
}

impl OfAddress {
    /// Whether the address is a gateway's.
    pub(crate) fn is_gateway(&self) -> bool {
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
pub(crate) fn address(text: &str) -> Option<IpAddr> {
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
