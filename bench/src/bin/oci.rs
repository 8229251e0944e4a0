//! `make bench`, fifth part: the runtime in front of the real one, and the proxy.
#![forbid(unsafe_code)]

use anyhow::Result;
use clap::Parser;
use fairlead_bench::oci::{self, Extent};
use fairlead_bench::{ends, machine, report};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures what a container costs under our runtime beside the plain one, with our plugins and
/// with the reference's, and what the proxy of Docker's API costs. The exit status says whether
/// it could measure, not whether the goals were reached.
#[derive(Debug, Parser)]
#[command(name = "fairlead-bench-oci", max_term_width = 100)]
struct Options {
    /// How often a container is started under each runtime.
    #[arg(long, default_value_t = 60, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// How often the list of containers is asked for on each socket.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    calls: u32,
    /// The size of the image that is saved, in megabytes.
    #[arg(long, default_value_t = 500, value_name = "MB")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=5000))]
    image: u32,
    /// Directory of the report [default: results, beside the program's source].
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
}

fn main() -> ExitCode {
    ends::status("fairlead-bench-oci", run(&Options::parse()))
}

fn run(options: &Options) -> Result<ExitCode> {
    let results = report::directory(options.results.as_deref())?;
    let load = machine::load();
    let extent = Extent {
        rounds: options.rounds,
        calls: options.calls,
        image: options.image,
    };
    let findings = oci::run(extent)?;
    let (path, text) = oci::write(&findings, extent, &load, &results)?;
    Ok(ends::shown(&path, &text))
}
