//! The ways between nodes, and that setup makes just those.

use crate::known::Known;
use crate::setup::testing::{Model, routed};
use crate::setup::{Desired, Report};
use crate::{NetworkError, generate};
use fairlead_config::{Network, Tunnel, TunnelMode};
use fairlead_kernel::route::LinkKind;
use std::net::IpAddr;

mod faults;

/// Node n1 of three: n2 is on its link, n3 is not.
const PLACES: [(&str, &[&str]); 3] = [
    ("n1", &["192.168.1.1", "2001:db8:1::1"]),
    ("n2", &["192.168.1.2", "2001:db8:1::2"]),
    ("n3", &["192.168.9.3", "2001:db8:9::3"]),
];

fn known() -> Known {
    let mut known = Known::default();
    for (node, addresses) in PLACES {
        let parse = |a: &&str| a.parse::<IpAddr>().unwrap();
        known.insert(node, addresses.iter().map(parse).collect());
    }
    known
}

fn desired(networks: impl IntoIterator<Item = Network>, known: Known) -> Desired {
    Desired {
        networks: networks.into_iter().collect(),
        dir: "/d".into(),
        node: "n1".into(),
        nodes: ["n1", "n2", "n3"].map(str::to_owned).to_vec(),
        known,
        ..Desired::default()
    }
}

fn machine() -> Model {
    let mut model = Model::new();
    let eth0 = model.add_link("eth0", LinkKind::Veth, None);
    model.observed.links[0].up = true;
    model.add_address(eth0, "192.168.1.1/24");
    model.add_address(eth0, "2001:db8:1::1/64");
    model
}

fn back() -> Network {
    routed("back", "10.11.0.0/16", 22, &["n1", "n2", "n3"])
}

fn with(network: Network, tunnel: Tunnel, mode: TunnelMode) -> Network {
    let mut network = network;
    if let Some(routed) = &mut network.routed {
        (routed.tunnel, routed.tunnel_mode) = (tunnel, mode);
    }
    network
}

fn ways(report: &Report) -> Vec<String> {
    let steps = report.steps.iter().map(ToString::to_string);
    steps
        .filter(|s| {
            ["route", "tunnel", "vxlan", "peer", "mtu"]
                .iter()
                .any(|w| s.contains(w))
        })
        .collect()
}

#[test]
fn auto_goes_directly_where_it_can_and_by_a_tunnel_where_it_must() {
    let mut model = machine();
    let wanted = desired([back()], known());
    let report = model.setup(&wanted);
    assert!(report.is_complete(), "{:?}", report.problems);
    assert_eq!(
        ways(&report),
        [
            "add route 10.11.4.0/22 via 192.168.1.2 dev eth0",
            "create ipip tunnel flt0 from 192.168.1.1 to 192.168.9.3 of node n3",
            "add route 10.11.8.0/22 dev flt0",
        ]
    );
    let bridge = model
        .observed
        .links
        .iter()
        .find(|l| l.name == "obr_back")
        .unwrap();
    assert_eq!(bridge.mtu, 1480);
    assert_eq!(model.observed.ranges.as_ref().unwrap().masqueraded.len(), 1);
    assert!(model.setup(&wanted).steps.is_empty());
    model.setup(&desired([], known()));
    assert_eq!(model.snapshot(), machine_snapshot());
}

/// A machine on which there never was a network.
fn machine_snapshot() -> Vec<String> {
    machine().snapshot()
}

#[test]
fn a_change_of_mode_or_policy_changes_the_ways_and_leaves_nothing_of_the_old() {
    use {Tunnel as T, TunnelMode as M};
    let all = [T::Auto, T::Always].map(|t| [M::Ipip, M::Gre, M::Vxlan].map(|m| (t, m)));
    for (from_when, from) in all.concat() {
        for (to_when, to) in all.concat() {
            let mut model = machine();
            model.setup(&desired([with(back(), from_when, from)], known()));
            let second = desired([with(back(), to_when, to)], known());
            let report = model.setup(&second);
            assert!(
                report.is_complete(),
                "{from:?} {to:?} {:?}",
                report.problems
            );
            let mut fresh = machine();
            fresh.setup(&second);
            // The names of tunnels depend on what was there before.
            let plain = |model: &Model| {
                let all = model.snapshot().into_iter();
                all.map(|l| {
                    l.replace("flt1", "flt0")
                        .replace("flt2", "flt0")
                        .replace("flt3", "flt0")
                })
                .collect::<Vec<_>>()
            };
            let (mut one, mut two) = (plain(&model), plain(&fresh));
            one.sort();
            two.sort();
            assert_eq!(one, two, "{from_when:?} {from:?} to {to_when:?} {to:?}");
            assert!(model.setup(&second).steps.is_empty());
        }
    }
}

