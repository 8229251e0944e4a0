//! Servers that a client must bear, though no VSD should be so.

use crate::server::{Seen, Server, answer};
use crate::{new_container, settings};
use fairlead_vsp::vsd::{Rename, Vsd, VsdError};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Containers of host-1, by their numbers.
fn containers(numbers: impl Iterator<Item = usize>) -> String {
    let mut text = String::new();
    for number in numbers {
        let gap = if text.is_empty() { '[' } else { ',' };
        write!(
            text,
            r#"{gap}{{"ID":"c{number}","UUID":"{number}","externalID":"host-1"}}"#
        )
        .unwrap();
    }
    if text.is_empty() { text } else { text + "]" }
}

/// A page of so many in all, without any header about it.
fn page(seen: &Seen, all: usize) -> String {
    let first = seen.page() * 50;
    containers(first..all.min(first + 50))
}

async fn client(server: &Server) -> Vsd {
    let vsd = Vsd::new(settings(&server.url)).unwrap();
    vsd.login().await.unwrap();
    vsd
}

#[tokio::test]
async fn every_page_is_asked_for_with_the_filter_though_none_is_echoed() {
    for all in [0, 50, 55, 120] {
        let server = Server::with_login(move |seen| answer(200, "", &page(seen, all))).await;
        let found = client(&server).await.containers("host-1").await.unwrap();
        assert_eq!(found.len(), all);
        let pages: Vec<_> = server.seen().into_iter().skip(1).collect();
        assert_eq!(pages.len(), all / 50 + 1);
        for (number, seen) in pages.iter().enumerate() {
            assert_eq!(seen.page(), number);
            assert_eq!(seen.header("X-Nuage-PageSize"), Some("50"));
            assert_eq!(
                seen.header("X-Nuage-Filter"),
                Some("externalID == \"host-1\"")
            );
            assert_eq!(seen.header("X-Nuage-FilterType"), Some("predicate"));
            assert_eq!(seen.header("X-Nuage-Organization"), Some("csp"));
            assert_eq!(seen.header("Content-Type"), Some("application/json"));
        }
    }
}

#[tokio::test]
async fn an_empty_list_is_told_in_three_ways() {
    for bytes in [
        answer(200, "", "[]"),
        answer(200, "", ""),
        b"HTTP/1.1 204 X\r\n\r\n".to_vec(),
    ] {
        let server = Server::with_login(move |_| bytes.clone()).await;
        assert!(
            client(&server)
                .await
                .containers("host-1")
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_server_that_does_not_turn_pages_ends() {
    // All at once, for each page.
    let server = Server::with_login(|_| answer(200, "", &containers(0..120))).await;
    assert_eq!(
        client(&server)
            .await
            .containers("host-1")
            .await
            .unwrap()
            .len(),
        120
    );
    assert_eq!(server.seen().len(), 2);
    // The first page for ever: what comes after it is not known.
    let server = Server::with_login(|_| answer(200, "", &containers(0..50))).await;
    let error = client(&server)
        .await
        .containers("host-1")
        .await
        .unwrap_err();
    assert!(matches!(error, VsdError::Answer { .. }), "{error}");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_list_that_changes_while_it_is_read_is_read_anew() {
    let reading = AtomicUsize::new(0);
    let server = Server::with_login(move |seen| {
        // The 51st moves to the first page after that was read, since one before it went.
        if seen.page() == 0 {
            reading.fetch_add(1, Ordering::SeqCst);
        }
        let is_first = reading.load(Ordering::SeqCst) == 1;
        let from = if is_first && seen.page() == 1 {
            51
        } else {
            seen.page() * 50
        };
        let body = containers(from..70.min(from + 50));
        answer(200, "X-Nuage-Count: 70\r\n", &body)
    })
    .await;
    let found = client(&server).await.containers("host-1").await.unwrap();
    assert_eq!((found.len(), server.seen().len()), (70, 5));
}

#[tokio::test]
async fn a_count_that_is_wrong_is_not_believed_for_ever() {
    let server =
        Server::with_login(|seen| answer(200, "X-Nuage-Count: 1000000\r\n", &page(seen, 70))).await;
    assert_eq!(
        client(&server)
            .await
            .containers("host-1")
            .await
            .unwrap()
            .len(),
        70
    );
    // The login, and two readings that are alike.
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn a_server_that_does_not_filter_is_filtered_after() {
    let body = r#"[{"ID":"1","name":"ENT"},{"ID":"2","name":"Ent"},{"ID":"3","name":null}]"#;
    let server = Server::with_login(move |_| answer(200, "", body)).await;
    let vsd = client(&server).await;
    assert_eq!(vsd.enterprise("Ent").await.unwrap().id.as_str(), "2");
    assert!(vsd.enterprise("ent").await.unwrap_err().is_gone());
}

#[tokio::test]
async fn objects_of_a_wrong_shape_are_told() {
    for body in [
        r#"{"ID":"1","name":"x"}"#,
        r#"[{"name":"x"}]"#,
        r#"[{"ID":"../me","name":"x"}]"#,
        r#"[{"ID":"1","name":7}]"#,
        "[null]",
        "[[]]",
        "7",
    ] {
        let server = Server::with_login(move |_| answer(200, "", body)).await;
        let error = client(&server).await.enterprise("x").await.unwrap_err();
        assert!(matches!(error, VsdError::Answer { .. }), "{body}: {error}");
    }
}

#[tokio::test]
async fn an_address_without_a_netmask_is_no_container() {
    let body = r#"[{"ID":"c","UUID":"0000","externalID":"host-1","interfaces":[
        {"MAC":"7a:42:00:00:00:01","IPAddress":"10.0.0.2","name":"nln1-1"}]}]"#;
    let server = Server::with_login(move |seen| match seen.method.as_str() {
        "POST" => answer(201, "", body),
        _ => answer(200, "", ""),
    })
    .await;
    let new = new_container(1, &"s".parse().unwrap());
    let error = client(&server)
        .await
        .create_container(&new)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("interface nln1-1 has no netmask"),
        "{error}"
    );
}

#[tokio::test]
async fn a_rename_changes_nothing_else() {
    let body = r#"[{"ID":"c","UUID":"1","name":"1","owner":"o","resyncInfo":{"a":1},"status":"INIT",
        "interfaces":[{"ID":"i","MAC":"7a:42:00:00:00:01","odd":null}],"orchestrationID":"t"}]"#;
    let server = Server::with_login(move |seen| match seen.method.as_str() {
        "PUT" => b"HTTP/1.1 204 X\r\n\r\n".to_vec(),
        _ => answer(200, "", body),
    })
    .await;
    let (uuid, name) = ("2".repeat(64), "web \u{1f433}".to_owned());
    let to = Rename {
        uuid: uuid.clone(),
        name: name.clone(),
        orchestration_id: None,
    };
    client(&server)
        .await
        .rename_container(&"c".parse().unwrap(), &to)
        .await
        .unwrap();
    let put = server.seen().pop().unwrap();
    assert_eq!(put.path, "/nuage/api/v6/containers/c?responseChoice=1");
    let want = json!({"ID": "c", "UUID": uuid, "name": name, "owner": "o", "status": "INIT",
        "interfaces": [{"ID": "i", "MAC": "7a:42:00:00:00:01", "odd": null}],
        "orchestrationID": "t"});
    assert_eq!(serde_json::from_str::<Value>(&put.body).unwrap(), want);
}

