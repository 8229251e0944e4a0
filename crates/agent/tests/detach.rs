//! Detaches through the agent: many at once in few steps of the kernel, whole in spite of
//! what happens to the agent.

mod common;

use common::{Container, Trial, WEB, given, of, until};
use fairlead_attach::Node;
use fairlead_control::{
    DETACH, DetachRequest, Detached, METRICS, Namespace, REMOVE, RemoveRequest,
};
use serde_json::{Value, json};
use std::process::Child;

const MANY: usize = 40;

fn attached(trial: &Trial, count: usize) -> Vec<Container> {
    let attach = |i: usize| {
        let (id, port) = (format!("c{i}"), format!("{}:80/tcp", 8000 + i));
        let container = trial.container(&id);
        trial.attach(&container, &id, &[&port]);
        container
    };
    (0..count).map(attach).collect()
}

fn question(id: &str) -> DetachRequest {
    DetachRequest {
        node: None,
        network: None,
        container: Some(id.parse().unwrap()),
        sandbox: None,
        object: None,
        ifname: None,
    }
}

fn nothing_is_left(trial: &Trial) {
    assert_eq!(trial.records(), [0; 4]);
    assert_eq!((trial.cables(), trial.elements()), (0, 0));
}

/// The sum and the number of the batches so far.
fn batches(trial: &Trial) -> (f64, f64) {
    let text = trial.client().get_text(METRICS).unwrap().unwrap();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    };
    (
        value("fairlead_delete_batch_size_sum "),
        value("fairlead_delete_batch_size_count "),
    )
}

/// Detaches the container of its argument, as a command does.
#[test]
#[ignore = "started by other tests as a program"]
fn as_detach() {
    if let Some((root, id)) = given() {
        // None where an agent that was killed had done it before it could say so.
        let done = Node::open(&root).unwrap().detach(&of(&id)).unwrap();
        assert!(done.owners.len() <= 1);
    }
}

/// The agent as a process of its own.
#[test]
#[ignore = "started by other tests as a program"]
fn as_agent() {
    if let Some((root, _)) = given() {
        fairlead_agent::run(&root, &Default::default()).unwrap();
    }
}

#[test]
fn many_at_once_take_few_steps_of_the_kernel() {
    let trial = Trial::new(WEB);
    let agent = trial.agent();
    let _containers = attached(&trial, MANY);
    std::thread::scope(|scope| {
        for i in 0..MANY {
            let client = trial.client();
            scope.spawn(move || {
                let done: Detached = client
                    .post(DETACH, &question(&format!("c{i}")))
                    .unwrap()
                    .unwrap();
                assert_eq!((done.owners.len(), done.errors), (1, vec![]));
            });
        }
    });
    nothing_is_left(&trial);
    let (links, steps) = batches(&trial);
    assert_eq!(links, MANY as f64);
    assert!(steps <= MANY as f64 / 4.0, "{steps} steps");
    agent.stop();
}

#[test]
fn processes_leave_it_to_the_agent() {
    let trial = Trial::new(WEB);
    let agent = trial.agent();
    let _containers = attached(&trial, 8);
    let mut all: Vec<Child> = (0..8)
        .map(|i| trial.program("as_detach", &format!("c{i}")))
        .collect();
    assert!(all.iter_mut().all(|child| child.wait().unwrap().success()));
    nothing_is_left(&trial);
    assert_eq!(batches(&trial).0, 8.0);
    agent.stop();
}

#[test]
fn what_is_gone_already_is_done() {
    let trial = Trial::new(WEB);
    let agent = trial.agent();
    let containers = attached(&trial, 2);
    // One cable is gone before, with its container's namespace and by hand.
    let cable = trial
        .links()
        .into_iter()
        .find(|l| l.starts_with("veth"))
        .unwrap();
    trial.run(&format!("ip link del {cable}"));
    drop(containers);
    trial.detach("c0");
    trial.detach("c1");
    nothing_is_left(&trial);
    let done: Detached = trial
        .client()
        .post(DETACH, &question("c0"))
        .unwrap()
        .unwrap();
    assert_eq!(done, Detached::default());
    agent.stop();
}

