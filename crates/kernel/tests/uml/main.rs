//! What needs another kernel than this machine's, which has no tunnels and cannot be
//! without nftables: under one that runs as a process (`scripts/uml-run`) this same
//! program runs the cases.

mod tunnels;
mod without;

use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;

/// Set for the program that runs there.
const THERE: &str = "FAIRLEAD_KERNEL_CASES";

/// A case: its name and what it does.
type Case = (&'static str, fn());

/// The last ones take something from the kernel.
fn cases() -> Vec<Case> {
    [&tunnels::CASES[..], &without::CASES].concat()
}

/// Runs each case and says `passed CASE` or `failed CASE`.
fn run() {
    let mut failed = Vec::new();
    for (name, case) in cases() {
        // The panic's message has been printed by then.
        if catch_unwind(case).is_ok() {
            println!("passed {name}");
        } else {
            println!("failed {name}");
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}

#[test]
fn the_cases_pass_under_another_kernel() {
    if std::env::var_os(THERE).is_some() {
        return run();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/uml-run");
    let mut command = Command::new(&script);
    for module in ["veth", "ipip", "ip_gre", "ip6_tunnel", "ip6_gre"] {
        command.args(["--module", module]);
    }
    let output = command
        .env(THERE, "1")
        .arg(std::env::current_exe().expect("this program's path"))
        .args(["--exact", "--nocapture"])
        .arg("the_cases_pass_under_another_kernel")
        .output()
        .unwrap_or_else(|e| panic!("cannot start {}: {e}", script.display()));
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "under User Mode Linux, {}:\n{text}{errors}",
        output.status,
    );
    // Counted here too, so that a case that did not run cannot pass.
    let passed = text.lines().filter(|line| line.starts_with("passed "));
    assert_eq!(passed.count(), cases().len(), "{text}");
}
