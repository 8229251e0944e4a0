//! Addresses, subnets and gateways: what is given, and what is refused with the right one.

use crate::case::{CREATE, Case, SETTINGS, seed, text};
use fairlead_tests::{Docker, DockerPlan, eventually, patience};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The same network with Docker's own addresses (document 002).
pub(crate) const CREATE_FIRST: &str = r#"network create --driver=nuage -o organization=Enterprise -o domain=Domain -o zone=Zone -o subnet="Subnet 2" -o user=admin --subnet=10.21.59.0/24  MyNet"#;

/// Document 004's command for another subnet, without `--subnet` and `--gateway`.
pub(crate) fn create(domain: &str, zone: &str, subnet: &str, rest: &str) -> String {
    format!(
        "network create --driver=nuage --ipam-driver=nuage-ipam --ipam-opt organization=Enterprise \
         --ipam-opt domain={domain} --ipam-opt zone={zone} --ipam-opt subnet=\"{subnet}\" \
         --ipam-opt user=admin {rest}"
    )
}

/// The controller's container of that name.
#[track_caller]
pub(crate) fn known(case: &Case, name: &str) -> Value {
    let all = case.vsd.state("containers");
    let own = all.iter().find(|container| container["name"] == name);
    own.unwrap_or_else(|| panic!("{name}: {all:?}")).clone()
}

/// Addresses, each given and refused; `create` makes `MyNet`.
#[track_caller]
fn addresses_by(plan: DockerPlan, create: &str) {
    let case = Case::with(plan, SETTINGS, &seed());
    case.docker(create);
    case.run("one", "--net MyNet --ip 10.21.59.77");
    assert_eq!(case.address("one"), "10.21.59.77");
    case.run("two", "--net MyNet --mac-address 02:42:00:00:00:07");
    assert_eq!(
        case.place("two", "MyNet")["MacAddress"],
        "02:42:00:00:00:07"
    );
    case.run(
        "three",
        "--net MyNet --ip 10.21.59.78 --mac-address 7a:42:01:02:03:04",
    );
    case.is_up(3);
    let interface = &known(&case, "two")["interfaces"][0];
    assert_eq!(
        interface["MAC"].as_str().unwrap().to_lowercase(),
        "02:42:00:00:00:07"
    );
    let link = case.docker("exec three ip addr show eth0");
    assert!(
        link.contains("7a:42:01:02:03:04") && link.contains("10.21.59.78/24"),
        "{link}"
    );
    let run = "run -d --name bad --net MyNet";
    let end = "busybox sleep 100000";
    case.refused(&format!("{run} --ip 10.21.59.77 {end}"), &[""]);
    case.docker("rm -f bad");
    case.refused(&format!("{run} --ip 10.99.0.1 {end}"), &["10.99.0.1"]);
    case.docker("rm -f bad");
    case.refused(&format!("{run} --ip 10.21.59.1 {end}"), &[""]);
    case.docker("rm -f bad");
    let ran = case.docker.cli(
        &case.node,
        &format!("{run} --mac-address 01:00:5e:00:00:01 {end}"),
    );
    assert!(!matches!(ran.status, Some(0) | None), "{ran:?}");
    case.docker("rm -f bad");
    // Nothing is left of those.
    case.is_up(3);
    eventually(patience(), || match case.leases().len() {
        3 => Ok(()),
        _ => Err(case.leases()),
    });
    case.docker("rm -f one two three");
    case.is_empty();
    // What was given back is there to be had.
    case.run(
        "four",
        "--net MyNet --ip 10.21.59.77 --mac-address 02:42:00:00:00:07",
    );
    case.is_up(1);
    case.docker("rm -f four");
    case.is_empty();
    case.docker("network rm MyNet");
}

#[test]
fn addresses_that_are_asked_for_are_given_or_refused() {
    addresses_by(Docker::plan(), CREATE);
}

#[test]
fn addresses_that_docker_gives_are_told_the_controller() {
    addresses_by(Docker::plan(), CREATE_FIRST);
}

