//! Many at once, and sets of containers as compose makes them.

use crate::case::Case;
use fairlead_tests::{Docker, Place as _};
use std::collections::BTreeSet;

fn addresses(case: &Case, names: &[String], network: &str) -> BTreeSet<String> {
    let all = case.json(&format!("inspect {}", names.join(" ")));
    let all = all.as_array().unwrap().iter();
    all.map(|container| {
        let network = &container["NetworkSettings"]["Networks"][network];
        network["IPAddress"].as_str().unwrap().to_owned()
    })
    .collect()
}

#[test]
fn a_hundred_containers_start_at_once_and_go_at_once() {
    let mut case = Case::new();
    let before = case.warm();
    case.docker("network create -d fairlead --ipam-driver fairlead --subnet 10.80.0.0/23 net");
    let names: Vec<String> = (0..100).map(|at| format!("box{at}")).collect();
    let run = |name: &String| {
        format!("run -d --name {name} --stop-signal KILL --network net busybox sleep 100000")
    };
    case.docker
        .at_once(&case.node, &names.iter().map(run).collect::<Vec<_>>());
    assert_eq!(
        addresses(&case, &names, "net").len(),
        100,
        "each has its own"
    );
    case.docker("exec box0 ping -c 1 -w 5 box99");
    case.docker("exec box99 ping -c 1 -w 5 box50");
    let taken = case.node.sh("fairlead ip ls -o json").json();
    assert_eq!(taken.as_array().unwrap().len(), 100);
    let gone: Vec<String> = names.iter().map(|name| format!("rm -f {name}")).collect();
    case.docker.at_once(&case.node, &gone);
    case.docker.remove_emptied(&case.node, "net");
    case.node.is_as_before(&before, "a hundred are gone");
}

#[test]
fn fifty_running_containers_outlive_a_restart_of_their_engine() {
    let mut case = Case::new();
    case.docker("network create -d fairlead --ipam-driver fairlead --subnet 10.81.0.0/24 net");
    let names: Vec<String> = (0..50).map(|at| format!("box{at}")).collect();
    let run = |name: &String| {
        format!(
            "run -d --name {name} --restart=always --stop-signal KILL --network net busybox sleep 100000"
        )
    };
    case.docker
        .at_once(&case.node, &names.iter().map(run).collect::<Vec<_>>());
    let before = addresses(&case, &names, "net");
    let _ = case.docker.stop();
    case.docker.start_again(&case.node);
    fairlead_tests::eventually(fairlead_tests::patience() * 4, || {
        let running = case.docker("ps -q").lines().count();
        if running == 50 { Ok(()) } else { Err(running) }
    });
    let after = addresses(&case, &names, "net");
    assert_eq!(after.len(), 50);
    assert_eq!(
        after, before,
        "the same addresses, though perhaps not each its own"
    );
    case.docker("exec box0 ping -c 1 -w 5 box49");
    let taken = case.node.sh("fairlead ip ls -o json").json();
    assert_eq!(taken.as_array().unwrap().len(), 50);
}

#[test]
fn a_set_of_services_is_brought_up_and_down_by_compose() {
    let case = Case::with(Docker::plan().newer());
    let file = "
services:
  web:
    image: busybox
    command: sh -c 'mkdir /www; echo shop >/www/index.html; httpd -f -p 80 -h /www'
    networks: [front]
    ports: ['8080:80']
    stop_signal: KILL
  api:
    image: busybox
    command: sleep 100000
    networks: [front, back]
    expose: ['9000']
    stop_signal: KILL
  db:
    image: busybox
    command: sleep 100000
    networks:
      back:
        ipv4_address: 10.82.0.10
        aliases: [database]
    stop_signal: KILL
networks:
  front:
    driver: fairlead
    ipam: {driver: fairlead}
  back:
    driver: fairlead
    internal: true
    ipam:
      driver: fairlead
      config: [{subnet: 10.82.0.0/24}]
";
    let before = case.warm();
    case.node.run("mkdir -p /run/shop");
    case.node.write("/run/shop/compose.yaml", file);
    let compose = |line: &str| case.docker.compose(&case.node, "/run/shop", line);
    compose("up -d").done();
    for (from, to) in [
        ("web", "api"),
        ("api", "db"),
        ("api", "database"),
        ("api", "web"),
    ] {
        compose(&format!("exec -T {from} ping -c 1 -w 5 {to}")).done();
    }
    let ran = compose("exec -T web ping -c 1 -w 2 db");
    assert_ne!(ran.status, Some(0), "web is not on back");
    let page = case
        .node
        .outside()
        .run("curl -sS -m 5 http://198.51.100.1:8080/");
    assert_eq!(page, "shop\n");
    compose("restart api").done();
    compose("exec -T api ping -c 1 -w 5 db").done();
    compose("down").done();
    case.node.is_as_before(&before, "the set is down");
}
