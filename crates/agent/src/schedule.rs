//! When the node is reconciled: at once when somebody asks, soon after a change, later
//! when changes do not end, again after a failure, and at intervals.

use std::time::{Duration, Instant};

/// Changes of the kernel come in bursts; the last of one is waited for so long.
const CALM: Duration = Duration::from_millis(200);
/// What the kernel tells starts at most one reconciliation in this time: our own steps
/// are among it.
const KERNEL_PAUSE: Duration = Duration::from_secs(1);
/// From so many reconciliations in a row on that all had something to mend, somebody
/// keeps undoing it: each next one waits longer.
const FIGHT: u32 = 5;
/// The longest of these waits: what is broken is mended within 5 s all the same.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// The longest wait between tries after a failure.
const LONGEST: Duration = Duration::from_secs(30);
/// The first wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Why the node is to be reconciled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A person asks, or the agent has just started.
    Asked,
    /// What is declared has changed, here or in the cluster.
    Declared,
    /// Something has changed in the kernel.
    Kernel,
    /// Other nodes came, went or reported.
    Cluster,
}

/// The times that count.
#[derive(Debug)]
pub(crate) struct Schedule {
    interval: Duration,
    /// When to reconcile next.
    due: Instant,
    /// When the newest reconciliation ended.
    ended: Instant,
    /// How many in a row failed.
    failed: u32,
    /// How many in a row changed something, with less than an interval between them.
    busy: u32,
}

impl Schedule {
    /// The first reconciliation is due at once, each at most `interval` after the one
    /// before.
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            due: now,
            ended: now,
            failed: 0,
            busy: 0,
        }
    }

    /// When to reconcile next.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Something asks for a reconciliation.
    pub(crate) fn wanted(&mut self, cause: Cause, now: Instant) {
        let at = match cause {
            Cause::Asked => now,
            Cause::Declared => now + CALM,
            Cause::Kernel | Cause::Cluster => (now + CALM).max(self.ended + self.kernel_pause()),
        };
        self.due = self.due.min(at);
    }

    /// A reconciliation ended: it changed something, it could not do all.
    pub(crate) fn done(&mut self, changed: bool, failed: bool, now: Instant) {
        let soon = now.saturating_duration_since(self.ended) < self.interval;
        self.busy = if changed && soon { self.busy + 1 } else { 0 };
        self.failed = if failed { self.failed + 1 } else { 0 };
        self.ended = now;
        let wait = match self.failed {
            0 => self.interval,
            tries => doubled(RETRY, tries - 1).min(self.interval),
        };
        self.due = now + wait;
    }

    fn kernel_pause(&self) -> Duration {
        match self.busy.checked_sub(FIGHT) {
            None => KERNEL_PAUSE,
            Some(more) => doubled(KERNEL_PAUSE, more + 1).min(LONGEST_PAUSE),
        }
    }
}

fn doubled(first: Duration, times: u32) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(times))
        .min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn schedule() -> (Schedule, Instant) {
        let now = Instant::now();
        let mut schedule = Schedule::new(INTERVAL, now);
        assert_eq!(schedule.due(), now);
        schedule.done(false, false, now);
        (schedule, now)
    }

    #[test]
    fn without_a_cause_the_interval_counts() {
        let (schedule, now) = schedule();
        assert_eq!(schedule.due(), now + INTERVAL);
    }

    #[test]
    fn who_asks_does_not_wait_and_a_later_cause_does_not_delay() {
        let (mut schedule, now) = schedule();
        schedule.wanted(Cause::Asked, now);
        schedule.wanted(Cause::Kernel, now);
        assert_eq!(schedule.due(), now);
    }

    #[test]
    fn a_storm_in_the_kernel_starts_one_reconciliation_a_second() {
        let (mut schedule, start) = schedule();
        let mut now = start;
        let mut runs = 0;
        while now < start + Duration::from_secs(10) {
            schedule.wanted(Cause::Kernel, now);
            if schedule.due() <= now {
                schedule.done(false, false, now);
                runs += 1;
            }
            now += Duration::from_millis(10);
        }
        assert!((9..=10).contains(&runs), "{runs}");
    }

    #[test]
    fn a_fight_over_the_node_slows_down() {
        let (mut schedule, start) = schedule();
        let mut now = start;
        let mut runs = 0;
        while now < start + Duration::from_secs(120) {
            schedule.wanted(Cause::Kernel, now);
            if schedule.due() <= now {
                schedule.done(true, false, now);
                runs += 1;
            }
            now += Duration::from_millis(10);
        }
        assert!((40..=46).contains(&runs), "{runs}");
        // The other gives up.
        let end = now + INTERVAL;
        schedule.done(false, false, end);
        schedule.wanted(Cause::Kernel, end + Duration::from_secs(5));
        assert_eq!(schedule.due(), end + Duration::from_secs(5) + CALM);
    }

    #[test]
    fn a_failure_is_tried_again_soon_and_then_later() {
        let (mut schedule, now) = schedule();
        let waits: Vec<u64> = (0..7)
            .map(|_| {
                schedule.done(false, true, now);
                schedule.due().duration_since(now).as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        schedule.done(false, false, now);
        assert_eq!(schedule.due(), now + INTERVAL);
    }
}
