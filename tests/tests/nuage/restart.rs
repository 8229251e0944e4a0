//! The drivers, or Docker, end at any moment and are started again.

use crate::case::{Case, SETTINGS, seed, start, text};
use fairlead_tests::{Daemon, Docker, Place as _, Ran, eventually, patience};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// A host where an audit begins each second.
fn audited() -> Case {
    let settings = format!("{SETTINGS}auditinterval: 1\n");
    Case::with(Docker::plan(), &settings, &seed())
}

fn is_a_post(request: &&Value) -> bool {
    request["method"] == "POST" && request["path"] == "/containers"
}

/// Types a line of Docker's, and kills the drivers while the controller holds a request of
/// theirs back; starts them again. Docker may repeat its call then, but it repeats it without
/// its contents: the line may fail.
#[track_caller]
fn killed_in(case: &mut Case, method: &str, path: &str, line: &str) -> Ran {
    let fault = json!({"method": method, "path": path, "delay_ms": 1500, "times": 1});
    case.vsd.fault(&fault);
    let Case {
        plugin,
        docker,
        vsd,
        node,
        ..
    } = case;
    let (docker, node) = (&*docker, &*node);
    std::thread::scope(|scope| {
        let typed = scope.spawn(move || docker.cli(node, line));
        eventually(patience(), || match vsd.faults().as_slice() {
            [] => Ok(()),
            left => Err(left.to_vec()),
        });
        plugin.take().expect("it runs").kill();
        *plugin = Some(start(node));
        typed.join().expect("the line ends")
    })
}

/// Containers are started and removed, and an audit finds nothing to do.
#[track_caller]
fn works(case: &Case, running: usize) {
    case.is_up(running);
    case.audit();
    case.run("probe", "--net MyNet");
    case.is_up(running + 1);
    case.docker("rm -f probe");
    case.is_up(running);
    let told = case.audit();
    assert!(told.contains("0 removed, 0 repaired, 0 problems"), "{told}");
    assert_eq!(case.vsd.state("containers").len(), running);
    assert_eq!(case.leases().len(), running);
}

#[test]
fn drivers_that_are_killed_while_the_controller_works_leave_nothing() {
    let mut case = Case::new();
    case.create();
    let run = "run -d --name one --stop-signal KILL --net MyNet busybox sleep 100000";
    let ran = killed_in(&mut case, "POST", "^/containers$", run);
    // The controller does what nobody waits for any more, under a name that nobody knows.
    eventually(patience(), || {
        match case.vsd.requests().iter().find(is_a_post) {
            Some(_) => Ok(()),
            None => Err("it is held back"),
        }
    });
    let told = case.audit();
    assert!(told.contains("removed container"), "{told}");
    if ran.status != Some(0) {
        case.docker("start one");
    }
    works(&case, 1);
    killed_in(&mut case, "PUT", "^/containers/", "restart -t 0 one").done();
    works(&case, 1);
    killed_in(&mut case, "DELETE", "^/containers/", "rm -f one").done();
    works(&case, 0);
    case.docker("network rm MyNet");
    case.is_empty();
}

#[test]
fn a_container_is_started_by_other_drivers_than_it_was_made_with() {
    let mut case = Case::new();
    case.create();
    case.docker("create --name one --stop-signal KILL --net MyNet busybox sleep 100000");
    case.kill();
    case.start_again();
    case.docker("start one");
    case.is_up(1);
    // While they are away Docker looks for them.
    case.docker("create --name two --stop-signal KILL --net MyNet busybox sleep 100000");
    case.kill();
    let Case {
        docker,
        node,
        plugin,
        ..
    } = &mut case;
    let (docker, node) = (&*docker, &*node);
    std::thread::scope(|scope| {
        let typed = scope.spawn(move || docker.cli(node, "start two"));
        eventually(patience(), || {
            // Refused connections are what Docker tells of in its log.
            let log = node.read("/run/docker.log");
            match log.contains("nuage.sock") || log.contains("nuage-ipam.sock") {
                true => Ok(()),
                false => Err(log),
            }
        });
        *plugin = Some(start(node));
        typed.join().expect("the line ends").done();
    });
    works(&case, 2);
}

