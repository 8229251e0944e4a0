//! The answer to one message, from the zones as they are.

use crate::RType;
use crate::access::Access;
use crate::expand::TTL;
use crate::message::{self, Edns, HEADER, Query, Rcode, Wrong, flag};
use crate::table::{Entry, IN, RECORD_HEAD, Set};
use crate::zones::{Zone, Zones};
use std::net::IpAddr;

/// The longest answer over UDP: what arrives whole on every link (DNS flag day 2020).
pub(crate) const UDP_MOST: usize = 1232;
/// The longest answer over UDP for who does not say otherwise (RFC 1035, 4.2.1).
const UDP_LEAST: usize = 512;
const TCP_MOST: usize = 65_535;
/// Bytes of an OPT record without options.
const OPT: usize = 11;

/// What answers are made from.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) zones: Zones,
    pub(crate) access: Access,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Udp,
    Tcp,
}

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing.
    Drop,
    /// The answer was appended.
    Answered,
    /// Somebody else knows: nothing was appended.
    Forward,
    /// A whole zone is to be sent, its number is this: nothing was appended.
    Transfer(u16),
}

/// Appends the answer to `message` to `out`. `turn` differs from question to question, so
/// that another of several addresses comes first.
pub(crate) fn respond(
    view: &View,
    message: &[u8],
    (from, over): (IpAddr, Over),
    turn: u32,
    out: &mut Vec<u8>,
) -> Outcome {
    let query = match message::parse(message) {
        Ok(query) => query,
        Err(Wrong::Silent) => return Outcome::Drop,
        Err(Wrong::Told(code)) => {
            bare(message, code, out);
            return Outcome::Answered;
        }
    };
    let answer = Answer::new(view, &query, from, over, turn, out);
    if query.edns.is_some_and(|edns| edns.version != 0) {
        return answer.finish(Rcode::BAD_VERSION);
    }
    if query.class != IN {
        return answer.finish(Rcode::REFUSED);
    }
    match query.rtype {
        RType::OPT => return answer.finish(Rcode::FORM_ERROR),
        RType::AXFR | RType::IXFR => return answer.transfer(),
        _ => {}
    }
    let zones = &view.zones;
    let name = query.name.wire();
    let found = zones.get(name);
    let zone = match found {
        Some(entry) => zones.zone(entry.zone()),
        None => zones.around(name),
    };
    match zone {
        Some(zone) if zone.is_ours || answer.may_recurse => match found {
            Some(entry) => answer.entry(entry, zone),
            None => answer.nothing(Rcode::NO_SUCH_NAME, zone),
        },
        // A resolver of this node that asks it for names of others has it as a resolver: the
        // question would go to and fro between the two until each gives up.
        None if answer.may_recurse && !view.access.is_upstream(from) => answer.give_back(),
        _ => answer.finish(Rcode::REFUSED),
    }
}

/// Appends an answer that has only a header: the question could not be read.
fn bare(message: &[u8], code: Rcode, out: &mut Vec<u8>) {
    let [id0, id1, flags0, ..] = *message else {
        return;
    };
    // The kind of request and 'recursion desired' are as they came.
    out.extend_from_slice(&[id0, id1, 0x80 | (flags0 & 0x79), code.0 & 15]);
    out.extend_from_slice(&[0; 8]);
}

/// Appends an answer that says only what went wrong, to a message that can be read.
pub(crate) fn failure(message: &[u8], code: Rcode, out: &mut Vec<u8>) {
    let Ok(query) = message::parse(message) else {
        return bare(message, code, out);
    };
    let flags = query.flags & flag::RECURSION_DESIRED;
    let mut writer = Writer::new(&query, out, TCP_MOST);
    writer.flags(flag::RESPONSE | flag::RECURSION_AVAILABLE | flags);
    writer.finish(code);
}

/// The longest answer to a question over UDP.
pub(crate) fn udp_limit(edns: Option<Edns>) -> usize {
    let size = edns.map(|edns| usize::from(edns.size));
    size.map_or(UDP_LEAST, |size| size.clamp(UDP_LEAST, UDP_MOST))
}

/// A message on its way: header and question stand, records are appended.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Where the message begins.
    start: usize,
    /// Where it must end, without the OPT record.
    end: usize,
    edns: Option<Edns>,
}

