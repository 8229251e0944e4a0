//! A host with an engine, a switch, the drivers, and a VSD.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use fairlead_tests::{
    Daemon, Docker, DockerPlan, Node, Ovs, OvsPlan, Place as _, Vsd, eventually, patience,
};

/// The file of settings, where document 004 has it.
pub(crate) const FILE: &str = "/etc/default/nuage-libnetwork.yaml";

/// The drivers' program, told its file.
pub(crate) const PROGRAM: &str = "nuage-libnetwork -config";

/// As document 004 has it for one host, and where the certificate is.
pub(crate) const SETTINGS: &str = r#"
vrssocketfile:    "/var/run/openvswitch/db.sock"
dockersocketfile: "unix:///var/run/docker.sock"
vrsbridge:      "alubr0"
loglevel:       "Debug"
logfilesize:    10
scope:          "local"
numofretries:   5
timeinterval:   100
username: Y3Nwcm9vdA==
password: Y3Nwcm9vdA==
organization: Y3Nw
url: https://127.0.0.1:8443
vsdcafile: /run/vsd/ca.pem
"#;

/// What the documents' commands name, with more.
pub(crate) fn seed() -> Value {
    let subnet = |address: &str, gateway: &str| json!({"address": address, "netmask": "255.255.255.0", "gateway": gateway});
    json!({
        "Enterprise": {
            "Domain": {
                "policygroups": ["web", "db"],
                "Zone": {
                    "Subnet 2": subnet("10.21.59.0", "10.21.59.1"),
                    "Subnet 3": subnet("10.21.60.0", "10.21.60.1"),
                },
                "Other": {"Subnet 2": subnet("10.21.61.0", "10.21.61.1")},
            },
            "Twin": {"Zone": {"Subnet 2": subnet("10.21.59.0", "10.21.59.1")}},
        },
    })
}

/// `docker network create` as document 004 types it.
pub(crate) const CREATE: &str = r#"network create --driver=nuage --ipam-driver=nuage-ipam --ipam-opt organization=Enterprise --ipam-opt domain=Domain --ipam-opt zone=Zone --ipam-opt subnet="Subnet 2" --ipam-opt user=admin --subnet=10.21.59.0/24  --gateway=10.21.59.1 MyNet"#;

/// A host with everything. What is dropped first is the drivers.
pub(crate) struct Case {
    pub(crate) plugin: Option<Daemon>,
    pub(crate) docker: Docker,
    pub(crate) vsd: Vsd,
    pub(crate) ovs: Ovs,
    pub(crate) node: Node,
}