#[test]
fn a_container_that_went_while_the_drivers_were_away_is_given_back() {
    let mut case = audited();
    case.create();
    for name in ["one", "two"] {
        case.run(name, "--net MyNet");
    }
    case.is_up(2);
    case.kill();
    // Docker tries for a while to tell somebody of each step.
    case.docker("rm -f one");
    assert_eq!(case.vsd.state("containers").len(), 2, "nobody heard of it");
    case.start_again();
    works(&case, 1);
    let left = case.vsd.state("containers");
    assert_eq!(left[0]["name"], "two");
    case.docker("rm -f two");
    case.is_empty();
}

/// Waits until as many containers run as are to.
#[track_caller]
fn all_run(case: &Case, count: usize) {
    eventually(patience() * 4, || {
        let running = case.docker("ps -q").lines().count();
        if running == count {
            Ok(())
        } else {
            Err(running)
        }
    });
}

/// The engine ends, as it is told to or at once, and comes back with its containers.
#[track_caller]
fn engine_restarted(case: &mut Case, at_once: bool) {
    match at_once {
        true => case.docker.kill(),
        false => assert!(case.docker.stop().success()),
    }
    case.docker.start_again(&case.node);
    all_run(case, 5);
    works(case, 5);
}

#[test]
fn containers_come_back_with_their_engine() {
    let plans = [
        (Docker::plan(), [false, true].as_slice()),
        (Docker::plan().newer(), &[true]),
    ];
    for (plan, ways) in plans {
        let mut case = Case::with(plan, SETTINGS, &seed());
        case.create();
        let names = Case::names(5);
        case.run_all(&names, "--restart=always");
        case.run("not-again", "--net MyNet");
        case.is_up(6);
        for at_once in ways {
            engine_restarted(&mut case, *at_once);
        }
        case.docker(&format!("rm -f not-again {}", names.join(" ")));
        case.is_empty();
    }
}

#[test]
fn other_drivers_serve_the_containers_that_run() {
    let mut case = Case::new();
    case.create();
    for name in ["one", "two", "three"] {
        case.run(name, "--net MyNet");
    }
    case.is_up(3);
    let log = case.log();
    let ended = case.plugin.take().expect("it runs").terminate();
    assert!(ended.success(), "{ended:?}: {log}");
    case.start_again();
    case.is_up(3);
    case.docker("stop one");
    case.docker("rm -f two");
    case.docker("rename three thirty");
    case.is_up(1);
    eventually(patience(), || {
        let controller = text(&case.vsd.state("containers")[0]["name"]);
        let switch = text(&case.ovs.rows(&case.node, "Nuage_VM_Table")[0]["vm_name"]);
        match (controller.as_str(), switch.as_str()) {
            ("thirty", "thirty") => Ok(()),
            _ => Err((controller, switch)),
        }
    });
    case.docker("start one");
    works(&case, 2);
}

#[test]
fn lost_records_are_had_again_from_who_knows() {
    let mut case = audited();
    case.create();
    for name in ["one", "two"] {
        case.run(name, "--net MyNet");
    }
    case.is_up(2);
    let before = case.of_controller();
    case.kill();
    let process = case.docker("inspect --format '{{.State.Pid}}' two");
    case.node.sh(&format!("kill -9 {process}")).silent();
    case.node
        .sh("rm -f $FAIRLEAD_ROOT/var/lib/fairlead/node.db*")
        .silent();
    case.start_again();
    eventually(patience() * 4, || {
        let leases = case.leases();
        let is_up = |lease: &&Value| lease["tenant"]["is_plugged"] == true;
        match leases.iter().filter(is_up).count() {
            1 => Ok(()),
            _ => Err(leases),
        }
    });
    works(&case, 1);
    assert!(before.is_superset(&case.of_controller()));
    let names: BTreeSet<String> = case
        .vsd
        .state("containers")
        .iter()
        .map(|one| text(&one["name"]))
        .collect();
    assert_eq!(names, BTreeSet::from(["one".to_owned()]));
    case.docker("rm -f one");
    case.is_empty();
}

