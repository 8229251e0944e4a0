//! Plugins of other makers, many containers, and engines besides Docker.

use super::case::{CRUN, Case, NET_D, RUNC, SETTINGS, bridge, settings};
use fairlead_tests::{Node, Place, Podman, Ran, eventually, patience};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Where Debian's plugins have names that are not built in.
const REFERENCE: &str = "/run/fairlead-root/opt/cni/bin";

/// Debian's plugins under other names, for ours would be run in their place. They are
/// where a node has its plugins by default.
#[track_caller]
fn link_reference(node: &Node) {
    node.run(&format!("mkdir -p {REFERENCE}"));
    for name in ["bridge", "portmap", "tuning", "firewall"] {
        node.run(&format!("ln -s /usr/lib/cni/{name} {REFERENCE}/ref-{name}"));
    }
}

/// The bridge of Debian's, with its own host-local.
fn reference(name: &str, net: &str, link: &str) -> Value {
    json!({
        "type": "ref-bridge", "bridge": link, "isGateway": true,
        "ipam": {"type": "host-local", "dataDir": Node::HOST_LOCAL,
            "ranges": [[{"subnet": format!("{net}.0/24")}]],
            "routes": [{"dst": "0.0.0.0/0"}]},
        "name": name, "cniVersion": "0.3.1",
    })
}

