//! What is killed half-way, and what races.

use super::case::{CRUN, Case, RUNC};
use super::faults::{mixed, plugin};
use fairlead_tests::{Node, Place, Ran, eventually, patience};

/// An ADD that says whose child it is, and goes on when it is told to.
const WAIT: &str = "echo $PPID >/run/there; while ! test -e /run/go; do sleep 0.02; done; \
                    exec /usr/lib/cni/tuning";

/// The number in a file, once it is there.
#[track_caller]
fn number(node: &Node, file: &str) -> String {
    eventually(patience(), || {
        let found = node.sh(&format!("cat {file}")).stdout;
        match found.trim().parse::<u32>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(found),
        }
    })
}

#[track_caller]
fn parent(node: &Node, pid: &str) -> String {
    node.run(&format!("ps -o ppid= -p {pid}")).trim().to_owned()
}

/// Whether the plugin goes on before the engine has told what came of it.
#[derive(PartialEq)]
enum GoesOn {
    Before,
    After,
}

/// Runs a container, and kills what `victim` says of the hook's process while a plugin of
/// it waits; then the plugin goes on.
#[track_caller]
fn killed_during_create(case: &Case, goes_on: GoesOn, victim: impl Fn(&str) -> String) -> Ran {
    case.node.run("rm -f /run/there /run/go");
    plugin(case, WAIT);
    std::thread::scope(|scope| {
        let line = "run --rm --name one --runtime barrel-cni --net none busybox true";
        let run = scope.spawn(|| case.docker.cli(&case.node, line));
        let hook = number(&case.node, "/run/there");
        let command = case
            .node
            .sh(&format!("tr '\\0' ' ' </proc/{hook}/cmdline"))
            .done();
        assert!(command.contains("--command add"), "{command}");
        case.node.run(&format!("kill -9 {}", victim(&hook)));
        if goes_on == GoesOn::Before {
            case.node.write("/run/go", "");
        }
        let ran = run.join().expect("the command line of Docker");
        case.node.write("/run/go", "");
        ran
    })
}

/// Garbage is collected until all is as it was.
#[track_caller]
fn is_collected(case: &Case, before: &[String], what: &str) {
    eventually(patience(), || {
        let ran = case
            .node
            .sh("fairlead gc && fairlead ls -o json && fairlead ip ls -o json");
        match ran.stdout.matches("[]").count() {
            2 => Ok(()),
            _ => Err(ran),
        }
    });
    // What a hook took back itself at the end may have left an empty set.
    case.node.sh("fairlead gc").done();
    case.node.is_as_before(before, what);
    // The same can be run at once.
    plugin(case, "exec /usr/lib/cni/tuning");
    case.run("--rm --name one busybox ping -c 1 -w 5 10.62.0.1");
    case.is_as(before, what);
}

#[test]
fn a_hook_that_is_killed_leaves_what_gc_finds() {
    for runtime in [RUNC, CRUN] {
        let (case, before) = mixed(runtime);
        let ran = killed_during_create(&case, GoesOn::After, str::to_owned);
        assert_eq!(ran.status, Some(125), "{ran:?}");
        is_collected(&case, &before, "the hook was killed");
    }
}

#[test]
fn a_runtime_that_is_killed_leaves_what_gc_finds() {
    for runtime in [RUNC, CRUN] {
        let (case, before) = mixed(runtime);
        let ran = killed_during_create(&case, GoesOn::After, |hook| parent(&case.node, hook));
        assert_eq!(ran.status, Some(125), "{ran:?}");
        is_collected(&case, &before, "the runtime was killed");
    }
}

#[test]
fn a_wrapper_that_is_killed_leaves_what_gc_finds() {
    // Only before crun it stays.
    let (case, before) = mixed(CRUN);
    let ran = killed_during_create(&case, GoesOn::After, |hook| {
        let wrapper = parent(&case.node, &parent(&case.node, hook));
        let command = case
            .node
            .sh(&format!("tr '\\0' ' ' </proc/{wrapper}/cmdline"))
            .done();
        assert!(command.contains("oci --config"), "{command}");
        wrapper
    });
    assert_eq!(ran.status, Some(125), "{ran:?}");
    is_collected(&case, &before, "the wrapper was killed");
}

#[test]
fn a_container_that_is_killed_during_its_create_is_gone() {
    for runtime in [RUNC, CRUN] {
        let (case, before) = mixed(runtime);
        // Its first process, which the hook works for.
        let ran = killed_during_create(&case, GoesOn::Before, |hook| {
            let runtime = parent(&case.node, hook);
            let children = case.node.run(&format!("pgrep -P {runtime}"));
            let other = children.split_whitespace().find(|pid| *pid != hook);
            other.expect("the container's process").to_owned()
        });
        assert_ne!(ran.status, Some(0), "{ran:?}");
        is_collected(&case, &before, "the container was killed");
    }
}

#[test]
fn a_poststop_that_never_came_leaves_what_gc_finds() {
    for runtime in [RUNC, CRUN] {
        let (mut case, before) = mixed(runtime);
        case.start("one", "");
        let init = case.pid("one");
        let shim = parent(&case.node, &init);
        // Everybody who could call it, then the container.
        case.docker.kill();
        let name = case.node.run(&format!("ps -o args= -p {shim}"));
        assert!(name.contains("containerd-shim"), "{name}");
        case.node.run(&format!("kill -9 {shim}"));
        case.node.run(&format!("kill -9 {init}"));
        eventually(patience(), || {
            let ran = case
                .node
                .sh("fairlead gc && fairlead ls -o json && fairlead ip ls -o json");
            match ran.stdout.matches("[]").count() {
                2 => Ok(()),
                _ => Err(ran),
            }
        });
        case.node.is_as_before(&before, "nobody said that it ended");
        case.docker.start_again(&case.node);
        case.becomes("one", "exited");
        case.docker("start one");
        case.node.ping(&case.address("one"));
        case.docker("rm -f one");
        case.is_as(&before, "it was removed");
    }
}

#[test]
fn of_many_that_want_one_address_one_has_it() {
    for (runtime, more) in [(RUNC, ""), (CRUN, ""), (RUNC, "--label eru.cni/fixed-ip=1")] {
        let case = Case::new(runtime);
        let before = case.warm();
        let line = |at: u32| {
            format!(
                "run -d --name box{at} --stop-signal KILL --runtime barrel-cni --net none \
                 --label eru.cni/ipv4=10.60.0.77 {more} busybox sleep 100000"
            )
        };
        let case = &case;
        let all: Vec<Ran> = std::thread::scope(|scope| {
            let run = |at| scope.spawn(move || case.docker.cli(&case.node, &line(at)));
            let runs: Vec<_> = (0..6).map(run).collect();
            let all = runs.into_iter().map(|run| run.join().expect("a thread"));
            all.collect()
        });
        let (won, lost): (Vec<Ran>, Vec<Ran>) =
            all.into_iter().partition(|ran| ran.status == Some(0));
        assert_eq!(won.len(), 1, "{won:?} {lost:?}");
        for ran in lost {
            let lines: Vec<&str> = ran.stderr.lines().filter(|l| !l.is_empty()).collect();
            assert!(
                lines.len() <= 2 && lines[0].contains("10.60.0.77"),
                "{ran:?}"
            );
            assert_eq!(ran.status, Some(125), "{ran:?}");
        }
        let id = won[0].stdout.trim();
        assert_eq!(case.address(id), "10.60.0.77");
        case.node.ping("10.60.0.77");
        case.docker("rm -f box0 box1 box2 box3 box4 box5");
        case.is_as(&before, "all are removed");
    }
}
