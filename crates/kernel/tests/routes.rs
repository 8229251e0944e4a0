//! Routes by who made them, and the way to an address, judged by `ip`.

mod common;

use common::{TestNs, add, bridge, ip};
use fairlead_kernel::Route;
use fairlead_kernel::route::{IpFamily, NextHop, RouteEntry, RouteMetrics};

/// A number that no other program is known to use.
const PROTOCOL: u8 = 76;

fn via(gateway: &str, link: u32) -> NextHop {
    NextHop {
        gateway: (!gateway.is_empty()).then(|| ip(gateway)),
        link: Some(link),
    }
}

fn ours(destination: &str, next_hop: NextHop) -> RouteEntry {
    RouteEntry {
        protocol: Some(PROTOCOL),
        ..RouteEntry::new(destination.parse().unwrap(), next_hop)
    }
}

#[test]
fn routes_are_listed_by_who_made_them_just_as_they_were_made() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let link = bridge(&mut route, "br0");
    add(&mut route, link, "10.1.2.3/24");
    add(&mut route, link, "fd00::3/64");
    let metrics = RouteMetrics {
        mtu: Some(1380),
        advmss: None,
    };
    let wanted = [
        ours("10.7.0.0/24", via("10.1.2.9", link)),
        RouteEntry {
            table: Some(7001),
            source: Some(ip("10.1.2.3")),
            metrics,
            priority: Some(40),
            ..ours("10.7.1.0/24", via("10.1.2.9", link))
        },
        // Nothing on the link has this gateway.
        RouteEntry {
            onlink: true,
            ..ours("10.7.2.0/24", via("192.0.2.1", link))
        },
        ours("10.7.3.0/24", via("", link)),
        ours("fd07::/64", via("fd00::9", link)),
        RouteEntry {
            table: Some(7001),
            source: Some(ip("fd00::3")),
            metrics,
            priority: Some(40),
            onlink: true,
            ..ours("fd07:1::/64", via("2001:db8::1", link))
        },
    ];
    let not_ours = RouteEntry::new("10.8.0.0/24".parse().unwrap(), via("10.1.2.9", link));
    route.add_route(&not_ours).unwrap();
    for entry in &wanted {
        route.add_route(entry).unwrap();
    }
    let mut found = route.routes_by(PROTOCOL, IpFamily::V4).unwrap();
    found.extend(route.routes_by(PROTOCOL, IpFamily::V6).unwrap());
    for entry in &wanted {
        assert!(found.contains(&entry.resolved()), "{entry:?} in {found:?}");
    }
    assert_eq!(found.len(), wanted.len());
    assert!(route.routes().unwrap().contains(&not_ours.resolved()));
    let seen = &host.ip(&["-d", "route", "show", "10.7.2.0/24"])[0];
    assert_eq!(seen["protocol"], PROTOCOL.to_string(), "{seen}");
    assert_eq!(seen["flags"], serde_json::json!(["onlink"]), "{seen}");
}

#[test]
fn a_route_is_deleted_by_table_maker_destination_and_priority() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let link = bridge(&mut route, "br0");
    for (net, gateway, destination, family) in [
        ("10.1.2.3/24", "10.1.2.9", "10.7.0.0/24", IpFamily::V4),
        ("fd00::3/64", "fd00::9", "fd07::/64", IpFamily::V6),
    ] {
        add(&mut route, link, net);
        let plain = ours(destination, via(gateway, link));
        let foreign = RouteEntry {
            protocol: Some(PROTOCOL + 1),
            priority: Some(10),
            ..plain.clone()
        };
        let other_table = RouteEntry {
            table: Some(7001),
            ..plain.clone()
        };
        let later = RouteEntry {
            priority: Some(5000),
            ..plain.clone()
        };
        for entry in [&foreign, &plain, &later, &other_table] {
            route.add_route(entry).unwrap();
        }
        let absent = RouteEntry {
            priority: Some(10),
            ..plain.clone()
        };
        assert!(!route.delete_route(&absent).unwrap());
        let absent = RouteEntry {
            table: Some(7002),
            ..plain.clone()
        };
        assert!(!route.delete_route(&absent).unwrap());
        assert!(route.delete_route(&plain).unwrap());
        let left = route.routes_by(PROTOCOL, family).unwrap();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.contains(&later.resolved()) && left.contains(&other_table.resolved()));
        assert!(route.delete_route(&other_table).unwrap());
        assert!(route.delete_route(&later).unwrap());
        assert!(!route.delete_route(&later).unwrap());
        assert_eq!(route.routes_by(PROTOCOL, family).unwrap(), []);
        let theirs = route.routes_by(PROTOCOL + 1, family).unwrap();
        assert_eq!(theirs, [foreign.resolved()]);
    }
}

#[test]
fn of_a_thousand_routes_all_and_only_ours_are_listed() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let link = bridge(&mut route, "br0");
    for (i, j) in (0..1000_u32).map(|n| (n / 250, n % 250)) {
        for destination in [format!("10.{i}.{j}.0/24"), format!("fd07:{i:x}:{j:x}::/64")] {
            route.add_route(&ours(&destination, via("", link))).unwrap();
        }
    }
    // Those of others are not sent.
    for j in 0..250 {
        let entry = RouteEntry::new(format!("11.0.{j}.0/24").parse().unwrap(), via("", link));
        route.add_route(&entry).unwrap();
    }
    for family in [IpFamily::V4, IpFamily::V6] {
        assert_eq!(route.routes_by(PROTOCOL, family).unwrap().len(), 1000);
    }
}

#[test]
fn the_way_to_an_address_is_told_with_source_and_size() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let link = bridge(&mut route, "br0");
    add(&mut route, link, "10.1.2.3/24");
    add(&mut route, link, "fd00::3/64");
    for (destination, gateway, target, source) in [
        ("10.7.0.0/24", "10.1.2.9", "10.7.0.1", "10.1.2.3"),
        ("fd07::/64", "fd00::9", "fd07::1", "fd00::3"),
    ] {
        let metrics = RouteMetrics {
            mtu: Some(1340),
            advmss: None,
        };
        let entry = RouteEntry {
            metrics,
            ..ours(destination, via(gateway, link))
        };
        route.add_route(&entry).unwrap();
        let found = route.route_to(ip(target)).unwrap();
        assert_eq!(found.next_hop, via(gateway, link));
        assert_eq!(found.source, Some(ip(source)));
        assert_eq!(found.metrics.mtu, Some(1340));
    }
    for target in ["198.51.100.1", "2001:db8::1"] {
        let error = route.route_to(ip(target)).unwrap_err();
        assert!(error.is_unreachable(), "{error}");
        assert!(error.to_string().contains(target), "{error}");
    }
    // A route that says so is the same.
    for (option, net, target) in [
        ("-4", "203.0.113.0/24", "203.0.113.1"),
        ("-6", "fd09::/64", "fd09::1"),
    ] {
        host.run("ip", &[option, "route", "add", "unreachable", net]);
        let error = route.route_to(ip(target)).unwrap_err();
        assert!(error.is_unreachable(), "{error}");
    }
}
