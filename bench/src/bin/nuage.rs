//! `make bench`, sixth part: networks of an SDN controller.
#![forbid(unsafe_code)]

use anyhow::Result;
use clap::Parser;
use fairlead_bench::nuage::{self, Extent};
use fairlead_bench::{ends, machine, report};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures what a container costs on a network of an SDN controller, by our drivers and, where
/// it is given, by the plugin that they carry on (github.com/nuagenetworks/nuage-libnetwork,
/// built with Go 1.19 and its vendored libraries).
#[derive(Debug, Parser)]
#[command(name = "fairlead-bench-nuage", max_term_width = 100)]
struct Options {
    /// How often a container is started on each network.
    #[arg(long, default_value_t = 40, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// How often many containers are started at once.
    #[arg(long, default_value_t = 3, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    bursts: u32,
    /// How many containers those are.
    #[arg(long, default_value_t = 50, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=500))]
    containers: u32,
    /// The earlier plugin.
    #[arg(long, value_name = "FILE", env = "NUAGE_PEER")]
    peer: Option<PathBuf>,
    /// Directory of the report [default: results, beside the program's source].
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
}

fn main() -> ExitCode {
    ends::status("fairlead-bench-nuage", run(Options::parse()))
}

fn run(options: Options) -> Result<ExitCode> {
    let results = report::directory(options.results.as_deref())?;
    let load = machine::load();
    let extent = Extent {
        rounds: options.rounds,
        bursts: options.bursts,
        containers: options.containers,
        peer: options.peer,
    };
    let findings = nuage::run(&extent)?;
    let (path, text) = nuage::write(&findings, &extent, &load, &results)?;
    Ok(ends::shown(&path, &text))
}
