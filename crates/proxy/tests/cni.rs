//! What is changed for containers on CNI networks, and that nothing else is.

#[allow(dead_code, reason = "helpers of several tests")]
mod ring;

use fairlead_proxy::{Attached, Flags, Places, PlacesError};
use ring::{Line, Ring, accept, eventually, settings};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Records of the test's own.
#[derive(Default)]
struct Records {
    attached: Mutex<BTreeMap<String, Vec<Attached>>>,
    /// What was done, a word each.
    done: Mutex<Vec<String>>,
}

impl Records {
    fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }

    fn with(id: &str) -> Arc<Self> {
        let records = Self::default();
        let one = Attached {
            network: "back".to_owned(),
            ifname: "eth0".to_owned(),
            addresses: vec!["10.60.0.7/24".parse().unwrap()],
            gateways: Vec::new(),
            mac: None,
            ports: Vec::new(),
        };
        records
            .attached
            .lock()
            .unwrap()
            .insert(id.to_owned(), vec![one]);
        Arc::new(records)
    }
}

impl Places for Records {
    fn networks(&self) -> Result<BTreeSet<String>, PlacesError> {
        Ok(["back".to_owned()].into())
    }

    fn attached(&self) -> Result<BTreeMap<String, Vec<Attached>>, PlacesError> {
        Ok(self.attached.lock().unwrap().clone())
    }

    fn removed(&self, id: &str) -> Result<(), PlacesError> {
        self.done.lock().unwrap().push(format!("removed {id}"));
        match id {
            "bad" => Err("the disk is full".into()),
            _ => Ok(()),
        }
    }

    fn reconcile(&self) -> Result<Vec<String>, PlacesError> {
        self.done.lock().unwrap().push("reconciled".to_owned());
        Ok(Vec::new())
    }
}

/// A proxy with CNI on, and the connection on which it follows dockerd's events.
fn ring(records: &Arc<Records>) -> (Ring, Line) {
    let flags = Flags::default().with("BARREL_ENABLE_CNI", Some("1".to_owned()));
    let ring = Ring::with(flags, Some(records.clone()));
    let mut events = ring.accept();
    follows(&mut events);
    eventually(|| {
        records
            .done()
            .contains(&"reconciled".to_owned())
            .then_some(())
    });
    (ring, events)
}