#[tokio::test]
async fn a_container_is_asked_for_as_the_original_does() {
    let server = Server::with_login(|_| answer(409, "", "")).await;
    let mut new = new_container(1, &"s".parse().unwrap());
    new.interfaces[0].address = Some("10.0.0.2".parse().unwrap());
    client(&server)
        .await
        .create_container(&new)
        .await
        .unwrap_err();
    let post = server
        .seen()
        .into_iter()
        .find(|seen| seen.method == "POST")
        .unwrap();
    let want = json!({"UUID": new.uuid, "name": new.name, "externalID": "host-1",
        "computeProvisioned": false, "interfaces": [{"name": "nln1-1",
            "MAC": "7a:42:00:00:00:01", "IPAddress": "10.0.0.2", "attachedNetworkID": "s"}]});
    assert_eq!(serde_json::from_str::<Value>(&post.body).unwrap(), want);
    assert_eq!(post.path, "/nuage/api/v6/containers");
}

#[tokio::test]
async fn logins_without_a_key_are_told() {
    for body in [
        "[]",
        "{}",
        "",
        "[{}]",
        r#"[{"APIKey":""}]"#,
        r#"[{"APIKey":null}]"#,
        "<html>",
    ] {
        let server = Server::start(move |_| async move { Some(answer(200, "", body)) }).await;
        let error = Vsd::new(settings(&server.url))
            .unwrap()
            .login()
            .await
            .unwrap_err();
        assert!(matches!(error, VsdError::Answer { .. }), "{body}: {error}");
        assert_eq!(server.logins(), 1);
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let server = Server::with_login(|_| {
        let mut bytes = b"HTTP/1.1 200 X\r\nContent-Length: 40000000\r\n\r\n".to_vec();
        bytes.resize(40_000_000, b' ');
        bytes
    })
    .await;
    let error = client(&server).await.enterprise("x").await.unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let other = Server::with_login(|_| answer(200, "", "[]")).await;
    let place = format!("Location: {}/nuage/api/v6/enterprises\r\n", other.url);
    let server = Server::with_login(move |_| answer(302, &place, "")).await;
    let error = client(&server).await.enterprise("x").await.unwrap_err();
    assert!(
        matches!(error, VsdError::Refused { status: 302, .. }),
        "{error}"
    );
    assert!(other.seen().is_empty());
}

#[test]
fn every_call_can_be_made_by_any_task() {
    fn sendable<T: Send>(_: T) {}
    let vsd = Vsd::new(settings("http://127.0.0.1:1")).unwrap();
    let (address, mac) = (
        "10.0.0.9".parse().unwrap(),
        "02:00:00:00:00:01".parse().unwrap(),
    );
    let new = new_container(1, &"s".parse().unwrap());
    let to = Rename {
        uuid: "u".to_owned(),
        name: "n".to_owned(),
        orchestration_id: None,
    };
    sendable(vsd.login());
    sendable(vsd.enterprise("e"));
    sendable(vsd.containers("h"));
    sendable(vsd.container_by_uuid("u"));
    sendable(vsd.create_container(&new));
    sendable(vsd.rename_container(&"c".parse().unwrap(), &to));
    sendable(vsd.delete_container(&"c".parse().unwrap()));
    sendable(vsd.add_interface(&"c".parse().unwrap(), &new.interfaces[0]));
    sendable(vsd.assign_policy_groups(&"p".parse().unwrap(), &[]));
    sendable(vsd.reserve(&"s".parse().unwrap(), address, mac));
    sendable(vsd.reservation(&"s".parse().unwrap(), address));
}
