//! Calls, against a real `ovsdb-server`.

mod common;

use common::{DB, PATIENCE, Server, quick};
use fairlead_ovsdb::{
    Client, Cluster, Condition, Endpoint, Endpoints, Mutation, Operation, OvsdbError, Row,
    Settings, State, Tls, Until, Value, Verification,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Makes a bridge, as it must be done: a bridge that no row names is gone at once.
fn bridge(name: &str) -> Vec<Operation> {
    vec![
        Operation::insert_as("Bridge", "br", Row::new().with("name", name)),
        Operation::mutate(
            "Open_vSwitch",
            [],
            [Mutation::insert("bridges", Value::named("br"))],
        ),
    ]
}

async fn root(client: &Client) {
    let row = Operation::insert("Open_vSwitch", Row::new());
    let made = client.transact(DB, &[row]).await;
    made.expect("the root row");
}

#[tokio::test]
async fn rows_go_in_and_come_out() {
    let server = Server::start(&[]);
    let client = server.client();
    assert!(
        client
            .list_dbs()
            .await
            .expect("names")
            .contains(&DB.to_owned())
    );
    root(&client).await;
    let results = client
        .transact(DB, &bridge("br 'ü\" $x"))
        .await
        .expect("done");
    assert_eq!(results[1].count(), 1);
    let made = results[0].uuid().expect("an identity");
    let select = Operation::select("Bridge", [Condition::eq("_uuid", made)]);
    let results = client
        .transact(
            DB,
            &[select.columns(&["_uuid", "name", "ports", "stp_enable"])],
        )
        .await
        .expect("rows");
    let row = &results[0].rows()[0];
    assert_eq!(row.text("name"), Some("br 'ü\" $x"));
    assert_eq!(row.uuid("_uuid"), Some(made));
    assert_eq!(row.boolean("stp_enable"), Some(false));
    assert_eq!(row.get("ports"), Some(&Value::none()));
    let printed = server.vsctl(&["list-br"]);
    assert_eq!(printed.trim_end(), "br 'ü\" $x");
}

#[tokio::test]
async fn an_error_says_which_operation() {
    let server = Server::start(&[]);
    let client = server.client();
    root(&client).await;
    let words = |operations: Vec<Operation>| {
        let client = client.clone();
        async move {
            let answer = client.transact(DB, &operations).await;
            answer.expect_err("an error")
        }
    };
    let mut operations = bridge("b");
    operations.push(Operation::insert("Nothing", Row::new()));
    let error = words(operations).await;
    assert!(
        matches!(&error, OvsdbError::Operation { index: 2, object, error, details: Some(details), .. }
            if object == "insert of Nothing" && error == "syntax error"
                && details.contains("No table named Nothing")),
        "{error}"
    );
    let wait = Operation::wait(
        "Bridge",
        [Condition::eq("name", "absent")],
        Until::Equal,
        vec![Row::new().with("name", "absent")],
    );
    let error = words(vec![wait, Operation::comment("never")]).await;
    assert_eq!(error.word(), Some("timed out"), "{error}");
    assert!(
        matches!(&error, OvsdbError::Operation { index: 0, .. }),
        "{error}"
    );
    assert_eq!(words(vec![Operation::Abort]).await.word(), Some("aborted"));
    let lock = Operation::Assert {
        lock: "mine".to_owned(),
    };
    assert_eq!(words(vec![lock]).await.word(), Some("not owner"));
    let error = client.transact("Other", &[]).await.expect_err("no such");
    assert_eq!(error.word(), Some("unknown database"), "{error}");
    assert!(!error.may_have_happened());
    assert_eq!(server.vsctl(&["list-br"]), "");
}

#[tokio::test]
async fn what_fails_at_the_commit_is_no_success() {
    let server = Server::start(&[]);
    let client = server.client();
    root(&client).await;
    client
        .transact(DB, &bridge("twice"))
        .await
        .expect("the first");
    let error = client
        .transact(DB, &bridge("twice"))
        .await
        .expect_err("the second");
    assert!(
        matches!(&error, OvsdbError::Commit { error, details: Some(details), .. }
            if error == "constraint violation" && details.contains("twice")),
        "{error}"
    );
    assert!(!error.may_have_happened());
}

#[tokio::test]
async fn mutations_change_sets_and_maps() {
    let server = Server::start(&[]);
    let client = server.client();
    root(&client).await;
    let change = |mutations: Vec<Mutation>| {
        let operations = [
            Operation::mutate("Open_vSwitch", [], mutations),
            Operation::select("Open_vSwitch", []).columns(&["external_ids", "iface_types"]),
        ];
        let client = client.clone();
        async move {
            let mut results = client.transact(DB, &operations).await.expect("done");
            results.remove(1).into_rows().remove(0)
        }
    };
    let ids = Value::map([("a", "1"), ("b c", "'\"")]);
    let types = Value::set(["x"]);
    let row = change(vec![
        Mutation::insert("external_ids", ids.clone()),
        Mutation::insert("iface_types", types.clone()),
    ])
    .await;
    assert_eq!(row.get("external_ids"), Some(&ids));
    assert_eq!(row.get("iface_types"), Some(&types));
    let row = change(vec![
        Mutation::delete("external_ids", Value::set(["a"])),
        Mutation::insert("iface_types", Value::set(["y", "z"])),
    ])
    .await;
    assert_eq!(row.get("external_ids"), Some(&Value::map([("b c", "'\"")])));
    assert_eq!(
        row.texts("iface_types").collect::<Vec<_>>(),
        ["x", "y", "z"]
    );
}

#[tokio::test]
async fn the_schema_tells_what_is_missing() {
    let server = Server::start(&[]);
    let schema = server.client().get_schema(DB).await.expect("a schema");
    let bridge = &schema.tables["Bridge"];
    assert!(!bridge.is_root && schema.tables["Open_vSwitch"].is_root);
    assert_eq!(bridge.indexes, [BTreeSet::from(["name".to_owned()])]);
    assert_eq!(schema.tables["Open_vSwitch"].max_rows, Some(1));
    let ports = &bridge.columns["ports"].kind;
    assert_eq!(ports.key.table.as_deref(), Some("Port"));
    assert!(ports.is_composite());
    let error = schema
        .require(&[
            ("Bridge", &["name", "colour"]),
            ("Nuage_VM_Table", &["vm_uuid"]),
        ])
        .expect_err("missing");
    let words = error.to_string();
    assert!(
        words.contains("lacks column Bridge.colour, table Nuage_VM_Table"),
        "{words}"
    );
}

#[tokio::test]
async fn a_hundred_at_once_are_all_done_once() {
    let server = Server::start(&["--remote=ptcp:0:127.0.0.1"]);
    let mut server = server;
    let endpoint: Endpoint = format!("tcp:127.0.0.1:{}", server.port())
        .parse()
        .expect("it");
    // Fewer places than calls: the rest waits its turn.
    let settings = Settings {
        max_waiting: 7,
        ..quick()
    };
    let client = Client::new(endpoint, settings).expect("a client");
    root(&client).await;
    let tasks: Vec<_> = (0..100)
        .map(|i| {
            let client = client.clone();
            tokio::spawn(async move { client.transact(DB, &bridge(&format!("br{i:03}"))).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task").expect("a bridge");
    }
    let expected: Vec<String> = (0..100).map(|i| format!("br{i:03}")).collect();
    let found = server.vsctl(&["list-br"]);
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn calls_wait_for_the_server_and_only_so_long() {
    let mut server = Server::start(&[]);
    let client = server.client();
    root(&client).await;
    server.kill();
    let short = client.with_limit(Duration::from_millis(50));
    let error = short.transact(DB, &bridge("b")).await.expect_err("nobody");
    let words = error.to_string();
    assert!(!error.may_have_happened(), "{words}");
    assert!(words.contains(&server.endpoint().to_string()), "{words}");
    assert!(words.contains("within 50ms"), "{words}");
    assert!(words.contains("onnect"), "{words}");
    assert!(short.ready().await.is_err());

    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.transact(DB, &bridge("waited")).await })
    };
    server.run();
    waiting.await.expect("a task").expect("a bridge");
    assert_eq!(server.vsctl(&["list-br"]), "waited\n");
}

#[tokio::test]
async fn of_several_servers_the_one_that_is_there_is_used() {
    let server = Server::start(&[]);
    let list = format!("unix:/nowhere/db.sock,{}", server.endpoint());
    let list: Endpoints = list.parse().expect("a list");
    let client = Client::new(list, quick()).expect("a client");
    client.ready().await.expect("a connection");
    let state = client.state().borrow().clone();
    let expected = server.endpoint().to_string();
    assert!(
        matches!(&state, State::Connected { endpoint } if *endpoint == expected),
        "{state:?}"
    );
}

fn of_cluster(database: &str, leader_only: bool) -> Settings {
    Settings {
        cluster: Some(Cluster {
            database: database.to_owned(),
            leader_only,
        }),
        ..quick()
    }
}

#[tokio::test]
async fn a_leader_and_a_server_without_a_cluster_are_good_enough() {
    for server in [Server::start_clustered(), Server::start(&[])] {
        let client = Client::new(server.endpoint(), of_cluster(DB, true)).expect("a client");
        client.ready().await.expect("a leader");
        root(&client).await;
    }
    let server = Server::start(&[]);
    let client = Client::new(server.endpoint(), of_cluster("Other", false)).expect("a client");
    let client = client.with_limit(Duration::from_millis(300));
    let error = client.ready().await.expect_err("no such database");
    assert!(error.to_string().contains("no database Other"), "{error}");
}

/// An authority; its certificate is in `NAME.pem`, what it signs in `NAME-cert.pem` and
/// `NAME-key.pem`.
fn authority(dir: &Path, name: &str, host: &str) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let mut params = CertificateParams::new(vec![host.to_owned()]).expect("names");
    params.distinguished_name.push(DnType::CommonName, host);
    let key = KeyPair::generate().expect("a key");
    let signed = params.signed_by(&key, &issuer).expect("a certificate");
    let write = |file: String, text: String| fs::write(dir.join(file), text).expect("a file");
    write(format!("{name}.pem"), issuer.pem());
    write(format!("{name}-cert.pem"), signed.pem());
    write(format!("{name}-key.pem"), key.serialize_pem());
}

async fn tls_words(server: &Server, port: u16, verification: Verification, own: bool) -> String {
    let settings = Settings {
        tls: Some(Tls {
            verification,
            identity: own.then(|| (server.path("good-cert.pem"), server.path("good-key.pem"))),
        }),
        ..quick()
    };
    let endpoint: Endpoint = format!("ssl:127.0.0.1:{port}").parse().expect("it");
    let client = Client::new(endpoint, settings).expect("a client");
    let client = client.with_limit(Duration::from_millis(500));
    match client.list_dbs().await {
        Ok(names) => names.join(" "),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn tls_checks_what_it_is_told_to() {
    let mut server = Server::start(&[]);
    server.kill();
    let dir = server.dir.path().to_owned();
    authority(&dir, "good", "elsewhere.example");
    authority(&dir, "bad", "127.0.0.1");
    let file = |name: &str| dir.join(name);
    for (option, name) in [
        ("private-key", "good-key.pem"),
        ("certificate", "good-cert.pem"),
        ("ca-cert", "good.pem"),
    ] {
        server.option(format!("--{option}={}", file(name).display()));
    }
    server.option("--remote=pssl:0:127.0.0.1".to_owned());
    server.run();
    let port = server.port();
    let patient = PATIENCE;
    let authority_only = Verification::Authority(file("good.pem"));
    // Certificates, TLS and the server need a moment on a busy machine.
    let begun = tokio::time::Instant::now();
    let mut words = String::new();
    while begun.elapsed() < patient && !words.contains(DB) {
        words = tls_words(&server, port, authority_only.clone(), true).await;
    }
    assert_eq!(words, format!("{DB} _Server"));
    let words = tls_words(&server, port, Verification::Nothing, true).await;
    assert_eq!(words, format!("{DB} _Server"));
    let words = tls_words(&server, port, Verification::Full(file("good.pem")), true).await;
    assert!(words.contains("not valid for name"), "{words}");
    let words = tls_words(
        &server,
        port,
        Verification::Authority(file("bad.pem")),
        true,
    )
    .await;
    assert!(
        words.contains("no TLS") && words.contains("certificate"),
        "{words}"
    );
    let words = tls_words(&server, port, authority_only, false).await;
    assert!(!words.contains("_Server"), "{words}");
}

#[tokio::test]
async fn tls_without_its_files_says_so_at_once() {
    let endpoint: Endpoint = "ssl:localhost:6640".parse().expect("it");
    let error = Client::new(endpoint.clone(), quick()).expect_err("no settings");
    assert!(
        error.to_string().contains("ssl:localhost:6640 wants it"),
        "{error}"
    );
    let settings = Settings {
        tls: Some(Tls {
            verification: Verification::Full("/nowhere/ca.pem".into()),
            identity: None,
        }),
        ..quick()
    };
    let error = Client::new(endpoint, settings).expect_err("no file");
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}
