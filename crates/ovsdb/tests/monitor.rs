//! Monitors, against a real `ovsdb-server`.

mod common;

use common::{DB, Server, next, quick};
use fairlead_ovsdb::{
    Change, Client, Condition, Endpoint, Monitor, MonitorPlan, Operation, Origin, Row, Select,
    Settings, TablePlan, Update, Value,
};

/// A QoS row stays without being named; its `type` serves as a name here.
fn queue(name: &str) -> Operation {
    Operation::insert("QoS", Row::new().with("type", name))
}

async fn done(client: &Client, operation: Operation) {
    let done = client.transact(DB, &[operation]).await;
    done.expect("done");
}

fn plan() -> MonitorPlan {
    MonitorPlan::new().table(TablePlan::new("QoS").columns(&["type", "external_ids"]))
}

fn names(monitor: &Monitor) -> Vec<String> {
    let rows = monitor.replica().rows("QoS");
    let mut names: Vec<_> = rows
        .filter_map(|(_, row)| row.text("type"))
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn told(update: &Update) -> Vec<(Option<&str>, Option<&str>)> {
    fn name(row: &Option<Row>) -> Option<&str> {
        row.as_ref()?.text("type")
    }
    let mut told: Vec<_> = update
        .changes
        .iter()
        .map(|c| (name(&c.old), name(&c.new)))
        .collect();
    told.sort_unstable();
    told
}

#[tokio::test]
async fn all_changes_are_told_with_whole_rows() {
    let server = Server::start(&[]);
    let client = server.client();
    done(&client, queue("a")).await;
    let mut monitor = client.monitor(DB, plan()).await.expect("a monitor");
    let first = next(&mut monitor).await;
    assert_eq!(first.origin, Origin::Reset);
    assert_eq!(told(&first), [(None, Some("a"))]);
    let row = first.changes[0].new.as_ref().expect("a row");
    // A column that has its default is not sent.
    assert_eq!(row.get("external_ids"), Some(&Value::map::<&str, &str>([])));

    done(&client, queue("b")).await;
    let second = next(&mut monitor).await;
    assert_eq!(
        (second.origin, told(&second)),
        (Origin::Live, vec![(None, Some("b"))])
    );

    let ids = |pairs: &[(&str, &str)]| Value::map(pairs.iter().copied());
    let of_a = || [Condition::eq("type", "a")];
    for pairs in [
        &[("x", "1"), ("y", "2")][..],
        // One goes, one changes, one comes.
        &[("y", "3"), ("z", "4")],
        &[],
    ] {
        let row = Row::new().with("external_ids", ids(pairs));
        done(&client, Operation::update("QoS", of_a(), row)).await;
        let update = next(&mut monitor).await;
        let [
            Change {
                new: Some(row),
                old: Some(_),
                uuid,
                ..
            },
        ] = &update.changes[..]
        else {
            panic!("{update:?}");
        };
        assert_eq!(row.text("type"), Some("a"));
        assert_eq!(row.get("external_ids"), Some(&ids(pairs)));
        assert_eq!(monitor.replica().row("QoS", *uuid), Some(row));
    }
    done(&client, Operation::delete("QoS", of_a())).await;
    assert_eq!(told(&next(&mut monitor).await), [(Some("a"), None)]);
    assert_eq!(names(&monitor), ["b"]);
}

#[tokio::test]
async fn differences_of_sets_are_put_together() {
    let server = Server::start(&[]);
    let client = server.client();
    done(&client, Operation::insert("Open_vSwitch", Row::new())).await;
    let plan = MonitorPlan::new()
        .table(TablePlan::new("Open_vSwitch").columns(&["iface_types", "ovs_version"]));
    let mut monitor = client.monitor(DB, plan).await.expect("a monitor");
    next(&mut monitor).await;
    for elements in [&["a"][..], &["a", "b"], &["b", "c", "d"], &["d"], &[]] {
        let set = Value::set(elements.iter().copied());
        let row = Row::new().with("iface_types", set.clone());
        done(&client, Operation::update("Open_vSwitch", [], row)).await;
        let update = next(&mut monitor).await;
        let row = update.changes[0].new.as_ref().expect("a row");
        assert_eq!(row.get("iface_types"), Some(&set));
    }
    // Of one element at most: the new value as it is.
    for version in [Value::from("1"), Value::from("2"), Value::none()] {
        let row = Row::new().with("ovs_version", version.clone());
        done(&client, Operation::update("Open_vSwitch", [], row)).await;
        let update = next(&mut monitor).await;
        let row = update.changes[0].new.as_ref().expect("a row");
        assert_eq!(row.get("ovs_version"), Some(&version));
    }
}

#[tokio::test]
async fn a_condition_makes_rows_come_and_go() {
    let server = Server::start(&[]);
    let client = server.client();
    done(&client, queue("other")).await;
    done(&client, queue("mine")).await;
    let table = TablePlan::new("QoS")
        .columns(&["type"])
        .any_of([Condition::eq("type", "mine"), Condition::eq("type", "also")]);
    let plan = MonitorPlan::new().table(table);
    let mut monitor = client.monitor(DB, plan).await.expect("a monitor");
    assert_eq!(told(&next(&mut monitor).await), [(None, Some("mine"))]);
    let rename = |old: &str, new: &str| {
        Operation::update(
            "QoS",
            [Condition::eq("type", old)],
            Row::new().with("type", new),
        )
    };
    done(&client, rename("other", "another")).await;
    done(&client, rename("another", "also")).await;
    assert_eq!(told(&next(&mut monitor).await), [(None, Some("also"))]);
    done(&client, rename("mine", "yours")).await;
    assert_eq!(told(&next(&mut monitor).await), [(Some("mine"), None)]);
}

#[tokio::test]
async fn only_what_is_selected_is_told() {
    let server = Server::start(&[]);
    let client = server.client();
    done(&client, queue("a")).await;
    let select = Select {
        initial: false,
        insert: false,
        ..Select::ALL
    };
    let table = TablePlan::new("QoS")
        .columns(&["type", "external_ids"])
        .select(select);
    let plan = MonitorPlan::new().table(table.clone());
    let mut monitor = client.monitor(DB, plan).await.expect("a monitor");
    assert_eq!(told(&next(&mut monitor).await), []);
    done(&client, queue("b")).await;
    let row = Row::new().with("external_ids", Value::map([("k", "v")]));
    done(
        &client,
        Operation::update("QoS", [Condition::eq("type", "b")], row),
    )
    .await;
    let update = next(&mut monitor).await;
    assert_eq!(told(&update), [(Some("b"), Some("b"))]);
    let old = update.changes[0].old.as_ref().expect("a row");
    assert_eq!(old.get("external_ids"), Some(&Value::map::<&str, &str>([])));
    done(
        &client,
        Operation::delete("QoS", [Condition::eq("type", "a")]),
    )
    .await;
    assert_eq!(told(&next(&mut monitor).await), [(Some("a"), None)]);

    let plan = MonitorPlan::new().table(table.any_of([Condition::eq("type", "a")]));
    let error = client.monitor(DB, plan).await.expect_err("both");
    assert!(error.to_string().contains("cannot monitor QoS"), "{error}");
    let plan = MonitorPlan::new().table(TablePlan::new("Bridge").columns(&["colour"]));
    let error = client.monitor(DB, plan).await.expect_err("no such column");
    assert!(
        error.to_string().contains("lacks column Bridge.colour"),
        "{error}"
    );
}

/// Changes that happen while the monitor's client is cut off from the server, twice killed.
async fn across_a_kill(mut server: Server, expected: Origin) {
    let client = server.client();
    // A server keeps no history that is larger than the database.
    let many = Value::map((0..500_i64).map(|i| (i.to_string(), "x")));
    let row = Row::new().with("external_ids", many);
    done(&client, Operation::insert("Open_vSwitch", row)).await;
    done(&client, queue("a")).await;
    done(&client, queue("b")).await;
    let mut monitor = client.monitor(DB, plan()).await.expect("a monitor");
    next(&mut monitor).await;
    server.kill();
    // Another path, so that the monitor's client stays away.
    let aside = server.path("aside");
    server.run_at(&aside);
    let other = Client::new(Endpoint::unix(&aside), quick()).expect("a client");
    done(&other, queue("c")).await;
    done(
        &other,
        Operation::delete("QoS", [Condition::eq("type", "a")]),
    )
    .await;
    assert_eq!(names(&monitor), ["a", "b"]);
    server.kill();
    server.run();
    let update = next(&mut monitor).await;
    assert_eq!(update.origin, expected);
    assert_eq!(told(&update), [(None, Some("c")), (Some("a"), None)]);
    assert_eq!(names(&monitor), ["b", "c"]);
    // And it goes on.
    done(&client, queue("d")).await;
    assert_eq!(told(&next(&mut monitor).await), [(None, Some("d"))]);
}

#[tokio::test]
async fn a_monitor_goes_on_after_a_kill() {
    across_a_kill(Server::start_clustered(), Origin::Resumed).await;
}

#[tokio::test]
async fn a_server_without_a_history_tells_all_and_the_reader_hears_the_difference() {
    across_a_kill(Server::start(&[]), Origin::Reset).await;
}

#[tokio::test]
async fn lost_data_are_lost_to_the_reader_too() {
    for mut server in [Server::start_clustered(), Server::start(&[])] {
        let client = server.client();
        done(&client, queue("a")).await;
        let mut monitor = client.monitor(DB, plan()).await.expect("a monitor");
        next(&mut monitor).await;
        server.kill();
        server.lose_data();
        server.run();
        let update = next(&mut monitor).await;
        assert_eq!(update.origin, Origin::Reset);
        assert_eq!(told(&update), [(Some("a"), None)]);
        assert_eq!(names(&monitor), Vec::<String>::new());
        done(&client, queue("b")).await;
        assert_eq!(told(&next(&mut monitor).await), [(None, Some("b"))]);
    }
}

#[tokio::test]
async fn a_reader_that_is_behind_holds_up_nobody_and_misses_nothing() {
    let server = Server::start(&[]);
    let settings = Settings {
        max_behind: 2,
        ..quick()
    };
    let client = Client::new(server.endpoint(), settings).expect("a client");
    let mut slow = client.monitor(DB, plan()).await.expect("a monitor");
    let mut fast = client.monitor(DB, plan()).await.expect("a monitor");
    next(&mut slow).await;
    next(&mut fast).await;
    let expected: Vec<String> = (0..20).map(|i| format!("q{i:02}")).collect();
    for name in &expected {
        done(&client, queue(name)).await;
        assert_eq!(told(&next(&mut fast).await), [(None, Some(name.as_str()))]);
    }
    let mut origins = Vec::new();
    while names(&slow) != expected {
        origins.push(next(&mut slow).await.origin);
    }
    assert_eq!(origins, [Origin::Live, Origin::Live, Origin::Reset]);
    done(&client, queue("last")).await;
    assert_eq!(told(&next(&mut slow).await), [(None, Some("last"))]);
}
