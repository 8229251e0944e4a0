//! The conditions of published ports: from the words of iptables or nftables, and to
//! and from the text that records keep.

use fairlead_cni::{CniError, Code};
use fairlead_firewall::{Condition, Side};
use ipnet::IpNet;
use std::net::IpAddr;

/// Reads the list of a configuration's `key`. An item may hold several words, as a
/// line of `nft` does, or one, as an argument of `iptables` is. The answer is in the
/// words of `nft`; none where the list has no word.
pub(super) fn of_config(key: &str, items: &[String], v4: bool) -> Result<Option<String>, CniError> {
    let words = items.iter().flat_map(|item| item.split_whitespace());
    let conditions = parse(words, v4).map_err(|why| {
        let (family, version, example) = if v4 {
            ("ip", 4, "192.0.2.0/24")
        } else {
            ("ip6", 6, "2001:db8::/32")
        };
        let text = format!(
            "{key}: {why}; supported are prefixes of IPv{version} as \
             [\"!\", \"-s\" or \"-d\", \"{example}\"] or \
             [\"{family} saddr\" or \"{family} daddr\", \"!=\", \"{example}\"], \
             with or without the negation, one or several"
        );
        CniError::new(Code::UNSUPPORTED_FIELD, text)
    })?;
    let texts: Vec<String> = conditions.iter().map(ToString::to_string).collect();
    Ok((!texts.is_empty()).then(|| texts.join(" ")))
}

/// The conditions of a record. A text that nobody could have written there stands for
/// a condition that no packet fulfils: a port is never opened wider for it.
pub(super) fn of_record(text: &str, v4: bool) -> Vec<Condition> {
    match parse(text.split_whitespace(), v4) {
        Ok(conditions) if !conditions.is_empty() => conditions,
        _ => vec![Condition {
            side: Side::Source,
            negated: true,
            prefix: match v4 {
                true => IpNet::V4(ipnet::Ipv4Net::default()),
                false => IpNet::V6(ipnet::Ipv6Net::default()),
            },
        }],
    }
}

/// Reads conditions one after the other; the error says which word is not known.
fn parse<'a>(mut words: impl Iterator<Item = &'a str>, v4: bool) -> Result<Vec<Condition>, String> {
    let mut all = Vec::new();
    while let Some(first) = words.next() {
        let mut last = first;
        let mut next = || match words.next() {
            Some(word) => {
                last = word;
                Ok(word)
            }
            None => Err(format!("something is missing after {last:?}")),
        };
        let condition = match first {
            "ip" | "ip6" if (first == "ip") == v4 => {
                let side = nft_side(next()?)?;
                let mut word = next()?;
                let negated = word == "!=";
                if negated || word == "==" {
                    word = next()?;
                }
                Condition {
                    side,
                    negated,
                    prefix: prefix(word, v4)?,
                }
            }
            _ => {
                let negated = first == "!";
                let option = if negated { next()? } else { first };
                Condition {
                    side: iptables_side(option)?,
                    negated,
                    prefix: prefix(next()?, v4)?,
                }
            }
        };
        all.push(condition);
    }
    Ok(all)
}

fn nft_side(word: &str) -> Result<Side, String> {
    match word {
        "saddr" => Ok(Side::Source),
        "daddr" => Ok(Side::Destination),
        _ => Err(unknown(word)),
    }
}

fn iptables_side(word: &str) -> Result<Side, String> {
    match word {
        "-s" | "--source" | "--src" => Ok(Side::Source),
        "-d" | "--destination" | "--dst" => Ok(Side::Destination),
        _ => Err(unknown(word)),
    }
}

/// An address, a prefix, or an address and a mask as iptables also takes them.
fn prefix(word: &str, v4: bool) -> Result<IpNet, String> {
    let masked = || {
        let (address, mask) = word.split_once('/')?;
        IpNet::with_netmask(address.parse().ok()?, mask.parse().ok()?).ok()
    };
    let net = word
        .parse::<IpNet>()
        .ok()
        .or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from))
        .or_else(masked);
    net.map(|net| net.trunc())
        .filter(|net| net.addr().is_ipv4() == v4)
        .ok_or_else(|| unknown(word))
}

