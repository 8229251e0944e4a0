//! What is said of the machine in a report.

use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Today, `2026-01-31`.
///
/// # Errors
/// When `date` cannot be started.
pub fn day() -> Result<String> {
    let output = Command::new("date")
        .args(["-u", "+%F"])
        .output()
        .context("start date")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The processor, and how many of them.
#[must_use]
pub fn processor() -> String {
    let info = read("/proc/cpuinfo");
    let models: Vec<&str> = info
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(": ").map(|(_, model)| model))
        .collect();
    format!(
        "{} x {}",
        models.len(),
        models.first().unwrap_or(&"unknown processor")
    )
}

/// How busy the machine is.
#[must_use]
pub fn load() -> String {
    read("/proc/loadavg")
        .split(' ')
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The kernel's release.
#[must_use]
pub fn kernel() -> String {
    read("/proc/sys/kernel/osrelease")
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}
