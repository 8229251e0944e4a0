//! What is passed on is passed on byte by byte, in time, and ends as it ended.

#[allow(dead_code, reason = "helpers of several tests")]
mod ring;

use ring::{Line, PATIENCE, Ring, eventually, shown};
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

const OK: &str = "HTTP/1.1 200 OK\r\nServer: Docker/1 (linux)\r\nContent-Length: 2\r\n\r\nOK";

#[test]
fn a_request_and_its_answer_go_by_as_they_were_said() {
    let ring = Ring::new();
    for prefix in [
        "", "/v1.12", "/v1.24", "/v1.41", "/v1.45", "/v1.52", "/v9.99",
    ] {
        let text = format!(
            "GET {prefix}/containers/json?filters=%7b%7D HTTP/1.1\r\nhost:docker\r\nX-Odd:   two \r\n\r\n"
        );
        let (mut client, mut dockerd) = ring.heard(&text);
        let answer = "HTTP/1.1 200 Whatever is right\r\nx-lower: 1\r\nX-Twice: a\r\nX-Twice: b\r\nCONTENT-LENGTH:3\r\n\r\nabc";
        dockerd.say(answer);
        client.hears(answer);
        // The same two connections serve the next one.
        client.say(&text);
        dockerd.hears(&text);
        dockerd.say(answer);
        client.hears(answer);
    }
}

