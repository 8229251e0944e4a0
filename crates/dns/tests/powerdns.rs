//! With real `PowerDNS`: as its backend, before its recursor, and with it as a secondary.
#![forbid(unsafe_code)]

mod common;

use common::{Program, dig, free_port, instance, settings, start, wait};
use fairlead_dns::{Backend, Change, Server};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

fn web() -> (Server, SocketAddr) {
    let instances = vec![
        instance("web", "10.22.0.5", "h", "80/tcp"),
        instance("web", "10.22.0.6", "", "80/tcp"),
        instance("six", "fd00:1::5", "", ""),
    ];
    start(settings(), instances)
}

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// `pdns_server` or `pdns_recursor` on a port of its own, with its files in `dir`.
fn program(name: &str, dir: &Path, at: SocketAddr, arguments: &[String]) -> Program {
    let dir = dir.display();
    Program::start(
        Command::new(name)
            // Nothing is asked about outside.
            .args(["--daemon=no", "--write-pid=no", "--security-poll-suffix="])
            .arg(format!("--config-dir={dir}"))
            .arg(format!("--socket-dir={dir}"))
            .arg(format!("--local-address={}", at.ip()))
            .arg(format!("--local-port={}", at.port()))
            .args(arguments),
    )
}

fn server(dir: &Path, at: SocketAddr, arguments: &[String]) -> Program {
    let fixed = [
        "--guardian=no",
        "--cache-ttl=0",
        "--query-cache-ttl=0",
        "--negquery-cache-ttl=0",
    ];
    let fixed = fixed.map(str::to_owned);
    program("pdns_server", dir, at, &[&fixed, arguments].concat())
}

/// Asks about everything in [`web`].
fn check(at: SocketAddr) {
    let cases: [(&[&str], &[&str]); 7] = [
        (&["web.ns1.svc.c1"], &["10.22.0.5", "10.22.0.6"]),
        (&["h.web.ns1.svc.n1.node.c1"], &["10.22.0.5"]),
        (&["six.ns1.svc.c1", "AAAA"], &["fd00:1::5"]),
        (
            &["_80._tcp.web.ns1.svc.c1", "SRV"],
            &[
                "0 10 80 10-22-0-5.web.ns1.svc.c1.",
                "0 10 80 10-22-0-6.web.ns1.svc.c1.",
            ],
        ),
        (
            &["-x", "10.22.0.5"],
            &["h.web.ns1.svc.c1.", "h.web.ns1.svc.n1.node.c1."],
        ),
        (
            &["-x", "fd00:1::5"],
            &["six.ns1.svc.c1.", "six.ns1.svc.n1.node.c1."],
        ),
        (&["c1", "NS"], &["ns0.c1."]),
    ];
    for (question, wanted) in cases {
        let seen = dig(at, question);
        assert_eq!(seen.data(), wanted, "{question:?}: {}", seen.text);
    }
    for (name, status) in [
        ("nix.web.ns1.svc.c1", "NXDOMAIN"),
        ("six.ns1.svc.c1", "NOERROR"),
    ] {
        let seen = dig(at, &[name, "A"]);
        assert_eq!(seen.status, status, "{}", seen.text);
        assert!(
            seen.answers.is_empty() && seen.authority.len() == 1,
            "{}",
            seen.text
        );
    }
}

