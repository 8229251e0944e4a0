//! The plan, and that it leads from any state to the declared one.

use super::apply::Ground;
use super::observe::FORWARD4;
use super::testing::{Model, network, routed};
use super::*;
use fairlead_config::Network;
use fairlead_kernel::route::LinkKind;
use fairlead_types::IfName;
use proptest::prelude::*;

fn desired(networks: impl IntoIterator<Item = Network>) -> Desired {
    Desired {
        networks: networks.into_iter().collect(),
        dir: "/d".into(),
        node: "n1".into(),
        nodes: vec!["n1".into()],
        ..Desired::default()
    }
}

fn texts(report: &Report) -> Vec<String> {
    report.steps.iter().map(ToString::to_string).collect()
}

fn on(dev: &str, mut network: Network) -> Network {
    network.bridge = Some(IfName::new(dev).unwrap());
    network.foreign_bridge = true;
    network
}

#[test]
fn a_network_is_made_once_and_removed_without_a_trace() {
    let mut model = Model::new();
    let one = desired([network("web", &["10.1.0.0/24", "fd00:1::/64"])]);
    let report = model.setup(&one);
    assert!(report.is_complete(), "{:?}", report.problems);
    assert_eq!(
        texts(&report),
        [
            "create bridge obr_web for network web",
            "add 10.1.0.1/24 to obr_web",
            "add fd00:1::1/64 to obr_web",
            "set obr_web up",
            "write /d/web.conflist",
            "set net/ipv4/ip_forward to 1",
            "set net/ipv6/conf/all/forwarding to 1",
            "declare to the firewall the ranges 10.1.0.0/24, fd00:1::/64",
        ]
    );
    assert!(model.setup(&one).steps.is_empty());
    let report = model.setup(&desired([]));
    assert_eq!(
        texts(&report),
        [
            "remove /d/web.conflist",
            "delete bridge obr_web of network web",
            "declare no ranges to the firewall",
        ]
    );
    assert_eq!(model.snapshot(), Model::new().snapshot());
}

#[test]
fn a_change_of_the_range_changes_just_that() {
    let mut model = Model::new();
    model.setup(&desired([
        network("a", &["10.1.0.0/24"]),
        network("b", &["10.2.0.0/24"]),
    ]));
    let report = model.setup(&desired([
        network("a", &["10.1.0.0/24"]),
        network("b", &["10.3.0.0/16"]),
    ]));
    assert_eq!(
        texts(&report),
        [
            "remove 10.2.0.1/24 from obr_b",
            "add 10.3.0.1/16 to obr_b",
            "rewrite /d/b.conflist",
            "declare to the firewall the ranges 10.1.0.0/24, 10.3.0.0/16",
        ]
    );
}

#[test]
fn an_address_that_a_person_added_stays() {
    let mut model = Model::new();
    model.setup(&desired([network("a", &["10.1.0.0/24"])]));
    let index = model.observed.links[0].index;
    model.add_address(index, "192.168.7.1/24");
    model.setup(&desired([network("a", &["10.2.0.0/24"])]));
    let mut left: Vec<_> = model
        .observed
        .addresses
        .iter()
        .map(|a| a.net.to_string())
        .collect();
    left.sort();
    assert_eq!(left, ["10.2.0.1/24", "192.168.7.1/24"]);
}

#[test]
fn a_bridge_that_a_plugin_made_is_taken_over_with_its_address() {
    let mut model = Model::new();
    let index = model.add_link("obr_a", LinkKind::Bridge, None);
    model.add_address(index, "10.1.0.1/24");
    let report = model.setup(&desired([network("a", &["10.1.0.0/24"])]));
    assert_eq!(
        texts(&report)[0],
        "mark bridge obr_a as \"fairlead network#a\""
    );
    model.setup(&desired([network("a", &["10.2.0.0/24"])]));
    let left: Vec<_> = model
        .observed
        .addresses
        .iter()
        .map(|a| a.net.to_string())
        .collect();
    assert_eq!(left, ["10.2.0.1/24"]);
}

