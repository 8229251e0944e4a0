//! The records that instances yield, and that what comes and goes leaves nothing behind.

use super::*;
use fairlead_types::{Expose, HostName, Naming, ObjectName, PortNames, ResourceName};
use proptest::prelude::*;

pub(crate) fn settings() -> Settings {
    Settings {
        cluster: "C1".into(),
        servers: vec!["192.0.2.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        ranges: vec![
            "10.22.0.0/23".parse().unwrap(),
            "fd00:1::/32".parse().unwrap(),
        ],
        axfr: vec!["127.0.0.1/32".parse().unwrap()],
        recursion: Vec::new(),
        upstreams: Vec::new(),
        names: Arc::new(PortNames::common()),
    }
}

pub(crate) fn instance(object: &str, node: &str, ip: &str) -> Instance {
    Instance {
        node: node.into(),
        object: ObjectName::new(object).unwrap(),
        resource: Some(ResourceName::new("ip#0").unwrap()),
        ip: ip.parse().unwrap(),
        naming: Naming::default(),
    }
}

pub(crate) fn with(mut instance: Instance, hostname: &str, app: &str, expose: &str) -> Instance {
    instance.naming = Naming {
        hostname: HostName::new(hostname).ok(),
        app: HostName::new(app).ok(),
        expose: Expose::list(expose, &PortNames::common()).unwrap(),
    };
    instance
}

fn lines(zones: &Zones) -> Vec<String> {
    let records = zones.records();
    let line = |record: &Record| {
        let (name, ttl, data) = (&record.name, record.ttl, &record.data);
        format!("{name} {ttl} {} {data}", data.type_name())
    };
    records.iter().map(line).collect()
}

/// The records that instances add to the zones without any.
fn added(instances: &[Instance]) -> Vec<String> {
    let mut zones = Zones::new(&settings(), 1);
    let before = lines(&zones);
    for instance in instances {
        zones.insert(instance);
    }
    let mut after = lines(&zones);
    after.retain(|line| !before.contains(line));
    after
}

#[test]
fn each_zone_has_its_servers() {
    let zones = Zones::new(&settings(), 7);
    let soa = "60 SOA ns0.c1. hostmaster.c1. 7 7200 3600 432000 5";
    let mut wanted = vec![
        "ns0.c1. 3600 A 192.0.2.1".to_owned(),
        "ns1.c1. 3600 AAAA fd00::1".to_owned(),
    ];
    let nibbles = "1.0.0.0.0.0.d.f.ip6.arpa.";
    for origin in [
        "c1.",
        "0.22.10.in-addr.arpa.",
        "1.22.10.in-addr.arpa.",
        nibbles,
    ] {
        wanted.push(format!("{origin} {soa}"));
        wanted.push(format!("{origin} 3600 NS ns0.c1."));
        wanted.push(format!("{origin} 3600 NS ns1.c1."));
    }
    let (mut is, mut was) = (lines(&zones), wanted);
    is.sort();
    was.sort();
    assert_eq!(is, was);
}

#[test]
fn without_servers_the_zone_is_still_one() {
    let none = Settings {
        servers: Vec::new(),
        ranges: Vec::new(),
        ..settings()
    };
    let zones = Zones::with(&none, &["10.22.0.1".parse().unwrap()], 7);
    assert_eq!(
        lines(&zones),
        [
            "c1. 60 SOA dns.c1. hostmaster.c1. 7 7200 3600 432000 5",
            "c1. 3600 NS dns.c1.",
            "dns.c1. 3600 A 10.22.0.1",
        ]
    );
}

