//! Which process is meant, now and after its number has become another's.

use super::watch;
use fairlead_store::{Actor, BootId};
use rustix::process::{Pid, WaitOptions, waitpid};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;

/// A process, told from a later one with the same number by the time it started, and from
/// one before a reboot by the boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    #[serde(flatten)]
    process: Actor,
    /// The kernel's identifier of the boot.
    boot: String,
}

impl Identity {
    /// The process that has this number now.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let process = Actor::of(pid)?.ok_or(io::ErrorKind::NotFound)?;
        let boot = boot()?;
        Ok(Self { process, boot })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Holds the process, if it lives.
    pub(super) fn live(&self) -> io::Result<Option<OwnedFd>> {
        // Held first: what is compared after that cannot become another's.
        let Some(process) = watch::open(self.process.pid)? else {
            return Ok(None);
        };
        if Actor::of(self.process.pid)? == Some(self.process) && boot()? == self.boot {
            return Ok(Some(process));
        }
        self.bury();
        Ok(None)
    }

    /// Takes note of its end, if it has ended and this process has started it: it would
    /// stay as a zombie for as long as this process runs.
    pub(super) fn bury(&self) {
        if let Some(pid) = i32::try_from(self.process.pid).ok().and_then(Pid::from_raw) {
            // ECHILD, which is the rule: it is somebody else's to take note.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

fn boot() -> io::Result<String> {
    let boot = BootId::current().map_err(io::Error::other)?;
    Ok(boot.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_process_and_an_earlier_boot_are_others() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.live().unwrap().is_some());
        let started = me.process.started - 1;
        let earlier = Identity {
            process: Actor {
                started,
                ..me.process
            },
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
}
