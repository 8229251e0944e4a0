//! `make bench`, fourth part: containers of Docker.
#![forbid(unsafe_code)]

use anyhow::Result;
use clap::Parser;
use fairlead_bench::docker::{self, Extent};
use fairlead_bench::{ends, machine, report};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures what a container of Docker's costs on a network of ours and on a bridge of Docker's
/// own: its start, the driver's calls, many at once, and what goes through. The exit status says
/// whether it could measure, not whether the goals were reached.
#[derive(Debug, Parser)]
#[command(name = "fairlead-bench-docker", max_term_width = 100)]
struct Options {
    /// How often a container is started on each network. Less than five are also the rounds of
    /// everything else.
    #[arg(long, default_value_t = 60, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Containers where there are many.
    #[arg(long, default_value_t = 200, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    containers: u32,
    /// How long each measurement of throughput lasts, in seconds.
    #[arg(long, default_value_t = 3, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Directory of the report [default: results, beside the program's source].
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
}

fn main() -> ExitCode {
    ends::status("fairlead-bench-docker", run(&Options::parse()))
}

fn run(options: &Options) -> Result<ExitCode> {
    let results = report::directory(options.results.as_deref())?;
    let load = machine::load();
    let extent = Extent {
        rounds: options.rounds,
        containers: options.containers,
        seconds: options.seconds,
    };
    let findings = docker::run(extent)?;
    let (path, text) = docker::write(&findings, extent, &load, &results)?;
    Ok(ends::shown(&path, &text))
}
