//! From create to rm: a container with an address, a name and a port, with each engine.

use super::case::{Case, Kind};
use fairlead_tests::Place;
use serde_json::Value;

fn a_container_has_an_address_a_name_and_a_port(kind: Kind) {
    let case = Case::new(kind);
    let before = case.node.world();
    case.create("web", &case.web("web", 8001));
    let told = case.start("web");
    for word in [
        "container#0: ",
        " started, process",
        "ip#0: 10.30.0.3 of back on eth0",
    ] {
        assert!(told.contains(word), "{told}");
    }
    assert_eq!(case.start("web"), "nothing to do\n");
    assert_eq!(
        case.node.sh("om shop/svc/web start").done(),
        "nothing to do\n"
    );
    let inside = case.inside("web", 0);
    assert_eq!(inside.link_names(), ["eth0", "lo"]);
    assert_eq!(inside.addresses("eth0"), ["10.30.0.3/24"]);
    let found = case.found("web", 0);
    if kind != Kind::Lxc {
        assert_eq!(found["HostConfig"]["NetworkMode"], "none", "{found}");
    }
    let hostname = inside.script("hostname").expect("a host name");
    let hostname = hostname.trim();
    assert_eq!(case.serves(8001), hostname);
    let page = case.node.run("curl -sS --max-time 5 http://10.30.0.3/");
    assert_eq!(page.trim(), hostname);
    is_in_dns(&case, hostname);
    is_told(&case.status("web"), hostname);
    case.stop("web");
    assert_eq!(
        case.node.sh("fairlead svc stop shop/svc/web").done(),
        "nothing to do\n"
    );
    assert_eq!(case.find_pid("web", 0), None);
    case.answers("web.shop.svc.clu", "");
    case.answers("-x 10.30.0.3", "");
    assert_eq!(case.status("web")["avail"], "down");
    // Another start has what is made already, and another address.
    case.start("web");
    assert_eq!(case.inside("web", 0).link_names(), ["eth0", "lo"]);
    assert_eq!(case.serves(8001), hostname);
    case.stop("web");
    case.node.sh("fairlead svc rm shop/svc/web").done();
    assert_eq!(case.all(), [""; 0]);
    case.node.sh("rm /run/web.conf").silent();
    case.forget_runs();
    case.node.is_as_before(&before, "from create to rm");
}

fn is_in_dns(case: &Case, hostname: &str) {
    let under = |base: &str| format!("{hostname}.web.shop.svc.{base}").to_lowercase();
    case.answers("web.shop.svc.clu", "10.30.0.3");
    case.answers("web.shop.svc.node.node.clu", "10.30.0.3");
    case.answers(&under("clu"), "10.30.0.3");
    case.answers(&under("node.node.clu"), "10.30.0.3");
    case.answers("10-30-0-3.web.shop.svc.clu", "10.30.0.3");
    let target = "0 10 80 10-30-0-3.web.shop.svc.clu.";
    case.answers("SRV _http._tcp.web.shop.svc.clu", target);
    case.answers("SRV _80._tcp.web.shop.svc.clu", target);
    let pointers = format!("{}.\n{}.", under("clu"), under("node.node.clu"));
    case.answers("-x 10.30.0.3", &pointers);
}

fn is_told(status: &Value, hostname: &str) {
    assert_eq!(status["avail"], "up", "{status}");
    assert_eq!(status["started"], true, "{status}");
    let ip = &status["resources"][1];
    assert_eq!(ip["status"], "up", "{status}");
    assert_eq!(ip["label"], "cni back 10.30.0.3 eth0 80/tcp:8001");
    assert_eq!(ip["info"]["ipaddr"][0], "10.30.0.3");
    assert_eq!(ip["info"]["ipdev"], "eth0");
    assert_eq!(ip["info"]["hostname"], hostname);
    let expose = &ip["info"]["expose"][0];
    assert_eq!(expose["port"], 80, "{status}");
    assert_eq!(expose["host_port"], 8001, "{status}");
}

#[test]
fn with_docker() {
    a_container_has_an_address_a_name_and_a_port(Kind::Docker);
}

#[test]
fn with_podman() {
    a_container_has_an_address_a_name_and_a_port(Kind::Podman);
}

#[test]
fn with_lxc() {
    a_container_has_an_address_a_name_and_a_port(Kind::Lxc);
}
