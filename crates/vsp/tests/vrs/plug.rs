//! Ports that come, go and change.

use crate::common::{all, entity, interface, port, quiet, vrs, vrs_of};
use fairlead_tests::{Node, Ovs, OvsPlan, Place, eventually, patience};
use fairlead_vsp::vrs::{Activation, Port, VrsError};
use serde_json::{Value, json};

#[tokio::test]
async fn twice_is_as_once_and_a_port_in_use_is_not_touched() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    for (link, activation) in [
        ("nln1-1", Activation::Split),
        ("nln2-1", Activation::Metadata),
    ] {
        let entity = entity(link, activation);
        vrs.add(&entity, &port(link)).await.expect("it is plugged");
        ovs.resolve(&node, link, "10.21.59.3", "255.255.255.0", "10.21.59.1");
        // What the controller may fill in is its own.
        ovs.transact(
            &node,
            &[json!({"op": "update", "table": "Nuage_Port_Table",
            "where": [["name", "==", link]], "row": {"evpn_id": 7}})],
        );
        let (before, made) = (
            all(&node, &ovs),
            interface(&node, &ovs, link)["_uuid"].clone(),
        );
        vrs.add(&entity, &port(link)).await.expect("it is plugged");
        assert_eq!(all(&node, &ovs), before);
        assert_eq!(interface(&node, &ovs, link)["_uuid"], made);
    }
    for link in ["nln1-1", "nln2-1", "nln2-1", "never"] {
        vrs.remove(link).await.expect("it is taken away");
    }
    assert_eq!(all(&node, &ovs), Vec::<Value>::new());
    assert_eq!(ovs.ports(&node), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_port_of_the_name_left_is_replaced() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    let old = entity("old", Activation::Metadata);
    vrs.add(&old, &port("nln1-1")).await.expect("it is plugged");
    vrs.add(&old, &port("nln9-1")).await.expect("it is plugged");
    ovs.resolve(&node, "nln1-1", "10.21.59.3", "255.255.255.0", "10.21.59.1");
    let new = entity("new", Activation::Split);
    let other = Port {
        mac: "7a:42:09:09:09:09".parse().expect("a MAC address"),
        ..port("nln1-1")
    };
    vrs.add(&new, &other).await.expect("it is plugged");
    assert_eq!(ovs.ports(&node), ["nln1-1", "nln9-1"]);
    let rows = ovs.rows(&node, "Nuage_Port_Table");
    let row = rows
        .iter()
        .find(|row| row["name"] == "nln1-1")
        .expect("a row");
    assert_eq!(
        (&row["mac"], &row["ip_addr"]),
        (&json!("7a:42:09:09:09:09"), &json!(""))
    );
    let ids = &interface(&node, &ovs, "nln1-1")["external_ids"];
    assert_eq!(
        (&ids["vm_uuid"], &ids["vm-uuid"]),
        (&json!("new"), &Value::Null)
    );
    let mut owners: Vec<_> = vrs.entities().await.expect("entities");
    owners.sort_by(|a, b| a.uuid.cmp(&b.uuid));
    let owners: Vec<_> = owners
        .iter()
        .map(|e| {
            (
                e.uuid.as_str(),
                e.ports.iter().map(String::as_str).collect::<Vec<_>>(),
            )
        })
        .collect();
    assert_eq!(owners, [("new", vec!["nln1-1"]), ("old", vec!["nln9-1"])]);
    // The last port of the other goes to the new one: nothing is left of the old.
    vrs.add(&new, &port("nln9-1")).await.expect("it is plugged");
    let entities = vrs.entities().await.expect("entities");
    assert_eq!(entities.len(), 1);
    assert_eq!(
        entities[0].ports.iter().collect::<Vec<_>>(),
        ["nln1-1", "nln9-1"]
    );
    // A port of another bridge has the name.
    ovs.vsctl(&node, "--no-wait add-br br9 -- add-port br9 nln5-1");
    vrs.add(&new, &port("nln5-1")).await.expect("it is plugged");
    assert_eq!(ovs.vsctl(&node, "port-to-br nln5-1"), "alubr0\n");
}

