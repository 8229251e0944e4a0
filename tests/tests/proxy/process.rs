//! The proxy as a process: settings, signals, sockets, certificates.

use crate::case::{CONF, Case, SOCKET};
use fairlead_tests::{Authority, Daemon, Docker, Node, Place as _, eventually, patience};

#[test]
fn settings_that_cannot_be_are_told_with_key_and_value() {
    let node = Node::unplugged("one");
    let cases: [(&str, &[&str]); 8] = [
        (
            "BARREL_MODE=network-plugin-only",
            &["BARREL_MODE=network-plugin-only", "-d fairlead"],
        ),
        ("BARREL_ENABLE_CNI=maybe", &["BARREL_ENABLE_CNI=maybe"]),
        (
            "BARREL_DOCKERD_PATH=tcp://x:1",
            &["BARREL_DOCKERD_PATH=tcp://x:1", "unix:///PATH"],
        ),
        (
            "BARREL_HOSTS=https://0.0.0.0:2376",
            &[
                "BARREL_HOSTS=https://0.0.0.0:2376",
                "BARREL_TLS_CERT_FILE_PATH",
            ],
        ),
        (
            "BARREL_HOSTS=http://0.0.0.0:2375",
            &["BARREL_HOSTS=http://0.0.0.0:2375", "BARREL_INSECURE_TCP=1"],
        ),
        (
            "BARREL_GROUP=nobody-of-that-name",
            &["BARREL_GROUP=nobody-of-that-name"],
        ),
        (
            "BARREL_RESOURCE_PATH_PREFIXES=/data",
            &["BARREL_RESOURCE_PATH_PREFIXES=/data"],
        ),
        (
            "BARREL_MODE=x\nBARREL_BUFFER_SIZE=y",
            &["BARREL_MODE=x", "BARREL_BUFFER_SIZE=y"],
        ),
    ];
    for (settings, words) in cases {
        node.write(CONF, settings);
        node.sh(&format!("eru-barrel --config {CONF}")).fails(words);
    }
    node.sh("eru-barrel --config /nowhere").fails(&["/nowhere"]);
    // The command line wins over the environment, and that over the file.
    node.write(CONF, "BARREL_MODE=in-file\n");
    let line = format!("BARREL_MODE=in-environment fairlead proxy --config {CONF}");
    node.sh(&line).fails(&["BARREL_MODE=in-environment"]);
    node.sh(&format!("{line} --mode on-line"))
        .fails(&["BARREL_MODE=on-line"]);
}

#[test]
fn the_socket_is_roots_or_a_groups_and_goes_with_the_proxy() {
    let mut case = Case::new();
    let mode = |case: &Case| case.node.run(&format!("stat -c %a:%g {SOCKET}"));
    assert_eq!(mode(&case), "600:0\n");
    // A second one does not take it away.
    let line = format!("eru-barrel --config {CONF} -H unix://{SOCKET} --cni-config /run/cni.yaml");
    case.node.sh(&line).fails(&[&format!("unix://{SOCKET}")]);
    assert!(case.proxy.terminate().success());
    case.node.sh(&format!("! test -e {SOCKET}")).done();
    case.node.write(CONF, "BARREL_GROUP=4321\n");
    case.start_again();
    assert_eq!(mode(&case), "660:4321\n");
    // What a killed one has left is no hindrance.
    case.proxy.kill();
    case.start_again();
    case.docker("version");
}

#[test]
fn it_waits_for_dockerd_and_outlives_it() {
    let mut case = Case::new();
    case.docker.stop();
    let words = format!("cannot reach dockerd at unix://{}", Docker::SOCKET);
    case.refused("ps", &[&words]);
    let answer = case.raw(SOCKET, "GET", "/_ping", "");
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway"), "{answer}");
    case.docker.start_again(&case.node);
    assert_eq!(case.docker("ps -q"), "");
}

