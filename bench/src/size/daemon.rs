//! Programs that run on beside the measurement: etcd, the agent.

use super::wait::until;
use anyhow::{Context, Result, bail};
use fairlead_kernel::NetNs;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid as NixPid;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A running program. It ends with this value, and with this process however that ends.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    name: String,
    log: PathBuf,
}

/// What a process has resident, in MiB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// Now.
    pub(super) now: f64,
    /// At most until now.
    pub(super) peak: f64,
}

impl Daemon {
    /// Starts a program in a network namespace; what it prints goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(
        host: &NetNs,
        program: &Path,
        arguments: &[OsString],
        environment: &[(&'static str, OsString)],
        log: &Path,
    ) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("make {}", log.display()))?;
        // Both replace themselves by what they start, so it is the child.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "nsenter"])
            .arg(format!("--net={}", host.path().display()))
            .arg("--")
            .arg(program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(std::process::Stdio::null())
            .stdout(file.try_clone().context("copy a file descriptor")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self {
            child,
            name: program.display().to_string(),
            log: log.to_owned(),
        })
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Errors
    /// When it does not end.
    pub(super) fn end(mut self) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).context("ask a program to end")?;
        let what = format!("the end of {}", self.name);
        until(&what, Instant::now(), Duration::from_millis(5), || {
            Ok(self
                .child
                .try_wait()
                .context("wait for a program")?
                .is_some())
        })?;
        Ok(())
    }

    /// Fails if it has ended, with the end of its log.
    ///
    /// # Errors
    /// That it has.
    pub(super) fn runs(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait().context("wait for a program")? else {
            return Ok(());
        };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let from = log.lines().count().saturating_sub(20);
        let last: Vec<&str> = log.lines().skip(from).collect();
        bail!("{} ended with {status}: {}", self.name, last.join("\n"))
    }

    /// How long it has been computing, all of its threads together.
    ///
    /// # Errors
    /// When it has ended.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let pid = NixPid::from_raw(self.child.id().try_into().context("a process id")?);
        let clock = clock_getcpuclockid(pid).context("find a process's clock")?;
        let time = clock_gettime(clock).context("read a process's clock")?;
        Ok(Duration::from(time))
    }

    /// # Errors
    /// When it has ended.
    pub(super) fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_ascii_whitespace().next());
            let kib: f64 = kib.and_then(|kib| kib.parse().ok()).context("a size")?;
            anyhow::Ok(kib / 1024.0)
        };
        Ok(Memory {
            now: value("VmRSS:")?,
            peak: value("VmHWM:")?,
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
