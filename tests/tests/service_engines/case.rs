//! A node with an engine, an agent and two networks, and what is asked of them.

use fairlead_tests::{Agent, Cgroups, Docker, Lxc, Node, Place, Podman, eventually, patience};
use serde_json::Value;
use std::cell::RefCell;
use std::ffi::OsStr;
use std::process::Command;

/// Which engine runs the containers of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Docker,
    Podman,
    Lxc,
}

/// What serves a page with the container's host name on port 80, and ends when it is told to.
const SERVE: &str = "mkdir -p /www; hostname >/www/index.html; httpd -p 80 -h /www; \
    trap 'exit 0' TERM USR1; sleep 100000 & wait";

/// A node with the networks `back` and `front`. What ends first is declared first.
pub(crate) struct Case {
    agent: RefCell<Option<Agent>>,
    pub(crate) docker: Option<Docker>,
    podman: Option<Podman>,
    lxc: Option<Lxc>,
    kind: Kind,
    _cgroups: Cgroups,
    pub(crate) node: Node,
}

impl Case {
    pub(crate) fn new(kind: Kind) -> Self {
        let node = Node::new();
        let cgroups = Cgroups::on(&node);
        let is = |other| kind == other;
        let docker = is(Kind::Docker).then(|| Docker::start(&node));
        let podman = is(Kind::Podman).then(|| Podman::start(&node));
        let lxc = is(Kind::Lxc).then(|| Lxc::new(&node));
        node.networks(&["back=10.30.0.0/24", "front=10.31.0.0/24"]);
        node.sh("fairlead cluster set --kw cluster.name=clu")
            .silent();
        node.sh(
            "fairlead node set --kw node.docker_socket=/run/docker.sock \
             --kw node.podman_socket=/run/podman/podman.sock",
        )
        .silent();
        // The first attachment of a network makes what serves all of them.
        let first = node.sandbox("first");
        for network in ["back", "front"] {
            let place = format!("{network} --netns {}", first.netns());
            node.sh(&format!("fairlead attach {place} --publish 9:9"))
                .done();
            node.sh(&format!("fairlead detach {place}")).done();
        }
        drop(first);
        let agent = RefCell::new(Some(Agent::start(&node)));
        Self {
            agent,
            docker,
            podman,
            lxc,
            kind,
            _cgroups: cgroups,
            node,
        }
    }

    /// Ends the agent until [`Case::start_agent`].
    pub(crate) fn end_agent(&self) {
        drop(self.agent.take());
    }

    pub(crate) fn start_agent(&self) {
        self.agent.replace(Some(Agent::start(&self.node)));
    }

    /// The keywords of `container#NUMBER` of the service `shop/svc/NAME`, a web server.
    pub(crate) fn container(&self, name: &str, number: u32) -> String {
        self.runs(name, number, SERVE)
    }

    /// The same with a shell's script in place of the web server.
    pub(crate) fn runs(&self, name: &str, number: u32, script: &str) -> String {
        let kind = match (self.kind, &self.lxc) {
            (Kind::Lxc, Some(lxc)) => {
                let own = format!("{name}-{number}");
                if !lxc.path().join(&own).exists() {
                    lxc.make(&own);
                }
                format!("lxc\nname = {own}\nlxcpath = {}", lxc.path().display())
            }
            (Kind::Podman, _) => "podman\nimage = busybox".to_owned(),
            _ => "docker\nimage = busybox".to_owned(),
        };
        format!(
            "[container#{number}]\ntype = {kind}\ncommand = sh -c \"{script}\"\nstop_timeout = 3s\n"
        )
    }

    /// A web server with one address and a mapped port.
    pub(crate) fn web(&self, name: &str, port: u16) -> String {
        let container = self.container(name, 0);
        let expose = format!("expose = 80:{port}/tcp");
        format!("{container}[ip#0]\nnetns = container#0\nnetwork = back\n{expose}\n")
    }

    pub(crate) fn create(&self, name: &str, text: &str) {
        let file = format!("/run/{name}.conf");
        self.node.write(&file, text);
        let line = format!("fairlead svc create shop/svc/{name} --config {file}");
        self.node.sh(&line).silent();
    }

    pub(crate) fn start(&self, name: &str) -> String {
        self.node
            .sh(&format!("fairlead svc start shop/svc/{name}"))
            .done()
    }

