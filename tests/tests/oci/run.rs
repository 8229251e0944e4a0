//! What a person does with containers under our runtime.

use super::case::{CRUN, Case, RUNC};
use std::io::Write;

use fairlead_tests::{Docker, Place, eventually, patience};

#[test]
fn an_engine_can_call_the_runtime_without_arguments() {
    let case = Case::new(RUNC);
    let settings = super::case::settings(RUNC, "");
    case.node
        .write("/run/fairlead-root/etc/docker/cni.yaml", &settings);
    let line = "run --rm --runtime direct --net none busybox ip -o -4 address show dev eth0";
    let seen = case.docker(line);
    assert!(seen.contains("inet 10.60.0.2/24"), "{seen}");
    case.is_empty();
    let ran = case.docker.cli(
        &case.node,
        "run --rm --runtime direct --net none busybox no-such",
    );
    assert_eq!(ran.status, Some(127), "{ran:?}");
    case.is_empty();
    let version = case.node.sh("/run/bin/fairlead-runtime --version").done();
    assert!(version.starts_with("runc version"), "{version}");
}

fn a_container_has_an_address_and_gives_it_back(runtime: &str) {
    let case = Case::new(runtime);
    let seen = case.run("--rm busybox ip -o -4 address show dev eth0");
    assert!(seen.contains("inet 10.60.0.2/24"), "{seen}");
    case.is_empty();
    let seen = case.run("--rm busybox ip route");
    assert!(seen.contains("default via 10.60.0.1"), "{seen}");
    case.is_empty();
}

#[test]
fn a_container_has_an_address_and_gives_it_back_with_runc() {
    a_container_has_an_address_and_gives_it_back(RUNC);
}

#[test]
fn a_container_has_an_address_and_gives_it_back_with_crun() {
    a_container_has_an_address_and_gives_it_back(CRUN);
}

/// Its address is there, and the node reaches it.
#[track_caller]
fn is_reached(case: &Case, name: &str) {
    case.node.ping(&case.address(name));
    assert_eq!(case.attached(), 1, "the one that runs has an interface");
}

fn a_container_is_stopped_and_started_in_every_way(runtime: &str) {
    let case = Case::new(runtime);
    let before = case.warm();
    case.start("one", "");
    is_reached(&case, "one");
    case.docker("stop one");
    case.is_empty();
    case.docker("start one");
    is_reached(&case, "one");
    // The same id again while the last run is being taken away.
    for _ in 0..3 {
        case.docker("restart -t 0 one");
        is_reached(&case, "one");
    }
    case.docker("pause one");
    case.docker("unpause one");
    // The change comes to the runtime on its standard input.
    case.docker("update --memory 64m --memory-swap 64m one");
    let limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max";
    let limit = case.docker(&format!("exec one sh -c '{limit} 2>/dev/null; true'"));
    assert_eq!(limit, "67108864");
    let listed = case.docker("top one");
    assert!(listed.contains("sleep 100000"), "{listed}");
    case.kill("one");
    case.becomes("one", "exited");
    case.is_empty();
    case.docker("start one");
    is_reached(&case, "one");
    case.docker("kill one");
    case.is_empty();
    case.docker("start one");
    case.docker("rm -f one");
    case.is_as(&before, "it is removed while it runs");
}

#[test]
fn a_container_is_stopped_and_started_in_every_way_with_runc() {
    a_container_is_stopped_and_started_in_every_way(RUNC);
}

#[test]
fn a_container_is_stopped_and_started_in_every_way_with_crun() {
    a_container_is_stopped_and_started_in_every_way(CRUN);
}

