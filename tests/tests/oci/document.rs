//! Document 003, "Enable CNI", typed as it stands there: files, folders and commands at
//! their places of a host.

use fairlead_tests::{Daemon, Docker, DockerPlan, Node, Ran, eventually, patience};

/// What the document puts into `/etc/docker/daemon.json`.
const DAEMON: &str = r##"{
    #"hosts": ..
    #"cluster-store": ... # keep other settings intact

    "runtimes": {
        "barrel-cni": {
            "path": "/usr/bin/eru-barrel-cni",
            "runtimeArgs": [ "oci", "--config", "/etc/docker/cni.yaml", "--" ]
        }
    }
}
"##;

/// Its `/etc/docker/cni.yaml`.
const SETTINGS: &str = "oci_bin: /usr/sbin/runc

cni_conf_dir: /etc/cni/net.d/
cni_bin_dir: /opt/cni/bin/
cni_ifname: eth0
cni_log: /var/log/cni.log

log_driver: file:///var/log/docker-cni.log
log_level: debug
";

/// Its `/etc/cni/net.d/10-calico.conf`.
const CALICO: &str = r#"{
    "name": "calico",
    "cniVersion": "0.3.1",
    "type": "calico",
    "log_level": "INFO",
    "etcd_endpoints": "http://127.0.0.1:2379",
    "log_file_path": "/var/log/calico/cni/cni.log",
    "ipam": {
        "type": "calico-ipam",
        "ipv4_pools": ["calico-pool-2"]
    }
}
"#;

/// Stands in for Calico's plugin, which no test can install: notes what it was called with,
/// makes a real interface with an address of its pool, and gives both back.
const PLUGIN: &str = r#"#!/bin/sh
cat >/run/calico/$CNI_COMMAND.json
env >/run/calico/$CNI_COMMAND.env
case $CNI_COMMAND in
ADD)
    set -e
    echo $CNI_CONTAINERID >/run/calico/10.77.0.5
    n="nsenter --net=$CNI_NETNS ip"
    ip link add cali0 type veth peer name cali1
    ip link set cali1 netns "$CNI_NETNS"
    $n link set cali1 name $CNI_IFNAME
    $n address add 10.77.0.5/32 dev $CNI_IFNAME
    $n link set $CNI_IFNAME up
    echo '{"cniVersion":"0.3.1","interfaces":[{"name":"eth0","sandbox":"'$CNI_NETNS'"}],
        "ips":[{"version":"4","address":"10.77.0.5/32","interface":0}]}' ;;
DEL) rm -f /run/calico/10.77.0.5; ip link delete cali0 2>/dev/null; exit 0 ;;
esac
"#;

