//! Scope global: two hosts whose engines share a store, one VSD for both.

use crate::case::{CREATE, log_of, prepare, seed, start, tail, text};
use crate::documents::options;
use fairlead_tests::{
    Cluster, Daemon, Docker, Ovs, OvsPlan, Place as _, Plan, Vsd, eventually, patience,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Document 004's sample of the installation by a binary, with the VSD's place to be filled in,
/// and who may say who the VSD is.
const SETTINGS: &str = r#"
vrsendpoint:    "/var/run/openvswitch/db.sock"
dockerdndpoint: "unix:///var/run/docker.sock"
vrsbridge:      "alubr0"
loglevel:       "Warn"
scope:          "global"
numofretries:   5
timeinterval:   100
username: Y3Nwcm9vdA==
password: Y3Nwcm9vdA==
organization: Y3Nw
url: https://VSD:8443
vsdcafile: /run/vsd/ca.pem
"#;

/// `docker network create` of document 002's session on several hosts.
const CREATE_FIRST: &str = r#"network create --driver=nuage -o organization=Enterprise -o domain=Domain -o zone=Zone -o subnet="Subnet 2" -o user=admin --subnet=10.21.59.0/24  MyNet"#;

/// The id of a pool as an earlier plugin gives it: the MD5 of `EnterpriseDomainSubnet 2`.
const EARLIER: &str = "9f5655ccbb6e0ad383c5738985a5e479-0123456789";

/// Two hosts; what is dropped first is the drivers.
struct Two {
    plugins: Vec<Option<Daemon>>,
    engines: Vec<Docker>,
    vsd: Vsd,
    switches: Vec<Ovs>,
    cluster: Cluster,
}

impl Two {
    #[track_caller]
    fn new() -> Self {
        let mut cluster = Cluster::new(Plan {
            nodes: 2,
            far: 0,
            etcd: 1,
        });
        cluster.lose_etcd(&[0]);
        cluster.etcd.speak_v2();
        cluster.restore_etcd(false);
        let store = cluster.etcd.urls().replace("http://", "etcd://");
        let host = cluster.v4(1);
        let vsd = Vsd::start_at(cluster.node(1), &seed(), &format!("{host}:8443"), "");
        let authority = cluster.node(1).read(vsd.ca_path());
        cluster.node(2).write(vsd.ca_path(), &authority);
        let (mut plugins, mut engines, mut switches) = (Vec::new(), Vec::new(), Vec::new());
        for k in cluster.numbers() {
            let node = cluster.node(k);
            prepare(node, &SETTINGS.replace("//VSD", &format!("//{host}")));
            switches.push(Ovs::start(
                node,
                OvsPlan {
                    system_id: format!("switch-{k}"),
                    hostname: format!("node{k}"),
                    ..OvsPlan::default()
                },
            ));
            plugins.push(Some(start(node)));
            let advertise = format!("--cluster-advertise={}:2376", cluster.v4(k));
            let plan = Docker::plan();
            let plan = plan.extra(&[&format!("--cluster-store={store}"), &advertise]);
            engines.push(plan.start(node));
        }
        Self {
            plugins,
            engines,
            vsd,
            switches,
            cluster,
        }
    }

    #[track_caller]
    fn docker(&self, k: usize, line: &str) -> String {
        let ran = self.engines[k - 1].cli(self.cluster.node(k), line);
        if ran.status != Some(0) {
            println!("{}", tail(&log_of(self.cluster.node(k))));
        }
        ran.done().trim().to_owned()
    }

    /// Starts a container that stays; its id.
    #[track_caller]
    fn run(&self, k: usize, name: &str) -> String {
        let line =
            format!("run -d --name {name} --stop-signal KILL --net MyNet busybox sleep 100000");
        self.docker(k, &line)
    }

    #[track_caller]
    fn network(&self, k: usize) -> Value {
        let text = self.docker(k, "network inspect MyNet");
        let all: Value = serde_json::from_str(&text).unwrap();
        all[0].clone()
    }

    /// Waits until an engine lists the network, or does not; the line's words.
    #[track_caller]
    fn listed(&self, k: usize, is: bool) -> Vec<String> {
        eventually(patience() * 2, || {
            let listed = self.docker(k, "network ls");
            let line = listed.lines().find(|line| line.contains("MyNet"));
            match line.is_some() == is {
                true => Ok(line
                    .unwrap_or_default()
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect()),
                false => Err(listed),
            }
        })
    }

    /// The drivers of a host end at once, and start again.
    #[track_caller]
    fn restart(&mut self, k: usize) {
        self.plugins[k - 1].take().expect("it runs").kill();
        self.plugins[k - 1] = Some(start(self.cluster.node(k)));
    }

    /// Id, hardware address and address of what VSD has.
    fn of_controller(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for container in self.vsd.state("containers") {
            for interface in container["interfaces"].as_array().unwrap() {
                let (mac, ip) = (text(&interface["MAC"]), text(&interface["IPAddress"]));
                found.insert(format!("{} {mac} {ip}", text(&container["UUID"])));
            }
        }
        found
    }

    /// The ids of the containers that a host's switch has ports of.
    fn plugged(&self, k: usize) -> BTreeSet<String> {
        let rows = self.switches[k - 1].rows(self.cluster.node(k), "Nuage_VM_Table");
        rows.iter().map(|row| text(&row["vm_uuid"])).collect()
    }

    /// Waits until each host's switch has just this container, or none, and VSD all of them.
    #[track_caller]
    fn are_up(&self, on: [Option<&str>; 2]) {
        let all: BTreeSet<String> = on.iter().flatten().map(|id| (*id).to_owned()).collect();
        eventually(patience() * 2, || {
            let known = self.of_controller();
            let ids: BTreeSet<String> = known
                .iter()
                .map(|one| one.split(' ').next().unwrap().to_owned())
                .collect();
            let mut is_so = ids == all;
            let mut told = format!("VSD: {known:?}");
            for (k, id) in [1, 2].into_iter().zip(on) {
                let found = self.plugged(k);
                let ports = self.switches[k - 1].ports(self.cluster.node(k));
                let wanted: BTreeSet<String> = id.into_iter().map(str::to_owned).collect();
                is_so &= found == wanted && ports.len() == wanted.len();
                told += &format!("; node{k}: {found:?} {ports:?}");
            }
            match is_so {
                true => Ok(()),
                false => Err(format!("{told}; not {on:?}")),
            }
        });
    }
}

/// What an engine shows of the network: its own container by the container's id, and that of
/// the other host by its endpoint's.
#[track_caller]
fn shown(two: &Two, k: usize, local: (&str, &str), other: &str) -> BTreeSet<String> {
    // The engine hears of the other host's endpoints after a moment.
    let shown = eventually(patience(), || {
        let shown = two.network(k);
        match shown["Containers"].as_object().map(serde_json::Map::len) {
            Some(2) => Ok(shown),
            _ => Err(shown),
        }
    });
    let containers = shown["Containers"].as_object().unwrap();
    let wanted = BTreeSet::from([
        "Name",
        "EndpointID",
        "MacAddress",
        "IPv4Address",
        "IPv6Address",
    ]);
    let mut addresses = BTreeSet::new();
    for (key, container) in containers {
        let keys: BTreeSet<&str> = container
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, wanted, "{shown}");
        match key.strip_prefix("ep-") {
            Some(endpoint) => {
                assert_eq!(container["EndpointID"], endpoint);
                assert_eq!(container["Name"], other);
            }
            None => {
                assert_eq!(key, local.0);
                assert_eq!(container["Name"], local.1);
            }
        }
        let mac = text(&container["MacAddress"]);
        assert!(mac.starts_with("7a:42:"), "{shown}");
        assert_eq!(container["IPv6Address"], "");
        let address = text(&container["IPv4Address"]);
        assert!(
            address.starts_with("10.21.59.") && address.ends_with("/24"),
            "{shown}"
        );
        addresses.insert(format!("{mac} {address}"));
    }
    let others = containers.keys().filter(|key| key.starts_with("ep-"));
    assert_eq!(others.count(), 1, "{shown}");
    assert_eq!(addresses.len(), 2, "{shown}");
    addresses
}

