//! A node with an engine that has our runtime.

use serde_json::{Value, json};

use fairlead_tests::{Docker, DockerPlan, Node, Place, Ran, eventually, patience};

/// An engine with the runtime `barrel-cni`. It has no agent, unless a test starts one.
pub(crate) struct Case {
    pub(crate) docker: Docker,
    pub(crate) node: Node,
}

/// Which runtime is the real one.
pub(crate) const RUNC: &str = "/usr/sbin/runc";
/// The other one.
pub(crate) const CRUN: &str = "/usr/bin/crun";
/// Where the networks of a case are configured.
pub(crate) const NET_D: &str = "/run/net.d";
/// The settings of the runtime.
pub(crate) const SETTINGS: &str = "/run/cni.yaml";

impl Case {
    /// With the network `back` of our bridge plugin, from a file.
    #[track_caller]
    pub(crate) fn new(runtime: &str) -> Self {
        let case = Self::with(Docker::plan(), runtime);
        case.ours();
        case
    }

    /// Without any network.
    #[track_caller]
    pub(crate) fn with(plan: DockerPlan, runtime: &str) -> Self {
        let node = Node::new();
        node.sh("mkdir -p /run/bin && fairlead install --links /run/bin")
            .done();
        // Settings that cannot be read have their logs at the usual places.
        node.run("mount -t tmpfs none /var/log");
        node.write(SETTINGS, &settings(runtime, ""));
        node.write(&format!("{NET_D}/README"), "no configuration");
        let daemon = json!({"runtimes": {"barrel-cni": {
            "path": "/run/bin/eru-barrel-cni",
            "runtimeArgs": ["oci", "--config", SETTINGS, "--"],
        }, "crun": {"path": CRUN}, "direct": {"path": "/run/bin/fairlead-runtime"}}});
        node.write("/run/daemon.json", &daemon.to_string());
        let plan = plan.extra(&["--config-file=/run/daemon.json"]);
        let docker = plan.start(&node);
        Self { docker, node }
    }

    /// The network `back`, 10.60.0.0/24 and fd60::/64, by our plugins.
    #[track_caller]
    pub(crate) fn ours(&self) {
        self.network("10-back.conflist", &bridge("back", "10.60.0", "brback"));
    }

    #[track_caller]
    pub(crate) fn network(&self, file: &str, list: &Value) {
        self.node
            .write(&format!("{NET_D}/{file}"), &list.to_string());
    }

    /// Types `docker LINE`.
    #[track_caller]
    pub(crate) fn docker(&self, line: &str) -> String {
        self.docker.must(&self.node, line)
    }