fn what_goes_in_and_out_is_the_containers_own(runtime: &str) {
    let case = Case::new(runtime);
    case.set(runtime, "log_driver: stderr\n");
    case.node.write("/run/said", "word\n");
    // Nothing of ours is among what it prints, on either stream.
    let say = "sh -c 'cat; ip -o -4 address show dev eth0; echo oops >&2; exit 7'";
    let line =
        format!("run -i --runtime barrel-cni --net none --name one busybox {say} </run/said");
    let ran = case.docker.cli(&case.node, &line);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        lines.len() == 2 && lines[0] == "word" && lines[1].contains("inet 10.60.0.2/24"),
        "{ran:?}"
    );
    assert_eq!((ran.stderr.as_str(), ran.status), ("oops\n", Some(7)));
    let logs = case.docker.cli(&case.node, "logs one");
    assert_eq!((logs.stdout, logs.stderr), (ran.stdout, ran.stderr));
    // An exec has its own streams and status.
    case.start("two", "");
    let line = "exec -i two sh -c 'cat; echo oops >&2; exit 9' </run/said";
    let ran = case.docker.cli(&case.node, line);
    let got = (ran.stdout.as_str(), ran.stderr.as_str(), ran.status);
    assert_eq!(got, ("word\n", "oops\n", Some(9)));
    let ran = case.docker.cli(&case.node, "exec two no-such-program");
    assert!(
        matches!(ran.status, Some(126 | 127)),
        "as without us: {ran:?}"
    );
    is_talked_to(&case);
    case.docker("rm -f one two three");
    case.is_empty();
}

/// Somebody who comes later talks to a container.
#[track_caller]
fn is_talked_to(case: &Case) {
    case.run("-di --name three busybox sh -c 'read line; echo got $line; read line; exit 5'");
    case.node.run("mkfifo /run/talk");
    std::thread::scope(|scope| {
        let attach = scope.spawn(|| case.docker.cli(&case.node, "attach three </run/talk"));
        let mut talk = std::fs::File::create(case.node.path("/run/talk")).expect("a pipe");
        talk.write_all(b"word\n").expect("a listener");
        eventually(patience(), || match case.docker("logs three").as_str() {
            "got word" => Ok(()),
            other => Err(other.to_owned()),
        });
        talk.write_all(b"end\n").expect("a listener");
        let ran = attach.join().expect("a thread");
        assert_eq!((ran.stdout.as_str(), ran.status), ("got word\n", Some(5)));
    });
}

#[test]
fn what_goes_in_and_out_is_the_containers_own_with_runc() {
    what_goes_in_and_out_is_the_containers_own(RUNC);
}

#[test]
fn what_goes_in_and_out_is_the_containers_own_with_crun() {
    what_goes_in_and_out_is_the_containers_own(CRUN);
}

#[test]
fn a_runtime_that_knows_only_the_older_hook_has_that() {
    for runtime in [RUNC, CRUN] {
        let case = Case::new(runtime);
        case.set(runtime, "hook_stage: prestart\n");
        let before = case.warm();
        case.start("one", "");
        is_reached(&case, "one");
        case.docker("restart -t 0 one");
        is_reached(&case, "one");
        case.docker("rm -f one");
        case.is_as(&before, "it is removed");
    }
}

/// Waits until a container runs again, with another process, and is reached.
#[track_caller]
fn is_back(case: &Case, before: &str) {
    eventually(patience() * 2, || match case.pid("one") {
        now if now != before && now != "0" => Ok(()),
        now => Err(now),
    });
    is_reached(case, "one");
}

fn an_engine_starts_its_containers_again(runtime: &str) {
    let mut case = Case::new(runtime);
    let empty = case.warm();
    case.start("one", "--restart=always");
    let before = case.pid("one");
    case.kill("one");
    is_back(&case, &before);
    case.start("once", "");
    // The engine ends, and its containers with it.
    let before = case.pid("one");
    assert!(case.docker.stop().success());
    case.is_empty();
    case.docker.start_again(&case.node);
    is_back(&case, &before);
    // It is killed, and ends them when it comes back.
    case.docker("start once");
    let before = case.pid("one");
    case.docker.kill();
    case.docker.start_again(&case.node);
    case.becomes("once", "exited");
    is_back(&case, &before);
    case.docker("rm -f one once");
    case.is_as(&empty, "all are removed");
}

#[test]
fn an_engine_starts_its_containers_again_with_runc() {
    an_engine_starts_its_containers_again(RUNC);
}

#[test]
fn an_engine_starts_its_containers_again_with_crun() {
    an_engine_starts_its_containers_again(CRUN);
}

