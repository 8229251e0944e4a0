//! The control socket against what comes: a person's curl, garbage, slow and many clients.

mod common;

use common::{Trial, WEB, until};
use fairlead_agent::Agent;
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

fn connect(trial: &Trial) -> UnixStream {
    let stream = UnixStream::connect(fairlead_control::socket(&trial.root)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// All that comes back, until the agent hangs up. A reset is a way of hanging up.
fn answer(mut stream: UnixStream) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert!(
            matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ),
            "{error}"
        );
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn curl(trial: &Trial, arguments: &str, path: &str) -> (String, Value) {
    let socket = fairlead_control::socket(&trial.root);
    let line = format!(
        "curl -s -w \\n%{{http_code}} {arguments} --unix-socket {} http://agent{path}",
        socket.display()
    );
    let text = trial.run(&line);
    let (body, code) = text
        .rsplit_once("\\n")
        .or_else(|| text.rsplit_once('\n'))
        .unwrap();
    (
        code.to_owned(),
        serde_json::from_str(body).unwrap_or(Value::Null),
    )
}

fn with_agent(work: impl FnOnce(&Trial)) {
    let trial = Trial::new(WEB);
    let agent: Agent = trial.agent();
    work(&trial);
    assert!(trial.status().unwrap().ready, "it still answers");
    agent.stop();
}

#[test]
fn a_person_may_ask_by_curl() {
    with_agent(|trial| {
        let (code, status) = curl(trial, "", "/v1/status");
        assert_eq!(
            (code.as_str(), &status["ready"]),
            ("200", &Value::Bool(true))
        );
        let (code, done) = curl(trial, "-X POST", "/v1/reconcile");
        assert_eq!(
            (code.as_str(), &done["steps"]),
            ("200", &serde_json::json!([]))
        );
        let (code, done) = curl(trial, r#"-d {"container":"nobody"}"#, "/v1/detach");
        assert_eq!(
            (code.as_str(), &done["owners"]),
            ("200", &serde_json::json!([]))
        );
    });
}

#[test]
fn what_is_wrong_with_a_question_is_said() {
    with_agent(|trial| {
        for (arguments, path, code, word) in [
            ("", "/", "404", "nothing"),
            ("", "/v1/detach", "405", "method"),
            ("-X DELETE", "/v1/status", "405", "method"),
            ("-d nonsense", "/v1/detach", "400", "question"),
            (r#"-d {"container":"a/b"}"#, "/v1/detach", "400", "a/b"),
            (r#"-d {"contianer":"c"}"#, "/v1/detach", "400", "contianer"),
            (r#"-d {"link":true}"#, "/v1/remove", "400", "owner"),
        ] {
            let (got, answer) = curl(trial, arguments, path);
            assert_eq!(got, code, "{path} {arguments}: {answer}");
            let text = answer["error"].as_str().unwrap_or_default();
            assert!(text.contains(word), "{path} {arguments}: {answer}");
        }
    });
}

#[test]
fn garbage_is_hung_up_on() {
    with_agent(|trial| {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..200 {
            let mut bytes: Vec<u8> = (0..round * 7)
                .map(|_| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    (random >> 24) as u8
                })
                .collect();
            if round % 2 == 0 {
                bytes.splice(
                    0..0,
                    *b"POST /v1/detach HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
                );
            }
            let mut stream = connect(trial);
            // It may have hung up before the end.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let answer = answer(stream);
            assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        }
    });
}

#[test]
fn a_question_without_end_is_refused() {
    with_agent(|trial| {
        let mut stream = connect(trial);
        let head = "POST /v1/detach HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let piece = [b' '; 64 * 1024];
        // Until the agent does not want more.
        let sent = (0..10_000)
            .take_while(|_| stream.write_all(&piece).is_ok())
            .count();
        assert!(sent < 10_000, "it took {sent} pieces");
        drop(answer(stream));
        // A head that does not end.
        let mut stream = connect(trial);
        stream.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
        let sent = (0..10_000)
            .take_while(|_| stream.write_all(&piece).is_ok())
            .count();
        assert!(sent < 10_000, "it took {sent} pieces");
    });
}

#[test]
fn who_is_silent_or_slow_is_hung_up_on_and_holds_up_nobody() {
    with_agent(|trial| {
        let silent: Vec<UnixStream> = (0..200).map(|_| connect(trial)).collect();
        let mut slow = connect(trial);
        let head = "POST /v1/detach HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{";
        slow.write_all(head.as_bytes()).unwrap();
        assert!(trial.status().unwrap().ready, "others are served meanwhile");
        assert!(answer(slow).starts_with("HTTP/1.1 408"));
        for stream in silent {
            assert_eq!(answer(stream), "");
        }
    });
}

#[test]
fn more_clients_than_there_is_room_for_are_served_one_after_another() {
    with_agent(|trial| {
        std::thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        assert!(trial.status().unwrap().ready);
                    }
                });
            }
        });
        let hangers: Vec<UnixStream> = (0..1100).map(|_| connect(trial)).collect();
        until("there is room again", || {
            matches!(trial.client().get::<Value>("/v1/status"), Ok(Some(_)))
        });
        drop(hangers);
    });
}