#[test]
fn a_plain_instance_has_the_records_of_the_specification() {
    let plain = instance("Ns1/svc/web", "N1", "10.22.0.5");
    assert_eq!(
        added(&[with(plain, "", "", "80/tcp:8001 9999/udp")]),
        [
            "0.web.ns1.svc.c1. 60 A 10.22.0.5",
            "0.web.ns1.svc.n1.node.c1. 60 A 10.22.0.5",
            "10-22-0-5.web.ns1.svc.c1. 60 A 10.22.0.5",
            "5.0.22.10.in-addr.arpa. 60 PTR web.ns1.svc.c1.",
            "5.0.22.10.in-addr.arpa. 60 PTR web.ns1.svc.n1.node.c1.",
            "_80._tcp.web.ns1.svc.c1. 60 SRV 0 10 80 10-22-0-5.web.ns1.svc.c1.",
            "_9999._udp.web.ns1.svc.c1. 60 SRV 0 10 9999 10-22-0-5.web.ns1.svc.c1.",
            "_http._tcp.web.ns1.svc.c1. 60 SRV 0 10 80 10-22-0-5.web.ns1.svc.c1.",
            "web.ns1.svc.c1. 60 A 10.22.0.5",
            "web.ns1.svc.n1.node.c1. 60 A 10.22.0.5",
        ]
    );
}

#[test]
fn host_name_and_application_have_names_of_their_own() {
    let ip = "fd00:1::5";
    let named = with(instance("ns1/svc/web", "n1", ip), "a.B", "shop", "80/tcp");
    let reverse = Name::reverse(ip.parse().unwrap()).text();
    let address = format!("60 AAAA {ip}");
    let target = "fd00-1--5.web.ns1.svc.c1.";
    let older = "fd00-1--5.web.shop.svc.c1.";
    let mut wanted = vec![
        format!("{reverse} 60 PTR a.b.web.ns1.svc.c1."),
        format!("{reverse} 60 PTR a.b.web.ns1.svc.n1.node.c1."),
        format!("_80._tcp.web.ns1.svc.c1. 60 SRV 0 10 80 {target}"),
        format!("_http._tcp.web.ns1.svc.c1. 60 SRV 0 10 80 {target}"),
        format!("_80._tcp.web.shop.svc.c1. 60 SRV 0 10 80 {older}"),
        format!("_http._tcp.web.shop.svc.c1. 60 SRV 0 10 80 {older}"),
    ];
    for base in [
        "web.ns1.svc.c1.",
        "web.ns1.svc.n1.node.c1.",
        "web.shop.svc.c1.",
    ] {
        wanted.extend(["", "a.", "a.b."].map(|host| format!("{host}{base} {address}")));
    }
    wanted.extend([target, older].map(|name| format!("{name} {address}")));
    let mut is = added(&[named]);
    is.sort();
    wanted.sort();
    assert_eq!(is, wanted);
}

#[test]
fn all_instances_of_a_service_stand_under_one_name() {
    let all = [
        with(
            instance("ns1/svc/web", "n1", "10.22.0.5"),
            "",
            "ns1",
            "80/tcp",
        ),
        with(instance("ns1/svc/web", "n2", "10.22.1.6"), "", "", "80/tcp"),
        // Outside the ranges: no reverse name. A slice of the service: its name.
        instance("ns1/svc/3.web", "n2", "198.51.100.7"),
        // No service at all.
        instance("ns1/web", "n2", "10.22.1.8"),
    ];
    let lines = added(&all);
    let of = |name: &str| lines.iter().filter(|line| line.starts_with(name)).count();
    assert_eq!(of("web.ns1.svc.c1. 60 A "), 3);
    assert_eq!(of("web.ns1.svc.n2.node.c1. 60 A "), 2);
    assert_eq!(of("_http._tcp.web.ns1.svc.c1. 60 SRV "), 2);
    assert!(!lines.iter().any(|line| line.contains("10.22.1.8")));
    assert!(!lines.iter().any(|line| line.starts_with("7.100.51.198")));
}

#[test]
fn what_cannot_be_a_name_is_left_out() {
    let long = "a".repeat(64);
    assert_eq!(
        added(&[instance(&format!("ns1/svc/{long}"), "n1", "10.22.0.5")]),
        [""; 0]
    );
    let node = instance("ns1/svc/web", "bad..node", "10.22.0.5");
    let lines = added(&[node]);
    assert!(lines.contains(&"web.ns1.svc.c1. 60 A 10.22.0.5".to_owned()));
    assert!(!lines.iter().any(|line| line.contains("node")));
}

