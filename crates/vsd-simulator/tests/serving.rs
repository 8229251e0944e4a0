//! What the simulator does beside what the judge asks for: faults, keys that expire, being
//! away, and many clients.
#![forbid(unsafe_code)]

mod client;

use client::{Client, container, options, subnet};
use fairlead_vsd_simulator::{Body, Drop, Fault, Kind, Options, Protection, Simulator, Strictness};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn started(options: Options) -> Simulator {
    Simulator::start(options).await.expect("a simulator")
}

/// A fault of every POST to `/containers`.
fn at_posts(fault: Fault) -> Fault {
    Fault {
        method: Some("POST".to_owned()),
        path: Some("^/containers$".to_owned()),
        ..fault
    }
}

#[tokio::test]
async fn a_status_comes_as_often_as_asked_and_nothing_is_done() {
    let simulator = started(options()).await;
    let client = Client::logged_in(&simulator).await;
    let subnet = subnet(&simulator);
    let fault = Fault {
        status: Some(503),
        times: Some(2),
        ..Fault::default()
    };
    simulator.fault(at_posts(fault)).unwrap();
    let post = || async {
        let body = container(1, &subnet, None);
        client.ask("POST", "/containers", &body).await.unwrap()
    };
    for _ in 0..2 {
        let answer = post().await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("content-type"), Some("text/html"));
        assert_eq!(simulator.state(Kind::Container).len(), 0);
        let other = client.ask("GET", "/containers", "").await.unwrap();
        assert_eq!(other.status, 200);
    }
    assert_eq!(post().await.status, 201);
    let noted = simulator.requests();
    let faults = noted.iter().filter(|one| one["fault"] == true);
    assert_eq!(faults.count(), 2);
}

#[tokio::test]
async fn a_connection_is_closed_before_or_after_the_work() {
    let simulator = started(options()).await;
    let client = Client::logged_in(&simulator).await;
    let subnet = subnet(&simulator);
    for (drop, wanted) in [(Drop::Before, 0), (Drop::After, 1)] {
        let fault = Fault {
            drop: Some(drop),
            times: Some(1),
            ..Fault::default()
        };
        simulator.fault(at_posts(fault)).unwrap();
        let body = container(1, &subnet, None);
        let error = client.ask("POST", "/containers", &body).await.unwrap_err();
        let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
        assert!(closed.contains(&error.kind()), "{error}");
        assert_eq!(simulator.state(Kind::Container).len(), wanted, "{drop:?}");
    }
    // The client that asks again learns that the first one has been heard.
    let body = container(1, &subnet, None);
    let again = client.ask("POST", "/containers", &body).await.unwrap();
    assert_eq!(again.status, 409);
    assert_eq!(again.json()["internalErrorCode"], 2748);
}

#[tokio::test]
async fn a_request_can_be_done_and_told_otherwise() {
    let simulator = started(options()).await;
    let client = Client::logged_in(&simulator).await;
    let fault = Fault {
        status: Some(500),
        times: Some(1),
        done: true,
        ..Fault::default()
    };
    simulator.fault(at_posts(fault)).unwrap();
    let body = container(1, &subnet(&simulator), None);
    let answer = client.ask("POST", "/containers", &body).await.unwrap();
    assert_eq!(answer.status, 500);
    assert_eq!(simulator.state(Kind::Container).len(), 1);
}

#[tokio::test]
async fn what_is_delayed_is_done_without_the_client_too() {
    let simulator = started(options()).await;
    let client = Client::logged_in(&simulator).await;
    let subnet = subnet(&simulator);
    let fault = Fault {
        delay_ms: 50,
        times: Some(1),
        ..Fault::default()
    };
    simulator.fault(at_posts(fault)).unwrap();
    let (impatient, body) = (client.clone(), container(1, &subnet, None));
    let asking = tokio::spawn(async move { impatient.ask("POST", "/containers", &body).await });
    // The fault is taken when the request has come.
    while simulator.faults_left() > 0 {
        tokio::task::yield_now().await;
    }
    asking.abort();
    let limit = Duration::from_secs(60);
    let is_made = async {
        while simulator.state(Kind::Container).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(limit, is_made)
        .await
        .expect("a container");
}

#[tokio::test]
async fn bodies_are_spoilt() {
    let simulator = started(options()).await;
    let client = Client::logged_in(&simulator).await;
    let path = "/enterprises";
    let spoilt = |body| Fault {
        body: Some(body),
        times: Some(1),
        ..Fault::default()
    };
    simulator.fault(spoilt(Body::Empty)).unwrap();
    let answer = client.ask("GET", path, "").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("content-length"), Some("0"));
    simulator.fault(spoilt(Body::Garbage)).unwrap();
    let answer = client.ask("GET", path, "").await.unwrap();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(serde_json::from_str::<Value>(&answer.body).is_err());
    simulator.fault(spoilt(Body::Html)).unwrap();
    let answer = client.ask("GET", path, "").await.unwrap();
    assert!(answer.body.starts_with("<html>"), "{answer:?}");
    let answer = client.ask("GET", path, "").await.unwrap();
    assert_eq!(answer.json()[0]["name"], "E");
}

