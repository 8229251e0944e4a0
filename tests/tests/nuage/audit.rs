//! The audit: what nobody has goes, what a container lacks comes back, and nothing is
//! concluded from somebody's silence.

use crate::case::{Case, FILE, PROGRAM, SETTINGS, seed, text};
use fairlead_tests::{Docker, Place as _, eventually, patience};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Debug;

/// A host where an audit begins each second.
fn audited() -> Case {
    let settings = format!("{SETTINGS}auditinterval: 1\n");
    Case::with(Docker::plan(), &settings, &seed())
}

/// One where none begins by itself after the first.
fn quiet() -> Case {
    let settings = SETTINGS.replace("timeinterval:   100", "timeinterval:   10");
    let settings = format!("{settings}auditinterval: 86400\n");
    Case::with(Docker::plan(), &settings, &seed())
}

/// Asks the controller by curl, as its administrator.
#[track_caller]
fn asked(case: &Case, password: &str, method: &str, path: &str, body: &Value) -> Value {
    let url = format!("{}/nuage/api/v6{path}", case.vsd.url());
    let mut command = case.node.command("curl");
    command
        .args(["-sS", "--fail-with-body", "-m", "10", "-X", method])
        .args(["--cacert", case.vsd.ca_path()])
        .args(["-H", "X-Nuage-Organization: csp"])
        .args(["-H", "Content-Type: application/json"])
        .args(["-u", &format!("csproot:{password}"), &url]);
    if !body.is_null() {
        command.args(["-d", &body.to_string()]);
    }
    let output = command.output().expect("curl can be started");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{method} {path}: {printed}");
    serde_json::from_str(&printed).unwrap_or_default()
}

#[track_caller]
fn administrator(case: &Case, method: &str, path: &str, body: &Value) -> Value {
    let me = asked(case, "csproot", "GET", "/me", &Value::Null);
    asked(case, &text(&me[0]["APIKey"]), method, path, body)
}

/// A container that the controller has for that host, whose address and hardware address no
/// container of Docker's has.
#[track_caller]
fn leak_at_the_controller(case: &Case, name: &str, host: &str, number: u8) {
    let subnets = case.vsd.state("subnets");
    let subnet = subnets.iter().find(|one| one["address"] == "10.21.59.0");
    let interface = json!({
        "name": format!("nln{number:x}-1"),
        "MAC": format!("7a:42:00:00:00:{number:02x}"),
        "attachedNetworkID": subnet.unwrap()["ID"],
    });
    let body = json!({
        "name": name,
        "UUID": format!("{number:02x}").repeat(32),
        "externalID": host,
        "interfaces": [interface],
    });
    administrator(case, "POST", "/containers", &body);
}

/// How the controller knows this host.
fn host(case: &Case) -> String {
    text(&case.vsd.state("containers")[0]["externalID"])
}

