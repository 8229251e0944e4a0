//! Random sequences of allocations and releases against a model that knows
//! nothing but the rules.

use crate::support::{Node, addrs, owner, sets};
use fairlead_ipam::{RangeSet, release};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Range sets small enough to fill, and one that cannot be filled.
fn configs() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        r#"{"subnet":"10.0.0.0/29"}"#,
        r#"{"subnet":"10.0.0.0/30"}"#,
        r#"{"subnet":"10.0.0.0/28","gateway":"10.0.0.7"}"#,
        r#"{"subnet":"10.0.0.0/24","rangeStart":"10.0.0.250","rangeEnd":"10.0.0.255"}"#,
        r#"{"ranges":[[{"subnet":"10.0.0.0/30"},{"subnet":"10.0.1.0/29"},{"subnet":"10.0.2.0/30"}]]}"#,
        r#"{"ranges":[[{"subnet":"255.255.255.248/29","rangeEnd":"255.255.255.255"}]]}"#,
        r#"{"subnet":"fd00::/126"}"#,
        r#"{"subnet":"fd00::/64"}"#,
        r#"{"ranges":[[{"subnet":"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125","gateway":"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}]]}"#,
    ])
}

/// The addresses of a set in order, at most the first hundred of each range.
fn all(set: &RangeSet) -> Vec<IpAddr> {
    let mut out = Vec::new();
    for range in set.ranges() {
        let hosts: Box<dyn Iterator<Item = IpAddr>> = match (range.first(), range.last()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                Box::new((a.to_bits()..=b.to_bits()).map(|n| IpAddr::V4(n.into())))
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                Box::new((a.to_bits()..=b.to_bits()).map(|n| IpAddr::V6(n.into())))
            }
            other => panic!("{other:?}"),
        };
        out.extend(hosts.take(100).filter(|addr| !set.is_gateway(*addr)));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn allocation_follows_the_model(
        config in configs(),
        steps in prop::collection::vec((0..12u8, any::<bool>()), 1..80),
    ) {
        let sets = sets(config);
        let candidates = all(&sets[0]);
        let node = Node::new();
        let mut store = node.open();
        let mut held: BTreeMap<u8, IpAddr> = BTreeMap::new();
        let mut last: Option<IpAddr> = None;
        for (container, add) in steps {
            let name = format!("c{container}");
            if !add {
                let freed = release(&mut store, &node.pool, &owner(&name)).unwrap();
                prop_assert_eq!(freed, held.remove(&container).into_iter().collect::<Vec<_>>());
                continue;
            }
            let result = node.add(&mut store, &sets, &name, (&[], None));
            let taken: BTreeSet<_> = held.values().copied().collect();
            // Next after the last one given, round and round.
            let at = last.and_then(|last| candidates.iter().position(|c| *c == last));
            let from = at.map_or(0, |at| at + 1);
            let turn = candidates[from..].iter().chain(&candidates[..from]);
            let expected = turn.copied().find(|addr| !taken.contains(addr));
            match (result, expected) {
                (Err(error), _) if held.contains_key(&container) => {
                    prop_assert!(error.to_string().contains("duplicate allocation"));
                }
                (Ok(given), Some(expected)) => {
                    prop_assert_eq!(addrs(&given), [expected]);
                    held.insert(container, expected);
                    last = Some(expected);
                }
                (Err(error), None) => {
                    prop_assert_eq!(taken.len(), candidates.len(), "full means full");
                    prop_assert!(error.to_string().contains("no IP addresses available"));
                }
                (got, expected) => prop_assert!(false, "{got:?} where {expected:?} was due"),
            }
        }
    }

    #[test]
    fn the_size_is_the_number_of_addresses(config in configs()) {
        let set = &sets(config)[0];
        let count = all(set).len() as u128;
        if count < 99 {
            prop_assert_eq!(set.size(), count);
        } else {
            prop_assert_eq!(set.size(), u128::from(u64::MAX) - 1, "a /64 without ::0 and ::1");
        }
    }
}
