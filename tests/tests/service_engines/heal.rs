//! Containers that end, and that come back, without anybody asking the product.

use super::case::{Case, Kind};
use fairlead_tests::{Docker, Place, eventually, patience};

/// Waits until the container runs as another process than `before`, with its address.
#[track_caller]
fn is_back(case: &Case, before: u64, address: &str) -> u64 {
    let pid = eventually(patience(), || {
        let pid = case.find_pid("web", 0).filter(|pid| *pid != before);
        let pid = pid.ok_or_else(|| "no new process".to_owned())?;
        let line = format!("nsenter --target {pid} --net -- ip -br address show dev eth0");
        let shown = case.node.try_run(&line);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        match shown.contains(&format!("{address}/24")) {
            true => Ok(pid),
            false => Err(shown),
        }
    });
    case.serves(8001);
    case.answers("web.shop.svc.clu", address);
    // What shares its namespace is started again after it.
    eventually(patience(), || {
        let status = case.status("web");
        match status["avail"] == "up" {
            true => Ok(()),
            false => Err(status.to_string()),
        }
    });
    pid
}

/// Waits until nothing of its address is left.
#[track_caller]
fn is_forgotten(case: &Case, avail: &str) {
    case.answers("web.shop.svc.clu", "");
    eventually(patience(), || {
        let listed = case.node.sh("fairlead ls -o json").done();
        if listed.trim() == "[]" {
            Ok(())
        } else {
            Err(listed)
        }
    });
    assert!(!case.node.run("nft list ruleset").contains("8001"));
    let status = case.status("web");
    assert_eq!(status["avail"], avail, "{status}");
    assert_eq!(status["started"], true, "{status}");
}

/// Starts a service whose container its engine starts again.
fn started_again_by_its_engine(kind: Kind) -> (Case, u64) {
    let case = Case::new(kind);
    let web = case.web("web", 8001);
    let web = web.replace("[ip#0]", "restart = always\nhostname = box\n[ip#0]");
    case.create("web", &web);
    case.start("web");
    let pid = case.inside("web", 0).pid;
    assert_eq!(case.serves(8001), "box");
    (case, pid)
}

#[test]
fn a_container_of_docker_that_restarts_by_itself_has_its_address_again() {
    let (mut case, pid) = started_again_by_its_engine(Kind::Docker);
    // Another takes the next address meanwhile, so the same one comes by no chance.
    let _other = case.node.sandbox("other");
    case.node
        .sh("fairlead attach back --netns /run/netns/other")
        .done();
    case.kill(pid);
    let pid = is_back(&case, pid, "10.30.0.3");
    case.kill(pid);
    let pid = is_back(&case, pid, "10.30.0.3");
    // The daemon of the engine dies, and comes back with its containers.
    let docker = case.docker.as_mut().expect("a daemon");
    docker.daemon.kill();
    docker.start_again(&case.node);
    let pid = is_back(&case, pid, "10.30.0.3");
    // What happened while nobody looked is made good later.
    case.end_agent();
    case.kill(pid);
    eventually(patience(), || {
        let new = case.find_pid("web", 0).filter(|new| *new != pid);
        new.ok_or("no new process")
    });
    case.start_agent();
    is_back(&case, pid, "10.30.0.3");
    case.stop("web");
    case.answers("web.shop.svc.clu", "");
    assert_eq!(case.find_pid("web", 0), None);
}

#[test]
fn a_container_of_podman_that_restarts_by_itself_has_its_address_again() {
    let (case, pid) = started_again_by_its_engine(Kind::Podman);
    case.kill(pid);
    is_back(&case, pid, "10.30.0.3");
    case.stop("web");
    assert_eq!(case.find_pid("web", 0), None);
}

/// One of two containers dies and stays dead; a start makes it whole.
fn a_container_that_dies_loses_name_and_address(kind: Kind) {
    let case = Case::new(kind);
    let other = case.runs("web", 1, "trap 'exit 0' TERM USR1; sleep 100000 & wait");
    case.create("web", &(case.web("web", 8001) + &other));
    case.start("web");
    case.answers("web.shop.svc.clu", "10.30.0.3");
    case.kill(case.inside("web", 0).pid);
    is_forgotten(&case, "warn");
    case.start("web");
    case.serves(8001);
    assert_eq!(case.status("web")["avail"], "up");
    // The name comes a moment after the address, whichever that is.
    let status = case.status("web");
    let address = status["resources"].as_array().and_then(|all| all.last());
    let address = address.map(|ip| ip["info"]["ipaddr"][0].clone());
    let address = address.unwrap_or_default();
    case.answers("web.shop.svc.clu", address.as_str().unwrap_or_default());
    case.kill(case.inside("web", 0).pid);
    case.kill(case.inside("web", 1).pid);
    is_forgotten(&case, "down");
    case.stop("web");
    assert_eq!(case.status("web")["started"], false);
}