#[test]
fn those_who_are_being_served_are_served_to_the_end() {
    let mut case = Case::new();
    case.docker("run -d --name box --net none --stop-signal KILL busybox sleep 100000");
    let client = case.docker.client(SOCKET);
    let line = format!("exec env {client} wait box");
    let mut waiting = Daemon::start(
        &case.node.shell(&line),
        "wait",
        &case.node.path("/run/wait.log"),
    );
    eventually(patience(), || match case.proxy.log() {
        log if log.contains("/containers/box/wait") => Ok(()),
        log => Err(log),
    });
    case.proxy.signal("TERM");
    eventually(patience(), || {
        let gone = case.node.sh(&format!("test ! -e {SOCKET}"));
        if gone.status == Some(0) {
            Ok(())
        } else {
            Err(gone)
        }
    });
    assert_eq!(case.proxy.ended(), None);
    case.direct("kill box");
    assert!(waiting.wait().success());
    assert_eq!(waiting.log(), "137\n");
    assert!(case.proxy.wait().success());
}

#[test]
fn secrets_are_not_logged() {
    let case = Case::new();
    case.run(
        "box",
        "--network back --env TOKEN=sesame --label key=sesame",
    );
    case.docker("exec -e TOKEN=sesame box echo sesame");
    case.docker("ps --filter label=key=sesame");
    case.docker("rm -f box");
    case.refused(
        "run --network back --ip 1.2 -e TOKEN=sesame busybox true",
        &["1.2"],
    );
    let log = case.proxy.log();
    assert!(log.contains("/containers/create"), "{log}");
    assert!(!log.contains("sesame"), "{log}");
}

#[test]
fn over_tcp_clients_show_certificates() {
    let mut case = Case::new();
    let authority = Authority::new("clients");
    authority.write(&case.node, "/run/tls/ca.pem");
    authority.issue(&case.node, "/run/tls/server", &["localhost", "127.0.0.1"]);
    authority.issue(&case.node, "/run/tls/client", &["somebody"]);
    let stranger = Authority::new("others");
    stranger.issue(&case.node, "/run/tls/stranger", &["somebody"]);
    case.node.write(
        CONF,
        "BARREL_TLS_CERT_FILE_PATH=/run/tls/server.crt\nBARREL_TLS_KEY_FILE_PATH=/run/tls/server.key\n\
          BARREL_TLS_CA_FILE_PATH=/run/tls/ca.pem\n",
    );
    assert!(case.proxy.terminate().success());
    let line = format!(
        "exec eru-barrel --config {CONF} -D unix://{} -H unix://{SOCKET} -H https://127.0.0.1:2376",
        Docker::SOCKET
    );
    let log = case.node.path("/run/proxy.log");
    case.proxy = Daemon::start(&case.node.shell(&line), "proxy", &log);
    case.is_there();
    let docker = |who: &str, line: &str| {
        case.node.sh(&format!(
            "DOCKER_CONFIG=/run/none docker -H tcp://127.0.0.1:2376 --tlsverify --tlscacert /run/tls/ca.pem \
             --tlscert /run/tls/{who}.crt --tlskey /run/tls/{who}.key {line}"
        ))
    };
    docker(
        "client",
        "run -d --name box --net none busybox sleep 100000",
    )
    .done();
    case.node
        .sh("head -c 1000000 /dev/urandom >/run/random")
        .done();
    let sum = case.node.sh("md5sum </run/random").done();
    // Here too the end of the input is not the end of all.
    assert_eq!(
        docker("client", "exec -i box md5sum </run/random").done(),
        sum
    );
    let refused = docker("stranger", "ps");
    assert_ne!(refused.status, Some(0), "{refused:?}");
    let naked = case
        .node
        .sh("curl -sS --cacert /run/tls/ca.pem https://127.0.0.1:2376/_ping");
    assert_ne!(naked.status, Some(0), "{naked:?}");
}

#[test]
fn systemd_may_open_the_socket() {
    let case = Case::new();
    let line = format!(
        "exec systemd-socket-activate -l /run/given.sock $(command -v eru-barrel) --config /dev/null -D unix://{}",
        Docker::SOCKET
    );
    let _proxy = Daemon::start(
        &case.node.shell(&line),
        "given",
        &case.node.path("/run/given.log"),
    );
    eventually(patience(), || {
        match case.raw("/run/given.sock", "GET", "/_ping", "") {
            answer if answer.ends_with("OK") => Ok(()),
            answer => Err(answer),
        }
    });
}