impl Case {
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::with(Docker::plan(), SETTINGS, &seed())
    }

    #[track_caller]
    pub(crate) fn with(plan: DockerPlan, settings: &str, seed: &Value) -> Self {
        let node = Node::new();
        prepare(&node, settings);
        let vsd = Vsd::start(&node, seed);
        let ovs = Ovs::start(&node, OvsPlan::default());
        let plugin = start(&node);
        let docker = plan.start(&node);
        let case = Self {
            plugin: Some(plugin),
            docker,
            vsd,
            ovs,
            node,
        };
        case.is_followed(1);
        case
    }

    /// Waits until the drivers have found the engine so often.
    #[track_caller]
    pub(crate) fn is_followed(&self, times: usize) {
        self.logs("is followed", times);
    }

    /// Waits until the log says something so often.
    #[track_caller]
    pub(crate) fn logs(&self, words: &str, times: usize) {
        eventually(patience(), || {
            let log = self.log();
            match log.matches(words).count() {
                found if found >= times => Ok(()),
                _ => Err(format!("{words:?}: {}", tail(&log))),
            }
        });
    }

    /// The drivers' log.
    pub(crate) fn log(&self) -> String {
        log_of(&self.node)
    }

    /// Ends the drivers at once.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        self.plugin.take().expect("it runs").kill();
    }

    /// Starts them again.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        let followed = self.log().matches("is followed").count();
        self.plugin = Some(start(&self.node));
        self.is_followed(followed + 1);
    }

    /// What the docker command line prints; it must succeed.
    #[track_caller]
    pub(crate) fn docker(&self, line: &str) -> String {
        let ran = self.docker.cli(&self.node, line);
        if ran.status != Some(0) {
            panic!("it shall succeed: {ran:#?}\n{}", tail(&self.log()));
        }
        ran.done().trim().to_owned()
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
    }

    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        let text = self.docker(line);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{line}: {e}: {text}"))
    }

    /// Starts a container that stays.
    #[track_caller]
    pub(crate) fn run(&self, name: &str, options: &str) {
        let line =
            format!("run -d --name {name} --stop-signal KILL {options} busybox sleep 100000");
        self.docker(&line);
    }

    /// Makes the documents' network.
    #[track_caller]
    pub(crate) fn create(&self) {
        self.docker(CREATE);
    }

    /// What Docker says of a container on a network.
    #[track_caller]
    pub(crate) fn place(&self, name: &str, network: &str) -> Value {
        self.json(&format!("inspect {name}"))[0]["NetworkSettings"]["Networks"][network].clone()
    }

    /// A container's address on the documents' network.
    #[track_caller]
    pub(crate) fn address(&self, name: &str) -> String {
        text(&self.place(name, "MyNet")["IPAddress"])
    }

    /// Waits until the switch has the ports of so many containers and the controller knows
    /// them by their ids.
    #[track_caller]
    pub(crate) fn is_up(&self, count: usize) {
        eventually(patience() * 4, || {
            let told = self.disagreement(count);
            match told.is_empty() {
                true => Ok(()),
                false => Err(format!("{told:#?}\n{}", tail(&self.log()))),
            }
        });
    }

    /// Nothing is left of any container: no port, link, row, vport or lease.
    #[track_caller]
    pub(crate) fn is_empty(&self) {
        eventually(patience() * 4, || {
            let mut told = self.disagreement(0);
            let left = [
                ("containers", self.vsd.state("containers")),
                ("vports", self.vsd.state("vports")),
                ("leases", self.leases()),
            ];
            let left = left.iter().filter(|(_, all)| !all.is_empty());
            told.extend(left.map(|(what, all)| format!("{what}: {all:?}")));
            match told.is_empty() {
                true => Ok(()),
                false => Err(format!("{told:#?}\n{}", tail(&self.log()))),
            }
        });
    }

    /// What the host has recorded.
    pub(crate) fn leases(&self) -> Vec<Value> {
        let listed = self.node.sh("fairlead nuage ls -o json").json();
        listed.as_array().unwrap().clone()
    }

    /// An audit by the command line; it must find no problem.
    #[track_caller]
    pub(crate) fn audit(&self) -> String {
        self.node.sh(&format!("{PROGRAM} {FILE} -audit")).done()
    }

    /// Names of containers that are started at once.
    pub(crate) fn names(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("box{at}")).collect()
    }

    /// Starts containers on the documents' network, many at a time.
    #[track_caller]
    pub(crate) fn run_all(&self, names: &[String], options: &str) {
        let line = |name: &String| {
            format!(
                "run -d --name {name} --stop-signal KILL --net MyNet {options} busybox sleep 100000"
            )
        };
        let lines: Vec<String> = names.iter().map(line).collect();
        self.docker.at_once(&self.node, &lines);
    }

    /// Where Docker, the controller, the switch and the kernel do not agree on so many
    /// interfaces, asked of each by means that are not ours.
    pub(crate) fn disagreement(&self, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        let mut differ = |what: &str, found: &BTreeSet<String>, wanted: &BTreeSet<String>| {
            if found != wanted {
                told.push(format!("{what}: {found:?}, not {wanted:?}"));
            }
        };
        let docker = self.of_docker();
        let controller = self.of_controller();
        differ("controller", &controller, &docker);
        let rows = self.ovs.rows(&self.node, "Nuage_Port_Table");
        let ports: BTreeSet<String> = rows.iter().map(|row| text(&row["name"])).collect();
        let macs: BTreeSet<String> = rows.iter().map(|row| text(&row["mac"])).collect();
        let of_macs = docker
            .iter()
            .map(|one| one.split(' ').nth(1).unwrap().to_owned());
        differ("macs of rows", &macs, &of_macs.collect());
        let mut plugged = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for row in self.ovs.rows(&self.node, "Nuage_VM_Table") {
            ids.insert(text(&row["vm_uuid"]));
            match &row["ports"] {
                Value::Array(all) => plugged.extend(all.iter().map(text)),
                one => {
                    plugged.insert(text(one));
                }
            }
        }
        differ("ports of entities", &plugged, &ports);
        let of_ids = docker
            .iter()
            .map(|one| one.split(' ').next().unwrap().to_owned());
        differ("entities", &ids, &of_ids.collect());
        let bridge: BTreeSet<String> = self.ovs.ports(&self.node).into_iter().collect();
        differ("ports of the bridge", &bridge, &ports);
        differ("links", &self.links(), &ports);
        if docker.len() != count {
            told.push(format!(
                "Docker has {} and not {count}: {docker:?}",
                docker.len()
            ));
        }
        told
    }

    /// Id, hardware address and address of each running container on a network of ours.
    fn of_docker(&self) -> BTreeSet<String> {
        let all = Docker::get(&self.node, "/containers/json");
        let networks = Docker::get(&self.node, "/networks");
        let ours: BTreeSet<String> = networks
            .as_array()
            .unwrap()
            .iter()
            .filter(|network| text(&network["Driver"]).starts_with("nuage"))
            .map(|network| text(&network["Id"]))
            .collect();
        let mut found = BTreeSet::new();
        for container in all.as_array().unwrap() {
            let places = container["NetworkSettings"]["Networks"]
                .as_object()
                .unwrap();
            for place in places.values() {
                if ours.contains(&text(&place["NetworkID"])) {
                    let id = text(&container["Id"]);
                    let (mac, ip) = (text(&place["MacAddress"]), text(&place["IPAddress"]));
                    found.insert(format!("{id} {mac} {ip}"));
                }
            }
        }
        found
    }

    /// The same as the controller has it.
    pub(crate) fn of_controller(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for container in self.vsd.state("containers") {
            for interface in container["interfaces"].as_array().unwrap() {
                let (mac, ip) = (text(&interface["MAC"]), text(&interface["IPAddress"]));
                found.insert(format!("{} {mac} {ip}", text(&container["UUID"])));
            }
        }
        found
    }

    /// The links of the host that have the drivers' names.
    pub(crate) fn links(&self) -> BTreeSet<String> {
        let all: Value = serde_json::from_str(&self.node.run("ip -j link")).unwrap();
        let names = all
            .as_array()
            .unwrap()
            .iter()
            .map(|link| text(&link["ifname"]));
        names.filter(|name| name.starts_with("nln")).collect()
    }
}

