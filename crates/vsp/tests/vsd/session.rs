//! Logins: wrong, shared, expired, renewed, changed.

use crate::server::{Server, answer, is_login, me};
use crate::{Lab, settings};
use fairlead_vsd_simulator::{Kind, Options, Protection, Simulator};
use fairlead_vsp::vsd::{Retries, Secret, Vsd, VsdError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

async fn bare() -> Simulator {
    let options = Options {
        protection: Protection::Plain,
        ..Options::default()
    };
    Simulator::start(options).await.unwrap()
}

#[tokio::test]
async fn a_wrong_password_is_told_once_and_not_shown() {
    let simulator = bare().await;
    let mut wrong = settings(simulator.url());
    wrong.password = Secret::new("sword:fish");
    let vsd = Vsd::new(wrong.clone()).unwrap();
    let error = vsd.login().await.unwrap_err();
    assert!(
        matches!(error, VsdError::Login { status: 401, .. }),
        "{error}"
    );
    assert!(error.is_denied() && !error.is_unreachable());
    assert_eq!(simulator.requests().len(), 1);
    assert_eq!(vsd.enterprise("x").await.unwrap_err(), error);
    assert_eq!(simulator.requests().len(), 2);
    let shown = format!("{error} {error:?} {vsd:?} {wrong:?}");
    assert!(!shown.contains("fish"), "{shown}");
    assert!(
        shown.contains("csproot") && shown.contains("organization"),
        "{shown}"
    );

    vsd.change(settings(simulator.url())).unwrap();
    assert_eq!(vsd.login().await.unwrap().user, "csproot");
    wrong.organization = "no such".to_owned();
    vsd.change(wrong).unwrap();
    assert!(vsd.login().await.unwrap_err().is_denied());
}

#[tokio::test]
async fn a_hundred_callers_log_in_once() {
    let simulator = bare().await;
    let vsd = Vsd::new(settings(simulator.url())).unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let vsd = vsd.clone();
        calls.spawn(async move { vsd.login().await.unwrap().user });
    }
    assert!(calls.join_all().await.iter().all(|user| user == "csproot"));
    assert_eq!(simulator.requests().len(), 1);
}