#[test]
fn a_foreign_bridge_gets_an_address_only_where_it_has_none_of_the_family() {
    let mut model = Model::new();
    let index = model.add_link("br0", LinkKind::Bridge, None);
    model.add_address(index, "192.168.1.5/24");
    let before = model.snapshot();
    let one = desired([on(
        "br0",
        network("lan", &["192.168.1.0/24", "fd00:1::/64"]),
    )]);
    let report = model.setup(&one);
    let text = report.problems[0].to_string();
    assert!(text.contains("has 192.168.1.5/24"), "{text}");
    assert!(
        text.contains("ip address add 192.168.1.1/24 dev br0"),
        "{text}"
    );
    assert_eq!(texts(&report)[0], "add fd00:1::1/64 to br0");
    assert!(model.setup(&one).steps.is_empty());
    model.setup(&desired([]));
    assert_eq!(model.snapshot(), before);
}

#[test]
fn a_bridge_with_somebodys_alias_is_used_as_it_is() {
    let mut model = Model::new();
    model.add_link("obr_a", LinkKind::Bridge, Some("rack 3"));
    model.setup(&desired([network("a", &["10.1.0.0/24"])]));
    model.setup(&desired([]));
    assert_eq!(model.observed.links[0].alias.as_deref(), Some("rack 3"));
    assert!(model.observed.addresses.is_empty());
}

#[test]
fn containers_keep_a_bridge_that_nobody_declares() {
    let mut model = Model::new();
    model.setup(&desired([network("a", &["10.1.0.0/24"])]));
    let master = model.observed.links[0].index;
    let port = model.add_link("veth1", LinkKind::Veth, None);
    model
        .observed
        .links
        .iter_mut()
        .find(|l| l.index == port)
        .unwrap()
        .master = Some(master);
    for _ in 0..2 {
        let report = model.setup(&desired([]));
        assert!(matches!(
            report.problems[..],
            [NetworkError::InUse { ports: 1, .. }]
        ));
        assert_eq!(report.problems[0].network(), Some("a"));
    }
    model.observed.links.retain(|l| l.index != port);
    let report = model.setup(&desired([]));
    assert_eq!(texts(&report), ["delete bridge obr_a of network a"]);
    assert_eq!(model.snapshot(), Model::new().snapshot());
}

#[test]
fn what_cannot_be_made_is_said_and_holds_up_no_other() {
    let mut model = Model::new();
    model.add_link("obr_taken", LinkKind::Veth, None);
    let other = routed("routed", "10.3.0.0/16", 22, &["n2"]);
    let all = desired([
        network("good", &["10.1.0.0/24"]),
        other,
        on("br1", network("s1", &["10.4.0.0/24"])),
        on("br1", network("s2", &["10.5.0.0/24"])),
        network("taken", &["10.2.0.0/24"]),
    ]);
    let report = model.setup(&all);
    let named: Vec<_> = report
        .problems
        .iter()
        .map(|p| p.network().unwrap())
        .collect();
    assert_eq!(named, ["routed", "s1", "s2", "taken"]);
    assert!(
        report.problems[3]
            .to_string()
            .contains("obr_taken is a link of kind veth")
    );
    assert!(texts(&report).contains(&"write /d/good.conflist".to_owned()));
    assert_eq!(model.observed.scan.files.len(), 1);
}

#[test]
fn what_was_made_for_a_declaration_that_is_faulty_now_stays() {
    let mut model = Model::new();
    model.setup(&desired([network("a", &["10.1.0.0/24"])]));
    let before = model.snapshot();
    let mut faulty = desired([]);
    faulty.held.insert("a".into());
    let report = model.setup(&faulty);
    assert!(report.steps.is_empty(), "{:?}", texts(&report));
    assert_eq!(model.snapshot(), before);
}

#[test]
fn a_step_that_fails_is_taken_back_with_those_before_it_and_the_next_run_completes() {
    let empty = desired([]);
    let old = desired([network("a", &["10.1.0.0/24"])]);
    let new = desired([network("a", &["10.2.0.0/24", "fd00::/64"])]);
    for (from, to) in [(&empty, &old), (&old, &new), (&old, &empty)] {
        let count = plan_after(from, to);
        assert!(count >= 2);
        for fail_at in 0..count {
            let mut model = Model::new();
            model.setup(from);
            let before = model.snapshot();
            model.fail_at = Some(fail_at);
            let report = model.setup(to);
            assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
            let (ranges, rest): (Vec<_>, Vec<_>) = model
                .snapshot()
                .into_iter()
                .partition(|line| line.starts_with("Some"));
            assert_eq!(ranges.len(), 1);
            assert!(rest.iter().all(|line| before.contains(line)), "{rest:?}");
            assert_eq!(rest.len() + 1, before.len());
            assert!(model.setup(to).problems.is_empty());
            let mut fresh = Model::new();
            fresh.setup(to);
            assert_eq!(model.snapshot(), fresh.snapshot());
        }
    }
}

