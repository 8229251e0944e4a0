//! The VSD simulator, where the tests find programs.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    fairlead_vsd_simulator::main_with(std::env::args_os())
}
