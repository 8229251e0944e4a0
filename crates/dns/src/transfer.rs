//! A whole zone, for a secondary (RFC 5936).

use crate::answer::View;
use crate::message::{self, HEADER};
use crate::table::{IN, RECORD_HEAD};
use crate::{RType, expand::TTL, message::flag};

/// A message of a transfer is ended when it has so many bytes.
const LONGEST: usize = 32 * 1024;

/// A zone as it was at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The records between the two SOA records: the length of the owner's labels before the
    /// origin (1 byte), those labels, and the record behind its owner's pointer.
    records: Vec<u8>,
    /// The SOA record behind its owner.
    soa: Vec<u8>,
}

impl Snapshot {
    /// Copies a zone. It is called with the zones locked, so it does nothing else.
    pub(crate) fn of(view: &View, number: u16) -> Option<Self> {
        let zone = view.zones.zone(number)?;
        let (start, serial, end) = zone.soa(view.zones.serial());
        let data = [start, &serial, end].concat();
        let mut soa = Vec::with_capacity(RECORD_HEAD + data.len());
        soa.extend_from_slice(&RType::SOA.0.to_be_bytes());
        soa.extend_from_slice(&IN.to_be_bytes());
        soa.extend_from_slice(&TTL.to_be_bytes());
        soa.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
        soa.extend_from_slice(&data);
        let mut records = Vec::with_capacity(64 * view.zones.len());
        for entry in view.zones.entries().filter(|entry| entry.zone() == number) {
            let labels = entry.name().len() - zone.origin.wire().len();
            let labels = &entry.name()[..labels];
            for record in entry.sets().flat_map(|set| set.records()) {
                // A name has 255 bytes at most.
                records.push(labels.len() as u8);
                records.extend_from_slice(labels);
                records.extend_from_slice(&record[2..]);
            }
        }
        Some(Self { records, soa })
    }

    /// The messages, each with its length before it, as they are asked for.
    pub(crate) fn messages(self, question: &[u8]) -> Option<Messages> {
        let query = message::parse(question).ok()?;
        let mut head = Vec::with_capacity(HEADER + query.question.len());
        let flags = query.flags & flag::RECURSION_DESIRED;
        let flags = flags | flag::RESPONSE | flag::AUTHORITATIVE;
        head.extend_from_slice(&query.id.to_be_bytes());
        head.extend_from_slice(&flags.to_be_bytes());
        head.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        head.extend_from_slice(query.question);
        Some(Messages {
            snapshot: self,
            head,
            at: 0,
            state: Place::Start,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Middle,
    End,
}

/// The messages of a transfer.
#[derive(Debug)]
pub(crate) struct Messages {
    snapshot: Snapshot,
    head: Vec<u8>,
    at: usize,
    state: Place,
}

impl Iterator for Messages {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.state == Place::End {
            return None;
        }
        let mut message = Vec::with_capacity(LONGEST + 1024);
        message.extend_from_slice(&[0; 2]);
        message.extend_from_slice(&self.head);
        let mut count = 0u16;
        // The question's name is the origin.
        let origin = [0xc0, 12];
        if self.state == Place::Start {
            self.state = Place::Middle;
            message.extend_from_slice(&origin);
            message.extend_from_slice(&self.snapshot.soa);
            count += 1;
        }
        while message.len() < LONGEST {
            let Some((labels, record, next)) = self.record() else {
                message.extend_from_slice(&origin);
                message.extend_from_slice(&self.snapshot.soa);
                count += 1;
                self.state = Place::End;
                break;
            };
            message.extend_from_slice(labels);
            message.extend_from_slice(&origin);
            message.extend_from_slice(record);
            count += 1;
            self.at = next;
        }
        let length = (message.len() - 2) as u16;
        message[..2].copy_from_slice(&length.to_be_bytes());
        message[2 + 6..2 + 8].copy_from_slice(&count.to_be_bytes());
        Some(message)
    }
}

impl Messages {
    /// The next record: labels, the rest, and where the one after it begins.
    fn record(&self) -> Option<(&[u8], &[u8], usize)> {
        let rest = self.snapshot.records.get(self.at..)?;
        let (&length, rest) = rest.split_first()?;
        let (labels, rest) = rest.split_at_checked(usize::from(length))?;
        // Type, class, TTL, length.
        let head = rest.first_chunk::<10>()?;
        let size = 10 + usize::from(u16::from_be_bytes([head[8], head[9]]));
        let next = self.at + 1 + usize::from(length) + size;
        Some((labels, rest.get(..size)?, next))
    }
}
