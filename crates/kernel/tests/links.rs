//! Many links gone at once, and links of others changed, judged by `ip`.

mod common;

use common::{TestNs, ip, make, name};
use fairlead_kernel::route::{LinkChange, NewLink, NewLinkKind, Peer, Tunnel, TunnelKind};
use fairlead_kernel::{KernelError, Route};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

fn cable<'a>(text: &str, peer: &str) -> NewLink<'a> {
    let peer = Peer {
        name: name(peer),
        mac: None,
        mtu: None,
        namespace: None,
    };
    NewLink::new(name(text), NewLinkKind::Veth(peer))
}

#[test]
fn a_tunnel_with_ends_of_the_wrong_family_is_not_asked_for() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let tunnel = Tunnel {
        kind: TunnelKind::Gre6,
        local: ip("10.0.0.1"),
        remote: ip("fd00::2"),
    };
    let new = NewLink::new(name("t0"), NewLinkKind::Tunnel(tunnel));
    let error = route.create_link(&new).unwrap_err();
    assert!(matches!(error, KernelError::Invalid { .. }), "{error:?}");
    let message = "create link t0: ip6gre 10.0.0.1 to fd00::2: \
                   give two different IPv6 addresses of hosts";
    assert_eq!(error.to_string(), message);
}

#[test]
fn the_greatest_packet_of_a_containers_link_is_set_from_outside() {
    let (host, container) = (TestNs::new(), TestNs::new());
    let mut route = Route::open_in(&host.ns).unwrap();
    let peer = Peer {
        name: name("eth0"),
        mac: None,
        mtu: None,
        namespace: Some(container.ns.as_fd()),
    };
    make(&mut route, "veth0", NewLinkKind::Veth(peer));
    let mut inner = Route::open_in(&container.ns).unwrap();
    let index = inner.link(&name("eth0")).unwrap().unwrap().index;
    let change = LinkChange {
        mtu: Some(1380),
        ..LinkChange::default()
    };
    inner.change_link(index, &change, &"eth0").unwrap();
    assert_eq!(container.ip(&["link", "show", "eth0"])[0]["mtu"], 1380);
    assert_eq!(host.ip(&["link", "show", "veth0"])[0]["mtu"], 1500);
}

#[test]
fn links_are_deleted_together_and_no_others() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let mut all = Vec::new();
    for i in 0..5 {
        route
            .create_link(&cable(&format!("a{i}"), &format!("b{i}")))
            .unwrap();
        let name = name(&format!("a{i}"));
        all.push((route.link(&name).unwrap().unwrap().index, name));
    }
    let (gone, name_of_gone) = all[0].clone();
    route.delete_link(gone, &name_of_gone).unwrap();
    // This one is another link by now.
    let renamed = LinkChange {
        name: Some(name("mine")),
        ..LinkChange::default()
    };
    route.change_link(all[1].0, &renamed, &"a1").unwrap();
    let deleted = route.delete_links_together(&all).unwrap();
    assert_eq!(deleted, ["a2", "a3", "a4"].map(name));
    let links = host.ip(&["link", "show"]);
    let mut left: Vec<_> = links.as_array().unwrap().iter().collect();
    left.sort_by_key(|link| link["ifname"].to_string());
    let names: Vec<_> = left.iter().map(|l| l["ifname"].as_str().unwrap()).collect();
    assert_eq!(names, ["b1", "lo", "mine"]);
    assert_eq!(route.delete_links_together(&all).unwrap(), []);
    assert_eq!(route.delete_links_together(&all[..1]).unwrap(), []);
    assert_eq!(route.delete_links_together(&[]).unwrap(), []);
    let mine = [(all[1].0, name("mine"))];
    assert_eq!(route.delete_links_together(&mine).unwrap(), [name("mine")]);
}

#[test]
fn when_one_cannot_be_deleted_none_is_and_each_keeps_its_group() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    route
        .create_link(&NewLink {
            group: Some(7),
            ..cable("a0", "b0")
        })
        .unwrap();
    let links = ["a0", "lo"].map(|text| {
        let name = name(text);
        (route.link(&name).unwrap().unwrap().index, name)
    });
    let error = route.delete_links_together(&links).unwrap_err();
    assert!(error.is_unsupported(), "{error}");
    let groups = route.links().unwrap();
    let groups: Vec<_> = groups.iter().map(|l| (l.name.as_str(), l.group)).collect();
    assert!(
        groups.contains(&("a0", 7)) && groups.contains(&("lo", 0)),
        "{groups:?}"
    );
}

#[test]
fn a_hundred_cables_go_in_the_time_of_a_few() {
    let host = TestNs::new();
    let container = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let mut time = |count: usize| {
        let mut links = Vec::new();
        for i in 0..count {
            let peer = Peer {
                name: name(&format!("b{i}")),
                mac: None,
                mtu: None,
                namespace: Some(container.ns.as_fd()),
            };
            let index = make(&mut route, &format!("a{i}"), NewLinkKind::Veth(peer));
            links.push((index, name(&format!("a{i}"))));
        }
        let begin = Instant::now();
        let deleted = route.delete_links_together(&links).unwrap();
        let took = begin.elapsed();
        assert_eq!(deleted.len(), count);
        took
    };
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let one = median((0..9).map(|_| time(1)).collect());
    let hundred = median((0..3).map(|_| time(100)).collect());
    println!("one cable: {one:?}, a hundred: {hundred:?}");
    // One by one they would take a hundred times as long; the figure itself is for the
    // benchmark, since other tests run meanwhile.
    assert!(hundred < one * 25, "{hundred:?} for {one:?}");
}
