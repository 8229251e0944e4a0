//! The simulator as a program.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    fairlead_vsd_simulator::main_with(std::env::args_os())
}