impl<'a> Writer<'a> {
    fn new(query: &Query<'_>, out: &'a mut Vec<u8>, limit: usize) -> Self {
        let start = out.len();
        out.extend_from_slice(&query.id.to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(query.question);
        let opt = if query.edns.is_some() { OPT } else { 0 };
        Self {
            out,
            start,
            end: start + limit - opt,
            edns: query.edns,
        }
    }

    fn flags(&mut self, flags: u16) {
        let [a, b] = flags.to_be_bytes();
        let header = &mut self.out[self.start + 2..];
        header[0] |= a;
        header[1] |= b;
    }

    /// Counts records in a section: 0 are answers, 1 authority, 2 additional.
    fn count(&mut self, section: usize, count: u16) {
        let at = self.start + 6 + 2 * section;
        let old = u16::from_be_bytes([self.out[at], self.out[at + 1]]);
        let new = old.saturating_add(count).to_be_bytes();
        self.out[at..at + 2].copy_from_slice(&new);
    }

    fn fits(&self, more: usize) -> bool {
        self.out.len() + more <= self.end
    }

    fn finish(mut self, code: Rcode) {
        self.out[self.start + 3] |= code.0 & 15;
        if let Some(edns) = self.edns {
            let dnssec = if edns.wants_dnssec { 0x80 } else { 0 };
            let [size0, size1] = (UDP_MOST as u16).to_be_bytes();
            let upper = code.0 >> 4;
            let opt = [0, 0, 41, size0, size1, upper, 0, dnssec, 0, 0, 0];
            self.out.extend_from_slice(&opt);
            self.count(2, 1);
        }
    }
}

/// What is known while a question is answered.
struct Answer<'a> {
    view: &'a View,
    query: &'a Query<'a>,
    from: IpAddr,
    over: Over,
    turn: u32,
    may_recurse: bool,
    writer: Writer<'a>,
}

impl<'a> Answer<'a> {
    fn new(
        view: &'a View,
        query: &'a Query<'a>,
        from: IpAddr,
        over: Over,
        turn: u32,
        out: &'a mut Vec<u8>,
    ) -> Self {
        let limit = match over {
            Over::Udp => udp_limit(query.edns),
            Over::Tcp => TCP_MOST,
        };
        let may_recurse = view.access.may_recurse(from);
        let mut writer = Writer::new(query, out, limit);
        let available = u16::from(may_recurse) * flag::RECURSION_AVAILABLE;
        let desired = query.flags & flag::RECURSION_DESIRED;
        writer.flags(flag::RESPONSE | desired | available);
        Self {
            view,
            query,
            from,
            over,
            turn,
            may_recurse,
            writer,
        }
    }

    fn finish(self, code: Rcode) -> Outcome {
        self.writer.finish(code);
        Outcome::Answered
    }

    /// Leaves the answer to somebody else.
    fn give_back(self) -> Outcome {
        self.writer.out.truncate(self.writer.start);
        Outcome::Forward
    }

    /// A whole zone: over TCP, to who may have it. Over UDP the question for changes gets
    /// the SOA record, from which is seen whether there are any (RFC 1995, 2).
    fn transfer(mut self) -> Outcome {
        if !self.view.access.may_transfer(self.from) {
            return self.finish(Rcode::REFUSED);
        }
        let Some((zone, number)) = self.view.zones.find(self.query.name.wire()) else {
            return self.finish(Rcode::REFUSED);
        };
        match self.over {
            Over::Tcp => {
                self.writer.out.truncate(self.writer.start);
                Outcome::Transfer(number)
            }
            Over::Udp if self.query.rtype == RType::IXFR => {
                self.writer.flags(flag::AUTHORITATIVE);
                self.soa(0, zone);
                self.finish(Rcode::NO_ERROR)
            }
            Over::Udp => self.finish(Rcode::NOT_IMPLEMENTED),
        }
    }

    /// The answer about a name that exists.
    #[inline]
    fn entry(mut self, entry: &Entry, zone: &Zone) -> Outcome {
        let rtype = self.query.rtype;
        if rtype == RType::ANY {
            return self.any(entry, zone);
        }
        if let Some(set) = entry.set(rtype) {
            self.writer.flags(flag::AUTHORITATIVE);
            if self.set(&set) && rtype == RType::SRV {
                self.targets(&set);
            }
            return self.finish(Rcode::NO_ERROR);
        }
        if rtype == RType::SOA && entry.name() == zone.origin.wire() {
            self.writer.flags(flag::AUTHORITATIVE);
            self.soa(0, zone);
            return self.finish(Rcode::NO_ERROR);
        }
        self.nothing(Rcode::NO_ERROR, zone)
    }

