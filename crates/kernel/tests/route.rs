//! Routing netlink on the real kernel, judged by `ip -j`.

mod common;

use common::{TestNs, bridge, name};
use fairlead_kernel::route::{
    AddressOptions, LinkChange, LinkKind, MacvlanMode, Neighbour, NewLink, NewLinkKind, NextHop,
    Peer, PortOptions, RouteEntry, RouteMetrics, Rule, Vxlan,
};
use fairlead_kernel::{NetNs, Route, sysctl};
use fairlead_types::Mac;
use std::os::fd::AsFd;

fn link<'a>(text: &str, kind: NewLinkKind<'a>) -> NewLink<'a> {
    NewLink {
        up: true,
        ..NewLink::new(name(text), kind)
    }
}

fn veth(text: &str, peer: &str) -> NewLink<'static> {
    let peer = Peer {
        name: name(peer),
        mac: None,
        mtu: None,
        namespace: None,
    };
    link(text, NewLinkKind::Veth(peer))
}

#[test]
fn one_message_makes_a_cable_with_its_peer_in_the_container_and_its_end_on_the_bridge() {
    let (host, container) = (TestNs::new(), TestNs::new());
    let mut route = Route::open_in(&host.ns).unwrap();
    let master = bridge(&mut route, "br0");
    let mac = "02:00:00:00:00:07".parse::<Mac>().unwrap();
    route
        .create_link(&NewLink {
            master: Some(master),
            mtu: Some(1400),
            ..link(
                "veth0",
                NewLinkKind::Veth(Peer {
                    name: name("eth0"),
                    mac: Some(mac),
                    mtu: Some(1400),
                    namespace: Some(container.ns.as_fd()),
                }),
            )
        })
        .unwrap();
    let outer = host.ip(&["link", "show", "veth0"]);
    assert_eq!(outer[0]["master"], "br0");
    assert_eq!(outer[0]["mtu"], 1400);
    let inner = container.ip(&["link", "show", "eth0"]);
    assert_eq!(inner[0]["address"], "02:00:00:00:00:07");
    assert_eq!(inner[0]["mtu"], 1400);
    let read = route.link(&name("veth0")).unwrap().unwrap();
    assert_eq!(
        (read.kind, read.master, read.mtu),
        (Some(LinkKind::Veth), Some(master), 1400)
    );
}

#[test]
fn a_name_that_is_taken_is_told_by_type_with_the_objects_name() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    bridge(&mut route, "br0");
    let new = link(
        "br0",
        NewLinkKind::Bridge {
            vlan_filtering: None,
        },
    );
    let error = route.create_link(&new).unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert!(
        error.to_string().starts_with("create link br0: "),
        "{error}"
    );
}

#[test]
fn the_kernels_own_words_are_in_the_error() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let index = bridge(&mut route, "br0");
    // 16 is the least VLAN-less frame that is refused with words, by mtu bounds.
    let change = LinkChange {
        mtu: Some(1),
        ..LinkChange::default()
    };
    let error = route.change_link(index, &change, &"br0").unwrap_err();
    assert!(
        error.to_string().contains("mtu less than device minimum"),
        "{error}"
    );
}

#[test]
fn addresses_of_both_families_come_and_go() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let index = bridge(&mut route, "br0");
    let nets = [
        "10.1.2.3/24".parse().unwrap(),
        "fd00::3/64".parse().unwrap(),
    ];
    for net in nets {
        let options = AddressOptions {
            no_dad: true,
            ..AddressOptions::default()
        };
        route.add_address(index, net, options, &"br0").unwrap();
        assert!(
            route
                .add_address(index, net, options, &"br0")
                .unwrap_err()
                .is_exists()
        );
    }
    let seen = host.ip(&["addr", "show", "br0"])[0]["addr_info"].to_string();
    assert!(
        seen.contains("10.1.2.3") && seen.contains("fd00::3"),
        "{seen}"
    );
    assert!(seen.contains("10.1.2.255"), "the broadcast address: {seen}");
    let read: Vec<_> = route
        .addresses(index)
        .unwrap()
        .into_iter()
        .map(|a| a.net)
        .collect();
    assert!(nets.iter().all(|net| read.contains(net)), "{read:?}");
    for net in nets {
        assert!(route.delete_address(index, net, &"br0").unwrap());
        assert!(!route.delete_address(index, net, &"br0").unwrap());
    }
    assert!(
        !host.ip(&["addr", "show", "br0"])[0]["addr_info"]
            .to_string()
            .contains("10.1.2.3")
    );
}

