//! The smallest binary that a program can be started through; for tests, whose own binary
//! has another `main`.

fn main() -> std::process::ExitCode {
    fairlead_services::process_shim(std::env::args_os().skip(1)).unwrap_or_else(|| {
        eprintln!("process-shim: it is started by tests only");
        std::process::ExitCode::FAILURE
    })
}
