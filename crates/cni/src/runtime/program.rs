//! One run of a plugin that is a program: input, output, time limit.

use super::error::{RuntimeError, START, Said};
use crate::{Command, MAX_INPUT};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How much of standard error is kept: its end, where the reason stands.
const SAID_MAX: usize = 4096;

/// Longer limits are cut to this, which a clock can still count to.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// For programs started by a runtime that has no `PATH` of its own.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables of the protocol; none of ours reaches a program by accident.
const VARIABLES: [&str; 7] = [
    "CNI_COMMAND",
    "CNI_CONTAINERID",
    "CNI_NETNS",
    "CNI_IFNAME",
    "CNI_ARGS",
    "CNI_PATH",
    "CNI_NETNS_OVERRIDE",
];

/// A program to run.
pub(super) struct Program<'a> {
    pub(super) path: &'a Path,
    pub(super) command: Command,
    pub(super) input: &'a [u8],
    pub(super) environment: Vec<(&'static str, OsString)>,
    pub(super) limit: Duration,
    pub(super) own_group: bool,
}

/// How it ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// The end of standard error, as text.
    pub(super) stderr: String,
}

impl Program<'_> {
    pub(super) fn run(&self) -> Result<Ended, RuntimeError> {
        let deadline = Instant::now() + self.limit.min(LONGEST);
        let mut running = self.start(deadline)?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let said = Said(running.said());
                return Err(RuntimeError::TimeLimit {
                    command: self.command,
                    program: self.path.to_owned(),
                    limit: self.limit,
                    said,
                });
            }
            let ended = running
                .step(left)
                .map_err(|e| self.failed("talk to", e.into()))?;
            if running.stdout.len() as u64 > MAX_INPUT {
                return Err(RuntimeError::TooMuchOutput {
                    command: self.command,
                    program: self.path.to_owned(),
                    said: Said(running.said()),
                });
            }
            if ended {
                break;
            }
        }
        running.ended().map_err(|e| self.failed("wait for", e))
    }

    fn failed(&self, operation: &'static str, source: std::io::Error) -> RuntimeError {
        RuntimeError::Program {
            operation,
            program: self.path.to_owned(),
            source,
        }
    }

    fn start(&self, deadline: Instant) -> Result<Running<'_>, RuntimeError> {
        let mut command = std::process::Command::new(self.path);
        for name in VARIABLES {
            command.env_remove(name);
        }
        if std::env::var_os("PATH").is_none_or(|p| p.is_empty()) {
            command.env("PATH", DEFAULT_PATH);
        }
        command
            .envs(self.environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.own_group {
            command.process_group(0);
        }
        let child = loop {
            match command.spawn() {
                // The file is being written: an installation is under way.
                Err(e)
                    if e.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
                other => break other.map_err(|e| self.failed(START, e))?,
            }
        };
        Running::new(child, self.input, self.own_group)
            .map_err(|e| self.failed("talk to", e.into()))
    }
}

/// A program that runs. Dropped before its end, it is killed, so that no way
/// out leaves it behind.
struct Running<'a> {
    child: Child,
    own_group: bool,
    reaped: bool,
    /// Readable when the program has ended. Waiting for the end of its outputs
    /// would also wait for what it left in the background.
    end: OwnedFd,
    stdin: Option<ChildStdin>,
    unsent: &'a [u8],
    stdout_pipe: Option<ChildStdout>,
    stdout: Vec<u8>,
    stderr_pipe: Option<ChildStderr>,
    stderr: Vec<u8>,
}

impl<'a> Running<'a> {
    fn new(mut child: Child, input: &'a [u8], own_group: bool) -> Result<Self, Errno> {
        let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        let running = Self {
            stdin: child.stdin.take(),
            stdout_pipe: child.stdout.take(),
            stderr_pipe: child.stderr.take(),
            end: match end {
                Ok(end) => end,
                Err(e) => {
                    // Nothing else would: there is no `Running` yet that does.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(e);
                }
            },
            child,
            own_group,
            reaped: false,
            unsent: input,
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        if let Some(pipe) = &running.stdin {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        if let Some(pipe) = &running.stdout_pipe {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        if let Some(pipe) = &running.stderr_pipe {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(running)
    }

    /// Waits for one thing to happen and moves what can be moved. True when the
    /// program has ended.
    fn step(&mut self, left: Duration) -> Result<bool, Errno> {
        let mut fds = vec![PollFd::new(&self.end, PollFlags::IN)];
        if let Some(pipe) = &self.stdin {
            fds.push(PollFd::new(pipe, PollFlags::OUT));
        }
        if let Some(pipe) = &self.stdout_pipe {
            fds.push(PollFd::new(pipe, PollFlags::IN));
        }
        if let Some(pipe) = &self.stderr_pipe {
            fds.push(PollFd::new(pipe, PollFlags::IN));
        }
        // A limit that the kernel cannot count is none.
        let left = Timespec::try_from(left).ok();
        match poll(&mut fds, left.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(false),
            Err(e) => return Err(e),
        }
        let ended = !fds[0].revents().is_empty();
        drop(fds);
        self.send();
        receive(
            &mut self.stdout_pipe,
            &mut self.stdout,
            MAX_INPUT as usize + 1,
        );
        // What is said beyond this after the end is from another process.
        receive(&mut self.stderr_pipe, &mut self.stderr, 1 << 20);
        keep_end(&mut self.stderr);
        Ok(ended)
    }

    fn send(&mut self) {
        let Some(pipe) = &mut self.stdin else { return };
        while !self.unsent.is_empty() {
            match pipe.write(self.unsent) {
                Ok(sent) => self.unsent = &self.unsent[sent..],
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // The program does not read on: it answers without.
                Err(_) => break,
            }
        }
        self.stdin = None;
    }

    fn ended(mut self) -> std::io::Result<Ended> {
        let status = self.child.wait()?;
        self.reaped = true;
        Ok(Ended {
            status,
            stdout: std::mem::take(&mut self.stdout),
            stderr: self.said(),
        })
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        // It is not reaped, so the number is still its own.
        if self.own_group {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes what there is without waiting, until `into` has more than `max` bytes;
/// closes the pipe at its end.
fn receive(pipe: &mut Option<impl Read>, into: &mut Vec<u8>, max: usize) {
    let Some(reader) = pipe else { return };
    let mut part = [0; 16 * 1024];
    while into.len() <= max {
        match reader.read(&mut part) {
            Ok(0) => break,
            Ok(n) => into.extend_from_slice(&part[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return,
            Err(_) => break,
        }
    }
    if into.len() <= max {
        *pipe = None;
    }
}

fn keep_end(text: &mut Vec<u8>) {
    if text.len() > SAID_MAX {
        text.drain(..text.len() - SAID_MAX);
    }
}

/// The start of an output, for a message.
pub(super) fn shortened(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(&output[..output.len().min(300)]);
    let more = if output.len() > 300 { "..." } else { "" };
    format!("{}{more}", text.trim())
}