#[test]
fn the_serial_moves_with_the_time_or_by_one() {
    let mut zones = Zones::new(&settings(), 10);
    for (now, wanted) in [(20, 20), (20, 21), (5, 22), (23, 23)] {
        zones.step(now);
        assert_eq!(zones.serial(), wanted);
    }
    // It may pass the end of the numbers.
    let mut zones = Zones::new(&settings(), u32::MAX);
    zones.step(u32::MAX);
    assert_eq!(zones.serial(), 0);
    zones.step(u32::MAX);
    assert_eq!(zones.serial(), 1);
}

#[test]
fn other_settings_make_other_zones_of_the_same_instances() {
    let web = with(
        instance("ns1/svc/web", "n1", "10.22.0.5"),
        "h",
        "a",
        "80/tcp:8000",
    );
    let mut zones = Zones::new(&settings(), 1);
    zones.insert(&web);
    zones.insert(&web);
    let other = Settings {
        cluster: "other".into(),
        ranges: Vec::new(),
        ..settings()
    };
    zones.configure(&other);
    let mut fresh = Zones::new(&other, 1);
    fresh.insert(&web);
    assert_eq!(lines(&zones), lines(&fresh));
    // It is still there twice.
    assert!(!zones.remove(&web));
    assert_eq!(lines(&zones), lines(&fresh));
    assert!(zones.remove(&web));
    assert!(!zones.remove(&web));
    assert_eq!(lines(&zones), lines(&Zones::new(&other, 1)));
}

/// Instances that often share names and addresses.
fn any_instance() -> impl Strategy<Value = Instance> {
    let hosts = prop::sample::select(vec!["", "h", "h.d", "0"]);
    let apps = prop::sample::select(vec!["", "ns0", "ns1", "app"]);
    let exposed = prop::sample::select(vec!["", "80/tcp", "80/tcp:8 81/udp", "80/udp"]);
    let objects = prop::sample::select(vec!["ns0/svc/web", "ns1/svc/web", "ns0/svc/1.web", "x"]);
    let nodes = prop::sample::select(vec!["n1", "n2", "a..b"]);
    let ips = prop::sample::select(vec!["10.22.0.1", "10.22.1.1", "fd00:1::1", "203.0.113.9"]);
    (hosts, apps, exposed, objects, nodes, ips).prop_map(|(host, app, expose, object, node, ip)| {
        with(instance(object, node, ip), host, app, expose)
    })
}

/// All names with the number of names below them, those without records too.
fn names(zones: &Zones) -> Vec<(String, usize)> {
    let mut all: Vec<_> = zones
        .entries()
        .map(|entry| (name::text(entry.name()), entry.sets().count()))
        .collect();
    all.sort();
    all
}

proptest! {
    #[test]
    fn coming_and_going_ends_where_a_fresh_start_does(
        changes in prop::collection::vec((any_instance(), any::<bool>()), 0..40)
    ) {
        let mut zones = Zones::new(&settings(), 1);
        let mut held: Vec<Instance> = Vec::new();
        for (instance, is_there) in &changes {
            if *is_there {
                zones.insert(instance);
                held.push(instance.clone());
            } else {
                zones.remove(instance);
                if let Some(at) = held.iter().position(|one| one == instance) {
                    held.swap_remove(at);
                }
            }
        }
        let mut fresh = Zones::new(&settings(), 1);
        for instance in &held {
            fresh.insert(instance);
        }
        prop_assert_eq!(lines(&zones), lines(&fresh));
        prop_assert_eq!(names(&zones), names(&fresh));
        let rebuilt = zones.rebuilt(&settings(), &[]);
        prop_assert_eq!(lines(&zones), lines(&rebuilt));
        for instance in &held {
            zones.remove(instance);
        }
        prop_assert_eq!(names(&zones), names(&Zones::new(&settings(), 1)));
    }

    #[test]
    fn an_instance_is_held_as_it_was_given(given in any_instance()) {
        let line = held::pack(&given).unwrap();
        prop_assert_eq!(held::unpack(&line), Some(given));
    }
}
