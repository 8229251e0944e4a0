//! What cannot be started, and that nothing stays of it.

use super::case::{Case, Kind};
use fairlead_tests::{Docker, Podman, eventually, patience};

/// What is asked of the container besides, and what is told.
const FAILING: [(&str, &[&str]); 5] = [
    (
        "container#0.image=127.0.0.1:1/nope:1",
        &["container#0.image", "127.0.0.1:1/nope:1"],
    ),
    (
        "container#0.command=/no/such/program",
        &["container#0", "/no/such/program"],
    ),
    (
        "container#0.command='sh -c \"echo broken; exit 7\"'",
        &["container#0", "7", "broken"],
    ),
    (
        "ip#0.expose=80:8009/tcp",
        &["ip#0.expose", "8009", "holder"],
    ),
    ("ip#0.ipaddr=192.0.2.1", &["ip#0", "192.0.2.1"]),
];

fn what_fails_leaves_nothing_behind(kind: Kind) {
    let case = Case::new(kind);
    let _holder = case.node.sandbox("holder");
    let line = "fairlead attach back --netns /run/netns/holder --publish 8009:80";
    case.node.sh(line).done();
    case.create("web", &case.web("web", 8001));
    let before = case.node.world();
    let file = "/run/fairlead-root/etc/fairlead/namespaces/shop/svc/web.conf";
    let good = case.node.read(file);
    for (keyword, words) in FAILING {
        case.node
            .sh(&format!("fairlead svc set shop/svc/web --kw {keyword}"))
            .silent();
        let mut all = vec!["shop/svc/web"];
        all.extend(words);
        case.node.sh("fairlead svc start shop/svc/web").fails(&all);
        assert_eq!(case.all(), [""; 0], "{keyword}");
        assert_eq!(case.status("web")["avail"], "down", "{keyword}");
        assert_eq!(case.status("web")["started"], false, "{keyword}");
        case.node.write(file, &good);
        case.forget_runs();
        case.node.is_as_before(&before, keyword);
    }
    // What was good is good still.
    case.start("web");
    case.serves(8001);
    case.stop("web");
}

#[test]
fn with_docker() {
    what_fails_leaves_nothing_behind(Kind::Docker);
}

#[test]
fn with_podman() {
    what_fails_leaves_nothing_behind(Kind::Podman);
}

#[test]
fn with_lxc() {
    let case = Case::new(Kind::Lxc);
    let _holder = case.node.sandbox("holder");
    let line = "fairlead attach back --netns /run/netns/holder --publish 8009:80";
    case.node.sh(line).done();
    case.create("web", &case.web("web", 8001));
    let before = case.node.world();
    let file = "/run/fairlead-root/etc/fairlead/namespaces/shop/svc/web.conf";
    let good = case.node.read(file);
    for (keyword, words) in &FAILING[1..] {
        case.node
            .sh(&format!("fairlead svc set shop/svc/web --kw {keyword}"))
            .silent();
        let ran = case.node.sh("fairlead svc start shop/svc/web");
        ran.fails(&["shop/svc/web", words[0]]);
        assert_eq!(case.find_pid("web", 0), None, "{keyword}");
        assert_eq!(case.status("web")["started"], false, "{keyword}");
        case.node.write(file, &good);
        // The container stays, for somebody has made it.
        case.node
            .sh("rm -rf $FAIRLEAD_ROOT/var/lib/fairlead/services")
            .silent();
        case.forget_runs();
        case.node.is_as_before(&before, keyword);
    }
}