#[test]
fn a_refusal_of_an_address_names_it_and_the_cause() {
    let case = Case::new();
    case.create();
    case.run("one", "--net MyNet --ip 10.21.59.77");
    let run = |address: &str| format!("run -d --name bad --net MyNet --ip {address} busybox true");
    case.refused(&run("10.21.59.77"), &["10.21.59.77", "in use"]);
    case.docker("rm -f bad");
    case.refused(&run("10.21.59.1"), &["10.21.59.1"]);
    case.docker("rm -f bad");
    case.refused(&run("10.21.59.255"), &["10.21.59.255"]);
    case.docker("rm -f bad");
    case.docker("rm -f one");
    case.is_empty();
    // Somebody else has it at the controller, whom Docker knows nothing of.
    let subnets = case.vsd.state("subnets");
    let subnet = subnets
        .iter()
        .find(|s| s["address"] == "10.21.59.0")
        .unwrap();
    let body = json!({"UUID": "vm", "name": "vm", "interfaces": [
        {"MAC": "02:00:00:00:00:01", "IPAddress": "10.21.59.88", "attachedNetworkID": subnet["ID"]}]});
    let login = "curl -sS --cacert /run/vsd/ca.pem -H 'X-Nuage-Organization: csp' -H 'Content-Type: application/json'";
    let base = "https://127.0.0.1:8443/nuage/api/v6";
    let me = case
        .node
        .sh(&format!("{login} -u csproot:csproot {base}/me"))
        .json();
    let key = text(&me[0]["APIKey"]);
    case.node
        .sh(&format!(
            "{login} -f -u csproot:{key} -d '{body}' {base}/containers"
        ))
        .done();
    case.refused(&run("10.21.59.88"), &["10.21.59.88", "in use"]);
    case.docker("rm -f bad");
    assert_eq!(case.leases(), Vec::<Value>::new());
    assert_eq!(
        case.vsd.state("containers").len(),
        1,
        "the other's is not touched"
    );
}

#[test]
fn auxiliary_addresses_are_kept_from_containers_and_freed_with_the_network() {
    let case = Case::new();
    case.docker(&CREATE.replace(
        "MyNet",
        "--aux-address a=10.21.59.2 --aux-address b=10.21.59.9 MyNet",
    ));
    let kept: BTreeSet<String> = case
        .vsd
        .state("ipreservations")
        .iter()
        .map(|one| text(&one["IPAddress"]))
        .collect();
    let wanted = ["10.21.59.2", "10.21.59.9"].map(str::to_owned);
    assert_eq!(kept, BTreeSet::from(wanted.clone()));
    let shown = case.json("network inspect MyNet")[0]["IPAM"]["Config"][0].clone();
    assert_eq!(
        shown["AuxiliaryAddresses"],
        json!({"a": "10.21.59.2", "b": "10.21.59.9"})
    );
    case.run("one", "--net MyNet");
    case.is_up(1);
    assert!(!wanted.contains(&case.address("one")));
    case.refused(
        "run -d --name bad --net MyNet --ip 10.21.59.9 busybox true",
        &["10.21.59.9"],
    );
    case.docker("rm -f one bad");
    case.is_up(0);
    case.docker("network rm MyNet");
    eventually(patience(), || match case.vsd.state("ipreservations") {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    });
    case.is_empty();
    // One that is none keeps nothing, and the network is not made.
    case.docker(CREATE);
    case.run("one", "--net MyNet --ip 10.21.59.9");
    case.is_up(1);
    case.docker("rm -f one");
    case.docker("network rm MyNet");
    case.refused(
        &CREATE.replace("MyNet", "--aux-address a=10.99.0.9 MyNet"),
        &["10.99.0.9"],
    );
    case.is_empty();
    assert_eq!(case.vsd.state("ipreservations"), Vec::<Value>::new());
}

#[test]
fn subnet_and_gateway_are_the_controllers_or_refused_with_the_right_ones() {
    let case = Case::new();
    let bare = create("Domain", "Zone", "Subnet 2", "");
    let with = |rest: &str| format!("{bare} {rest} MyNet");
    case.refused(
        &with("--subnet=10.21.58.0/24"),
        &["10.21.59.0/24", "10.21.58.0/24"],
    );
    case.refused(&with("--subnet=10.21.59.0/25"), &["--subnet 10.21.59.0/24"]);
    case.refused(
        &with("--subnet=10.21.59.0/24 --gateway=10.21.59.254"),
        &["--gateway 10.21.59.1"],
    );
    case.refused(
        &with("--subnet=10.21.59.0/24 --ip-range=10.21.59.128/25"),
        &["--ip-range", "10.21.59.128/25", "leave it out"],
    );
    case.refused(
        &with("--ipv6 --subnet=10.21.59.0/24 --subnet=fd00:1::/64"),
        &["version 6"],
    );
    let first = |rest: &str| CREATE_FIRST.replace("MyNet", rest);
    case.refused(
        &first("MyNet").replace("10.21.59.0/24", "10.21.58.0/24"),
        &["--subnet 10.21.59.0/24"],
    );
    case.refused(
        &first("--gateway=10.21.59.254 MyNet"),
        &["--gateway 10.21.59.1"],
    );
    case.refused(
        &first("MyNet").replace("--subnet=10.21.59.0/24", ""),
        &["--subnet 10.21.59.0/24"],
    );
    assert!(!case.docker("network ls").contains("MyNet"));
    case.is_empty();
}

