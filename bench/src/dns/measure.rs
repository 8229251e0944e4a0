//! What `dnsperf` sees.

use super::server::Subject;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::process::Command;

/// So many questions are asked in a second where the time of each is looked at: what all of
/// them can do.
pub(super) const CALM: u32 = 5_000;

/// How questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// What one measurement came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Answers in a second.
    pub(super) rate: f64,
    /// The server's processor time for each, in microseconds.
    pub(super) cpu: f64,
    /// Of a hundred questions at a calm rate 99 took less, in milliseconds.
    pub(super) p99: f64,
    /// Questions without an answer.
    pub(super) lost: f64,
}

/// Asks as fast as answers come, and then calmly.
pub(super) fn measure(subject: &Subject, transport: Transport, seconds: u32) -> Result<Found> {
    let before = subject.cpu()?;
    let (answers, rate, lost) = load(subject, transport, seconds)?;
    let cpu = subject.cpu()?.saturating_sub(before);
    let text = dnsperf(
        subject,
        transport,
        seconds,
        &["-v", "-Q", &CALM.to_string()],
    )?;
    // `> NOERROR web1.ns1.svc.c1 A 0.000123`
    let time = |line: &str| line.split_whitespace().last()?.parse::<f64>().ok();
    let lines = text.lines().filter(|line| line.starts_with("> "));
    let mut times: Vec<f64> = lines.filter_map(time).collect();
    times.sort_by(f64::total_cmp);
    let p99 = times.get(times.len() * 99 / 100);
    Ok(Found {
        rate,
        cpu: cpu.as_secs_f64() * 1e6 / answers.max(1.0),
        p99: p99.context("dnsperf tells no times")? * 1e3,
        lost,
    })
}

/// Asks as fast as answers come; how many came, how many in a second, and how many did not.
pub(super) fn load(
    subject: &Subject,
    transport: Transport,
    seconds: u32,
) -> Result<(f64, f64, f64)> {
    let text = dnsperf(subject, transport, seconds, &[])?;
    let value = |what: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(what));
        let value = line.and_then(|line| line.split_whitespace().next());
        let value = value.and_then(|value| value.parse::<f64>().ok());
        value.with_context(|| format!("dnsperf does not tell {what:?}: {text}"))
    };
    let good = text.lines().find(|line| line.contains("Response codes:"));
    let has_other = |line: &str| {
        ["NXDOMAIN", "SERVFAIL", "REFUSED"]
            .iter()
            .any(|c| line.contains(c))
    };
    if good.is_none_or(has_other) {
        bail!("{} does not know all names: {good:?}", subject.kind);
    }
    let (answers, lost) = (value("Queries completed:")?, value("Queries lost:")?);
    Ok((answers, value("Queries per second:")?, lost))
}

fn dnsperf(subject: &Subject, transport: Transport, seconds: u32, more: &[&str]) -> Result<String> {
    let at = subject.at;
    let output = Command::new("taskset")
        .args(["-c", "1", "dnsperf", "-c", "8", "-q", "100"])
        .args(["-s", &at.ip().to_string(), "-p", &at.port().to_string()])
        .args(["-m", &transport.to_string().to_lowercase()])
        .args(["-l", &seconds.to_string()])
        .arg("-d")
        .arg(&subject.questions)
        .args(more)
        .output()
        .context("start dnsperf")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("dnsperf ended with {}: {error}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