#[test]
fn a_container_of_somebody_else_is_left_alone() {
    let case = Case::new(Kind::Docker);
    case.create("web", &case.web("web", 8001));
    let before = case.node.world();
    Docker::run_foreign(&case.node, "shop..web.container.0");
    let own = case.found("web", 0);
    let words = ["shop/svc/web", "container#0.name", "shop..web.container.0"];
    case.node
        .sh("fairlead svc start shop/svc/web")
        .fails(&words);
    let status = case.status("web");
    assert_eq!(status["avail"], "warn", "{status}");
    case.node.sh("fairlead svc stop shop/svc/web").fails(&words);
    assert_eq!(case.found("web", 0)["State"]["Pid"], own["State"]["Pid"]);
    // An address alone pulls the container, which is not to be had.
    case.node
        .sh("fairlead svc start shop/svc/web --rid ip#0")
        .fails(&words);
    case.forget_runs();
    case.node.is_as_before(&before, "a foreign container");
    // With a name of its own there is no quarrel.
    case.node
        .sh("fairlead svc set shop/svc/web --kw container#0.name=mine")
        .silent();
    case.start("web");
    case.serves(8001);
    case.stop("web");
}

#[test]
fn a_second_container_that_fails_stops_the_first() {
    let case = Case::new(Kind::Docker);
    let second = case.runs("web", 1, "exit 3");
    case.create("web", &(case.web("web", 8001) + &second));
    let before = case.node.world();
    case.node
        .sh("fairlead svc start shop/svc/web")
        .fails(&["shop/svc/web", "container#1", "3"]);
    assert_eq!(case.all(), [""; 0]);
    case.forget_runs();
    case.node
        .is_as_before(&before, "a second container that fails");
}

#[test]
fn an_engine_that_has_gone_is_told_and_what_it_left_can_be_stopped() {
    let mut case = Case::new(Kind::Docker);
    case.create("web", &case.web("web", 8001));
    case.create("other", &case.web("other", 8002));
    case.start("web");
    let words = ["shop/svc/other", "container#0", "docker", Docker::SOCKET];
    case.docker.as_mut().expect("a daemon").daemon.kill();
    case.node
        .sh("fairlead svc start shop/svc/other")
        .fails(&words);
    let status = case.status("web");
    assert_eq!(status["avail"], "warn", "{status}");
    // The address is taken away, the container is somebody else's until the engine is back.
    case.node.sh("fairlead svc stop shop/svc/web").fails(&[
        "shop/svc/web",
        "container#0",
        Docker::SOCKET,
    ]);
    case.answers("web.shop.svc.clu", "");
    assert_eq!(case.node.sh("fairlead ls -o json").done().trim(), "[]");
    case.docker
        .as_mut()
        .expect("a daemon")
        .start_again(&case.node);
    case.stop("web");
    eventually(patience(), || match case.find_pid("web", 0) {
        None => Ok(()),
        pid => Err(pid),
    });
    assert_eq!(case.status("web")["started"], false);
}

#[test]
fn engines_that_were_never_there_are_told() {
    let case = Case::new(Kind::Lxc);
    let before = case.node.world();
    for (kind, socket) in [("docker", Docker::SOCKET), ("podman", Podman::SOCKET)] {
        let text = format!("[container#0]\ntype = {kind}\nimage = busybox\n");
        case.create(kind, &text);
        case.node
            .sh(&format!("fairlead svc start shop/svc/{kind}"))
            .fails(&[&format!("shop/svc/{kind}"), "container#0", kind, socket]);
        // It could have left a container there: the file goes when that can be seen.
        let words = [kind, "container#0", socket];
        case.node
            .sh(&format!("fairlead svc rm shop/svc/{kind}"))
            .fails(&words);
    }
    let text = "[container#0]\ntype = lxc\nname = nobody\nlxcpath = /run/netns\n";
    case.create("lxc", text);
    case.node.sh("fairlead svc start shop/svc/lxc").fails(&[
        "shop/svc/lxc",
        "container#0.name",
        "nobody",
    ]);
    case.node.sh("fairlead svc rm shop/svc/lxc").done();
    case.node
        .sh("rm /run/*.conf $FAIRLEAD_ROOT/etc/fairlead/namespaces/shop/svc/*.conf")
        .silent();
    case.forget_runs();
    case.node
        .is_as_before(&before, "engines that are not there");
}
