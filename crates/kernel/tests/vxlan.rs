//! VXLAN endpoints and what they know of their peers, judged by `ip` and `bridge`.

mod common;

use common::{TestNs, add, bridge, ip, make, name};
use fairlead_kernel::Route;
use fairlead_kernel::route::{LinkChange, Neighbour, NewLink, NewLinkKind, Peer, Vxlan};
use serde_json::Value;
use std::os::fd::AsFd;

fn vxlan(vni: u32, local: &str) -> Vxlan {
    Vxlan {
        vni,
        local: (!local.is_empty()).then(|| ip(local)),
        port: 4789,
        learning: false,
        parent: None,
    }
}

#[test]
fn a_vxlan_endpoint_is_read_back_as_it_was_made() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let parent = bridge(&mut route, "br0");
    let wanted = [
        vxlan(42, "10.0.0.1"),
        vxlan(16_777_215, "fd00::1"),
        Vxlan {
            port: 8472,
            learning: true,
            parent: Some(parent),
            ..vxlan(7, "10.0.0.1")
        },
    ];
    for (i, vxlan) in wanted.iter().enumerate() {
        let name = format!("vx{i}");
        make(&mut route, &name, NewLinkKind::Vxlan(vxlan.clone()));
        let seen = &host.ip(&["-d", "link", "show", &name])[0]["linkinfo"]["info_data"];
        assert_eq!(seen["id"], vxlan.vni);
        assert_eq!(seen["port"], vxlan.port);
        let local = vxlan.local.unwrap().to_string();
        let key = if local.contains(':') {
            "local6"
        } else {
            "local"
        };
        assert_eq!(seen[key], local, "{seen}");
    }
    let read: Vec<_> = route.links().unwrap();
    let read: Vec<_> = read.into_iter().filter_map(|link| link.vxlan).collect();
    assert_eq!(read, wanted);
    assert_eq!((wanted[0].overhead(), wanted[1].overhead()), (50, 70));
}

#[test]
fn what_an_endpoint_over_v4_knows_of_its_peers_is_set_listed_and_forgotten() {
    knows(["10.0.0.1", "10.0.0.2", "10.0.0.3"], "10.9.0.2");
}

#[test]
fn what_an_endpoint_over_v6_knows_of_its_peers_is_set_listed_and_forgotten() {
    knows(["fd00::1", "fd00::2", "fd00::3"], "fd09::2");
}

const STATION: &str = "02:00:00:00:00:02";
const FLOOD: &str = "00:00:00:00:00:00";

#[track_caller]
fn knows([local, remote, other]: [&str; 3], inside: &str) {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let kind = NewLinkKind::Vxlan(vxlan(42, local));
    let link = make(&mut route, "vx0", kind);
    let entry = |address: &str, mac: &str, forwarding| Neighbour {
        link,
        address: ip(address),
        mac: mac.parse().unwrap(),
        forwarding,
    };
    let wanted = [
        entry(inside, STATION, false),
        entry(remote, STATION, true),
        entry(remote, FLOOD, true),
        entry(other, FLOOD, true),
    ];
    for _ in 0..2 {
        for neighbour in &wanted {
            route.set_neighbour(neighbour).unwrap();
        }
        let found = route.neighbours(link).unwrap();
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(wanted.iter().all(|n| found.contains(n)), "{found:?}");
    }
    are_seen(&host, &wanted);
    // A station that moves has one place only.
    let moved = entry(other, STATION, true);
    route.set_neighbour(&moved).unwrap();
    let found = route.neighbours(link).unwrap();
    assert!(found.contains(&moved), "{found:?}");
    assert!(!found.contains(&wanted[1]), "{found:?}");
    for neighbour in [wanted[0], moved, wanted[2], wanted[3]] {
        assert!(route.delete_neighbour(&neighbour).unwrap(), "{neighbour}");
        let left = route.neighbours(link).unwrap();
        assert!(!left.contains(&neighbour), "{left:?}");
        // As long as all zeros lead anywhere, the kernel says that they did there.
        let known = route.delete_neighbour(&neighbour).unwrap();
        assert_eq!(known, neighbour == wanted[2], "{neighbour}");
        assert_eq!(route.neighbours(link).unwrap(), left);
    }
    assert_eq!(route.neighbours(link).unwrap(), []);
}

/// `ip` and `bridge` show them.
#[track_caller]
fn are_seen(host: &TestNs, wanted: &[Neighbour]) {
    let table = host.run("bridge", &["-j", "fdb", "show", "dev", "vx0"]);
    let table: Value = serde_json::from_str(&table).unwrap();
    for neighbour in wanted {
        let address = neighbour.address.to_string();
        let mac = neighbour.mac.to_string();
        if neighbour.forwarding {
            let mut entries = table.as_array().unwrap().iter();
            let seen = entries
                .any(|e| e["mac"] == mac && e["dst"] == address && e["state"] == "permanent");
            assert!(seen, "{neighbour}: {table}");
        } else {
            let flag = if neighbour.address.is_ipv4() {
                "-4"
            } else {
                "-6"
            };
            let seen = &host.ip(&[flag, "neigh", "show", "dev", "vx0"])[0];
            assert_eq!(seen["dst"], address);
            assert_eq!(seen["lladdr"], mac);
        }
    }
}

/// A host with an address of each family on a cable of 1500 bytes.
struct Host {
    ns: TestNs,
    route: Route,
}

