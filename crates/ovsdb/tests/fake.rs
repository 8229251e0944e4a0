//! Servers that misbehave, die in between, or are old.

mod common;

use common::{Fake, FakeLink, next, quick};
use fairlead_ovsdb::{
    Client, Cluster, Condition, Endpoints, MonitorPlan, Operation, Origin, OvsdbError, Settings,
    State, TablePlan,
};
use serde_json::{Value as Json, json};
use std::time::Duration;

fn settings() -> Settings {
    Settings {
        probe: Duration::from_millis(100),
        ..quick()
    }
}

fn spawn_transact(client: &Client) -> tokio::task::JoinHandle<Result<usize, OvsdbError>> {
    let client = client.clone();
    tokio::spawn(async move {
        let done = client.transact("DB", &[Operation::comment("once")]).await;
        done.map(|results| results.len())
    })
}

/// Says this instead of an answer to a transaction, and closes.
async fn unanswered(words: &[u8]) -> String {
    let fake = Fake::new();
    let client = Client::new(fake.endpoint(), settings()).expect("a client");
    let call = spawn_transact(&client);
    let mut link = fake.accept().await;
    link.asked("transact").await;
    link.say(words).await;
    drop(link);
    let error = call.await.expect("a task").expect_err("no answer");
    assert!(error.may_have_happened(), "{error}");
    // It comes back, and does not say it again.
    let mut link = fake.accept().await;
    let listing = {
        let client = client.clone();
        tokio::spawn(async move { client.list_dbs().await })
    };
    let request = link.asked("list_dbs").await;
    link.answer(&request, json!(["DB"])).await;
    assert_eq!(listing.await.expect("a task").expect("names"), ["DB"]);
    error.to_string()
}

#[tokio::test]
async fn an_answer_that_was_lost_is_no_failure_and_no_success() {
    let words = unanswered(b"").await;
    assert!(words.contains("no answer to transact by unix:/"), "{words}");
    assert!(
        words.contains("the server closed the connection)"),
        "{words}"
    );
    let words = unanswered(b"{\"id\":0,\"result\":[{}").await;
    assert!(
        words.contains("closed the connection within a message"),
        "{words}"
    );
    let words = unanswered(b"SSH-2.0-OpenSSH\r\n").await;
    assert!(words.contains("SSH-2.0-OpenSSH"), "{words}");
    let words = unanswered(b"{\"id\":null,\"error\":\"what?\"}").await;
    assert!(words.contains("neither a request nor an answer"), "{words}");
}

