//! What a service may have beside one container with one address.

use super::case::{Case, Kind};
use fairlead_tests::{Place, eventually, patience};

/// Two networks, a container that shares the namespace, a program beside them in the
/// service's own.
fn a_service_has_two_networks_and_two_containers(kind: Kind) {
    let case = Case::new(kind);
    let first = case.container("web", 0) + "hostname = box1\n";
    let second = case.runs("web", 1, "trap 'exit 0' TERM; sleep 100000 & wait");
    let ips = "[ip#0]\nnetns = container#0\nnetwork = back\nexpose = 80:8001/tcp\n\
        dns_name_suffix = -x\n[ip#1]\ncontainer_rid = container#0\nnetwork = front\n";
    case.create("web", &format!("{second}netns = container#0\n{first}{ips}"));
    case.start("web");
    let inside = case.inside("web", 0);
    assert_eq!(inside.link_names(), ["eth0", "eth1", "lo"]);
    assert_eq!(inside.addresses("eth0"), ["10.30.0.3/24"]);
    assert_eq!(inside.addresses("eth1"), ["10.31.0.3/24"]);
    let namespace = |number| {
        let pid = case.inside("web", number).pid;
        case.node.run(&format!("readlink /proc/{pid}/ns/net"))
    };
    assert_eq!(namespace(0), namespace(1));
    assert_ne!(case.inside("web", 0).pid, case.inside("web", 1).pid);
    case.answers("web.shop.svc.clu", "10.30.0.3\n10.31.0.3");
    case.answers("box1-x.web.shop.svc.clu", "10.30.0.3");
    case.answers("box1.web.shop.svc.clu", "10.31.0.3");
    assert_eq!(case.serves(8001), "box1");
    // One of the two networks goes, and stays away while the agent puts the other one back.
    case.node
        .sh("fairlead svc stop shop/svc/web --rid ip#0")
        .done();
    case.node
        .sh("fairlead detach front --object shop/svc/web")
        .done();
    // It gets the first name of an interface that is free.
    eventually(patience(), || match inside.link_names() {
        names if names == ["eth0", "lo"] => Ok(()),
        names => Err(names),
    });
    assert_eq!(inside.addresses("eth0"), ["10.31.0.3/24"]);
    case.answers("web.shop.svc.clu", "10.31.0.3");
    assert_eq!(case.status("web")["avail"], "warn");
    case.start("web");
    assert_eq!(inside.link_names(), ["eth0", "eth1", "lo"]);
    case.answers("web.shop.svc.clu", "10.30.0.3\n10.31.0.3");
    // A restart of the container takes all with it that is in its namespace.
    case.node
        .sh("fairlead svc restart shop/svc/web --rid container#0")
        .done();
    assert_eq!(namespace(0), namespace(1));
    let inside = case.inside("web", 1);
    assert_eq!(inside.addresses("eth0"), ["10.30.0.3/24"]);
    assert_eq!(inside.addresses("eth1"), ["10.31.0.3/24"]);
    case.stop("web");
    case.node.sh("fairlead svc rm shop/svc/web").done();
    assert_eq!(case.all(), [""; 0]);
    assert_eq!(case.node.sh("fairlead ls -o json").done().trim(), "[]");
}

#[test]
fn two_networks_and_two_containers_with_docker() {
    a_service_has_two_networks_and_two_containers(Kind::Docker);
}

#[test]
fn two_networks_and_two_containers_with_podman() {
    a_service_has_two_networks_and_two_containers(Kind::Podman);
}

#[test]
fn interfaces_have_the_names_that_are_asked_for_and_a_program_stands_beside() {
    let case = Case::new(Kind::Docker);
    let first = case.container("web", 0);
    let process = "[container#1]\ntype = process\ncommand = sleep 100000\n";
    let ips = "[ip#0]\nnetns = container#0\nnetwork = back\nnsdev = data7\n\
        ipaddr = 10.30.0.77\n[ip#1]\nnetwork = front\n";
    case.create("web", &format!("{process}{first}{ips}"));
    case.start("web");
    assert_eq!(case.inside("web", 0).link_names(), ["data7", "lo"]);
    assert_eq!(case.inside("web", 0).addresses("data7"), ["10.30.0.77/24"]);
    assert_eq!(
        case.node.existing("shop.svc.web").addresses("eth0"),
        ["10.31.0.3/24"]
    );
    case.answers("web.shop.svc.clu", "10.30.0.77\n10.31.0.3");
    // Without a host name of its own the address is known by the index of its resource.
    case.answers("1.web.shop.svc.clu", "10.31.0.3");
    // What the declaration says now is what the next start makes.
    let set = "fairlead svc set shop/svc/web --kw ip#0.nsdev=data8 --kw container#0.hostname=new";
    case.node.sh(set).silent();
    let told = case.start("web");
    assert!(told.contains("a restart makes it anew"), "{told}");
    assert_eq!(case.inside("web", 0).link_names(), ["data8", "lo"]);
    let set = "fairlead svc set shop/svc/web --kw ip#0.ipaddr=10.30.0.78 \
        --kw ip#0.dns_name_suffix=-y --kw DEFAULT.app=sales";
    case.node.sh(set).silent();
    case.start("web");
    let inside = case.inside("web", 0);
    assert_eq!(inside.addresses("data8"), ["10.30.0.78/24"]);
    let hostname = inside.script("hostname").expect("a host name");
    let name = format!("{}-y.web.shop.svc.clu", hostname.trim());
    case.answers(&name, "10.30.0.78");
    case.answers("web.sales.svc.clu", "10.30.0.78\n10.31.0.3");
    case.node.sh("fairlead svc restart shop/svc/web").done();
    let page = case
        .node
        .run("curl -sS --retry 20 --retry-connrefused --retry-delay 1 http://10.30.0.78/");
    assert_eq!(page.trim(), "new");
    case.answers("new-y.web.shop.svc.clu", "10.30.0.78");
    case.stop("web");
}

/// Engines switch version 6 off where they have no use for it.
fn a_container_has_addresses_of_both_families(kind: Kind) {
    let case = Case::new(kind);
    case.node.networks(&["dual=10.40.0.0/24 fd00:40::/64"]);
    let text = case
        .web("web", 8001)
        .replace("network = back", "network = dual");
    case.create("web", &text);
    case.start("web");
    let inside = case.inside("web", 0);
    let addresses = inside.addresses("eth0");
    assert_eq!(addresses, ["10.40.0.2/24", "fd00:40::2/64"]);
    case.answers("web.shop.svc.clu", "10.40.0.2");
    case.answers("AAAA web.shop.svc.clu", "fd00:40::2");
    case.serves(8001);
    for address in ["10.40.0.2", "[fd00:40::2]", "[2001:db8::1]:8001"] {
        let place: Box<dyn Fn(&str) -> String> = match address.contains("8001") {
            true => Box::new(|line| case.node.outside().run(line)),
            false => Box::new(|line| case.node.run(line)),
        };
        let page = place(&format!("curl -sS -g --max-time 5 http://{address}/"));
        assert!(!page.trim().is_empty(), "{address}");
    }
    let resolver = inside.script("cat /etc/resolv.conf").expect("resolv.conf");
    for server in ["nameserver 10.40.0.1", "nameserver fd00:40::1"] {
        assert!(resolver.contains(server), "{resolver}");
    }
    case.stop("web");
}

#[test]
fn both_families_with_docker() {
    a_container_has_addresses_of_both_families(Kind::Docker);
}

#[test]
fn both_families_with_podman() {
    a_container_has_addresses_of_both_families(Kind::Podman);
}
