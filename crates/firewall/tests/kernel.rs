//! The firewall on the real kernel, judged by what `nft` lists.

mod support;

use fairlead_firewall::{Condition, Element, Firewall, FirewallError, Publish, Ranges, Side};
use fairlead_types::Protocol;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::Sandbox;

fn publish(host: &str, port: u16, target: &str) -> Publish {
    Publish {
        protocol: Protocol::Tcp,
        host_ip: (!host.is_empty()).then(|| host.parse().unwrap()),
        host_port: port,
        target_ip: target.parse().unwrap(),
        target_port: 80,
    }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn masquerade(address: &str, subnet: &str) -> Element {
    Element::Masquerade {
        address: address.parse().unwrap(),
        subnet: net(subnet),
    }
}

fn hairpin(address: &str, subnet: &str) -> Element {
    Element::Hairpin {
        address: address.parse().unwrap(),
        subnet: net(subnet),
    }
}

fn check(ifname: &str, mac: &str) -> Element {
    Element::MacCheck {
        ifname: ifname.parse().unwrap(),
        mac: mac.parse().unwrap(),
    }
}

fn one_of_each() -> Vec<Element> {
    vec![
        masquerade("10.22.0.2", "10.22.0.0/16"),
        masquerade("fd00:22::2", "fd00:22::/64"),
        hairpin("10.22.0.2", "10.22.0.0/16"),
        hairpin("10.22.0.3", "0.0.0.0/0"),
        hairpin("fd00:22::2", "fd00:22::/64"),
        Element::Publish(publish("", 8080, "10.22.0.2")),
        Element::Publish(publish("192.0.2.1", 8081, "10.22.0.2")),
        Element::Publish(publish("", 8080, "fd00:22::2")),
        Element::Publish(publish("2001:db8::1", 8081, "fd00:22::2")),
        check("veth0123456789a", "02:00:00:00:00:01"),
    ]
}

fn listed(firewall: &mut Firewall) -> BTreeSet<Element> {
    firewall.list().unwrap().into_iter().collect()
}

/// Waits until these are listed. The kernel gives a set that grew a larger table a moment
/// later, and who lists it in that moment may miss elements.
#[track_caller]
fn lists(firewall: &mut Firewall, wanted: &[Element]) {
    let wanted: BTreeSet<Element> = wanted.iter().cloned().collect();
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let listed = listed(firewall);
        if listed == wanted {
            return;
        }
        let (is, shall) = (listed.len(), wanted.len());
        assert!(
            Instant::now() < end,
            "{is} elements are listed, not {shall}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The rule set as the `nft` program reads it from the kernel.
fn ruleset(sandbox: &Sandbox) -> String {
    sandbox.run("nft list ruleset")
}

/// Compares with the file, or writes it when `FAIRLEAD_GOLDEN=write` is set.
fn golden(name: &str, text: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("FAIRLEAD_GOLDEN").is_ok_and(|v| v == "write") {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{path}");
}

#[test]
fn the_static_rules_are_what_nft_reads() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    firewall.ensure().unwrap();
    golden("base.nft", &ruleset(&sandbox));
    firewall.ensure().unwrap();
    golden("base.nft", &ruleset(&sandbox));
    firewall.remove_all().unwrap();
    firewall.remove_all().unwrap();
    assert_eq!(ruleset(&sandbox), "");
}

#[test]
fn the_first_elements_make_what_they_need() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    let elements = one_of_each();
    firewall.add(&elements).unwrap();
    let made = ruleset(&sandbox);
    golden("elements.nft", &made);
    firewall.add(&elements).unwrap();
    assert_eq!(ruleset(&sandbox), made, "adding again changes nothing");
    firewall.ensure().unwrap();
    assert_eq!(
        ruleset(&sandbox),
        made,
        "mending keeps elements and subnets"
    );
    assert_eq!(listed(&mut firewall), elements.iter().cloned().collect());
    firewall.remove(&elements).unwrap();
    assert_eq!(firewall.list().unwrap(), []);
    firewall.remove(&elements).unwrap();
    assert_eq!(firewall.list().unwrap(), []);
}

#[test]
fn what_nft_lists_can_be_loaded_again() {
    let sandbox = Sandbox::new();
    sandbox.firewall().add(&one_of_each()).unwrap();
    let text = ruleset(&sandbox);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, &text).unwrap();
    let other = Sandbox::new();
    other.run(&format!("nft -f {}", file.path().display()));
    assert_eq!(ruleset(&other), text);
    let json: serde_json::Value = serde_json::from_str(&other.run("nft -j list ruleset")).unwrap();
    assert!(json["nftables"].as_array().unwrap().len() > 20);
}

#[test]
fn removing_without_tables_makes_none() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    firewall.remove(&one_of_each()).unwrap();
    assert_eq!(firewall.list().unwrap(), []);
    assert_eq!(firewall.remove_unused_subnets(&[]).unwrap(), []);
    assert!(!firewall.set_networks(&[], &[]).unwrap());
    assert_eq!(ruleset(&sandbox), "");
}