#[test]
fn vxlan_has_one_endpoint_that_is_told_of_each_node() {
    let mut model = machine();
    let wanted = desired([with(back(), Tunnel::Always, TunnelMode::Vxlan)], known());
    let report = model.setup(&wanted);
    assert!(report.is_complete(), "{:?}", report.problems);
    let steps = ways(&report);
    assert_eq!(steps.len(), 5, "{steps:?}");
    assert!(steps[0].starts_with("create vxlan endpoint ovx_back"));
    assert_eq!(steps[1], "set peer 10.11.4.0 of ovx_back at 192.168.1.2");
    assert_eq!(
        steps[2],
        "add route 10.11.4.0/22 via 10.11.4.0 dev ovx_back"
    );
    let mut moved = known();
    moved.insert("n2", vec!["192.168.1.22".parse().unwrap()]);
    let wanted = Desired {
        known: moved,
        ..wanted
    };
    let report = model.setup(&wanted);
    assert_eq!(
        ways(&report),
        ["set peer 10.11.4.0 of ovx_back at 192.168.1.22"]
    );
    // n3 leaves the cluster and keeps its segment.
    let wanted = Desired {
        nodes: vec!["n1".into(), "n2".into()],
        ..wanted
    };
    let report = model.setup(&wanted);
    assert_eq!(
        ways(&report),
        [
            "remove route 10.11.8.0/22 via 10.11.8.0 dev ovx_back",
            "remove peer 10.11.8.0 of ovx_back at 192.168.9.3",
        ]
    );
}

#[test]
fn a_node_that_cannot_be_looked_up_keeps_its_way_and_holds_up_nobody() {
    let mut model = machine();
    model.setup(&desired([back()], known()));
    let before = model.snapshot();
    let mut lost = known();
    lost.fail("n3", "no such name");
    lost.insert("n2", vec!["192.168.1.77".parse().unwrap()]);
    let report = model.setup(&desired([back()], lost));
    assert_eq!(
        ways(&report),
        ["change route 10.11.4.0/22 via 192.168.1.77 dev eth0"]
    );
    let texts: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1);
    assert!(
        texts[0].contains(
            "node n3 cannot be reached: no such name; give its address by \
        network#back.addr@n3"
        ),
        "{}",
        texts[0]
    );
    assert_eq!(report.problems[0].word(), "unresolved");
    let report = model.setup(&desired([back()], known()));
    assert!(report.is_complete());
    assert_eq!(model.snapshot(), before);
}

#[test]
fn both_ends_are_as_declared() {
    let mut model = machine();
    let eth1 = model.add_link("eth1", LinkKind::Veth, None);
    model.add_address(eth1, "172.16.0.1/24");
    let mut network = with(back(), Tunnel::Always, TunnelMode::Gre);
    let routed = network.routed.as_mut().unwrap();
    routed.endpoints.insert("n1".into(), "172.16.0.1".into());
    routed.endpoints.insert("n2".into(), "172.16.0.2".into());
    routed.endpoints.insert("n3".into(), "other".into());
    let mut known = Known::default();
    known.insert("other", vec!["172.16.5.3".parse().unwrap()]);
    let report = model.setup(&desired([network.clone()], known.clone()));
    assert_eq!(
        ways(&report),
        [
            "create gre tunnel flt0 from 172.16.0.1 to 172.16.0.2 of node n2",
            "add route 10.11.4.0/22 dev flt0",
            "create gre tunnel flt1 from 172.16.0.1 to 172.16.5.3 of node n3",
            "add route 10.11.8.0/22 dev flt1",
        ]
    );
    let routed = network.routed.as_mut().unwrap();
    routed.endpoints.insert("n1".into(), "172.16.0.9".into());
    let report = model.setup(&desired([network], known));
    assert!(ways(&report).is_empty(), "{report:?}");
    let error = &report.problems[0];
    assert!(matches!(error, NetworkError::NotLocal { .. }), "{error}");
    assert!(error.to_string().contains("addr@n1"), "{error}");
}

#[test]
fn a_gateway_and_tables_are_used_and_a_next_hop_has_to_be_on_a_link() {
    let mut model = machine();
    let mut network = with(back(), Tunnel::Never, TunnelMode::Ipip);
    let routed = network.routed.as_mut().unwrap();
    routed
        .gateways
        .insert("n3".into(), "192.168.1.254".parse().unwrap());
    routed.tables = vec!["main".into(), "100".into(), "nonsense".into()];
    let report = model.setup(&desired([network.clone()], known()));
    assert_eq!(
        ways(&report),
        [
            "add route 10.11.0.0/22 dev obr_back table 100",
            "add route 10.11.4.0/22 via 192.168.1.2 dev eth0",
            "add route 10.11.4.0/22 via 192.168.1.2 dev eth0 table 100",
            "add route 10.11.8.0/22 via 192.168.1.254 dev eth0",
            "add route 10.11.8.0/22 via 192.168.1.254 dev eth0 table 100",
        ]
    );
    assert!(
        matches!(&report.problems[..], [NetworkError::Table { table, .. }] if table == "nonsense")
    );
    let routed = network.routed.as_mut().unwrap();
    routed.gateways.clear();
    routed.tables = vec!["main".into()];
    let report = model.setup(&desired([network], known()));
    assert!(
        matches!(&report.problems[..], [NetworkError::NotOnLink { .. }]),
        "{report:?}"
    );
}

