//! What becomes of containers when they, the engine or the agent start again or are killed.

use crate::case::Case;
use fairlead_tests::{Agent, Docker, eventually, patience};

/// A network and containers that Docker starts again by itself.
fn with_restarting(plan: fairlead_tests::DockerPlan, count: usize) -> Case {
    let case = Case::with(plan);
    case.docker("network create -d fairlead --ipam-driver fairlead --subnet 10.70.0.0/24 net");
    for at in 0..count {
        case.run(&format!("box{at}"), "--restart=always --network net");
    }
    case
}

/// Every container of these runs and reaches the gateway and the next one.
#[track_caller]
fn all_reach(case: &Case, count: usize) {
    eventually(patience() * 3, || {
        let running = case.docker("ps -q");
        match running.lines().count() {
            found if found == count => Ok(()),
            _ => Err(running),
        }
    });
    for at in 0..count {
        let next = format!("box{}", (at + 1) % count);
        case.docker(&format!("exec box{at} ping -c 1 -w 5 10.70.0.1"));
        case.docker(&format!("exec box{at} ping -c 1 -w 5 {next}"));
    }
    let taken = case.node.sh("fairlead ip ls -o json").json();
    assert_eq!(taken.as_array().unwrap().len(), count, "{taken}");
}

#[test]
fn a_container_that_starts_again_has_its_address_again_and_a_new_one_another() {
    let case = with_restarting(Docker::plan(), 3);
    let before: Vec<String> = (0..3)
        .map(|at| case.address(&format!("box{at}"), "net"))
        .collect();
    case.docker("restart box1");
    assert_eq!(case.address("box1", "net"), before[1]);
    case.docker("stop box2");
    case.run("new", "--network net");
    let new = case.address("new", "net");
    assert!(!before.contains(&new), "{new} of {before:?}");
    case.docker("start box2");
    assert_eq!(case.address("box2", "net"), before[2]);
    // One that is gone is remembered no more.
    case.docker("rm -f box0");
    case.docker("restart box1");
    assert_eq!(case.address("box1", "net"), before[1]);
}

#[test]
fn containers_of_an_engine_that_starts_again_are_connected() {
    let mut case = with_restarting(Docker::plan(), 3);
    let _ = case.docker.stop();
    case.docker.start_again(&case.node);
    all_reach(&case, 3);
    case.docker.kill();
    case.docker.start_again(&case.node);
    all_reach(&case, 3);
}

#[test]
fn an_agent_that_ends_or_is_killed_leaves_everything_and_goes_on_where_it_was() {
    let mut case = with_restarting(Docker::plan(), 2);
    let _ = case.agent.daemon.terminate();
    case.docker("exec box0 ping -c 1 -w 5 box1");
    case.agent = Agent::start(&case.node);
    all_reach(&case, 2);
    case.agent.daemon.kill();
    case.docker("exec box0 ping -c 1 -w 5 box1");
    case.agent = Agent::start(&case.node);
    case.docker("restart box0");
    case.docker("rm -f box1");
    case.run("box1", "--network net");
    all_reach(&case, 2);
}

#[test]
fn an_agent_before_its_engine_finds_its_containers_started() {
    let mut case = with_restarting(Docker::plan(), 2);
    case.docker.kill();
    case.agent.daemon.kill();
    case.agent = Agent::start(&case.node);
    case.docker.start_again(&case.node);
    all_reach(&case, 2);
    nothing_is_left(&case);
}

#[test]
fn an_engine_waits_for_its_agent() {
    let mut case = with_restarting(Docker::plan(), 2);
    case.docker.kill();
    case.agent.daemon.kill();
    let Case {
        node,
        docker,
        agent,
    } = case;
    drop(agent);
    let mut docker = docker;
    let (end, ended) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let place = &node;
        // The agent lives as long as the thread that started it.
        scope.spawn(move || {
            eventually(patience() * 2, || {
                let log = place.read("/run/docker.log");
                let waits = log.contains("Unable to connect to plugin");
                waits.then_some(()).ok_or(log)
            });
            let agent = Agent::start(place);
            let _ = ended.recv();
            drop(agent);
        });
        docker.start_again(place);
        eventually(patience() * 4, || {
            let running = docker.must(place, "ps -q");
            match running.lines().count() {
                2 => Ok(()),
                _ => Err(running),
            }
        });
        docker.must(place, "exec box0 ping -c 1 -w 5 box1");
        drop(end);
    });
}

/// Taken away, none of it is anywhere.
#[track_caller]
fn nothing_is_left(case: &Case) {
    case.docker("rm -f box0 box1");
    case.docker("network rm net");
    let left = case.node.sh("fairlead ip ls -o json").json();
    assert_eq!(left.as_array().unwrap().len(), 0, "{left}");
    let found = case.node.sh("fairlead gc --dry-run").stdout;
    assert!(!found.contains("10.70"), "{found}");
}

#[test]
fn containers_that_outlive_their_engine_stay_connected() {
    let mut case = with_restarting(Docker::plan().live_restore(), 2);
    let before = case.address("box0", "net");
    case.docker.kill();
    case.docker.start_again(&case.node);
    all_reach(&case, 2);
    assert_eq!(case.address("box0", "net"), before);
    nothing_is_left(&case);
}