#[test]
fn a_taken_port_is_refused_and_nothing_else_is_done() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    let ours = Element::Publish(publish("", 8080, "10.22.0.2"));
    let theirs = Element::Publish(publish("", 8080, "10.22.0.3"));
    firewall.add(std::slice::from_ref(&ours)).unwrap();
    let error = firewall
        .add(&[masquerade("10.22.0.3", "10.22.0.0/16"), theirs.clone()])
        .unwrap_err();
    assert!(error.is_taken());
    assert_eq!(
        error.to_string(),
        "publish 8080/tcp to 10.22.0.3:80: the host port is published to another target; \
         unpublish that first or choose another host port"
    );
    assert_eq!(listed(&mut firewall), [ours.clone()].into());
    // Nor is it removed by who does not hold it.
    let other = Element::Publish(publish("", 8081, "10.22.0.3"));
    firewall.add(std::slice::from_ref(&other)).unwrap();
    firewall.remove(&[theirs.clone(), other]).unwrap();
    assert_eq!(listed(&mut firewall), [ours.clone()].into());
    // In one transaction it may change hands.
    firewall
        .change(std::slice::from_ref(&theirs), &[ours])
        .unwrap();
    assert_eq!(firewall.list().unwrap(), [theirs]);
}

#[test]
fn mixed_families_and_bad_tags_are_refused() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    let conditional = |tag: &str, prefix: &str| Element::PublishIf {
        publish: publish("", 80, "10.0.0.2"),
        conditions: vec![Condition {
            side: Side::Source,
            negated: true,
            prefix: net(prefix),
        }],
        tag: tag.into(),
    };
    for element in [
        masquerade("10.22.0.2", "fd00::/64"),
        hairpin("fd00::1", "10.0.0.0/8"),
        Element::Publish(publish("::1", 80, "10.0.0.2")),
        conditional("x", "fd00::/64"),
    ] {
        let error = firewall.add(&[element]).unwrap_err();
        assert!(
            matches!(error, FirewallError::MixedFamilies { .. }),
            "{error}"
        );
    }
    for tag in [String::new(), "x".repeat(128)] {
        let error = firewall
            .add(&[conditional(&tag, "10.0.0.0/8")])
            .unwrap_err();
        assert!(matches!(error, FirewallError::Tag { .. }), "{error}");
    }
    assert_eq!(ruleset(&sandbox), "");
}

#[test]
fn conditions_are_rules_found_by_their_tag() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    let longest = "t".repeat(127);
    let conditional = |tag: &str, port| Element::PublishIf {
        publish: publish("192.0.2.1", port, "10.0.0.2"),
        conditions: vec![
            Condition {
                side: Side::Source,
                negated: false,
                prefix: net("10.1.0.0/17"),
            },
            Condition {
                side: Side::Destination,
                negated: true,
                prefix: net("10.2.0.1/32"),
            },
        ],
        tag: tag.into(),
    };
    firewall
        .add(&[conditional("one", 80), conditional(&longest, 81)])
        .unwrap();
    firewall.add(&[conditional("one", 82)]).unwrap();
    assert_eq!(firewall.tags().unwrap(), [longest.clone(), "one".into()]);
    let text = ruleset(&sandbox);
    let rule = "ip daddr 192.0.2.1 ip saddr 10.1.0.0/17 ip daddr != 10.2.0.1 \
                tcp dport 82 dnat ip to 10.0.0.2:80 comment \"one\"";
    assert!(text.contains(rule), "{text}");
    firewall
        .remove(&[conditional("one", 82), conditional("absent", 1)])
        .unwrap();
    let only = [longest.clone()];
    assert_eq!(firewall.tags().unwrap(), only);
    let wanted = [
        conditional(&longest, 81),
        conditional("one", 82),
        Element::Publish(publish("", 83, "10.0.0.2")),
    ];
    let missing: Vec<String> = firewall
        .missing(&wanted)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        missing,
        [
            "publish 192.0.2.1:82/tcp to 10.0.0.2:80 if ip saddr 10.1.0.0/17 ip daddr != 10.2.0.1/32",
            "publish 83/tcp to 10.0.0.2:80"
        ]
    );
    firewall.remove_tags(&["absent".into()]).unwrap();
    assert_eq!(firewall.tags().unwrap(), only);
    for _ in 0..2 {
        firewall.remove_tags(&only).unwrap();
        assert!(firewall.tags().unwrap().is_empty());
    }
}