    /// Types `docker run` with our runtime and no network of Docker's.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        self.docker(&format!("run --runtime barrel-cni --net none {line}"))
    }

    /// The same; it must fail, and say these words in one line.
    #[track_caller]
    pub(crate) fn refused(&self, line: &str, words: &[&str]) -> Ran {
        let line = format!("run --runtime barrel-cni --net none {line}");
        let ran = self.docker.cli(&self.node, &line);
        assert!(
            !matches!(ran.status, Some(0) | None),
            "it shall fail: {ran:?}"
        );
        for word in words {
            assert!(ran.stderr.contains(word), "{word:?} is missing: {ran:?}");
        }
        let lines = ran
            .stderr
            .lines()
            .filter(|line| !line.contains("docker run --help"));
        // With --rm the command line of 20.10 adds that it waits no more.
        let lines = lines.filter(|line| !line.contains("error waiting for container"));
        let lines = lines.filter(|line| !line.trim().is_empty());
        assert_eq!(lines.count(), 1, "{ran:?}");
        ran
    }

    /// Starts a container that stays.
    #[track_caller]
    pub(crate) fn start(&self, name: &str, options: &str) -> String {
        self.run(&format!(
            "-d --name {name} --stop-signal KILL {options} busybox sleep 100000"
        ))
    }

    /// The IPv4 addresses of an interface in a container, with their lengths.
    #[track_caller]
    pub(crate) fn addresses(&self, name: &str, ifname: &str) -> Vec<String> {
        let shown = self.docker(&format!("exec {name} ip -o -4 address show dev {ifname}"));
        let mut words = shown.split_whitespace();
        let mut found = Vec::new();
        while words.any(|word| word == "inet") {
            found.extend(words.next().map(str::to_owned));
        }
        found
    }

    /// Its one address, without the length.
    #[track_caller]
    pub(crate) fn address(&self, name: &str) -> String {
        let all = self.addresses(name, "eth0");
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].split('/').next().unwrap_or_default().to_owned()
    }

    /// The settings of the runtime anew: what follows reads these.
    #[track_caller]
    pub(crate) fn set(&self, runtime: &str, more: &str) {
        self.node.write(SETTINGS, &settings(runtime, more));
    }

    /// The node with all that a first container makes, for comparisons.
    #[track_caller]
    pub(crate) fn warm(&self) -> Vec<String> {
        self.run("--rm busybox true");
        self.is_empty();
        self.node.sh("fairlead gc").done();
        self.node.world()
    }

    /// After a garbage collection nothing of any container is left, and all is as it was.
    #[track_caller]
    pub(crate) fn is_as(&self, before: &[String], what: &str) {
        self.node.sh("fairlead gc").done();
        self.is_empty();
        self.node.is_as_before(before, what);
    }

    /// Waits until a container is in this state, such as `exited`.
    #[track_caller]
    pub(crate) fn becomes(&self, name: &str, state: &str) {
        let line = format!("inspect -f {{{{.State.Status}}}} {name}");
        eventually(patience(), || match self.docker(&line) {
            now if now == state => Ok(()),
            now => Err(now),
        });
    }

    /// The process of a container.
    #[track_caller]
    pub(crate) fn pid(&self, name: &str) -> String {
        self.docker(&format!("inspect -f {{{{.State.Pid}}}} {name}"))
    }

    /// Ends a container's first process at once, as the kernel does where memory is short.
    #[track_caller]
    pub(crate) fn kill(&self, name: &str) {
        self.node.run(&format!("kill -9 {}", self.pid(name)));
    }

    /// How many interfaces the product says that containers have.
    #[track_caller]
    pub(crate) fn attached(&self) -> usize {
        let listed = self.node.sh("fairlead ls -o json").json();
        listed.as_array().expect("a list").len()
    }

    /// Waits until nothing of any container is left.
    #[track_caller]
    pub(crate) fn is_empty(&self) {
        eventually(patience(), || {
            let left = self
                .node
                .sh("fairlead ip ls -o json; fairlead ls -o json")
                .stdout;
            match left.replace([' ', '\n'], "").as_str() {
                "[][]" => Ok(()),
                _ => Err(left),
            }
        });
    }
}

/// The settings of the runtime, with more lines, which count before the usual ones.
pub(crate) fn settings(runtime: &str, more: &str) -> String {
    let usual = format!(
        "oci_bin: {runtime}\ncni_conf_dir: {NET_D}/\ncni_bin_dir: /run/none/\ncni_ifname: eth0\n\
         cni_log: /run/cni.log\nlog_driver: file:///run/docker-cni.log\nlog_level: debug\n"
    );
    let key = |line: &str| line.split(':').next().map(str::to_owned);
    let own: Vec<_> = more.lines().map(key).collect();
    let kept = usual.lines().filter(|line| !own.contains(&key(line)));
    kept.chain(more.lines())
        .map(|line| format!("{line}\n"))
        .collect()
}

/// A list of `bridge` with `host-local`, with a masquerade.
pub(crate) fn bridge(name: &str, net: &str, link: &str) -> Value {
    json!({"cniVersion": "1.0.0", "name": name, "plugins": [{
        "type": "bridge", "bridge": link, "isGateway": true, "ipMasq": true,
        "capabilities": {"ips": true, "mac": true},
        "ipam": {"type": "host-local", "ranges": [[{"subnet": format!("{net}.0/24")}]],
            "routes": [{"dst": "0.0.0.0/0"}]},
    }]})
}
