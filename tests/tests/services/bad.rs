//! Bad input: an error that names section and keyword, and nothing that stays.

use super::{WEB, create, forget_runs, node};
use fairlead_tests::Node;

/// Keywords that are refused when they are set, and what is told.
const REFUSED: [(&str, &[&str]); 12] = [
    ("ip#0.expose=80", &["ip#0.expose", "\"80\"", "80/tcp"]),
    ("ip#0.expose=80/sctp", &["ip#0.expose", "sctp"]),
    ("ip#0.expose=nothing/tcp", &["ip#0.expose", "nothing"]),
    ("ip#0.expose='80/tcp 80/tcp'", &["ip#0.expose", "twice"]),
    ("ip#0.expose=9-7/tcp", &["ip#0.expose", "backwards"]),
    (
        "ip#0.netns=container#5",
        &["ip#0.netns", "container#5", "no such container"],
    ),
    (
        "ip#0.container_rid=container#5",
        &["ip#0.container_rid", "no such container"],
    ),
    ("ip#0.wait_dns=soon", &["ip#0.wait_dns", "soon"]),
    (
        "container#0.type=rocket",
        &["container#0.type", "rocket", "process"],
    ),
    ("container#0.type=docker", &["container#0.image"]),
    (
        "container#0.netns=container#0",
        &["container#0.netns", "container#0 -> container#0"],
    ),
    (
        "container#0.environment=x",
        &["container#0.environment", "NAME=VALUE"],
    ),
];

#[test]
fn what_cannot_be_is_refused_when_it_is_set() {
    let (node, _cgroups) = node();
    node.sh(&create("shop/svc/web", WEB)).silent();
    let file = format!("{}/etc/fairlead/namespaces/shop/svc/web.conf", Node::ROOT);
    let before = node.read(&file);
    for (keyword, words) in REFUSED {
        node.sh(&format!("fairlead svc set shop/svc/web --kw {keyword}"))
            .fails(words);
        assert_eq!(node.read(&file), before, "{keyword}");
    }
    for name in [
        "web",
        "shop/web",
        "shop/vol/web",
        "shop/svc/../x",
        "shop/svc/'a b'",
    ] {
        node.sh(&format!("fairlead svc create {name}"))
            .fails(&["shop/svc/web"]);
    }
    node.sh("fairlead svc create shop/svc/web")
        .fails(&["there already", "svc set"]);
    node.sh("fairlead svc start shop/svc/nobody")
        .fails(&["shop/svc/nobody", "svc create"]);
    node.sh("echo 'no section' | fairlead svc create shop/svc/x --config -")
        .fails(&["shop/svc/x", "line 1"]);
    let odd = "fairlead svc create shop/svc/odd --kw fs#0.dev=x --kw container#0.type=process \
               --kw container#0.command=true --kw container#0.colour=red";
    node.sh(odd).warns(&["fs#0", "container#0.colour"]);
}

/// What cannot be started, and what is told; everything is as it was behind it.
const FAILING: [(&str, &[&str]); 7] = [
    ("ip#0.network=nowhere", &["ip#0.network", "nowhere"]),
    (
        "container#0.command=/no/such/program",
        &["container#0.command", "/no/such/program"],
    ),
    (
        "container#0.command='sh -c \"echo broken; exit 7\"'",
        &["container#0", "7", "broken"],
    ),
    (
        "container#0.user=nobody-of-that-name",
        &["container#0.user", "nobody-of-that-name"],
    ),
    (
        "container#0.cwd=/no/such/place",
        &["container#0.cwd", "/no/such/place"],
    ),
    ("ip#0.ipaddr=192.0.2.1", &["ip#0", "192.0.2.1"]),
    (
        "ip#0.expose=80:8001/tcp",
        &["ip#0.expose", "8001", "holder"],
    ),
];

#[test]
fn what_cannot_be_started_leaves_nothing_behind() {
    let (node, _cgroups) = node();
    let _holder = node.sandbox("holder");
    node.sh("fairlead attach back --netns /run/netns/holder --publish 8001:80")
        .done();
    let before = node.world();
    for (keyword, words) in FAILING {
        let line = create("shop/svc/web", WEB).replace("80:8001/tcp", "80/tcp");
        node.sh(&format!("{line} --kw {keyword}")).silent();
        node.sh("fairlead svc start shop/svc/web").fails(words);
        let status = node.sh("fairlead svc status shop/svc/web -o json").json();
        assert_eq!(status["avail"], "down", "{keyword}");
        assert_eq!(status["started"], false, "{keyword}");
        node.sh("fairlead svc rm shop/svc/web").done();
        forget_runs(&node);
        node.is_as_before(&before, keyword);
    }
}

#[test]
fn a_part_that_fails_stops_the_parts_before_and_an_engine_that_is_not_there_is_told() {
    let (node, _cgroups) = node();
    let before = node.world();
    let line = create("shop/svc/web", WEB);
    let more = "--kw container#1.type=docker --kw container#1.image=busybox";
    node.sh(&format!("{line} {more}")).silent();
    node.sh("fairlead svc start shop/svc/web").fails(&[
        "shop/svc/web",
        "container#1",
        "docker",
        "docker.sock",
    ]);
    let more = "--kw container#1.type=process --kw container#1.command=/no/such/program";
    node.sh(&format!("fairlead svc set shop/svc/web {more}"))
        .silent();
    node.sh("fairlead svc start shop/svc/web")
        .fails(&["container#1.command"]);
    let status = node.sh("fairlead svc status shop/svc/web -o json").json();
    assert_eq!(status["avail"], "down");
    node.sh("fairlead svc rm shop/svc/web").done();
    forget_runs(&node);
    node.is_as_before(&before, "two starts in vain");
}

/// A file that somebody damaged does not keep what runs from being stopped.
#[test]
fn a_service_whose_file_is_damaged_gives_its_address_back() {
    let (node, _cgroups) = node();
    node.sh(&create("shop/svc/web", WEB)).silent();
    node.sh("fairlead svc start shop/svc/web").done();
    let file = format!("{}/etc/fairlead/namespaces/shop/svc/web.conf", Node::ROOT);
    let good = node.read(&file);
    node.write(&file, "nonsense\n");
    node.sh("fairlead svc restart shop/svc/web")
        .fails(&["line 1"]);
    assert!(
        node.sh("fairlead ls").done().contains("shop/svc/web"),
        "it runs on"
    );
    node.sh("fairlead svc stop shop/svc/web").fails(&["line 1"]);
    assert!(!node.sh("fairlead ls").done().contains("shop/svc/web"));
    node.write(&file, &good);
    node.sh("fairlead svc stop shop/svc/web").done();
    node.sh("fairlead svc start shop/svc/web").done();
    node.sh("fairlead svc stop shop/svc/web").done();
}