#[test]
fn networks_are_replaced_and_a_repetition_changes_nothing() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    let networks = ["10.22.0.0/16", "10.24.1.0/24", "10.24.2.0/24", "fd00::/48"].map(net);
    assert!(firewall.set_networks(&networks, &[]).unwrap());
    let text = ruleset(&sandbox);
    assert!(text.contains("fd00::/48"), "{text}");
    assert!(text.contains("10.22.0.0/16"), "{text}");
    assert!(!firewall.set_networks(&networks, &[]).unwrap());
    let last = net("255.255.0.0/16");
    assert!(
        firewall
            .set_networks(&[last, net("255.255.1.0/24")], &[])
            .unwrap()
    );
    assert!(!firewall.set_networks(&[last], &[]).unwrap());
    assert!(!ruleset(&sandbox).contains("fd00::/48"));
    assert!(firewall.set_networks(&[], &[]).unwrap());
    assert!(!ruleset(&sandbox).contains("255.255"));
}

#[test]
fn ranges_are_read_back() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    assert_eq!(firewall.networks().unwrap(), Some(Ranges::default()));
    let networks = ["10.22.0.0/16", "10.24.2.0/24", "fd00::/48"].map(net);
    let halves = ["10.24.0.0/25", "10.24.0.128/25"].map(net);
    let masqueraded = ["10.22.0.0/16", "255.255.255.255/32", "fd00::/64"].map(net);
    firewall
        .set_networks(&[&networks[..], &halves].concat(), &masqueraded)
        .unwrap();
    let read = firewall.networks().unwrap().unwrap();
    let sorted = |nets: &[IpNet]| nets.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(
        sorted(&read.networks),
        sorted(&[&networks[..], &[net("10.24.0.0/24")]].concat())
    );
    assert_eq!(sorted(&read.masqueraded), sorted(&masqueraded));
    let text = ruleset(&sandbox);
    assert!(text.contains("255.255.255.255"), "{text}");
    assert!(!firewall.set_networks(&read.networks, &masqueraded).unwrap());
    assert!(firewall.set_networks(&read.networks, &[]).unwrap());
    let left = firewall.networks().unwrap().unwrap();
    assert_eq!((left.networks, left.masqueraded), (read.networks, vec![]));
}

#[test]
fn ranges_that_are_masqueraded_keep_the_table() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    firewall.set_networks(&[], &[net("10.22.0.0/16")]).unwrap();
    firewall.tidy(&[]).unwrap();
    assert!(ruleset(&sandbox).contains("10.22.0.0/16"));
    firewall.set_networks(&[], &[]).unwrap();
    firewall.tidy(&[]).unwrap();
    assert_eq!(ruleset(&sandbox), "");
}

/// The table as the release before masqueraded ranges made it, in use.
fn of_an_earlier_release(sandbox: &Sandbox) -> Firewall {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/before-ranges.nft"
    );
    sandbox.run(&format!("nft -f {file}"));
    let mut firewall = sandbox.firewall();
    firewall.set_networks(&[net("10.22.0.0/16")], &[]).unwrap();
    assert!(!ruleset(sandbox).contains("masqueraded"));
    firewall
}

/// Each rule and set once, and what was in them still there.
#[track_caller]
fn is_mended(sandbox: &Sandbox, firewall: &mut Firewall) {
    let text = ruleset(sandbox);
    for once in [
        "set masqueraded4 {",
        "set masqueraded6 {",
        "ip saddr @masqueraded4 ip daddr != @masqueraded4 masquerade",
        "ip6 saddr @masqueraded6 ip6 daddr != @masqueraded6 masquerade",
        "jump masquerading",
        "set networks4 {",
    ] {
        assert_eq!(text.matches(once).count(), 1, "{once}: {text}");
    }
    assert_eq!(listed(firewall), one_of_each().into_iter().collect());
    let networks = firewall.networks().unwrap().unwrap().networks;
    assert_eq!(networks, [net("10.22.0.0/16")]);
}