#[test]
fn ipv6_goes_by_ipv6_tunnels() {
    let mut model = machine();
    let six = || routed("six", "fd00:1::/112", 118, &["n1", "n2", "n3"]);
    for mode in [TunnelMode::Ipip, TunnelMode::Ip6ip6] {
        let report = model.setup(&desired([with(six(), Tunnel::Always, mode)], known()));
        assert!(report.is_complete(), "{:?}", report.problems);
    }
    let kinds: Vec<_> = model
        .observed
        .links
        .iter()
        .filter_map(|l| l.tunnel)
        .collect();
    assert_eq!(kinds.len(), 2);
    assert!(
        kinds
            .iter()
            .all(|t| t.kind == fairlead_kernel::route::TunnelKind::Ip6ip6)
    );
    let bridge = model
        .observed
        .links
        .iter()
        .find(|l| l.name == "obr_six")
        .unwrap();
    assert_eq!(bridge.mtu, 1460);
    let four = with(back(), Tunnel::Always, TunnelMode::Ip6ip6);
    let report = machine().setup(&desired([four], known()));
    assert!(
        report
            .problems
            .iter()
            .all(|p| matches!(p, NetworkError::Mode { .. }))
    );
    assert_eq!(report.problems.len(), 2);
}

#[test]
fn what_somebody_else_made_is_not_touched_and_names_do_not_collide() {
    let mut model = machine();
    model.add_link("flt0", LinkKind::Veth, None);
    model.add_link("ovx_back", LinkKind::Vxlan, Some("somebody's"));
    let wanted = desired([with(back(), Tunnel::Always, TunnelMode::Vxlan)], known());
    let report = model.setup(&wanted);
    assert!(
        matches!(&report.problems[..], [NetworkError::LinkInTheWay { link, .. }] if link == "ovx_back")
    );
    let report = model.setup(&desired([back()], known()));
    assert!(
        ways(&report)
            .iter()
            .any(|s| s.starts_with("create ipip tunnel flt1 ")),
        "{report:?}"
    );
    model.setup(&desired([], known()));
    let left: Vec<_> = model
        .observed
        .links
        .iter()
        .map(|l| l.name.as_str())
        .collect();
    assert_eq!(left, ["eth0", "flt0", "ovx_back"]);
}

#[test]
fn two_networks_share_a_tunnel_and_not_an_identifier() {
    let mut model = machine();
    let other = || routed("more", "10.12.0.0/16", 22, &["n1", "n2", "n3"]);
    let report = model.setup(&desired([back(), other()], known()));
    let made = ways(&report);
    assert_eq!(
        made.iter().filter(|s| s.contains("tunnel")).count(),
        1,
        "{made:?}"
    );
    let report = model.setup(&desired([back()], known()));
    assert!(
        ways(&report)
            .iter()
            .all(|s| s.starts_with("remove route 10.12.")),
        "{report:?}"
    );
    let vxlan = |mut network: Network| {
        network.routed.as_mut().unwrap().vni = Some(7);
        with(network, Tunnel::Always, TunnelMode::Vxlan)
    };
    let report = machine().setup(&desired([vxlan(back()), vxlan(other())], known()));
    assert!(
        matches!(&report.problems[..], [NetworkError::Vni { vni: 7, .. }]),
        "{report:?}"
    );
}

#[test]
fn a_network_whose_declaration_became_faulty_keeps_all_its_ways() {
    let mut model = machine();
    model.setup(&desired([back()], known()));
    let list = generate(&back(), "n1", Some(1480)).unwrap();
    assert_eq!(generate::destinations(&list).len(), 1);
    let before = model.snapshot();
    let mut faulty = desired([], known());
    faulty.held.insert("back".into());
    let report = model.setup(&faulty);
    assert!(ways(&report).is_empty(), "{report:?}");
    let after = model.snapshot();
    assert_eq!(before, after, "also what is translated on its way out");
}

/// What was taken away by somebody comes back, and only that.
#[test]
fn a_change_costs_work_in_proportion_to_the_change() {
    let nodes: Vec<String> = (1..=1000).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let network = routed("back", "10.0.0.0/8", 22, &names);
    let mut known = Known::default();
    for (i, node) in nodes.iter().enumerate() {
        let low = u8::try_from(i % 250).unwrap() + 1;
        let high = u8::try_from(i / 250).unwrap();
        let address = match i {
            0 => IpAddr::from([192, 168, 1, 1]),
            _ => IpAddr::from([192, 168, 100 + high, low]),
        };
        known.insert(node.as_str(), vec![address]);
    }
    let mut wanted = desired([network], known);
    wanted.nodes = nodes;
    let mut model = machine();
    let report = model.setup(&wanted);
    assert_eq!(ways(&report).len(), 2 * 999);
    wanted
        .known
        .insert("n500", vec!["192.168.77.7".parse().unwrap()]);
    let changed = ways(&model.setup(&wanted));
    assert_eq!(
        changed.len(),
        3,
        "a tunnel, its route, the old tunnel: {changed:?}"
    );
    model.observed.routes.remove(17);
    assert_eq!(ways(&model.setup(&wanted)).len(), 1);
}
