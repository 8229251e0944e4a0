//! Messages as bytes: reading a question that may have any shape, and the names in one.

use crate::RType;
use crate::name::{LONGEST, LONGEST_LABEL};

/// Bytes of a message before its question.
pub(crate) const HEADER: usize = 12;

/// The bits of the second word of a message (RFC 1035, 4.1.1).
pub(crate) mod flag {
    pub(crate) const RESPONSE: u16 = 0x8000;
    pub(crate) const AUTHORITATIVE: u16 = 0x0400;
    pub(crate) const TRUNCATED: u16 = 0x0200;
    pub(crate) const RECURSION_DESIRED: u16 = 0x0100;
    pub(crate) const RECURSION_AVAILABLE: u16 = 0x0080;
}

/// What came of a question (RFC 1035, 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rcode(pub(crate) u8);

impl Rcode {
    pub(crate) const NO_ERROR: Self = Self(0);
    pub(crate) const FORM_ERROR: Self = Self(1);
    pub(crate) const SERVER_FAILURE: Self = Self(2);
    pub(crate) const NO_SUCH_NAME: Self = Self(3);
    pub(crate) const NOT_IMPLEMENTED: Self = Self(4);
    pub(crate) const REFUSED: Self = Self(5);
    /// RFC 6891, 6.1.3; its upper bits stand in the OPT record.
    pub(crate) const BAD_VERSION: Self = Self(16);
}

/// What EDNS says of who asks (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edns {
    /// The longest answer over UDP that is taken, in bytes.
    pub(crate) size: u16,
    pub(crate) version: u8,
    /// Whether DNSSEC is wanted (RFC 3225).
    pub(crate) wants_dnssec: bool,
}

/// A name in lower case, in wire form, without memory of its own.
#[derive(Clone, Copy)]
pub(crate) struct Lower {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Lower {
    #[inline]
    pub(crate) fn wire(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A question that can be answered.
pub(crate) struct Query<'a> {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    /// Name, type and class as they came.
    pub(crate) question: &'a [u8],
    pub(crate) name: Lower,
    pub(crate) rtype: RType,
    pub(crate) class: u16,
    pub(crate) edns: Option<Edns>,
}

/// Why a message is no such question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// There is nobody to answer: no header, or it is an answer itself.
    Silent,
    /// What is to be told.
    Told(Rcode),
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads a message.
#[inline]
pub(crate) fn parse(message: &[u8]) -> Result<Query<'_>, Wrong> {
    let header: &[u8; HEADER] = message.first_chunk().ok_or(Wrong::Silent)?;
    let at = |i: usize| u16::from_be_bytes([header[i], header[i + 1]]);
    let flags = at(2);
    if flags & flag::RESPONSE != 0 {
        return Err(Wrong::Silent);
    }
    // Anything but a plain question: status, notify, update.
    if (flags >> 11) & 15 != 0 {
        return Err(Wrong::Told(Rcode::NOT_IMPLEMENTED));
    }
    let malformed = Wrong::Told(Rcode::FORM_ERROR);
    if at(4) != 1 {
        return Err(malformed);
    }
    let length = name_length(&message[HEADER..]).ok_or(malformed)?;
    let end = HEADER + length;
    let (rtype, class) = match message.get(end..end + 4) {
        Some(&[a, b, c, d]) => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        _ => return Err(malformed),
    };
    let mut name = Lower {
        bytes: [0; LONGEST],
        length,
    };
    let bytes = &mut name.bytes[..length];
    bytes.copy_from_slice(&message[HEADER..end]);
    // The lengths of labels are below 64, where no letters are.
    bytes.make_ascii_lowercase();
    let mut edns = None;
    let counts = [at(6), at(8), at(10)];
    let rest = &message[end + 4..];
    if counts != [0; 3] || !rest.is_empty() {
        edns = additional(message, end + 4, counts).ok_or(malformed)?;
    }
    Ok(Query {
        id: at(0),
        flags,
        question: &message[HEADER..end + 4],
        name,
        rtype: RType(rtype),
        class,
        edns,
    })
}

/// How many bytes the name of a question has. It cannot point anywhere: nothing is before
/// it.
#[inline]
fn name_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += length + 1;
        if length > LONGEST_LABEL || at > LONGEST {
            return None;
        }
        if length == 0 {
            return Some(at);
        }
    }
}

/// Passes over the records behind the question; none where they break off, or where bytes
/// are left behind them.
fn additional(message: &[u8], from: usize, counts: [u16; 3]) -> Option<Option<Edns>> {
    let [answers, authority, additional] = counts.map(u32::from);
    let mut at = from;
    let mut edns = None;
    for i in 0..answers + authority + additional {
        let start = at;
        at = skip_name(message, at)?;
        let rtype = word(message, at)?;
        let length = word(message, at + 8)?;
        if rtype == RType::OPT.0 {
            // One at most, of the root, and among the additional records (RFC 6891, 6.1.1).
            if edns.is_some() || at != start + 1 || i < answers + authority {
                return None;
            }
            edns = Some(Edns {
                size: word(message, at + 2)?,
                version: *message.get(at + 5)?,
                wants_dnssec: *message.get(at + 6)? & 0x80 != 0,
            });
        }
        at += 10 + usize::from(length);
        if at > message.len() {
            return None;
        }
    }
    (at == message.len()).then_some(edns)
}

