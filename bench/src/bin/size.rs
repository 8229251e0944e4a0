//! `make bench`, second part: one node of a cluster of a thousand.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use fairlead_bench::inside::{self, Place};
use fairlead_bench::size::{self, Extent};
use fairlead_bench::{ends, machine, memory, report};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures one node of a large cluster: the agent's start, a change elsewhere, status,
/// and detaches. etcd, the node and its agent are real; the other nodes are what they
/// would have written to etcd. It works in namespaces of its own and leaves nothing
/// behind but the report. The exit status says whether it could measure, not whether the
/// goals were reached.
#[derive(Debug, Parser)]
#[command(name = "fairlead-bench-size", max_term_width = 100)]
struct Options {
    /// Nodes in the registry.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(600..=16000))]
    nodes: u32,
    /// Addresses in shared state.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=500_000))]
    addresses: u32,
    /// How often things are measured; what takes long less often.
    #[arg(long, default_value_t = 10, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many containers are detached at once.
    #[arg(long, default_value_t = 100, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=900))]
    detaches: u32,
    /// Fairlead's binary; by default the one that was built beside this program.
    #[arg(long, env = "FAIRLEAD_BIN", value_name = "FILE")]
    fairlead: Option<PathBuf>,
    /// Directory of the report [default: results, beside the program's source].
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == memory::OPTION => memory::start(rest),
        _ => run(&Options::parse(), &arguments),
    };
    ends::status("fairlead-bench-size", done)
}

fn run(options: &Options, arguments: &[OsString]) -> Result<ExitCode> {
    if !inside::is_inside() {
        return inside::start_again(arguments);
    }
    let own = std::env::current_exe().context("find the program itself")?;
    let chosen = options.fairlead.clone();
    let fairlead = chosen.unwrap_or_else(|| own.with_file_name("fairlead"));
    let fairlead = std::path::absolute(fairlead).context("find fairlead's binary")?;
    if !fairlead.exists() {
        bail!("{} is missing: `make build`", fairlead.display());
    }
    let results = report::directory(options.results.as_deref())?;
    let load = machine::load();
    let extent = Extent {
        nodes: options.nodes,
        addresses: options.addresses,
        rounds: options.rounds,
        detaches: options.detaches,
    };
    let place = Place::prepare()?;
    let findings = size::run(&place, extent, &fairlead)?;
    let (path, text) = size::write(&findings, extent, &load, &results)?;
    Ok(ends::shown(&path, &text))
}