/// The host's places, as the documents name them.
#[track_caller]
pub(crate) fn prepare(node: &Node, settings: &str) {
    node.run("mount -t tmpfs none /etc/default");
    node.write(FILE, settings);
    node.run(&format!("chmod 600 {FILE}"));
    // The command lines' links.
    node.sh("fairlead --version").done();
}

/// The drivers, as document 004 starts them.
#[track_caller]
pub(crate) fn start(node: &Node) -> Daemon {
    let command = node.shell(&format!("exec nuage-libnetwork -config {FILE}"));
    start_as(node, &command)
}

/// The drivers by another command; they serve when this returns.
#[track_caller]
pub(crate) fn start_as(node: &Node, command: &std::process::Command) -> Daemon {
    let socket = node.path("/run/docker/plugins/nuage.sock");
    let _ = std::fs::remove_file(&socket);
    let mut plugin = Daemon::start(command, "nuage-libnetwork", &node.path("/run/nuage.out"));
    eventually(patience(), || {
        assert_eq!(plugin.ended(), None, "{}{}", plugin.log(), log_of(node));
        match Path::new(&socket).exists() {
            true => Ok(()),
            false => Err(log_of(node)),
        }
    });
    plugin
}

pub(crate) fn log_of(node: &Node) -> String {
    let path = format!(
        "{}/var/log/nuage-libnetwork/nuage-libnetwork.log",
        Node::ROOT
    );
    std::fs::read_to_string(node.path(&path)).unwrap_or_default()
}

/// The end of a log.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// A text of JSON.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
