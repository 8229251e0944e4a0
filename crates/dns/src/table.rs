//! All names of all zones in one hash table, each with its records as they go out.
//!
//! A name and what belongs to it is one piece of memory, so an answer touches two places:
//! the table and that piece. Its form: length of the name, the name, the number of its zone
//! (2 bytes), the number of names right below it (4 bytes); then for each type the type (2),
//! the number of records (4), the length of all of them (4), and the records. A record
//! begins with a pointer to byte 12 of a message, where the question's name stands.

use crate::RType;
use crate::expand::Made;
use crate::name::parent;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::collections::HashMap;
use std::hash::BuildHasher;

/// Bytes of a record before its data.
pub(crate) const RECORD_HEAD: usize = 12;
const SET_HEAD: usize = 10;
/// Bytes between an entry's name and its first set.
const ENTRY_HEAD: usize = 6;
/// Class IN.
pub(crate) const IN: u16 = 1;

/// The names.
#[derive(Debug, Default)]
pub(crate) struct Table {
    names: HashTable<Entry>,
    hasher: RandomState,
    /// How often a record is there beside the first time, by name, type and data.
    more: HashMap<Box<[u8]>, u32>,
}

/// A name that exists: it has records, or names below it.
#[derive(Debug)]
pub(crate) struct Entry(Box<[u8]>);

/// The records of one type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set<'a> {
    pub(crate) rtype: RType,
    pub(crate) count: u32,
    pub(crate) wire: &'a [u8],
}

/// The sets of an entry, as bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sets<'a>(&'a [u8]);

impl<'a> Iterator for Sets<'a> {
    type Item = Set<'a>;
    fn next(&mut self) -> Option<Set<'a>> {
        let (head, rest) = self.0.split_first_chunk::<SET_HEAD>()?;
        let [t0, t1, c0, c1, c2, c3, l0, l1, l2, l3] = *head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let (wire, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(Set {
            rtype: RType(u16::from_be_bytes([t0, t1])),
            count: u32::from_be_bytes([c0, c1, c2, c3]),
            wire,
        })
    }
}

impl<'a> Set<'a> {
    /// The records, each whole.
    pub(crate) fn records(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.wire;
        std::iter::from_fn(move || {
            let head = rest.first_chunk::<RECORD_HEAD>()?;
            let length = u16::from_be_bytes([head[10], head[11]]);
            let (record, after) = rest.split_at_checked(RECORD_HEAD + usize::from(length))?;
            rest = after;
            Some(record)
        })
    }

    fn append(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.rtype.0.to_be_bytes());
        to.extend_from_slice(&self.count.to_be_bytes());
        // Less than 4 GiB: a name's records come from addresses of one cluster.
        let length = u32::try_from(self.wire.len()).unwrap_or(0);
        to.extend_from_slice(&length.to_be_bytes());
        to.extend_from_slice(self.wire);
    }
}

impl Entry {
    fn new(name: &[u8], zone: u16, below: u32) -> Self {
        let mut bytes = Vec::with_capacity(1 + name.len() + ENTRY_HEAD);
        // A name has 255 bytes at most.
        bytes.push(u8::try_from(name.len()).unwrap_or(0));
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&zone.to_be_bytes());
        bytes.extend_from_slice(&below.to_be_bytes());
        Self(bytes.into())
    }

    fn head(&self) -> usize {
        1 + self.0.first().copied().map_or(0, usize::from)
    }

    /// The name.
    #[inline]
    pub(crate) fn name(&self) -> &[u8] {
        &self.0[1..self.head()]
    }

    /// The number of its zone.
    #[inline]
    pub(crate) fn zone(&self) -> u16 {
        let at = self.head();
        u16::from_be_bytes([self.0[at], self.0[at + 1]])
    }

    fn below(&self) -> u32 {
        let bytes = self.0[self.head() + 2..].first_chunk();
        bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }

    fn set_below(&mut self, below: u32) {
        let at = self.head() + 2;
        self.0[at..at + 4].copy_from_slice(&below.to_be_bytes());
    }

    /// Its records by type.
    #[inline]
    pub(crate) fn sets(&self) -> Sets<'_> {
        Sets(&self.0[self.head() + ENTRY_HEAD..])
    }

    /// Its records of one type.
    #[inline]
    pub(crate) fn set(&self, rtype: RType) -> Option<Set<'_>> {
        self.sets().find(|set| set.rtype == rtype)
    }

    fn is_idle(&self) -> bool {
        self.below() == 0 && self.sets().next().is_none()
    }

    /// Another set in place of the one of its type, which goes where that is empty.
    fn replace(&mut self, with: Set<'_>) {
        let mut bytes = Vec::with_capacity(self.0.len() + with.wire.len() + SET_HEAD);
        bytes.extend_from_slice(&self.0[..self.head() + ENTRY_HEAD]);
        let mut is_done = with.count == 0;
        for set in self.sets() {
            if set.rtype != with.rtype {
                set.append(&mut bytes);
            } else if !is_done {
                with.append(&mut bytes);
                is_done = true;
            }
        }
        if !is_done {
            with.append(&mut bytes);
        }
        self.0 = bytes.into();
    }
}