#[test]
fn subnet_and_gateway_come_from_the_controller_where_they_are_not_given() {
    let case = Case::new();
    let with = |rest: &str| create("Domain", "Zone", "Subnet 2", &format!("{rest} MyNet"));
    // What the controller has, Docker shows and the container gets.
    for line in [with(""), with("--subnet=10.21.59.0/24"), CREATE.to_owned()] {
        case.docker(&line);
        let shown = case.json("network inspect MyNet")[0].clone();
        assert_eq!(
            shown["IPAM"]["Config"][0]["Subnet"], "10.21.59.0/24",
            "{line}"
        );
        case.run("one", "--net MyNet");
        case.is_up(1);
        let route = case.docker("exec one ip route");
        assert!(
            route.contains("default via 10.21.59.1 dev eth0"),
            "{line}: {route}"
        );
        case.docker("rm -f one");
        case.is_up(0);
        case.docker("network rm MyNet");
    }
    // The document's advice for Docker's own addresses is a part of the subnet.
    let part = "--ip-range=10.21.59.128/25 --gateway=10.21.59.1 MyNet";
    case.docker(&CREATE_FIRST.replace("MyNet", part));
    case.run("one", "--net MyNet");
    case.is_up(1);
    let last: u8 = case
        .address("one")
        .rsplit('.')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(last >= 128, "{last}");
    case.docker("rm -f one");
    case.docker("network rm MyNet");
    case.is_empty();
}

#[test]
fn one_subnet_is_one_network_and_the_same_range_elsewhere_is_another() {
    let case = Case::new();
    case.create();
    let overlap = "Network options and subnet overlap with existing network";
    case.refused(&CREATE.replace("MyNet", "Second"), &[overlap, "MyNet"]);
    case.refused(&create("Domain", "Zone", "Subnet 2", "Second"), &[overlap]);
    case.docker(&create(
        "Twin",
        "Zone",
        "Subnet 2",
        "--subnet=10.21.59.0/24 Twin",
    ));
    case.run("one", "--net MyNet --ip 10.21.59.50");
    case.run("two", "--net Twin --ip 10.21.59.50");
    case.is_up(2);
    for (name, domain) in [("one", "Domain"), ("two", "Twin")] {
        let interface = &known(&case, name)["interfaces"][0];
        assert_eq!(interface["domainName"], domain);
        assert_eq!(interface["IPAddress"], "10.21.59.50");
    }
    case.docker("rm -f one");
    case.is_up(1);
    assert_eq!(known(&case, "two")["interfaces"][0]["domainName"], "Twin");
    case.run("one", "--net MyNet --ip 10.21.59.50");
    case.is_up(2);
    case.docker("rm -f two");
    case.is_up(1);
    assert_eq!(known(&case, "one")["interfaces"][0]["domainName"], "Domain");
    case.docker("rm -f one");
    case.docker("network rm MyNet Twin");
    case.is_empty();
    // It is free again, for a network of another name.
    case.docker(&CREATE.replace("MyNet", "Second"));
    case.docker("network rm Second");
}

#[test]
fn a_newer_engine_is_given_the_same_addresses() {
    addresses_by(Docker::plan().newer(), CREATE);
    addresses_by(Docker::plan().newer(), CREATE_FIRST);
}

#[test]
fn nothing_leads_out_of_an_internal_network() {
    let case = Case::new();
    for create in [CREATE, CREATE_FIRST] {
        case.docker(&create.replace("MyNet", "--internal MyNet"));
        case.run("one", "--net MyNet");
        case.is_up(1);
        let routes = case.docker("exec one ip route");
        assert!(!routes.contains("default"), "{routes}");
        assert!(routes.contains("10.21.59.0/24 dev eth0"), "{routes}");
        case.docker("rm -f one");
        case.is_empty();
        case.docker("network rm MyNet");
    }
}

#[test]
fn networks_of_one_range_that_are_made_at_once_are_told_apart_from_the_start() {
    let case = Case::new();
    let names = ["MyNet", "Twin"];
    let lines = [("Domain", "MyNet"), ("Twin", "Twin")].map(|(domain, name)| {
        let rest = format!("--subnet=10.21.59.0/24 --aux-address a=10.21.59.9 {name}");
        create(domain, "Zone", "Subnet 2", &rest)
    });
    for _ in 0..3 {
        case.docker.at_once(&case.node, &lines);
        assert_eq!(case.vsd.state("ipreservations").len(), 2);
        let starts = names.map(|name| {
            format!("run -d --name on-{name} --stop-signal KILL --net {name} --ip 10.21.59.50 busybox sleep 100000")
        });
        case.docker.at_once(&case.node, &starts);
        case.is_up(2);
        for (name, domain) in [("on-MyNet", "Domain"), ("on-Twin", "Twin")] {
            let interface = &known(&case, name)["interfaces"][0];
            assert_eq!(interface["domainName"], domain);
        }
        case.docker("rm -f on-MyNet on-Twin");
        case.docker("network rm MyNet Twin");
        case.is_empty();
    }
}
