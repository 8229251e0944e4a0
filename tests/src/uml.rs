//! Cases that need what this machine's kernel lacks, run under a second kernel.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::built::{built_binary, profile_dir};
use crate::commands::search_path;
use crate::plugins::Plugins;

/// A case that runs under the second kernel: its name and what it does.
pub type UmlCase = (&'static str, fn(&Plugins));

/// Runs `program` of this package under User Mode Linux (`scripts/uml-run`) with
/// these kernel modules, and returns the names of the cases that passed there.
///
/// # Panics
/// If the kernel does not start or a case fails; with everything that was printed.
#[track_caller]
#[must_use]
pub fn run_under_uml(program: &str, plugins: &Plugins, modules: &[&str]) -> Vec<String> {
    // The names are links beside the tests, which cannot be made there.
    search_path();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/uml-run");
    let mut command = Command::new(&script);
    // Several of these kernels may run at once.
    command.args(["--limit", "400"]);
    for module in modules {
        command.args(["--module", module]);
    }
    let output = command
        .arg("--show")
        .arg(profile_dir())
        .arg("--show")
        .arg(plugins.dir())
        .arg("--show")
        .arg(plugins.home())
        .arg(built_binary(program))
        .arg(plugins.name())
        .output()
        .unwrap_or_else(|e| panic!("cannot start {}: {e}", script.display()));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "under User Mode Linux, {}:\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{text}");
    text.lines()
        .filter_map(|line| line.strip_prefix("passed "))
        .map(str::to_owned)
        .collect()
}

/// The main function of a program of cases: runs each on the implementation that
/// the first argument names and says `passed NAME` or `failed NAME`.
#[must_use]
pub fn uml_main(cases: &[UmlCase]) -> ExitCode {
    let plugins = match std::env::args().nth(1).as_deref() {
        Some("reference") => Plugins::reference(),
        Some("ours") => Plugins::ours(),
        _ => {
            eprintln!("give 'reference' or 'ours'");
            return ExitCode::FAILURE;
        }
    };
    let mut code = ExitCode::SUCCESS;
    for (name, case) in cases {
        let start = Instant::now();
        // The panic's message has been printed by then.
        if catch_unwind(AssertUnwindSafe(|| case(&plugins))).is_ok() {
            println!("{:?} for what follows", start.elapsed());
            println!("passed {name}");
        } else {
            println!("failed {name}");
            code = ExitCode::FAILURE;
        }
    }
    code
}