#[test]
fn a_setup_that_was_killed_after_any_step_is_finished_by_the_next() {
    let empty = desired([]);
    let old = desired([
        network("a", &["10.1.0.0/24"]),
        network("b", &["10.5.0.0/24"]),
    ]);
    let new = desired([on("br0", network("a", &["10.2.0.0/24", "fd00::/64"]))]);
    for (from, to) in [(&empty, &old), (&old, &new), (&new, &old), (&old, &empty)] {
        let mut fresh = Model::new();
        fresh.setup(to);
        for killed_after in 0.. {
            let mut model = Model::new();
            model.setup(from);
            let jobs = plan(to, &model.observed).jobs;
            let steps: Vec<_> = jobs.into_iter().flat_map(|job| job.steps).collect();
            if killed_after > steps.len() {
                assert!(killed_after > 3);
                break;
            }
            for step in &steps[..killed_after] {
                model.perform(step).unwrap();
            }
            assert!(model.setup(to).problems.is_empty());
            assert_eq!(model.snapshot(), fresh.snapshot());
        }
    }
}

/// The number of steps of the job that makes the network of `to` follow.
fn plan_after(from: &Desired, to: &Desired) -> usize {
    let mut model = Model::new();
    model.setup(from);
    let plan = plan(to, &model.observed);
    plan.jobs
        .iter()
        .find(|job| job.network.is_some())
        .unwrap()
        .steps
        .len()
}

#[test]
fn forwarding_that_is_on_is_left() {
    let mut model = Model::new();
    model.observed.sysctls.insert(FORWARD4.into(), "1".into());
    let report = model.setup(&desired([network("a", &["10.1.0.0/24"])]));
    assert!(!texts(&report).iter().any(|t| t.contains("forward")));
}

#[test]
fn an_inverse_of_an_inverse_is_the_step() {
    let step = Step::WriteFile {
        path: "/f".into(),
        text: "a".into(),
        previous: Some("b".into()),
    };
    assert_eq!(step.inverse().unwrap().inverse().unwrap(), step);
    let step = Step::RemoveFile {
        path: "/f".into(),
        previous: Some("b".into()),
    };
    assert_eq!(step.inverse().unwrap().inverse().unwrap(), step);
    assert_eq!(
        Step::RemoveFile {
            path: "/f".into(),
            previous: None
        }
        .inverse(),
        None
    );
}

/// Some of four networks, each with one of several ranges and bridges.
fn some_networks() -> impl Strategy<Value = Desired> {
    proptest::collection::vec((any::<bool>(), 0u8..3, any::<bool>(), any::<bool>()), 4).prop_map(
        |choices| {
            let networks = choices.into_iter().enumerate().filter(|(_, c)| c.0);
            desired(networks.map(|(i, (_, range, dual, dev))| {
                let v4 = format!("10.{}.0.0/{}", 10 * i + usize::from(range / 2), 16 + range);
                let v6 = format!("fd00:{i}::/{}", 64 + range);
                let ranges: Vec<&str> = if dual { vec![&v4, &v6] } else { vec![&v4] };
                let network = network(&format!("n{i}"), &ranges);
                if dev {
                    on(&format!("br{i}"), network)
                } else {
                    network
                }
            }))
        },
    )
}

proptest! {
    #[test]
    fn any_change_leads_to_what_a_fresh_node_would_have(
        first in some_networks(), second in some_networks(), foreign in any::<bool>()
    ) {
        let start = || {
            let mut model = Model::new();
            if foreign {
                model.add_link("br1", LinkKind::Bridge, None);
            }
            model
        };
        let mut model = start();
        prop_assert!(model.setup(&first).problems.is_empty());
        prop_assert!(model.setup(&first).steps.is_empty());
        prop_assert!(model.setup(&second).problems.is_empty());
        prop_assert!(model.setup(&second).steps.is_empty());
        let mut fresh = start();
        fresh.setup(&second);
        prop_assert_eq!(model.snapshot(), fresh.snapshot());
        model.setup(&desired([]));
        prop_assert_eq!(model.snapshot(), start().snapshot());
    }
}
