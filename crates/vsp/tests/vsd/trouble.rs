//! A VSD that is down, slow, full of errors, or whose answers are lost.

use crate::{Lab, new_interface, settings};
use fairlead_vsd_simulator::{Body, Drop, Fault, Kind};
use fairlead_vsp::vsd::{Code, Rename, Retries, Transport, VsdError};
use std::time::Duration;

fn fault(method: &str, path: &str, times: u32) -> Fault {
    Fault {
        method: Some(method.to_owned()),
        path: Some(path.to_owned()),
        times: Some(times),
        ..Fault::default()
    }
}

#[tokio::test]
async fn a_burst_of_errors_is_waited_out() {
    for status in [500, 502, 503, 504] {
        let lab = Lab::new().await;
        let burst = Fault {
            status: Some(status),
            ..fault("GET", "^/enterprises$", 4)
        };
        lab.simulator.fault(burst).unwrap();
        lab.vsd.enterprise("Ent").await.unwrap();
        let burst = Fault {
            status: Some(status),
            times: None,
            ..fault("GET", "^/enterprises$", 0)
        };
        lab.simulator.fault(burst).unwrap();
        let before = lab.simulator.requests().len();
        let error = lab.vsd.enterprise("Ent").await.unwrap_err();
        assert!(matches!(&error, VsdError::Down { status: told, .. } if *told == status));
        assert!(
            error.is_unreachable() && error.to_string().contains("find enterprise Ent"),
            "{error}"
        );
        assert_eq!(lab.simulator.requests().len() - before, 5);
    }
}

#[tokio::test]
async fn other_refusals_are_not_tried_again() {
    let lab = Lab::new().await;
    for (status, code) in [(400, None), (409, Some(7309)), (418, None), (301, None)] {
        lab.simulator
            .fault(Fault {
                status: Some(status),
                code,
                ..fault("GET", "^/enterprises$", 1)
            })
            .unwrap();
        let error = lab.vsd.enterprise("Ent").await.unwrap_err();
        assert!(matches!(&error, VsdError::Refused { status: told, .. } if *told == status));
        assert_eq!(error.code(), code.map(|_| Code::OtherDomain), "{error}");
    }
}

#[tokio::test]
async fn logins_are_tried_again_too() {
    let lab = Lab::new().await;
    lab.simulator.expire_keys();
    lab.simulator
        .fault(Fault {
            status: Some(503),
            ..fault("GET", "^/me$", 3)
        })
        .unwrap();
    lab.vsd
        .create_container(&lab.new_container(1))
        .await
        .unwrap();
    assert_eq!(lab.count(Kind::Container), 1);
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let lab = Lab::new().await;
    lab.simulator.set_down(true).await;
    let error = lab.vsd.enterprise("Ent").await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert!(
        matches!(
            error,
            VsdError::Unreachable {
                cause: Transport::Connect(_),
                ..
            }
        ),
        "{error}"
    );

    let mut patient = settings(lab.simulator.url());
    patient.retries = Retries {
        attempts: 1000,
        interval: Duration::from_millis(20),
    };
    lab.vsd.change(patient).unwrap();
    let new = lab.new_container(1);
    let call = lab.vsd.create_container(&new);
    // The call is begun first, and the port is closed then: its first attempt fails.
    let (made, ()) = tokio::join!(call, async {
        tokio::task::yield_now().await;
        lab.simulator.set_down(false).await;
    });
    made.unwrap();
    assert_eq!(lab.count(Kind::Container), 1);
}

#[tokio::test]
async fn a_container_whose_answer_is_lost_is_adopted() {
    let lost = |what: Fault| Fault {
        times: Some(1),
        ..what
    };
    let post = || fault("POST", "^/containers$", 1);
    for what in [
        Fault {
            drop: Some(Drop::After),
            ..post()
        },
        Fault {
            drop: Some(Drop::Before),
            ..post()
        },
        Fault {
            status: Some(503),
            done: true,
            ..post()
        },
        Fault {
            status: Some(503),
            ..post()
        },
        Fault {
            body: Some(Body::Garbage),
            ..post()
        },
        Fault {
            body: Some(Body::Empty),
            ..post()
        },
        Fault {
            body: Some(Body::Html),
            ..post()
        },
    ] {
        let lab = Lab::new().await;
        lab.simulator.fault(lost(what.clone())).unwrap();
        let new = lab.new_container(1);
        let made = lab.vsd.create_container(&new).await.unwrap();
        assert_eq!(
            (made.uuid, lab.count(Kind::Container)),
            (new.uuid, 1),
            "{what:?}"
        );
        assert_eq!(lab.count(Kind::VPort), 1, "{what:?}");
    }
}

