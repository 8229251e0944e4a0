//! Many at once: bursts of containers, and what goes wrong in the middle of one.

use crate::case::{Case, SETTINGS, seed, text};
use fairlead_tests::{Docker, eventually, patience};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The addresses of containers on the documents' network.
#[track_caller]
fn addresses(case: &Case, names: &[String]) -> BTreeSet<String> {
    let all = case.json(&format!("inspect {}", names.join(" ")));
    let all = all.as_array().unwrap().iter();
    all.map(|one| text(&one["NetworkSettings"]["Networks"]["MyNet"]["IPAddress"]))
        .collect()
}

/// Each has its own address, and all agree on it.
#[track_caller]
fn are_up(case: &Case, names: &[String]) {
    case.is_up(names.len());
    assert_eq!(addresses(case, names).len(), names.len());
    assert_eq!(case.vsd.state("containers").len(), names.len());
    assert_eq!(case.vsd.state("vports").len(), names.len());
}

#[track_caller]
fn remove_all(case: &Case, names: &[String]) {
    let gone: Vec<String> = names.iter().map(|name| format!("rm -f {name}")).collect();
    case.docker.at_once(&case.node, &gone);
}

/// How often somebody logged in at the controller.
fn logins(case: &Case) -> usize {
    let is_login = |one: &&Value| text(&one["path"]).ends_with("/me");
    case.vsd.requests().iter().filter(is_login).count()
}

/// Begins a burst, and does something when the controller has so many of its containers.
#[track_caller]
fn in_the_middle(case: &Case, names: &[String], count: usize, then: impl FnOnce()) {
    std::thread::scope(|scope| {
        let burst = scope.spawn(|| case.run_all(names, ""));
        eventually(patience() * 4, || {
            let found = case.vsd.state("containers").len();
            if found >= count { Ok(()) } else { Err(found) }
        });
        then();
        burst.join().expect("all start");
    });
}

#[test]
fn fifty_containers_start_at_once_and_go_at_once() {
    let mut case = Case::new();
    case.create();
    let names = Case::names(50);
    case.run_all(&names, "");
    are_up(&case, &names);
    assert_eq!(logins(&case), 1, "one session serves all");
    remove_all(&case, &names);
    case.is_empty();
    case.docker.remove_emptied(&case.node, "MyNet");
}

#[test]
fn keys_that_end_in_the_middle_of_a_burst_are_had_again_once() {
    let case = Case::new();
    case.create();
    let names = Case::names(20);
    in_the_middle(&case, &names, 6, || {
        case.vsd.forget_requests();
        case.vsd.expire_keys();
    });
    are_up(&case, &names);
    let logins = logins(&case);
    assert!((1..=2).contains(&logins), "{logins} logins");
    // And between two calls.
    case.vsd.forget_requests();
    case.vsd.expire_keys();
    remove_all(&case, &names);
    case.is_empty();
}

#[test]
fn answers_that_are_lost_in_a_burst_double_nothing() {
    // One call may meet several of them.
    let settings = SETTINGS.replace("timeinterval:   100", "timeinterval:   10");
    let settings = settings.replace("numofretries:   5", "numofretries:   8");
    let case = Case::with(Docker::plan(), &settings, &seed());
    case.create();
    let posts = "^/containers$";
    let each = "^/containers/";
    for fault in [
        json!({"method": "POST", "path": posts, "status": 503, "skip": 2, "times": 5}),
        json!({"method": "POST", "path": posts, "drop": "after", "times": 4}),
        json!({"method": "POST", "path": posts, "drop": "before", "times": 2}),
        json!({"method": "POST", "path": posts, "status": 500, "done": true, "times": 3}),
        json!({"method": "PUT", "path": each, "drop": "after", "times": 4}),
        json!({"method": "PUT", "path": each, "status": 503, "times": 4}),
    ] {
        case.vsd.fault(&fault);
    }
    let names = Case::names(20);
    case.run_all(&names, "");
    are_up(&case, &names);
    assert_eq!(case.vsd.faults(), Vec::<Value>::new(), "all of it happened");
    for fault in [
        json!({"method": "DELETE", "path": each, "drop": "after", "times": 6}),
        json!({"method": "DELETE", "path": each, "status": 503, "times": 6}),
    ] {
        case.vsd.fault(&fault);
    }
    remove_all(&case, &names);
    case.is_empty();
    assert_eq!(case.vsd.faults(), Vec::<Value>::new(), "all of it happened");
}

#[test]
fn a_subnet_that_is_full_is_told_and_leaks_nothing() {
    let small = json!({"address": "10.21.62.0", "netmask": "255.255.255.248",
        "gateway": "10.21.62.1"});
    let mut seed = seed();
    seed["Enterprise"]["Domain"]["Zone"]["Small"] = small;
    let case = Case::with(Docker::plan(), SETTINGS, &seed);
    case.docker(
        "network create --driver=nuage --ipam-driver=nuage-ipam \
         --ipam-opt organization=Enterprise --ipam-opt domain=Domain --ipam-opt zone=Zone \
         --ipam-opt subnet=Small --ipam-opt user=admin --subnet=10.21.62.0/29 \
         --gateway=10.21.62.1 MyNet",
    );
    // Of eight addresses two are none and one is the gateway's.
    let names = Case::names(5);
    case.run_all(&names, "");
    are_up(&case, &names);
    for name in ["more", "still-more"] {
        let line = format!("run -d --name {name} --net MyNet busybox sleep 100000");
        case.refused(&line, &["Subnet full", "SubnetFull"]);
    }
    are_up(&case, &names);
    assert_eq!(case.leases().len(), 5);
    case.docker("rm -f box3");
    case.docker("start more");
    case.is_up(5);
    case.docker("rm -f more still-more box0 box1 box2 box4");
    case.is_empty();
}
