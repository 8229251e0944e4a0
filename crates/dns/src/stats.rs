//! What was asked and answered, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Questions that came over UDP.
    pub udp: u64,
    /// Questions that came over TCP.
    pub tcp: u64,
    /// Answers by what they say (`RCODE` of RFC 1035, 4.1.1), those of others that were
    /// passed on too.
    pub answers: [u64; 16],
    /// Questions about names of others that were passed on.
    pub forwarded: u64,
    /// Of those, the ones that nobody answered.
    pub unanswered: u64,
    /// Messages without an answer: no question, or an answer that could not be sent.
    pub dropped: u64,
    /// Zones that were sent whole.
    pub transfers: u64,
    /// TCP connections that were closed because there were too many, or because they were
    /// slow or idle.
    pub closed: u64,
}

impl Stats {
    /// Answers that refuse.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.answers[5]
    }
}

/// The counters while they are counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) udp: AtomicU64,
    pub(crate) tcp: AtomicU64,
    pub(crate) answers: [AtomicU64; 16],
    pub(crate) forwarded: AtomicU64,
    pub(crate) unanswered: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) transfers: AtomicU64,
    pub(crate) closed: AtomicU64,
}

/// Counts `count` more.
pub(crate) fn count(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

impl Counters {
    /// Counts the answer in a message by its code.
    pub(crate) fn answer(&self, message: &[u8]) {
        if let Some(byte) = message.get(3) {
            count(&self.answers[usize::from(byte & 15)], 1);
        }
    }

    pub(crate) fn read(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            udp: get(&self.udp),
            tcp: get(&self.tcp),
            answers: self.answers.each_ref().map(get),
            forwarded: get(&self.forwarded),
            unanswered: get(&self.unanswered),
            dropped: get(&self.dropped),
            transfers: get(&self.transfers),
            closed: get(&self.closed),
        }
    }
}
