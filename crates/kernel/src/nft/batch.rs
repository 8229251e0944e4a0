//! A transaction: messages that take effect together or not at all.

use super::object::{Chain, Create, DataType, Element, Set, Table, type_length, type_number};
use super::rule::{self, Expression};
use super::wire::{nest, put, put_text, put_u32, put_u64};
use std::ops::Range;

pub(crate) const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// An attribute holds 64 KiB; elements are split into messages below that.
const ELEMENTS_BYTES: usize = 48 * 1024;

/// How long the message is that begins or ends a batch.
const LIMIT_BYTES: usize = 20;

const REQUEST: u16 = 0x01;
const ACKNOWLEDGE: u16 = 0x04;
const NONRECURSIVE: u16 = 0x100;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

/// Message types of the nftables subsystem (`NFT_MSG_*`).
pub(crate) mod message {
    pub(crate) const NEW_TABLE: u16 = 0;
    pub(crate) const GET_TABLE: u16 = 1;
    pub(crate) const DEL_TABLE: u16 = 2;
    pub(crate) const NEW_CHAIN: u16 = 3;
    pub(crate) const GET_CHAIN: u16 = 4;
    pub(crate) const DEL_CHAIN: u16 = 5;
    pub(crate) const NEW_RULE: u16 = 6;
    pub(crate) const GET_RULE: u16 = 7;
    pub(crate) const DEL_RULE: u16 = 8;
    pub(crate) const NEW_SET: u16 = 9;
    pub(crate) const GET_SET: u16 = 10;
    pub(crate) const DEL_SET: u16 = 11;
    pub(crate) const NEW_ELEMENT: u16 = 12;
    pub(crate) const GET_ELEMENT: u16 = 13;
    pub(crate) const DEL_ELEMENT: u16 = 14;
    pub(crate) const GET_GENERATION: u16 = 16;
}

/// One message of a batch: where it is and what it is about, for errors.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) at: usize,
    pub(crate) operation: &'static str,
    kind: &'static str,
    name: Range<usize>,
}