#[tokio::test]
async fn a_question_is_asked_until_it_is_answered() {
    let simulator = started(options()).await;
    let client = Client::logged_in(&simulator).await;
    let body = container(1, &subnet(&simulator), None);
    let id = client.ask("POST", "/containers", &body).await.unwrap().id();
    let fault = Fault {
        ask: true,
        ..Fault::default()
    };
    simulator.fault(fault).unwrap();
    let path = format!("/containers/{id}");
    let asked = client.ask("DELETE", &path, "").await.unwrap();
    assert_eq!(asked.status, 300);
    assert_eq!(asked.json()["choices"][0]["id"], 1);
    assert_eq!(simulator.state(Kind::Container).len(), 1);
    let chosen = format!("{path}?responseChoice=1");
    let done = client.ask("DELETE", &chosen, "").await.unwrap();
    assert_eq!(done.status, 204);
    assert_eq!(simulator.state(Kind::VPort).len(), 0);
}

#[tokio::test]
async fn keys_are_the_same_until_they_expire() {
    let simulator = started(options()).await;
    let mut client = Client::logged_in(&simulator).await;
    let first = client.secret.clone();
    client.log_in().await;
    assert_eq!(client.secret, first);
    client.scheme = "Basic";
    let get = |client: Client| async move { client.ask("GET", "/users", "").await.unwrap() };
    assert_eq!(get(client.clone()).await.status, 200);
    simulator.expire_keys();
    let refused = get(client.clone()).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("content-type"), Some("text/html"));
    let realm = refused.header("www-authenticate");
    assert_eq!(realm, Some("BASIC realm=\"application\""));
    client.log_in().await;
    assert_ne!(client.secret, first);
    assert_eq!(get(client.clone()).await.status, 200);
    // A password opens nothing but the login.
    client.secret = "csproot".to_owned();
    assert_eq!(get(client.clone()).await.status, 401);
}

#[tokio::test]
async fn a_key_dies_of_age() {
    let simulator = started(Options {
        key_life: Duration::ZERO,
        ..options()
    })
    .await;
    let client = Client::logged_in(&simulator).await;
    let answer = client.ask("GET", "/enterprises", "").await.unwrap();
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn an_organization_must_fit() {
    let simulator = started(options()).await;
    let mut client = Client::logged_in(&simulator).await;
    client.headers.clear();
    let none = client.ask("GET", "/enterprises", "").await.unwrap();
    let other = client.with("X-Nuage-Organization", "E");
    let other = other.ask("GET", "/enterprises", "").await.unwrap();
    assert_eq!((none.status, other.status), (401, 401));
}

#[tokio::test]
async fn who_is_down_refuses_and_comes_back_as_before() {
    let simulator = started(options()).await;
    let client = Client::logged_in(&simulator).await;
    let mut kept = TcpStream::connect(&client.address).await.unwrap();
    let on_kept = client.ask_on(&mut kept, "GET", "/enterprises", "null", "keep-alive");
    assert_eq!(on_kept.await.unwrap().status, 200);
    let waits = Fault {
        path: Some("^/zones$".to_owned()),
        delay_ms: 3_600_000,
        ..Fault::default()
    };
    simulator.fault(waits).unwrap();
    let waiter = client.clone();
    let waiter = tokio::spawn(async move { waiter.ask("GET", "/zones", "").await });
    // Another one is served while that one waits.
    let served = client.ask("GET", "/enterprises", "").await.unwrap();
    assert_eq!(served.status, 200);
    assert!(!waiter.is_finished());
    simulator.set_down(true).await;
    let refused = client.ask("GET", "/enterprises", "").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    waiter.await.unwrap().expect_err("its connection is closed");
    let on_kept = client.ask_on(&mut kept, "GET", "/enterprises", "", "close");
    on_kept.await.expect_err("the kept connection is closed");
    for _ in 0..2 {
        simulator.set_down(false).await;
    }
    let back = client.ask("GET", "/enterprises", "").await.unwrap();
    assert_eq!(back.json()[0]["name"], "E");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_get_an_address_each() {
    let simulator = started(options()).await;
    let client = Client::logged_in(&simulator).await;
    let subnet = subnet(&simulator);
    let mut tasks = Vec::new();
    for number in 0..100 {
        let (client, subnet) = (client.clone(), subnet.clone());
        tasks.push(tokio::spawn(async move {
            let body = container(number, &subnet, None);
            let made = client.ask("POST", "/containers", &body).await.unwrap();
            assert_eq!(made.status, 201, "{made:?}");
            let address = made.json()[0]["interfaces"][0]["IPAddress"].clone();
            let path = format!("/containers/{}", made.id());
            let seen = client.ask("GET", &path, "").await.unwrap().json();
            assert_eq!(seen[0]["interfaces"][0]["IPAddress"], address);
            // Of those who want the same address one gets it.
            let body = container(1000 + number, &subnet, Some("10.21.59.200"));
            let fixed = client.ask("POST", "/containers", &body).await.unwrap();
            (address.to_string(), fixed.status, path)
        }));
    }
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.unwrap());
    }
    let addresses: BTreeSet<&String> = seen.iter().map(|(address, ..)| address).collect();
    assert_eq!(addresses.len(), 100);
    assert_eq!(
        seen.iter().filter(|(_, status, _)| *status == 201).count(),
        1
    );
    assert_eq!(
        seen.iter().filter(|(_, status, _)| *status == 409).count(),
        99
    );
    let deletes = seen.into_iter().map(|(_, _, path)| {
        let client = client.clone();
        tokio::spawn(async move { client.ask("DELETE", &path, "").await.unwrap().status })
    });
    for delete in deletes.collect::<Vec<_>>() {
        assert_eq!(delete.await.unwrap(), 204);
    }
    assert_eq!(simulator.state(Kind::Container).len(), 1);
    assert_eq!(simulator.state(Kind::VPort).len(), 1);
}