#[test]
fn routes_carry_gateway_table_priority_and_metrics() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let index = bridge(&mut route, "br0");
    route
        .add_address(
            index,
            "10.1.2.3/24".parse().unwrap(),
            AddressOptions::default(),
            &"br0",
        )
        .unwrap();
    let via = NextHop {
        gateway: Some("10.1.2.1".parse().unwrap()),
        link: Some(index),
    };
    let entry = RouteEntry {
        priority: Some(50),
        table: Some(1000),
        metrics: RouteMetrics {
            mtu: Some(1300),
            advmss: Some(1200),
        },
        ..RouteEntry::new("10.9.0.0/16".parse().unwrap(), via)
    };
    route.add_route(&entry).unwrap();
    assert!(route.add_route(&entry).unwrap_err().is_exists());
    let seen = &host.ip(&["-d", "route", "show", "table", "1000"])[0];
    assert_eq!(
        (&seen["dst"], &seen["gateway"]),
        (&"10.9.0.0/16".into(), &"10.1.2.1".into())
    );
    assert_eq!(
        (&seen["metric"], &seen["metrics"][0]["mtu"]),
        (&50.into(), &1300.into())
    );
    assert!(
        route
            .routes()
            .unwrap()
            .iter()
            .any(|r| r.metrics == entry.metrics)
    );
    let default = RouteEntry::new("0.0.0.0/0".parse().unwrap(), via);
    route.add_route(&default).unwrap();
    let found = route.route_to("8.8.8.8".parse().unwrap()).unwrap();
    assert_eq!(
        (found.next_hop.link, found.source),
        (Some(index), "10.1.2.3".parse().ok())
    );
    assert!(route.delete_route(&entry).unwrap());
    assert!(!route.delete_route(&entry).unwrap());
    assert!(
        route
            .route_to("fd99::1".parse().unwrap())
            .unwrap_err()
            .errno()
            .is_some()
    );
}

#[test]
fn the_route_that_the_kernel_made_for_an_address_can_be_deleted() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let index = bridge(&mut route, "br0");
    for net in ["10.1.2.3/24", "fd00::3/64"] {
        let net: ipnet::IpNet = net.parse().unwrap();
        route
            .add_address(index, net, AddressOptions::default(), &"br0")
            .unwrap();
        let on_link = NextHop {
            gateway: None,
            link: Some(index),
        };
        assert!(
            route
                .delete_route(&RouteEntry::new(net.trunc(), on_link))
                .unwrap()
        );
        let family = if net.addr().is_ipv4() { "-4" } else { "-6" };
        let left = host.ip(&[family, "route", "show", &net.trunc().to_string()]);
        assert_eq!(left.as_array().map(Vec::len), Some(0), "{left}");
    }
}

#[test]
fn rules_and_neighbours_are_set_and_taken_away() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let rule = Rule {
        source: "10.3.0.0/16".parse().unwrap(),
        destination: None,
        table: 77,
        priority: Some(900),
    };
    route.add_rule(&rule).unwrap();
    assert!(
        host.ip(&["rule", "show"])
            .to_string()
            .contains("\"table\":\"77\"")
    );
    assert!(route.rules().unwrap().contains(&rule));
    assert!(route.delete_rule(&rule).unwrap() && !route.delete_rule(&rule).unwrap());

    let index = bridge(&mut route, "br0");
    let neighbour = Neighbour {
        link: index,
        address: "10.1.2.9".parse().unwrap(),
        mac: "02:00:00:00:00:09".parse().unwrap(),
        forwarding: false,
    };
    route.set_neighbour(&neighbour).unwrap();
    let seen = host.ip(&["neigh", "show", "dev", "br0"]);
    assert_eq!(
        (&seen[0]["dst"], &seen[0]["state"][0]),
        (&"10.1.2.9".into(), &"PERMANENT".into())
    );
    assert_eq!(route.neighbours(index).unwrap(), [neighbour]);
    assert!(route.delete_neighbour(&neighbour).unwrap());
}

#[test]
fn other_kinds_of_link_are_made_as_asked() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let parent = bridge(&mut route, "br0");
    let mode = MacvlanMode::Private;
    route
        .create_link(&link("mv0", NewLinkKind::Macvlan { parent, mode }))
        .unwrap();
    let vxlan = Vxlan {
        vni: 42,
        local: Some("10.0.0.1".parse().unwrap()),
        port: 4789,
        learning: false,
        parent: None,
    };
    route
        .create_link(&link("vx0", NewLinkKind::Vxlan(vxlan)))
        .unwrap();
    let seen = host.ip(&["-d", "link", "show", "mv0"])[0]["linkinfo"].to_string();
    assert!(
        seen.contains("macvlan") && seen.contains("private"),
        "{seen}"
    );
    let seen = host.ip(&["-d", "link", "show", "vx0"])[0]["linkinfo"].clone();
    assert_eq!(
        (&seen["info_data"]["id"], &seen["info_data"]["port"]),
        (&42.into(), &4789.into())
    );
    assert_eq!(seen["info_data"]["learning"], false);
    assert_eq!(
        route.link(&name("vx0")).unwrap().unwrap().kind,
        Some(LinkKind::Vxlan)
    );
}