#[test]
fn a_container_of_docker_that_dies_loses_name_and_address() {
    a_container_that_dies_loses_name_and_address(Kind::Docker);
}

#[test]
fn a_container_of_podman_that_dies_loses_name_and_address() {
    a_container_that_dies_loses_name_and_address(Kind::Podman);
}

#[test]
fn a_container_of_lxc_that_dies_loses_name_and_address() {
    a_container_that_dies_loses_name_and_address(Kind::Lxc);
}

/// The file may say nothing of an address any more, or nothing at all.
#[test]
fn a_container_that_dies_loses_its_address_whatever_its_file_says() {
    let case = Case::new(Kind::Docker);
    let file = "/run/fairlead-root/etc/fairlead/namespaces/shop/svc/web.conf";
    case.create("web", &case.web("web", 8001));
    let good = case.node.read(file);
    for bad in [
        &good[..good.find("[ip#0]").expect("a section")],
        "nonsense\n",
    ] {
        case.start("web");
        case.answers("web.shop.svc.clu", "10.30.0.3");
        case.node.write(file, bad);
        let pid = case.inside("web", 0).pid;
        case.kill(pid);
        case.answers("web.shop.svc.clu", "");
        case.node.write(file, &good);
        is_forgotten(&case, "down");
    }
    case.stop("web");
}

/// What shares the namespace of a container holds that one when the container goes: what is
/// left in there is no second owner of the address, and follows into the new one.
#[test]
fn a_container_that_restarts_takes_its_guest_along() {
    let case = Case::new(Kind::Docker);
    let web = case.web("web", 8001);
    let web = web.replace("[ip#0]", "restart = always\nhostname = box\n[ip#0]");
    let guest = case.runs("web", 1, "trap 'exit 0' TERM; sleep 100000 & wait");
    case.create("web", &format!("{web}{guest}netns = container#0\n"));
    case.start("web");
    let cables = || {
        let all = case.node.ip_json("link show type veth");
        let all = all.as_array().cloned().unwrap_or_default();
        let plugged = all.iter().filter(|link| link["master"].is_string());
        plugged.count()
    };
    assert_eq!(cables(), 1);
    let pid = case.inside("web", 0).pid;
    case.kill(pid);
    is_back(&case, pid, "10.30.0.3");
    assert_eq!(cables(), 1);
    eventually(patience(), || {
        let pid = case
            .find_pid("web", 1)
            .ok_or_else(|| "no guest".to_owned())?;
        let line = format!("nsenter --target {pid} --net -- ip -br address show dev eth0");
        let shown = case.node.try_run(&line);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        match shown.contains("10.30.0.3/24") {
            true => Ok(()),
            false => Err(shown),
        }
    });
    assert_eq!(cables(), 1);
    case.stop("web");
    assert_eq!(cables(), 0);
}

#[test]
fn a_container_that_is_stopped_and_started_by_hand_has_its_address_again() {
    let case = Case::new(Kind::Docker);
    case.create("web", &case.web("web", 8001));
    case.start("web");
    let pid = case.inside("web", 0).pid;
    by_hand(&case, "POST", "/stop");
    is_forgotten(&case, "down");
    by_hand(&case, "POST", "/start");
    is_back(&case, pid, "10.30.0.3");
    let pid = case.inside("web", 0).pid;
    by_hand(&case, "POST", "/restart");
    is_back(&case, pid, "10.30.0.3");
    case.stop("web");
}

/// Asks the engine for something about the container of `web`, as a person does.
fn by_hand(case: &Case, method: &str, what: &str) {
    let socket = Docker::SOCKET;
    let path = format!("http://engine/containers/shop..web.container.0{what}");
    let line = format!("curl -sS --fail -X {method} --unix-socket {socket} {path}");
    case.node.run(&line);
}

#[test]
fn a_container_that_is_removed_by_hand_is_made_anew_by_a_start() {
    let case = Case::new(Kind::Docker);
    case.create("web", &case.web("web", 8001));
    case.start("web");
    let id = case.found("web", 0)["Id"].clone();
    by_hand(&case, "DELETE", "?force=true");
    is_forgotten(&case, "down");
    let told = case.start("web");
    assert!(
        told.contains("container#0: docker shop..web.container.0 started"),
        "{told}"
    );
    assert_ne!(case.found("web", 0)["Id"], id);
    case.serves(8001);
    // The same, and a stop finds nothing to do.
    by_hand(&case, "DELETE", "?force=true");
    is_forgotten(&case, "down");
    case.stop("web");
    assert_eq!(case.status("web")["started"], false);
    case.node.sh("fairlead svc rm shop/svc/web").done();
    assert_eq!(case.all(), [""; 0]);
}
