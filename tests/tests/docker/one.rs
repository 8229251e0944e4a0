//! Networks in every shape that Docker's command line offers, on one engine.

use crate::case::{Case, Listener};
use fairlead_tests::Place as _;

#[test]
fn a_network_without_a_declared_one_gets_a_bridge_and_takes_it_along() {
    let case = Case::new();
    let before = case.warm();
    case.docker("network create -d fairlead --ipam-driver fairlead --label a=b net1");
    let shown = &case.json("network inspect net1")[0];
    let subnet = "10.192.0.0/24";
    assert_eq!(shown["Driver"], "fairlead");
    assert_eq!(shown["IPAM"]["Driver"], "fairlead");
    assert_eq!(shown["IPAM"]["Config"][0]["Subnet"], subnet);
    assert_eq!(shown["IPAM"]["Config"][0]["Gateway"], "10.192.0.1");
    assert_eq!(shown["Labels"]["a"], "b");
    case.run("one", "--network net1");
    assert_eq!(case.address("one", "net1"), "10.192.0.2");
    case.docker("run --rm --network net1 busybox ping -c 1 -w 5 one");
    // Out, with the host's address.
    case.docker("exec one ping -c 1 -w 5 198.51.100.2");
    let line =
        case.docker("network ls --filter name=net1 --format {{.Name}}/{{.Driver}}/{{.Scope}}");
    assert_eq!(line, "net1/fairlead/local");
    let declared = case.node.sh("fairlead net ls -o json").json();
    let mut declared = declared.as_object().unwrap().iter();
    assert!(
        declared.any(|(name, net)| name.starts_with("d-") && net["config"]["network"] == subnet)
    );
    case.docker("rm -f one");
    case.docker("network rm net1");
    case.node.is_as_before(&before, "the network is gone");
}

#[test]
fn a_declared_network_is_named_by_either_option_and_its_subnet_need_not_be() {
    let case = Case::new();
    case.node.networks(&["back=10.30.0.0/24"]);
    let create = "network create -d fairlead --ipam-driver fairlead";
    case.docker(&format!("{create} -o network=back a"));
    case.docker(&format!(
        "{create} -o network=back --ipam-opt network=back b"
    ));
    case.docker(&format!("{create} -o network=back --subnet 10.30.0.0/24 c"));
    case.docker("network create -d fairlead -o network=back --subnet 10.30.0.0/24 d");
    case.docker(&format!("{create} --ipam-opt network=back e"));
    for (at, network) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        // Docker's own driver of addresses knows nothing of the others.
        let ip = if *network == "d" {
            "--ip 10.30.0.77"
        } else {
            ""
        };
        case.run(&format!("box{at}"), &format!("--network {network} {ip}"));
        let address = case.address(&format!("box{at}"), network);
        assert!(address.starts_with("10.30.0."), "{address}");
        case.docker(&format!("exec box{at} ping -c 1 -w 5 10.30.0.1"));
        let config = &case.json(&format!("network inspect {network}"))[0]["IPAM"]["Config"][0];
        // Docker is told the subnet by its user, or it does not know it.
        if ["c", "d"].contains(network) {
            assert_eq!(config["Subnet"], "10.30.0.0/24", "{network}");
        }
    }
    case.docker("exec box0 ping -c 1 -w 5 10.30.0.77");
    let taken = case.node.sh("fairlead ip ls -o json").json();
    assert_eq!(taken.as_array().unwrap().len(), 5, "{taken}");
    case.docker("rm -f box0 box1 box2 box3 box4");
    case.docker("network rm a b c d e");
    assert_eq!(
        case.node
            .sh("fairlead ip ls -o json")
            .json()
            .as_array()
            .unwrap()
            .len(),
        0
    );
    // It was there before, and stays.
    case.node.sh("ip link show obr_back").done();
}

