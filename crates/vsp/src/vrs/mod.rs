//! What a host's switch is told: its ports and whom they belong to.
//!
//! VRS is an Open vSwitch whose database has two tables more: `Nuage_Port_Table`, a row for
//! each port, and `Nuage_VM_Table`, a row for each container (or machine) with the names of
//! its ports. The switch's controller looks at both and, when it has understood a port, writes
//! its address there. A port is plugged by one transaction: all of it is there, or nothing.

mod change;
mod entity;
mod error;
mod plug;
mod read;
mod resolve;
mod unplug;

pub use entity::{Activation, Entity, Port};
pub use error::VrsError;
pub use read::{Known, PortRow, Recorded};
pub use resolve::Resolved;

use fairlead_ovsdb::{Client, Endpoints, OpResult, Operation, Settings};
use fairlead_types::IfName;

/// The database of Open vSwitch.
const DATABASE: &str = "Open_vSwitch";
/// A row for each port.
const PORTS: &str = "Nuage_Port_Table";
/// A row for each entity.
const ENTITIES: &str = "Nuage_VM_Table";

/// What is read and written here; a switch without it is no VRS.
const NEEDED: &[(&str, &[&str])] = &[
    (
        PORTS,
        &[
            "name",
            "mac",
            "bridge",
            "ip_addr",
            "subnet_mask",
            "gateway",
            "alias",
            "nuage_domain",
            "nuage_network",
            "nuage_zone",
            "nuage_network_type",
            "evpn_id",
            "vrf_id",
            "dirty",
            "vm_domain",
            "metadata",
        ],
    ),
    (
        ENTITIES,
        &[
            "vm_uuid",
            "vm_name",
            "type",
            "domain",
            "event",
            "event_type",
            "state",
            "reason",
            "nuage_user",
            "nuage_enterprise",
            "metadata",
            "ports",
            "dirty",
        ],
    ),
    ("Open_vSwitch", &["external_ids"]),
    ("Bridge", &["name", "ports"]),
    ("Port", &["name", "interfaces"]),
    ("Interface", &["name", "external_ids"]),
    ("Controller", &["role"]),
];

/// A host's switch. Clones use the same connection.
#[derive(Debug, Clone)]
pub struct Vrs {
    client: Client,
    bridge: IfName,
}

impl Vrs {
    /// Connects, and looks whether the database is one of VRS. The bridge need not be there
    /// yet.
    ///
    /// # Errors
    /// Nobody answers within the settings' limit, or it lacks tables or columns, all of which
    /// are named.
    pub async fn connect(
        endpoints: impl Into<Endpoints>,
        bridge: IfName,
        settings: Settings,
    ) -> Result<Self, VrsError> {
        let endpoints = endpoints.into();
        let shown = endpoints.to_string();
        let connect = |source| VrsError::Connect {
            endpoints: shown.clone(),
            source: Box::new(source),
        };
        let client = Client::new(endpoints, settings).map_err(connect)?;
        let schema = client.get_schema(DATABASE).await.map_err(connect)?;
        schema.require(NEEDED).map_err(|source| VrsError::NoVrs {
            endpoints: shown.clone(),
            source,
        })?;
        Ok(Self { client, bridge })
    }

    /// The bridge that ports are put on.
    #[must_use]
    pub fn bridge(&self) -> &IfName {
        &self.bridge
    }

    /// The connection, as for whether there is one.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn transact(
        &self,
        doing: &'static str,
        object: &str,
        operations: &[Operation],
    ) -> Result<Vec<OpResult>, VrsError> {
        let done = self.client.transact(DATABASE, operations).await;
        done.map_err(|source| VrsError::Ovsdb {
            doing,
            object: object.to_owned(),
            source: Box::new(source),
        })
    }

    fn no_bridge(&self) -> VrsError {
        VrsError::NoBridge {
            bridge: self.bridge.to_string(),
            endpoints: self.client.endpoints().to_owned(),
        }
    }
}