fn names(case: &Case) -> BTreeSet<String> {
    let all = case.vsd.state("containers");
    all.iter().map(|one| text(&one["name"])).collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[track_caller]
fn becomes<T: PartialEq + Debug>(wanted: &T, mut found: impl FnMut() -> T) {
    eventually(patience() * 2, || {
        let found = found();
        if found == *wanted { Ok(()) } else { Err(found) }
    });
}

/// A cable and a port with both rows, as a crash may leave them.
#[track_caller]
fn leak_at_the_switch(case: &Case, name: &str) {
    let peer = name.replace("-1", "-2");
    case.node
        .run(&format!("ip link add {name} type veth peer name {peer}"));
    case.ovs
        .vsctl(&case.node, &format!("add-port alubr0 {name}"));
    let port = json!({"name": name, "mac": "7a:42:00:00:00:aa", "bridge": "alubr0"});
    let entity = json!({"vm_uuid": format!("entity of {name}"), "vm_name": "gone", "ports": name});
    case.ovs.transact(
        &case.node,
        &[
            json!({"op": "insert", "table": "Nuage_Port_Table", "row": port}),
            json!({"op": "insert", "table": "Nuage_VM_Table", "row": entity}),
        ],
    );
}

#[test]
fn what_nobody_has_goes_and_what_others_have_stays() {
    let case = audited();
    case.create();
    case.run("one", "--net MyNet");
    case.is_up(1);
    let own = case.links();
    leak_at_the_controller(&case, "leaked", &host(&case), 0xe1);
    leak_at_the_controller(&case, "other", "elsewhere-5a0f7f53", 0xe2);
    leak_at_the_switch(&case, "nln77-1");
    case.node
        .run("ip link add nln7-1 type veth peer name nln7-2");
    for foreign in ["nlnx-1", "nln7", "eth7-1"] {
        case.node.run(&format!(
            "ip link add {foreign} type veth peer name x{foreign}"
        ));
        case.ovs
            .vsctl(&case.node, &format!("add-port alubr0 {foreign}"));
    }
    becomes(&set(&["one", "other"]), || names(&case));
    let mut ports: BTreeSet<String> = set(&["nlnx-1", "nln7", "eth7-1"]);
    ports.extend(own.iter().cloned());
    becomes(&ports, || case.ovs.ports(&case.node).into_iter().collect());
    let mut links = own.clone();
    links.extend(set(&["nlnx-1", "nln7"]));
    becomes(&links, || case.links());
    assert!(case.node.has_link("eth7-1"));
    for table in ["Nuage_Port_Table", "Nuage_VM_Table"] {
        let rows = case.ovs.rows(&case.node, table);
        assert_eq!(rows.len(), 1, "{table}: {rows:?}");
    }
    for what in ["port nln77-1 of the switch", "link nln7-1"] {
        case.logs(&format!("audit: removed {what}"), 1);
    }
    case.logs("audit: removed container leaked of the controller", 1);
    case.docker("exec one true");
}

#[test]
fn what_a_running_container_lacks_comes_back() {
    let case = audited();
    case.create();
    case.run("one", "--net MyNet");
    case.run("two", "--net MyNet");
    case.is_up(2);
    let before = case.of_controller();
    let port = text(&case.ovs.rows(&case.node, "Nuage_Port_Table")[0]["name"]);
    case.ovs
        .vsctl(&case.node, &format!("del-port alubr0 {port}"));
    case.is_up(2);
    for table in ["Nuage_Port_Table", "Nuage_VM_Table"] {
        case.ovs.transact(
            &case.node,
            &[json!({"op": "delete", "table": table, "where": []})],
        );
        case.is_up(2);
    }
    let all = case.vsd.state("containers");
    let one = all.iter().find(|one| one["name"] == "one").unwrap();
    let path = format!("/containers/{}?responseChoice=1", text(&one["ID"]));
    administrator(&case, "DELETE", &path, &Value::Null);
    assert_eq!(case.vsd.state("containers").len(), 1);
    case.is_up(2);
    assert_eq!(case.of_controller(), before, "the same addresses");
    becomes(&set(&["one", "two"]), || names(&case));
    case.docker("rm -f one two");
    case.is_empty();
}

/// The containers of what the controller has.
fn ids(of_controller: &BTreeSet<String>) -> Vec<String> {
    let id = |row: &String| row.split(' ').next().map(str::to_owned);
    of_controller.iter().filter_map(id).collect()
}

#[test]
fn silence_is_not_absence() {
    let mut case = quiet();
    case.create();
    case.run("one", "--net MyNet");
    case.is_up(1);
    let left = |case: &Case| {
        (
            case.of_controller(),
            case.ovs.ports(&case.node),
            case.links(),
            case.leases(),
        )
    };
    leak_at_the_switch(&case, "nln77-1");
    let before = left(&case);
    let line = format!("{PROGRAM} {FILE} -audit");
    // The controller lists nothing.
    let list = json!({"method": "GET", "path": "^/containers$", "status": 500});
    case.vsd.fault(&list);
    let ran = case.node.sh(&line);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("the controller is not compared"),
        "{ran:?}"
    );
    assert_eq!(left(&case), before);
    case.vsd.clear_faults();
    // Docker takes the question and does not answer.
    case.docker.daemon.signal("STOP");
    let ran = case.node.sh(&line);
    case.docker.daemon.signal("CONT");
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("nothing is compared"), "{ran:?}");
    assert_eq!(left(&case), before);
    // Nobody is there to be asked.
    case.docker.kill();
    let ran = case.node.sh(&line);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("nothing is compared"), "{ran:?}");
    assert_eq!(left(&case), before);
    // The switch does not answer.
    case.docker.start_again(&case.node);
    case.docker("start one");
    case.is_followed(2);
    eventually(patience(), || match case.leases().len() {
        1 => Ok(()),
        other => Err(other),
    });
    // Which container it is comes to the controller a moment after the start.
    becomes(&ids(&before.0), || ids(&case.of_controller()));
    let (links, controller) = (case.links(), case.of_controller());
    case.ovs.kill_server();
    let ran = case.node.sh(&line);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("the switch"), "{ran:?}");
    assert_eq!((case.links(), case.of_controller()), (links, controller));
    case.ovs.restart_server(&case.node);
    let told = case.audit();
    assert!(
        told.contains("removed port nln77-1 of the switch"),
        "{told}"
    );
    case.is_up(1);
}

#[test]
fn an_audit_is_had_by_a_signal() {
    let mut case = quiet();
    case.create();
    case.run("one", "--net MyNet");
    case.is_up(1);
    leak_at_the_controller(&case, "leaked", &host(&case), 0xe1);
    let plugin = case.plugin.as_mut().expect("it runs");
    plugin.signal("USR2");
    case.logs("audit: 1 removed, 0 repaired, 0 problems", 1);
    assert_eq!(names(&case), set(&["one"]));
    case.is_up(1);
}
