//! What the switch tells.

use crate::common::{entity, port, quiet, vrs, vrs_of};
use fairlead_tests::{Node, Ovs, OvsPlan, patience};
use fairlead_vsp::vrs::{Activation, Resolved, VrsError};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn another_switch_is_told_from_vrs() {
    let node = Node::unplugged("node");
    let plan = OvsPlan {
        vswitchd: false,
        stock: true,
        ..OvsPlan::default()
    };
    let ovs = Ovs::start(&node, plan);
    let error = vrs_of(&node, &ovs, "alubr0").await.expect_err("no VRS");
    let words = error.to_string();
    assert!(words.contains("no Nuage VRS"), "{words}");
    assert!(
        words.contains("table Nuage_Port_Table, table Nuage_VM_Table"),
        "{words}"
    );
}

#[tokio::test]
async fn an_audit_sees_what_does_not_fit_together() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    let entity = entity("c1", Activation::Split);
    for link in ["both", "no-row", "no-interface"] {
        vrs.add(&entity, &port(link)).await.expect("it is plugged");
    }
    ovs.vsctl(&node, "--no-wait del-port alubr0 no-interface");
    ovs.transact(
        &node,
        &[json!({"op": "delete", "table": "Nuage_Port_Table",
        "where": [["name", "==", "no-row"]]})],
    );
    ovs.resolve(&node, "both", "10.21.59.3", "255.255.255.0", "10.21.59.1");
    let known = vrs.ports().await.expect("ports");
    let seen: Vec<_> = known
        .iter()
        .map(|port| {
            (
                port.name.as_str(),
                port.row.is_some(),
                port.external_ids.is_some(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("both", true, true),
            ("no-interface", true, false),
            ("no-row", false, true)
        ]
    );
    let row = known[0].row.as_ref().expect("a row");
    assert_eq!(row.address.as_deref(), Some("10.21.59.3"));
    let ids = known[0].external_ids.as_ref().expect("interface");
    assert_eq!(ids.get("vm_uuid").map(String::as_str), Some("c1"));
}

#[tokio::test]
async fn the_controllers_address_is_waited_for() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    vrs.add(&entity("c1", Activation::Split), &port("nln1-1"))
        .await
        .expect("it is plugged");
    let error = vrs
        .resolved("nln1-1", Duration::from_millis(100))
        .await
        .expect_err("none");
    assert!(matches!(error, VrsError::Unresolved { .. }), "{error}");
    ovs.resolve(&node, "nln1-1", "0.0.0.0", "0.0.0.0", "0.0.0.0");
    let waiting = {
        let vrs = vrs.clone();
        tokio::spawn(async move { vrs.resolved("nln1-1", patience()).await })
    };
    // It waits, whatever is written in between.
    tokio::task::yield_now().await;
    ovs.resolve(&node, "nln1-1", "10.21.59.3", "", "");
    ovs.resolve(&node, "nln1-1", "10.21.59.3", "255.255.255.0", "10.21.59.1");
    let resolved = waiting.await.expect("a task").expect("an address");
    let expected = Resolved {
        ip: "10.21.59.3".parse().expect("an address"),
        mask: "255.255.255.0".parse().expect("an address"),
        gateway: "10.21.59.1".parse().expect("an address"),
        mac: "7a:42:01:02:03:04".parse().expect("a MAC address"),
    };
    assert_eq!(resolved, expected);
    ovs.resolve(&node, "nln1-1", "10.21.59", "255.255.255.0", "10.21.59.1");
    let error = vrs
        .resolved("nln1-1", patience())
        .await
        .expect_err("no address");
    assert!(
        error
            .to_string()
            .contains("ip_addr of port nln1-1 is '10.21.59'"),
        "{error}"
    );
}

#[tokio::test]
async fn a_port_that_goes_is_waited_for_no_longer() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    let waiting = {
        let vrs = vrs.clone();
        tokio::spawn(async move { vrs.resolved("nln1-1", patience()).await })
    };
    // It must have seen the port before the port goes, so this goes on until it has.
    while !waiting.is_finished() {
        let entity = entity("c1", Activation::Split);
        vrs.add(&entity, &port("nln1-1")).await.expect("plugged");
        vrs.remove("nln1-1").await.expect("it is taken away");
    }
    let error = waiting.await.expect("a task").expect_err("it is gone");
    assert!(matches!(error, VrsError::Unregistered { .. }), "{error}");
}

#[tokio::test]
async fn host_and_controller_are_known() {
    let node = Node::unplugged("node");
    let ovs = quiet(&node);
    let vrs = vrs(&node, &ovs).await;
    let id = vrs.system_id().await.expect("an answer");
    assert_eq!(id.as_deref(), Some(ovs.plan().system_id.as_str()));
    ovs.vsctl(
        &node,
        "--no-wait remove Open_vSwitch . external_ids system-id",
    );
    assert_eq!(vrs.system_id().await.expect("an answer"), None);

    assert!(!vrs.controller_connected().await.expect("an answer"));
    ovs.vsctl(
        &node,
        "--no-wait set-controller alubr0 tcp:192.0.2.1 tcp:192.0.2.2",
    );
    assert!(!vrs.controller_connected().await.expect("an answer"));
    let role = |target: &str, role: &str| {
        let operation = json!({"op": "update", "table": "Controller",
            "where": [["target", "==", target]], "row": {"role": role}});
        ovs.transact(&node, &[operation]);
    };
    role("tcp:192.0.2.1", "slave");
    role("tcp:192.0.2.2", "master");
    assert!(vrs.controller_connected().await.expect("an answer"));
    role("tcp:192.0.2.1", "master");
    assert!(!vrs.controller_connected().await.expect("an answer"));
}
