//! Which containers the engine is asked about, and when: several at once, each once at a
//! time, and again while it is not told whose all its endpoints are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How many are asked about at once: who starts at this moment is told when it has started.
const AT_ONCE: usize = 16;
/// How often one is asked about whose endpoints are not there yet.
const TRIES: u32 = 8;
/// How long it rests before the second time; then longer and longer.
const REST: Duration = Duration::from_millis(200);

/// What a question about a container has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// All that there is, or that there is no such container.
    All,
    /// It does not run.
    Down,
    /// Not all.
    Part,
}

/// The containers to be asked about.
#[derive(Debug, Default)]
pub(super) struct Asking {
    waiting: BTreeSet<String>,
    asked: BTreeSet<String>,
    /// Something happened to them since they were asked about.
    again: BTreeSet<String>,
    /// How often one was asked about in vain, and when it is due.
    resting: BTreeMap<String, (u32, Instant)>,
    /// Those that came on a network and were not told about since.
    joined: BTreeSet<String>,
}

impl Asking {
    /// Has a container asked about.
    pub(super) fn want(&mut self, id: &str) {
        self.resting.remove(id);
        let set = match self.asked.contains(id) {
            true => &mut self.again,
            false => &mut self.waiting,
        };
        set.insert(id.to_owned());
    }

    /// The same for one that came on a network.
    pub(super) fn joined(&mut self, id: &str) {
        self.joined.insert(id.to_owned());
        self.want(id);
    }

    /// A container has started: if it is on a network of ours, it is told about now.
    pub(super) fn started(&mut self, id: &str) {
        if self.joined.contains(id) {
            self.want(id);
        }
    }

    /// It is no more.
    pub(super) fn gone(&mut self, id: &str) {
        self.waiting.remove(id);
        self.again.remove(id);
        self.resting.remove(id);
        self.joined.remove(id);
    }

    /// The next one, if one is due and not too many are asked about.
    pub(super) fn next(&mut self, now: Instant) -> Option<String> {
        if self.asked.len() >= AT_ONCE {
            return None;
        }
        let id = match self.waiting.pop_first() {
            Some(id) => id,
            None => {
                let mut resting = self.resting.iter();
                let due = |(id, (_, at)): &(&String, &(u32, Instant))| {
                    *at <= now && !self.asked.contains(*id)
                };
                resting.find(due).map(|(id, _)| id.clone())?
            }
        };
        self.asked.insert(id.clone());
        Some(id)
    }

    /// Notes what was told.
    pub(super) fn told(&mut self, id: &str, told: Told, now: Instant) {
        self.asked.remove(id);
        if self.again.remove(id) {
            self.waiting.insert(id.to_owned());
            return;
        }
        let (tries, _) = self.resting.remove(id).unwrap_or((0, now));
        match told {
            Told::All => {
                self.joined.remove(id);
            }
            // Its start is heard.
            Told::Down => {}
            Told::Part if tries < TRIES => {
                let due = now + REST * 2u32.pow(tries);
                self.resting.insert(id.to_owned(), (tries + 1, due));
            }
            // The next look finds it.
            Told::Part => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_asked_about_once_at_a_time() {
        let (mut asking, now) = (Asking::default(), Instant::now());
        asking.want("a");
        asking.want("a");
        assert_eq!(asking.next(now).as_deref(), Some("a"));
        assert_eq!(asking.next(now), None);
        asking.want("a");
        assert_eq!(asking.next(now), None, "it is asked about at this moment");
        asking.told("a", Told::All, now);
        assert_eq!(asking.next(now).as_deref(), Some("a"), "something happened");
        asking.told("a", Told::All, now);
        assert_eq!(asking.next(now), None);
        for number in 0..AT_ONCE + 1 {
            asking.want(&number.to_string());
        }
        let asked = std::iter::from_fn(|| asking.next(now)).count();
        assert_eq!(asked, AT_ONCE);
    }

    #[test]
    fn what_was_not_told_is_asked_again_later_and_not_for_ever() {
        let (mut asking, mut now) = (Asking::default(), Instant::now());
        asking.joined("a");
        assert!(asking.next(now).is_some());
        asking.told("a", Told::Part, now);
        assert_eq!(asking.next(now), None, "it rests");
        let mut tries = 0;
        while asking.resting.contains_key("a") {
            now += Duration::from_secs(60);
            assert_eq!(asking.next(now).as_deref(), Some("a"));
            asking.told("a", Told::Part, now);
            tries += 1;
        }
        assert_eq!(tries, TRIES);
        asking.started("a");
        assert!(asking.next(now).is_some(), "its start is another reason");
        asking.told("a", Told::All, now);
        asking.started("a");
        assert_eq!(asking.next(now), None, "all is told");
        asking.joined("a");
        asking.gone("a");
        assert_eq!(asking.next(now), None);
    }
}
