//! Whom a port belongs to, and the rows that say so.

use fairlead_ovsdb::{Row, Value};
use fairlead_types::{IfName, Mac};
use std::net::Ipv4Addr;

/// `Nuage_VM_Table.type`: a container.
const CONTAINER: i64 = 4;
/// `domain` and `vm_domain`: Docker.
const DOCKER: i64 = 4;

/// How the controller comes to know a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// VSD has been told of the container already: the row only says that it is here. The
    /// event is "defined".
    Split,
    /// The same, with the event "booted". Some controllers want it.
    SplitBooted,
    /// The rows tell the controller everything: names of user, enterprise, domain, zone and
    /// subnet. Nobody asks VSD. The event follows the row.
    Metadata,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// Its identity, as VSD knows it.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// The user of VSD, where the rows tell all.
    pub user: String,
    /// The enterprise of VSD, where the rows tell all.
    pub enterprise: String,
    /// How the controller comes to know it.
    pub activation: Activation,
}

/// One of a container's ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The link's end that is on the bridge.
    pub name: IfName,
    /// The hardware address of the container's end.
    pub mac: Mac,
    /// The enterprise of VSD.
    pub enterprise: String,
    /// The domain.
    pub domain: String,
    /// The zone.
    pub zone: String,
    /// The subnet.
    pub subnet: String,
    /// The address that it shall have, where the rows tell all.
    pub ip: Option<Ipv4Addr>,
}

/// Event and state of an entity: `event`, `event_type`, `state`, `reason`.
type Event = [i64; 4];
/// Defined, added; running.
const DEFINED: Event = [0, 0, 1, 0];
/// Started, booted; running, booted.
const BOOTED: Event = [2, 0, 1, 1];

fn event(row: Row, [event, kind, state, reason]: Event) -> Row {
    row.with("event", event)
        .with("event_type", kind)
        .with("state", state)
        .with("reason", reason)
}

/// The keys of an interface that name the entity, by how it is activated.
pub(super) fn keys(activation: Activation) -> (&'static str, &'static str) {
    match activation {
        Activation::Split | Activation::SplitBooted => ("vm_uuid", "vm_name"),
        Activation::Metadata => ("vm-uuid", "vm-name"),
    }
}

impl Entity {
    /// What is the same in its row whenever it is written.
    pub(super) fn names(&self) -> Row {
        let named = Row::new().with("vm_name", &self.name);
        match self.activation {
            Activation::Split | Activation::SplitBooted => named
                .with("nuage_user", "")
                .with("nuage_enterprise", "")
                .with(
                    "metadata",
                    Value::map([("enterprise", ""), ("nuage-extension", "true")]),
                ),
            Activation::Metadata => named
                .with("nuage_user", &self.user)
                .with("nuage_enterprise", &self.enterprise)
                .with("metadata", Value::map([("enterprise", &self.enterprise)])),
        }
    }

    /// Its row, when it gets its first port.
    pub(super) fn row(&self, port: &str) -> Row {
        let row = self
            .names()
            .with("vm_uuid", &self.uuid)
            .with("type", CONTAINER)
            .with("domain", DOCKER)
            .with("dirty", 0)
            .with("ports", port);
        match self.activation {
            Activation::SplitBooted => event(row, BOOTED),
            Activation::Split | Activation::Metadata => event(row, DEFINED),
        }
    }

    /// What is told after the row, if anything is.
    pub(super) fn afterwards(&self) -> Option<Row> {
        match self.activation {
            Activation::Metadata => Some(event(Row::new(), BOOTED)),
            Activation::Split | Activation::SplitBooted => None,
        }
    }
}

impl Port {
    /// What its interface says.
    pub(super) fn external_ids(&self, entity: &Entity) -> Value {
        let (uuid, name) = keys(entity.activation);
        let mut pairs = vec![(uuid, &entity.uuid), (name, &entity.name)];
        if entity.activation != Activation::Metadata {
            pairs.push(("NUAGE-ENTERPRISE", &self.enterprise));
            pairs.push(("NUAGE-DOMAIN", &self.domain));
            pairs.push(("NUAGE-NETWORK", &self.subnet));
        }
        Value::map(pairs)
    }

    /// Its row, without what the controller writes.
    pub(super) fn row(&self, activation: Activation, bridge: &IfName) -> Row {
        let none = String::new();
        let (domain, zone, subnet, kind) = match activation {
            Activation::Split | Activation::SplitBooted => (&none, &none, &none, ""),
            Activation::Metadata => (&self.domain, &self.zone, &self.subnet, "ipv4"),
        };
        let mut metadata = vec![
            ("nuage-enterprise-domain", domain.clone()),
            ("nuage-enterprise-network", subnet.clone()),
            ("nuage-enterprise-zone", zone.clone()),
            ("nuage-enterprise-network-type", kind.to_owned()),
        ];
        if let (Activation::Metadata, Some(ip)) = (activation, self.ip) {
            metadata.push(("static-ip", ip.to_string()));
        }
        Row::new()
            .with("name", self.name.as_str())
            .with("mac", self.mac.to_string())
            .with("bridge", bridge.as_str())
            .with("alias", "")
            .with("nuage_domain", domain)
            .with("nuage_network", subnet)
            .with("nuage_zone", zone)
            .with("nuage_network_type", kind)
            .with("evpn_id", 0)
            .with("vrf_id", 0)
            .with("dirty", 0)
            .with("vm_domain", DOCKER)
            .with("metadata", Value::map(metadata))
    }
}