#[test]
fn ports_get_hairpin_and_isolation() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let master = bridge(&mut route, "br0");
    route
        .create_link(&NewLink {
            master: Some(master),
            ..veth("v0", "v1")
        })
        .unwrap();
    let index = route.link(&name("v0")).unwrap().unwrap().index;
    let options = PortOptions {
        hairpin: Some(true),
        isolated: Some(true),
    };
    route.set_port(index, options, &"v0").unwrap();
    let seen = host.ip(&["-d", "link", "show", "v0"])[0]["linkinfo"]["info_slave_data"].clone();
    assert_eq!(
        (&seen["hairpin"], &seen["isolated"]),
        (&true.into(), &true.into())
    );
    let read = route.link_by_index(index).unwrap().unwrap();
    assert!(read.hairpin && read.isolated);
}

#[test]
fn a_group_of_links_is_deleted_in_one_step() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    for i in 0..20 {
        let new = veth(&format!("a{i}"), &format!("b{i}"));
        route
            .create_link(&NewLink {
                group: Some(4711),
                ..new
            })
            .unwrap();
    }
    assert_eq!(
        route
            .links()
            .unwrap()
            .iter()
            .filter(|l| l.group == 4711)
            .count(),
        20
    );
    assert!(route.delete_link_group(4711).unwrap());
    assert!(!route.delete_link_group(4711).unwrap());
    assert_eq!(host.ip(&["link", "show"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_link_is_renamed_moved_and_removed() {
    let (host, other) = (TestNs::new(), TestNs::new());
    let mut route = Route::open_in(&host.ns).unwrap();
    route.create_link(&veth("v0", "v1")).unwrap();
    let index = route.link(&name("v0")).unwrap().unwrap().index;
    let change = LinkChange {
        up: Some(false),
        alias: Some("of a test".into()),
        mac: Some("02:00:00:00:00:aa".parse().unwrap()),
        promiscuous: Some(true),
        ..LinkChange::default()
    };
    route.change_link(index, &change, &"v0").unwrap();
    let seen = &host.ip(&["-d", "link", "show", "v0"])[0];
    assert_eq!(
        (&seen["ifalias"], &seen["promiscuity"]),
        (&"of a test".into(), &1.into())
    );
    assert_eq!(seen["address"], "02:00:00:00:00:aa");
    let change = LinkChange {
        name: Some(name("w0")),
        ..LinkChange::default()
    };
    route.change_link(index, &change, &"v0").unwrap();
    route.move_link(index, other.ns.as_fd(), &"w0").unwrap();
    assert_eq!(other.ip(&["link", "show", "w0"])[0]["ifname"], "w0");
    assert!(route.link(&name("w0")).unwrap().is_none());
    assert!(route.delete_link_named(&name("v1")).unwrap());
    assert!(!route.delete_link_named(&name("v1")).unwrap());
}

#[test]
fn work_inside_a_namespace_leaves_the_caller_where_it_was() {
    let ns = TestNs::new();
    let before = NetNs::current().unwrap().id().unwrap();
    let inside = ns
        .ns
        .run(|| NetNs::current().unwrap().id().unwrap())
        .unwrap();
    assert_eq!(inside, ns.ns.id().unwrap());
    assert_ne!(inside, before);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ns.ns.run(|| panic!("of a test")).unwrap();
    }));
    assert!(panicked.is_err());
    assert_eq!(NetNs::current().unwrap().id().unwrap(), before);
}

#[test]
fn settings_are_those_of_the_namespace() {
    let (one, two) = (TestNs::new(), TestNs::new());
    let key = "net/ipv4/ip_forward";
    assert!(one.ns.run(|| sysctl::ensure(key, "1")).unwrap().unwrap());
    assert!(!one.ns.run(|| sysctl::ensure(key, "1")).unwrap().unwrap());
    assert_eq!(two.ns.run(|| sysctl::read(key)).unwrap().unwrap(), "0");
    let error = one
        .ns
        .run(|| sysctl::read("net/no/such"))
        .unwrap()
        .unwrap_err();
    assert!(
        error.is_not_found() && error.to_string().contains("net/no/such"),
        "{error}"
    );
}

#[test]
fn what_is_no_namespace_is_not_opened() {
    for path in [
        "/proc/self/ns/no",
        "/proc/self/ns/mnt",
        "/etc/hostname",
        "/",
        "/run/netns/none",
    ] {
        let error = NetNs::open(path).unwrap_err().to_string();
        assert!(error.contains(path), "{error}");
    }
    let ns = TestNs::new();
    assert!(
        NetNs::create(&ns.path).is_err(),
        "a path that is there is not taken over"
    );
    NetNs::remove("/run/netns/none").unwrap();
}
