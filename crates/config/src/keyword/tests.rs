use super::declared::{ALL, KEYWORDS};
use super::*;
use crate::network::NetworkKind::{Bridge, RoutedBridge};

#[test]
fn a_keyword_has_one_meaning_per_network_type() {
    for (i, k) in KEYWORDS.iter().enumerate() {
        assert_eq!(k.section == Section::Network, !k.networks.is_empty());
        for other in &KEYWORDS[..i] {
            let same = other.section == k.section && other.option == k.option;
            let shared = other.networks.iter().any(|n| k.networks.contains(n));
            assert!(!same || (!shared && !k.networks.is_empty()), "{}", k.option);
        }
    }
}

#[test]
fn the_listed_types_are_the_types() {
    let names: Vec<_> = ALL.iter().map(|n| n.as_str()).collect();
    assert_eq!(names, TYPES);
}

#[test]
fn the_meaning_follows_the_type() {
    let of = |option, kind| lookup(Section::Network, option, kind);
    assert!(matches!(of("network", Some(Bridge)), Lookup::Known(k) if k.scopable));
    assert!(matches!(of("network", Some(RoutedBridge)), Lookup::Known(k) if !k.scopable));
    assert!(matches!(of("tunnel", Some(Bridge)), Lookup::OtherType(t) if t == [RoutedBridge]));
    assert!(matches!(of("tunnel", None), Lookup::Known(_)));
    assert!(matches!(of("vlan", Some(Bridge)), Lookup::Unknown));
}