#[tokio::test]
async fn one_that_asked_for_an_address_is_adopted_although_it_is_in_use() {
    let lab = Lab::new().await;
    let mut new = lab.new_container(1);
    new.interfaces[0].address = Some("10.21.3.3".parse().unwrap());
    lab.simulator
        .fault(Fault {
            drop: Some(Drop::After),
            ..fault("POST", "^/containers$", 1)
        })
        .unwrap();
    // Nor does the first look find it: the second POST is refused then.
    lab.simulator
        .fault(Fault {
            body: Some(Body::Empty),
            ..fault("GET", "^/containers$", 1)
        })
        .unwrap();
    let made = lab.vsd.create_container(&new).await.unwrap();
    assert_eq!(made.interfaces[0].address, new.interfaces[0].address);
    assert_eq!(
        (
            lab.count(Kind::Container),
            lab.requests("POST", "/containers").len()
        ),
        (1, 2)
    );
}

#[tokio::test]
async fn one_that_took_the_last_address_is_adopted_although_none_is_left() {
    let lab = Lab::new().await;
    for what in [
        Fault {
            drop: Some(Drop::After),
            ..fault("POST", "^/containers$", 1)
        },
        Fault {
            status: Some(409),
            code: Some(2702),
            ..fault("POST", "^/containers$", 1)
        },
        Fault {
            body: Some(Body::Empty),
            ..fault("GET", "^/containers$", 1)
        },
    ] {
        lab.simulator.fault(what).unwrap();
    }
    let new = lab.new_container(1);
    assert_eq!(lab.vsd.create_container(&new).await.unwrap().uuid, new.uuid);
    let full = Fault {
        status: Some(409),
        code: Some(2702),
        ..fault("POST", "^/containers$", 1)
    };
    lab.simulator.fault(full).unwrap();
    assert!(
        lab.vsd
            .create_container(&lab.new_container(2))
            .await
            .unwrap_err()
            .is_full()
    );
    assert_eq!(lab.count(Kind::Container), 1);
}

#[tokio::test]
async fn interfaces_and_reservations_are_adopted_as_well() {
    let lab = Lab::new().await;
    let made = lab
        .vsd
        .create_container(&lab.new_container(1))
        .await
        .unwrap();
    let lost = || Fault {
        drop: Some(Drop::After),
        ..fault("POST", ".", 1)
    };
    lab.simulator.fault(lost()).unwrap();
    lab.vsd
        .add_interface(&made.id, &new_interface(2, &lab.subnet.id))
        .await
        .unwrap();
    assert_eq!(
        lab.vsd
            .container(&made.id)
            .await
            .unwrap()
            .unwrap()
            .interfaces
            .len(),
        2
    );
    lab.simulator.fault(lost()).unwrap();
    let mac = "7a:42:00:00:00:09".parse().unwrap();
    lab.vsd
        .reserve(&lab.subnet.id, "10.21.0.9".parse().unwrap(), mac)
        .await
        .unwrap();
    assert_eq!(lab.count(Kind::IpReservation), 1);
}

#[tokio::test]
async fn changes_whose_answer_is_lost_are_made_again() {
    let lab = Lab::new().await;
    let made = lab
        .vsd
        .create_container(&lab.new_container(1))
        .await
        .unwrap();
    for method in ["PUT", "DELETE"] {
        lab.simulator
            .fault(Fault {
                drop: Some(Drop::After),
                ..fault(method, ".", 2)
            })
            .unwrap();
    }
    let to = Rename {
        uuid: "f".repeat(64),
        name: "web".to_owned(),
        orchestration_id: None,
    };
    lab.vsd.rename_container(&made.id, &to).await.unwrap();
    assert_eq!(lab.simulator.state(Kind::Container)[0]["name"], "web");
    lab.vsd.delete_container(&made.id).await.unwrap();
    assert_eq!(lab.count(Kind::Container), 0);
}

