//! Names as programs in a container look them up: by the C library.

use super::case::{Case, Inside, Kind};
use fairlead_tests::{Daemon, Place, eventually, patience};

/// A server for the rest of the world, on the machine outside.
fn world(case: &Case) -> Daemon {
    let mut command = case.node.outside().command("dnsmasq");
    command
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
        ])
        .args(["--no-hosts", "--user=root", "--pid-file=/run/world.pid"])
        .args(["--listen-address=198.51.100.2", "--bind-interfaces"])
        .arg("--address=/www.example.net/192.0.2.80");
    Daemon::start(&command, "dnsmasq", &case.node.path("/run/world.log"))
}

/// Waits until the name leads to the address.
#[track_caller]
fn finds(inside: &Inside<'_>, line: &str, address: &str) {
    eventually(patience(), || {
        let found = inside.script(&format!("getent {line}"))?;
        let first = found.split_whitespace().next().map(str::to_owned);
        if first.as_deref() == Some(address) {
            Ok(())
        } else {
            Err(found)
        }
    });
}

fn names_are_found_inside(kind: Kind) {
    let case = Case::new(kind);
    let _world = world(&case);
    let set = "fairlead cluster set --kw dns.upstreams=198.51.100.2 --kw cluster.dns=10.30.0.1";
    case.node
        .sh(&format!("{set} --kw 'cluster.dns=10.30.0.1 198.51.100.9'"))
        .silent();
    case.create("api", &case.web("api", 8002));
    case.create("web", &case.web("web", 8001));
    case.start("api");
    case.start("web");
    let inside = case.inside("web", 0);
    let resolver = inside.script("cat /etc/resolv.conf").expect("resolv.conf");
    let lines: Vec<&str> = resolver
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .collect();
    let mut sorted = lines.clone();
    // Which of 'search' and 'options' is first is the engine's affair.
    sorted.sort_by_key(|line| !line.starts_with("nameserver"));
    assert_eq!(
        sorted[..2],
        ["nameserver 10.30.0.1", "nameserver 198.51.100.9"],
        "{lines:?}"
    );
    let search = "search web.shop.svc.clu shop.svc.clu svc.clu clu";
    assert!(lines.contains(&search), "{lines:?}");
    assert!(lines.contains(&"options ndots:2 edns0 use-vc"), "{lines:?}");
    assert_eq!(lines.len(), 4, "{lines:?}");
    finds(&inside, "hosts web", "10.30.0.4");
    finds(&inside, "hosts api", "10.30.0.3");
    finds(&inside, "ahosts api.shop", "10.30.0.3");
    finds(&inside, "ahostsv4 api.shop.svc", "10.30.0.3");
    finds(&inside, "hosts api.shop.svc.clu", "10.30.0.3");
    finds(&inside, "hosts www.example.net", "192.0.2.80");
    let name = inside.script("getent hosts 10.30.0.3").expect("a name");
    assert!(
        name.contains(".api.shop.svc.") && name.contains("clu"),
        "{name}"
    );
    let nothing = inside.script("getent hosts nobody.shop.svc.clu");
    assert_eq!(nothing, Err(String::new()));
    // And the name is one that a program can talk to.
    let page = eventually(patience(), || {
        inside.script("wget -q -O - http://10.30.0.3/")
    });
    assert!(!page.trim().is_empty());
    case.stop("web");
    case.stop("api");
}

#[test]
fn in_a_container_of_docker() {
    names_are_found_inside(Kind::Docker);
}

#[test]
fn in_a_container_of_podman() {
    names_are_found_inside(Kind::Podman);
}

#[test]
fn in_a_container_of_lxc() {
    names_are_found_inside(Kind::Lxc);
}
