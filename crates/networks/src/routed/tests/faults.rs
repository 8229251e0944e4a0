//! What is in the way, half made, down or not known.

use super::*;

/// A kernel without the kind of tunnel, or a full table: what works is kept.
#[test]
fn the_old_way_stays_where_the_new_one_cannot_be_made() {
    let mut model = machine();
    model.setup(&desired(
        [with(back(), Tunnel::Always, TunnelMode::Vxlan)],
        known(),
    ));
    let ways_before = (model.observed.routes.clone(), model.observed.peers.clone());
    let wanted = desired([with(back(), Tunnel::Always, TunnelMode::Gre)], known());
    // The mtu and the file come first, then the first tunnel.
    model.fail_at = Some(2);
    let report = model.setup(&wanted);
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(model.observed.peers, ways_before.1, "{report:?}");
    assert!(model.observed.links.iter().any(|l| l.name == "ovx_back"));
    let kept = |model: &Model| {
        model
            .observed
            .routes
            .iter()
            .any(|r| r.link.as_str() == "ovx_back")
    };
    assert!(kept(&model), "{report:?}");
    let report = model.setup(&wanted);
    assert!(report.is_complete() && !kept(&model), "{report:?}");
    assert!(!model.observed.links.iter().any(|l| l.name == "ovx_back"));
}

/// A bridge of containers has the same address on each node.
#[test]
fn an_address_that_both_nodes_have_is_no_endpoint() {
    let mut both = known();
    both.insert(
        "n1",
        vec![
            "172.17.0.1".parse().unwrap(),
            "192.168.1.1".parse().unwrap(),
        ],
    );
    both.insert(
        "n3",
        vec![
            "172.17.0.1".parse().unwrap(),
            "192.168.9.3".parse().unwrap(),
        ],
    );
    let mut model = machine();
    let docker0 = model.add_link("docker0", LinkKind::Bridge, None);
    model.add_address(docker0, "172.17.0.1/16");
    let mut network = back();
    let routed = network.routed.as_mut().unwrap();
    routed.endpoints.insert("n1".into(), "192.168.1.1".into());
    let report = model.setup(&desired([network], both));
    assert!(
        ways(&report)
            .iter()
            .any(|s| s.starts_with("create ipip tunnel flt0 from 192.168.1.1 to 192.168.9.3")),
        "{report:?}"
    );
}

/// As `kill -9` between the making of a link and its mark leaves it.
#[test]
fn what_is_half_made_is_made_anew() {
    use Tunnel::Always;
    for mode in [TunnelMode::Ipip, TunnelMode::Vxlan] {
        let mut model = machine();
        let wanted = desired([with(back(), Always, mode)], known());
        model.setup(&wanted);
        let whole = model.snapshot();
        let ours = ["flt0", "ovx_back"];
        let half = model.observed.links.iter_mut();
        for link in half.filter(|l| ours.contains(&l.name.as_str())) {
            (link.up, link.alias) = (false, None);
        }
        model
            .observed
            .routes
            .retain(|r| !ours.contains(&r.link.as_str()));
        model.observed.peers.clear();
        let report = model.setup(&wanted);
        assert!(report.is_complete(), "{report:?}");
        assert!(ways(&report)[0].starts_with("delete "), "{report:?}");
        assert!(model.setup(&wanted).steps.is_empty());
        let renamed = |all: &[String]| {
            let all = all.iter().map(|line| line.replace("flt2", "flt0"));
            let mut all: Vec<String> = all.collect();
            all.sort();
            all
        };
        assert_eq!(renamed(&model.snapshot()), renamed(&whole));
    }
}

/// A node that tunnels where the other does not is not heard: both decide by what both see.
#[test]
fn what_the_other_node_does_not_see_as_a_neighbour_is_none() {
    let mut model = machine();
    let mut wider = known();
    wider.tell_subnets("n2", vec!["192.168.1.2/32".parse().unwrap()]);
    let report = model.setup(&desired([back()], wider.clone()));
    assert!(
        ways(&report)[0].starts_with("create ipip tunnel flt0 from 192.168.1.1 to 192.168.1.2"),
        "{report:?}"
    );
    // While its agent is stopped nothing is known of it, and nothing changes.
    let mut silent = known();
    silent.expect_subnets();
    let report = model.setup(&desired([back()], silent));
    assert!(report.steps.is_empty(), "{report:?}");
    wider.tell_subnets("n2", vec!["192.168.1.2/24".parse().unwrap()]);
    let report = model.setup(&desired([back()], wider));
    assert_eq!(
        ways(&report)[0],
        "change route 10.11.4.0/22 via 192.168.1.2 dev eth0"
    );
}

#[test]
fn a_link_that_is_down_for_a_moment_changes_nothing_but_is_told() {
    let mut model = machine();
    let wanted = desired([back()], known());
    model.setup(&wanted);
    let eth0 = model.observed.links.iter_mut().find(|l| l.name == "eth0");
    eth0.unwrap().up = false;
    let before = model.snapshot();
    let report = model.setup(&wanted);
    assert!(report.steps.is_empty(), "{report:?}");
    assert!(
        matches!(&report.problems[..], [NetworkError::LinkDown { link, .. }] if link.as_str() == "eth0"),
        "{report:?}"
    );
    assert_eq!(model.snapshot(), before);
}

#[test]
fn an_endpoint_on_the_loopback_interface_is_this_nodes() {
    let mut model = machine();
    let lo = model.add_link("lo", LinkKind::Other("loopback".into()), None);
    model.observed.links.last_mut().unwrap().loopback = true;
    model.add_address(lo, "203.0.113.1/32");
    let mut network = with(back(), Tunnel::Always, TunnelMode::Ipip);
    let routed = network.routed.as_mut().unwrap();
    routed.endpoints.insert("n1".into(), "203.0.113.1".into());
    let report = model.setup(&desired([network], known()));
    assert!(report.is_complete(), "{report:?}");
    assert!(ways(&report)[0].contains("from 203.0.113.1 to 192.168.1.2"));
}

#[test]
fn while_nothing_is_known_of_the_ways_containers_get_what_the_bridge_has() {
    let mut model = machine();
    model.setup(&desired(
        [with(back(), Tunnel::Always, TunnelMode::Vxlan)],
        known(),
    ));
    let report = model.setup(&desired(
        [with(back(), Tunnel::Always, TunnelMode::Vxlan)],
        Known::default(),
    ));
    assert!(report.steps.is_empty(), "{report:?}");
    assert_eq!(report.problems.len(), 2);
}

#[test]
fn a_table_that_has_no_name_here_keeps_what_is_in_it() {
    let mut model = machine();
    let mut network = back();
    network.routed.as_mut().unwrap().tables = vec!["100".into()];
    model.setup(&desired([network.clone()], known()));
    let routes = model.observed.routes.clone();
    assert_eq!(routes.len(), 3);
    network.routed.as_mut().unwrap().tables = vec!["mesh".into()];
    let report = model.setup(&desired([network], known()));
    assert_eq!(model.observed.routes, routes, "{report:?}");
    assert!(matches!(&report.problems[..], [NetworkError::Table { .. }]));
}
