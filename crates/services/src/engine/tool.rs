//! Programs of other makers that are asked for something: an argument vector and no shell,
//! a time limit, and as much of the output as anybody needs.

use crate::engine::process::watch;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How much of the output is read, in bytes.
const OUTPUT: u64 = 64 * 1024;

/// What a program came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    /// What it printed, errors among it.
    pub(crate) printed: String,
}

/// Runs a program to its end; `None`: it did not end in time, and was killed.
pub(crate) fn run(command: &mut Command, limit: Duration) -> io::Result<Option<Outcome>> {
    let deadline = Instant::now() + limit;
    // A file, since a pipe would be held open by what the program leaves running.
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut output = File::from(rustix::fs::memfd_create("output", flags)?);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()?;
    let ended = match watch::open(child.id()) {
        Ok(Some(process)) => watch::ends_before(&process, deadline),
        // It is a child that nobody has waited for: it cannot be gone.
        Ok(None) => Ok(true),
        Err(error) => Err(error),
    };
    if !matches!(ended, Ok(true)) {
        child.kill()?;
    }
    let status = child.wait()?;
    if !ended? {
        return Ok(None);
    }
    output.rewind()?;
    let mut bytes = Vec::new();
    output.take(OUTPUT).read_to_end(&mut bytes)?;
    let printed = String::from_utf8_lossy(&bytes).trim().to_owned();
    Ok(Some(Outcome { status, printed }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Option<Outcome> {
        run(Command::new("sh").args(["-c", script]), limit).unwrap()
    }

    #[test]
    fn both_outputs_and_the_status_are_told() {
        let outcome = shell("echo out; echo err >&2; exit 3", Duration::from_secs(10)).unwrap();
        assert_eq!(outcome.printed, "out\nerr");
        assert_eq!(outcome.status.code(), Some(3));
    }

    #[test]
    fn what_it_leaves_running_is_not_waited_for() {
        let outcome = shell("sleep 3 & echo out", Duration::from_secs(2)).unwrap();
        assert_eq!(outcome.printed, "out");
    }

    #[test]
    fn one_that_does_not_end_is_killed() {
        assert!(shell("exec sleep 1000", Duration::from_millis(50)).is_none());
    }
}
