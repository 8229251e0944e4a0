//! Which process is meant, now and after its number has become another's.

use super::watch;
use rustix::process::{Pid, WaitOptions, waitpid};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;

/// A process, told from a later one with the same number by the time it started, and from
/// one before a reboot by the boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Its process id.
    pub(super) pid: u32,
    /// When it started, in clock ticks since the boot (`/proc/PID/stat`, field 22).
    started: u64,
    /// The kernel's identifier of the boot.
    boot: String,
}

impl Identity {
    /// The process that has this number now.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let started = started(pid)?.ok_or(io::ErrorKind::NotFound)?;
        let boot = boot()?;
        Ok(Self { pid, started, boot })
    }

    /// Holds the process, if it lives.
    pub(super) fn live(&self) -> io::Result<Option<OwnedFd>> {
        // Held first: what is compared after that cannot become another's.
        let Some(process) = watch::open(self.pid)? else {
            return Ok(None);
        };
        if started(self.pid)? == Some(self.started) && boot()? == self.boot {
            return Ok(Some(process));
        }
        self.bury();
        Ok(None)
    }

    /// Takes note of its end, if it has ended and this process has started it: it would
    /// stay as a zombie for as long as this process runs.
    pub(super) fn bury(&self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // ECHILD, which is the rule: it is somebody else's to take note.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

fn boot() -> io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().to_owned())
}

/// The start time of a process that is neither a zombie nor gone.
fn started(pid: u32) -> io::Result<Option<u64>> {
    match std::fs::read(format!("/proc/{pid}/stat")) {
        Ok(text) => Ok(parse_stat(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // It ended between opening and reading.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
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
    fn a_later_process_and_an_earlier_boot_are_others() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.live().unwrap().is_some());
        let earlier = Identity {
            started: me.started - 1,
            ..me.clone()
        };
        assert!(earlier.live().unwrap().is_none());
        let before = Identity {
            boot: "another".into(),
            ..me
        };
        assert!(before.live().unwrap().is_none());
    }

    #[test]
    fn a_zombie_does_not_live_and_is_buried() {
        let child = std::process::Command::new("sleep").arg("60").spawn();
        let mut child = child.unwrap();
        let identity = Identity::of(child.id()).unwrap();
        let process = identity.live().unwrap().unwrap();
        child.kill().unwrap();
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
        assert!(watch::ends_before(&process, limit).unwrap());
        assert!(identity.live().unwrap().is_none());
        // Nothing is left to wait for.
        assert!(child.wait().is_err());
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = b"7 (a) (b c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(parse_stat(line), Some(4242));
        assert_eq!(parse_stat(b"7 (a) Z 1 2 3"), None);
        assert_eq!(parse_stat(b"7 (a"), None);
    }
}