#[test]
fn what_cannot_be_is_refused_in_a_line_that_says_why() {
    let case = Case::new();
    case.node.networks(&["back=10.30.0.0/24"]);
    let ours = "network create -d fairlead --ipam-driver fairlead";
    let bad: [(&str, &[&str]); 12] = [
        ("-o network=nowhere n", &["nowhere", "back"]),
        ("-o netwrok=back n", &["option \"netwrok\" is not known"]),
        (
            "--ipam-opt netwrok=back n",
            &["option \"netwrok\" is not known"],
        ),
        (
            "-o network=back --subnet 10.31.0.0/24 n",
            &["network back is 10.30.0.0/24", "10.31.0.0/24"],
        ),
        (
            "--ipam-opt network=back --subnet 10.31.0.0/24 n",
            &["network back is 10.30.0.0/24"],
        ),
        (
            "--subnet 10.30.0.0/24 n",
            &["that of network back", "-o network=back"],
        ),
        (
            "--subnet 10.30.0.0/25 n",
            &["overlaps 10.30.0.0/24 of network back"],
        ),
        (
            "--subnet 10.40.0.0/24 --gateway 10.41.0.1 n",
            &["10.41.0.1"],
        ),
        (
            "--ipam-opt network=back --subnet 10.30.0.0/24 --gateway 10.30.0.9 n",
            &["gateway of network back", "10.30.0.1"],
        ),
        ("-o mtu=7 n", &["mtu=7", "1280"]),
        ("-o network=back -o mtu=1400 n", &["network#back.mtu"]),
        ("-o network=lo n", &["network lo is a lo"]),
    ];
    for (options, words) in bad {
        case.refused(&format!("{ours} {options}"), words);
    }
    // Docker's own addresses would be of another subnet.
    case.refused(
        "network create -d fairlead -o network=back n",
        &["--subnet 10.30.0.0/24"],
    );
    assert_eq!(case.docker("network ls -q --filter driver=fairlead"), "");
    let left = case
        .node
        .sh("fairlead ip ls -o json; fairlead cluster get --kw network#n.network")
        .stdout;
    assert!(!left.contains("10."), "{left}");
}

#[test]
fn gateway_range_kept_addresses_and_the_largest_packet_are_as_they_were_asked_for() {
    let case = Case::new();
    case.docker(
        "network create -d fairlead --ipam-driver fairlead --subnet 10.40.0.0/24 \
         --gateway 10.40.0.254 --ip-range 10.40.0.128/26 --aux-address printer=10.40.0.129 \
         -o com.docker.network.driver.mtu=1400 shaped",
    );
    let config = &case.json("network inspect shaped")[0]["IPAM"]["Config"][0];
    assert_eq!(config["Gateway"], "10.40.0.254");
    assert_eq!(config["IPRange"], "10.40.0.128/26");
    assert_eq!(config["AuxiliaryAddresses"]["printer"], "10.40.0.129");
    case.run("one", "--network shaped");
    assert_eq!(case.address("one", "shaped"), "10.40.0.128");
    let routes = case.docker("exec one ip route");
    assert!(routes.contains("default via 10.40.0.254"), "{routes}");
    let link = case.docker("exec one ip link show eth0");
    assert!(link.contains("mtu 1400"), "{link}");
    case.docker("exec one ping -c 1 -w 5 198.51.100.2");
    case.refused(
        "run --rm --network shaped --ip 10.40.0.129 busybox true",
        &["10.40.0.129", "taken"],
    );
    case.refused(
        "run --rm --network shaped --ip 10.40.0.254 busybox true",
        &["10.40.0.254"],
    );
    // What is asked for by name must lie in the range too, as with Docker's own driver.
    case.docker("rm -f one");
    case.docker("network rm shaped");
    assert_eq!(
        case.node
            .sh("fairlead ip ls -o json")
            .json()
            .as_array()
            .unwrap()
            .len(),
        0
    );
}

#[test]
fn an_internal_network_leads_nowhere() {
    let case = Case::new();
    case.docker("network create -d fairlead --ipam-driver fairlead --internal inner");
    assert_eq!(case.json("network inspect inner")[0]["Internal"], true);
    case.run("one", "--network inner");
    case.run("two", "--network inner");
    case.docker("exec one ping -c 1 -w 5 two");
    let routes = case.docker("exec one ip route");
    assert!(!routes.contains("default"), "{routes}");
    let links = case.docker("exec one ip -o link");
    assert_eq!(
        links.lines().count(),
        2,
        "no way round by docker_gwbridge: {links}"
    );
    let ran = case
        .docker
        .cli(&case.node, "exec one ping -c 1 -w 2 198.51.100.2");
    assert_ne!(ran.status, Some(0));
}

