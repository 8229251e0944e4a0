//! The first plugin, of document 002: its file, its command line, and a switch that asks its
//! own controller. There is no VSD.

use crate::case::{log_of, prepare, start_as, tail, text};
use fairlead_tests::{Daemon, Docker, Node, Ovs, OvsPlan, Place as _, eventually, patience};
use serde_json::{Value, json};

/// The file of document 002.
pub(crate) const OLD: &str = r#"VrsEndpoint = "localhost"
VrsPort = 6633
VrsBridge = "alubr0"
DockerEndpoint = "unix:///var/run/docker.sock"
LogLevel = "Info" // Debug for more info
Scope = "global"  // global for MH or local for Single Host
"#;

/// Where document 002 has it.
const FILE: &str = "/etc/nuage/config.cfg";

const CREATE: &str = r#"network create --driver=nuage -o organization=Enterprise -o domain=Domain -o zone=Zone -o subnet="Subnet 2" -o user=admin --subnet=10.21.59.0/24  MyNet"#;

/// The plugin's own folder: the document starts it by `./plugin`.
const FOLDER: &str = "/run/nuage-plugin";

/// A host with an engine, a switch that listens on TCP, and the plugin.
pub(crate) struct Host {
    /// What engines share networks by, where the file says that they do.
    _store: Option<Daemon>,
    pub(crate) plugin: Daemon,
    pub(crate) docker: Docker,
    pub(crate) ovs: Ovs,
    pub(crate) node: Node,
}

/// A host whose `/etc` is its own, with the plugin's folder.
#[track_caller]
fn host() -> Node {
    let node = Node::new();
    node.sh("cp -a /etc /run/etc && mount --bind /run/etc /etc")
        .done();
    prepare(&node, "");
    let program = node.sh("readlink -f $(command -v plugin)").done();
    node.run(&format!("mkdir -p {FOLDER} /run/elsewhere"));
    node.run(&format!("ln -s {} {FOLDER}/plugin", program.trim()));
    node
}

/// A store on the host itself.
#[track_caller]
fn store(node: &Node) -> Daemon {
    let line = "exec etcd --data-dir /run/etcd --enable-v2 --log-level error \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 \
        --heartbeat-interval 50 --election-timeout 500";
    let store = Daemon::start(&node.shell(line), "etcd", &node.path("/run/etcd.log"));
    eventually(patience() * 2, || {
        let health = node.sh("curl -sS http://127.0.0.1:2379/health");
        match health.stdout.contains("true") {
            true => Ok(()),
            false => Err(health),
        }
    });
    store
}

impl Host {
    #[track_caller]
    pub(crate) fn new(file: &str) -> Self {
        let node = host();
        node.write(FILE, file);
        let ovs = Ovs::start(&node, OvsPlan::default());
        ovs.listen_on_tcp(&node);
        let command = node.shell(&format!("cd {FOLDER} && exec ./plugin -f {FILE}"));
        let plugin = start_as(&node, &command);
        let (store, plan) = match file.contains("\"global\"") {
            true => {
                let shared = "--cluster-store=etcd://127.0.0.1:2379";
                let advertise = "--cluster-advertise=198.51.100.1:2376";
                let plan = Docker::plan().extra(&[shared, advertise]);
                (Some(store(&node)), plan)
            }
            false => (None, Docker::plan()),
        };
        let docker = plan.start(&node);
        Self {
            _store: store,
            plugin,
            docker,
            ovs,
            node,
        }
    }

    #[track_caller]
    pub(crate) fn docker(&self, line: &str) -> String {
        let ran = self.docker.cli(&self.node, line);
        if ran.status != Some(0) {
            println!("{}", tail(&log_of(&self.node)));
        }
        ran.done().trim().to_owned()
    }

