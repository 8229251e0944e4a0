use super::*;
use crate::cluster::{Cluster, Plan};

fn pid(node: &Node, name: &str) -> u64 {
    let found = Docker::get(node, &format!("/containers/{name}/json"));
    assert_eq!(found["State"]["Running"], true, "{found}");
    found["State"]["Pid"].as_u64().expect("a number")
}

/// A zombie, which nobody has waited for yet, runs no more.
fn runs(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Asserts the release of the daemon and of the command line.
#[track_caller]
fn is_of(docker: &Docker, node: &Node, release: &str) {
    let line = "version --format '{{.Client.Version}} {{.Server.Version}}'";
    let versions = docker.must(node, line);
    let is = versions.split(' ').all(|v| v.starts_with(release));
    assert!(is, "{versions}");
}

#[test]
fn a_container_runs_and_ends_with_the_daemon() {
    let node = Node::unplugged("one");
    let docker = Docker::start(&node);
    Docker::run_foreign(&node, "box");
    let pid = pid(&node, "box");
    assert!(Docker::get(&node, "/containers/nobody/json").is_null());
    drop(docker);
    assert!(!runs(pid));
}

#[test]
fn the_command_line_is_that_of_the_daemon() {
    let node = Node::unplugged("one");
    let docker = Docker::start(&node);
    is_of(&docker, &node, "20.10.");
    let printed = docker.must(&node, "run --rm --network none busybox echo 'two words'");
    assert_eq!(printed, "two words");
    let ran = docker.cli(&node, "network inspect nobody");
    assert_eq!(ran.status, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains("No such network: nobody"), "{ran:#?}");
    // What a command in a container answers is what the line answers.
    let ran = docker.cli(&node, "run --rm --network none busybox sh -c 'exit 7'");
    assert_eq!(ran.status, Some(7), "{ran:#?}");
    assert_eq!(node.link_names(), ["lo"]);
}

#[test]
fn a_newer_one_runs_containers_and_starts_again_as_planned() {
    let node = Node::unplugged("one");
    let mut docker = Docker::plan().newer().live_restore().start(&node);
    is_of(&docker, &node, "26.1.");
    docker.must(&node, "run -d --name box --network none busybox sleep 1000");
    let before = pid(&node, "box");
    assert!(docker.stop().success());
    assert!(runs(before));
    docker.start_again(&node);
    is_of(&docker, &node, "26.1.");
    assert_eq!(pid(&node, "box"), before);
    docker.kill();
    assert!(runs(before));
    docker.start_again(&node);
    assert_eq!(pid(&node, "box"), before);
}

#[test]
fn containers_of_a_killed_one_end_when_it_is_started_again() {
    let node = Node::unplugged("one");
    let mut docker = Docker::start(&node);
    // What is the first process of its namespace hears no SIGTERM by itself.
    docker.must(
        &node,
        "run -d --name box --stop-signal KILL --network none busybox sleep 1000",
    );
    let before = pid(&node, "box");
    docker.kill();
    assert!(runs(before));
    docker.start_again(&node);
    assert!(!runs(before));
    let found = docker.must(&node, "inspect --format '{{.State.Status}}' box");
    assert_eq!(found, "exited");
}

#[test]
fn its_own_bridge_gives_addresses() {
    for plan in [Docker::plan(), Docker::plan().newer()] {
        let node = Node::new();
        let docker = plan.with_bridge().start(&node);
        assert!(node.has_link("docker0"));
        docker.must(&node, "run -d --name box -p 8080:80 busybox sleep 1000");
        let format = "{{.NetworkSettings.IPAddress}}";
        let address = docker.must(&node, &format!("inspect --format '{format}' box"));
        node.ping(&address);
        assert!(node.run("iptables-save").contains("--dport 8080"));
    }
}

#[test]
fn compose_runs_a_project() {
    for plan in [Docker::plan(), Docker::plan().newer()] {
        let node = Node::unplugged("one");
        let docker = plan.start(&node);
        let file = "services:\n  web:\n    image: busybox\n    command: sleep 1000\n    \
                    network_mode: none\n    init: true\n";
        node.write("/run/project/compose.yaml", file);
        docker.compose(&node, "/run/project", "up -d").done();
        let listed = docker
            .compose(&node, "/run/project", "ps --services")
            .done();
        assert_eq!(listed, "web\n");
        docker.compose(&node, "/run/project", "down").done();
        assert_eq!(docker.must(&node, "ps --all --quiet"), "");
        node.write("/run/broken/compose.yaml", "services: [none]\n");
        let ran = docker.compose(&node, "/run/broken", "up -d");
        assert!(ran.status != Some(0) && !ran.stderr.is_empty(), "{ran:#?}");
    }
}

#[test]
fn two_share_networks_by_etcd() {
    let mut cluster = Cluster::new(Plan {
        nodes: 2,
        far: 0,
        etcd: 1,
    });
    cluster.lose_etcd(&[0]);
    cluster.etcd.speak_v2();
    cluster.restore_etcd(false);
    let store = cluster.etcd.urls().replace("http://", "etcd://");
    let dockers: Vec<Docker> = cluster
        .numbers()
        .map(|k| {
            let store = format!("--cluster-store={store}");
            let own = format!("--cluster-advertise={}:2376", cluster.v4(k));
            Docker::plan().extra(&[&store, &own]).start(cluster.node(k))
        })
        .collect();
    let told = Docker::get(cluster.node(1), "/info");
    assert_eq!(told["ClusterStore"], store, "{told}");
    dockers[0].must(cluster.node(1), "network create -d overlay shared");
    let format = "network inspect --format '{{.Scope}} {{.Driver}}' shared";
    eventually(patience(), || {
        let ran = dockers[1].cli(cluster.node(2), format);
        if ran.stdout == "global overlay\n" {
            Ok(())
        } else {
            Err(ran)
        }
    });
}
