//! Word of changes, made by `ip` and `nft`.

mod common;

use common::TestNs;
use fairlead_kernel::{Monitor, Seen};
use std::time::{Duration, Instant};

/// Far longer than the kernel takes.
const LIMIT: Duration = Duration::from_secs(10);

/// What is told after `program` has run inside, once it is what `enough` wants.
#[track_caller]
fn told(
    host: &TestNs,
    monitor: &mut Monitor,
    command: &str,
    enough: impl Fn(&Seen) -> bool,
) -> Seen {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap();
    host.run(program, &words.collect::<Vec<_>>());
    let end = Instant::now() + LIMIT;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let seen = monitor.wait(left).unwrap();
        let seen = seen.unwrap_or_else(|| panic!("nothing is told of: {command}"));
        if enough(&seen) {
            return seen;
        }
    }
}

/// Waits until nothing more comes.
fn settle(monitor: &mut Monitor) {
    while monitor.wait(Duration::from_millis(100)).unwrap().is_some() {}
}

#[test]
fn each_kind_of_change_is_told_as_what_it_is() {
    let host = TestNs::new();
    let mut monitor = Monitor::open_in(&host.ns).unwrap();
    let add = "ip link add br0 up type bridge";
    told(&host, &mut monitor, add, |seen| seen.links);
    for address in ["10.1.2.3/24", "fd00::3/64 nodad"] {
        let add = format!("ip addr add dev br0 {address}");
        told(&host, &mut monitor, &add, |seen| seen.addresses);
    }
    settle(&mut monitor);
    for (net, gateway) in [("10.7.0.0/24", "10.1.2.9"), ("fd07::/64", "fd00::9")] {
        let add = format!("ip route add {net} via {gateway} dev br0");
        let seen = told(&host, &mut monitor, &add, |seen| seen.routes);
        let only = Seen {
            routes: true,
            ..Seen::default()
        };
        assert_eq!(seen, only);
    }
    let seen = told(&host, &mut monitor, "nft add table inet mine", |s| {
        s.firewall
    });
    let only = Seen {
        firewall: true,
        ..Seen::default()
    };
    assert_eq!(seen, only);
    settle(&mut monitor);
    told(&host, &mut monitor, "ip link del br0", |seen| seen.links);
}

#[test]
fn a_neighbour_is_told_only_to_who_asks() {
    let host = TestNs::new();
    host.run("ip", &["link", "add", "br0", "up", "type", "bridge"]);
    let mut without = Monitor::open_in(&host.ns).unwrap();
    let mut with = Monitor::open_in(&host.ns).unwrap();
    with.watch_neighbours().unwrap();
    settle(&mut without);
    settle(&mut with);
    let add = "ip neigh add 10.1.2.9 lladdr 02:00:00:00:00:09 dev br0";
    told(&host, &mut with, add, |seen| seen.neighbours);
    assert_eq!(without.wait(Duration::ZERO).unwrap(), None);
}

#[test]
fn without_a_change_the_wait_ends_in_time() {
    let host = TestNs::new();
    let mut monitor = Monitor::open_in(&host.ns).unwrap();
    let begin = Instant::now();
    assert_eq!(monitor.wait(Duration::from_millis(60)).unwrap(), None);
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(60), "{took:?}");
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(monitor.wait(Duration::ZERO).unwrap(), None);
}

#[test]
fn changes_elsewhere_are_not_told() {
    let (host, other) = (TestNs::new(), TestNs::new());
    let mut monitor = Monitor::open_in(&host.ns).unwrap();
    other.run("ip", &["link", "set", "lo", "up"]);
    other.run("nft", &["add", "table", "inet", "mine"]);
    assert_eq!(monitor.wait(Duration::from_millis(50)).unwrap(), None);
}

#[test]
fn what_the_kernel_had_no_room_for_is_told_as_an_overrun() {
    let host = TestNs::new();
    host.run("ip", &["link", "add", "br0", "up", "type", "bridge"]);
    let mut monitor = Monitor::open_in(&host.ns).unwrap();
    let mut batch = String::new();
    for i in 0..20_000 {
        let (a, b) = (i / 250, i % 250);
        batch.push_str(&format!("route add 10.{a}.{b}.0/24 dev br0\n"));
    }
    let file = host.path.with_extension("batch");
    std::fs::write(&file, batch).unwrap();
    host.run("ip", &["-batch", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    let seen = monitor.wait(LIMIT).unwrap().unwrap();
    assert!(seen.overrun, "{seen:?}");
    settle(&mut monitor);
    // After that it goes on.
    let add = "ip link set br0 down";
    let seen = told(&host, &mut monitor, add, |seen| seen.links);
    assert!(seen.links);
}