#[test]
fn requests_may_come_before_their_answers() {
    let ring = Ring::new();
    let mut client = ring.client();
    client.say("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
    let mut dockerd = ring.accept();
    dockerd.hears("GET /a HTTP/1.1\r\n\r\n");
    dockerd.say(OK);
    dockerd.hears("GET /b HTTP/1.1\r\n\r\n");
    dockerd.say(OK);
    client.hears([OK, OK].concat());
}

#[test]
fn chunks_and_trailers_go_both_ways() {
    let ring = Ring::new();
    let request = "POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
    let body = "3;a=b\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n";
    let (mut client, mut dockerd) = ring.heard(request);
    for byte in body.bytes() {
        client.say([byte]);
        dockerd.hears([byte]);
    }
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    dockerd.say(answer);
    // Progress is not kept back until it is enough.
    client.hears(answer);
    dockerd.say("0\r\nX-End: 1\r\n\r\n");
    client.hears("0\r\nX-End: 1\r\n\r\n");
    client.say("GET /next HTTP/1.1\r\n\r\n");
    dockerd.hears("GET /next HTTP/1.1\r\n\r\n");
    dockerd.say(OK);
    client.hears(OK);
}

#[test]
fn answers_without_a_body_have_none() {
    let ring = Ring::new();
    let cases = [
        (
            "HEAD /_ping",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        ),
        ("DELETE /x", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            "GET /x",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        ),
    ];
    for (line, answer) in cases {
        let (mut client, mut dockerd) = ring.heard(&format!("{line} HTTP/1.1\r\n\r\n"));
        dockerd.say(answer);
        client.hears(answer);
        client.say("GET /next HTTP/1.1\r\n\r\n");
        dockerd.hears("GET /next HTTP/1.1\r\n\r\n");
        dockerd.say(OK);
        client.hears(OK);
    }
}

#[test]
fn a_client_that_waits_for_100_gets_it_from_dockerd() {
    let ring = Ring::new();
    let head = "POST /images/load HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let (mut client, mut dockerd) = ring.heard(head);
    dockerd.say("HTTP/1.1 100 Continue\r\n\r\n");
    client.hears("HTTP/1.1 100 Continue\r\n\r\n");
    client.say("body");
    dockerd.hears("body");
    dockerd.say(OK);
    client.hears(OK);
    // Or it is told that nobody wants its body.
    let (mut client, mut dockerd) = ring.heard(head);
    let no = "HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    dockerd.say(no);
    drop(dockerd);
    client.hears(no);
    client.ends();
}

const UPGRADE: &str = "POST /v1.41/exec/1/start HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 3\r\n\r\n{}\n";
const UPGRADED: &str = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

#[test]
fn the_end_of_input_leaves_the_output_of_a_hijacked_stream() {
    let ring = Ring::new();
    let (mut client, mut dockerd) = ring.heard(UPGRADE);
    // The first words come with the head.
    dockerd.say([UPGRADED, "early"].concat());
    client.hears([UPGRADED, "early"].concat());
    client.say("input");
    client.finish();
    dockerd.hears("input");
    dockerd.ends();
    for word in ["output", " after", " the end"] {
        dockerd.say(word);
        client.hears(word);
    }
    drop(dockerd);
    client.ends();
}

#[test]
fn the_end_of_output_leaves_the_input_of_a_hijacked_stream() {
    let ring = Ring::new();
    let (mut client, mut dockerd) = ring.heard(UPGRADE);
    dockerd.say(UPGRADED);
    client.hears(UPGRADED);
    dockerd.say("all");
    dockerd.finish();
    client.hears("all");
    client.ends();
    for word in ["input", " after", " the end"] {
        client.say(word);
        dockerd.hears(word);
    }
    drop(client);
    dockerd.ends();
}

#[test]
fn last_words_are_delivered_though_dockerd_has_hung_up() {
    let ring = Ring::new();
    let (mut client, mut dockerd) = ring.heard(UPGRADE);
    dockerd.say(UPGRADED);
    client.hears(UPGRADED);
    let words = vec![b'x'; 150_000];
    dockerd.say(&words);
    drop(dockerd);
    // It is written to somebody who is gone.
    client.say("nobody hears this");
    client.hears(&words);
    client.ends();
}

#[test]
fn old_clients_hijack_with_200_and_without_an_upgrade() {
    let ring = Ring::new();
    let media = ["raw-stream", "multiplexed-stream"];
    for (path, media) in ["/containers/x/attach?stdin=1", "/v1.10/exec/7/start"]
        .iter()
        .zip(media)
    {
        let head = format!("POST {path} HTTP/1.1\r\nContent-Type: text/plain\r\n\r\n");
        let mut client = ring.client();
        // Said before the answer: it is input, and not the next request.
        client.say(format!("{head}GET /early"));
        let mut dockerd = ring.accept();
        dockerd.hears(&head);
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.{media}\r\n\r\nout");
        dockerd.say(&answer);
        client.hears(&answer);
        dockerd.hears("GET /early");
        client.finish();
        dockerd.ends();
        dockerd.say("more");
        client.hears("more");
    }
}

#[test]
fn websockets_and_http2_become_what_they_are() {
    let ring = Ring::new();
    let get = "GET /containers/x/attach/ws?stream=1 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let post = "POST /session HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n";
    for text in [get, post] {
        let (mut client, mut dockerd) = ring.heard(text);
        dockerd.say("HTTP/1.1 101 Switching Protocols\r\n\r\n");
        client.hears("HTTP/1.1 101 Switching Protocols\r\n\r\n");
        for byte in 0..=255 {
            client.say([byte]);
            dockerd.hears([byte]);
            dockerd.say([byte]);
            client.hears([byte]);
        }
    }
}

#[test]
fn what_is_no_request_is_for_dockerd_to_judge() {
    let ring = Ring::new();
    let long = format!(
        "GET / HTTP/1.1\r\nX-Registry-Config: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    for text in [
        "nonsense\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &long,
    ] {
        let mut client = ring.client();
        let sender = {
            let (mut client, text) = (Line::new(client.0.try_clone().unwrap()), text.to_owned());
            std::thread::spawn(move || client.say(text))
        };
        let mut dockerd = ring.accept();
        dockerd.hears(text);
        sender.join().unwrap();
        dockerd.say("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request");
        drop(dockerd);
        client.hears("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request");
        client.ends();
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_ends_the_clients() {
    let ring = Ring::new();
    let (mut client, mut dockerd) = ring.heard("GET /old HTTP/1.0\r\n\r\n");
    dockerd.say("HTTP/1.0 200 OK\r\n\r\nall of it");
    drop(dockerd);
    client.hears("HTTP/1.0 200 OK\r\n\r\nall of it");
    client.ends();
}

#[test]
fn a_client_that_is_gone_is_gone_for_dockerd() {
    let ring = Ring::new();
    // In the middle of events, of a hijacked stream, of its own request, of nothing.
    let (mut client, mut dockerd) = ring.heard("GET /events HTTP/1.1\r\n\r\n");
    dockerd.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.hears("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    drop(client);
    dockerd.ends();
    let (client, mut dockerd) =
        ring.heard("POST /images/load HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
    drop(client);
    dockerd.ends();
    let (mut client, mut dockerd) = ring.heard("GET /_ping HTTP/1.1\r\n\r\n");
    dockerd.say(OK);
    client.hears(OK);
    drop(client);
    dockerd.ends();
    let (mut client, mut dockerd) = ring.heard(UPGRADE);
    dockerd.say(UPGRADED);
    client.hears(UPGRADED);
    drop(client);
    dockerd.ends();
    // What is said to it then is refused, as if it were dockerd's own.
    eventually(|| {
        dockerd
            .0
            .write(b"x")
            .err()
            .map(|error| error.kind() == ErrorKind::BrokenPipe)
    });
}

#[test]
fn dockerd_that_hangs_up_hangs_up_on_the_client() {
    let ring = Ring::new();
    let (mut client, mut dockerd) = ring.heard("GET /_ping HTTP/1.1\r\n\r\n");
    dockerd.say(OK);
    client.hears(OK);
    drop(dockerd);
    client.ends();
    // In the middle of an answer it is the answer that is cut off.
    let (mut client, mut dockerd) = ring.heard("GET /x HTTP/1.1\r\n\r\n");
    dockerd.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    drop(dockerd);
    client.hears("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    client.ends();
}

#[test]
fn where_no_dockerd_is_one_line_says_so() {
    let ring = Ring::new();
    let socket = ring.dir.path().join("docker.sock");
    std::fs::remove_file(&socket).unwrap();
    let mut client = ring.client();
    // The connection goes on: the next time somebody may be there.
    for request in [
        "GET /_ping HTTP/1.1\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        client.say(request);
        let (head, body) = client.message();
        assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
        assert!(
            head.contains("Content-Type: application/json\r\n"),
            "{head}"
        );
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let message = body["message"].as_str().unwrap();
        let wanted = format!("cannot reach dockerd at unix://{}: ", socket.display());
        assert!(message.starts_with(&wanted), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
    let mut head = ring.client();
    head.say("HEAD /_ping HTTP/1.1\r\nConnection: close\r\n\r\n");
    head.finish();
    let mut answer = String::new();
    head.0.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\n"), "no body: {answer}");
    // One that is not whole is answered before it is.
    let mut client = ring.client();
    client.say("POST /images/load HTTP/1.1\r\nContent-Length: 9000000\r\n\r\nabc");
    let (head, _) = client.message();
    assert!(head.contains("Connection: close\r\n"), "{head}");
    client.ends();
}

#[test]
fn dockerd_that_says_nothing_is_told_of() {
    let ring = Ring::new();
    let (mut client, dockerd) = ring.heard("GET /_ping HTTP/1.1\r\n\r\n");
    drop(dockerd);
    let (head, body) = client.message();
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(body.contains("hung up without an answer"), "{body}");
    client.ends();
}

#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let ring = Ring::new();
    let head = "POST /images/load HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n";
    let (client, mut dockerd) = ring.heard(head);
    let sender = std::thread::spawn(move || {
        let mut client = client;
        let piece = vec![b'x'; 1 << 16];
        // Until nobody takes it any more.
        while client.0.write_all(&piece).is_ok() {}
        let mut answer = Vec::new();
        let _ = client.0.read_to_end(&mut answer);
        answer
    });
    let mut some = vec![0; 1 << 20];
    dockerd.0.read_exact(&mut some).unwrap();
    let no = "HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfull";
    dockerd.say(no);
    drop(dockerd);
    assert_eq!(shown(&sender.join().unwrap()), no);
}

#[test]
fn a_slow_reader_holds_dockerd_up_and_loses_nothing() {
    let ring = Ring::new();
    let (mut client, dockerd) = ring.heard("GET /images/get HTTP/1.1\r\n\r\n");
    const LENGTH: usize = 64 << 20;
    let mut dockerd = dockerd.0;
    dockerd.set_nonblocking(true).unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
    dockerd.write_all(head.as_bytes()).unwrap();
    let piece: Vec<u8> = (0..1 << 16).map(|at: u32| (at % 251) as u8).collect();
    // Nobody reads: dockerd can say as much as sockets and buffers hold, and no more.
    let mut sent = 0;
    let mut quiet = std::time::Instant::now();
    while quiet.elapsed() < Duration::from_millis(300) {
        let from = sent % piece.len();
        match dockerd.write(&piece[from..]) {
            Ok(written) => {
                sent += written;
                quiet = std::time::Instant::now();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        std::thread::yield_now();
    }
    assert!(sent < 2 << 20, "{sent} bytes are held");
    dockerd.set_nonblocking(false).unwrap();
    dockerd.set_write_timeout(Some(PATIENCE)).unwrap();
    let writer = {
        let piece = piece.clone();
        std::thread::spawn(move || {
            while sent < LENGTH {
                let from = sent % piece.len();
                let to = piece.len().min(from + LENGTH - sent);
                sent += dockerd.write(&piece[from..to]).unwrap();
            }
        })
    };
    client.hears(&head);
    let mut got = vec![0; piece.len()];
    for _ in 0..LENGTH / piece.len() {
        client.0.read_exact(&mut got).unwrap();
        assert!(got == piece, "other bytes came");
    }
    writer.join().unwrap();
}

#[test]
fn many_clients_are_served_at_once() {
    let ring = Ring::new();
    let pairs: Vec<_> = (0..200)
        .map(|number| ring.heard(&format!("GET /{number} HTTP/1.1\r\n\r\n")))
        .collect();
    for (mut client, mut dockerd) in pairs.into_iter().rev() {
        dockerd.say(OK);
        client.hears(OK);
    }
}
