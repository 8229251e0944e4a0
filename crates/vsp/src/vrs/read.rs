//! What the switch has been told, as it tells it again.

use super::{ENTITIES, PORTS, Vrs, VrsError};
use fairlead_ovsdb::{Condition, Operation, Row, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// An entity of the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its identity.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its user, where the rows tell all.
    pub user: String,
    /// Its enterprise, where the rows tell all.
    pub enterprise: String,
    /// The names of its ports.
    pub ports: BTreeSet<String>,
}

/// What `Nuage_Port_Table` says of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRow {
    /// The hardware address, as it is written there.
    pub mac: String,
    /// The address that the controller wrote, if it has.
    pub address: Option<String>,
    /// More about it.
    pub metadata: BTreeMap<String, String>,
}

/// A port of the bridge, or one that is only said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// What its row says; none if it has no row.
    pub row: Option<PortRow>,
    /// What its interface says; none if it is not on the bridge.
    pub external_ids: Option<BTreeMap<String, String>>,
}

impl Vrs {
    /// The switch's identity: `system-id` of `Open_vSwitch.external_ids`, which its own scripts
    /// write; none if they have not.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn system_id(&self) -> Result<Option<String>, VrsError> {
        let rows = self.select("the switch's identity", "Open_vSwitch").await?;
        let ids = rows.first().map(|row| row.map("external_ids"));
        let id = ids.and_then(|mut ids| ids.remove("system-id"));
        Ok(id.filter(|id| !id.is_empty()))
    }

    /// Is the controller there? It is if just one is the master.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn controller_connected(&self) -> Result<bool, VrsError> {
        let rows = self.select("the controllers", "Controller").await?;
        let masters = rows.iter().filter(|row| row.text("role") == Some("master"));
        Ok(masters.count() == 1)
    }

    /// All entities of the switch, also those of others than us.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn entities(&self) -> Result<Vec<Recorded>, VrsError> {
        let rows = self.select("the entities", ENTITIES).await?;
        let text = |row: &Row, column| row.text(column).unwrap_or_default().to_owned();
        let recorded = rows.iter().map(|row| Recorded {
            uuid: text(row, "vm_uuid"),
            name: text(row, "vm_name"),
            user: text(row, "nuage_user"),
            enterprise: text(row, "nuage_enterprise"),
            ports: row.texts("ports").map(str::to_owned).collect(),
        });
        Ok(recorded.collect())
    }

    /// All ports of the bridge but its own, and all that are said to be on it, by name, as
    /// they are at one moment.
    ///
    /// # Errors
    /// The bridge is not there, or the database does not answer.
    pub async fn ports(&self) -> Result<Vec<Known>, VrsError> {
        let bridge = self.bridge.as_str();
        let reads = [
            Operation::select("Bridge", [Condition::eq("name", bridge)]).columns(&["ports"]),
            Operation::select("Port", []).columns(&["_uuid", "name", "interfaces"]),
            Operation::select("Interface", []).columns(&["_uuid", "name", "external_ids"]),
            Operation::select(PORTS, [Condition::eq("bridge", bridge)]),
        ];
        let found = self.transact("list ports of", bridge, &reads).await?;
        let rows = |index: usize| found.get(index).map_or(&[][..], |result| result.rows());
        let root = rows(0).first().ok_or_else(|| self.no_bridge())?;
        let on_bridge: BTreeSet<Uuid> = root.uuids("ports").collect();
        let of_bridge = |row: &&Row| row.uuid("_uuid").is_some_and(|id| on_bridge.contains(&id));
        let plugged = rows(1).iter().filter(of_bridge);
        let plugged: BTreeSet<Uuid> = plugged.flat_map(|port| port.uuids("interfaces")).collect();
        let mut known: BTreeMap<&str, Known> = BTreeMap::new();
        let entry = |name: &str| Known {
            name: name.to_owned(),
            row: None,
            external_ids: None,
        };
        for interface in rows(2) {
            let on = interface
                .uuid("_uuid")
                .is_some_and(|id| plugged.contains(&id));
            match interface.text("name") {
                Some(name) if on && name != bridge => {
                    let port = known.entry(name).or_insert_with(|| entry(name));
                    port.external_ids = Some(interface.map("external_ids"));
                }
                _ => {}
            }
        }
        for row in rows(3) {
            let name = row.text("name").unwrap_or_default();
            let port = known.entry(name).or_insert_with(|| entry(name));
            port.row = Some(PortRow {
                mac: row.text("mac").unwrap_or_default().to_owned(),
                address: super::resolve::told(row, "ip_addr").map(str::to_owned),
                metadata: row.map("metadata"),
            });
        }
        Ok(known.into_values().collect())
    }

    async fn select(&self, object: &str, table: &str) -> Result<Vec<Row>, VrsError> {
        let select = [Operation::select(table, [])];
        let mut found = self.transact("read", object, &select).await?;
        Ok(found
            .pop()
            .map(|result| result.into_rows())
            .unwrap_or_default())
    }
}
