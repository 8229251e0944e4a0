//! The agent on a real kernel: what it keeps as declared, what it leaves alone, how it
//! begins and ends.

mod common;

use common::{Trial, WEB, given, until};
use fairlead_agent::{Agent, AgentError, Options};
use fairlead_control::METRICS;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

#[test]
fn what_is_declared_is_made_before_the_agent_is_ready() {
    let trial = Trial::new(WEB);
    let agent = trial.agent();
    assert_eq!(trial.links(), ["obr_web"]);
    let status = trial.status().unwrap();
    assert_eq!(status.pid, std::process::id());
    let first = status.reconciled.unwrap();
    assert!(first.is_complete(), "{first:?}");
    assert!(
        first
            .steps
            .iter()
            .any(|s| s.contains("create bridge obr_web")),
        "{first:?}"
    );
    assert_eq!(trial.reconcile().steps, Vec::<String>::new());
    agent.stop();
    assert_eq!(trial.status(), None);
    assert_eq!(
        trial.links(),
        ["obr_web"],
        "an agent that ends leaves all in place"
    );
}

#[test]
fn what_somebody_breaks_is_repaired() {
    let trial = Trial::new(WEB);
    let agent = trial.agent();
    let container = trial.container("c1");
    let attachment = trial.attach(&container, "c1", &["8080:80/tcp"]);
    let elements = trial.elements();
    assert!(elements >= 2, "{elements}");
    let port = attachment.host_interface.unwrap();
    let connected =
        |trial: &Trial| trial.ip(&format!("link show {port}"))[0]["master"] == "obr_web";
    let up = |trial: &Trial| {
        trial.ip("link show obr_web")[0]["flags"]
            .to_string()
            .contains("\"UP\"")
    };
    for line in [
        "nft flush ruleset",
        "ip link set obr_web down",
        "ip link del obr_web",
    ] {
        let begun = Instant::now();
        trial.run(line);
        until(line, || {
            trial.links().contains(&"obr_web".to_owned())
                && up(&trial)
                && connected(&trial)
                && trial.elements() == elements
        });
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{line}: {:?}",
            begun.elapsed()
        );
    }
    let file = trial.root.dir().join("opt/cni/net.d");
    let files = || std::fs::read_dir(&file).unwrap().count();
    let before = files();
    assert!(before > 0);
    for entry in std::fs::read_dir(&file).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    until("the CNI files are back", || files() == before);
    agent.stop();
}

#[test]
fn a_node_at_rest_is_left_at_rest() {
    let trial = Trial::new(WEB);
    let agent = trial.agent();
    trial.reconcile();
    // The kernel's words about our own steps start one more.
    let at = |trial: &Trial| {
        let text: String = trial.client().get_text(METRICS).unwrap().unwrap();
        let line = text
            .lines()
            .find(|l| l.starts_with("fairlead_reconciliations_total"));
        line.unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let mut before = at(&trial);
    let mut calm_since = Instant::now();
    until("the reconciliations end", || {
        let now = at(&trial);
        if now != before {
            before = now;
            calm_since = Instant::now();
        }
        calm_since.elapsed() > Duration::from_secs(3)
    });
    assert!(
        before <= 5,
        "{before} reconciliations of a node that nobody touches"
    );
    agent.stop();
}

#[test]
fn a_change_of_the_declarations_is_followed_and_a_bad_one_changes_nothing() {
    let trial = Trial::new(WEB);
    let agent = trial.agent();
    let container = trial.container("c1");
    trial.attach(&container, "c1", &[]);
    trial.declare("[network#web\ntype = bri");
    until("the problem is told", || {
        let done = trial.status().unwrap().reconciled.unwrap();
        !done.is_complete()
    });
    assert!(trial.links().contains(&"obr_web".to_owned()));
    assert_eq!(trial.cables(), 1);
    // By records, whatever the files say.
    trial.detach("c1");
    assert_eq!(trial.cables(), 0);
    trial.declare(&format!(
        "{WEB}[network#two]\ntype = bridge\nnetwork = 10.94.0.0/24\n"
    ));
    until("the second network is there", || {
        trial.links() == ["obr_two", "obr_web"]
    });
    until("nothing is wrong", || {
        trial
            .status()
            .unwrap()
            .reconciled
            .unwrap()
            .problems
            .is_empty()
    });
    trial.declare(WEB);
    until("the second network is gone", || {
        trial.links() == ["obr_web"]
    });
    agent.stop();
}

#[test]
fn a_dead_container_is_collected() {
    let trial = Trial::new(WEB);
    let container = trial.container("c1");
    let agent = trial.agent();
    trial.attach(&container, "c1", &["8080:80/tcp"]);
    agent.stop();
    drop(container);
    let agent = trial.agent();
    until("nothing is left", || {
        trial.records() == [0; 4] && trial.elements() == 0
    });
    agent.stop();
}

#[test]
fn a_second_agent_is_refused_with_the_first_ones_pid() {
    let trial = Trial::new(WEB);
    let agent = trial.agent();
    let second = trial.inside(|| Agent::start(&trial.root, &Options::default()));
    let Err(AgentError::Running { pid, .. }) = second else {
        panic!("a second agent runs");
    };
    assert_eq!(pid, std::process::id().to_string());
    assert!(trial.status().is_some(), "the first still answers");
    agent.stop();
    trial.agent().stop();
}

#[test]
fn the_socket_is_roots_alone() {
    let trial = Trial::new(WEB);
    let agent = trial.agent();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(fairlead_control::socket(&trial.root)), 0o600);
    assert_eq!(mode(trial.root.run()), 0o700);
    agent.stop();
    assert!(!fairlead_control::socket(&trial.root).exists());
}

