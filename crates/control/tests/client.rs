//! The client against sockets that behave well, badly, and not at all.

use fairlead_control::{Client, ControlError, STATUS};
use fairlead_types::Root;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// A node with a socket, on which `answer` is run once for one connection.
fn with_agent<T>(answer: impl FnOnce(UnixStream) + Send, ask: impl FnOnce(&Root) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::new(dir.path());
    std::fs::create_dir_all(root.run()).unwrap();
    let listener = UnixListener::bind(fairlead_control::socket(&root)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || answer(listener.accept().unwrap().0));
        ask(&root)
    })
}

fn get(root: &Root) -> Result<Option<Value>, ControlError> {
    Client::new(root)
        .with_limit(Duration::from_millis(500))
        .get(STATUS)
}

/// Reads the question's head, then sends `bytes` in pieces of `size`.
fn say(bytes: &[u8], size: usize) -> impl FnOnce(UnixStream) + Send {
    move |mut stream| {
        let mut question = [0; 4096];
        let count = stream.read(&mut question).unwrap();
        let question = String::from_utf8_lossy(&question[..count]).into_owned();
        assert!(
            question.starts_with("GET /v1/status HTTP/1.1\r\n"),
            "{question}"
        );
        assert!(question.contains("Connection: close\r\n"), "{question}");
        for piece in bytes.chunks(size) {
            // The client may have seen enough.
            let _ = stream.write_all(piece);
        }
    }
}

#[test]
fn no_agent_is_an_answer_and_costs_no_time() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::new(dir.path());
    let begun = Instant::now();
    assert_eq!(get(&root).unwrap(), None, "no directory");
    std::fs::create_dir_all(root.run()).unwrap();
    assert_eq!(get(&root).unwrap(), None, "no socket");
    // The socket of an agent that was killed.
    drop(UnixListener::bind(fairlead_control::socket(&root)).unwrap());
    assert_eq!(get(&root).unwrap(), None, "a socket without a listener");
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "nothing is waited for"
    );
    let long = Root::new(format!("/{}", "x".repeat(200)));
    assert_eq!(get(&long).unwrap(), None, "a path that fits no address");
}

#[test]
fn an_answer_may_come_in_any_pieces() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"node\":\"n1\"}";
    for size in [1, 7, 1000] {
        let answer = with_agent(say(bytes, size), get).unwrap();
        assert_eq!(answer, Some(json!({"node": "n1"})));
    }
}

#[test]
fn a_refusal_has_the_agents_words() {
    let bytes = b"HTTP/1.1 409 Conflict\r\ncontent-length: 15\r\n\r\n{\"error\":\"why\"}";
    let error = with_agent(say(bytes, 1000), get).unwrap_err();
    assert_eq!(error.to_string(), "the agent refuses /v1/status: why");
    assert!(!error.is_unknown());
}

#[test]
fn an_agent_that_dies_or_stops_is_told_apart_from_one_that_refuses() {
    let died = with_agent(drop, get).unwrap_err();
    assert!(matches!(died, ControlError::Io { .. }), "{died}");
    assert!(died.is_unknown());
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"no";
    let died = with_agent(say(half, 1000), get).unwrap_err();
    assert!(matches!(died, ControlError::Io { .. }), "{died}");
    let strange = with_agent(say(b"SSH-2.0-x\r\n\r\n", 1000), get).unwrap_err();
    assert!(matches!(strange, ControlError::Answer { .. }), "{strange}");
    let begun = Instant::now();
    let silent = |mut stream: UnixStream| {
        // Until the client hangs up.
        let _ = stream.read_to_end(&mut Vec::new());
    };
    let late = with_agent(silent, get).unwrap_err();
    assert!(matches!(late, ControlError::Late { .. }), "{late}");
    assert!(late.is_unknown());
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_agent_that_lets_nobody_in_is_late() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::new(dir.path());
    std::fs::create_dir_all(root.run()).unwrap();
    let socket = fairlead_control::socket(&root);
    let listener = UnixListener::bind(&socket).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    // One fits into the queue of a listener that never accepts.
    let _waiting = UnixStream::connect(&socket).unwrap();
    let late = get(&root).unwrap_err();
    assert!(matches!(late, ControlError::Late { .. }), "{late}");
}
