//! The clock of leases.

use crate::SharedError;
use std::time::Duration;

/// One boot of the machine, by which the readings of its clock are told from those
/// of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boot(Box<str>);

impl Boot {
    /// Where the kernel tells it.
    const FILE: &'static str = "/proc/sys/kernel/random/boot_id";

    /// The boot that is running now.
    ///
    /// # Errors
    /// [`SharedError::BootId`] where `/proc` is not mounted.
    pub(super) fn current() -> Result<Self, SharedError> {
        let text = std::fs::read_to_string(Self::FILE).map_err(|source| SharedError::BootId {
            path: Self::FILE,
            source,
        })?;
        Ok(Self(text.trim_end().into()))
    }

    /// The identifier as text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Milliseconds since the boot, sleep included: nobody can set this clock.
    pub(super) fn now(&self) -> i64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        now.tv_sec * 1000 + now.tv_nsec / 1_000_000
    }
}

/// `duration` in milliseconds, at least one.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis())
        .unwrap_or(i64::MAX / 2)
        .clamp(1, i64::MAX / 2)
}