    /// Waits until the switch has so many ports, of as many entities with their names.
    #[track_caller]
    pub(crate) fn is_up(&self, count: usize) {
        eventually(patience(), || {
            let ports = self.ovs.rows(&self.node, "Nuage_Port_Table");
            let entities = self.ovs.rows(&self.node, "Nuage_VM_Table");
            let bridge = self.ovs.ports(&self.node);
            let cables: Vec<String> = self.node.link_names();
            let cables = cables.iter().filter(|name| name.starts_with("veth"));
            let named = entities
                .iter()
                .filter(|row| !text(&row["vm_uuid"]).starts_with(&text(&row["vm_name"])));
            let found = [
                ports.len(),
                entities.len(),
                bridge.len(),
                cables.count(),
                named.count(),
            ];
            match found.iter().all(|found| *found == count) {
                true => Ok(()),
                false => Err(format!("{found:?}\n{}", tail(&log_of(&self.node)))),
            }
        });
    }
}

#[test]
fn the_session_of_document_002_with_its_own_file_and_command_line() {
    let mut host = Host::new(OLD);
    host.docker(CREATE);
    let words = host.docker("network ls --format '{{.Name}} {{.Driver}} {{.Scope}}'");
    assert!(
        words.lines().any(|line| line == "MyNet nuage global"),
        "{words}"
    );
    for name in ["tender_goldstine", "thirsty_bassi"] {
        host.docker(&format!(
            "run -d --name {name} --stop-signal KILL --net MyNet busybox sleep 100000"
        ));
    }
    host.is_up(2);
    let shown: Value = serde_json::from_str(&host.docker("network inspect MyNet")).unwrap();
    let containers = shown[0]["Containers"].as_object().unwrap();
    assert_eq!(containers.len(), 2, "{shown}");
    for container in containers.values() {
        as_the_first_plugin_tells(&host, container);
    }
    let one =
        host.docker("inspect -f '{{.NetworkSettings.Networks.MyNet.IPAddress}}' thirsty_bassi");
    eventually(patience(), || {
        let ran = host.docker.cli(
            &host.node,
            &format!("exec tender_goldstine ping -c 1 -w 2 {one}"),
        );
        if ran.status == Some(0) {
            Ok(())
        } else {
            Err(ran)
        }
    });
    let learnt = host.node.run("ovs-appctl fdb/show alubr0");
    for container in containers.values() {
        assert!(learnt.contains(&text(&container["MacAddress"])), "{learnt}");
    }
    let route = host.docker("exec tender_goldstine ip route");
    assert!(route.contains("default via 10.21.59.1 dev eth0"), "{route}");
    host.docker("rm -f tender_goldstine");
    host.is_up(1);
    host.docker("restart -t 0 thirsty_bassi");
    host.is_up(1);
    host.docker("rm -f thirsty_bassi");
    host.is_up(0);
    host.docker("network rm MyNet");
    assert_eq!(host.node.sh("fairlead nuage ls -o json").json(), json!([]));
    assert_eq!(host.plugin.terminate().code(), Some(0));
}

/// The rows, the links and the container's address, as the first plugin made them.
#[track_caller]
fn as_the_first_plugin_tells(host: &Host, container: &Value) {
    let endpoint = text(&container["EndpointID"]);
    let port = format!("veth{}", &endpoint[..5]);
    let rows = host.ovs.rows(&host.node, "Nuage_Port_Table");
    let row = rows.iter().find(|row| row["name"] == port);
    let row = row.unwrap_or_else(|| panic!("no row of {port}: {rows:?}"));
    let address = text(&container["IPv4Address"]);
    let metadata = json!({
        "nuage-enterprise-domain": "Domain",
        "nuage-enterprise-network": "Subnet 2",
        "nuage-enterprise-zone": "Zone",
        "nuage-enterprise-network-type": "ipv4",
        "static-ip": address.trim_end_matches("/24"),
    });
    assert_eq!(row["metadata"], metadata);
    for (column, value) in [
        ("nuage_domain", "Domain"),
        ("nuage_zone", "Zone"),
        ("nuage_network", "Subnet 2"),
        ("nuage_network_type", "ipv4"),
        ("bridge", "alubr0"),
    ] {
        assert_eq!(row[column], value, "{column}");
    }
    assert_eq!(row["vm_domain"], 4);
    let mac = text(&container["MacAddress"]);
    assert_eq!(row["mac"], mac);
    assert!(mac.starts_with("7a:42:"), "{mac}");
    let entities = host.ovs.rows(&host.node, "Nuage_VM_Table");
    let entity = entities.iter().find(|row| row["vm_uuid"] == endpoint);
    let entity = entity.unwrap_or_else(|| panic!("no row of {endpoint}: {entities:?}"));
    assert_eq!(entity["vm_name"], container["Name"]);
    assert_eq!(entity["nuage_enterprise"], "Enterprise");
    assert_eq!(entity["nuage_user"], "admin");
    assert_eq!(entity["metadata"]["enterprise"], "Enterprise");
    assert_eq!(entity["ports"], port);
    assert_eq!((&entity["type"], &entity["domain"]), (&json!(4), &json!(4)));
    // Started, booted; it runs.
    let event = ["event", "event_type", "state", "reason"].map(|column| entity[column].clone());
    assert_eq!(event, [json!(2), json!(0), json!(1), json!(1)]);
    let interfaces = host.ovs.rows(&host.node, "Interface");
    let interface = interfaces.iter().find(|row| row["name"] == port).unwrap();
    let ids = json!({"vm-uuid": endpoint, "vm-name": container["Name"]});
    assert_eq!(interface["external_ids"], ids);
    let name = text(&container["Name"]);
    let link = host.docker(&format!("exec {name} ip addr show eth0"));
    for has in [&address, &mac] {
        assert!(link.contains(has.as_str()), "{has}: {link}");
    }
}