#[tokio::test]
async fn what_changes_nothing_is_asked_again() {
    let fake = Fake::new();
    let client = Client::new(fake.endpoint(), settings()).expect("a client");
    let listing = tokio::spawn(async move { client.list_dbs().await });
    let mut link = fake.accept().await;
    link.asked("list_dbs").await;
    drop(link);
    let mut link = fake.accept().await;
    let request = link.asked("list_dbs").await;
    link.answer(&request, json!(["DB"])).await;
    assert_eq!(listing.await.expect("a task").expect("names"), ["DB"]);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_asked_and_then_left() {
    for half in [&b""[..], b"{\"id\":0,\"resu"] {
        let fake = Fake::new();
        let client = Client::new(fake.endpoint(), settings()).expect("a client");
        let call = spawn_transact(&client);
        let mut link = fake.accept().await;
        link.asked("transact").await;
        link.say(half).await;
        link.asked("echo").await;
        let error = call.await.expect("a task").expect_err("no answer");
        assert!(
            error.to_string().contains("nothing heard for 200ms"),
            "{error}"
        );
        fake.accept().await;
    }
}

#[tokio::test]
async fn an_answer_to_echo_keeps_the_connection() {
    let fake = Fake::new();
    let client = Client::new(fake.endpoint(), settings()).expect("a client");
    let call = spawn_transact(&client);
    let mut link = fake.accept().await;
    let request = link.asked("transact").await;
    for _ in 0..3 {
        let echo = link.asked("echo").await;
        link.answer(&echo, json!([])).await;
    }
    link.answer(&request, json!([{}])).await;
    assert_eq!(call.await.expect("a task").expect("done"), 1);
}

#[tokio::test]
async fn the_servers_echo_is_answered_and_its_other_wishes_are_not() {
    let fake = Fake::new();
    let _client = Client::new(fake.endpoint(), quick()).expect("a client");
    let mut link = fake.accept().await;
    link.say(
        br#"{"method":"echo","params":["x",1],"id":"e"}{"method":"dance","params":[],"id":7}"#,
    )
    .await;
    let answer = link.hear().await.expect("an answer");
    assert_eq!(
        answer,
        json!({"id": "e", "result": ["x", 1], "error": null})
    );
    let answer = link.hear().await.expect("an answer");
    assert_eq!(
        (&answer["id"], &answer["error"]),
        (&json!(7), &json!("unknown method"))
    );
}

#[tokio::test]
async fn a_late_answer_is_unanswered_and_disturbs_nobody() {
    let fake = Fake::new();
    let client = Client::new(fake.endpoint(), quick()).expect("a client");
    let call = spawn_transact(&client.with_limit(Duration::from_millis(50)));
    let mut link = fake.accept().await;
    let first = link.asked("transact").await;
    let error = call.await.expect("a task").expect_err("late");
    assert!(error.may_have_happened(), "{error}");
    assert!(error.to_string().contains("none within 50ms"), "{error}");
    link.answer(&first, json!([{"error": "too late"}])).await;
    let call = spawn_transact(&client);
    let second = link.asked("transact").await;
    assert_ne!(first["id"], second["id"]);
    link.answer(&second, json!([{}])).await;
    assert_eq!(call.await.expect("a task").expect("done"), 1);
}

#[tokio::test]
async fn a_message_has_a_limit() {
    let fake = Fake::new();
    let settings = Settings {
        max_message: 100,
        ..quick()
    };
    let client = Client::new(fake.endpoint(), settings).expect("a client");
    let call = spawn_transact(&client);
    let mut link = fake.accept().await;
    link.asked("transact").await;
    link.say(format!("{{\"id\":0,\"result\":[\"{}", "x".repeat(100)).as_bytes())
        .await;
    let error = call.await.expect("a task").expect_err("too long");
    assert!(
        error.to_string().contains("longer than 100 bytes"),
        "{error}"
    );
}

fn schema() -> Json {
    json!({"name": "DB", "version": "1.0.0", "tables": {"T": {"columns": {
        "name": {"type": "string"},
        "set": {"type": {"key": "integer", "min": 0, "max": "unlimited"}}}}}})
}

async fn old_monitor(link: &mut FakeLink) -> Json {
    let request = link.asked("get_schema").await;
    link.answer(&request, schema()).await;
    for method in ["monitor_cond_since", "monitor_cond"] {
        let request = link.asked(method).await;
        link.refuse(&request, "unknown method").await;
    }
    link.hear().await.unwrap_or_default()
}

#[tokio::test]
async fn an_old_server_is_followed_in_the_old_way() {
    let fake = Fake::new();
    let client = Client::new(fake.endpoint(), quick()).expect("a client");
    let monitor = {
        let client = client.clone();
        tokio::spawn(async move {
            let plan = MonitorPlan::new().table(TablePlan::new("T"));
            client.monitor("DB", plan).await
        })
    };
    let mut link = fake.accept().await;
    let request = old_monitor(&mut link).await;
    assert_eq!(request["method"], "monitor");
    assert_eq!(request["params"].as_array().map(Vec::len), Some(3));
    let id = "0f0f0f0f-0000-4000-8000-000000000001";
    link.answer(
        &request,
        json!({"T": {id: {"new": {"name": "a", "set": 1}}}}),
    )
    .await;
    let mut monitor = monitor.await.expect("a task").expect("a monitor");
    let update = next(&mut monitor).await;
    assert_eq!((update.origin, update.changes.len()), (Origin::Reset, 1));
    let told = json!({"method": "update", "id": null, "params": [request["params"][1],
        {"T": {id: {"old": {"set": 1}, "new": {"name": "a", "set": ["set", [1, 2]]}}}}]});
    link.say(told.to_string().as_bytes()).await;
    let update = next(&mut monitor).await;
    let row = update.changes[0].new.clone().expect("a row");
    assert_eq!(
        row.get("set"),
        Some(&fairlead_ovsdb::Value::set([1_i64, 2]))
    );
    // What is no update is told once, and then it begins anew.
    let told = json!({"method": "update", "id": null, "params": [request["params"][1], {"T": 7}]});
    link.say(told.to_string().as_bytes()).await;
    let error = monitor.next().await.expect_err("no update");
    assert!(
        error.to_string().contains("'7' is not updates of rows"),
        "{error}"
    );
    let (update, ()) = tokio::join!(next(&mut monitor), async {
        link.asked("monitor_cancel").await;
        for method in ["monitor_cond_since", "monitor_cond"] {
            let request = link.asked(method).await;
            link.refuse(&request, "unknown method").await;
        }
        let request = link.asked("monitor").await;
        link.answer(&request, json!({})).await;
    });
    assert_eq!((update.origin, update.changes.len()), (Origin::Reset, 1));
    assert_eq!(update.changes[0].new, None);
}

#[tokio::test]
async fn conditions_are_not_dropped_for_an_old_server() {
    let fake = Fake::new();
    let client = Client::new(fake.endpoint(), quick()).expect("a client");
    let task = tokio::spawn(async move {
        let table = TablePlan::new("T").any_of([Condition::eq("name", "a")]);
        let mut monitor = client
            .monitor("DB", MonitorPlan::new().table(table))
            .await?;
        monitor.next().await
    });
    let mut link = fake.accept().await;
    let (_, end) = tokio::join!(old_monitor(&mut link), task);
    let error = end.expect("a task").expect_err("no conditions");
    assert!(error.to_string().contains("know"), "{error}");
}

fn member(leader: bool) -> Json {
    let row = json!({"name": "DB", "model": "clustered", "connected": true, "leader": leader});
    json!({"Database": {"0f0f0f0f-0000-4000-8000-000000000001": {"new": row}}})
}

async fn cluster_link(fake: &Fake, leader: bool) -> (FakeLink, Json) {
    let mut link = fake.accept().await;
    let request = link.asked("monitor").await;
    assert_eq!(request["params"][0], "_Server");
    link.answer(&request, member(leader)).await;
    (link, request)
}

#[tokio::test]
async fn the_leader_is_looked_for_and_followed() {
    let (one, two) = (Fake::new(), Fake::new());
    let list = Endpoints::new(vec![one.endpoint(), two.endpoint()]).expect("a list");
    let cluster = Some(Cluster {
        database: "DB".to_owned(),
        leader_only: true,
    });
    let client = Client::new(list, Settings { cluster, ..quick() }).expect("a client");
    cluster_link(&one, false).await;
    let (mut link, request) = cluster_link(&two, true).await;
    client.ready().await.expect("a leader");
    let expected = two.endpoint().to_string();
    assert!(
        matches!(&*client.state().borrow(), State::Connected { endpoint } if *endpoint == expected)
    );
    let call = spawn_transact(&client);
    link.asked("transact").await;
    // The other one becomes leader.
    let told =
        json!({"method": "update", "id": null, "params": [request["params"][1], member(false)]});
    link.say(told.to_string().as_bytes()).await;
    let error = call.await.expect("a task").expect_err("unanswered");
    assert!(
        error.to_string().contains("not the leader of DB"),
        "{error}"
    );
    let (_link, _) = cluster_link(&one, true).await;
    client.ready().await.expect("a leader");
}