#[test]
fn another_namespace_is_not_the_agents() {
    let trial = Trial::new(WEB);
    let agent = trial.agent();
    let container = trial.container("c1");
    let attachment = trial.attach(&container, "c1", &[]);
    let elsewhere = Namespace { dev: 1, ino: 1 };
    let request = RemoveRequest {
        node: Some(elsewhere),
        owner: attachment.owner,
        ports: true,
        masquerades: true,
        mac_check: true,
        link: true,
    };
    let client = trial.client();
    let refused = client
        .post::<serde_json::Value>(REMOVE, &request)
        .unwrap_err();
    assert!(
        refused.to_string().contains("another network namespace"),
        "{refused}"
    );
    let request = DetachRequest {
        node: Some(elsewhere),
        ..question("c1")
    };
    client
        .post::<serde_json::Value>(DETACH, &request)
        .unwrap_err();
    assert_eq!(trial.cables(), 1);
    // The caller, who is where the agent is not, does it itself: by the record, there.
    let done = Node::open(&trial.root).unwrap().detach(&of("c1")).unwrap();
    assert_eq!(done.owners.len(), 1);
    assert_eq!(trial.records(), [0; 4]);
    agent.stop();
}

#[test]
fn callers_finish_themselves_when_the_agent_is_killed() {
    for round in 0..6 {
        let trial = Trial::new(WEB);
        let mut agent = trial.program("as_agent", "");
        until("the agent is ready", || {
            trial.status().is_some_and(|s| s.ready)
        });
        let _containers = attached(&trial, 16);
        let mut all: Vec<Child> = (0..16)
            .map(|i| trial.program("as_detach", &format!("c{i}")))
            .collect();
        // In the middle: some are done, some are not.
        until("some are gone", || trial.cables() < 16 - 2 * round);
        agent.kill().unwrap();
        agent.wait().unwrap();
        for (i, child) in all.iter_mut().enumerate() {
            assert!(child.wait().unwrap().success(), "round {round}: c{i}");
        }
        nothing_is_left(&trial);
    }
}

#[test]
fn callers_do_not_wait_for_an_agent_that_has_ended() {
    let trial = Trial::new(WEB);
    trial.agent().stop();
    let _containers = attached(&trial, 1);
    trial.detach("c0");
    nothing_is_left(&trial);
}

/// Calls a plugin as a runtime does; returns what it says.
fn call(trial: &Trial, plugin: &str, command: &str, container: &Container, conf: &Value) -> String {
    let netns = container.0.display().to_string();
    let env = |key: &str| {
        let value = match key {
            "CNI_COMMAND" => command,
            "CNI_CONTAINERID" => "c1",
            "CNI_NETNS" => &netns,
            "CNI_IFNAME" => "eth0",
            "CNI_PATH" => "/opt/cni/bin",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let text = conf.to_string();
    trial.inside(move || {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut io = fairlead_cni::PluginIo {
            env: &env,
            stdin: &mut text.as_bytes(),
            stdout: &mut stdout,
            stderr: &mut stderr,
        };
        let status = fairlead_plugins::run_program(plugin, trial.root.clone(), &mut io);
        let said = String::from_utf8(stdout).unwrap();
        assert_eq!(status, Some(0), "{plugin} {command}: {said}");
        said
    })
}

#[test]
fn a_plugin_that_a_runtime_calls_leaves_its_removals_to_the_agent() {
    let trial = Trial::new(WEB);
    let agent = trial.agent();
    let container = trial.container("c1");
    let bridge = json!({
        "cniVersion": "1.0.0", "name": "web", "type": "bridge", "bridge": "obr_web",
        "isGateway": true, "ipMasq": true, "macspoofchk": true,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.93.0.0/22"}]]},
    });
    let result = call(&trial, "bridge", "ADD", &container, &bridge);
    let mut portmap = json!({
        "cniVersion": "1.0.0", "name": "web", "type": "portmap", "capabilities": {"portMappings": true},
        "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]},
    });
    portmap["prevResult"] = serde_json::from_str(&result).unwrap();
    call(&trial, "portmap", "ADD", &container, &portmap);
    assert_eq!((trial.cables(), trial.records()), (1, [0, 1, 1, 1]));
    for _ in 0..2 {
        call(&trial, "portmap", "DEL", &container, &portmap);
        call(&trial, "bridge", "DEL", &container, &bridge);
        nothing_is_left(&trial);
        assert!(
            !trial.run("nft list ruleset").contains("veth"),
            "the check of the address"
        );
    }
    // A wish for a link that is gone is one too.
    assert_eq!(batches(&trial).0, 2.0);
    agent.stop();
}