#[tokio::test]
async fn an_entity_keeps_its_row_until_its_last_port_goes() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    let entity = entity("c1", Activation::Split);
    for link in ["nln1-1", "nln2-1"] {
        vrs.add(&entity, &port(link)).await.expect("it is plugged");
    }
    let ports = || {
        ovs.rows(&node, "Nuage_VM_Table")
            .first()
            .map(|row| row["ports"].clone())
    };
    assert_eq!(ports(), Some(json!(["nln1-1", "nln2-1"])));
    vrs.remove("nln1-1").await.expect("it is taken away");
    assert_eq!(ports(), Some(json!("nln2-1")));
    // Parts of it have gone already.
    ovs.vsctl(&node, "--no-wait del-port alubr0 nln2-1");
    ovs.transact(
        &node,
        &[json!({"op": "delete", "table": "Nuage_Port_Table", "where": []})],
    );
    vrs.remove("nln2-1").await.expect("it is taken away");
    assert_eq!(ports(), None);
}

#[tokio::test]
async fn the_fake_identity_becomes_the_real_one() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    let fake = entity("fake", Activation::Split);
    vrs.add(&fake, &port("nln1-1"))
        .await
        .expect("it is plugged");
    for _ in 0..2 {
        vrs.rename("nln1-1", "real", "web 1")
            .await
            .expect("renamed");
        let ids = &interface(&node, &ovs, "nln1-1")["external_ids"];
        assert_eq!(
            (&ids["vm_uuid"], &ids["vm_name"]),
            (&json!("real"), &json!("web 1"))
        );
        assert_eq!(ids["NUAGE-NETWORK"], "Subnet 2");
        let rows = ovs.rows(&node, "Nuage_VM_Table");
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (&rows[0]["vm_uuid"], &rows[0]["vm_name"]),
            (&json!("real"), &json!("web 1"))
        );
    }
    // The container's second network.
    let fake = entity("fake2", Activation::Split);
    vrs.add(&fake, &port("nln2-1"))
        .await
        .expect("it is plugged");
    vrs.rename("nln2-1", "real", "web 1")
        .await
        .expect("renamed");
    let rows = ovs.rows(&node, "Nuage_VM_Table");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["ports"], json!(["nln1-1", "nln2-1"]));
    let error = vrs
        .rename("nln7-1", "real", "web")
        .await
        .expect_err("no port");
    assert!(matches!(error, VrsError::NoEntity { .. }), "{error}");
}

#[tokio::test]
async fn without_its_bridge_nothing_is_told() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs_of(&node, &ovs, "alubr9").await.expect("a switch");
    let error = vrs
        .add(&entity("c1", Activation::Split), &port("nln1-1"))
        .await;
    let error = error.expect_err("no bridge");
    assert!(matches!(error, VrsError::NoBridge { .. }), "{error}");
    assert!(error.to_string().contains("no bridge alubr9"), "{error}");
    assert_eq!(all(&node, &ovs), Vec::<Value>::new());
    vrs.remove("nln1-1").await.expect("there is nothing");
    let error = vrs.ports().await.expect_err("no bridge");
    assert!(matches!(error, VrsError::NoBridge { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_ports_of_one_entity_at_once_are_all_there() {
    let node = Node::unplugged("node");
    let mut ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    let links: Vec<String> = (1..=6).map(|i| format!("nln{i}-1")).collect();
    let adding: Vec<_> = links
        .iter()
        .map(|link| {
            let (vrs, port) = (vrs.clone(), port(link));
            tokio::spawn(async move { vrs.add(&entity("c1", Activation::Split), &port).await })
        })
        .collect();
    for task in adding {
        task.await.expect("a task").expect("it is plugged");
    }
    let row = &ovs.rows(&node, "Nuage_VM_Table")[0];
    assert_eq!(row["ports"], json!(links));
    // And the same switch after its database was away.
    ovs.kill_server();
    ovs.restart_server(&node);
    for link in &links {
        vrs.remove(link).await.expect("it is taken away");
    }
    assert_eq!(all(&node, &ovs), Vec::<Value>::new());
}

#[tokio::test]
async fn a_running_switch_takes_the_port() {
    let node = Node::unplugged("node");
    let ovs = Ovs::start(&node, OvsPlan::default());
    let vrs = vrs(&node, &ovs).await;
    node.run("ip link add nln1-1 type veth peer name nln1-2");
    vrs.add(&entity("c1", Activation::Split), &port("nln1-1"))
        .await
        .expect("it is plugged");
    let number = || interface(&node, &ovs, "nln1-1")["ofport"].clone();
    eventually(patience(), || match number().as_i64() {
        Some(number) if number > 0 => Ok(()),
        _ => Err(number()),
    });
    vrs.remove("nln1-1").await.expect("it is taken away");
    assert_eq!(ovs.ports(&node), Vec::<String>::new());
}