/// The documents' session on two hosts, to its end, and once more.
#[track_caller]
fn session(create: &str, ipam: &Value, options: &Value) {
    let mut two = Two::new();
    two.docker(1, create);
    let words = two.listed(2, true);
    assert_eq!(words[1..], ["MyNet", "nuage", "global"]);
    let (first, second) = (two.network(1), two.network(2));
    for key in [
        "Name", "Id", "Scope", "Driver", "IPAM", "Options", "Internal",
    ] {
        assert_eq!(first[key], second[key], "{key}");
    }
    assert_eq!(second["Scope"], "global");
    assert_eq!(&second["IPAM"], ipam);
    assert_eq!(&second["Options"], options);
    assert!(text(&second["Id"]).starts_with(&words[0]));
    // The second host's drivers were told nothing, and remember nothing.
    two.restart(2);
    let thirsty = two.run(1, "thirsty_bassi");
    let tender = two.run(2, "tender_goldstine");
    two.are_up([Some(&thirsty), Some(&tender)]);
    let on_first = shown(&two, 1, (&thirsty, "thirsty_bassi"), "tender_goldstine");
    let on_second = shown(&two, 2, (&tender, "tender_goldstine"), "thirsty_bassi");
    assert_eq!(on_first, on_second);
    let known: BTreeSet<String> = two
        .of_controller()
        .iter()
        .map(|one| one.split_once(' ').unwrap().1.to_owned() + "/24")
        .collect();
    assert_eq!(known, on_first, "VSD has the same addresses");
    let marks: BTreeSet<String> = two
        .vsd
        .state("containers")
        .iter()
        .map(|container| text(&container["externalID"]))
        .collect();
    // The VSD puts its own id behind an @.
    let marks: BTreeSet<&str> = marks.iter().map(|m| m.split('@').next().unwrap()).collect();
    assert_eq!(
        marks,
        BTreeSet::from(["node1-switch-1", "node2-switch-2"]),
        "whose is whose"
    );
    let route = two.docker(2, "exec tender_goldstine ip route");
    assert!(route.contains("default via 10.21.59.1 dev eth0"), "{route}");
    comes_to_its_end(&two, &thirsty);
    // The first host was not told that it is gone, and makes it again all the same.
    two.docker(1, create);
    two.listed(2, true);
    two.docker(1, "network rm MyNet");
    two.listed(2, false);
}

