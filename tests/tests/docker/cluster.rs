//! Three nodes with an engine each: networks that agents carry, and those that engines share
//! by a store of their own.

use crate::case::SETTINGS;
use fairlead_tests::{Agent, Cluster, Docker, DockerPlan, Place as _, Plan, eventually, patience};
use serde_json::Value;

/// Three nodes in a cluster.
struct Three {
    engines: Vec<Docker>,
    agents: Vec<Agent>,
    cluster: Cluster,
}

impl Three {
    #[track_caller]
    fn new(plan: &DockerPlan, settings: &str) -> Self {
        Self::over(
            Cluster::new(Plan {
                nodes: 3,
                far: 0,
                etcd: 1,
            }),
            plan,
            settings,
        )
    }

    #[track_caller]
    fn over(cluster: Cluster, plan: &DockerPlan, settings: &str) -> Self {
        for k in cluster.numbers() {
            let line = format!("fairlead node set {SETTINGS} {settings}");
            cluster.node(k).sh(&line).silent();
        }
        let agents = cluster.up();
        cluster
            .node(1)
            .sh("fairlead cluster set --kw cluster.name=clu")
            .silent();
        let own = |k: usize| {
            let advertise = format!("--cluster-advertise={}:2376", cluster.v4(k));
            match settings.contains("global") {
                true => plan.clone().extra(&[&advertise]),
                false => plan.clone(),
            }
        };
        let engines = cluster
            .numbers()
            .map(|k| own(k).start(cluster.node(k)))
            .collect();
        Self {
            engines,
            agents,
            cluster,
        }
    }

    #[track_caller]
    fn docker(&self, k: usize, line: &str) -> String {
        self.engines[k - 1].must(self.cluster.node(k), line)
    }

    #[track_caller]
    fn refused(&self, k: usize, line: &str, words: &[&str]) {
        let ran = self.engines[k - 1].cli(self.cluster.node(k), line);
        assert!(!matches!(ran.status, Some(0) | None), "{ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{word:?} is missing: {ran:?}");
        }
    }

    #[track_caller]
    fn run(&self, k: usize, name: &str, options: &str) {
        let line =
            format!("run -d --name {name} --stop-signal KILL {options} busybox sleep 100000");
        self.docker(k, &line);
    }

    #[track_caller]
    fn network(&self, k: usize, name: &str) -> Value {
        let text = self.docker(k, &format!("network inspect {name}"));
        let all: Value = serde_json::from_str(&text).unwrap();
        all[0].clone()
    }

    /// Waits until the engines of these nodes list a network of this name, or do not.
    #[track_caller]
    fn listed(&self, name: &str, nodes: &[usize], is: bool) {
        for k in nodes {
            eventually(patience() * 2, || {
                let found = self.docker(*k, "network ls --format {{.Name}}");
                match found.lines().any(|line| line == name) == is {
                    true => Ok(()),
                    false => Err(format!(
                        "node{k}: {found}: {}",
                        self.agents[k - 1].daemon.log()
                    )),
                }
            });
        }
    }

    #[track_caller]
    fn reaches(&self, k: usize, from: &str, to: &str) {
        eventually(patience(), || {
            let line = format!("exec {from} ping -c 1 -w 2 {to}");
            let ran = self.engines[k - 1].cli(self.cluster.node(k), &line);
            match ran.status {
                Some(0) => Ok(()),
                _ => Err(ran),
            }
        });
    }
}

#[test]
fn a_network_made_on_one_node_is_on_all_and_goes_from_all() {
    let three = Three::new(&Docker::plan(), "");
    three.docker(
        1,
        "network create -d fairlead --ipam-driver fairlead --subnet 10.90.0.0/24 \
         --label team=shop --ip-range 10.90.0.0/25 shop",
    );
    three.listed("shop", &[1, 2, 3], true);
    let made = three.network(1, "shop");
    for k in [2, 3] {
        let copy = three.network(k, "shop");
        for key in ["Name", "Driver", "Internal", "EnableIPv6", "Labels"] {
            assert_eq!(copy[key], made[key], "{key} on node{k}");
        }
        assert_eq!(copy["IPAM"]["Config"], made["IPAM"]["Config"]);
        assert_eq!(copy["IPAM"]["Driver"], "fairlead");
    }
    // A static address is one node's.
    three.run(1, "one", "--network shop --ip 10.90.0.9");
    three.refused(
        2,
        "run --rm --network shop --ip 10.90.0.9 busybox true",
        &["10.90.0.9", "is taken on node node1"],
    );
    three.run(2, "two", "--network shop");
    let two = three.network(2, "shop")["Containers"].clone();
    let two = two.as_object().unwrap().values().next().unwrap();
    let two = two["IPv4Address"]
        .as_str()
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    three.refused(
        3,
        &format!("run --rm --network shop --ip {two} busybox true"),
        &[two, "is taken on node node2"],
    );
    three.docker(1, "rm -f one");
    three.run(3, "three", "--network shop --ip 10.90.0.9");
    // Taken away on one node, it goes everywhere, where it is used once it is not.
    three.docker(1, "network rm shop");
    three.listed("shop", &[1], false);
    three.docker(2, "rm -f two");
    three.listed("shop", &[2], false);
    three.listed("shop", &[3], true);
    three.docker(3, "rm -f three");
    three.listed("shop", &[3], false);
    for k in three.cluster.numbers() {
        eventually(patience(), || {
            let node = three.cluster.node(k);
            let links = node.run("ip -br link");
            match links.contains("obr_d-") {
                false => Ok(()),
                true => Err(links),
            }
        });
    }
    let etcd = &three.cluster.etcd;
    eventually(patience(), || {
        let keys = etcd.keys(three.cluster.wire(), "/fairlead/docker/");
        if keys.is_empty() { Ok(()) } else { Err(keys) }
    });
}