#[test]
fn a_real_server_has_the_zones_from_us_and_a_recursor_asks_it() {
    let (ours, _) = web();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("pdns.sock");
    let backend = Backend::start(&ours, &socket, uid(), uid()).unwrap();
    let (at, recursor_at) = (free_port(), free_port());
    let arguments = [
        "--launch=remote".to_owned(),
        format!("--remote-connection-string=unix:path={}", socket.display()),
        "--zone-cache-refresh-interval=0".to_owned(),
    ];
    let mut pdns = server(dir.path(), at, &arguments);
    let answers = || dig(at, &["c1", "SOA", "+time=1"]).status == "NOERROR";
    wait("pdns_server answers", answers);
    let forward = ["c1", "22.10.in-addr.arpa", "1.0.0.0.0.0.d.f.ip6.arpa"];
    let forward = forward.map(|zone| format!("{zone}={at}")).join(",");
    let arguments = [
        format!("--forward-zones={forward}"),
        "--dnssec=off".to_owned(),
        "--threads=1".to_owned(),
        "--max-cache-ttl=1".to_owned(),
    ];
    let mut recursor = program("pdns_recursor", dir.path(), recursor_at, &arguments);
    let resolves = || dig(recursor_at, &["ns0.c1", "+time=1"]).status == "NOERROR";
    wait("pdns_recursor answers", resolves);
    for at in [at, recursor_at] {
        check(at);
    }
    ours.apply([Change::Remove(instance("web", "10.22.0.6", "", "80/tcp"))]);
    wait("the change is seen", || {
        dig(at, &["web.ns1.svc.c1"]).data() == ["10.22.0.5"]
    });
    assert!(pdns.is_running() && recursor.is_running());
    backend.stop();
    assert!(!socket.exists());
}

#[test]
fn a_secondary_has_the_zone_from_us_and_sees_it_change() {
    let (ours, primary) = web();
    let dir = tempfile::tempdir().unwrap();
    let named = dir.path().join("named.conf");
    let file = dir.path().join("c1.zone");
    let text = format!(
        "zone \"c1\" {{ type slave; file \"{}\"; masters {{ {primary}; }}; }};\n",
        file.display()
    );
    std::fs::write(&named, text).unwrap();
    let at = free_port();
    let arguments = [
        "--launch=bind".to_owned(),
        format!("--bind-config={}", named.display()),
        "--secondary=yes".to_owned(),
        "--xfr-cycle-interval=1".to_owned(),
    ];
    let mut pdns = server(dir.path(), at, &arguments);
    let found = || dig(at, &["web.ns1.svc.c1", "+time=1"]).data() == ["10.22.0.5", "10.22.0.6"];
    wait("the zone is there", found);
    let serial = |at| dig(at, &["c1", "SOA"]).data()[0].to_owned();
    assert_eq!(serial(at), serial(primary));
    ours.apply([Change::Insert(instance("new", "10.22.0.9", "", ""))]);
    let retrieve = || {
        let socket = format!("--socket-dir={}", dir.path().display());
        let asked = Command::new("pdns_control")
            .arg(socket)
            .args(["retrieve", "c1"])
            .output();
        assert!(asked.unwrap().status.success());
        dig(at, &["new.ns1.svc.c1", "+time=1"]).data() == ["10.22.0.9"]
    };
    wait("the change is there", retrieve);
    assert_eq!(serial(at), serial(primary));
    assert!(pdns.is_running());
}

/// One request, a line.
fn request(method: &str, parameters: Value) -> String {
    json!({"method": method, "parameters": parameters}).to_string() + "\n"
}

/// Sends text and reads so many lines.
fn talk(socket: &Path, pieces: &[&str], lines: usize) -> Vec<Value> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    for piece in pieces {
        stream.write_all(piece.as_bytes()).unwrap();
    }
    let reader = BufReader::new(stream).lines();
    let lines = reader.take(lines).map(Result::unwrap);
    lines
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}