#[test]
fn metrics_are_served_where_they_are_asked_for_and_nothing_else_is() {
    let trial = Trial::new(WEB);
    let options = Options {
        metrics: Some("127.0.0.1:9464".parse().unwrap()),
        ..Options::default()
    };
    trial.run("ip link set lo up");
    let agent = trial
        .inside(|| Agent::start(&trial.root, &options))
        .unwrap();
    let container = trial.container("c1");
    until("the agent is ready", || trial.status().unwrap().ready);
    trial.attach(&container, "c1", &[]);
    let text = trial.run("curl -s http://127.0.0.1:9464/metrics");
    for line in [
        "fairlead_attachments{network=\"web\"} 1\n",
        "fairlead_addresses_used{network=\"web\"} 1\n",
        "fairlead_problems 0\n",
        &format!(
            "fairlead_build_info{{version=\"{}\"}} 1\n",
            env!("CARGO_PKG_VERSION")
        ),
        "# EOF\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let other = trial.run("curl -s -o /dev/null -w %{http_code} http://127.0.0.1:9464/v1/status");
    assert_eq!(other, "404");
    agent.stop();
}

/// The agent as a process of its own.
#[test]
#[ignore = "started by other tests as a program"]
fn as_agent() {
    if let Some((root, _)) = given() {
        fairlead_agent::run(&root, &Options::default()).unwrap();
    }
}

#[test]
fn signals_end_it_in_time_and_a_kill_leaves_a_node_that_works() {
    let trial = Trial::new(WEB);
    let container = trial.container("c1");
    let mut agent = trial.program("as_agent", "");
    until("the agent is ready", || {
        trial.status().is_some_and(|s| s.ready)
    });
    let pid = trial.status().unwrap().pid.to_string();
    // nsenter becomes the program.
    assert_eq!(pid, agent.id().to_string());
    trial.attach(&container, "c1", &[]);
    trial.run(&format!("kill -HUP {pid}"));
    trial.run(&format!("kill -TERM {pid}"));
    let begun = Instant::now();
    let status = agent.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!((trial.status(), trial.cables()), (None, 1));

    let mut agent = trial.program("as_agent", "");
    until("the agent is ready", || {
        trial.status().is_some_and(|s| s.ready)
    });
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(
        fairlead_control::socket(&trial.root).exists(),
        "what a crash leaves"
    );
    assert_eq!(trial.status(), None);
    trial.detach("c1");
    assert_eq!((trial.cables(), trial.records()), (0, [0; 4]));
    trial.agent().stop();
}
