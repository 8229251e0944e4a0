//! The floor as a program: `fairlead-bench-floor add|del ...`, started like a CNI
//! plugin is. It reads no input, keeps no record and prints nothing.
#![forbid(unsafe_code)]

use fairlead_bench::floor::Work;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((command, rest)) if command == "add" => Work::parse(rest).and_then(|work| work.add()),
        Some((command, rest)) if command == "del" => Work::parse(rest).and_then(|work| work.del()),
        _ => Err(anyhow::anyhow!("the command is neither add nor del")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fairlead-bench-floor: {error:#}");
            ExitCode::FAILURE
        }
    }
}
