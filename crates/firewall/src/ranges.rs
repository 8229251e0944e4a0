//! Ranges of addresses, and how they stand in interval sets. Pure.

use crate::element::{address_bytes, address_from};
use fairlead_kernel::nft::Element;
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The ranges that the firewall knows, each list in the form of [`IpNet::aggregate`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Ranges {
    /// Between them addresses are not translated.
    pub networks: Vec<IpNet>,
    /// What goes out of them is masqueraded, whatever address of theirs it is from.
    pub masqueraded: Vec<IpNet>,
}

/// A network as an interval set has it: its first address, and the first behind it
/// unless it ends where the addresses end.
pub(crate) fn interval(network: &IpNet) -> Vec<Element> {
    let mut elements = vec![Element::key(address_bytes(network.network()))];
    let after = match network.broadcast() {
        IpAddr::V4(last) => last
            .to_bits()
            .checked_add(1)
            .map(|n| IpAddr::V4(Ipv4Addr::from_bits(n))),
        IpAddr::V6(last) => last
            .to_bits()
            .checked_add(1)
            .map(|n| IpAddr::V6(Ipv6Addr::from_bits(n))),
    };
    if let Some(after) = after {
        elements.push(Element {
            range_end: true,
            ..Element::key(address_bytes(after))
        });
    }
    elements
}

/// The networks that the elements of an interval set stand for: each begins at a key
/// and ends before the next one, which is marked as an end.
pub(crate) fn networks(mut elements: Vec<Element>) -> Vec<IpNet> {
    sort(&mut elements);
    let mut networks = Vec::new();
    for (i, element) in elements.iter().enumerate().filter(|(_, e)| !e.range_end) {
        let end = elements.get(i + 1).filter(|e| e.range_end);
        let end = end.and_then(|e| address_from(&e.key));
        match (address_from(&element.key), end) {
            (Some(IpAddr::V4(first)), end) => {
                let last = match end {
                    Some(IpAddr::V4(end)) => end.to_bits().wrapping_sub(1),
                    _ => u32::MAX,
                };
                networks.extend(Ipv4Subnets::new(first, last.into(), 0).map(IpNet::V4));
            }
            (Some(IpAddr::V6(first)), end) => {
                let last = match end {
                    Some(IpAddr::V6(end)) => end.to_bits().wrapping_sub(1),
                    _ => u128::MAX,
                };
                networks.extend(Ipv6Subnets::new(first, last.into(), 0).map(IpNet::V6));
            }
            (None, _) => {}
        }
    }
    networks
}

/// Whether two interval sets are the same, whatever their order.
pub(crate) fn same(mut found: Vec<Element>, wanted: &[Element]) -> bool {
    let mut wanted = wanted.to_vec();
    sort(&mut found);
    sort(&mut wanted);
    found == wanted
}

/// By address; where one interval ends and the next begins, the end comes first.
fn sort(elements: &mut [Element]) {
    elements.sort_by(|a, b| (&a.key, !a.range_end).cmp(&(&b.key, !b.range_end)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(address: &str, range_end: bool) -> Element {
        Element {
            range_end,
            ..Element::key(address_bytes(address.parse().unwrap()))
        }
    }

    fn texts(elements: Vec<Element>) -> Vec<String> {
        networks(elements).iter().map(IpNet::to_string).collect()
    }

    #[test]
    fn intervals_are_read_as_networks() {
        let read = texts(vec![
            element("10.2.0.0", true),
            element("10.2.0.0", false),
            element("10.1.0.0", false),
            element("10.3.0.0", true),
            element("255.0.0.0", false),
        ]);
        assert_eq!(read, ["10.1.0.0/16", "10.2.0.0/16", "255.0.0.0/8"]);
        let six = vec![element("fd00::", false), element("fd00:0:0:1::", true)];
        assert_eq!(texts(six), ["fd00::/64"]);
    }

    #[test]
    fn the_end_that_the_kernel_shows_below_the_first_interval_is_none_of_ours() {
        let read = texts(vec![
            element("0.0.0.0", true),
            element("10.1.0.0", false),
            element("10.2.0.0", true),
        ]);
        assert_eq!(read, ["10.1.0.0/16"]);
    }

    #[test]
    fn foreign_bytes_are_no_network_and_no_panic() {
        assert_eq!(texts(vec![Element::key(vec![1, 2, 3])]), [""; 0]);
    }

    proptest! {
        #[test]
        fn networks_are_read_back(
            four in prop::collection::vec((any::<Ipv4Addr>(), 0_u8..=32), 0..8),
            six in prop::collection::vec((any::<Ipv6Addr>(), 0_u8..=128), 0..8),
        ) {
            let four: Vec<IpNet> = four
                .into_iter()
                .map(|(ip, length)| IpNet::new(ip.into(), length).unwrap())
                .collect();
            let six: Vec<IpNet> = six
                .into_iter()
                .map(|(ip, length)| IpNet::new(ip.into(), length).unwrap())
                .collect();
            for list in [four, six] {
                let wanted = IpNet::aggregate(&list);
                let elements = wanted.iter().flat_map(interval).collect();
                prop_assert_eq!(networks(elements), wanted);
            }
        }
    }
}
