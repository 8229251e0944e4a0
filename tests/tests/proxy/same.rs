//! What the proxy answers is what dockerd answers, byte by byte.

use crate::case::{Case, SOCKET};
use fairlead_tests::{Docker, eventually, patience};

/// An answer without what changes from one moment to the next.
fn settled(answer: &str) -> String {
    let lines = answer.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("Date: ")).collect()
}

/// Calls that change nothing, or are refused.
const CALLS: [(&str, &str); 26] = [
    ("GET", "/_ping"),
    ("GET", "/version"),
    ("GET", "/v1.40/version"),
    ("GET", "/containers/json?all=1"),
    ("GET", "/v1.24/containers/json"),
    ("GET", "/v1.41/containers/json?size=1"),
    ("GET", "/containers/box/json"),
    ("GET", "/v1.41/containers/done/json?size=1"),
    ("GET", "/containers/nobody/json"),
    ("GET", "/containers/box/top"),
    ("GET", "/containers/box/changes"),
    ("GET", "/containers/box/archive?path=/nothing"),
    ("GET", "/images/json"),
    ("GET", "/images/busybox/json"),
    ("GET", "/networks/none"),
    ("GET", "/networks/nothing"),
    ("GET", "/volumes"),
    ("GET", "/nothing"),
    ("GET", "//containers/json"),
    ("GET", "/v9.99/containers/json"),
    ("GET", "/events?since=1&until=2"),
    ("POST", "/containers/create"),
    ("POST", "/containers/nobody/start"),
    ("DELETE", "/containers/nobody"),
    ("DELETE", "/v1.41/containers/box"),
    ("DELETE", "/v1.41/containers/box/checkpoints/k"),
];

/// Calls with a body, all of them refused.
const WITH_BODY: [(&str, &str); 6] = [
    ("/containers/create", "{"),
    ("/containers/create", "[]"),
    ("/containers/create", r#"{"Image":"nothing"}"#),
    ("/v1.41/containers/create?name=x", r#"{"Image":""}"#),
    ("/networks/nothing/connect", r#"{"Container":"box"}"#),
    ("/networks/nothing/disconnect", r#"{"Container":"box"}"#),
];

#[test]
fn a_recorded_set_of_calls_has_the_same_answers() {
    for plan in [Docker::plan(), Docker::plan().newer()] {
        let case = Case::with(plan, "BARREL_ENABLE_CNI=1\n");
        case.direct("run -d --name box --net none --label a=b busybox sleep 100000");
        case.direct("run --name done --net none busybox echo hello");
        let same = |method: &str, path: &str, more: &str| {
            // An answer that tells the time ('Up 2 seconds') is compared while that stands still.
            let [direct, through] = eventually(patience(), || {
                let sockets = [Docker::SOCKET, SOCKET, Docker::SOCKET];
                let answers = sockets.map(|at| settled(&case.raw(at, method, path, more)));
                let [before, through, after] = answers;
                if before == after {
                    Ok([before, through])
                } else {
                    Err(after)
                }
            });
            assert!(direct.starts_with("HTTP/1.1 "), "{method} {path}: {direct}");
            assert_eq!(through, direct, "{method} {path}");
        };
        for (method, path) in CALLS {
            same(method, path, "");
        }
        for (path, body) in WITH_BODY {
            let more = format!("-H 'Content-Type: application/json' --data '{body}'");
            same("POST", path, &more);
        }
        same("GET", "/containers/done/logs?stdout=1", "--output -");
        same("GET", "/_ping", "--head");
        let nothing = "/containers/prune?filters=%7B%22label%22:%5B%22no=1%22%5D%7D";
        same("POST", nothing, "");
    }
}

#[test]
fn archives_are_the_same_both_ways() {
    let case = Case::new();
    case.direct("run -d --name box --net none busybox sleep 100000");
    case.node
        .sh("head -c 3000000 /dev/urandom >/run/random")
        .done();
    let sum = |line: &str| {
        let done = case.node.sh(&format!("{line} | md5sum")).done();
        done.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let original = sum("cat /run/random");
    case.docker("cp /run/random box:/random");
    assert!(
        case.direct("exec box md5sum /random")
            .starts_with(&original)
    );
    case.docker("cp box:/random /run/back");
    assert_eq!(sum("cat /run/back"), original);
    let direct = sum(&format!(
        "{} save busybox",
        case.docker.client(Docker::SOCKET)
    ));
    let through = sum(&format!("{} save busybox", case.docker.client(SOCKET)));
    assert_eq!(through, direct);
    let through = case.docker.client(SOCKET);
    let line = format!("{through} commit box large && {through} save large >/run/large.tar");
    case.node.sh(&line).done();
    case.docker("rmi large");
    assert!(
        case.docker("load -i /run/large.tar")
            .contains("large:latest")
    );
    let line = format!("{through} export box | tar -xO random");
    assert_eq!(sum(&line), original);
    case.docker("import /run/large.tar again");
    case.direct("image inspect again");
}