#[tokio::test]
async fn a_hundred_callers_fail_once() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = Server::start(move |_| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            Some(answer(401, "", "<html>no</html>"))
        }
    })
    .await;
    let vsd = Vsd::new(settings(&server.url)).unwrap();
    let (mut calls, begun) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..100 {
        let (vsd, begun, gate) = (vsd.clone(), Arc::clone(&begun), Arc::clone(&gate));
        // On the one thread of this test the last to begin finds all others waiting, and it
        // waits too before anything else runs.
        calls.spawn(async move {
            if begun.fetch_add(1, Ordering::SeqCst) == 99 {
                gate.add_permits(100);
            }
            vsd.login().await.unwrap_err()
        });
    }
    assert!(calls.join_all().await.iter().all(VsdError::is_denied));
    assert_eq!(server.logins(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_expires_in_a_burst_costs_one_login() {
    let lab = Lab::new().await;
    assert_eq!(lab.logins(), 1);
    let expiring = Arc::new(AtomicUsize::new(0));
    let mut calls = JoinSet::new();
    let lab = Arc::new(lab);
    for number in 1..=50 {
        let (lab, expiring) = (Arc::clone(&lab), Arc::clone(&expiring));
        calls.spawn(async move {
            if expiring.fetch_add(1, Ordering::SeqCst) == 25 {
                lab.simulator.expire_keys();
            }
            lab.vsd
                .create_container(&lab.new_container(number))
                .await
                .unwrap()
        });
    }
    let made = calls.join_all().await;
    let addresses: std::collections::HashSet<_> = made
        .iter()
        .map(|one| one.interfaces[0].address.unwrap())
        .collect();
    assert_eq!(
        (made.len(), addresses.len(), lab.count(Kind::Container)),
        (50, 50, 50)
    );
    assert_eq!(lab.logins(), 2);
}

#[tokio::test]
async fn an_expired_key_is_replaced_whatever_the_status() {
    for status in [401, 419] {
        let server = Server::start(move |seen| async move {
            let key = seen.header("Authorization").unwrap().to_owned();
            Some(match () {
                // XREST and the pairs csproot:csproot, csproot:one, csproot:two.
                () if is_login(&seen) && key == "XREST Y3Nwcm9vdDpjc3Byb290" => me("two", "null"),
                () if key == "XREST Y3Nwcm9vdDp0d28=" => {
                    answer(200, "", r#"[{"ID":"e","name":"x"}]"#)
                }
                () => answer(status, "", "<html>"),
            })
        })
        .await;
        let vsd = Vsd::new(settings(&server.url)).unwrap();
        assert_eq!(vsd.enterprise("x").await.unwrap().id.as_str(), "e");
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_key_that_is_never_taken_ends_the_call() {
    let server = Server::with_login(|_| answer(401, "", "")).await;
    let vsd = Vsd::new(settings(&server.url)).unwrap();
    let error = vsd.enterprise("x").await.unwrap_err();
    assert!(
        matches!(error, VsdError::Denied { status: 401, .. }),
        "{error}"
    );
    assert_eq!((server.logins(), server.seen().len()), (2, 4));
}

#[tokio::test]
async fn a_key_is_renewed_before_the_vsd_refuses_it() {
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_millis(400);
    let server = Server::start(move |seen| async move {
        let body = r#"[{"ID":"e","name":"x"}]"#;
        let expiry = end.as_millis().to_string();
        Some(if is_login(&seen) {
            me("key", &expiry)
        } else {
            answer(200, "", body)
        })
    })
    .await;
    let vsd = Vsd::new(settings(&server.url)).unwrap();
    let renewed = async {
        while server.logins() < 2 {
            vsd.enterprise("x").await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_change_of_patience_keeps_the_login() {
    let lab = Lab::new().await;
    let mut other = settings(lab.simulator.url());
    other.retries = Retries {
        attempts: 1,
        interval: Duration::ZERO,
    };
    lab.vsd.change(other.clone()).unwrap();
    lab.vsd.enterprise("Ent").await.unwrap();
    assert_eq!(lab.logins(), 1);
    other.user.clear();
    assert!(matches!(
        lab.vsd.change(other),
        Err(VsdError::Setting {
            key: "username",
            ..
        })
    ));
    lab.vsd.enterprise("Ent").await.unwrap();
}

#[tokio::test]
async fn a_call_for_a_user_says_so_where_that_is_wanted() {
    let lab = Lab::new().await;
    let ann = lab.vsd.as_user("ann", "Ent").unwrap();
    ann.enterprise("Ent").await.unwrap();
    let mut other = settings(lab.simulator.url());
    other.proxy_user = true;
    lab.vsd.change(other).unwrap();
    lab.simulator.expire_keys();
    ann.enterprise("Ent").await.unwrap();
    lab.vsd.enterprise("Ent").await.unwrap();
    let users: Vec<_> = lab
        .requests("GET", "/enterprises")
        .into_iter()
        .skip(1)
        .collect();
    let users: Vec<_> = users.iter().map(|one| one["proxy_user"].as_str()).collect();
    // The second is refused at first, for its key.
    assert_eq!(users, [None, Some("ann@Ent"), Some("ann@Ent"), None]);
    let logins = lab.requests("GET", "/me");
    assert_eq!(logins.len(), 2);
    assert!(logins.iter().all(|login| login["proxy_user"].is_null()));
    assert!(lab.vsd.as_user("a\nb", "Ent").is_err());
}

#[tokio::test]
async fn a_call_on_its_way_takes_a_password_that_was_changed_meanwhile() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = Server::start(move |seen| {
        let held = Arc::clone(&held);
        async move {
            // csproot:csproot, whose refusal is held back until the settings are others.
            let old = seen.header("Authorization") == Some("XREST Y3Nwcm9vdDpjc3Byb290");
            if old {
                held.acquire().await.unwrap().forget();
                return Some(answer(401, "", ""));
            }
            let body = r#"[{"ID":"e","name":"x"}]"#;
            Some(if is_login(&seen) {
                me("key", "null")
            } else {
                answer(200, "", body)
            })
        }
    })
    .await;
    let vsd = Vsd::new(settings(&server.url)).unwrap();
    let mut new = settings(&server.url);
    new.password = Secret::new("new");
    let change = async {
        while server.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        vsd.change(new).unwrap();
        gate.add_permits(1);
    };
    let (found, ()) = tokio::join!(vsd.enterprise("x"), change);
    assert_eq!(found.unwrap().id.as_str(), "e");
    assert_eq!(server.logins(), 2);
}
