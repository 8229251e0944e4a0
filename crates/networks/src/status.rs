//! How much of each network is used, and by whom (specification 5.2 and 5.5).

use crate::address::size;
use crate::{Catalog, Entry};
use fairlead_types::{NetworkName, ObjectName};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::net::IpAddr;

/// An address that is given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedAddress {
    /// The network it is of.
    pub network: NetworkName,
    /// The address.
    pub ip: IpAddr,
    /// What it is for, where that was said.
    pub object: Option<ObjectName>,
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
    /// The addresses given out, sorted as texts.
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
    /// The resource of the object; empty, no door gives one yet.
    pub rid: String,
}

impl Status {
    /// The status of all networks, or of the one with that name; an unknown name gives
    /// none. `node` is the name of this node.
    #[must_use]
    pub fn new(catalog: &Catalog, node: &str, used: &[UsedAddress], name: Option<&str>) -> Self {
        let asked = |entry: &&Entry| name.is_none_or(|name| entry.name == name);
        let rows = catalog.networks.iter().filter(asked);
        Self {
            networks: rows.map(|entry| row(entry, node, used)).collect(),
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

fn row(entry: &Entry, node: &str, all: &[UsedAddress]) -> StatusRow {
    let mut ips: Vec<UsedIp> = all
        .iter()
        .filter(|used| used.network.as_str() == entry.name)
        .map(|used| UsedIp {
            ip: used.ip.to_string(),
            node: node.to_owned(),
            path: used
                .object
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            rid: String::new(),
        })
        .collect();
    ips.sort();
    let used = ips.len() as u128;
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