/// Containers of both hosts go, and the network by the second host's engine.
#[track_caller]
fn comes_to_its_end(two: &Two, thirsty: &str) {
    two.docker(2, "rm -f tender_goldstine");
    two.are_up([Some(thirsty), None]);
    let again = two.run(2, "again");
    two.are_up([Some(thirsty), Some(&again)]);
    two.docker(1, "rm -f thirsty_bassi");
    two.docker(2, "rm -f again");
    two.are_up([None, None]);
    two.docker(2, "network rm MyNet");
    two.listed(1, false);
    two.listed(2, false);
    for kind in ["containers", "vports", "ipreservations"] {
        assert_eq!(two.vsd.state(kind), Vec::<Value>::new(), "{kind}");
    }
    for k in [1, 2] {
        let leases = two.cluster.node(k).sh("fairlead nuage ls -o json").json();
        assert_eq!(leases, json!([]), "node{k}");
        let links = two.cluster.node(k).link_names();
        assert!(!links.iter().any(|l| l.starts_with("nln")), "{links:?}");
    }
}

#[test]
fn the_session_of_document_002_on_two_hosts() {
    let ipam = json!({"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.21.59.0/24"}]});
    session(CREATE_FIRST, &ipam, &options());
}

#[test]
fn the_session_of_document_004_on_two_hosts() {
    let ipam = json!({
        "Driver": "nuage-ipam",
        "Options": options(),
        "Config": [{"Subnet": "10.21.59.0/24", "Gateway": "10.21.59.1"}],
    });
    session(CREATE, &ipam, &json!({}));
}

#[test]
fn an_earlier_plugins_pool_is_known_by_its_digest_on_the_other_host() {
    let two = Two::new();
    two.docker(1, CREATE);
    two.listed(2, true);
    let node = two.cluster.node(2);
    let ask = |method: &str, body: Value| {
        let ran = node.sh(&format!(
            "curl -sS --unix-socket /run/docker/plugins/nuage-ipam.sock -d '{body}' http://d/IpamDriver.{method}"
        ));
        serde_json::from_str::<Value>(&ran.done()).unwrap()
    };
    let given = ask("RequestAddress", json!({"PoolID": EARLIER, "Address": ""}));
    let given = text(&given["Address"]);
    assert!(
        given.starts_with("10.21.59.") && given.ends_with("/24"),
        "{given}"
    );
    let held = &two.vsd.state("containers")[0]["interfaces"][0];
    assert_eq!(held["IPAddress"], given.trim_end_matches("/24"));
    let gateway = json!({"PoolID": EARLIER, "Address": "",
        "Options": {"RequestAddressType": "com.docker.network.gateway"}});
    assert_eq!(ask("RequestAddress", gateway)["Address"], "10.21.59.1/24");
    let address = given.trim_end_matches("/24");
    let back = json!({"PoolID": EARLIER, "Address": address});
    assert_eq!(ask("ReleaseAddress", back), json!({}));
    eventually(patience(), || {
        let left = two.vsd.state("containers");
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let other = "00000000000000000000000000000000-0123456789";
    let told = ask("RequestAddress", json!({"PoolID": other, "Address": ""}));
    assert!(
        text(&told["Err"]).contains("no network of Docker has the pool"),
        "{told}"
    );
    assert_eq!(told["Err"], told["Error"]);
    two.docker(2, "network rm MyNet");
    two.listed(1, false);
}
