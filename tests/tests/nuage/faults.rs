//! The controller or the switch is away, or answers what makes no sense.

use crate::case::{Case, FILE, PROGRAM, SETTINGS, log_of, prepare, seed, start, text};
use fairlead_tests::{Docker, Node, Ovs, OvsPlan, Vsd, eventually, patience};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Settings with little patience.
fn hasty() -> String {
    let settings = SETTINGS.replace("numofretries:   5", "numofretries:   2");
    let settings = settings.replace("timeinterval:   100", "timeinterval:   10");
    format!("{settings}requesttimeout: 1\nauditinterval: 1\n")
}

fn hasty_case() -> Case {
    Case::with(Docker::plan(), &hasty(), &seed())
}

const RUN: &str = "--net MyNet busybox sleep 100000";
const HOST: &str = "127.0.0.1:8443";

/// The controller's ids of its containers: none of them was made again.
fn ids(case: &Case) -> BTreeSet<String> {
    let all = case.vsd.state("containers");
    all.iter().map(|one| text(&one["ID"])).collect()
}

#[test]
fn a_controller_that_is_away_for_half_a_minute_is_told_and_caught_up_with() {
    let case = hasty_case();
    case.create();
    for name in ["one", "two"] {
        case.run(name, "--net MyNet");
    }
    case.is_up(2);
    let gone = case.address("one");
    case.vsd.down(true);
    let since = Instant::now();
    case.docker("rm -f one");
    assert_eq!(case.ovs.ports(&case.node).len(), 1, "its port is gone");
    assert_eq!(case.links().len(), 1);
    let late = format!("run --rm --name late {RUN}");
    let refused = || case.refused(&late, &["RequestAddress", HOST, "VSD up?"]);
    refused();
    eventually(Duration::from_secs(60), || match since.elapsed() {
        long if long >= Duration::from_secs(30) => Ok(()),
        short => Err(short),
    });
    refused();
    let left = case.leases();
    let states: BTreeSet<String> = left.iter().map(|lease| text(&lease["state"])).collect();
    assert_eq!(left.len(), 2, "no try left anything: {left:?}");
    assert!(
        states.contains("leaving") && states.contains("held"),
        "{left:?}"
    );
    assert_eq!(case.vsd.state("containers").len(), 2);
    case.docker("exec two true");
    case.vsd.down(false);
    case.run("three", "--net MyNet");
    case.is_up(2);
    let names = case.vsd.state("containers");
    let names: BTreeSet<String> = names.iter().map(|one| text(&one["name"])).collect();
    assert_eq!(names, BTreeSet::from(["two".into(), "three".into()]));
    case.run("again", &format!("--net MyNet --ip {gone}"));
    case.is_up(3);
    case.docker("rm -f two three again");
    case.is_empty();
}

#[test]
fn the_drivers_serve_though_the_controller_comes_later() {
    let node = Node::new();
    prepare(&node, &hasty());
    let vsd = Vsd::start(&node, &seed());
    vsd.down(true);
    let ovs = Ovs::start(&node, OvsPlan::default());
    let plugin = Some(start(&node));
    let docker = Docker::plan().start(&node);
    let case = Case {
        plugin,
        docker,
        vsd,
        ovs,
        node,
    };
    case.is_followed(1);
    case.refused(crate::case::CREATE, &["RequestPool", HOST, "VSD up?"]);
    case.vsd.down(false);
    case.create();
    case.run("one", "--net MyNet");
    case.is_up(1);
    case.docker("rm -f one");
    case.is_empty();
}

#[test]
fn a_wrong_password_ends_the_program_and_is_not_told() {
    let node = Node::new();
    // swordfish-71, and csproot:swordfish-71.
    let password = "c3dvcmRmaXNoLTcx";
    let pair = "Y3Nwcm9vdDpzd29yZGZpc2gtNzE=";
    let old = "password: Y3Nwcm9vdA==";
    prepare(
        &node,
        &SETTINGS.replace(old, &format!("password: {password}")),
    );
    let vsd = Vsd::start(&node, &seed());
    let _ovs = Ovs::start(&node, OvsPlan::default());
    let ran = node.sh(&format!("{PROGRAM} {FILE}"));
    assert_eq!(ran.status, Some(1), "{ran:?}");
    for word in ["csproot", HOST, "check username, password"] {
        assert!(ran.stderr.contains(word), "{word}: {ran:?}");
    }
    let log = log_of(&node);
    assert!(log.contains("check username, password"), "{log}");
    for secret in ["swordfish-71", password, pair] {
        assert!(!log.contains(secret), "{secret}: {log}");
        assert!(!format!("{ran:?}").contains(secret), "{secret}: {ran:?}");
    }
    let refused = vsd.requests();
    assert!(
        refused.iter().all(|one| one["status"] == 401),
        "{refused:?}"
    );
}

