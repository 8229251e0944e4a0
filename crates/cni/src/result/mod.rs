//! The result of ADD: one shape inside, one JSON form for each specification
//! version outside.

mod read;
#[cfg(test)]
mod tests;
mod write;

use crate::{CniError, SpecVersion};
use ipnet::IpNet;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// What a plugin did, or a chain of plugins so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CniResult {
    /// Every interface that was made or moved, on the host and in the container.
    pub interfaces: Vec<Interface>,
    /// The addresses given.
    pub ips: Vec<IpConfig>,
    /// The routes set.
    pub routes: Vec<Route>,
    /// What a resolver should use.
    pub dns: Dns,
    /// Keys of another plugin's result that are not known here; passed on from
    /// version 0.3.0 on.
    pub extra: Map<String, Value>,
}

/// One interface of a result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interface {
    /// Its name where it is.
    pub name: String,
    /// Its hardware address as text, or empty. Not a [`fairlead_types::Mac`]:
    /// other plugins have interfaces with longer ones.
    pub mac: String,
    /// Its MTU in bytes (from 1.0.0 on).
    pub mtu: Option<u32>,
    /// The path of the namespace it is in; empty on the host.
    pub sandbox: String,
    /// The path of a socket of the interface, or empty (from 1.0.0 on).
    pub socket_path: String,
    /// The PCI address of the interface, or empty (from 1.0.0 on).
    pub pci_id: String,
    /// Keys not known here.
    pub extra: Map<String, Value>,
}

/// One address of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct IpConfig {
    /// The address itself with the prefix length of its network.
    pub address: IpNet,
    /// The next hop for what is not in that network.
    pub gateway: Option<IpAddr>,
    /// The index in [`CniResult::interfaces`] of the interface that has it.
    pub interface: Option<usize>,
    /// Keys not known here.
    pub extra: Map<String, Value>,
}

/// One route of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Where it leads.
    pub dst: IpNet,
    /// The next hop; the address' gateway when absent.
    pub gw: Option<IpAddr>,
    /// The MTU along it, in bytes.
    pub mtu: Option<u32>,
    /// The TCP segment size to announce, in bytes.
    pub advmss: Option<u32>,
    /// Its priority: the lower wins.
    pub priority: Option<u32>,
    /// The number of its table; the main table when absent.
    pub table: Option<u32>,
    /// Its scope, as rtnetlink numbers them (0 universe, 253 link, 254 host).
    pub scope: Option<u8>,
    /// Keys not known here.
    pub extra: Map<String, Value>,
}

/// What a resolver should use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// The servers, in order of priority.
    pub nameservers: Vec<String>,
    /// The local domain, or empty.
    pub domain: String,
    /// The domains to search, in order.
    pub search: Vec<String>,
    /// The options of the resolver.
    pub options: Vec<String>,
}

/// Why a text is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// The version is not known.
    #[error("read the result's cniVersion: {0}")]
    Version(#[from] crate::UnknownVersion),
    /// A value is not what its key takes.
    #[error("read {at} of the result: {value} is not {wanted}")]
    Value {
        /// The key with the path to it, as in `ips[0].address`.
        at: String,
        /// The value as it stands there, shortened.
        value: String,
        /// What the key takes.
        wanted: &'static str,
    },
}

impl CniResult {
    /// The interface that has `ip`, when its index points at one.
    #[must_use]
    pub fn interface_of(&self, ip: &IpConfig) -> Option<&Interface> {
        self.interfaces.get(ip.interface?)
    }

    /// The JSON form in `version`. What that version has no words for is left
    /// out: 0.1.0 and 0.2.0 have the first address of each family and its routes
    /// only, versions before 1.0.0 no MTU, socket and PCI address.
    #[must_use]
    pub fn to_json(&self, version: SpecVersion) -> Value {
        write::result(self, version)
    }

    /// Whether `version` has words for every address: 0.1.0 and 0.2.0 have one of each
    /// family.
    ///
    /// # Errors
    /// Code 999, as the reference plugins have it.
    pub fn check_version(&self, version: SpecVersion) -> Result<(), CniError> {
        let count = |v4: bool| {
            self.ips
                .iter()
                .filter(|ip| ip.address.addr().is_ipv4() == v4)
                .count()
        };
        if version.has_single_addresses() && (count(true) > 1 || count(false) > 1) {
            return Err(CniError::internal(format!(
                "CNI version {version} does not support more than 1 address per family"
            )));
        }
        Ok(())
    }

    /// Reads the form of the version that stands in it; without one, the form
    /// that its keys show.
    ///
    /// # Errors
    /// [`ResultError`] names the key that is wrong.
    pub fn from_json(value: &Value) -> Result<Self, ResultError> {
        read::result(value)
    }
}

impl Interface {
    /// An interface with a name and nothing else.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

impl IpConfig {
    /// An address without gateway and interface.
    #[must_use]
    pub fn new(address: IpNet) -> Self {
        Self {
            address,
            gateway: None,
            interface: None,
            extra: Map::new(),
        }
    }
}

impl Route {
    /// A route without a next hop of its own and without metrics.
    #[must_use]
    pub fn new(dst: IpNet) -> Self {
        Self {
            dst,
            gw: None,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
            extra: Map::new(),
        }
    }

    /// Reads one route as results, `host-local` and `static` write them.
    ///
    /// # Errors
    /// [`ResultError`] names the key that is wrong, below `at`.
    pub fn from_json(value: &Value, at: &str) -> Result<Self, ResultError> {
        read::route(value, at)
    }
}

impl Dns {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the `dns` object of a configuration or a result.
    ///
    /// # Errors
    /// [`ResultError`] names the key that is wrong, below `at`.
    pub fn from_json(value: &Value, at: &str) -> Result<Self, ResultError> {
        read::dns(value, at)
    }

    /// The JSON object; empty lists are left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        write::dns(self)
    }
}