#[test]
fn without_a_controller_addresses_are_dockers_and_others_are_refused() {
    let host = Host::new(&OLD.replace("\"global\"", "\"local\""));
    let second = crate::case::CREATE;
    let ran = host.docker.cli(&host.node, second);
    assert_ne!(ran.status, Some(0), "{ran:?}");
    for words in [
        "no controller is declared",
        "leave --ipam-driver out",
        "url",
    ] {
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    let ran = host
        .docker
        .cli(&host.node, &CREATE.replace("-o zone=Zone", ""));
    assert!(
        ran.stderr.contains("these options are missing: zone;"),
        "{ran:?}"
    );
    // With a part of the subnet, as the document advises, a static address, and Docker's gateway.
    host.docker(&CREATE.replace(
        "MyNet",
        "--ip-range=10.21.59.128/25 --gateway=10.21.59.254 MyNet",
    ));
    host.docker("run -d --name one --stop-signal KILL --net MyNet --ip 10.21.59.200 --mac-address 02:00:00:00:00:07 busybox sleep 100000");
    host.is_up(1);
    let row = host.ovs.rows(&host.node, "Nuage_Port_Table")[0].clone();
    assert_eq!(row["metadata"]["static-ip"], "10.21.59.200");
    assert_eq!(row["mac"], "02:00:00:00:00:07");
    let route = host.docker("exec one ip route");
    assert!(
        route.contains("default via 10.21.59.254 dev eth0"),
        "{route}"
    );
    host.docker("run --rm --net MyNet busybox true");
    host.is_up(1);
    host.docker("rm -f one");
    host.is_up(0);
    host.docker("network rm MyNet");
}

#[test]
fn its_file_is_beside_it_if_none_is_named() {
    let node = host();
    let told = |line: &str| node.sh(line);
    let beside = format!("cd /run/elsewhere && {FOLDER}/plugin -check");
    // The defaults count where there is no file.
    let ran = told(&beside);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(
        ran.stdout
            .contains("nuage.cfg is not there: the defaults are taken"),
        "{ran:?}"
    );
    node.write(&format!("{FOLDER}/nuage.cfg"), OLD);
    node.write("/run/elsewhere/nuage.cfg", "LogLevel = [");
    for line in [
        beside.clone(),
        format!("cd {FOLDER} && ./plugin -check"),
        format!("cd /run/elsewhere && PATH={FOLDER}:$PATH && plugin -check"),
    ] {
        let ran = told(&line);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        assert!(
            ran.stdout.contains("nuage.cfg: good, 0 warnings"),
            "{ran:?}"
        );
    }
    let ran = told(&format!("{beside} -f /run/elsewhere/nuage.cfg"));
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("/run/elsewhere/nuage.cfg"), "{ran:?}");
}