#[test]
fn requests_may_come_in_any_pieces() {
    let (ours, _) = web();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("pdns.sock");
    let _backend = Backend::start(&ours, &socket, uid(), uid()).unwrap();
    let two = request("initialize", json!({})) + &request("getAllDomains", json!({}));
    let (start, end) = two.split_at(10);
    let (middle, end) = end.split_at(40);
    let answers = talk(&socket, &[start, middle, end, "\n", &two], 4);
    assert_eq!(answers[0], json!({"result": true}));
    let zones: Vec<_> = answers[1]["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|z| &z["zone"])
        .collect();
    assert_eq!(
        zones,
        ["c1.", "22.10.in-addr.arpa.", "1.0.0.0.0.0.d.f.ip6.arpa."]
    );
    assert_eq!(answers[..2], answers[2..]);
    let others = [
        request("list", json!({"zonename": "22.10.in-addr.arpa."})),
        request("list", json!({"zonename": "nix."})),
        request("getAllDomainMetadata", json!({"name": "c1."})),
        request(
            "getDomainMetadata",
            json!({"name": "c1.", "kind": "ALLOW-AXFR-FROM"}),
        ),
        request(
            "getDomainMetadata",
            json!({"name": "c1.", "kind": "PRESIGNED"}),
        ),
        request("startTransaction", json!({})),
        "nonsense\n".to_owned(),
        "[]\n".to_owned(),
    ];
    let answers = talk(&socket, &[&others.concat()], others.len());
    assert_eq!(answers[0]["result"].as_array().unwrap().len(), 2 + 4);
    assert_eq!(answers[1]["result"], json!([]));
    let allowed = json!(["0.0.0.0/0", "AUTO-NS"]);
    assert_eq!(answers[2]["result"], json!({"ALLOW-AXFR-FROM": allowed}));
    assert_eq!(answers[3]["result"], allowed);
    assert_eq!(answers[4]["result"], json!([]));
    for refused in &answers[5..] {
        assert_eq!(refused["result"], json!(false));
        assert!(refused["error"].is_string());
    }
}

#[test]
fn a_look_up_is_one_of_names_that_are_there() {
    let (ours, _) = web();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("pdns.sock");
    let _backend = Backend::start(&ours, &socket, uid(), uid()).unwrap();
    let lookup = |name: &str, rtype: &str| {
        let answers = talk(
            &socket,
            &[&request("lookup", json!({"qname": name, "qtype": rtype}))],
            1,
        );
        answers[0]["result"].as_array().unwrap().clone()
    };
    let rows = lookup("H.web.ns1.svc.c1.", "A");
    let wanted = json!([{
        "qname": "h.web.ns1.svc.c1.", "qtype": "A", "content": "10.22.0.5", "ttl": 60,
        "auth": true, "domain_id": -1,
    }]);
    assert_eq!(json!(rows), wanted);
    assert_eq!(lookup("c1.", "ANY").len(), 2);
    assert_eq!(lookup("c1.", "SOA").len(), 1);
    assert_eq!(lookup("*.ns1.svc.c1.", "ANY").len(), 0);
    assert_eq!(lookup("web.ns1.svc.c1.", "NONSENSE").len(), 0);
    assert_eq!(lookup("168.192.in-addr.arpa.", "ANY").len(), 0);
}

#[test]
fn a_request_without_end_ends_its_connection_only() {
    let (ours, _) = web();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("pdns.sock");
    let _backend = Backend::start(&ours, &socket, uid(), uid()).unwrap();
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    let written = stream.write_all(&[b'x'; 1 << 20]);
    assert!(written.is_err());
    let initialize = "{\"method\":\"initialize\"}\n";
    assert_eq!(talk(&socket, &[initialize], 1), [json!({"result": true})]);
}

#[test]
fn the_socket_is_its_users_and_takes_the_place_of_an_old_one_only() {
    let (ours, _) = web();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("pdns.sock");
    // One that somebody has left.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let backend = Backend::start(&ours, &socket, uid(), uid()).unwrap();
    let found = std::fs::metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(
        (found.mode() & 0o777, found.uid(), found.gid()),
        (0o660, uid(), uid())
    );
    backend.stop();
    assert!(!socket.exists());
    std::fs::write(&socket, "a file").unwrap();
    let error = Backend::start(&ours, &socket, uid(), uid()).unwrap_err();
    assert!(error.to_string().contains("pdns.sock"), "{error}");
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "a file");
}