impl Table {
    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// All names, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.names.iter()
    }

    /// What belongs to a name in lower case.
    #[inline]
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Entry> {
        let hash = self.hasher.hash_one(name);
        self.names.find(hash, |entry| entry.name() == name)
    }

    fn get_mut(&mut self, name: &[u8]) -> Option<&mut Entry> {
        let hash = self.hasher.hash_one(name);
        self.names.find_mut(hash, |entry| entry.name() == name)
    }

    /// Makes a name that stays, the origin of a zone. One inside another zone makes the
    /// names between the two exist, so that nobody concludes from 'there is no such name'
    /// that there is nothing below it (RFC 8020).
    pub(crate) fn plant(&mut self, origin: &[u8], zone: u16, around: Option<u16>) {
        self.put(Entry::new(origin, zone, 1));
        if let Some(around) = around {
            self.hang(origin, around);
        }
    }

    fn put(&mut self, entry: Entry) {
        let Self { names, hasher, .. } = self;
        let hash = hasher.hash_one(entry.name());
        names.insert_unique(hash, entry, |entry| hasher.hash_one(entry.name()));
    }

    /// Counts a new name with the one above it, which is made where it is not there.
    fn hang(&mut self, name: &[u8], zone: u16) {
        let mut name = name;
        while let Some(above) = parent(name) {
            if let Some(entry) = self.get_mut(above) {
                let below = entry.below() + 1;
                entry.set_below(below);
                return;
            }
            self.put(Entry::new(above, zone, 1));
            name = above;
        }
    }

    /// Takes a name away that has nothing any more, and those above that were there only
    /// for it.
    fn drop_idle(&mut self, name: &[u8]) {
        let mut name = Some(name);
        while let Some(this) = name {
            let hash = self.hasher.hash_one(this);
            let found = self.names.find_entry(hash, |entry| entry.name() == this);
            let Ok(found) = found else { return };
            if !found.get().is_idle() {
                return;
            }
            found.remove();
            name = parent(this);
            if let Some(entry) = name.and_then(|above| self.get_mut(above)) {
                let below = entry.below().saturating_sub(1);
                entry.set_below(below);
            }
        }
    }

    /// Adds a record, or counts it once more. `zone` is the one that the name lies in.
    pub(crate) fn add(&mut self, made: &Made<'_>, zone: u16) {
        let name = made.name.wire();
        let record = record(made);
        if self.get(name).is_none() {
            self.put(Entry::new(name, zone, 0));
            self.hang(name, zone);
        }
        let Some(entry) = self.get_mut(name) else {
            return;
        };
        let mut wire = Vec::new();
        let mut count = 0;
        if let Some(set) = entry.set(made.rtype) {
            if set.records().any(|old| old == record) {
                *self.more.entry(key(made)).or_default() += 1;
                return;
            }
            wire.reserve_exact(set.wire.len() + record.len());
            wire.extend_from_slice(set.wire);
            count = set.count;
        }
        wire.extend_from_slice(&record);
        entry.replace(Set {
            rtype: made.rtype,
            count: count + 1,
            wire: &wire,
        });
    }

    /// Takes a record away, or counts it once less.
    pub(crate) fn remove(&mut self, made: &Made<'_>) {
        if let Some(more) = self.more.get_mut(&*key(made)) {
            *more -= 1;
            if *more == 0 {
                self.more.remove(&*key(made));
            }
            return;
        }
        let name = made.name.wire();
        let record = record(made);
        let Some(entry) = self.get_mut(name) else {
            return;
        };
        let Some(set) = entry.set(made.rtype) else {
            return;
        };
        let others: Vec<&[u8]> = set.records().filter(|old| *old != record).collect();
        let wire = others.concat();
        // As many as there are fit the counter that they came from.
        let count = u32::try_from(others.len()).unwrap_or(u32::MAX);
        entry.replace(Set {
            rtype: made.rtype,
            count,
            wire: &wire,
        });
        self.drop_idle(name);
    }
}

/// What makes a record that one and no other.
fn key(made: &Made<'_>) -> Box<[u8]> {
    [made.name.wire(), &made.rtype.0.to_be_bytes(), made.data]
        .concat()
        .into()
}

/// A record as it goes out, with its owner at byte 12 of the message.
pub(crate) fn record(made: &Made<'_>) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD_HEAD + made.data.len());
    record.extend_from_slice(&[0xc0, 12]);
    record.extend_from_slice(&made.rtype.0.to_be_bytes());
    record.extend_from_slice(&IN.to_be_bytes());
    record.extend_from_slice(&made.ttl.to_be_bytes());
    // Addresses, names, or a name and three numbers: far below 64 KiB.
    let length = u16::try_from(made.data.len()).unwrap_or(0);
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(made.data);
    record
}
