//! What Docker's users do with containers and networks of the drivers, and what the
//! controller and the switch are told of it.

use crate::addresses::{CREATE_FIRST, create, known};
use crate::case::{CREATE, Case, SETTINGS, seed, text};
use fairlead_tests::{Docker, DockerPlan, Place as _, eventually, patience};
use serde_json::json;
use std::collections::BTreeSet;

/// The policy groups of a container's first vport, by their names.
fn groups(case: &Case, name: &str) -> BTreeSet<String> {
    let vport = known(case, name)["interfaces"][0]["VPortID"].clone();
    let vports = case.vsd.state("vports");
    let vport = vports.iter().find(|one| one["ID"] == vport).unwrap();
    let ids = vport["policyGroupIDs"].as_array().unwrap();
    let all = case.vsd.state("policygroups");
    let named = all.iter().filter(|group| ids.contains(&group["ID"]));
    named.map(|group| text(&group["name"])).collect()
}

#[track_caller]
fn is_in_groups(case: &Case, name: &str, wanted: &[&str]) {
    let wanted: BTreeSet<String> = wanted.iter().map(ToString::to_string).collect();
    eventually(patience() * 2, || match groups(case, name) {
        found if found == wanted => Ok(()),
        found => Err(found),
    });
}

/// Policy groups by the container's environment; `create` makes `MyNet`.
#[track_caller]
fn groups_by(create: &str) {
    let case = Case::new();
    case.docker(create);
    case.run(
        "none",
        "--net MyNet -e MY-NUAGE-POLICY-GROUP=web -e NUAGE-POLICY-GROUPS=web",
    );
    case.run("one", "--net MyNet -e NUAGE-POLICY-GROUP=web");
    case.run(
        "two",
        "--net MyNet -e 'NUAGE-POLICY-GROUP=web, db' -e MESOS_TASK_ID=task=7",
    );
    case.run("late", "--net MyNet -e NUAGE-POLICY-GROUP=web,late");
    // One whose group is not there runs all the same, with its port.
    case.is_up(4);
    is_in_groups(&case, "none", &[]);
    is_in_groups(&case, "one", &["web"]);
    is_in_groups(&case, "two", &["web", "db"]);
    is_in_groups(&case, "late", &[]);
    assert_eq!(known(&case, "two")["orchestrationID"], "task=7");
    assert!(text(&known(&case, "one")["orchestrationID"]).is_empty());
    case.logs("no policy groups found with name late", 1);
    let listed = case.leases();
    let late = listed
        .iter()
        .find(|lease| lease["tenant"]["name"] == "late")
        .unwrap();
    assert_eq!(late["tenant"]["is_plugged"], true, "{late}");
    case.vsd
        .seed(&json!({"Enterprise": {"Domain": {"policygroups": ["late"]}}}));
    is_in_groups(&case, "late", &["web", "late"]);
    case.docker("rm -f none one two late");
    case.is_empty();
}

#[test]
fn policy_groups_are_those_of_the_containers_environment() {
    groups_by(CREATE);
}

#[test]
fn policy_groups_are_had_with_dockers_own_addresses_too() {
    groups_by(CREATE_FIRST);
}

#[test]
fn a_container_is_known_by_its_own_id_and_name_and_by_a_new_one() {
    let case = Case::new();
    case.create();
    case.run("before", "--net MyNet");
    case.is_up(1);
    let id = text(&case.json("inspect before")[0]["Id"]);
    let told = |name: &str| {
        eventually(patience() * 2, || {
            let container = case.vsd.state("containers")[0].clone();
            let entity = case.ovs.rows(&case.node, "Nuage_VM_Table")[0].clone();
            let port = case.ovs.ports(&case.node)[0].clone();
            let interfaces = case.ovs.rows(&case.node, "Interface");
            let interface = interfaces.iter().find(|row| row["name"] == port).cloned();
            let ids = interface.unwrap_or_default()["external_ids"].clone();
            let found = [
                text(&container["UUID"]),
                text(&container["name"]),
                text(&entity["vm_uuid"]),
                text(&entity["vm_name"]),
                text(&ids["vm_uuid"]),
                text(&ids["vm_name"]),
            ];
            match found == [&id, name, &id, name, &id, name] {
                true => Ok(()),
                false => Err(found.join(" ")),
            }
        });
    };
    told("before");
    case.docker("rename before after");
    told("after");
    assert_eq!(
        case.address("after"),
        text(&known(&case, "after")["interfaces"][0]["IPAddress"])
    );
    case.docker("rm -f after");
    case.is_empty();
}