#[test]
fn both_families_have_addresses_gateways_and_a_way_out() {
    let case = Case::new();
    case.docker(
        "network create -d fairlead --ipam-driver fairlead --ipv6 --subnet 10.41.0.0/24 \
         --subnet fd00:41::/64 dual",
    );
    case.run("one", "--network dual --ip 10.41.0.7 --ip6 fd00:41::7");
    let shown = case.inspect("one", "dual");
    assert_eq!(shown["IPAddress"], "10.41.0.7");
    assert_eq!(shown["GlobalIPv6Address"], "fd00:41::7");
    assert_eq!(shown["IPv6Gateway"], "fd00:41::1");
    case.run("two", "--network dual");
    assert_eq!(
        case.inspect("two", "dual")["GlobalIPv6Address"],
        "fd00:41::8"
    );
    case.docker("exec two ping -6 -c 1 -w 5 fd00:41::7");
    case.docker("exec two ping -6 -c 1 -w 5 2001:db8::2");
    case.docker("exec two ping -c 1 -w 5 198.51.100.2");
}

#[test]
fn addresses_that_are_asked_for_are_had_or_refused() {
    let case = Case::new();
    case.docker("network create -d fairlead --ipam-driver fairlead --subnet 10.42.0.0/24 net");
    case.run(
        "one",
        "--network net --ip 10.42.0.9 --mac-address 02:11:22:33:44:55",
    );
    assert_eq!(case.address("one", "net"), "10.42.0.9");
    let shown = case.inspect("one", "net");
    assert_eq!(shown["MacAddress"], "02:11:22:33:44:55");
    let link = case.docker("exec one ip link show eth0");
    assert!(link.contains("02:11:22:33:44:55"), "{link}");
    case.refused(
        "run --rm --network net --ip 10.42.0.9 busybox true",
        &["address 10.42.0.9 is taken on this node"],
    );
    case.refused(
        "run --rm --network net --mac-address 01:00:5e:00:00:01 busybox true",
        &["mac-address=01:00:5e:00:00:01"],
    );
    // A container of another door is as good a holder.
    let network = case.node.sh("fairlead net ls -o json").json();
    let network = network
        .as_object()
        .unwrap()
        .keys()
        .find(|n| n.starts_with("d-"))
        .unwrap()
        .clone();
    let place = case.node.sandbox("other");
    let attach = format!(
        "fairlead attach {network} --netns {} --ip 10.42.0.20",
        place.netns()
    );
    case.node.sh(&attach).done();
    case.refused(
        "run --rm --network net --ip 10.42.0.20 busybox true",
        &["10.42.0.20 is taken", "other"],
    );
    case.docker("exec one ping -c 1 -w 5 10.42.0.20");
    // And one whose refusal left nothing behind can be had.
    case.docker("run --rm --network net --ip 10.42.0.10 busybox true");
}

#[test]
fn a_container_on_several_networks_joins_and_leaves_while_it_runs() {
    let case = Case::new();
    for (name, net) in [("a", 50), ("b", 51), ("c", 52)] {
        let ours = "network create -d fairlead --ipam-driver fairlead";
        case.docker(&format!("{ours} --subnet 10.{net}.0.0/24 {name}"));
    }
    case.run(
        "peer",
        "--network b --network-alias db --network-alias store",
    );
    case.run("one", "--network a --link-local-ip 169.254.7.7");
    let shown = case.docker("exec one ip addr show eth0");
    assert!(shown.contains("169.254.7.7"), "{shown}");
    case.docker("network connect --alias web b one");
    case.docker("network connect --ip 10.52.0.9 c one");
    assert_eq!(case.address("one", "c"), "10.52.0.9");
    for name in ["db", "store", "peer"] {
        case.docker(&format!("exec one ping -c 1 -w 5 {name}"));
    }
    case.docker("exec peer ping -c 1 -w 5 web");
    // One way out, whichever network has it.
    case.docker("exec one ping -c 1 -w 5 198.51.100.2");
    let routes = case.docker("exec one ip route");
    assert_eq!(routes.matches("default").count(), 1, "{routes}");
    case.docker("network disconnect a one");
    case.docker("exec one ping -c 1 -w 5 db");
    case.docker("exec one ping -c 1 -w 5 198.51.100.2");
    case.docker("network disconnect b one");
    case.docker("network disconnect c one");
    let links = case.docker("exec one ip -o link");
    assert_eq!(links.lines().count(), 1, "{links}");
    let taken = case.node.sh("fairlead ip ls -o json").json();
    assert_eq!(taken.as_array().unwrap().len(), 1, "the peer's: {taken}");
    case.docker("network connect a one");
    case.docker("exec one ping -c 1 -w 5 198.51.100.2");
}

