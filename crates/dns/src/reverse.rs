//! Which zones answer for addresses: those of the declared ranges, and those that no
//! server of names outside can know anything of (RFC 6303).

use crate::name::{Name, upwards};
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::IpAddr;

/// More zones than that are not made; a zone costs a few hundred bytes.
const MOST: usize = 32_768;

/// Zones that are never asked about outside and are empty here, but for 10, 172.16/12 and
/// 100.64/10: RFC 6303, 4, and the registry that it began.
const EMPTY: [&str; 18] = [
    "0.in-addr.arpa",
    "10.in-addr.arpa",
    "127.in-addr.arpa",
    "254.169.in-addr.arpa",
    "168.192.in-addr.arpa",
    "2.0.192.in-addr.arpa",
    "100.51.198.in-addr.arpa",
    "113.0.203.in-addr.arpa",
    "255.255.255.255.in-addr.arpa",
    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "c.f.ip6.arpa",
    "d.f.ip6.arpa",
    "8.e.f.ip6.arpa",
    "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa",
    "b.e.f.ip6.arpa",
    "8.b.d.0.1.0.0.2.ip6.arpa",
];

/// The origins of the reverse zones of these ranges, each once, none inside another.
pub(crate) fn origins(ranges: &[IpNet]) -> Vec<Name> {
    let mut all: Vec<Name> = ranges.iter().flat_map(cut).take(MOST).collect();
    let known: HashSet<Box<[u8]>> = all.iter().map(|name| name.wire().into()).collect();
    // The shorter one answers for what lies in it.
    all.retain(|name| !upwards(name.wire()).skip(1).any(|up| known.contains(up)));
    let mut seen = HashSet::new();
    all.retain(|name| seen.insert(name.clone()));
    all
}

/// The origins of the empty zones, but for those that a zone of `ours` takes the place of.
pub(crate) fn empty(ours: &[Name]) -> Vec<Name> {
    let known: HashSet<&[u8]> = ours.iter().map(Name::wire).collect();
    let shared = (64..128).map(|octet| format!("{octet}.100.in-addr.arpa"));
    let private = (16..32).map(|octet| format!("{octet}.172.in-addr.arpa"));
    let all = EMPTY.iter().map(|text| (*text).to_owned());
    let all = all.chain(shared).chain(private);
    let names = all.filter_map(|text| Name::new(&text));
    names
        .filter(|name| !upwards(name.wire()).any(|up| known.contains(up)))
        .collect()
}

/// The zones of one range: cut where a label ends, so that a range between two cuts has
/// several.
fn cut(range: &IpNet) -> Vec<Name> {
    let (bytes, step) = match range.network() {
        IpAddr::V4(ip) => (ip.octets().to_vec(), 8),
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().flat_map(|b| [b >> 4, b & 15]);
            (nibbles.collect::<Vec<u8>>(), 4)
        }
    };
    let prefix = usize::from(range.prefix_len());
    let labels = prefix.div_ceil(step);
    let count = 1u16 << (labels * step - prefix);
    let Some((last, above)) = bytes[..labels].split_last() else {
        return vec![named(&[], range)];
    };
    let zone = |i: u16| {
        // The bits below the prefix are zero, so this neither overflows nor carries.
        let last = last | u8::try_from(i).unwrap_or(0);
        named(&[above, &[last]].concat(), range)
    };
    (0..count).map(zone).collect()
}

fn named(labels: &[u8], range: &IpNet) -> Name {
    let text = |label: &u8| match range {
        IpNet::V4(_) => label.to_string(),
        IpNet::V6(_) => format!("{label:x}"),
    };
    let labels: Vec<String> = labels.iter().rev().map(text).collect();
    let zone = match range {
        IpNet::V4(_) => "in-addr.arpa",
        IpNet::V6(_) => "ip6.arpa",
    };
    Name::reversed(&labels, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranges: &[&str]) -> Vec<String> {
        let ranges: Vec<IpNet> = ranges.iter().map(|r| r.parse().unwrap()).collect();
        origins(&ranges).iter().map(Name::text).collect()
    }

    #[test]
    fn a_range_is_cut_where_labels_end() {
        assert_eq!(of(&["10.22.0.0/16"]), ["22.10.in-addr.arpa."]);
        assert_eq!(
            of(&["10.0.4.0/22"]),
            ["4", "5", "6", "7"].map(|n| format!("{n}.0.10.in-addr.arpa."))
        );
        let half = of(&["192.168.1.128/25"]);
        assert_eq!(half.len(), 128);
        assert_eq!(half[0], "128.1.168.192.in-addr.arpa.");
        assert_eq!(half[127], "255.1.168.192.in-addr.arpa.");
        assert_eq!(of(&["10.1.2.3/32"]), ["3.2.1.10.in-addr.arpa."]);
        assert_eq!(of(&["0.0.0.0/0"]), ["in-addr.arpa."]);
        assert_eq!(of(&["fd00::/8"]), ["d.f.ip6.arpa."]);
        assert_eq!(of(&["fd00:0:0:4::/63"]).len(), 2);
        assert_eq!(of(&["fc00::/7"]), ["c.f.ip6.arpa.", "d.f.ip6.arpa."]);
    }

    #[test]
    fn the_shorter_of_two_wins() {
        let both = ["10.22.1.0/24", "10.22.0.0/16", "10.22.0.0/16"];
        assert_eq!(of(&both), ["22.10.in-addr.arpa."]);
    }

    #[test]
    fn an_own_zone_takes_the_place_of_empty_ones() {
        let empty = |ranges: &[&str]| {
            let ranges: Vec<IpNet> = ranges.iter().map(|r| r.parse().unwrap()).collect();
            empty(&origins(&ranges)).len()
        };
        let all = empty(&[]);
        assert_eq!(all, 18 + 64 + 16);
        assert_eq!(empty(&["10.0.0.0/8"]), all - 1);
        assert_eq!(empty(&["172.16.0.0/12"]), all - 16);
        // A zone inside an empty one leaves it as it is.
        assert_eq!(empty(&["10.1.0.0/16"]), all);
    }
}
