//! Whose turn it is: one thread of this process at a time works on what an owner has.
//!
//! The records keep processes apart, by who is at work; what they say of this process may
//! be of a thread that gave up.

use fairlead_types::Owner;
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

static AT_WORK: Mutex<BTreeSet<Owner>> = Mutex::new(BTreeSet::new());
static ENDED: Condvar = Condvar::new();

/// The turn of a thread, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Owner);

impl Turn {
    /// Waits until no other thread works on what `owner` has. Who has the turn already must
    /// not ask again.
    pub(crate) fn wait(owner: &Owner) -> Self {
        let held = |at_work: &mut BTreeSet<Owner>| at_work.contains(owner);
        let waited = ENDED.wait_while(at_work(), held);
        let mut at_work = waited.unwrap_or_else(PoisonError::into_inner);
        at_work.insert(owner.clone());
        Self(owner.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        at_work().remove(&self.0);
        ENDED.notify_all();
    }
}

// A set of names is whole whoever panicked beside it.
fn at_work() -> MutexGuard<'static, BTreeSet<Owner>> {
    AT_WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_types::{ContainerId, IfName, NetworkName};
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    fn owner(container: &str) -> Owner {
        Owner {
            network: NetworkName::new("back").unwrap(),
            container: ContainerId::new(container).unwrap(),
            ifname: IfName::new("eth0").unwrap(),
        }
    }

    #[test]
    fn a_second_thread_waits_for_the_first_and_others_do_not() {
        let first = Turn::wait(&owner("turn-a"));
        drop(Turn::wait(&owner("turn-b")));
        let (tell, hear) = channel();
        let second = std::thread::spawn(move || {
            let turn = Turn::wait(&owner("turn-a"));
            tell.send(()).unwrap();
            drop(turn);
        });
        let early = hear.recv_timeout(Duration::from_millis(50));
        assert_eq!(early, Err(RecvTimeoutError::Timeout));
        drop(first);
        hear.recv_timeout(Duration::from_secs(60)).unwrap();
        second.join().unwrap();
    }
}