/// The addresses that Debian's host-local says are taken.
#[track_caller]
fn taken(node: &Node) -> Vec<String> {
    let listed = node.sh(&format!("ls {}/*", Node::HOST_LOCAL)).stdout;
    let is_address = |line: &&str| line.starts_with("10.");
    listed
        .lines()
        .filter(is_address)
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn nothing_is_taken(case: &Case) {
    case.is_empty();
    assert_eq!(taken(&case.node), Vec::<String>::new());
}

#[test]
fn plugins_of_other_makers_connect_containers() {
    for runtime in [RUNC, CRUN] {
        let case = Case::with(fairlead_tests::Docker::plan(), runtime);
        link_reference(&case.node);
        // One file is of the old form, the other a list.
        case.network("10-old.conf", &reference("old", "10.65.0", "brold"));
        let mut first = reference("new", "10.66.0", "brnew");
        for key in ["name", "cniVersion"] {
            first.as_object_mut().expect("an object").remove(key);
        }
        let list = json!({"cniVersion": "0.4.0", "name": "new", "plugins": [first,
            {"type": "ref-portmap", "capabilities": {"portMappings": true}},
            {"type": "ref-tuning", "sysctl": {"net.ipv4.ip_default_ttl": "33"}}]});
        case.network("20-new.conflist", &list);
        case.start("one", "");
        case.start("two", "--label eru.cni/network=new");
        case.start("both", "--label eru.cni/network=new,old");
        let one = case.address("one");
        assert!(one.starts_with("10.65.0."), "{one}");
        let two = case.address("two");
        assert!(two.starts_with("10.66.0."), "{two}");
        for address in [&one, &two] {
            case.node.ping(address);
        }
        case.docker(&format!("exec both ping -c 1 -w 5 -I eth1 {one}"));
        case.docker(&format!("exec both ping -c 1 -w 5 -I eth0 {two}"));
        let ttl = case.docker("exec two cat /proc/sys/net/ipv4/ip_default_ttl");
        assert_eq!(ttl, "33");
        assert_eq!(taken(&case.node).len(), 4);
        case.docker("restart -t 0 one");
        case.node.ping(&case.address("one"));
        case.kill("two");
        case.becomes("two", "exited");
        case.docker("rm -f one two both");
        nothing_is_taken(&case);
        // An address that is asked for goes to their host-local, too.
        let seen = case.run("--rm -e IPV4=10.65.0.99 busybox ip -o -4 address show dev eth0");
        assert!(seen.contains("inet 10.65.0.99/24"), "{seen}");
        nothing_is_taken(&case);
        case.refused("--rm -e IPV4=10.99.0.9 busybox true", &["10.99.0.9"]);
        nothing_is_taken(&case);
    }
}

/// Starts so many at once; each has an address of its own, and all go at once.
#[track_caller]
fn many(case: &Case, count: usize) {
    let names: Vec<String> = (0..count).map(|at| format!("box{at}")).collect();
    let run = |name: &String| {
        format!(
            "run -d --name {name} --stop-signal KILL --runtime barrel-cni --net none \
             busybox sleep 100000"
        )
    };
    case.docker
        .at_once(&case.node, &names.iter().map(run).collect::<Vec<_>>());
    let addresses: BTreeSet<String> = names.iter().map(|name| case.address(name)).collect();
    assert_eq!(addresses.len(), count, "each has its own");
    assert_eq!(case.attached(), count);
    let last = addresses.last().expect("one");
    case.docker(&format!("exec box0 ping -c 1 -w 5 {last}"));
    case.node.ping(last);
    let gone: Vec<String> = names.iter().map(|name| format!("rm -f {name}")).collect();
    case.docker.at_once(&case.node, &gone);
}

#[test]
fn a_hundred_containers_start_at_once_and_go_at_once() {
    let case = Case::new(RUNC);
    let before = case.warm();
    many(&case, 100);
    case.is_empty();
    case.is_as(&before, "a hundred are gone");
}

#[test]
fn forty_start_at_once_with_crun_and_plugins_of_other_makers() {
    let case = Case::with(fairlead_tests::Docker::plan(), CRUN);
    link_reference(&case.node);
    case.network("10-old.conf", &reference("old", "10.65.0", "brold"));
    many(&case, 40);
    nothing_is_taken(&case);
}

/// A node with Podman, our names and the network `back`.
#[track_caller]
fn with_podman(runtime: &str) -> (Podman, Node) {
    let node = Node::new();
    node.sh("mkdir -p /run/bin && fairlead install --links /run/bin")
        .done();
    node.run("mount -t tmpfs none /var/log");
    node.write(SETTINGS, &settings(runtime, ""));
    let list = bridge("back", "10.60.0", "brback").to_string();
    node.write(&format!("{NET_D}/10-back.conflist"), &list);
    // Podman gives a runtime no arguments of its own choice before the sub-command.
    let script =
        format!("#!/bin/sh\nexec /run/bin/eru-barrel-cni oci --config {SETTINGS} -- \"$@\"\n");
    node.write("/run/bin/runtime", &script);
    node.run("chmod 755 /run/bin/runtime");
    (Podman::start(&node), node)
}

#[track_caller]
fn is_empty(node: &Node) {
    eventually(patience(), || {
        let listed = node
            .sh("fairlead ip ls -o json; fairlead ls -o json")
            .done();
        match listed.replace('\n', "").as_str() {
            "[][]" => Ok(()),
            _ => Err(listed),
        }
    });
}

/// A line that fails with these words in its last line; before it there may be one of the
/// runtime's own, which says no more than that a hook failed.
#[track_caller]
fn fails(ran: &Ran, words: &[&str]) {
    assert!(!matches!(ran.status, Some(0) | None), "{ran:?}");
    let lines: Vec<&str> = ran.stderr.lines().filter(|l| !l.is_empty()).collect();
    let last = lines.last().expect("a line");
    for word in words {
        assert!(last.contains(word), "{word}: {ran:?}");
    }
    assert!(lines.len() <= 2, "{ran:?}");
}

#[test]
fn podman_runs_containers_under_our_runtime() {
    for runtime in [RUNC, CRUN] {
        let (podman, node) = with_podman(runtime);
        // The node sees a part of the control groups only.
        let run = "--runtime /run/bin/runtime run --cgroupns private --network none";
        let seen = podman
            .cli(
                &node,
                &format!("{run} --rm busybox ip -o -4 address show dev eth0"),
            )
            .done();
        assert!(seen.contains("inet 10.60.0.2/24"), "{seen}");
        is_empty(&node);
        let asked = "--annotation eru.cni/ipv4=10.60.0.77 --stop-signal KILL";
        podman
            .cli(
                &node,
                &format!("{run} -d --name one {asked} busybox sleep 100000"),
            )
            .done();
        node.ping("10.60.0.77");
        let line = "--runtime /run/bin/runtime exec one ip -o -4 address show dev eth0";
        assert!(podman.cli(&node, line).done().contains("10.60.0.77/24"));
        let line = "--runtime /run/bin/runtime restart -t 0 one";
        podman.cli(&node, line).done();
        node.ping("10.60.0.77");
        podman
            .cli(&node, "--runtime /run/bin/runtime rm -f -t 0 one")
            .done();
        is_empty(&node);
        let none = format!("{run} --rm --annotation eru.cni/network=none busybox true");
        let ran = podman.cli(&node, &none);
        fails(&ran, &["eru-barrel-cni: ", "none"]);
        node.sh("fairlead gc").done();
        is_empty(&node);
    }
}

#[test]
fn podman_calls_our_hooks_without_our_runtime() {
    for (name, path) in [("runc", RUNC), ("crun", CRUN)] {
        let (podman, node) = with_podman(path);
        for (stage, command) in [("createRuntime", "add"), ("poststop", "del")] {
            let hook = json!({
                "version": "1.0.0", "stages": [stage],
                "when": {"annotations": {"^eru\\.cni/network$": ".*"}},
                "hook": {"path": "/run/bin/eru-barrel-cni",
                    "args": ["eru-barrel-cni", "cni", "--config", SETTINGS, "--command", command],
                    "env": [format!("FAIRLEAD_ROOT={}", Node::ROOT), "PATH=/usr/sbin:/usr/bin"]},
            });
            node.write(&format!("/run/hooks.d/{stage}.json"), &hook.to_string());
        }
        let run = format!(
            "--runtime {path} --hooks-dir /run/hooks.d run --cgroupns private --network none"
        );
        let chosen = "--annotation eru.cni/network=back";
        let seen = podman
            .cli(
                &node,
                &format!("{run} --rm {chosen} busybox ip -o -4 address show dev eth0"),
            )
            .done();
        assert!(seen.contains("inet 10.60.0.2/24"), "{name}: {seen}");
        is_empty(&node);
        // Who does not say so has none.
        let seen = podman
            .cli(&node, &format!("{run} --rm busybox ls /sys/class/net"))
            .done();
        assert_eq!(seen.trim(), "lo");
        let none = format!("{run} --rm --annotation eru.cni/network=none busybox true");
        let ran = podman.cli(&node, &none);
        assert!(!matches!(ran.status, Some(0) | None), "{ran:?}");
        node.sh("fairlead gc").done();
        is_empty(&node);
    }
}

#[test]
fn containerd_runs_containers_under_our_runtime() {
    for runtime in [RUNC, CRUN] {
        let case = Case::new(runtime);
        let before = case.warm();
        let script =
            format!("#!/bin/sh\nexec /run/bin/eru-barrel-cni oci --config {SETTINGS} -- \"$@\"\n");
        case.node.write("/run/bin/runtime", &script);
        case.node.run("chmod 755 /run/bin/runtime");
        case.docker("create --name files busybox true");
        case.node.run("mkdir /run/rootfs");
        case.docker("export files | tar -C /run/rootfs -xf -");
        case.docker("rm files");
        // The containerd of the engine, in a space of its own.
        let ctr = "ctr -a /run/docker/containerd/containerd.sock -n own";
        let run = format!("{ctr} run --rm --runc-binary /run/bin/runtime --rootfs");
        let annotation = "--annotation eru.cni/ipv4=10.60.0.77";
        let seen = case
            .node
            .sh(&format!(
                "{run} {annotation} /run/rootfs one /bin/ip -o -4 address show dev eth0"
            ))
            .done();
        assert!(seen.contains("inet 10.60.0.77/24"), "{seen}");
        case.is_empty();
        let ran = case.node.sh(&format!(
            "{run} --annotation eru.cni/network=none /run/rootfs one /bin/true"
        ));
        fails(&ran, &["eru-barrel-cni", "none"]);
        case.is_as(&before, "containerd's are gone");
    }
}