#[test]
fn a_port_is_published_by_the_registry_of_every_port_and_refused_when_it_is_taken() {
    let case = Case::new();
    case.docker("network create -d fairlead --ipam-driver fairlead --subnet 10.53.0.0/24 net");
    case.docker("network create -d fairlead --ipam-driver fairlead --subnet 10.54.0.0/24 other");
    let serve = "sh -c 'mkdir /www; hostname >/www/index.html; httpd -f -p 80 -h /www'";
    case.docker(&format!(
        "run -d --name web --stop-signal KILL -h web --network net -p 8080:80 -p 127.0.0.1:8081:80/tcp -p 5353:53/udp busybox {serve}"
    ));
    let fetch = |url: &str| case.node.sh(&format!("curl -sS -m 5 {url}"));
    assert_eq!(fetch("http://198.51.100.1:8080/").stdout, "web\n");
    assert_eq!(fetch("http://127.0.0.1:8081/").stdout, "web\n");
    let outside = case.node.outside();
    assert_eq!(
        outside.run("curl -sS -m 5 http://198.51.100.1:8080/"),
        "web\n"
    );
    let shown = case.inspect("web", "net");
    eprintln!("{shown} {}", case.docker("ps --format '{{.Ports}}'"));
    case.refused(
        "run --rm --network net -p 8080:80 busybox true",
        &["8080/tcp", "has it"],
    );
    let _listener = Listener::at(&case, 7070);
    fairlead_tests::eventually(fairlead_tests::patience(), || {
        let listening = case.node.sh("ss -ltn").stdout;
        listening.contains(":7070").then_some(()).ok_or(listening)
    });
    case.refused(
        "run --rm --network net -p 7070:80 busybox true",
        &["7070/tcp", "listens"],
    );
    // Ports that nobody named are different ones.
    case.run("any1", "--network net -p 80");
    case.run("any2", "--network net -p 80 -p 9000-9010:90");
    // A container on two networks has each port once, by its way out.
    case.docker(
        "create --name both --stop-signal KILL --network net -p 8090:80 busybox sleep 100000",
    );
    case.docker("network connect other both");
    case.docker("start both");
    let status = case.node.sh("fairlead net status --verbose -o json").stdout;
    eprintln!("{status}");
    case.docker("rm -f web any1 any2 both");
    let maps = case.node.nft_json().to_string();
    assert!(!maps.contains("8080") && !maps.contains("8090"), "{maps}");
    case.docker("run --rm --network net -p 8080:80 busybox true");
}

#[test]
fn a_subnet_that_stands_for_a_declared_network_is_given_once() {
    let case = Case::new();
    case.node
        .networks(&["back=10.30.0.0/24", "front=10.31.0.0/24"]);
    let ours = "network create -d fairlead --ipam-driver fairlead";
    case.docker(&format!("{ours} -o network=back a"));
    case.docker(&format!("{ours} -o network=front b"));
    case.docker(&format!("{ours} c"));
    let subnets: std::collections::BTreeSet<String> = ["a", "b", "c"]
        .iter()
        .map(|name| {
            let shown = case.json(&format!("network inspect {name}"));
            shown[0]["IPAM"]["Config"][0]["Subnet"].to_string()
        })
        .collect();
    assert_eq!(subnets.len(), 3, "{subnets:?}");
    for (name, begins) in [("a", "10.30.0."), ("b", "10.31.0."), ("c", "10.19")] {
        case.run(&format!("on-{name}"), &format!("--network {name}"));
        let address = case.address(&format!("on-{name}"), name);
        assert!(address.starts_with(begins), "{name}: {address}");
    }
}
