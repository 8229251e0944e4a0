//! Waiting for the end of a process, and signals to it, by a file descriptor: its number
//! may become another's, this cannot (pidfd_open(2), Linux 5.3).

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Holds a process; `None` if there is none of that number.
pub(in crate::engine) fn open(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => Ok(Some(process)),
        // EINVAL: the number is one of a thread.
        Err(Errno::SRCH | Errno::INVAL) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Waits until the process has ended; `false` if it lives at that time.
pub(in crate::engine) fn ends_before(process: &OwnedFd, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).unwrap_or(Timespec {
            tv_sec: i64::from(i32::MAX),
            tv_nsec: 0,
        });
        let mut files = [PollFd::new(process, PollFlags::IN)];
        match poll(&mut files, Some(&limit)) {
            Err(Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

/// Sends a signal. One that has ended does not need it.
pub(in crate::engine) fn send(process: &OwnedFd, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(process, signal) {
        Err(Errno::SRCH) => Ok(()),
        sent => Ok(sent?),
    }
}

/// Whether a process that was just started lives for this long: one that cannot do what
/// it was started for ends sooner.
pub(in crate::engine) fn settles(pid: u32, limit: Duration) -> io::Result<bool> {
    match open(pid)? {
        Some(process) => Ok(!ends_before(&process, Instant::now() + limit)?),
        None => Ok(false),
    }
}
