//! Two machines of one name, and a node that others took out.

use crate::etcd::Keys as _;
use crate::living::followed;
use crate::place::{Place, address, network, options, wait_for};
use fairlead_cluster::{ClusterError, JoinOptions, NodeReport, join_as, leave_as};
use fairlead_tests::LoneEtcd;
use std::time::Duration;

const B: &str = "10.11.0.0/16";

#[test]
fn a_second_machine_of_a_name_takes_nothing_from_the_first() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let first = one.open();
    let ttl = Duration::from_secs(2);
    let report = NodeReport::default();
    let mut registration = first.register(&report, Duration::from_secs(60)).unwrap();
    first.publish(&[address("b", "10.11.0.2")]).unwrap();
    let two = Place::new("n1", "");
    let taken = two.join(&server);
    assert!(
        matches!(taken, Err(ClusterError::NameTaken { .. })),
        "{taken:?}"
    );
    assert_eq!(
        (two.text(), two.node_conf()),
        (String::new(), String::new())
    );
    one.join(&server).unwrap();
    // It comes in all the same, as a copy of the first would.
    let forced = JoinOptions {
        force: true,
        ..options(&server)
    };
    join_as(&two.root, "n1", &forced).unwrap();
    let there = (server.keys(), server.text("nodes/n1"));
    let second = two.open();
    let refused = |result: Result<(), ClusterError>| {
        assert!(
            matches!(result, Err(ClusterError::Namesake { .. })),
            "{result:?}"
        );
    };
    refused(second.register(&report, ttl).map(|_| ()));
    assert_eq!(second.problems(), [""; 0], "it may be gone in a moment");
    wait_for("a problem", || {
        refused(second.register(&report, ttl).map(|_| ()));
        (!second.problems().is_empty()).then_some(())
    });
    assert!(second.problems()[0].contains("two nodes are called n1"));
    refused(second.publish(&[address("b", "10.11.0.3")]).map(|_| ()));
    refused(second.publish(&[]).map(|_| ()));
    assert_eq!((server.keys(), server.text("nodes/n1")), there);
    assert!(!registration.keep_alive().unwrap());
    assert_eq!(first.problems(), [""; 0]);
    // The first ends, and the second has the name.
    registration.end().unwrap();
    let mut registration = second.register(&report, ttl).unwrap();
    assert_eq!(second.problems(), [""; 0]);
    refused(first.register(&report, ttl).map(|_| ()));
    assert!(!registration.keep_alive().unwrap());
}

#[test]
fn one_that_loses_its_name_while_it_lives_does_not_fight() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let cluster = one.open();
    let report = NodeReport::default();
    let ttl = Duration::from_secs(60);
    let mut registration = cluster.register(&report, ttl).unwrap();
    cluster.publish(&[address("b", "10.11.0.2")]).unwrap();
    server.ctl(&["put", "/fairlead/nodes/n1", "{\"identity\":\"another\"}"]);
    let there = server.text("nodes/n1");
    for since in 6..8 {
        let lost = registration.keep_alive();
        assert!(
            matches!(lost, Err(ClusterError::Namesake { .. })),
            "{lost:?}"
        );
        let newer = NodeReport {
            since,
            ..NodeReport::default()
        };
        let lost = registration.update(&newer);
        assert!(
            matches!(lost, Err(ClusterError::Namesake { .. })),
            "{lost:?}"
        );
    }
    let lost = cluster.publish(&[]);
    assert!(
        matches!(lost, Err(ClusterError::Namesake { .. })),
        "{lost:?}"
    );
    assert_eq!(server.text("nodes/n1"), there);
    assert_eq!(server.keys().len(), 4, "{:?}", server.keys());
    server.ctl(&["del", "/fairlead/nodes/n1"]);
    assert!(registration.keep_alive().unwrap());
    assert!(server.text("nodes/n1").contains("\"since\":7"));
}

#[test]
fn a_living_node_that_is_taken_out_keeps_its_addresses_and_is_told() {
    let server = LoneEtcd::start();
    let one = Place::joined("n1", &network("b", B, 1024), &server);
    let two = Place::joined("n2", "", &server);
    let agent = two.open();
    let report = NodeReport::default();
    let mut registration = agent.register(&report, Duration::from_secs(60)).unwrap();
    agent.publish(&[address("b", "10.11.4.2")]).unwrap();
    followed(&agent, |told| {
        told.wait("anew");
        assert_eq!(agent.problems(), [""; 0]);
        leave_as(&one.root, "n1", Some("N2"), true).unwrap();
        told.wait("config");
        let problems = agent.problems();
        assert!(problems[0].contains("'fairlead node join'"), "{problems:?}");
        let release = one.open().release(&"b".parse().unwrap(), "n2", false);
        assert!(
            matches!(release, Err(ClusterError::InUse { count: 1, .. })),
            "{release:?}"
        );
        // It goes on to say what it has.
        agent
            .publish(&[address("b", "10.11.4.2"), address("b", "10.11.4.3")])
            .unwrap();
        server.ctl(&["del", "/fairlead/addresses/n2/b/10.11.4.2"]);
        told.wait("put back 1");
        server.ctl(&["del", "/fairlead/nodes/n2"]);
        assert!(registration.keep_alive().unwrap());
        two.join(&server).unwrap();
        assert_eq!(agent.problems(), [""; 0]);
        assert_eq!(two.segments("b")["n2"], "10.11.4.0/22");
    });
    agent.publish(&[]).unwrap();
    leave_as(&two.root, "n2", None, false).unwrap();
    one.open()
        .release(&"b".parse().unwrap(), "n2", false)
        .unwrap();
}
