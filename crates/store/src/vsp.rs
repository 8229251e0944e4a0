//! What this host holds at an SDN controller (Nuage VSP): which network of Docker is which
//! subnet there, and the leases, each an address with its port on the switch. A lease is
//! recorded before the controller is asked for it, so that what a crash leaves is known.

use crate::{StoreError, Tx, View, row};
use fairlead_types::{IfName, Mac};
use ipnet::Ipv4Net;
use rusqlite::{Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// A subnet of the controller, by the names that its users know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VspTarget {
    /// The enterprise.
    pub organization: String,
    /// The domain in it.
    pub domain: String,
    /// The zone in that.
    pub zone: String,
    /// The subnet in that.
    pub subnet: String,
    /// The user who asked for it.
    pub user: String,
}

/// A network of Docker that is a subnet of the controller's. The record outlives the boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VspNetwork {
    /// The engine's id of it.
    pub id: String,
    /// The engine's name of it, once that was heard.
    pub name: Option<String>,
    /// The subnet.
    pub target: VspTarget,
    /// Its addresses.
    pub net: Ipv4Net,
    /// Its gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Whether its addresses are asked for at our driver, and not at Docker's own.
    pub leased: bool,
    /// Whether nothing leads out of it.
    #[serde(default)]
    pub internal: bool,
    /// The controller's ids of the subnet and its domain; none where no controller is asked.
    pub ids: Option<VspSubnetIds>,
}

/// The controller's ids of a subnet and of the domain that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VspSubnetIds {
    /// The domain.
    pub domain: String,
    /// The subnet.
    pub subnet: String,
}

/// How far a [`VspLease`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VspState {
    /// The controller is being asked; whether it gave anything is not known.
    Asked,
    /// It is held.
    Held,
    /// It is kept from containers, and has no port.
    Kept,
    /// It is on its way back.
    Leaving,
}

/// An address that this host has from the controller, or tells it of, and its port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VspLease {
    /// 64 hexadecimal digits: the name that it was asked for by.
    pub id: String,
    /// The switch's end of the cable.
    pub port: IfName,
    /// The container's end of it, as long as it is in the host's namespace.
    pub peer: IfName,
    /// The subnet.
    pub target: VspTarget,
    /// Its addresses.
    pub net: Ipv4Net,
    /// Its gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The address; none until it is known.
    pub address: Option<Ipv4Addr>,
    /// The container's hardware address.
    pub mac: Mac,
    /// The ids of the subnet; none where no controller is asked.
    pub subnet: Option<VspSubnetIds>,
    /// What the controller has for it; none where no controller is asked, or before it answered.
    pub held: Option<VspHeld>,
    /// The network of Docker, once that is known.
    pub network: Option<String>,
    /// The endpoint of Docker that it is for.
    pub endpoint: Option<String>,
    /// Whose it is, once that was heard.
    pub tenant: Option<VspTenant>,
    /// How far it is.
    pub state: VspState,
    /// When it was recorded, in seconds since 1970.
    pub since: u64,
}

/// What the controller has for a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VspHeld {
    /// Its container there, which several leases of one container of Docker share.
    pub container: String,
    /// Its interface there.
    pub interface: String,
    /// The port of that, which policy groups are given to.
    pub vport: Option<String>,
}

/// Whose a [`VspLease`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VspTenant {
    /// Docker's id of the container.
    pub container: String,
    /// Its name.
    pub name: String,
    /// What an orchestrator calls it.
    pub task: Option<String>,
    /// The policy groups that it asks for.
    pub groups: Vec<String>,
    /// Whether the controller knows it by its id and name.
    pub is_named: bool,
    /// Whether it has its policy groups.
    pub is_grouped: bool,
    /// Whether the switch has the port.
    pub is_plugged: bool,
}

impl VspTenant {
    /// Whether nothing is left to be told.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.is_named && self.is_grouped && self.is_plugged
    }
}

fn record<T: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<T> {
    let text = row.get_ref(0)?.as_str()?;
    serde_json::from_str(text).map_err(|error| row::bad(0, error))
}

impl View<'_> {
    /// All leases, by their ids.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn vsp_leases(&self) -> Result<Vec<VspLease>, StoreError> {
        let sql = "SELECT record FROM vsp_leases ORDER BY id";
        self.rows(&"vsp_leases", sql, [], record)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn vsp_lease(&self, id: &str) -> Result<Option<VspLease>, StoreError> {
        self.first(
            &id,
            "SELECT record FROM vsp_leases WHERE id = ?",
            [id],
            record,
        )
    }

    /// The networks of Docker that are subnets of the controller's.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn vsp_networks(&self) -> Result<Vec<VspNetwork>, StoreError> {
        let sql = "SELECT record FROM vsp_networks ORDER BY id";
        self.rows(&"vsp_networks", sql, [], record)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn vsp_network(&self, id: &str) -> Result<Option<VspNetwork>, StoreError> {
        self.first(
            &id,
            "SELECT record FROM vsp_networks WHERE id = ?",
            [id],
            record,
        )
    }
}

impl Tx<'_> {
    /// Records a lease, in the place of what was known of it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written, or another lease has that port.
    pub fn put_vsp_lease(&self, lease: &VspLease) -> Result<(), StoreError> {
        let sql = "INSERT INTO vsp_leases(id, port, record) VALUES(?, ?, ?)
             ON CONFLICT(id) DO UPDATE SET port = excluded.port, record = excluded.record";
        let record = serde_json::to_string(lease).unwrap_or_default();
        let params = params![lease.id, lease.port.as_str(), record];
        self.change("record lease", &lease.id, sql, params)
            .map(drop)
    }

    /// Forgets a lease; says whether it was known.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn remove_vsp_lease(&self, id: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM vsp_leases WHERE id = ?";
        Ok(self.change("forget lease", &id, sql, [id])? > 0)
    }

    /// Records a network of Docker that is a subnet of the controller's.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn put_vsp_network(&self, network: &VspNetwork) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO vsp_networks(id, record) VALUES(?, ?)";
        let record = serde_json::to_string(network).unwrap_or_default();
        let params = params![network.id, record];
        self.change("record network of Docker", &network.id, sql, params)
            .map(drop)
    }

    /// Forgets a network; says whether it was known.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn remove_vsp_network(&self, id: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM vsp_networks WHERE id = ?";
        Ok(self.change("forget network of Docker", &id, sql, [id])? > 0)
    }
}
