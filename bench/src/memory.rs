//! Peak memory: a small process starts the call, waits for it and asks the kernel.
//!
//! Small, since what the starter had resident at the moment of the start counts as
//! the child's peak too (`exec_mmap` in the kernel).

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The first argument that makes this program such a starter.
pub const OPTION: &str = "--peak-of";

/// Starts the program in `arguments` (a file for the answer, the program, its
/// arguments) and writes into the file what the greatest of its processes had
/// resident at most, in KiB. Answers with the program's status.
///
/// # Errors
/// When the program cannot be started or the file not written.
pub fn start(arguments: &[OsString]) -> Result<ExitCode> {
    let [file, program, rest @ ..] = arguments else {
        anyhow::bail!("{OPTION} expects FILE PROGRAM ARGUMENT...");
    };
    let status = Command::new(program).args(rest).status();
    let status = status.with_context(|| format!("start {}", program.display()))?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("ask for resource usage")?;
    std::fs::write(file, usage.max_rss().to_string())
        .with_context(|| format!("write {}", file.display()))?;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The command that does the same as `program`, through a starter.
pub(crate) fn command(program: &OsStr, answer: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("find the program itself")?);
    command.arg(OPTION).arg(answer).arg(program);
    Ok(command)
}

/// What the starter wrote, in KiB.
pub(crate) fn answer(file: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    text.trim().parse().context("read a peak of memory")
}
