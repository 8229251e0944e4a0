//! What the rows say.

use crate::common::{ODD, all, entity, interface, port, quiet, vrs};
use fairlead_tests::{Node, Ovs};
use fairlead_vsp::vrs::{Activation, Entity, Port};
use serde_json::{Value, json};

#[tokio::test]
async fn a_port_of_split_activation_has_the_rows_of_the_switch() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    let entity = entity("c1", Activation::Split);
    vrs.add(&entity, &port("nln1-1"))
        .await
        .expect("it is plugged");
    assert_eq!(ovs.ports(&node), ["nln1-1"]);
    assert_eq!(
        interface(&node, &ovs, "nln1-1")["external_ids"],
        json!({"vm_uuid": "c1", "vm_name": "name of c1", "NUAGE-ENTERPRISE": "Enterprise",
               "NUAGE-DOMAIN": "Domain", "NUAGE-NETWORK": "Subnet 2"})
    );
    let mut row = ovs.rows(&node, "Nuage_Port_Table").remove(0);
    row.as_object_mut().expect("a row").remove("_uuid");
    assert_eq!(
        row,
        json!({"name": "nln1-1", "mac": "7a:42:01:02:03:04", "bridge": "alubr0", "alias": "",
               "ip_addr": "", "subnet_mask": "", "gateway": "", "nuage_domain": "",
               "nuage_network": "", "nuage_zone": "", "nuage_network_type": "", "evpn_id": 0,
               "vrf_id": 0, "dirty": 0, "vm_domain": 4, "metadata": {
                   "nuage-enterprise-domain": "", "nuage-enterprise-network": "",
                   "nuage-enterprise-zone": "", "nuage-enterprise-network-type": ""}})
    );
    let mut row = ovs.rows(&node, "Nuage_VM_Table").remove(0);
    row.as_object_mut().expect("a row").remove("_uuid");
    assert_eq!(
        row,
        json!({"vm_uuid": "c1", "vm_name": "name of c1", "type": 4, "domain": 4, "event": 0,
               "event_type": 0, "state": 1, "reason": 0, "nuage_user": "",
               "nuage_enterprise": "", "ports": "nln1-1", "dirty": 0,
               "metadata": {"enterprise": "", "nuage-extension": "true"}})
    );
    let booted = Entity {
        uuid: "c2".to_owned(),
        activation: Activation::SplitBooted,
        ..entity
    };
    vrs.add(&booted, &port("nln2-1"))
        .await
        .expect("it is plugged");
    let rows = ovs.rows(&node, "Nuage_VM_Table");
    let row = rows
        .iter()
        .find(|row| row["vm_uuid"] == "c2")
        .expect("a row");
    let event = ["event", "event_type", "state", "reason"].map(|column| row[column].clone());
    assert_eq!(event, [2, 0, 1, 1]);
}

#[tokio::test]
async fn a_port_that_tells_all_has_names_in_its_rows() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    let port = Port {
        ip: Some("10.21.59.7".parse().expect("an address")),
        ..port("veth12345")
    };
    let entity = entity("e1", Activation::Metadata);
    vrs.add(&entity, &port).await.expect("it is plugged");
    assert_eq!(
        interface(&node, &ovs, "veth12345")["external_ids"],
        json!({"vm-uuid": "e1", "vm-name": "name of e1"})
    );
    let row = &ovs.rows(&node, "Nuage_Port_Table")[0];
    for (column, value) in [
        ("nuage_domain", "Domain"),
        ("nuage_network", "Subnet 2"),
        ("nuage_zone", "Zone"),
        ("nuage_network_type", "ipv4"),
    ] {
        assert_eq!(row[column], value, "{column}");
    }
    assert_eq!(
        row["metadata"],
        json!({"nuage-enterprise-domain": "Domain", "nuage-enterprise-network": "Subnet 2",
               "nuage-enterprise-zone": "Zone", "nuage-enterprise-network-type": "ipv4",
               "static-ip": "10.21.59.7"})
    );
    let row = &ovs.rows(&node, "Nuage_VM_Table")[0];
    assert_eq!(
        (&row["nuage_user"], &row["nuage_enterprise"]),
        (&json!("admin"), &json!("Enterprise"))
    );
    assert_eq!(row["metadata"], json!({"enterprise": "Enterprise"}));
    let event = ["event", "event_type", "state", "reason"].map(|column| row[column].clone());
    assert_eq!(event, [2, 0, 1, 1]);
}

#[tokio::test]
async fn every_name_arrives_untouched() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    let activations = [Activation::Split, Activation::Metadata];
    for (number, activation) in activations.into_iter().enumerate() {
        let (entity, port) = odd(number, activation);
        vrs.add(&entity, &port).await.expect("it is plugged");
        arrived(&node, &ovs, &entity, &port);
        let link = port.name.as_str();
        let real = format!("{ODD}{number}");
        vrs.rename(link, &real, ODD).await.expect("renamed");
        assert_eq!(
            ovs.rows(&node, "Nuage_VM_Table")[0]["vm_uuid"],
            real.as_str()
        );
        vrs.remove(link).await.expect("it is taken away");
    }
    assert_eq!(all(&node, &ovs), Vec::<Value>::new());
}

fn odd(number: usize, activation: Activation) -> (Entity, Port) {
    let odd = || ODD.to_owned();
    let entity = Entity {
        uuid: format!("c{number}{ODD}"),
        name: odd(),
        user: odd(),
        enterprise: odd(),
        activation,
    };
    let port = Port {
        enterprise: odd(),
        domain: odd(),
        zone: odd(),
        subnet: odd(),
        ..port(&format!("odd'\"$;{number}"))
    };
    (entity, port)
}

fn arrived(node: &Node, ovs: &Ovs, entity: &Entity, port: &Port) {
    let ids = &interface(node, ovs, port.name.as_str())["external_ids"];
    let row = &ovs.rows(node, "Nuage_VM_Table")[0];
    assert_eq!(row["vm_uuid"], entity.uuid.as_str());
    assert_eq!(row["vm_name"], ODD);
    if entity.activation != Activation::Metadata {
        for key in [
            "vm_name",
            "NUAGE-ENTERPRISE",
            "NUAGE-DOMAIN",
            "NUAGE-NETWORK",
        ] {
            assert_eq!(ids[key], ODD, "{key}");
        }
        return;
    }
    assert_eq!(ids["vm-name"], ODD);
    assert_eq!(row["nuage_user"], ODD);
    assert_eq!(row["nuage_enterprise"], ODD);
    assert_eq!(row["metadata"]["enterprise"], ODD);
    let row = &ovs.rows(node, "Nuage_Port_Table")[0];
    assert_eq!(row["name"], port.name.as_str());
    assert_eq!(row["nuage_zone"], ODD);
    assert_eq!(row["metadata"]["nuage-enterprise-network"], ODD);
}