fn unknown(word: &str) -> String {
    format!("{word:?} is not supported")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(items: &[&str], v4: bool) -> Result<Option<String>, CniError> {
        let items: Vec<String> = items.iter().map(ToString::to_string).collect();
        of_config("conditionsV", &items, v4)
    }

    #[test]
    fn the_words_of_iptables_and_of_nftables_are_read() {
        let v4: [(&[&str], &str); 14] = [
            (&["-s", "10.0.0.0/8"], "ip saddr 10.0.0.0/8"),
            (&["--src", "10.0.0.0/8"], "ip saddr 10.0.0.0/8"),
            (&["--source", "10.1.2.3"], "ip saddr 10.1.2.3/32"),
            (&["-d", "10.1.2.3/8"], "ip daddr 10.0.0.0/8"),
            (&["--dst", "10.0.0.0/255.0.0.0"], "ip daddr 10.0.0.0/8"),
            (&["--destination", "0.0.0.0/0"], "ip daddr 0.0.0.0/0"),
            (&["!", "-d", "192.0.2.0/24"], "ip daddr != 192.0.2.0/24"),
            (
                &["!", "-s", "192.0.2.1", "-d", "192.0.2.2"],
                "ip saddr != 192.0.2.1/32 ip daddr 192.0.2.2/32",
            ),
            (&["! -s 192.0.2.1"], "ip saddr != 192.0.2.1/32"),
            (&["ip saddr 10.0.0.0/8"], "ip saddr 10.0.0.0/8"),
            (
                &["ip", "daddr", "!=", "192.0.2.0/24"],
                "ip daddr != 192.0.2.0/24",
            ),
            (&["ip daddr == 192.0.2.1"], "ip daddr 192.0.2.1/32"),
            (
                &["ip saddr 10.0.0.0/8", "ip saddr != 10.1.0.0/16"],
                "ip saddr 10.0.0.0/8 ip saddr != 10.1.0.0/16",
            ),
            (
                &["ip", "saddr", "10.0.0.0/8  ip daddr", "192.0.2.1"],
                "ip saddr 10.0.0.0/8 ip daddr 192.0.2.1/32",
            ),
        ];
        let v6: [(&[&str], &str); 3] = [
            (&["!", "-s", "2001:db8::1"], "ip6 saddr != 2001:db8::1/128"),
            (
                &["ip6 daddr != 2001:db8::/32"],
                "ip6 daddr != 2001:db8::/32",
            ),
            (&["-d", "fd00::/ff00::"], "ip6 daddr fd00::/8"),
        ];
        let cases = v4
            .map(|c| (c, true))
            .into_iter()
            .chain(v6.map(|c| (c, false)));
        for ((items, expected), v4) in cases {
            let text = read(items, v4).unwrap().unwrap();
            assert_eq!(text, expected, "{items:?}");
            // The record says the same again.
            let again: Vec<_> = of_record(&text, v4)
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(again.join(" "), text);
        }
        for empty in [&[][..], &[""], &[" ", ""]] {
            assert_eq!(read(empty, true).unwrap(), None);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_the_word() {
        let cases: [(&[&str], bool, &str); 20] = [
            (&["-i", "eth0"], true, "\"-i\" is not supported"),
            (&["-m", "mac"], true, "\"-m\""),
            (&["--dport", "80"], true, "\"--dport\""),
            (&["-s", "10.0.0.0/8", "-p", "tcp"], true, "\"-p\""),
            (&["!", "!", "-s", "10.0.0.1"], true, "\"!\""),
            (&["-s", "!", "10.0.0.1"], true, "\"!\""),
            (&["!"], true, "missing after \"!\""),
            (&["-s"], true, "missing after \"-s\""),
            (&["!", "-d"], true, "missing after \"-d\""),
            (&["-s", "10.0.0.1,10.0.0.2"], true, "\"10.0.0.1,10.0.0.2\""),
            (&["-s", "10.0.0.0/33"], true, "\"10.0.0.0/33\""),
            (
                &["-s", "10.0.0.0/255.0.255.0"],
                true,
                "\"10.0.0.0/255.0.255.0\"",
            ),
            (&["-s", "example.org"], true, "\"example.org\""),
            (&["-s", "fd00::/8"], true, "\"fd00::/8\""),
            (&["-s", "10.0.0.0/8"], false, "\"10.0.0.0/8\""),
            (&["ip6 saddr fd00::/8"], true, "\"ip6\""),
            (&["ip saddr 10.0.0.0/8"], false, "\"ip\""),
            (&["ip saddr { 10.0.0.1 }"], true, "\"{\""),
            (&["ip protocol tcp"], true, "\"protocol\""),
            (&["ip daddr !="], true, "missing after \"!=\""),
        ];
        for (items, v4, word) in cases {
            let error = read(items, v4).unwrap_err();
            assert_eq!(error.code, Code::UNSUPPORTED_FIELD, "{items:?}");
            assert!(error.msg.starts_with("conditionsV: "), "{error}");
            assert!(error.msg.contains(word), "{items:?}: {error}");
            let cure = if v4 { "ip saddr" } else { "ip6 saddr" };
            assert!(error.msg.contains(cure), "{error}");
        }
    }

    #[test]
    fn a_damaged_record_opens_nothing() {
        for (text, v4) in [("", true), ("x", true), ("ip saddr 10.0.0.0/8", false)] {
            let conditions = of_record(text, v4);
            let [only] = conditions.as_slice() else {
                panic!("{conditions:?}");
            };
            assert!(only.negated && only.prefix.prefix_len() == 0);
            assert_eq!(only.prefix.addr().is_ipv4(), v4);
        }
    }
}
