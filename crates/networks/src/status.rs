//! How much of each network is used, and by whom (specification 5.2 and 5.5).

use crate::address::size;
use crate::{Catalog, Entry};
use fairlead_types::{NetworkName, ObjectName, ResourceName};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An address that is given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedAddress {
    /// The network it is of.
    pub network: NetworkName,
    /// The address.
    pub ip: IpAddr,
    /// The node it is on.
    pub node: String,
    /// What it is for, where that was said.
    pub object: Option<ObjectName>,
    /// The resource of the object, where that was said.
    pub resource: Option<ResourceName>,
}

/// The networks, sorted by name. As JSON it is an object by name. Counts may be
/// larger than 64 bits: write it by a serializer, not by way of a JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// One row a network.
    pub networks: Vec<StatusRow>,
}

/// One network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusRow {
    /// Its name.
    #[serde(skip)]
    pub name: String,
    /// Its type: one of the declared ones, `loopback` or `undef`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its ranges, separated by a space, or `undef`.
    pub network: String,
    /// The number of addresses of its ranges; of a network whose ranges are not
    /// known, of those in use, and at least 1.
    pub size: u128,
    /// The number of addresses given out.
    pub used: u128,
    /// The others.
    pub free: u128,
    /// The used part of the whole, in percent with two decimals: `0.01%`.
    pub pct: String,
    /// What is wrong with it, in a word, when something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The addresses given out, sorted as texts; none where only their number was asked.
    pub ips: Vec<UsedIp>,
}

/// One address that is given out. The order of the fields is that of sorting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UsedIp {
    /// The address.
    pub ip: String,
    /// The node it is on.
    pub node: String,
    /// The object it is for; empty where that was not said.
    pub path: String,
    /// The resource of the object; empty where that was not said.
    pub rid: String,
}

/// What is used of the networks.
#[derive(Debug, Clone, Copy)]
pub enum Usage<'a> {
    /// Every address.
    Addresses(&'a [UsedAddress]),
    /// How many addresses of each network, by its name.
    Counts(&'a BTreeMap<String, u64>),
}

impl Status {
    /// The status of all networks, or of the one with that name; an unknown name gives
    /// none. `problems` has a word for each network that something is wrong with.
    #[must_use]
    pub fn new(
        catalog: &Catalog,
        usage: Usage<'_>,
        problems: &BTreeMap<String, String>,
        name: Option<&str>,
    ) -> Self {
        let asked = |entry: &&Entry| name.is_none_or(|name| entry.name == name);
        let mut by_network: BTreeMap<&str, Vec<UsedIp>> = BTreeMap::new();
        if let Usage::Addresses(all) = usage {
            for used in all {
                let of_network = by_network.entry(used.network.as_str()).or_default();
                of_network.push(UsedIp::from(used));
            }
        }
        let row = |entry: &Entry| {
            let mut ips = by_network.remove(entry.name.as_str()).unwrap_or_default();
            ips.sort_unstable();
            let used = match usage {
                Usage::Addresses(_) => ips.len() as u128,
                Usage::Counts(counts) => counts.get(&entry.name).copied().unwrap_or(0).into(),
            };
            let problem = problems.get(&entry.name).cloned();
            row(entry, used, ips, problem)
        };
        Self {
            networks: catalog.networks.iter().filter(asked).map(row).collect(),
        }
    }
}

impl From<&UsedAddress> for UsedIp {
    fn from(used: &UsedAddress) -> Self {
        let text = |name: Option<&dyn ToString>| name.map(|n| n.to_string()).unwrap_or_default();
        Self {
            ip: used.ip.to_string(),
            node: used.node.clone(),
            path: text(used.object.as_ref().map(|o| o as _)),
            rid: text(used.resource.as_ref().map(|r| r as _)),
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.networks.len()))?;
        for row in &self.networks {
            map.serialize_entry(&row.name, row)?;
        }
        map.end()
    }
}

fn row(entry: &Entry, used: u128, ips: Vec<UsedIp>, problem: Option<String>) -> StatusRow {
    let ranges = entry.ranges();
    let size = match ranges.is_empty() {
        true => used.max(1),
        false => ranges
            .iter()
            .fold(0_u128, |sum, range| sum.saturating_add(size(*range))),
    };
    StatusRow {
        name: entry.name.clone(),
        kind: entry.kind().to_owned(),
        network: entry.network(),
        size,
        used,
        free: size.saturating_sub(used),
        pct: percent(used, size),
        problem,
        ips,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "two decimals of a ratio are shown"
)]
fn percent(used: u128, size: u128) -> String {
    format!("{:.2}%", 100.0 * used as f64 / size as f64)
}
