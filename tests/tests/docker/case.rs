//! A node with an engine and an agent.

use serde_json::Value;

use fairlead_tests::{Agent, Docker, DockerPlan, Node, Place, eventually, patience};

/// An engine whose networks can be ours.
pub(crate) struct Case {
    pub(crate) node: Node,
    pub(crate) docker: Docker,
    pub(crate) agent: Agent,
}

/// The settings of a node whose engine is at the usual place.
pub(crate) const SETTINGS: &str =
    "--kw node.docker_socket=/run/docker.sock --kw docker.plugin=/run/docker/plugins/fairlead.sock";

impl Case {
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::with(Docker::plan())
    }

    #[track_caller]
    pub(crate) fn with(plan: DockerPlan) -> Self {
        let node = Node::new();
        node.sh("fairlead cluster set --kw cluster.name=clu")
            .silent();
        node.sh(&format!("fairlead node set {SETTINGS}")).silent();
        let agent = Agent::start(&node);
        let docker = plan.start(&node);
        let case = Self {
            node,
            docker,
            agent,
        };
        case.is_followed(1);
        case
    }

    /// Waits until the agent has found its engine so often.
    #[track_caller]
    pub(crate) fn is_followed(&self, times: usize) {
        eventually(patience(), || {
            let log = self.agent.daemon.log();
            match log.matches("is followed").count() {
                found if found >= times => Ok(()),
                _ => Err(log),
            }
        });
    }

    /// What the docker command line prints; it must succeed.
    #[track_caller]
    pub(crate) fn docker(&self, line: &str) -> String {
        self.docker.must(&self.node, line)
    }

    /// It must fail, with these words.
    #[track_caller]
    pub(crate) fn refused(&self, line: &str, words: &[&str]) {
        let ran = self.docker.cli(&self.node, line);
        assert!(
            !matches!(ran.status, Some(0) | None),
            "it shall fail: {ran:?}"
        );
        for word in words {
            assert!(ran.stderr.contains(word), "{word:?} is missing: {ran:?}");
        }
        // Docker gives one line, and its command line at most another one.
        assert!(ran.stderr.lines().count() <= 2, "{ran:?}");
    }

    /// What it prints as JSON.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        let text = self.docker(line);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{line}: {e}: {text}"))
    }

    /// The node with all that the first container of a network makes, for comparisons.
    #[track_caller]
    pub(crate) fn warm(&self) -> Vec<String> {
        self.docker("network create -d fairlead --ipam-driver fairlead warm");
        self.docker("run --rm --network warm busybox true");
        self.docker("network rm warm");
        self.node.world()
    }

    /// Starts a container that stays.
    #[track_caller]
    pub(crate) fn run(&self, name: &str, options: &str) {
        let line =
            format!("run -d --name {name} --stop-signal KILL {options} busybox sleep 100000");
        self.docker(&line);
    }

    /// What Docker says of a container on a network.
    #[track_caller]
    pub(crate) fn inspect(&self, name: &str, network: &str) -> Value {
        let all = self.json(&format!("inspect {name}"));
        all[0]["NetworkSettings"]["Networks"][network].clone()
    }

    /// A container's address on a network.
    #[track_caller]
    pub(crate) fn address(&self, name: &str, network: &str) -> String {
        let address = self.inspect(name, network)["IPAddress"].clone();
        address.as_str().unwrap_or_default().to_owned()
    }
}

/// A program of the host that listens at a port, until it is dropped.
pub(crate) struct Listener(std::process::Child);

impl Listener {
    #[track_caller]
    pub(crate) fn at(case: &Case, port: u16) -> Self {
        let mut command = case.node.command("socat");
        command.args([&format!("TCP-LISTEN:{port},fork"), "/dev/null"]);
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        Self(command.spawn().expect("socat can be started"))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