/// Messages for one transaction, in the order in which the kernel takes them.
#[derive(Debug, Clone)]
pub struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    next_set: u32,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// With no message.
    #[must_use]
    pub fn new() -> Self {
        let mut batch = Self {
            bytes: Vec::with_capacity(512),
            entries: Vec::new(),
            next_set: 0,
        };
        limit(&mut batch.bytes, BATCH_BEGIN);
        batch
    }

    /// How many messages it has. The number a message will have in
    /// [`super::Refusal::message`] is this before it is added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Makes a table, with a comment that `nft` shows where it is new enough.
    pub fn add_table(&mut self, table: Table<'_>, create: Create, comment: &str) {
        self.message(message::NEW_TABLE, flags(create), table, |b| {
            let name = put_text(b, 1, table.name);
            put_comment(b, 6, comment);
            ("create", "table", name)
        });
    }

    /// Takes a table away with all that is in it.
    pub fn delete_table(&mut self, table: Table<'_>) {
        self.message(message::DEL_TABLE, 0, table, |b| {
            ("delete", "table", put_text(b, 1, table.name))
        });
    }

    /// Makes a chain.
    pub fn add_chain(&mut self, table: Table<'_>, create: Create, chain: &Chain) {
        self.message(message::NEW_CHAIN, flags(create), table, |b| {
            put_text(b, 1, table.name);
            let name = put_text(b, 3, &chain.name);
            if let Some(base) = &chain.base {
                nest(b, 4, |b| {
                    put_u32(b, 1, base.hook.number());
                    put(b, 2, &base.priority.to_be_bytes());
                });
                put_u32(b, 5, 1); // NF_ACCEPT
                put_text(b, 7, base.kind.word());
            }
            ("create", "chain", name)
        });
    }

    /// Takes a chain away that nothing jumps to, with its rules.
    pub fn delete_chain(&mut self, table: Table<'_>, chain: &str) {
        self.message(message::DEL_CHAIN, 0, table, |b| {
            put_text(b, 1, table.name);
            ("delete", "chain", put_text(b, 3, chain))
        });
    }

    /// Adds a rule at the end of a chain.
    pub fn add_rule(
        &mut self,
        table: Table<'_>,
        chain: &str,
        expressions: &[Expression],
        comment: &str,
    ) {
        self.rule(table, chain, None, expressions, comment);
    }

    /// Adds a rule before the one with this handle.
    pub fn insert_rule(
        &mut self,
        table: Table<'_>,
        chain: &str,
        before: u64,
        expressions: &[Expression],
        comment: &str,
    ) {
        self.rule(table, chain, Some(before), expressions, comment);
    }

    /// Adds a rule before the one with a handle, or at the end.
    fn rule(
        &mut self,
        table: Table<'_>,
        chain: &str,
        before: Option<u64>,
        expressions: &[Expression],
        comment: &str,
    ) {
        let place = before.map_or(APPEND, |_| 0);
        self.message(message::NEW_RULE, CREATE | place, table, |b| {
            put_text(b, 1, table.name);
            let name = put_text(b, 2, chain);
            nest(b, 4, |b| rule::write(b, expressions));
            if let Some(handle) = before {
                put_u64(b, 6, handle);
            }
            put_comment(b, 7, comment);
            ("add rule to", "chain", name)
        });
    }

    /// Takes the rule with this handle away.
    pub fn delete_rule(&mut self, table: Table<'_>, chain: &str, handle: u64) {
        self.message(message::DEL_RULE, 0, table, |b| {
            put_text(b, 1, table.name);
            let name = put_text(b, 2, chain);
            put_u64(b, 3, handle);
            ("delete rule of", "chain", name)
        });
    }

    /// Takes every rule of a chain away.
    pub fn flush_chain(&mut self, table: Table<'_>, chain: &str) {
        self.message(message::DEL_RULE, 0, table, |b| {
            put_text(b, 1, table.name);
            ("flush", "chain", put_text(b, 2, chain))
        });
    }

    /// Makes a set or a map.
    pub fn add_set(&mut self, table: Table<'_>, create: Create, set: &Set) {
        self.next_set += 1;
        let id = self.next_set;
        let mut bits = 0;
        bits |= if set.interval { 0x04 } else { 0 };
        bits |= if set.value.is_empty() { 0 } else { 0x08 };
        self.message(message::NEW_SET, flags(create), table, |b| {
            put_text(b, 1, table.name);
            let name = put_text(b, 2, &set.name);
            put_u32(b, 3, bits);
            put_u32(b, 4, type_number(&set.key));
            put_length(b, 5, type_length(&set.key));
            if !set.value.is_empty() {
                put_u32(b, 6, type_number(&set.value));
                put_length(b, 7, type_length(&set.value));
            }
            put_u32(b, 10, id);
            put(b, 13, &byte_order_note(&set.key));
            ("create", "set", name)
        });
    }

    /// Takes a set away that no rule uses. With `only_if_empty` a set that has
    /// elements makes the transaction fail with `EBUSY`.
    pub fn delete_set(&mut self, table: Table<'_>, set: &str, only_if_empty: bool) {
        let bits = if only_if_empty { NONRECURSIVE } else { 0 };
        self.message(message::DEL_SET, bits, table, |b| {
            put_text(b, 1, table.name);
            ("delete", "set", put_text(b, 2, set))
        });
    }

    /// Adds elements, in as few messages as they fit. One that exists with the same
    /// value stays; with another value, the transaction fails with `EEXIST`.
    pub fn add_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) {
        self.elements(message::NEW_ELEMENT, CREATE, table, set, elements);
    }

    /// Takes elements away by their keys. One that does not exist makes the
    /// transaction fail with `ENOENT`; see [`Batch::remove_elements`].
    pub fn delete_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) {
        self.elements(message::DEL_ELEMENT, 0, table, set, elements);
    }

    /// Takes elements away that have these keys and values; an absent one is fine.
    ///
    /// Each is added and then deleted: the adding does nothing where it exists with
    /// the same value, and fails with `EEXIST` where someone else holds the key. So
    /// nobody's element is taken but one's own, on every kernel, where a 'destroy'
    /// message looks at the key alone and needs Linux 6.3.
    pub fn remove_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) {
        self.add_elements(table, set, elements);
        self.delete_elements(table, set, elements);
    }

    /// Takes every element of a set away.
    pub fn flush_set(&mut self, table: Table<'_>, set: &str) {
        self.message(message::DEL_ELEMENT, 0, table, |b| {
            put_text(b, 1, table.name);
            ("flush", "set", put_text(b, 2, set))
        });
    }

    fn elements(
        &mut self,
        kind: u16,
        bits: u16,
        table: Table<'_>,
        set: &str,
        elements: &[Element],
    ) {
        let adding = kind == message::NEW_ELEMENT;
        let operation = if adding {
            "add element to"
        } else {
            "delete element of"
        };
        let mut rest = elements;
        while !rest.is_empty() {
            self.message(kind, bits, table, |b| {
                put_text(b, 1, table.name);
                let name = put_text(b, 2, set);
                let start = b.len();
                nest(b, 3, |b| {
                    while let Some((element, others)) = rest.split_first() {
                        if b.len() - start > ELEMENTS_BYTES {
                            break;
                        }
                        nest(b, 1, |b| element.write(b, adding));
                        rest = others;
                    }
                });
                (operation, "set", name)
            });
        }
    }

    fn message(
        &mut self,
        kind: u16,
        bits: u16,
        table: Table<'_>,
        fill: impl FnOnce(&mut Vec<u8>) -> (&'static str, &'static str, Range<usize>),
    ) {
        let at = self.bytes.len();
        let kind = SUBSYSTEM << 8 | kind;
        let family = table.family.number();
        header(&mut self.bytes, kind, REQUEST | bits, nfgenmsg(family, 0));
        let (operation, kind, name) = fill(&mut self.bytes);
        close(&mut self.bytes, at);
        self.entries.push(Entry {
            at,
            operation,
            kind,
            name,
        });
    }

    /// The whole transaction as one datagram. `next` gives sequence numbers; they
    /// are returned, that of the batch's begin first, then one for each message.
    ///
    /// Only the last message asks for an acknowledgement: errors are told in any
    /// case, and one answer for each of thousands would overflow the socket.
    pub(crate) fn datagram(&self, mut next: impl FnMut() -> u32) -> (Vec<u8>, Vec<u32>) {
        let mut bytes = Vec::with_capacity(self.bytes.len() + LIMIT_BYTES);
        bytes.extend_from_slice(&self.bytes);
        limit(&mut bytes, BATCH_END);
        let mut sequences = Vec::with_capacity(self.entries.len() + 1);
        for at in std::iter::once(0).chain(self.entries.iter().map(|e| e.at)) {
            let sequence = next();
            bytes[at + 8..at + 12].copy_from_slice(&sequence.to_ne_bytes());
            sequences.push(sequence);
        }
        if let Some(last) = self.entries.last() {
            bytes[last.at + 6] |= ACKNOWLEDGE.to_ne_bytes()[0];
            bytes[last.at + 7] |= ACKNOWLEDGE.to_ne_bytes()[1];
        }
        (bytes, sequences)
    }

    /// What message `index` is about, as (operation, object).
    pub(crate) fn subject(&self, index: usize) -> (&'static str, String) {
        let Some(entry) = self.entries.get(index) else {
            return ("commit", "nftables transaction".into());
        };
        let name = self.bytes.get(entry.name.clone()).unwrap_or_default();
        let object = format!("{} {}", entry.kind, String::from_utf8_lossy(name));
        (entry.operation, object)
    }
}

