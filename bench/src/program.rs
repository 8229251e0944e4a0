//! Calls of programs, timed from the start of the process to its end.

use crate::memory;
use anyhow::{Context, Result, bail};
use fairlead_kernel::NetNs;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A call of a program.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment, all of it.
    pub environment: Vec<(&'static str, OsString)>,
    /// Its input.
    pub input: Vec<u8>,
}

/// Runs calls on a host and adds up what they took.
#[derive(Debug)]
pub struct Meter<'a> {
    host: &'a NetNs,
    peak_wanted: bool,
    /// From the start of each process to its end.
    pub elapsed: Duration,
    /// The most memory that one process had resident, in KiB; 0 unless asked for.
    pub peak: u64,
}

impl<'a> Meter<'a> {
    /// Measures time.
    #[must_use]
    pub const fn time(host: &'a NetNs) -> Self {
        Self {
            host,
            peak_wanted: false,
            elapsed: Duration::ZERO,
            peak: 0,
        }
    }

    /// Measures memory; the time then says nothing.
    #[must_use]
    pub const fn memory(host: &'a NetNs) -> Self {
        Self {
            host,
            peak_wanted: true,
            elapsed: Duration::ZERO,
            peak: 0,
        }
    }

    /// Runs a call and returns its output.
    ///
    /// # Errors
    /// When it cannot be started, or fails; its own words are in the error.
    pub fn run(&mut self, call: &Call) -> Result<Vec<u8>> {
        let answer = Path::new("/run/bench/peak");
        let mut command = if self.peak_wanted {
            memory::command(call.program.as_os_str(), answer)?
        } else {
            Command::new(&call.program)
        };
        command.args(&call.arguments).env_clear();
        command.envs(call.environment.iter().map(|(name, value)| (*name, value)));
        let (elapsed, output) = self.host.run(|| timed(command, &call.input))??;
        self.elapsed += elapsed;
        if self.peak_wanted {
            self.peak = self.peak.max(memory::answer(answer)?);
        }
        Ok(output)
    }

    /// Runs `work` on a thread in the host's namespace and counts its time. The
    /// thread's start and end are not counted.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn run_inside(&mut self, work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
        self.elapsed += self.host.run(|| {
            let start = Instant::now();
            work().map(|()| start.elapsed())
        })??;
        Ok(())
    }
}

/// Input and output are files, so that nobody has to be scheduled to pump a pipe.
fn timed(mut command: Command, input: &[u8]) -> Result<(Duration, Vec<u8>)> {
    let mut stdin = tempfile::tempfile_in("/run").context("make a file for the input")?;
    stdin
        .write_all(input)
        .and_then(|()| stdin.rewind())
        .context("write the input")?;
    let stdout = tempfile::tempfile_in("/run").context("make a file for the output")?;
    let stderr = tempfile::tempfile_in("/run").context("make a file for the messages")?;
    let copy = |file: &File| file.try_clone().context("copy a file descriptor");
    command
        .stdin(stdin)
        .stdout(copy(&stdout)?)
        .stderr(copy(&stderr)?);
    let start = Instant::now();
    let status = command.spawn().and_then(|mut child| child.wait());
    let elapsed = start.elapsed();
    let name = command.get_program().to_owned();
    let status = status.with_context(|| format!("start {}", name.display()))?;
    let output = content(stdout)?;
    if !status.success() {
        let words = [output, content(stderr)?].concat();
        bail!(
            "{} ended with {status}: {}",
            name.display(),
            String::from_utf8_lossy(&words).trim()
        );
    }
    Ok((elapsed, output))
}

fn content(mut file: File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .context("read an output")?;
    Ok(bytes)
}

/// Runs a tool on a host, with `input`, and returns its output. Not measured.
///
/// # Errors
/// As [`Meter::run`].
pub fn tool<S: AsRef<OsStr>>(host: &NetNs, line: &[S], input: &str) -> Result<String> {
    let [program, arguments @ ..] = line else {
        bail!("a tool without a name")
    };
    let mut command = Command::new(program);
    command.args(arguments);
    let (_, output) = host.run(|| timed(command, input.as_bytes()))??;
    Ok(String::from_utf8_lossy(&output).into_owned())
}