/// Two networks on a container, by both forms.
#[track_caller]
fn two_networks_by(first: &str) {
    let case = Case::new();
    case.docker(first);
    case.docker(&create(
        "Domain",
        "Zone",
        "Subnet 3",
        "--subnet=10.21.60.0/24 Second",
    ));
    for gone in ["MyNet", "Second"] {
        let stays = if gone == "MyNet" { "Second" } else { "MyNet" };
        case.run("one", "--net MyNet");
        case.docker("network connect --ip 10.21.60.40 Second one");
        case.is_up(2);
        assert_eq!(case.place("one", "Second")["IPAddress"], "10.21.60.40");
        let container = known(&case, "one");
        let networks: BTreeSet<String> = container["interfaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|interface| text(&interface["networkName"]))
            .collect();
        let wanted = ["Subnet 2", "Subnet 3"].map(str::to_owned);
        assert_eq!(networks, BTreeSet::from(wanted));
        assert_eq!(case.vsd.state("containers").len(), 1);
        let entities = case.ovs.rows(&case.node, "Nuage_VM_Table");
        assert_eq!(entities.len(), 1);
        assert_eq!(entities[0]["ports"].as_array().unwrap().len(), 2);
        let links = case.docker("exec one ip -o -4 addr show");
        for (link, net) in [("eth0", "10.21.59."), ("eth1", "10.21.60.")] {
            let line = links.lines().find(|line| line.contains(link)).unwrap();
            assert!(line.contains(net), "{links}");
        }
        case.docker(&format!("network disconnect {gone} one"));
        case.is_up(1);
        let left = text(&case.place("one", stays)["IPAddress"]);
        assert_eq!(known(&case, "one")["interfaces"][0]["IPAddress"], left);
        // And once more.
        case.docker(&format!("network connect {gone} one"));
        case.is_up(2);
        case.docker("restart -t 0 one");
        case.is_up(2);
        assert_eq!(case.vsd.state("containers").len(), 1);
        // One that is stopped loses a network, and starts without.
        case.docker("stop -t 0 one");
        case.docker(&format!("network disconnect {gone} one"));
        case.docker("start one");
        case.is_up(1);
        case.docker("rm -f one");
        case.is_empty();
    }
    case.docker("network rm MyNet Second");
}

#[test]
fn two_networks_are_two_interfaces_of_one_container() {
    two_networks_by(CREATE);
}

#[test]
fn two_networks_of_different_forms_are_two_interfaces_of_one_container() {
    two_networks_by(CREATE_FIRST);
}

/// A container's ups and downs; `create` makes `MyNet`.
#[track_caller]
fn lives_by(plan: DockerPlan, create: &str) {
    let case = Case::with(plan, SETTINGS, &seed());
    case.docker(create);
    case.docker("run --rm --net MyNet busybox true");
    case.docker("run -d --rm --name short --net MyNet busybox true");
    case.is_empty();
    // One that cannot begin, and one that is not begun.
    case.refused("run --net MyNet --name bad busybox /nowhere", &["/nowhere"]);
    case.docker("create --net MyNet --name made busybox sleep 100000");
    case.is_empty();
    case.docker("start made");
    case.is_up(1);
    case.docker("rm -f bad made");
    case.is_empty();
    case.run("one", "--net MyNet");
    case.is_up(1);
    case.docker("pause one");
    case.is_up(1);
    case.docker("unpause one");
    case.docker("stop -t 0 one");
    case.is_empty();
    case.docker("start one");
    case.is_up(1);
    case.docker("kill one");
    case.is_empty();
    case.docker("start one");
    case.docker("restart -t 0 one");
    case.is_up(1);
    case.run("gone", "--rm --net MyNet");
    case.is_up(2);
    case.docker("kill gone");
    case.is_up(1);
    case.run("again", "--restart always --net MyNet");
    case.is_up(2);
    let before = text(&case.json("inspect again")[0]["State"]["StartedAt"]);
    let pid = case.docker("inspect -f '{{.State.Pid}}' again");
    case.node.run(&format!("kill -9 {pid}"));
    eventually(patience(), || {
        let state = case.json("inspect again")[0]["State"].clone();
        let is_new = state["Running"] == true && state["StartedAt"] != before;
        if is_new { Ok(()) } else { Err(state) }
    });
    case.is_up(2);
    case.refused("network rm MyNet", &["active endpoints"]);
    case.is_up(2);
    case.docker("rm -f one again");
    case.is_empty();
    case.docker("network rm MyNet");
}

#[test]
fn containers_stop_start_pause_and_die_and_leave_nothing() {
    lives_by(Docker::plan(), CREATE);
}

#[test]
fn containers_with_dockers_own_addresses_leave_nothing_either() {
    lives_by(Docker::plan(), CREATE_FIRST);
}

#[test]
fn they_live_the_same_on_a_newer_engine() {
    lives_by(Docker::plan().newer(), CREATE);
}
