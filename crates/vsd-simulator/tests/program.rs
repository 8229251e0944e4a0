//! The program: its words, its control socket, its end.
#![forbid(unsafe_code)]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running simulator that ends with its value.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn start(words: &[&str], control: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fairlead-vsd-simulator"))
            .args(words)
            .arg("--control")
            .arg(control)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the simulator can be started");
        let mut url = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut url).expect("its URL");
        let url = url.trim().to_owned();
        Self { child, url }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One question to a control socket.
fn ask(control: &Path, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = (method == "POST").then_some(body);
    let question = fairlead_ask::question(method, path, body);
    let mut stream = std::os::unix::net::UnixStream::connect(control).expect("a socket");
    stream.write_all(question.as_bytes()).expect("a question");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let (status, body) = fairlead_ask::parse(&answer).expect("HTTP");
    (status, serde_json::from_slice(body).unwrap_or_default())
}

#[test]
fn the_control_socket_does_what_it_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let control = folder.path().join("control.sock");
    let seed = folder.path().join("seed.json");
    let tree = json!({"E": {"D": {"Z": {"S": {"address": "10.1.0.0", "netmask": "255.255.0.0"}}}}});
    std::fs::write(&seed, tree.to_string()).unwrap();
    let seed = seed.to_str().unwrap();
    let simulator = Running::start(&["--plain", "--seed", seed], &control);
    let address = simulator.url.strip_prefix("http://").expect("plain HTTP");
    let get = |path: &str| ask(&control, "GET", path, &Value::Null);
    let post = |path: &str, body: Value| ask(&control, "POST", path, &body);
    assert_eq!(get("/state/subnets").1[0]["gateway"], "10.1.0.1");
    assert_eq!(get("/state").1["zones"][0]["name"], "Z");
    assert_eq!(get("/state/things").0, 404);
    assert_eq!(
        post("/seed", json!({"E": {"D": {"policygroups": ["pg"]}}})).0,
        204
    );
    assert_eq!(get("/state/policygroups").1[0]["name"], "pg");
    let (status, said) = post("/seed", json!({"E": 7}));
    assert_eq!(status, 400);
    assert!(said["message"].as_str().unwrap().contains("at E"), "{said}");
    assert_eq!(
        post("/faults", json!({"path": "^/me$", "status": 503})).0,
        204
    );
    assert_eq!(get("/faults").1[0]["status"], 503);
    assert_eq!(post("/faults", json!({"path": "("})).0, 400);
    assert_eq!(post("/faults", json!({"status": "x"})).0, 400);
    assert_eq!(ask(&control, "DELETE", "/faults", &Value::Null).0, 204);
    assert_eq!(get("/faults").1, json!([]));
    assert_eq!(post("/expire-keys", json!({})).0, 204);
    assert_eq!(
        post("/strictness", json!({"refuse_unchanged": true})).0,
        204
    );
    assert_eq!(get("/requests").1, json!([]));
    let mut stream = TcpStream::connect(address).unwrap();
    let question = "GET /nuage/api/v6/me HTTP/1.0\r\n\r\n";
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 401"), "{answer}");
    assert_eq!(get("/requests").1[0]["authorization"], "none");
    assert_eq!(ask(&control, "DELETE", "/requests", &Value::Null).0, 204);
    assert_eq!(get("/requests").1, json!([]));
    assert_eq!(post("/down", json!({"down": true})).0, 204);
    TcpStream::connect(address).expect_err("it is down");
    assert_eq!(post("/down", json!({"down": false})).0, 204);
    TcpStream::connect(address).expect("it is up");
    assert_eq!(post("/down", json!({"seconds": -1})).0, 400);
    assert_eq!(post("/down", json!({"seconds": 0.05})).0, 204);
    let mut tries = 0..1000;
    while TcpStream::connect(address).is_err() {
        assert!(tries.next().is_some(), "it does not come back");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn it_ends_with_its_input_or_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let control = folder.path().join("control.sock");
    let mut simulator = Running::start(&["--until-stdin-ends"], &control);
    assert!(
        simulator.url.starts_with("https://127.0.0.1:"),
        "{}",
        simulator.url
    );
    assert!(control.exists());
    drop(simulator.child.stdin.take());
    assert!(simulator.child.wait().unwrap().success());
    assert!(!control.exists());
    let mut simulator = Running::start(&[], &control);
    let kill = Command::new("kill")
        .arg(simulator.child.id().to_string())
        .status();
    assert!(kill.unwrap().success());
    assert!(simulator.child.wait().unwrap().success());
    assert!(!control.exists());
}

#[test]
fn what_cannot_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad");
    std::fs::write(&bad, "nonsense").unwrap();
    let bad = bad.to_str().unwrap();
    for (words, status, told) in [
        (vec!["--cert", "x"], 2, "--key"),
        (vec!["--listen", "nowhere"], 2, "nowhere"),
        (vec!["--seed", bad], 1, "is not JSON"),
        (
            vec!["--seed", "/no/such/file"],
            1,
            "cannot read /no/such/file",
        ),
        (vec!["--cert", bad, "--key", bad], 1, "cannot be used"),
        (
            vec!["--control", "/no/such/folder/x"],
            1,
            "cannot listen at /no",
        ),
    ] {
        let ran = Command::new(env!("CARGO_BIN_EXE_fairlead-vsd-simulator"))
            .args(&words)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let cried = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(status), "{words:?}: {cried}");
        assert!(cried.contains(told), "{words:?}: {cried}");
    }
}
