//! `make bench`, third part: answers about names.
#![forbid(unsafe_code)]

use anyhow::Result;
use clap::Parser;
use fairlead_bench::dns::{self, Extent};
use fairlead_bench::{ends, machine, report};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures how many questions are answered in a second: by Fairlead's server, `PowerDNS`
/// with its bind backend, and `dnsmasq`, which have the same names. `dnsperf` asks. One
/// processor is the server's, the other is `dnsperf`'s. The exit status says whether it could
/// measure, not whether the goals were reached.
#[derive(Debug, Parser)]
#[command(name = "fairlead-bench-dns", max_term_width = 100)]
struct Options {
    /// Services, each with nine records.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(100..=100_000))]
    services: u32,
    /// Services where there are many: by default those of 100,000 records.
    #[arg(long, default_value_t = 11_112, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    many: u32,
    /// How often everything is measured.
    #[arg(long, default_value_t = 7, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How long each measurement lasts, in seconds.
    #[arg(long, default_value_t = 3, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Directory of the report [default: results, beside the program's source].
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == dns::SERVE => dns::serve(rest).map(|()| ExitCode::SUCCESS),
        _ => run(&Options::parse()),
    };
    ends::status("fairlead-bench-dns", done)
}

fn run(options: &Options) -> Result<ExitCode> {
    let results = report::directory(options.results.as_deref())?;
    let load = machine::load();
    let extent = Extent {
        services: options.services,
        many: options.many,
        rounds: options.rounds,
        seconds: options.seconds,
    };
    let findings = dns::run(extent)?;
    let (path, text) = dns::write(&findings, extent, &load, &results)?;
    Ok(ends::shown(&path, &text))
}
