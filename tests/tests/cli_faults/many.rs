//! Many processes at the same time.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use fairlead_tests::{Node, Place, fairlead_binary};

const COUNT: usize = 200;

/// Starts them all before it waits for the first.
#[track_caller]
fn together(commands: impl Iterator<Item = Command>) {
    let running: Vec<Child> = commands
        .map(|mut command| {
            command.stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().expect("a process")
        })
        .collect();
    let mut failed = Vec::new();
    for child in running {
        let output = child.wait_with_output().expect("the end of a process");
        if !output.status.success() {
            failed.push(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {COUNT} failed: {}",
        failed.len(),
        failed[0]
    );
}

#[test]
fn two_hundred_at_once_get_two_hundred_addresses_and_leave_none() {
    let node = Node::new();
    node.networks(&["web=10.30.0.0/24 fd00:30::/64"]);
    node.sh(&format!(
        "for i in $(seq {COUNT}); do echo netns add c$i; done | ip -batch -"
    ))
    .done();
    // Warm: the sets of the range stay.
    node.sh("fairlead attach web --netns /run/netns/c1 -p 1001:80")
        .done();
    node.sh("fairlead detach --id c1").done();
    let before = node.world();
    let start = Instant::now();
    together((1..=COUNT).map(|i| {
        let mut command = node.command(fairlead_binary());
        command.args(["attach", "web", "--netns", &format!("/run/netns/c{i}")]);
        command.args(["--publish", &format!("{}:80", 1000 + i)]);
        command
    }));
    println!(
        "{COUNT} attaches from {COUNT} processes: {:?}",
        start.elapsed()
    );
    let listed = node.sh("fairlead ls -o json").json();
    let listed = listed.as_array().expect("a list");
    assert_eq!(listed.len(), COUNT);
    let addresses: BTreeSet<String> = listed
        .iter()
        .flat_map(|one| one["addresses"].as_array().expect("a list"))
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        addresses.len(),
        2 * COUNT,
        "two addresses each, all different"
    );
    assert!(listed.iter().all(|one| one["state"] == "ready"));
    let script = "for i in $(seq 200); do echo 10.30.0.$((i+2)); done | xargs -P 16 -n 1 ping -n -q -c 1 -W 5";
    node.sh(script).done();
    let start = Instant::now();
    together((1..=COUNT).map(|i| {
        let mut command = node.command(fairlead_binary());
        command.args(["detach", "web", "--id", &format!("c{i}")]);
        command
    }));
    println!(
        "{COUNT} detaches from {COUNT} processes: {:?}",
        start.elapsed()
    );
    node.is_as_before(&before, "all were detached");
}

#[test]
fn who_races_for_one_port_or_one_name_wins_once() {
    let node = Node::new();
    node.networks(&["web=10.30.0.0/24"]);
    node.sh("for i in $(seq 10); do echo netns add c$i; done | ip -batch -")
        .done();
    for what in ["-p 8080:80", "--ip 10.30.0.50"] {
        let script = format!(
            "for i in $(seq 10); do (fairlead attach web --netns /run/netns/c$i {what} >/dev/null 2>&1 && echo won) & done; wait"
        );
        assert_eq!(node.sh(&script).done(), "won\n", "{what}");
        let listed = node.sh("fairlead ls -o json").json();
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{what}");
        assert_eq!(
            node.sh("fairlead ip ls -o json")
                .json()
                .as_array()
                .map(Vec::len),
            Some(1)
        );
        let winner = listed[0]["container"].as_str().expect("a name");
        node.sh(&format!("fairlead detach --id {winner}")).done();
    }
    // The same container ten times: one is attached, and stays so.
    let script = "for i in $(seq 10); do (fairlead attach web --netns /run/netns/c1 >/dev/null 2>&1 && echo won) & done; wait";
    assert_eq!(node.sh(script).done(), "won\n");
    node.existing("c1").ping("10.30.0.1");
    // Ten detaches of it: each finds it gone or takes it away.
    let script = "for i in $(seq 10); do fairlead detach --id c1 >/dev/null 2>&1 & done; wait; fairlead detach --id c1";
    node.sh(script).done();
    assert_eq!(
        node.sh("fairlead ls -o json")
            .json()
            .as_array()
            .map(Vec::len),
        Some(0)
    );
    assert_eq!(
        node.run("ip -br link show type veth").lines().count(),
        1,
        "the uplink only"
    );
}
