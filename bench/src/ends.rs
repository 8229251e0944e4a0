//! How each program of `make bench` ends.

use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;

/// The exit status of a program that is done; its failure is told.
#[must_use]
pub fn status(program: &str, done: Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        eprintln!("{program}: {error:#}");
        ExitCode::FAILURE
    })
}

/// Shows a report and tells where it is kept.
#[must_use]
pub fn shown(path: &Path, text: &str) -> ExitCode {
    print!("{text}");
    eprintln!("written: {}", path.display());
    ExitCode::SUCCESS
}
