//! A switch for a test, and what is put on it.

use fairlead_ovsdb::{Endpoint, Settings};
use fairlead_tests::{Node, Ovs, OvsPlan};
use fairlead_types::IfName;
use fairlead_vsp::vrs::{Activation, Entity, Port, Vrs, VrsError};
use serde_json::{Value, json};
use std::time::Duration;

/// Nothing in it may be taken for something else.
pub(crate) const ODD: &str = "it's \"2\" $(id) `id`; a|b & \\ { } [x], 日本=ü\n#";

/// A node whose database has nobody that acts on it.
pub(crate) fn quiet(node: &Node) -> Ovs {
    let plan = OvsPlan {
        vswitchd: false,
        ..OvsPlan::default()
    };
    Ovs::start(node, plan)
}

pub(crate) fn name(text: &str) -> IfName {
    IfName::new(text).expect("a name")
}

pub(crate) async fn vrs_of(node: &Node, ovs: &Ovs, bridge: &str) -> Result<Vrs, VrsError> {
    let settings = Settings {
        call_limit: Duration::from_secs(30),
        back_off_first: Duration::from_millis(10),
        back_off_most: Duration::from_millis(50),
        ..Settings::default()
    };
    Vrs::connect(Endpoint::unix(ovs.socket(node)), name(bridge), settings).await
}

pub(crate) async fn vrs(node: &Node, ovs: &Ovs) -> Vrs {
    vrs_of(node, ovs, "alubr0").await.expect("a switch")
}

pub(crate) fn entity(uuid: &str, activation: Activation) -> Entity {
    Entity {
        uuid: uuid.to_owned(),
        name: format!("name of {uuid}"),
        user: "admin".to_owned(),
        enterprise: "Enterprise".to_owned(),
        activation,
    }
}

pub(crate) fn port(link: &str) -> Port {
    Port {
        name: name(link),
        mac: "7a:42:01:02:03:04".parse().expect("a MAC address"),
        enterprise: "Enterprise".to_owned(),
        domain: "Domain".to_owned(),
        zone: "Zone".to_owned(),
        subnet: "Subnet 2".to_owned(),
        ip: None,
    }
}

/// Rows of both tables and of the bridge's interfaces, without identities.
pub(crate) fn all(node: &Node, ovs: &Ovs) -> Vec<Value> {
    let mut rows = Vec::new();
    for table in ["Nuage_Port_Table", "Nuage_VM_Table"] {
        for mut row in ovs.rows(node, table) {
            row.as_object_mut().expect("a row").remove("_uuid");
            rows.push(row);
        }
    }
    for row in ovs.rows(node, "Interface") {
        if row["name"] != "alubr0" {
            rows.push(json!({"name": row["name"], "external_ids": row["external_ids"]}));
        }
    }
    rows.sort_by_key(Value::to_string);
    rows
}

pub(crate) fn interface(node: &Node, ovs: &Ovs, link: &str) -> Value {
    let rows = ovs.rows(node, "Interface");
    let found = rows.into_iter().find(|row| row["name"] == link);
    found.unwrap_or_else(|| panic!("there is no interface {link}"))
}