    /// Any type: all of them over TCP, one over UDP, so that a short question with a false
    /// sender does not have a long answer (RFC 8482, 4.1).
    fn any(mut self, entry: &Entry, zone: &Zone) -> Outcome {
        self.writer.flags(flag::AUTHORITATIVE);
        let is_origin = entry.name() == zone.origin.wire();
        let mut sets = entry.sets().peekable();
        if !is_origin && sets.peek().is_none() {
            return self.nothing(Rcode::NO_ERROR, zone);
        }
        if is_origin {
            self.soa(0, zone);
        }
        let most = match self.over {
            Over::Tcp => usize::MAX,
            Over::Udp => usize::from(!is_origin),
        };
        for set in sets.take(most) {
            self.set(&set);
        }
        self.finish(Rcode::NO_ERROR)
    }

    /// There is no such name, or nothing of that type: the zone's SOA record says for how
    /// long (RFC 2308).
    fn nothing(mut self, code: Rcode, zone: &Zone) -> Outcome {
        self.writer.flags(flag::AUTHORITATIVE);
        self.soa(1, zone);
        self.finish(code)
    }

    fn soa(&mut self, section: usize, zone: &Zone) {
        let (start, serial, end) = zone.soa(self.view.zones.serial());
        let ttl = match (section, end.last_chunk()) {
            // How long nothing may be kept is told by the time of this record (RFC 2308, 3).
            (1, Some(minimum)) => TTL.min(u32::from_be_bytes(*minimum)),
            _ => TTL,
        };
        let length = start.len() + serial.len() + end.len();
        if !self.writer.fits(RECORD_HEAD + length) {
            return;
        }
        // The origin is the end of the question's name.
        let name = self.query.name.wire();
        let at = HEADER + name.len().saturating_sub(zone.origin.wire().len());
        let out = &mut *self.writer.out;
        // Below 12 + 255, so the pointer's upper bits are free.
        out.extend_from_slice(&(0xc000 | at as u16).to_be_bytes());
        out.extend_from_slice(&RType::SOA.0.to_be_bytes());
        out.extend_from_slice(&IN.to_be_bytes());
        out.extend_from_slice(&ttl.to_be_bytes());
        out.extend_from_slice(&(length as u16).to_be_bytes());
        for part in [start, &serial, end] {
            out.extend_from_slice(part);
        }
        self.writer.count(section, 1);
    }

    /// Appends the answers of a set. Where they do not fit, none is and the message says so
    /// over UDP; over TCP as many as do. Returns whether all are.
    #[inline]
    fn set(&mut self, set: &Set<'_>) -> bool {
        if !self.writer.fits(set.wire.len()) {
            return self.part(set);
        }
        let rotated = match set.rtype {
            RType::A => Some(RECORD_HEAD + 4),
            RType::AAAA => Some(RECORD_HEAD + 16),
            _ => None,
        };
        let out = &mut *self.writer.out;
        match rotated.filter(|_| set.count > 1) {
            Some(size) => {
                let first = (self.turn % set.count) as usize * size;
                let (end, start) = set.wire.split_at(first.min(set.wire.len()));
                out.extend_from_slice(start);
                out.extend_from_slice(end);
            }
            None => out.extend_from_slice(set.wire),
        }
        // It fits a message, so it has less than 65,536 records.
        self.writer.count(0, set.count as u16);
        true
    }

    fn part(&mut self, set: &Set<'_>) -> bool {
        self.writer.flags(flag::TRUNCATED);
        if self.over == Over::Tcp {
            for record in set.records() {
                if !self.writer.fits(record.len()) {
                    break;
                }
                self.writer.out.extend_from_slice(record);
                self.writer.count(0, 1);
            }
        }
        false
    }

    /// Appends the addresses of the targets of SRV records, as far as they fit. `set` was
    /// appended last, as it is.
    fn targets(&mut self, set: &Set<'_>) {
        let mut at = self.writer.out.len() - set.wire.len();
        for record in set.records() {
            // Behind priority, weight and port.
            let target = record.get(RECORD_HEAD + 6..).unwrap_or(&[]);
            let place = at - self.writer.start + RECORD_HEAD + 6;
            at += record.len();
            // A pointer reaches that far (RFC 1035, 4.1.4).
            if place > 0x3fff {
                return;
            }
            let pointer = (0xc000 | place as u16).to_be_bytes();
            let Some(entry) = self.view.zones.get(target) else {
                continue;
            };
            for address in entry.sets() {
                let is_address = matches!(address.rtype, RType::A | RType::AAAA);
                if !is_address || !self.writer.fits(address.wire.len()) {
                    continue;
                }
                for record in address.records() {
                    let out = &mut *self.writer.out;
                    out.extend_from_slice(&pointer);
                    out.extend_from_slice(&record[2..]);
                }
                self.writer.count(2, address.count as u16);
            }
        }
    }
}

#[cfg(test)]
mod tests;