/// The same for its command.
const CALICOCTL: &str = r#"#!/bin/sh
ip=${3#--ip=}
if test -e /run/calico/$ip; then echo "IP $ip is in use"; else echo "$ip is not assigned"; fi
"#;

/// A host whose `/etc`, `/opt`, `/usr/bin` and `/var/log` can be written without touching
/// the machine's, and whose product has its files where a host has them.
struct Host {
    docker: Docker,
    node: Node,
}

impl Host {
    #[track_caller]
    fn new(plan: DockerPlan) -> Self {
        let node = Node::new();
        for place in ["/etc", "/opt", "/usr/bin", "/var/log"] {
            let own = format!("/run/own{place}");
            let line = format!(
                "mkdir -p {own}/up {own}/work && mount -t overlay overlay \
                 -o lowerdir={place},upperdir={own}/up,workdir={own}/work {place}"
            );
            node.sh(&line).done();
        }
        let docker = plan.start(&node);
        Self { docker, node }
    }

    /// Types a line as the document has it.
    #[track_caller]
    fn sh(&self, line: &str) -> Ran {
        self.node.sh(line)
    }

    /// The same at a terminal.
    #[track_caller]
    fn at_a_terminal(&self, line: &str) -> String {
        self.sh(&format!("script -qec '{line}' /dev/null")).done()
    }

    /// Steps 1 to 3.3; neither program nor settings are there when the engine starts.
    #[track_caller]
    fn is_prepared(&mut self) {
        self.sh("rm -f /usr/bin/eru-barrel-cni /etc/docker/cni.yaml")
            .done();
        let is_no_comment = |line: &&str| !line.trim_start().starts_with('#');
        let lines: Vec<&str> = DAEMON.lines().filter(is_no_comment).collect();
        self.node
            .write("/etc/docker/daemon.json", &lines.join("\n"));
        // systemctl restart docker
        assert!(self.docker.stop().success());
        self.docker.start_again(&self.node);
        self.sh("fairlead install --links /usr/bin").done();
        // What packages of the machine have put there is not of the document.
        self.sh("mkdir -p /opt/cni/bin /etc/cni/net.d && rm -f /etc/cni/net.d/*")
            .done();
        self.node.write("/etc/docker/cni.yaml", SETTINGS);
    }
}

#[test]
fn calicos_configuration_is_used_as_the_document_has_it() {
    let mut host = Host::new(Docker::plan());
    host.is_prepared();
    host.node.write("/etc/cni/net.d/10-calico.conf", CALICO);
    for name in ["calico", "calico-ipam"] {
        host.node.write(&format!("/opt/cni/bin/{name}"), PLUGIN);
    }
    host.node.write("/usr/bin/calicoctl", CALICOCTL);
    host.sh("chmod 755 /opt/cni/bin/* /usr/bin/calicoctl && mkdir /run/calico")
        .done();
    // The state of the product is in the node, but what it searches is the host's.
    host.sh("fairlead node set --kw cni.plugins=/opt/cni/bin")
        .silent();
    let show = "calicoctl ipam show --ip=10.77.0.5";
    let line = "docker run -it --rm --runtime barrel-cni --net none busybox ip a";
    let seen = host.at_a_terminal(line);
    assert!(
        seen.contains("inet 10.77.0.5/32") && seen.contains("eth0"),
        "{seen}"
    );
    is_released(&host, show);
    // The plugin was called with the configuration of the document, whole.
    let called: serde_json::Value =
        serde_json::from_str(&host.node.read("/run/calico/ADD.json")).expect("JSON");
    let written: serde_json::Value = serde_json::from_str(CALICO).expect("JSON");
    for (key, value) in written.as_object().expect("an object") {
        assert_eq!(&called[key], value, "{called}");
    }
    let env = host.node.read("/run/calico/ADD.env");
    for line in [
        "CNI_IFNAME=eth0",
        "CNI_PATH=/opt/cni/bin",
        "CNI_COMMAND=ADD",
    ] {
        assert!(env.contains(line), "{env}");
    }
    // As its users choose a pool.
    host.at_a_terminal(&line.replace("--rm", "--rm -e IPPOOL=calico-pool-1"));
    let called = host.node.read("/run/calico/ADD.json");
    assert!(
        called.contains(r#""ipv4_pools":["calico-pool-1"]"#),
        "{called}"
    );
    let env = host.node.read("/run/calico/ADD.env");
    assert!(env.contains("IPPOOL=calico-pool-1"), "{env}");
    is_released(&host, show);
    // Both logs are where the settings have them.
    for log in ["/var/log/cni.log", "/var/log/docker-cni.log"] {
        let text = host.node.read(log);
        assert!(text.contains("10.77.0.5/32"), "{log}: {text}");
    }
}

#[track_caller]
fn is_released(host: &Host, show: &str) {
    eventually(patience(), || {
        let shown = host.sh(show).done();
        let listed = host.sh("fairlead ls -o json").done();
        match shown.contains("is not assigned") && listed.trim() == "[]" {
            true => Ok(()),
            false => Err((shown, listed)),
        }
    });
}

#[test]
fn the_documents_steps_work_with_a_plugin_of_ours() {
    the_steps_work_with_ours(Docker::plan());
}

#[test]
fn the_documents_steps_work_on_a_newer_engine() {
    the_steps_work_with_ours(Docker::plan().newer());
}

#[track_caller]
fn the_steps_work_with_ours(plan: DockerPlan) {
    let mut host = Host::new(plan);
    host.is_prepared();
    let conf = r#"{"name":"pool","cniVersion":"0.3.1","type":"bridge","bridge":"brpool",
        "isGateway":true,"ipMasq":true,"ipam":{"type":"host-local","subnet":"10.78.0.0/24",
        "routes":[{"dst":"0.0.0.0/0"}]}}"#;
    host.node.write("/etc/cni/net.d/10-pool.conf", conf);
    let line = "docker run -it --rm --runtime barrel-cni --net none busybox";
    let seen = host.at_a_terminal(&format!("{line} ip a"));
    assert!(
        seen.contains("inet 10.78.0.2/24") && seen.contains("eth0"),
        "{seen}"
    );
    is_gone(&host);
    // A shell at a terminal, which ends with its input.
    host.node
        .write("/run/typed", "ip a\nping -c 1 -w 5 198.51.100.2\nexit\n");
    let seen = host
        .sh(&format!("script -qec '{line} sh' /dev/null </run/typed"))
        .done();
    for has in ["inet 10.78.0.", "1 packets received"] {
        assert!(seen.contains(has), "{seen}");
    }
    is_gone(&host);
    the_fifth_step(&host);
    // The document's default is what is used without a name for the settings, too.
    let version = host.sh("/usr/bin/eru-barrel-cni oci -- --version").done();
    assert!(version.starts_with("runc version"), "{version}");
}

/// Step 5: Barrel has served the host before, without CNI; a line in its file and a restart
/// change that, and are no pain to who runs.
#[track_caller]
fn the_fifth_step(host: &Host) {
    let docker = |line: &str| host.sh(&format!("docker -H unix:///var/run/barrel.sock {line}"));
    let barrel = || {
        // The files of the product are below another root here, those of the document are not.
        let line = "exec /usr/bin/eru-barrel --config /etc/eru/barrel.conf --cni-config /etc/docker/cni.yaml";
        let barrel = Daemon::start(
            &host.node.shell(line),
            "eru-barrel",
            &host.node.path("/run/eru-barrel.log"),
        );
        eventually(patience(), || match docker("version") {
            ran if ran.status == Some(0) => Ok(()),
            ran => Err(ran),
        });
        barrel
    };
    host.node
        .write("/etc/eru/barrel.conf", "# /etc/eru/barrel.conf\n");
    let before = barrel();
    let run = "run -d --network pool --stop-signal KILL --name box busybox sleep 100000";
    let ran = docker(run);
    assert!(ran.stderr.contains("network pool not found"), "{ran:?}");
    docker("rm box").done();
    docker("run -d --net none --stop-signal KILL --name early busybox sleep 100000").done();
    let pid = docker("inspect -f {{.State.Pid}} early").done();
    host.node.write(
        "/etc/eru/barrel.conf",
        "# /etc/eru/barrel.conf\nBARREL_ENABLE_CNI=1\n",
    );
    // systemctl restart eru-barrel
    drop(before);
    let _barrel = barrel();
    assert_eq!(docker("inspect -f {{.State.Pid}} early").done(), pid);
    docker(run).done();
    let shown = docker("inspect -f {{.NetworkSettings.Networks.pool.IPAddress}} box").done();
    let inside = docker("exec box ip -o -4 address show dev eth0").done();
    assert!(shown.starts_with("10.78.0."), "{shown}");
    assert!(
        inside.contains(&format!("inet {}/24", shown.trim())),
        "{inside}"
    );
    docker("rm -f box early").done();
    is_gone(host);
}

#[track_caller]
fn is_gone(host: &Host) {
    eventually(patience(), || {
        let listed = host
            .sh("fairlead ls -o json; fairlead ip ls -o json")
            .done();
        match listed.replace('\n', "").as_str() {
            "[][]" => Ok(()),
            _ => Err(listed),
        }
    });
}

#[test]
fn before_the_program_and_its_settings_are_there_a_container_is_refused() {
    let mut host = Host::new(Docker::plan());
    host.is_prepared();
    host.sh("mv /usr/bin/eru-barrel-cni /run/away").done();
    let line = "docker run --rm --runtime barrel-cni --net none busybox true";
    let ran = host.sh(line);
    assert_ne!(ran.status, Some(0), "{ran:?}");
    host.sh("mv /run/away /usr/bin/eru-barrel-cni && rm /etc/docker/cni.yaml")
        .done();
    let ran = host.sh(line);
    assert!(
        ran.stderr.contains("settings /etc/docker/cni.yaml"),
        "{ran:?}"
    );
    host.node.write("/etc/docker/cni.yaml", SETTINGS);
    let ran = host.sh(line);
    assert!(ran.stderr.contains("no network: /etc/cni/net.d"), "{ran:?}");
    assert_eq!(ran.status, Some(125), "{ran:?}");
    is_gone(&host);
}