#[test]
fn containers_run_on_while_their_engine_is_away() {
    for runtime in [RUNC, CRUN] {
        let mut case = Case::with(Docker::plan().live_restore(), runtime);
        case.ours();
        let empty = case.warm();
        case.start("one", "");
        case.start("two", "");
        let (pid, address) = (case.pid("one"), case.address("one"));
        let other = case.pid("two");
        assert!(case.docker.stop().success());
        case.node.ping(&address);
        case.docker.start_again(&case.node);
        case.docker.kill();
        case.node.ping(&address);
        // One ends while nobody looks, and nothing of it stays.
        case.node.run(&format!("kill -9 {other}"));
        case.docker.start_again(&case.node);
        case.becomes("two", "exited");
        assert_eq!(
            (case.pid("one"), case.address("one")),
            (pid, address.clone())
        );
        case.docker("exec one ping -c 1 -w 5 10.60.0.1");
        eventually(patience(), || match case.attached() {
            1 => Ok(()),
            other => Err(other),
        });
        case.docker("stop one");
        case.docker("start one");
        case.node.ping(&case.address("one"));
        case.docker("rm -f one two");
        case.is_as(&empty, "all are removed");
    }
}

#[test]
fn a_container_on_the_hosts_or_anothers_network_is_left_alone() {
    for runtime in [RUNC, CRUN] {
        let case = Case::new(runtime);
        let before = case.warm();
        let seen =
            case.docker("run --rm --runtime barrel-cni --net host busybox ls /sys/class/net");
        let mut links: Vec<&str> = seen.split_whitespace().collect();
        links.sort_unstable();
        assert_eq!(links, case.node.link_names());
        case.node.is_as_before(&before, "one on the host's network");
        case.start("one", "");
        let guest = "run -d --name two --stop-signal KILL --runtime barrel-cni --net container:one";
        case.docker(&format!("{guest} busybox sleep 100000"));
        assert_eq!(case.addresses("two", "eth0"), case.addresses("one", "eth0"));
        // The guest goes, and the host of it is as it was.
        case.docker("rm -f two");
        is_reached(&case, "one");
        case.docker("rm -f one");
        case.is_as(&before, "both are removed");
    }
}

#[test]
fn a_container_on_a_network_of_the_engines_is_refused() {
    for runtime in [RUNC, CRUN] {
        let case = Case::with(Docker::plan().with_bridge(), runtime);
        case.ours();
        case.run("--rm busybox true");
        case.is_empty();
        let before = case.node.link_names();
        let ran = case
            .docker
            .cli(&case.node, "run --rm --runtime barrel-cni busybox true");
        assert_eq!(ran.status, Some(125), "{ran:?}");
        for word in ["has an interface eth0 already", "--net none"] {
            assert!(ran.stderr.contains(word), "{ran:?}");
        }
        case.node.sh("fairlead gc").done();
        case.is_empty();
        eventually(patience(), || match case.node.link_names() {
            now if now == before => Ok(()),
            now => Err(now),
        });
        // Others of the engine's are as ever.
        case.docker("run --rm busybox ping -c 1 -w 5 198.51.100.2");
    }
}

#[test]
fn a_container_finds_itself_by_its_name() {
    for runtime in [RUNC, CRUN] {
        let case = Case::new(runtime);
        case.start("one", "--hostname box --add-host other:192.0.2.7");
        let address = case.address("one");
        let hosts = |case: &Case| case.docker("exec one cat /etc/hosts");
        let own = format!("{address}\tbox");
        assert!(
            hosts(&case).lines().any(|line| line == own),
            "{}",
            hosts(&case)
        );
        let found = case.docker("exec one getent hosts box");
        assert_eq!(found.split_whitespace().next(), Some(address.as_str()));
        case.docker("exec one ping -c 1 -w 5 box");
        // Once, however often it starts, and what others wrote stays.
        case.docker("restart -t 0 one");
        let now = hosts(&case);
        assert_eq!(now.matches("\tbox").count(), 1, "{now}");
        for kept in ["localhost", "192.0.2.7\tother"] {
            assert!(now.contains(kept), "{now}");
        }
        let file = case.docker("inspect -f {{.HostsPath}} one");
        case.docker("stop one");
        let left = case.node.read(&file);
        assert!(
            !left.contains("fairlead") && left.contains("localhost"),
            "{left}"
        );
    }
}
