//! `make bench`: attaches and detaches containers by Fairlead, by the reference
//! plugins and by the bare kernel messages, in turns, and compares.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use fairlead_bench::inside::{self, Place};
use fairlead_bench::prepare::Programs;
use fairlead_bench::report::{self, Circumstances};
use fairlead_bench::{ends, machine, memory, round};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Measures what attaching a container to a bridge and detaching it takes: Fairlead,
/// the reference CNI plugins, and the kernel's floor (the same netlink messages and
/// nothing else), in one run and in turns. It works in namespaces of its own and
/// leaves nothing behind but the report. The exit status says whether it could
/// measure, not whether the goals were reached.
#[derive(Debug, Parser)]
#[command(name = "fairlead-bench", max_term_width = 100)]
struct Options {
    /// How often each scenario is measured.
    #[arg(long, default_value_t = 60, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// Measure ten times only, for a first look.
    #[arg(long, conflicts_with = "repeats")]
    quick: bool,
    /// Fairlead's binary; by default the one that was built beside this program.
    #[arg(long, env = "FAIRLEAD_BIN", value_name = "FILE")]
    fairlead: Option<PathBuf>,
    /// Directory of the reference plugins (Debian package containernetworking-plugins).
    #[arg(long, default_value = "/usr/lib/cni", value_name = "DIR")]
    reference: PathBuf,
    /// Directory of the reports [default: results, beside the program's source].
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == memory::OPTION => memory::start(rest),
        _ => run(&Options::parse(), &arguments),
    };
    ends::status("fairlead-bench", done)
}

fn run(options: &Options, arguments: &[OsString]) -> Result<ExitCode> {
    if !inside::is_inside() {
        build_floor()?;
        return inside::start_again(arguments);
    }
    let programs = programs(options)?;
    let results = report::directory(options.results.as_deref())?;
    let repeats = if options.quick { 10 } else { options.repeats };
    let before = machine::load();
    let place = Place::prepare()?;
    let measured = round::run(&place, &programs, repeats)?;
    let about = Circumstances {
        day: machine::day()?,
        kernel: machine::kernel(),
        processor: machine::processor(),
        load: [before, machine::load()],
        repeats,
        programs,
    };
    print!("{}", report::markdown(&measured, &about));
    let path = report::write(&results, &measured, &about)?;
    eprintln!("written: {} and .json beside it", path.display());
    Ok(ExitCode::SUCCESS)
}

fn programs(options: &Options) -> Result<Programs> {
    let own = std::env::current_exe().context("find the program itself")?;
    let floor = own.with_file_name("fairlead-bench-floor");
    let fairlead = options
        .fairlead
        .clone()
        .unwrap_or_else(|| own.with_file_name("fairlead"));
    if !floor.exists() {
        bail!(
            "{} is missing: build it with `cargo build --release -p fairlead-bench`",
            floor.display()
        );
    }
    if !options.reference.join("bridge").exists() {
        let dir = options.reference.display();
        bail!("no reference plugins in {dir}: `apt-get install containernetworking-plugins`");
    }
    let fairlead = std::path::absolute(fairlead).context("find fairlead's binary")?;
    Ok(Programs {
        floor,
        reference: options.reference.clone(),
        fairlead,
    })
}

/// `cargo run` builds the program it runs and no other: the floor is built here, with
/// the same cargo. Started otherwise, it is expected to be there.
fn build_floor() -> Result<()> {
    let Some(cargo) = std::env::var_os("CARGO") else {
        return Ok(());
    };
    let package = [
        "build",
        "--locked",
        "--release",
        "--quiet",
        "--package",
        "fairlead-bench",
    ];
    let built = Command::new(cargo)
        .args(package)
        .args(["--bin", "fairlead-bench-floor"])
        .status();
    if !built.context("start cargo")?.success() {
        bail!("the floor's program does not build");
    }
    Ok(())
}