/// The first byte behind a name, which may end in a pointer.
pub(crate) fn skip_name(message: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            192.. => return (at + 1 < message.len()).then_some(at + 2),
            _ => return None,
        }
        if at - from > LONGEST {
            return None;
        }
    }
}

/// A name that may point back into the message (RFC 1035, 4.1.4), in wire form, and the
/// first byte behind it.
pub(crate) fn read_name(message: &[u8], from: usize) -> Option<(Vec<u8>, usize)> {
    let mut name = Vec::with_capacity(64);
    let mut end = None;
    let mut at = from;
    // Each pointer must lead further back than where its part began, so this ends.
    let mut start = from;
    loop {
        let length = *message.get(at)?;
        match length {
            0 => {
                name.push(0);
                return Some((name, end.unwrap_or(at + 1)));
            }
            1..=63 => {
                let next = at + 1 + usize::from(length);
                name.extend_from_slice(message.get(at..next)?);
                at = next;
            }
            192.. => {
                let to = usize::from(word(message, at)? & 0x3fff);
                end.get_or_insert(at + 2);
                if to >= start {
                    return None;
                }
                (at, start) = (to, to);
            }
            _ => return None,
        }
        if name.len() >= LONGEST {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question for `a.b`, type A.
    fn question() -> Vec<u8> {
        let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(b"\x01A\x01b\x00\x00\x01\x00\x01");
        message
    }

    fn wrong(message: &[u8]) -> Option<Wrong> {
        parse(message).err()
    }

    const FORM: Option<Wrong> = Some(Wrong::Told(Rcode::FORM_ERROR));

    #[test]
    fn a_question_is_read() {
        let message = question();
        let query = parse(&message).ok().unwrap();
        assert_eq!(query.name.wire(), b"\x01a\x01b\x00");
        assert_eq!((query.id, query.rtype, query.class), (7, RType::A, 1));
        assert_eq!(query.question, &message[12..]);
        assert_eq!(query.edns, None);
    }

    #[test]
    fn edns_is_read_among_other_records() {
        let mut message = question();
        message[11] = 2;
        message.extend_from_slice(b"\x00\x00\x29\x10\x00\x00\x01\x80\x00\x00\x00");
        message.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x01x");
        let edns = parse(&message).ok().unwrap().edns;
        let wanted = Edns {
            size: 4096,
            version: 1,
            wants_dnssec: true,
        };
        assert_eq!(edns, Some(wanted));
    }

    #[test]
    fn each_malformed_kind_has_its_answer() {
        let with = |at: usize, byte: u8| {
            let mut message = question();
            message[at] = byte;
            message
        };
        let silent = Some(Wrong::Silent);
        assert_eq!(wrong(&[]), silent);
        assert_eq!(wrong(&question()[..11]), silent);
        assert_eq!(wrong(&with(2, 0x80)), silent);
        let not = Some(Wrong::Told(Rcode::NOT_IMPLEMENTED));
        // Notify and update.
        assert_eq!(wrong(&with(2, 0x20)), not);
        assert_eq!(wrong(&with(2, 0x28)), not);
        // No question and two.
        assert_eq!(wrong(&with(5, 0)), FORM);
        assert_eq!(wrong(&with(5, 2)), FORM);
        // A label that is too long, a pointer, a name without end.
        assert_eq!(wrong(&with(12, 64)), FORM);
        assert_eq!(wrong(&with(12, 0xc0)), FORM);
        assert_eq!(wrong(&with(12, 63)), FORM);
        for length in 12..question().len() {
            assert_eq!(wrong(&question()[..length]), FORM, "{length}");
        }
        // Records that are announced and not there, and bytes that nobody announced.
        assert_eq!(wrong(&with(7, 1)), FORM);
        assert_eq!(wrong(&[&question()[..], b"x"].concat()), FORM);
        // Two OPT records, one among the answers, one that is not of the root.
        let opt = b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00";
        let two = [&with(11, 2)[..], opt, opt].concat();
        assert_eq!(wrong(&two), FORM);
        assert_eq!(wrong(&[&with(7, 1)[..], opt].concat()), FORM);
        let named = [&with(11, 1)[..], b"\x01x", opt].concat();
        assert_eq!(wrong(&named), FORM);
    }

    #[test]
    fn a_name_of_255_bytes_is_the_longest() {
        let name = |last: usize| {
            let mut message = question()[..12].to_vec();
            for length in [63, 63, 63, last] {
                message.push(u8::try_from(length).unwrap());
                message.extend(vec![b'x'; length]);
            }
            message.extend_from_slice(&[0, 0, 1, 0, 1]);
            message
        };
        assert_eq!(wrong(&name(61)), None);
        assert_eq!(wrong(&name(62)), FORM);
    }

    #[test]
    fn pointers_lead_back_or_nowhere() {
        let message = b"\x01a\x00\x01b\xc0\x00\xc0\x03\xc0\x09";
        assert_eq!(read_name(message, 7), Some((b"\x01b\x01a\x00".to_vec(), 9)));
        assert_eq!(read_name(message, 9), None);
        assert_eq!(read_name(b"\xc0\x00", 0), None);
        assert_eq!(read_name(b"\x01a\xc0", 0), None);
    }
}
