//! Arithmetic of ranges and of the segments that a routed bridge cuts them into.

use crate::Reason;
use ipnet::IpNet;

/// A segment leaves at least this many host bits: network, gateway, a container,
/// and broadcast.
const MIN_BITS: u8 = 2;

/// The prefix length of a segment of `size` addresses.
pub(crate) fn from_size(size: u64, range: IpNet, nodes: usize) -> Result<u8, Reason> {
    if !size.is_power_of_two() {
        return Err(Reason::PowerOfTwo { size });
    }
    let bits = u8::try_from(size.trailing_zeros()).unwrap_or(u8::MAX);
    if bits < MIN_BITS {
        return Err(Reason::SegmentSize(size));
    }
    match range.max_prefix_len().checked_sub(bits) {
        Some(prefix) => room(prefix, range, nodes),
        None => Err(Reason::SegmentRoom {
            prefix: 0,
            nodes,
            range,
        }),
    }
}

/// The prefix length that `mask_per_node` means. It is documented as a prefix
/// length, and one agent read it as a number of host bits (specification 4): what
/// can be both, with different results, is refused.
pub(crate) fn from_mask(mask: u8, range: IpNet, nodes: usize) -> Result<u8, Reason> {
    let max = range.max_prefix_len();
    let as_prefix = (range.prefix_len()..=max - MIN_BITS).contains(&mask);
    if !as_prefix {
        return Err(Reason::Mask {
            min: range.prefix_len(),
            max: max.saturating_sub(MIN_BITS),
            range,
        });
    }
    let as_bits = (MIN_BITS..=max - range.prefix_len()).contains(&mask);
    if as_bits && max - mask != mask {
        return Err(Reason::AmbiguousMask {
            mask,
            prefix_bits: u32::from(max - mask),
        });
    }
    room(mask, range, nodes)
}

fn room(prefix: u8, range: IpNet, nodes: usize) -> Result<u8, Reason> {
    let slots = prefix.checked_sub(range.prefix_len()).map_or(0, |bits| {
        1_u128.checked_shl(bits.into()).unwrap_or(u128::MAX)
    });
    match slots >= nodes as u128 {
        true => Ok(prefix),
        false => Err(Reason::SegmentRoom {
            prefix,
            nodes,
            range,
        }),
    }
}

/// The pairs of ranges that share an address, as places in the slice. Ranges are
/// nested or apart, so in sorted order an open one contains all up to its end.
pub(crate) fn overlaps(ranges: &[IpNet]) -> Vec<(usize, usize)> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|i| (ranges[*i].network(), ranges[*i].prefix_len(), *i));
    let mut open: Vec<usize> = Vec::new();
    let mut pairs = Vec::new();
    for i in order {
        while open
            .last()
            .is_some_and(|o| !ranges[*o].contains(&ranges[i]))
        {
            open.pop();
        }
        pairs.extend(open.iter().map(|o| (*o.min(&i), *o.max(&i))));
        open.push(i);
    }
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn a_size_gives_a_prefix() {
        let v4 = net("10.11.0.0/16");
        assert_eq!(from_size(1024, v4, 3), Ok(22));
        assert_eq!(from_size(1024, v4, 64), Ok(22));
        assert!(matches!(
            from_size(1024, v4, 65),
            Err(Reason::SegmentRoom { .. })
        ));
        assert!(matches!(
            from_size(1000, v4, 1),
            Err(Reason::PowerOfTwo { size: 1000 })
        ));
        assert!(matches!(from_size(2, v4, 1), Err(Reason::SegmentSize(2))));
        assert!(matches!(
            from_size(1 << 40, v4, 1),
            Err(Reason::SegmentRoom { .. })
        ));
        assert_eq!(from_size(1024, net("fd00:1::/112"), 3), Ok(118));
        assert_eq!(from_size(1 << 63, net("fd00::/8"), 1000), Ok(65));
        assert_eq!(from_size(4, net("::/0"), 1000), Ok(126));
    }

    #[test]
    fn a_mask_that_means_two_things_is_refused() {
        assert_eq!(from_mask(22, net("10.11.0.0/16"), 3), Ok(22));
        assert_eq!(
            from_mask(64, net("fd00::/56"), 3),
            Ok(64),
            "both are the same"
        );
        assert!(matches!(
            from_mask(22, net("10.0.0.0/8"), 3),
            Err(Reason::AmbiguousMask {
                mask: 22,
                prefix_bits: 10
            })
        ));
        assert!(matches!(
            from_mask(10, net("10.11.0.0/16"), 3),
            Err(Reason::Mask {
                min: 16,
                max: 30,
                ..
            })
        ));
        assert!(matches!(
            from_mask(31, net("10.11.0.0/16"), 3),
            Err(Reason::Mask { .. })
        ));
        assert!(matches!(
            from_mask(17, net("10.11.0.0/16"), 3),
            Err(Reason::SegmentRoom { .. })
        ));
    }

    proptest! {
        #[test]
        fn overlaps_are_those_of_all_pairs(
            given in proptest::collection::vec((any::<bool>(), any::<u8>(), 0u8..=8), 0..12)
        ) {
            let ranges: Vec<IpNet> = given
                .into_iter()
                .map(|(v4, byte, len)| match v4 {
                    true => IpNet::new([10, byte, 0, 0].into(), 8 + len).unwrap().trunc(),
                    false => IpNet::new([0xfd00 | u16::from(byte), 0, 0, 0, 0, 0, 0, 0].into(), 8 + len).unwrap().trunc(),
                })
                .collect();
            let mut wanted = Vec::new();
            for a in 0..ranges.len() {
                for b in a + 1..ranges.len() {
                    if ranges[a].contains(&ranges[b]) || ranges[b].contains(&ranges[a]) {
                        wanted.push((a, b));
                    }
                }
            }
            prop_assert_eq!(overlaps(&ranges), wanted);
        }

        #[test]
        fn segments_of_an_accepted_size_fit(bits in 2u32..20, prefix in 8u8..28, nodes in 1usize..300) {
            let range = IpNet::new([10, 0, 0, 0].into(), prefix).unwrap();
            let fits = (nodes as u64) << bits <= 1 << (32 - prefix);
            let got = from_size(1 << bits, range, nodes);
            prop_assert_eq!(got.is_ok(), fits);
            if let Ok(p) = got {
                prop_assert_eq!(u32::from(32 - p), bits);
            }
        }
    }
}