    pub(crate) fn stop(&self, name: &str) {
        self.node
            .sh(&format!("fairlead svc stop shop/svc/{name}"))
            .done();
    }

    pub(crate) fn status(&self, name: &str) -> Value {
        self.node
            .sh(&format!("fairlead svc status shop/svc/{name} -o json"))
            .json()
    }

    /// What the engine tells of a container; null if it has none, and of LXC's.
    pub(crate) fn found(&self, name: &str, number: u32) -> Value {
        let path = format!("/containers/shop..{name}.container.{number}/json");
        match (&self.docker, &self.podman) {
            (Some(_), _) => Docker::get(&self.node, &path),
            (_, Some(_)) => Podman::get(&self.node, &path),
            _ => Value::Null,
        }
    }

    /// The first process of a container, if it has one now, as the engine tells.
    pub(crate) fn find_pid(&self, name: &str, number: u32) -> Option<u64> {
        let pid = match &self.lxc {
            Some(lxc) => {
                let info = lxc.info(&self.node, &format!("{name}-{number}"));
                let pid = info.lines().find_map(|line| line.strip_prefix("PID:"));
                pid.and_then(|pid| pid.trim().parse().ok())
            }
            None => self.found(name, number)["State"]["Pid"].as_u64(),
        };
        pid.filter(|pid| *pid > 0)
    }

    /// A container, to look into with the node's tools.
    #[track_caller]
    pub(crate) fn inside(&self, name: &str, number: u32) -> Inside<'_> {
        let pid = self.find_pid(name, number).expect("a container that runs");
        Inside {
            node: &self.node,
            pid,
        }
    }

    /// The names of all containers that the engine has, whoever made them.
    pub(crate) fn all(&self) -> Vec<String> {
        let path = "/containers/json?all=true";
        let list = match (&self.docker, &self.podman) {
            (Some(_), _) => Docker::get(&self.node, path),
            (_, Some(_)) => Podman::get(&self.node, path),
            _ => Value::Null,
        };
        let list = list.as_array().cloned().unwrap_or_default();
        let names = list.iter().map(|one| one["Names"][0].to_string());
        names.collect()
    }

    /// What the agent answers to a question.
    pub(crate) fn dig(&self, question: &str) -> String {
        let line = format!("dig +short +tries=1 +time=2 @10.30.0.1 {question}");
        let printed = self.node.sh(&line).done();
        let mut lines: Vec<&str> = printed.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// Waits until the agent answers so.
    #[track_caller]
    pub(crate) fn answers(&self, question: &str, wanted: &str) {
        eventually(patience(), || {
            let found = self.dig(question);
            if found == wanted {
                Ok(())
            } else {
                Err((question, found))
            }
        });
    }

    /// Waits until the page of a mapped port is there, seen from outside.
    #[track_caller]
    pub(crate) fn serves(&self, port: u16) -> String {
        let line = format!("curl -sS --max-time 2 http://198.51.100.1:{port}/");
        eventually(patience(), || {
            let output = self.node.outside().try_run(&line);
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            match output.status.success() && !text.is_empty() {
                true => Ok(text),
                false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            }
        })
    }

    /// Kills a process of the machine.
    #[track_caller]
    pub(crate) fn kill(&self, pid: u64) {
        self.node.run(&format!("kill -9 {pid}"));
    }

    /// The output of programs and the records of their last runs are kept, on purpose.
    pub(crate) fn forget_runs(&self) {
        self.node
            .sh("rm -rf $FAIRLEAD_ROOT/var/log $FAIRLEAD_ROOT/run/fairlead/services")
            .silent();
    }
}

/// A container: its network with the node's tools, or its own programs.
pub(crate) struct Inside<'c> {
    node: &'c Node,
    pub(crate) pid: u64,
}

impl Inside<'_> {
    /// Runs a shell's script of the container in it.
    pub(crate) fn script(&self, script: &str) -> Result<String, String> {
        let output = self
            .node
            .command("nsenter")
            .args(["--target", &self.pid.to_string()])
            .args(["--mount", "--uts", "--net", "--wd=/", "--"])
            .args(["/bin/sh", "-c", script])
            .env("PATH", "/bin:/usr/bin")
            .output()
            .expect("nsenter can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stdout) + &text(&output.stderr)),
        }
    }
}

impl Place for Inside<'_> {
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.node.command("nsenter");
        command
            .args(["--target", &self.pid.to_string(), "--net", "--"])
            .arg(program);
        command
    }
}