#[tokio::test]
async fn answers_that_make_no_sense_are_told() {
    let lab = Lab::new().await;
    for body in [Body::Garbage, Body::Html] {
        let what = || Fault {
            body: Some(body),
            ..fault("GET", ".", 1)
        };
        lab.simulator.fault(what()).unwrap();
        let error = lab.vsd.enterprise("Ent").await.unwrap_err();
        assert!(
            matches!(error, VsdError::Answer { .. }) && !error.is_unreachable(),
            "{error}"
        );
        lab.simulator.fault(what()).unwrap();
        assert!(matches!(
            lab.vsd.containers("host-1").await,
            Err(VsdError::Answer { .. })
        ));
        lab.simulator.expire_keys();
        lab.simulator
            .fault(Fault {
                path: Some("^/me$".to_owned()),
                ..what()
            })
            .unwrap();
        let error = lab.vsd.enterprise("Ent").await.unwrap_err();
        assert!(error.to_string().contains("log in as csproot"), "{error}");
    }
    lab.simulator
        .fault(Fault {
            body: Some(Body::Empty),
            ..fault("GET", "^/enterprises$", 1)
        })
        .unwrap();
    assert!(lab.vsd.enterprise("Ent").await.unwrap_err().is_gone());
}

#[tokio::test]
async fn a_slow_answer_is_not_waited_for() {
    let lab = Lab::new().await;
    let mut hasty = settings(lab.simulator.url());
    hasty.timeout = Duration::from_millis(150);
    hasty.retries.attempts = 2;
    lab.vsd.change(hasty.clone()).unwrap();
    let slow = || Fault {
        delay_ms: 600_000,
        ..fault("GET", "^/enterprises$", 1)
    };
    lab.simulator.fault(slow()).unwrap();
    lab.vsd.enterprise("Ent").await.unwrap();
    for _ in 0..2 {
        lab.simulator.fault(slow()).unwrap();
    }
    let error = lab.vsd.enterprise("Ent").await.unwrap_err();
    assert!(
        matches!(
            error,
            VsdError::Unreachable {
                cause: Transport::Timeout(_),
                ..
            }
        ),
        "{error}"
    );

    // However many attempts there may be, the call ends.
    hasty.limit = Duration::from_millis(300);
    hasty.timeout = Duration::from_secs(300);
    hasty.retries.attempts = u32::MAX;
    lab.vsd.change(hasty).unwrap();
    lab.simulator.fault(slow()).unwrap();
    let call = tokio::time::timeout(Duration::from_secs(30), lab.vsd.enterprise("Ent"));
    assert!(call.await.unwrap().unwrap_err().is_unreachable());
}

#[tokio::test]
async fn questions_of_the_vsd_are_answered_yes() {
    let lab = Lab::new().await;
    lab.simulator
        .fault(Fault {
            ask: true,
            ..Fault {
                times: None,
                ..fault("POST", ".", 0)
            }
        })
        .unwrap();
    for method in ["PUT", "DELETE"] {
        lab.simulator
            .fault(Fault {
                ask: true,
                times: None,
                ..fault(method, ".", 0)
            })
            .unwrap();
    }
    let made = lab
        .vsd
        .create_container(&lab.new_container(1))
        .await
        .unwrap();
    let to = Rename {
        uuid: made.uuid,
        name: "web".to_owned(),
        orchestration_id: None,
    };
    lab.vsd.rename_container(&made.id, &to).await.unwrap();
    lab.vsd.delete_container(&made.id).await.unwrap();
    let all: Vec<_> = lab.simulator.requests();
    let asked: Vec<_> = all.iter().filter(|one| one["status"] == 300).collect();
    assert_eq!(
        (asked.len(), asked[0]["method"].as_str()),
        (1, Some("POST"))
    );
    assert_eq!(lab.count(Kind::Container), 0);
}