#[test]
fn a_table_of_an_earlier_release_is_mended_when_a_range_is_masqueraded() {
    let sandbox = Sandbox::new();
    let mut firewall = of_an_earlier_release(&sandbox);
    let networks = [net("10.22.0.0/16")];
    let masqueraded = [net("10.22.1.0/24")];
    assert!(firewall.set_networks(&networks, &masqueraded).unwrap());
    is_mended(&sandbox, &mut firewall);
    let read = firewall.networks().unwrap().unwrap();
    assert_eq!(read.masqueraded, masqueraded);
    assert!(!firewall.set_networks(&networks, &masqueraded).unwrap());
}

#[test]
fn a_table_of_an_earlier_release_is_mended_by_ensure() {
    let sandbox = Sandbox::new();
    let mut firewall = of_an_earlier_release(&sandbox);
    firewall.ensure().unwrap();
    is_mended(&sandbox, &mut firewall);
}

#[test]
fn an_unused_subnet_goes_and_a_used_one_stays() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    let used = masquerade("10.22.0.2", "10.22.0.0/16");
    let gone = masquerade("10.23.0.2", "10.23.0.0/16");
    let kept = masquerade("10.24.0.2", "10.24.0.0/16");
    firewall
        .add(&[used.clone(), gone.clone(), kept.clone()])
        .unwrap();
    firewall.remove(&[gone.clone(), kept]).unwrap();
    let removed = firewall
        .remove_unused_subnets(&[net("10.24.0.0/16")])
        .unwrap();
    assert_eq!(removed, [net("10.23.0.0/16")]);
    let text = ruleset(&sandbox);
    assert!(!text.contains("10.23.0.0"), "{text}");
    assert!(text.contains("masq-10.22.0.0-16") && text.contains("masq-10.24.0.0-16"));
    firewall.add(std::slice::from_ref(&gone)).unwrap();
    assert_eq!(listed(&mut firewall), [used, gone].into());
}

#[test]
fn a_table_that_someone_damaged_is_mended_by_the_next_add() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    let first = masquerade("10.22.0.2", "10.22.0.0/16");
    firewall.add(std::slice::from_ref(&first)).unwrap();
    sandbox.run("nft flush chain inet fairlead publish");
    sandbox.run("nft delete map inet fairlead publish4");
    let second = Element::Publish(publish("", 8080, "10.22.0.2"));
    firewall.add(std::slice::from_ref(&second)).unwrap();
    assert_eq!(listed(&mut firewall), [first, second].into());
    assert!(ruleset(&sandbox).contains("map @publish4"));
}

#[test]
fn processes_that_start_at_once_make_one_table() {
    let sandbox = Sandbox::new();
    let count = 16;
    let handles: Vec<Firewall> = (0..count).map(|_| sandbox.firewall()).collect();
    let barrier = std::sync::Barrier::new(count);
    std::thread::scope(|scope| {
        for (n, mut firewall) in handles.into_iter().enumerate() {
            let barrier = &barrier;
            scope.spawn(move || {
                let address = format!("10.22.0.{}", n + 2);
                let subnet = format!("10.{}.0.0/16", 22 + n % 3);
                barrier.wait();
                firewall
                    .add(&[
                        masquerade(&address, &subnet),
                        hairpin(&address, "10.22.0.0/16"),
                    ])
                    .unwrap();
            });
        }
    });
    assert_eq!(sandbox.firewall().list().unwrap().len(), 2 * count);
    let text = ruleset(&sandbox);
    let rules = |what: &str| text.matches(what).count();
    assert_eq!(rules("ip saddr @masq-"), 3, "{text}");
    assert_eq!(rules("ip daddr @hairpin-"), 1, "{text}");
    assert_eq!(rules("jump masquerading"), 1, "{text}");
}

#[test]
fn ten_thousand_elements_are_one_transaction() {
    let sandbox = Sandbox::new();
    let mut firewall = sandbox.firewall();
    let ports: Vec<Element> = (1..=10_000)
        .map(|port| Element::Publish(publish("", port, "10.22.0.2")))
        .collect();
    firewall.add(&ports).unwrap();
    lists(&mut firewall, &ports);
    // Every one is refused, so that the kernel has 10,000 errors to tell.
    let others: Vec<Element> = (1..=10_000)
        .map(|port| Element::Publish(publish("", port, "10.22.0.3")))
        .collect();
    let error = firewall.add(&others).unwrap_err();
    assert!(error.to_string().starts_with("publish 1/tcp"), "{error}");
    firewall.change(&others, &ports).unwrap();
    lists(&mut firewall, &others);
    firewall.remove(&others).unwrap();
    assert_eq!(firewall.list().unwrap(), []);
}
