//! The configuration of host-local.

use crate::args::{parse_ip, requested_by_args};
use crate::{IpamError, Pool, Range, RangeSet};
use fairlead_types::{NetworkName, Root};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;
use std::path::PathBuf;

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpamConfig {
    /// The range sets, one address of each; never none.
    pub ranges: Vec<RangeSet>,
    /// The routes to hand on.
    pub routes: Vec<Route>,
    /// The addresses asked for, by `CNI_ARGS`, `args` and capability, each once.
    pub requested: Vec<IpAddr>,
    /// `dataDir`, which keeps networks of one name apart.
    pub data_dir: Option<PathBuf>,
    /// `resolvConf`: where the result's name service comes from.
    pub resolv_conf: Option<PathBuf>,
}

/// A route as the configuration has it. What is not known of it is handed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where it leads.
    pub dst: IpNet,
    /// By way of whom, none for the address's own gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gw: Option<IpAddr>,
    /// `mtu`, `advmss`, `priority`, `table`, `scope` as they are.
    #[serde(flatten)]
    pub more: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawNet {
    cni_version: Option<String>,
    ipam: Option<RawIpam>,
    runtime_config: Option<RawRuntime>,
    args: Option<RawArgs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRuntime {
    ip_ranges: Option<Vec<Vec<RawRange>>>,
    ips: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawArgs {
    cni: Option<RawCniArgs>,
}

#[derive(Deserialize)]
struct RawCniArgs {
    ips: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawIpam {
    subnet: Option<String>,
    range_start: Option<String>,
    range_end: Option<String>,
    gateway: Option<String>,
    ranges: Option<Vec<Vec<RawRange>>>,
    routes: Option<Vec<RawRoute>>,
    data_dir: Option<PathBuf>,
    resolv_conf: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRange {
    subnet: Option<String>,
    range_start: Option<String>,
    range_end: Option<String>,
    gateway: Option<String>,
}

#[derive(Deserialize)]
struct RawRoute {
    dst: Option<String>,
    gw: Option<String>,
    #[serde(flatten)]
    more: serde_json::Map<String, Value>,
}

impl IpamConfig {
    /// Reads the network configuration that the plugin gets on its input, and
    /// `CNI_ARGS` (empty when there are none).
    ///
    /// # Errors
    /// [`IpamError`] as host-local has it.
    pub fn from_slice(config: &[u8], cni_args: &str) -> Result<Self, IpamError> {
        Self::checked(serde_json::from_slice(config)?, cni_args)
    }

    /// The same from a configuration that is parsed already.
    ///
    /// # Errors
    /// [`IpamError`] as host-local has it.
    pub fn from_value(config: &Value, cni_args: &str) -> Result<Self, IpamError> {
        Self::checked(RawNet::deserialize(config)?, cni_args)
    }

    /// The pool that the network's addresses come from.
    #[must_use]
    pub fn pool(&self, root: &Root, network: &NetworkName) -> Pool {
        Pool::new(root, network, self.data_dir.as_deref())
    }

    fn checked(net: RawNet, cni_args: &str) -> Result<Self, IpamError> {
        let ipam = net.ipam.ok_or(IpamError::NoIpam)?;
        let mut requested: Vec<IpAddr> = requested_by_args(cni_args)?.into_iter().collect();
        let by_args = net.args.and_then(|args| args.cni).and_then(|cni| cni.ips);
        let runtime = net.runtime_config;
        let (ip_ranges, by_capability) = match runtime {
            Some(runtime) => (runtime.ip_ranges, runtime.ips),
            None => (None, None),
        };
        let ips = by_args.into_iter().chain(by_capability).flatten();
        for text in ips {
            let addr = parse_ip(&text).ok_or(IpamError::Address {
                key: "ips",
                value: text,
            })?;
            requested.push(addr);
        }
        let mut seen = std::collections::HashSet::new();
        requested.retain(|addr| seen.insert(*addr));

        let single = ipam.subnet.is_some().then_some(RawRange {
            subnet: ipam.subnet,
            range_start: ipam.range_start,
            range_end: ipam.range_end,
            gateway: ipam.gateway,
        });
        let sets = ip_ranges
            .into_iter()
            .flatten()
            .chain(single.map(|range| vec![range]))
            .chain(ipam.ranges.into_iter().flatten());
        let ranges = sets
            .enumerate()
            .map(|(index, set)| range_set(index, set))
            .collect::<Result<Vec<_>, _>>()?;
        check_sets(&ranges, net.cni_version)?;
        let routes = ipam.routes.into_iter().flatten();
        Ok(Self {
            ranges,
            routes: routes.map(route).collect::<Result<_, _>>()?,
            requested,
            data_dir: ipam.data_dir.filter(|dir| !dir.as_os_str().is_empty()),
            resolv_conf: ipam.resolv_conf.filter(|p| !p.as_os_str().is_empty()),
        })
    }
}

fn check_sets(sets: &[RangeSet], version: Option<String>) -> Result<(), IpamError> {
    if sets.is_empty() {
        return Err(IpamError::NoRanges);
    }
    let v4 = sets.iter().filter(|set| set.is_ipv4()).count();
    if v4 > 1 || sets.len() - v4 > 1 {
        let version = version.unwrap_or_else(|| "0.1.0".to_owned());
        if version.starts_with("0.1.") || version.starts_with("0.2.") {
            return Err(IpamError::OldVersion { version });
        }
    }
    for (first, set) in sets.iter().enumerate() {
        for (second, other) in sets.iter().enumerate().skip(first + 1) {
            if set.overlaps(other) {
                return Err(IpamError::Overlap { first, second });
            }
        }
    }
    Ok(())
}

fn range_set(index: usize, ranges: Vec<RawRange>) -> Result<RangeSet, IpamError> {
    let failed = |source| IpamError::RangeSet { index, source };
    let ranges = ranges.into_iter().map(|raw| {
        let subnet = cidr("subnet", raw.subnet.unwrap_or_default())?;
        let start = optional_ip("rangeStart", raw.range_start)?;
        let end = optional_ip("rangeEnd", raw.range_end)?;
        let gateway = optional_ip("gateway", raw.gateway)?;
        Range::new(subnet, start, end, gateway).map_err(failed)
    });
    RangeSet::new(ranges.collect::<Result<_, IpamError>>()?).map_err(failed)
}

fn route(raw: RawRoute) -> Result<Route, IpamError> {
    Ok(Route {
        dst: cidr("dst", raw.dst.unwrap_or_default())?,
        gw: optional_ip("gw", raw.gw)?,
        more: raw.more,
    })
}

fn cidr(key: &'static str, value: String) -> Result<IpNet, IpamError> {
    value.parse().map_err(|_| IpamError::Cidr { key, value })
}

/// An address; an empty text means that there is none, as in the reference.
fn optional_ip(key: &'static str, value: Option<String>) -> Result<Option<IpAddr>, IpamError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    match value.parse() {
        Ok(addr) => Ok(Some(addr)),
        Err(_) => Err(IpamError::Address { key, value }),
    }
}
