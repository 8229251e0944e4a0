//! A node with an engine and the proxy before it.

use serde_json::{Value, json};

use fairlead_tests::{Daemon, Docker, DockerPlan, Node, Ran, eventually, patience};

/// An engine, the proxy before it, and the network `back` of CNI.
pub(crate) struct Case {
    pub(crate) proxy: Daemon,
    pub(crate) docker: Docker,
    pub(crate) node: Node,
}

/// The proxy's socket.
pub(crate) const SOCKET: &str = "/run/barrel.sock";
/// Its settings.
pub(crate) const CONF: &str = "/run/barrel.conf";
/// The settings of the runtime.
const CNI: &str = "/run/cni.yaml";

impl Case {
    /// With CNI networks, on Debian 12's Docker.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::with(Docker::plan(), "BARREL_ENABLE_CNI=1\n")
    }

    #[track_caller]
    pub(crate) fn with(plan: DockerPlan, settings: &str) -> Self {
        let node = Node::new();
        node.sh("mkdir -p /run/bin && fairlead install --links /run/bin")
            .done();
        node.write(
            CNI,
            "oci_bin: /usr/sbin/runc\ncni_conf_dir: /run/net.d/\ncni_bin_dir: /run/none/\n",
        );
        let runtime = json!({"runtimes": {"barrel-cni": {
            "path": "/run/bin/eru-barrel-cni",
            "runtimeArgs": ["oci", "--config", CNI, "--"],
        }}});
        node.write("/run/daemon.json", &runtime.to_string());
        for (name, net) in [("back", "10.60.0"), ("front", "10.61.0")] {
            let list = bridge(name, net);
            node.write(&format!("/run/net.d/{name}.conflist"), &list.to_string());
        }
        let docker = plan.extra(&["--config-file=/run/daemon.json"]).start(&node);
        node.write(CONF, settings);
        let proxy = start(&node);
        let case = Self {
            proxy,
            docker,
            node,
        };
        case.is_there();
        case
    }

    /// Starts the proxy anew after it has ended.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        self.proxy = start(&self.node);
        self.is_there();
    }

    /// Waits until the proxy answers.
    #[track_caller]
    pub(crate) fn is_there(&self) {
        eventually(patience(), || match self.raw(SOCKET, "GET", "/_ping", "") {
            answer if answer.ends_with("OK") => Ok(()),
            answer => Err(answer + &self.proxy.log()),
        });
    }

    /// Types `docker LINE` through the proxy; it must succeed.
    #[track_caller]
    pub(crate) fn docker(&self, line: &str) -> String {
        self.try_docker(line).done().trim().to_owned()
    }

    /// Types `docker LINE` through the proxy.
    #[track_caller]
    pub(crate) fn try_docker(&self, line: &str) -> Ran {
        self.docker.cli_at(&self.node, SOCKET, line)
    }

    /// Types `docker LINE` at dockerd's own socket; it must succeed.
    #[track_caller]
    pub(crate) fn direct(&self, line: &str) -> String {
        self.docker.must(&self.node, line)
    }

    /// It must fail, with these words.
    #[track_caller]
    pub(crate) fn refused(&self, line: &str, words: &[&str]) {
        let ran = self.try_docker(line);
        assert!(!matches!(ran.status, Some(0) | None), "{ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{word:?} is missing: {ran:?}");
        }
        let lines = ran.stderr.lines().filter(|line| !line.trim().is_empty());
        // The command line of 20.10 adds that it waits no more.
        let lines = lines.filter(|line| !line.contains("error waiting for container"));
        let lines = lines.filter(|line| !line.starts_with("WARNING: IPv4 forwarding"));
        let told = lines.filter(|line| !line.contains("docker run --help"));
        assert_eq!(told.count(), 1, "{ran:?}");
    }

    /// Starts a container that stays.
    #[track_caller]
    pub(crate) fn run(&self, name: &str, options: &str) {
        self.docker(&format!(
            "run -d --name {name} --stop-signal KILL {options} busybox sleep 100000"
        ));
    }

    /// What the proxy says of a container.
    #[track_caller]
    pub(crate) fn inspect(&self, name: &str) -> Value {
        let text = self.docker(&format!("inspect {name}"));
        let mut all: Value = serde_json::from_str(&text).expect("JSON");
        all[0].take()
    }

    /// The address that a container itself has.
    #[track_caller]
    pub(crate) fn address(&self, name: &str, ifname: &str) -> String {
        let shown = self.direct(&format!("exec {name} ip -o -4 address show dev {ifname}"));
        let mut words = shown.split_whitespace();
        let found = words.by_ref().find(|word| *word == "inet");
        found.expect("an address");
        words.next().expect("an address").to_owned()
    }

    /// Waits until this many addresses are taken.
    #[track_caller]
    pub(crate) fn taken(&self, wanted: usize) {
        eventually(patience(), || {
            let taken = self.node.sh("fairlead ip ls -o json").json();
            let count = taken.as_array().expect("a list").len();
            if count == wanted { Ok(()) } else { Err(taken) }
        });
    }

    /// Head and body of the answer to a request, as bytes that are text.
    #[track_caller]
    pub(crate) fn raw(&self, socket: &str, method: &str, path: &str, more: &str) -> String {
        let line = format!(
            "curl -sS -i -m 30 --unix-socket {socket} -X {method} {more} 'http://docker{path}'"
        );
        let ran = self.node.sh(&line);
        ran.stdout + &ran.stderr
    }
}

#[track_caller]
fn start(node: &Node) -> Daemon {
    let line = format!(
        "exec eru-barrel --config {CONF} -D unix://{} -H unix://{SOCKET} --cni-config {CNI} --log-level debug",
        Docker::SOCKET
    );
    Daemon::start(&node.shell(&line), "proxy", &node.path("/run/proxy.log"))
}

fn bridge(name: &str, net: &str) -> Value {
    json!({"cniVersion": "1.0.0", "name": name, "plugins": [
        {"type": "bridge", "bridge": format!("br{name}"), "isGateway": true, "ipMasq": true,
         "capabilities": {"ips": true, "mac": true},
         "ipam": {"type": "host-local", "ranges": [[{"subnet": format!("{net}.0/24")}]],
             "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": true}},
    ]})
}
