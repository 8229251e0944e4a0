//! Names in wire form: labels with their length before them, a zero at the end (RFC 1035,
//! 3.1). All are kept in lower case, since case does not count in a comparison (RFC 4343).

use std::fmt::Write;
use std::net::IpAddr;

/// The most bytes that a name has in wire form.
pub(crate) const LONGEST: usize = 255;
/// The most bytes of one label.
pub(crate) const LONGEST_LABEL: usize = 63;

/// A name in wire form, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name(Box<[u8]>);

impl Name {
    /// Reads `a.b.c` with or without a final dot; none where it cannot be a name.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        let text = text.strip_suffix('.').unwrap_or(text);
        if !text.is_empty() {
            append(&mut wire, text)?;
        }
        Self::finish(wire, &[0])
    }

    /// The name with labels before it: `a.b` under `c.d.` is `a.b.c.d.`
    pub(crate) fn under(&self, front: &str) -> Option<Self> {
        let mut wire = Vec::with_capacity(front.len() + 1 + self.0.len());
        append(&mut wire, front)?;
        Self::finish(wire, &self.0)
    }

    /// The name by which the reverse zones know an address (RFC 1035, 3.5; RFC 3596, 2.5).
    pub(crate) fn reverse(ip: IpAddr) -> Self {
        let (labels, zone): (Vec<String>, _) = match ip {
            IpAddr::V4(ip) => {
                let labels = ip.octets().iter().rev().map(u8::to_string).collect();
                (labels, "in-addr.arpa")
            }
            IpAddr::V6(ip) => {
                let nibbles = ip.octets().into_iter().rev();
                let nibbles = nibbles.flat_map(|byte| [byte & 15, byte >> 4]);
                (nibbles.map(|n| format!("{n:x}")).collect(), "ip6.arpa")
            }
        };
        Self::reversed(&labels, zone)
    }

    /// A name of a reverse zone from its labels, which are never too long.
    pub(crate) fn reversed(labels: &[String], zone: &str) -> Self {
        let mut wire = Vec::with_capacity(80);
        for label in labels.iter().map(String::as_str).chain(zone.split('.')) {
            // At most three digits, or one of the two words above.
            wire.push(u8::try_from(label.len()).unwrap_or(0));
            wire.extend(label.bytes());
        }
        wire.push(0);
        Self(wire.into())
    }

    fn finish(mut wire: Vec<u8>, end: &[u8]) -> Option<Self> {
        wire.extend_from_slice(end);
        (wire.len() <= LONGEST).then(|| Self(wire.into()))
    }

    /// The bytes.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.0
    }

    /// Presentation form, with the final dot.
    pub(crate) fn text(&self) -> String {
        text(&self.0)
    }
}

/// Appends the labels of a text; none where one of them cannot be a label.
fn append(wire: &mut Vec<u8>, text: &str) -> Option<()> {
    for label in text.split('.') {
        let length = u8::try_from(label.len()).ok()?;
        let good = (1..=LONGEST_LABEL).contains(&label.len()) && !label.contains('\\');
        if !good {
            return None;
        }
        wire.push(length);
        wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    Some(())
}

/// Presentation form of a name in wire form, with the final dot. Bytes that have a meaning
/// there are escaped (RFC 1035, 5.1).
pub(crate) fn text(mut wire: &[u8]) -> String {
    let mut text = String::with_capacity(wire.len());
    while let Some((&length, rest)) = wire.split_first() {
        let Some((label, rest)) = rest.split_at_checked(usize::from(length)) else {
            break;
        };
        if length == 0 {
            break;
        }
        for &byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    text.push('\\');
                    text.push(char::from(byte));
                }
                0x21..=0x7e => text.push(char::from(byte)),
                _ => {
                    // Writing to a string cannot fail.
                    let _ = write!(text, "\\{byte:03}");
                }
            }
        }
        text.push('.');
        wire = rest;
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// The name without its first label; none for the root.
pub(crate) fn parent(wire: &[u8]) -> Option<&[u8]> {
    match wire.split_first()? {
        (0, _) => None,
        (&length, rest) => rest.get(usize::from(length)..),
    }
}

/// The name and what it lies in, from the longest on, without the root.
pub(crate) fn upwards(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(wire), |name| parent(name)).filter(|name| name.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_labels_in_lower_case() {
        let name = Name::new("Web.Ns.svc.c1").unwrap();
        assert_eq!(name.wire(), b"\x03web\x02ns\x03svc\x02c1\x00");
        assert_eq!(name.text(), "web.ns.svc.c1.");
        assert_eq!(Name::new("web.ns.svc.c1."), Some(name.clone()));
        assert_eq!(Name::new("svc.c1").unwrap().under("web.ns"), Some(name));
        assert_eq!(Name::new(".").unwrap().text(), ".");
    }

    #[test]
    fn what_cannot_be_a_name_is_none() {
        let label = "a".repeat(64);
        let long = ["a"; 128].join(".");
        for bad in ["a..b", ".a", "a..", "a\\.b", &label, &long] {
            assert_eq!(Name::new(bad), None, "{bad}");
        }
        // 253 characters are 255 bytes in wire form.
        let longest = [
            "a".repeat(63),
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(61),
        ];
        assert_eq!(Name::new(&longest.join(".")).unwrap().wire().len(), LONGEST);
        assert_eq!(Name::new(&format!("{}d", longest.join("."))), None);
    }

    #[test]
    fn odd_bytes_are_escaped() {
        assert_eq!(text(b"\x03a.b\x02\x00\\\x00"), "a\\.b.\\000\\\\.");
    }

    #[test]
    fn an_address_has_a_reverse_name() {
        let name = |ip: &str| Name::reverse(ip.parse().unwrap()).text();
        assert_eq!(name("10.1.2.3"), "3.2.1.10.in-addr.arpa.");
        assert_eq!(
            name("fd00::1:2"),
            "2.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa."
        );
    }

    #[test]
    fn one_goes_up_label_by_label() {
        let name = Name::new("a.b.c").unwrap();
        let all: Vec<String> = upwards(name.wire()).map(text).collect();
        assert_eq!(all, ["a.b.c.", "b.c.", "c."]);
    }
}