#[test]
fn containers_on_a_routed_network_reach_each_other_across_nodes_by_their_names() {
    let three = Three::new(&Docker::plan(), "");
    three.cluster.declare(
        "back",
        &[
            "type=routed_bridge",
            "network=10.91.0.0/16",
            "ips_per_node=256",
        ],
    );
    let segments = three.cluster.segments("back");
    three.docker(
        1,
        "network create -d fairlead --ipam-driver fairlead -o network=back --subnet 10.91.0.0/16 back",
    );
    three.listed("back", &[1, 2, 3], true);
    for k in [1, 2, 3] {
        three.run(
            k,
            &format!("box{k}"),
            "--network back --expose 80 -l com.docker.compose.project=shop",
        );
    }
    let address = |k: usize| {
        let line = format!("inspect -f {{{{.NetworkSettings.Networks.back.IPAddress}}}} box{k}");
        three.docker(k, &line)
    };
    for (from, to) in [(1, 2), (2, 3), (3, 1)] {
        three.reaches(from, &format!("box{from}"), &address(to));
    }
    // What is another node's to give is told with that node.
    let segment = segments[1].split('/').next().unwrap();
    let other = format!("{}.77", segment.rsplit_once('.').unwrap().0);
    three.refused(
        1,
        &format!("run --rm --network back --ip {other} busybox true"),
        &[&other, "is of node node2"],
    );
    // Every node knows them all by name.
    for k in [1, 2, 3] {
        let gateway = fairlead_tests::gateway(&segments[k - 1]);
        let server = gateway.split('/').next().unwrap();
        for to in [1, 2, 3] {
            let name = format!("box{to}.shop.svc.clu");
            eventually(patience(), || {
                let line = format!("dig +short +time=1 +tries=1 @{server} {name}");
                let found = three.cluster.node(k).run(&line);
                let wanted = address(to);
                match found.trim() == wanted {
                    true => Ok(()),
                    false => Err(format!("{name}: {found:?}, not {wanted}")),
                }
            });
            let srv = format!("dig +short @{server} SRV _80._tcp.{name}");
            let found = three.cluster.node(k).run(&srv);
            assert!(found.contains(" 80 "), "{found}");
        }
    }
}

#[test]
fn copies_go_with_what_they_are_of_wherever_that_is_removed() {
    let three = Three::new(&Docker::plan(), "");
    three.cluster.declare(
        "back",
        &[
            "type=routed_bridge",
            "network=10.93.0.0/16",
            "ips_per_node=256",
        ],
    );
    three.cluster.segments("back");
    let ours = "network create -d fairlead --ipam-driver fairlead";
    three.docker(2, &format!("{ours} --ipam-opt network=back there"));
    three.docker(3, &format!("{ours} -o network=back here"));
    three.listed("there", &[1, 2, 3], true);
    three.listed("here", &[1, 2, 3], true);
    for name in ["there", "here"] {
        three.run(1, &format!("on-{name}"), &format!("--network {name}"));
        three.docker(1, &format!("rm -f on-{name}"));
        three.docker(1, &format!("network rm {name}"));
        three.listed(name, &[1, 2, 3], false);
    }
    // What was declared before stays.
    three.cluster.node(1).run("ip link show obr_back");
    let etcd = &three.cluster.etcd;
    eventually(patience(), || {
        let keys = etcd.keys(three.cluster.wire(), "/fairlead/docker/");
        if keys.is_empty() { Ok(()) } else { Err(keys) }
    });
}

#[test]
fn engines_with_a_store_of_their_own_share_networks_of_scope_global() {
    let mut cluster = Cluster::new(Plan {
        nodes: 3,
        far: 0,
        etcd: 1,
    });
    cluster.lose_etcd(&[0]);
    cluster.etcd.speak_v2();
    cluster.restore_etcd(false);
    let store = cluster.etcd.urls().replace("http://", "etcd://");
    let plan = Docker::plan().extra(&[&format!("--cluster-store={store}")]);
    let three = Three::over(cluster, &plan, "--kw docker.scope=global");
    three.docker(
        1,
        "network create -d fairlead --ipam-driver fairlead --subnet 10.92.0.0/24 shop",
    );
    three.listed("shop", &[1, 2, 3], true);
    for k in [1, 2, 3] {
        let seen = three.network(k, "shop");
        assert_eq!(
            (&seen["Scope"], &seen["Driver"]),
            (&"global".into(), &"fairlead".into())
        );
        assert_eq!(seen["Id"], three.network(1, "shop")["Id"]);
    }
    three.run(1, "one", "--network shop");
    three.run(2, "two", "--network shop");
    // Containers of other nodes are listed by their endpoints.
    let seen = three.network(1, "shop")["Containers"].clone();
    let seen = seen.as_object().unwrap();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen.keys().filter(|key| key.starts_with("ep-")).count(), 1);
    let addresses: std::collections::BTreeSet<&str> = seen
        .values()
        .map(|c| c["IPv4Address"].as_str().unwrap())
        .collect();
    assert_eq!(addresses.len(), 2, "{seen:?}");
    three.docker(1, "rm -f one");
    three.docker(2, "rm -f two");
    three.docker(3, "network rm shop");
    three.listed("shop", &[1, 2, 3], false);
    for k in three.cluster.numbers() {
        eventually(patience(), || {
            let links = three.cluster.node(k).run("ip -br link");
            match links.contains("obr_d-") {
                false => Ok(()),
                true => Err(links),
            }
        });
    }
}
