//! Addresses that are kept: over a stop, over a restart, for another container.

use super::case::{CRUN, Case, NET_D, RUNC, bridge};
use fairlead_tests::{Place, eventually, patience};

const FIXED: &str = "--label eru.cni/fixed-ip=1";

/// Waits until the engine's container is gone, and takes away what is left of it.
#[track_caller]
fn collected(case: &Case) {
    case.node.sh("fairlead gc").done();
    case.is_empty();
    let left = case
        .node
        .sh("ls /run/fairlead-root/run/fairlead/netns")
        .stdout;
    assert_eq!(left.trim(), "");
}

fn an_address_is_kept_until_the_container_is_removed(runtime: &str) {
    let case = Case::new(runtime);
    case.start("one", FIXED);
    let address = case.address("one");
    // Others take the next ones meanwhile.
    case.docker("stop one");
    case.node.sh("fairlead gc").done();
    case.start("two", "");
    assert_ne!(case.address("two"), address);
    case.docker("start one");
    assert_eq!(case.address("one"), address);
    case.docker("restart -t 0 one");
    assert_eq!(case.address("one"), address);
    let pid = case.docker("inspect -f {{.State.Pid}} one");
    case.node.run(&format!("kill -9 {pid}"));
    eventually(patience(), || {
        match case.docker("inspect -f {{.State.Running}} one").as_str() {
            "false" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    case.docker("start one");
    assert_eq!(case.address("one"), address);
    // The gateway is reached, and the other container.
    case.docker("exec one ping -c 1 -w 5 10.60.0.1");
    case.docker(&format!("exec two ping -c 1 -w 5 {address}"));
    case.docker("rm -f one two");
    collected(&case);
}

#[test]
fn an_address_is_kept_until_the_container_is_removed_with_runc() {
    an_address_is_kept_until_the_container_is_removed(RUNC);
}

#[test]
fn an_address_is_kept_until_the_container_is_removed_with_crun() {
    an_address_is_kept_until_the_container_is_removed(CRUN);
}

#[test]
fn a_specific_address_is_had_and_given_back() {
    let case = Case::new(RUNC);
    case.start("one", "--label eru.cni/ipv4=10.60.0.77");
    assert_eq!(case.address("one"), "10.60.0.77");
    case.refused(
        "--rm --label eru.cni/ipv4=10.60.0.77 busybox true",
        &["10.60.0.77"],
    );
    case.docker("restart -t 0 one");
    assert_eq!(case.address("one"), "10.60.0.77");
    case.docker("stop one");
    case.start("two", "-e IPV4=10.60.0.77");
    assert_eq!(case.address("two"), "10.60.0.77");
    case.refused(
        "--rm --label eru.cni/ipv4=10.99.0.7 busybox true",
        &["10.99.0.7"],
    );
    case.docker("rm -f one two");
    collected(&case);
}

#[test]
fn a_kept_address_goes_to_a_container_that_takes_the_place_of_another() {
    let case = Case::new(RUNC);
    let kept = format!("{FIXED} --label eru.cni/ipv4=10.60.0.50");
    case.start("old", &kept);
    assert_eq!(case.address("old"), "10.60.0.50");
    let id = case.docker("inspect -f {{.Id}} old");
    // While it runs nobody else has it.
    case.refused(
        &format!("--rm {kept} busybox true"),
        &["10.60.0.50", "is in use by container", &id],
    );
    case.docker("stop old");
    case.start("new", &kept);
    assert_eq!(case.address("new"), "10.60.0.50");
    let failed = case.docker.cli(&case.node, "start old");
    assert!(failed.stderr.contains("in use by container"), "{failed:?}");
    // A container that wants it for once borrows it.
    case.docker("stop new");
    let seen =
        case.run("--rm --label eru.cni/ipv4=10.60.0.50 busybox ip -o -4 address show dev eth0");
    assert!(seen.contains("inet 10.60.0.50/24"), "{seen}");
    // The first goes, and the address stays for the second.
    case.docker("rm old");
    case.node.sh("fairlead gc").done();
    case.docker("start new");
    assert_eq!(case.address("new"), "10.60.0.50");
    case.docker("rm -f new");
    collected(&case);
}

#[test]
fn a_kept_address_outlives_a_reboot() {
    let case = Case::new(RUNC);
    case.start("one", FIXED);
    case.start("two", &format!("{FIXED} --label eru.cni/ipv4=10.60.0.50"));
    let address = case.address("one");
    case.docker("stop one two");
    reboot(&case);
    // Nobody gets them meanwhile.
    case.start("other", "");
    assert_ne!(case.address("other"), address);
    case.refused(
        "--rm --label eru.cni/network=back -e IPV4=x busybox true",
        &["IPV4"],
    );
    case.docker("start one two");
    assert_eq!(case.address("one"), address);
    assert_eq!(case.address("two"), "10.60.0.50");
    case.docker("exec one ping -c 1 -w 5 10.60.0.50");
    case.docker("rm -f one two other");
    collected(&case);
}

/// What a reboot of the machine does: namespaces and links are gone, and the boot's id is
/// another.
fn reboot(case: &Case) {
    let netns = "/run/fairlead-root/run/fairlead/netns";
    let line = format!("for n in $(ls {netns}); do umount {netns}/$n; done; rm -rf {netns}");
    case.node.sh(&line).done();
    case.node.sh("ip link delete brback").done();
    let boot = "UPDATE meta SET boot = 'another'";
    let line = format!("sqlite3 /run/fairlead-root/var/lib/fairlead/node.db \"{boot}\"");
    case.node.sh(&line).done();
}

#[test]
fn a_kept_address_stays_with_a_container_that_its_engine_starts_again() {
    let mut case = Case::new(RUNC);
    case.start("one", &format!("{FIXED} --restart=always"));
    let address = case.address("one");
    let pid = |case: &Case| case.docker("inspect -f {{.State.Pid}} one");
    let before = pid(&case);
    case.node.run(&format!("kill -9 {before}"));
    let is_back = |case: &Case, before: &str| {
        eventually(patience(), || match pid(case) {
            now if now != before && now != "0" => Ok(()),
            now => Err(now),
        });
        assert_eq!(case.address("one"), address);
    };
    is_back(&case, &before);
    let before = pid(&case);
    case.docker.kill();
    case.docker.start_again(&case.node);
    is_back(&case, &before);
    case.docker("rm -f one");
    collected(&case);
}

#[test]
fn a_container_that_cannot_be_made_keeps_no_address() {
    let case = Case::new(RUNC);
    let ran = case.docker.cli(
        &case.node,
        &format!("run --rm --runtime barrel-cni --net none {FIXED} busybox no-such-program"),
    );
    assert!(ran.stderr.contains("no-such-program"), "{ran:?}");
    assert_eq!(ran.status, Some(127), "as without us: {ran:?}");
    collected(&case);
    // Nor does one whose network cannot be.
    case.refused(
        &format!("--rm {FIXED} --label eru.cni/network=none busybox true"),
        &["none"],
    );
    collected(&case);
}

#[test]
fn an_address_is_shown_checked_held_back_and_given_free_by_hand() {
    let case = Case::new(RUNC);
    case.node
        .sh(&format!("fairlead node set --kw cni.config={NET_D}"))
        .silent();
    let ip = |line: &str| case.node.sh(&format!("fairlead ip {line}"));
    // One that is held back is nobody's.
    ip("assign 10.60.0.2 --network back").done();
    assert!(
        ip("assign 10.60.0.2 --network back")
            .stderr
            .contains("10.60.0.2")
    );
    let outside = ip("assign 10.61.0.2 --network back");
    assert!(outside.stderr.contains("10.60.0.0/24"), "{outside:?}");
    assert!(
        ip("assign 10.60.0.9 --network nonet")
            .stderr
            .contains("nonet")
    );
    let id = case.start("one", FIXED);
    assert_eq!(case.address("one"), "10.60.0.3");
    case.refused(
        "--rm --label eru.cni/ipv4=10.60.0.2 busybox true",
        &["10.60.0.2"],
    );
    let shown = ip("show 10.60.0.3 -o json").json();
    assert_eq!(
        (&shown[0]["container"], &shown[0]["used_by"]),
        (&id.clone().into(), &id.clone().into())
    );
    assert_eq!(
        (&shown[0]["live"], &shown[0]["kept_for"][0]),
        (&true.into(), &id.clone().into())
    );
    assert_eq!(ip("check 10.60.0.3").status, Some(0));
    // Somebody takes it away behind our back.
    let pid = case.docker("inspect -f {{.State.Pid}} one");
    case.node.run(&format!(
        "nsenter --target {pid} --net -- ip address flush dev eth0"
    ));
    let wrong = ip("check 10.60.0.3");
    assert_eq!(wrong.status, Some(3), "{wrong:?}");
    assert!(
        wrong.stdout.contains("does not have the address"),
        "{wrong:?}"
    );
    let used = ip("release 10.60.0.3");
    assert!(
        used.stderr.contains("is in use by") && used.stderr.contains("--force"),
        "{used:?}"
    );
    case.docker("stop one");
    assert!(ip("release 10.60.0.3").done().contains("10.60.0.3"));
    assert!(ip("show 10.60.0.3").stderr.contains("nobody has it"));
    assert_eq!(ip("release 10.60.0.3").status, Some(1));
    assert!(ip("release 10.60.0.2").done().contains("is free"));
    case.is_empty();
    // Its container gets another endpoint.
    case.docker("start one");
    assert_eq!(case.addresses("one", "eth0").len(), 1);
    case.docker("rm -f one");
    collected(&case);
}

#[test]
fn a_kept_address_that_cannot_be_had_again_stays_kept() {
    let case = Case::new(RUNC);
    case.start("one", FIXED);
    let address = case.address("one");
    let list = case.node.read(&format!("{NET_D}/10-back.conflist"));
    case.docker("stop one");
    reboot(&case);
    // Its network cannot be made: something else has the name of its bridge.
    case.node
        .run("ip link add brback type veth peer name brother");
    let failed = case.docker.cli(&case.node, "start one");
    assert!(failed.stderr.contains("brback"), "{failed:?}");
    case.node.run("ip link delete brback");
    // Nobody else gets the address, though nothing of the container is there.
    case.network("20-other.conflist", &serde_json::from_str(&list).unwrap());
    for name in ["aa", "bb", "cc"] {
        case.start(name, "");
        assert_ne!(case.address(name), address);
    }
    case.refused(
        &format!(
            "--rm --label eru.cni/ipv4={address} --label eru.cni/mac=02:00:00:00:00:09 busybox true"
        ),
        &[&address, "other hardware address"],
    );
    case.docker("start one");
    assert_eq!(case.address("one"), address);
    case.docker("rm -f one aa bb cc");
    collected(&case);
}

#[test]
fn one_that_takes_anothers_place_has_what_it_asks_for_or_is_told() {
    let case = Case::new(RUNC);
    case.network("20-front.conflist", &bridge("front", "10.61.0", "brfront"));
    let kept = format!("{FIXED} --label eru.cni/ipv4=10.60.0.50");
    case.start("old", &kept);
    case.docker("stop old");
    let ports = r#"--label 'eru.cni/ports=[{"hostPort":8080,"containerPort":80}]'"#;
    let networks = "--label eru.cni/network=back,front";
    for (options, what) in [(ports, "other ports"), (networks, "other networks")] {
        case.refused(
            &format!("--rm {kept} {options} busybox true"),
            &["10.60.0.50", what],
        );
    }
    // A poststop that comes late is of the last run.
    let id = case.docker("inspect -f {{.Id}} old");
    case.docker("start old");
    let bundle = format!("/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/{id}");
    let state = format!(r#"{{"id":"{id}","status":"stopped","bundle":"{bundle}"}}"#);
    case.node.write("/run/state", &state);
    let line = "fairlead cni --command del --config /run/cni.yaml </run/state";
    case.node.sh(line).silent();
    case.refused(
        &format!("--rm {kept} busybox true"),
        &["in use by container", &id],
    );
    assert_eq!(case.address("old"), "10.60.0.50");
    case.docker("rm -f old");
    collected(&case);
}
