//! Which process is at work on a record.

use crate::StoreError;
use serde::{Deserialize, Serialize};

/// A process, told from a later one with the same number by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Its process id.
    pub pid: u32,
    /// When it started, in clock ticks since the boot (`/proc/PID/stat`, field 22).
    pub started: u64,
}

impl Actor {
    /// This process.
    ///
    /// # Errors
    /// [`StoreError::Process`] where `/proc` is not mounted.
    pub fn current() -> Result<Self, StoreError> {
        let pid = std::process::id();
        match started(pid) {
            Ok(started) => Ok(Self { pid, started }),
            Err(source) => Err(StoreError::Process { pid, source }),
        }
    }

    /// The process that has this number now, if one has that lives.
    ///
    /// # Errors
    /// A `/proc` that cannot be read.
    pub fn of(pid: u32) -> std::io::Result<Option<Self>> {
        use std::io::ErrorKind::{InvalidData, NotFound};
        match started(pid) {
            Ok(started) => Ok(Some(Self { pid, started })),
            Err(error) if matches!(error.kind(), NotFound | InvalidData) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether that very process still runs. A `/proc` that cannot be read
    /// counts as running, a process that only waits for its parent does not.
    #[must_use]
    pub fn is_live(&self) -> bool {
        match started(self.pid) {
            Ok(started) => started == self.started,
            Err(error) => !matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::InvalidData
            ),
        }
    }
}

/// The start time of a process that is neither a zombie nor dead.
pub(crate) fn started(pid: u32) -> std::io::Result<u64> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).map_err(|error| {
        // ESRCH: it ended between opening and reading.
        if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) {
            std::io::ErrorKind::NotFound.into()
        } else {
            error
        }
    })?;
    parse_stat(&text).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// The name is in parentheses and may itself hold spaces and parentheses, so the
/// fields are counted from the last closing one; the first after it is field 3.
fn parse_stat(text: &[u8]) -> Option<u64> {
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(text.get(end + 1..)?)
        .ok()?
        .split_ascii_whitespace();
    match fields.next()? {
        "Z" | "X" | "x" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_its_predecessor_does_not() {
        let me = Actor::current().unwrap();
        assert!(me.is_live());
        let earlier = Actor {
            started: me.started - 1,
            ..me
        };
        assert!(!earlier.is_live());
    }

    #[test]
    fn a_dead_process_is_at_work_on_nothing() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let actor = Actor {
            pid: child.id(),
            started: started(child.id()).unwrap(),
        };
        assert!(actor.is_live());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!actor.is_live());
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = b"7 (a) (b c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(parse_stat(line), Some(4242));
        assert_eq!(parse_stat(b"7 (a) Z 1 2 3"), None);
        assert_eq!(parse_stat(b"7 (a"), None);
    }
}