fn hosts() -> [Host; 2] {
    let mut hosts = [TestNs::new(), TestNs::new()].map(|ns| Host {
        route: Route::open_in(&ns.ns).unwrap(),
        ns,
    });
    let [one, two] = &mut hosts;
    let peer = Peer {
        name: name("eth0"),
        mac: None,
        mtu: None,
        namespace: Some(two.ns.ns.as_fd()),
    };
    make(&mut one.route, "eth0", NewLinkKind::Veth(peer));
    for (number, host) in (1..).zip(&mut hosts) {
        let link = host.link("eth0");
        host.route.set_up(link, &"eth0").unwrap();
        add(&mut host.route, link, &format!("192.0.2.{number}/24"));
        add(&mut host.route, link, &format!("2001:db8::{number}/64"));
    }
    hosts
}

impl Host {
    fn link(&mut self, text: &str) -> u32 {
        self.route.link(&name(text)).unwrap().unwrap().index
    }

    /// Makes the endpoint, with all it must know of the other host's.
    fn reach(&mut self, vxlan: Vxlan, own: Station<'_>, other: Station<'_>) {
        let new = NewLink {
            mac: Some(own.mac.parse().unwrap()),
            up: true,
            ..NewLink::new(name("vx0"), NewLinkKind::Vxlan(vxlan))
        };
        self.route.create_link(&new).unwrap();
        let link = self.link("vx0");
        add(&mut self.route, link, &format!("{}/24", own.inside));
        for (address, forwarding) in [(other.inside, false), (other.outside, true)] {
            let neighbour = Neighbour {
                link,
                address: ip(address),
                mac: other.mac.parse().unwrap(),
                forwarding,
            };
            self.route.set_neighbour(&neighbour).unwrap();
        }
    }

    fn set_mtu(&mut self, mtu: u32) {
        let link = self.link("vx0");
        let change = LinkChange {
            mtu: Some(mtu),
            ..LinkChange::default()
        };
        self.route.change_link(link, &change, &"vx0").unwrap();
    }

    /// How many pieces of packets the host has made, of both families.
    fn pieces(&self) -> u64 {
        let four = self.ns.run("cat", &["/proc/net/snmp"]);
        let lines: Vec<Vec<&str>> = four
            .lines()
            .filter_map(|line| line.strip_prefix("Ip: "))
            .map(|line| line.split_whitespace().collect())
            .collect();
        let at = lines[0].iter().position(|word| *word == "FragCreates");
        let four: u64 = lines[1][at.unwrap()].parse().unwrap();
        let six = self.ns.run("cat", &["/proc/net/snmp6"]);
        let mut six = six
            .lines()
            .filter_map(|line| line.strip_prefix("Ip6FragCreates"));
        four + six.next().unwrap().trim().parse::<u64>().unwrap()
    }
}

#[derive(Clone, Copy)]
struct Station<'a> {
    mac: &'a str,
    inside: &'a str,
    outside: &'a str,
}

#[test]
fn the_overhead_is_what_fills_a_packet_of_the_host() {
    for ([outside1, outside2], overhead) in [
        (["192.0.2.1", "192.0.2.2"], 50),
        (["2001:db8::1", "2001:db8::2"], 70),
    ] {
        let [mut one, mut two] = hosts();
        let first = Station {
            mac: "02:00:00:00:00:01",
            inside: "10.9.0.1",
            outside: outside1,
        };
        let second = Station {
            mac: "02:00:00:00:00:02",
            inside: "10.9.0.2",
            outside: outside2,
        };
        one.reach(vxlan(42, outside1), first, second);
        two.reach(vxlan(42, outside2), second, first);
        assert_eq!(vxlan(42, outside1).overhead(), overhead);
        let mut fits = |mtu: u32| {
            one.set_mtu(mtu);
            two.set_mtu(mtu);
            // The headers of IP and ICMP are 28 bytes.
            let ping = format!("ping -c1 -W2 -M do -s {} {}", mtu - 28, second.inside);
            let said = one.ns.run("sh", &["-c", &format!("{ping} || true")]);
            said.contains(" 0% packet loss") && one.pieces() == 0
        };
        assert!(fits(1500 - overhead));
        // Over IPv4 it is cut in pieces, over IPv6 it is lost.
        assert!(!fits(1500 - overhead + 1));
    }
}

#[test]
fn what_is_learnt_and_what_the_bridge_knows_is_not_listed() {
    let host = TestNs::new();
    let mut route = Route::open_in(&host.ns).unwrap();
    let master = bridge(&mut route, "br0");
    route
        .create_link(&NewLink {
            up: true,
            master: Some(master),
            ..NewLink::new(name("vx0"), NewLinkKind::Vxlan(vxlan(42, "10.0.0.1")))
        })
        .unwrap();
    let link = route.link(&name("vx0")).unwrap().unwrap().index;
    host.run(
        "bridge",
        &[
            "fdb",
            "add",
            "02:00:00:00:00:07",
            "dev",
            "vx0",
            "master",
            "static",
        ],
    );
    let mac = "02:00:00:00:00:08";
    host.run(
        "ip",
        &[
            "neigh",
            "add",
            "10.9.0.2",
            "lladdr",
            mac,
            "dev",
            "vx0",
            "nud",
            "reachable",
        ],
    );
    assert_eq!(route.neighbours(link).unwrap(), []);
    route.delete_link(link, &"vx0").unwrap();
    assert_eq!(route.neighbours(link).unwrap(), []);
}