/// Appends the message that begins or ends a batch.
fn limit(bytes: &mut Vec<u8>, kind: u16) {
    let at = bytes.len();
    header(bytes, kind, REQUEST, nfgenmsg(0, SUBSYSTEM));
    close(bytes, at);
}

/// Appends netlink's header, whose length and sequence number come later, and
/// nfnetlink's.
fn header(bytes: &mut Vec<u8>, kind: u16, flags: u16, nfnetlink: [u8; 4]) {
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&nfnetlink);
}

/// Writes the length of the message that begins at `at` and ends here.
fn close(bytes: &mut [u8], at: usize) {
    let length = u32::try_from(bytes.len() - at).unwrap_or(u32::MAX);
    bytes[at..at + 4].copy_from_slice(&length.to_ne_bytes());
}

/// The header that every message of nfnetlink has behind netlink's own.
pub(crate) fn nfgenmsg(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

fn flags(create: Create) -> u16 {
    match create {
        Create::IfAbsent => CREATE,
        Create::Exclusive => CREATE | EXCLUSIVE,
    }
}

fn put_length(b: &mut Vec<u8>, kind: u16, length: usize) {
    put_u32(b, kind, u32::try_from(length).unwrap_or(u32::MAX));
}

/// The user data by which `nft` knows how to show a key: type 0, length, byte order
/// (0 of its parts, 1 the host's, 2 the network's).
fn byte_order_note(key: &[DataType]) -> [u8; 6] {
    let order: u32 = match key {
        [DataType::IfName] => 1,
        [_] => 2,
        _ => 0,
    };
    let [a, b, c, d] = order.to_ne_bytes();
    [0, 4, a, b, c, d]
}

/// A comment as `nft` stores it in user data: type 0, length, text, zero byte.
fn put_comment(b: &mut Vec<u8>, kind: u16, comment: &str) {
    if comment.is_empty() {
        return;
    }
    let text = &comment.as_bytes()[..comment.len().min(MAX_COMMENT)];
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    let mut data = vec![0, length];
    data.extend_from_slice(text);
    data.push(0);
    put(b, kind, &data);
}

/// The longest comment that `nft` shows, in bytes; a longer one is cut there.
pub const MAX_COMMENT: usize = 127;