#[tokio::test]
async fn stricter_rules_hold_when_asked_for() {
    let simulator = started(options()).await;
    let client = Client::logged_in(&simulator).await;
    let subnet = subnet(&simulator);
    let body = container(1, &subnet, None);
    let made = client.ask("POST", "/containers", &body).await.unwrap();
    let path = format!("/containers/{}", made.id());
    let same = made.json()[0].to_string();
    let mut namesake: Value = serde_json::from_str(&container(2, &subnet, None)).unwrap();
    namesake["name"] = made.json()[0]["name"].clone();
    let namesake = namesake.to_string();
    assert_eq!(client.ask("PUT", &path, &same).await.unwrap().status, 204);
    simulator.set_strictness(Strictness {
        refuse_unchanged: true,
        unique_container_names: true,
    });
    let refused = client.ask("PUT", &path, &same).await.unwrap();
    assert_eq!(refused.status, 409);
    assert_eq!(refused.json()["internalErrorCode"], 2039);
    let refused = client.ask("POST", "/containers", &namesake).await.unwrap();
    assert_eq!(refused.json()["internalErrorCode"], 2510);
    simulator.set_strictness(Strictness::default());
    let taken = client.ask("POST", "/containers", &namesake).await.unwrap();
    assert_eq!(taken.status, 201);
}

#[tokio::test]
async fn any_name_is_found_and_its_filter_echoed() {
    let simulator = started(options()).await;
    let name = "Büro \"2\" \\ 'ж'";
    simulator.seed(&json!({name: {}})).unwrap();
    let client = Client::logged_in(&simulator).await;
    let filter = format!(
        "name == \"{}\"",
        name.replace('\\', r"\\").replace('"', "\\\"")
    );
    let client = client.with("X-Nuage-Filter", &filter);
    let found = client.ask("GET", "/enterprises", "").await.unwrap();
    assert_eq!(found.header("x-nuage-filter"), Some(filter.as_str()));
    assert_eq!(found.header("x-nuage-count"), Some("1"));
    assert_eq!(found.header("x-nuage-page"), Some("-1"));
    assert_eq!(found.header("x-nuage-pagesize"), Some("50"));
    assert_eq!(found.header("x-nuage-orderby"), Some("name ASC"));
    assert_eq!(found.json()[0]["name"], name);
}

#[tokio::test]
async fn the_log_says_who_asked_how_and_no_secret() {
    let simulator = started(options()).await;
    let client = Client::logged_in(&simulator).await;
    let client = client
        .with("X-Nuage-ProxyUser", "ann@E")
        .with("X-Nuage-Filter", "name == 'E'")
        .with("X-Nuage-Page", "0");
    client.ask("GET", "/enterprises", "").await.unwrap();
    let noted = simulator.requests();
    let (login, list) = (&noted[0], &noted[1]);
    assert_eq!(
        (&login["path"], &login["authorization"]),
        (&json!("/me"), &json!("password"))
    );
    for (key, value) in [
        ("method", json!("GET")),
        ("path", json!("/enterprises")),
        ("filter", json!("name == 'E'")),
        ("page", json!("0")),
        ("status", json!(200)),
        ("scheme", json!("XREST")),
        ("authorization", json!("key")),
        ("organization", json!("csp")),
        ("proxy_user", json!("ann@E")),
    ] {
        assert_eq!(list[key], value, "{key}");
    }
    let text = json!(noted).to_string();
    assert!(
        !text.contains("csproot") && !text.contains(&client.secret),
        "{text}"
    );
}

#[tokio::test]
async fn a_certificate_that_is_given_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["vsd.test".to_owned()]).unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let simulator = started(Options {
        protection: Protection::Files { cert, key },
        ..options()
    })
    .await;
    assert_eq!(simulator.ca_pem(), None);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let address = simulator.url().strip_prefix("https://").expect("TLS");
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "vsd.test".try_into().unwrap();
    let mut stream = connector.connect(name, stream).await.expect("trust");
    let question = b"GET /nuage/api/v6/me HTTP/1.0\r\n\r\n";
    stream.write_all(question).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.0 401");
}