#[test]
fn a_host_that_lost_its_power_is_as_before() {
    let settings = format!("{SETTINGS}auditinterval: 1\n");
    let mut case = Case::with(Docker::plan(), &settings, &seed());
    case.create();
    let names = Case::names(4);
    case.run_all(&names, "--restart=always");
    case.run("not-again", "--net MyNet");
    case.is_up(5);
    case.kill();
    case.docker.kill();
    // What the kernel had is gone, what the switch has on its disk is not.
    for link in case.links() {
        case.node.run(&format!("ip link delete {link}"));
    }
    let followed = case.log().matches("is followed").count();
    case.plugin = Some(start(&case.node));
    case.docker.start_again(&case.node);
    case.is_followed(followed + 1);
    all_run(&case, 4);
    works(&case, 4);
    case.docker(&format!("rm -f not-again {}", names.join(" ")));
    case.is_empty();
}

/// Attaches strace, which kills the process when one of its threads begins that call for the
/// so-manieth time.
#[track_caller]
fn attached(case: &Case, process: u32, syscall: &str, number: u32) -> Daemon {
    let mut command = case.node.command("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
    command.arg(format!("trace={syscall}"));
    command.arg("-e");
    command.arg(format!("inject={syscall}:signal=KILL:when={number}"));
    command.args(["-p", &process.to_string()]);
    let strace = Daemon::start(&command, "strace", &case.node.path("/run/strace.out"));
    eventually(patience(), || {
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
        let statuses = threads.map(|thread| {
            let path = thread.expect("a thread").path().join("status");
            std::fs::read_to_string(path).unwrap_or_default()
        });
        let free = statuses
            .filter(|status| status.contains("TracerPid:\t0"))
            .count();
        if free == 0 { Ok(()) } else { Err(free) }
    });
    strace
}

/// Types a line, and starts the drivers again when they end meanwhile; says whether they did.
#[track_caller]
fn typed_through(case: &mut Case, line: &str) -> bool {
    let Case {
        plugin,
        docker,
        node,
        ..
    } = case;
    let (docker, node) = (&*docker, &*node);
    std::thread::scope(|scope| {
        let typed = scope.spawn(move || docker.cli(node, line));
        let mut ended = false;
        eventually(patience() * 6, || {
            let own = plugin.as_mut().expect("it runs");
            if own.ended().is_some() {
                ended = true;
                *plugin = Some(start(node));
            }
            match typed.is_finished() {
                true => Ok(()),
                false => Err(format!("{line} does not end")),
            }
        });
        ended
    })
}

#[test]
fn drivers_that_are_killed_at_any_call_of_the_kernel_leave_nothing() {
    let mut case = audited();
    case.create();
    let run = "run -d --name one --stop-signal KILL --net MyNet busybox sleep 100000";
    let mut killed = 0;
    let calls = [
        ("pwrite64", 9),
        ("sendto", 6),
        ("write", 3),
        ("fdatasync", 2),
    ];
    let calls = calls
        .into_iter()
        .flat_map(|(syscall, most)| (1..=most).map(move |number| (syscall, number)));
    for (syscall, number) in calls {
        let process = case.plugin.as_ref().expect("it runs").id();
        let strace = attached(&case, process, syscall, number);
        for line in [run, "rm -f one"] {
            killed += u32::from(typed_through(&mut case, line));
        }
        drop(strace);
        killed += u32::from(typed_through(&mut case, "rm -f one"));
    }
    println!("killed {killed} times");
    assert!(killed >= 5, "{killed}");
    // A lease that nobody was told of is looked at as one that somebody may still be told of.
    eventually(Duration::from_secs(90), || match case.leases().as_slice() {
        [] => Ok(()),
        left => Err(left.to_vec()),
    });
    case.is_empty();
    works(&case, 0);
}