#[test]
fn answers_that_make_no_sense_are_told_and_double_nothing() {
    let case = hasty_case();
    let told: [(&str, &[&str]); 3] = [
        (
            "garbage",
            &[HOST, "makes no sense", "is the url that of a VSD?"],
        ),
        (
            "html",
            &[HOST, "makes no sense", "is the url that of a VSD?"],
        ),
        // So a controller says that there is none.
        ("empty", &["no enterprises found with name Enterprise"]),
    ];
    for (body, words) in told {
        let fault = json!({"method": "GET", "path": "/enterprises$", "body": body, "times": 1});
        case.vsd.fault(&fault);
        case.refused(crate::case::CREATE, words);
    }
    case.create();
    // It did what was asked for, so it is asked what there is.
    let spoiled = [
        json!({"body": "garbage"}),
        json!({"body": "html"}),
        json!({"body": "empty"}),
        json!({"delay_ms": 1500}),
        json!({"drop": "after"}),
    ];
    for (number, spoil) in spoiled.iter().enumerate() {
        let mut fault = spoil.clone();
        fault["method"] = json!("POST");
        fault["path"] = json!("^/containers$");
        fault["times"] = json!(1);
        case.vsd.fault(&fault);
        case.run(&format!("box{number}"), "--net MyNet");
        case.is_up(number + 1);
        assert_eq!(case.vsd.faults(), Vec::<Value>::new());
    }
    assert_eq!(case.vsd.state("vports").len(), spoiled.len());
    for (number, spoil) in spoiled.iter().enumerate() {
        let mut fault = spoil.clone();
        fault["method"] = json!("DELETE");
        fault["path"] = json!("^/containers/");
        fault["times"] = json!(1);
        case.vsd.fault(&fault);
        case.docker(&format!("rm -f box{number}"));
    }
    case.is_empty();
}

#[test]
fn a_database_that_is_started_again_has_lost_nothing() {
    let mut case = hasty_case();
    case.create();
    case.run("one", "--net MyNet");
    case.is_up(1);
    let before = ids(&case);
    let ports = case.ovs.rows(&case.node, "Port");
    case.ovs.kill_server();
    case.ovs.restart_server(&case.node);
    case.is_up(1);
    assert_eq!(
        case.ovs.rows(&case.node, "Port"),
        ports,
        "nothing was made again"
    );
    case.run("two", "--net MyNet");
    case.is_up(2);
    case.ovs.stop_server();
    case.ovs.restart_server(&case.node);
    case.run("three", "--net MyNet");
    case.is_up(3);
    assert!(ids(&case).is_superset(&before));
    case.docker("rm -f one two three");
    case.is_empty();
}

#[test]
fn containers_come_and_go_while_the_database_is_away() {
    let mut case = hasty_case();
    case.create();
    case.run("one", "--net MyNet");
    case.is_up(1);
    case.ovs.kill_server();
    case.run("two", "--net MyNet");
    case.docker("exec two true");
    case.docker("rm -f one");
    case.ovs.restart_server(&case.node);
    case.is_up(1);
    case.ovs.kill_server();
    case.docker("rm -f two");
    case.ovs.restart_server(&case.node);
    case.is_empty();
}

#[test]
fn a_database_without_its_data_gets_the_ports_again() {
    let mut case = hasty_case();
    case.create();
    for name in ["one", "two"] {
        case.run(name, "--net MyNet");
    }
    case.is_up(2);
    let before = ids(&case);
    case.ovs.stop_server();
    case.ovs.restart_server_without_data(&case.node);
    case.is_up(2);
    assert_eq!(ids(&case), before, "the controller has lost nothing");
    let address = case.address("two");
    eventually(patience(), || {
        let line = format!("exec one ping -c 1 -w 2 {address}");
        let ran = case.docker.cli(&case.node, &line);
        if ran.status == Some(0) {
            Ok(())
        } else {
            Err(ran)
        }
    });
    case.docker("rm -f one two");
    case.is_empty();
}

#[test]
fn a_bridge_that_comes_later_gets_the_ports_then() {
    let case = hasty_case();
    case.create();
    case.ovs.vsctl(&case.node, "del-br alubr0");
    case.run("one", "--net MyNet");
    case.docker("exec one true");
    case.logs("has no bridge alubr0; make it", 1);
    let make = "add-br alubr0 -- set Bridge alubr0 datapath_type=netdev";
    case.ovs.vsctl(&case.node, make);
    case.is_up(1);
    let told = case.log().matches("has no bridge alubr0; make it").count();
    assert!(told < 20, "it is told with longer and longer waits: {told}");
    case.docker("rm -f one");
    case.is_empty();
}

#[test]
fn a_switch_without_the_tables_of_vrs_ends_the_program() {
    let node = Node::new();
    prepare(&node, SETTINGS);
    let _vsd = Vsd::start(&node, &seed());
    let plan = OvsPlan {
        stock: true,
        ..OvsPlan::default()
    };
    let _ovs = Ovs::start(&node, plan);
    let ran = node.sh(&format!("{PROGRAM} {FILE}"));
    assert_eq!(ran.status, Some(1), "{ran:?}");
    for word in ["Nuage_Port_Table", "Nuage_VM_Table", "no Nuage VRS"] {
        assert!(ran.stderr.contains(word), "{word}: {ran:?}");
    }
}