fn follows(events: &mut Line) {
    let (head, _) = events.message();
    assert!(head.starts_with("GET /events?filters="), "{head}");
    events.say("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n");
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: docker\r\nX-Odd:  1\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

const CREATED: &str = "HTTP/1.1 201 Created\r\nContent-Length: 12\r\n\r\n{\"Id\":\"abc\"}";

#[test]
fn a_container_on_a_cni_network_is_created_for_the_runtime() {
    let (ring, _events) = ring(&Records::with("abc"));
    let mut client = ring.client();
    let body = r#"{"Big":18446744073709551616,"HostConfig":{"NetworkMode":"back"}}"#;
    client.say(post("/v1.43/containers/create?name=x", body));
    let mut dockerd = ring.accept();
    let (head, new) = dockerd.message();
    assert!(
        head.starts_with(
            "POST /v1.43/containers/create?name=x HTTP/1.1\r\nHost: docker\r\nX-Odd:  1\r\n"
        ),
        "{head}"
    );
    assert!(new.starts_with(r#"{"Big":18446744073709551616,"#), "{new}");
    let new: Value = serde_json::from_str(&new.replace("18446744073709551616", "0")).unwrap();
    assert_eq!(new["HostConfig"]["NetworkMode"], "none");
    assert_eq!(new["HostConfig"]["Annotations"]["eru.cni/network"], "back");
    dockerd.say(CREATED);
    client.hears(CREATED);
    // The connection serves on.
    client.say("GET /_ping HTTP/1.1\r\n\r\n");
    dockerd.hears("GET /_ping HTTP/1.1\r\n\r\n");
}

#[test]
fn any_other_container_is_created_as_it_was_said() {
    let (ring, _events) = ring(&Records::with("abc"));
    for text in [
        post("/v1.43/containers/create", r#"{"HostConfig": {"NetworkMode":"other"} , "X":1.0}"#),
        post("/containers/create", "nonsense"),
        "POST /v1.43/containers/create HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n".to_owned(),
    ] {
        let (mut client, mut dockerd) = ring.heard(&text);
        dockerd.say(CREATED);
        client.hears(CREATED);
    }
}

#[test]
fn a_path_without_a_version_means_dockerds_own() {
    let (ring, _events) = ring(&Records::with("abc"));
    let body = r#"{"HostConfig":{"NetworkMode":"back"}}"#;
    let mut client = ring.client();
    for asks in [true, false] {
        client.say(post("/containers/create", body));
        if asks {
            let mut create = ring.accept();
            let mut version = ring.accept();
            let (head, _) = version.message();
            assert!(head.starts_with("GET /version HTTP/1.0\r\n"), "{head}");
            version.say("HTTP/1.0 200 OK\r\n\r\n{\"ApiVersion\":\"1.41\"}");
            drop(version);
            let (_, new) = create.message();
            assert!(
                new.contains("\"Labels\":{\"eru.cni/network\":\"back\""),
                "{new}"
            );
            create.say(CREATED);
            client.hears(CREATED);
            client = ring.client();
        } else {
            // It was asked once.
            let (_, new) = ring.accept().message();
            assert!(new.contains("\"Labels\""), "{new}");
        }
    }
}

#[test]
fn a_client_that_waits_for_100_gets_it_from_the_proxy() {
    let (ring, _events) = ring(&Records::with("abc"));
    let mut client = ring.client();
    let body = r#"{"HostConfig":{"NetworkMode":"back"}}"#;
    let length = body.len();
    client.say(format!("POST /v1.43/containers/create HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"));
    client.hears("HTTP/1.1 100 Continue\r\n\r\n");
    client.say(body);
    let (head, _) = ring.accept().message();
    assert!(!head.contains("Expect"), "{head}");
}

#[test]
fn what_cannot_be_had_is_answered_here() {
    let (ring, _events) = ring(&Records::with("abc"));
    let mut client = ring.client();
    let link = r#"{"HostConfig":{"NetworkMode":"back","Links":["a"]}}"#;
    let cases = [
        (
            post("/v1.43/containers/create", link),
            "400 Bad Request",
            "--link",
        ),
        (
            post("/networks/back/connect", "{}"),
            "501 ",
            "docker run --network back",
        ),
        (
            post("/v1.43/networks/back/disconnect", "{}"),
            "501 ",
            "until it is removed",
        ),
    ];
    for (text, status, word) in cases {
        client.say(text);
        let (head, body) = client.message();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["message"].as_str().unwrap().contains(word), "{body}");
    }
    client.say("POST /v1.43/containers/create HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n");
    let (head, body) = client.message();
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    assert!(body.contains("4 MiB"), "{body}");
    client.ends();
    // Other networks are Docker's.
    ring.accept().ends();
    let text = post("/networks/other/connect", "{}");
    let (mut client, mut dockerd) = ring.heard(&text);
    dockerd.say("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    client.hears("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

/// An answer with a body of JSON, in chunks.
fn chunked(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Odd:  1\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
    )
}

#[test]
fn answers_about_others_are_as_dockerd_said_them() {
    let (ring, _events) = ring(&Records::with("abc"));
    for (path, body) in [
        ("/containers/json", r#"[{"Id":"other", "X": 1.0}]"#),
        (
            "/v1.41/containers/other/json",
            r#"{"Id":"other", "X": 1.0}"#,
        ),
        ("/v1.41/containers/other/json", "nonsense"),
    ] {
        let (mut client, mut dockerd) = ring.heard(&format!("GET {path} HTTP/1.1\r\n\r\n"));
        let answer = chunked(body);
        dockerd.say(&answer);
        client.hears(&answer);
    }
    // Not JSON, and one that says no.
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n[]",
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let (mut client, mut dockerd) = ring.heard("GET /containers/x/json HTTP/1.1\r\n\r\n");
        dockerd.say(answer);
        client.hears(answer);
    }
}

#[test]
fn answers_about_containers_on_cni_networks_say_where_they_are() {
    let (ring, _events) = ring(&Records::with("abc"));
    let (mut client, mut dockerd) = ring.heard("GET /containers/x/json HTTP/1.1\r\n\r\n");
    let body = json!({"Id": "abc", "State": {"Running": true}, "Config": {}, "NetworkSettings": {},
        "HostConfig": {"NetworkMode": "none"}});
    dockerd.say(chunked(&body.to_string()));
    let (head, new) = client.message();
    assert!(
        head.contains("X-Odd:  1\r\n") && !head.contains("chunked"),
        "{head}"
    );
    let new: Value = serde_json::from_str(&new).unwrap();
    assert_eq!(
        new["NetworkSettings"]["Networks"]["back"]["IPAddress"],
        "10.60.0.7"
    );
    client.say("GET /containers/json HTTP/1.1\r\n\r\n");
    dockerd.hears("GET /containers/json HTTP/1.1\r\n\r\n");
    let body = json!([{"Id": "abc", "State": "running", "HostConfig": {"NetworkMode": "none"}}]);
    dockerd.say(chunked(&body.to_string()));
    let (_, new) = client.message();
    let new: Value = serde_json::from_str(&new).unwrap();
    assert_eq!(
        new[0]["NetworkSettings"]["Networks"]["back"]["IPAddress"],
        "10.60.0.7"
    );
}

#[test]
fn a_list_is_passed_on_as_it_comes_where_no_container_is_on_a_cni_network() {
    let (ring, _events) = ring(&Arc::default());
    let (mut client, mut dockerd) = ring.heard("GET /containers/json HTTP/1.1\r\n\r\n");
    let begin = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n";
    dockerd.say(begin);
    client.hears(begin);
}

#[test]
fn what_a_container_had_is_free_before_the_client_hears_of_its_end() {
    let records = Records::with("abc");
    let (ring, _events) = ring(&records);
    for (status, id, released) in [
        (204, "abc", true),
        (404, "gone", true),
        (409, "busy", false),
        (204, "bad", true),
    ] {
        let mut client = ring.client();
        let text = "DELETE /v1.41/containers/web?force=1 HTTP/1.1\r\n\r\n";
        client.say(text);
        let mut dockerd = ring.accept();
        let mut asks = ring.accept();
        let (head, _) = asks.message();
        assert!(
            head.starts_with("GET /containers/web/json HTTP/1.0\r\n"),
            "{head}"
        );
        asks.say(format!("HTTP/1.0 200 OK\r\n\r\n{{\"Id\":\"{id}\"}}"));
        drop(asks);
        dockerd.hears(text);
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        dockerd.say(&answer);
        client.hears(&answer);
        assert_eq!(
            records.done().contains(&format!("removed {id}")),
            released,
            "{id}"
        );
    }
    let (mut client, mut dockerd) = ring.heard(&post("/containers/prune", ""));
    let answer = chunked(r#"{"ContainersDeleted":["p1","p2"],"SpaceReclaimed":0}"#);
    dockerd.say(&answer);
    client.hears(&answer);
    let done = records.done();
    assert!(
        done.ends_with(&["removed p1".to_owned(), "removed p2".to_owned()]),
        "{done:?}"
    );
}

#[test]
fn events_are_followed_again_after_dockerd_was_away() {
    let records = Records::with("abc");
    let (ring, mut events) = ring(&records);
    events.say("{\"Type\":\"container\",\"Action\":\"destroy\",\"Actor\":{\"ID\":\"one\"}}\n");
    eventually(|| {
        records
            .done()
            .contains(&"removed one".to_owned())
            .then_some(())
    });
    let before = records.done();
    // It goes, and comes back at the same place.
    let socket = ring.dir.path().join("docker.sock");
    std::fs::remove_file(&socket).unwrap();
    drop(events);
    assert_eq!(records.done(), before, "nothing is released meanwhile");
    let again = UnixListener::bind(&socket).unwrap();
    let mut events = Line::new(accept(&again));
    follows(&mut events);
    eventually(|| (records.done().len() > before.len()).then_some(()));
    assert_eq!(records.done().last().unwrap(), "reconciled");
    events.say("{\"Type\":\"container\",\"Action\":\"destroy\",\"Actor\":{\"ID\":\"two\"}}\n");
    eventually(|| {
        records
            .done()
            .contains(&"removed two".to_owned())
            .then_some(())
    });
}

#[test]
fn without_cni_new_containers_are_dockers_and_old_ones_are_looked_after() {
    let records = Records::with("abc");
    let ring = Ring::with(Flags::default(), Some(records.clone()));
    follows(&mut ring.accept());
    follows(&mut ring.accept());
    let create = post(
        "/v1.43/containers/create",
        r#"{"HostConfig":{"NetworkMode":"back"}}"#,
    );
    for text in [create, post("/networks/back/connect", "{}")] {
        let (mut client, mut dockerd) = ring.heard(&text);
        dockerd.say(CREATED);
        client.hears(CREATED);
    }
    drop(ring);
}

#[test]
fn settings_are_changed_while_clients_are_connected_and_the_end_waits_for_them() {
    let mut ring = Ring::new();
    let (mut idle, mut dockerd) = ring.heard("GET /_ping HTTP/1.1\r\n\r\n");
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
    dockerd.say(ok);
    idle.hears(ok);
    let (mut busy, mut of_busy) = ring.heard("GET /slow HTTP/1.1\r\n\r\n");
    let mut proxy = ring.proxy.take().unwrap();
    let other = settings(
        &ring.dir,
        Flags::default().with("BARREL_BUFFER_SIZE", Some("8192".to_owned())),
    );
    ring.runtime.block_on(proxy.reload(&other, None)).unwrap();
    idle.say("GET /_ping HTTP/1.1\r\n\r\n");
    dockerd.hears("GET /_ping HTTP/1.1\r\n\r\n");
    dockerd.say(ok);
    idle.hears(ok);
    let stopped = ring.runtime.spawn(proxy.stop(Duration::from_secs(60)));
    // Who asks nothing is let go at once.
    idle.ends();
    assert!(!stopped.is_finished());
    of_busy.say(ok);
    busy.hears(ok);
    busy.ends();
    ring.runtime.block_on(stopped).unwrap();
    assert!(!ring.socket().exists());
}
