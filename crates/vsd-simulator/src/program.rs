//! The simulator as a program.

use crate::cert::Protection;
use crate::rules::Strictness;
use crate::simulator::{Options, Simulator, SimulatorError};
use clap::Parser;
use serde_json::Value;
use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

/// A VSD in small, for tests. It prints its URL when it listens.
#[derive(Debug, Parser)]
#[command(name = "fairlead-vsd-simulator", version)]
struct Words {
    /// Where clients come to; port 0 is any free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR:PORT")]
    listen: SocketAddr,
    /// The certificate to show, in PEM; without it one is made
    #[arg(long, requires = "key", value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The certificate's key, in PEM
    #[arg(long, requires = "cert", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where the authority of a certificate that was made is written
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// One more name for a certificate that is made
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Speaks HTTP without TLS
    #[arg(long, conflicts_with_all = ["cert", "ca_out"])]
    plain: bool,
    /// The control socket
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// What is there from the start, a tree in JSON
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// How long an API key lives
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS")]
    key_life: u64,
    /// Who can log in
    #[arg(long, default_value = "csproot")]
    user: String,
    /// And how
    #[arg(long, default_value = "csproot", hide_default_value = true)]
    password: String,
    /// And of which enterprise
    #[arg(long, default_value = "csp", value_name = "ENTERPRISE")]
    organization: String,
    /// Refuses a PUT that changes nothing (2039)
    #[arg(long)]
    refuse_unchanged: bool,
    /// Refuses containers of the same name (2510)
    #[arg(long)]
    unique_container_names: bool,
    /// Ends with the standard input
    #[arg(long)]
    until_stdin_ends: bool,
}

/// Runs the program with these words, its name first, until `SIGTERM` or `SIGINT`.
pub fn main_with(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words = match Words::try_parse_from(words) {
        Ok(words) => words,
        Err(error) => {
            // There is nobody left to tell where this cannot be printed.
            let _ = error.print();
            return match error.use_stderr() {
                true => ExitCode::from(2),
                false => ExitCode::SUCCESS,
            };
        }
    };
    match run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fairlead-vsd-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: Words) -> Result<(), SimulatorError> {
    let ca_out = words.ca_out.clone();
    let until_stdin_ends = words.until_stdin_ends;
    let options = options(words)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(SimulatorError::Start)?;
    let ran = runtime.block_on(serve(options, ca_out.as_deref(), until_stdin_ends));
    // Who reads the standard input cannot be told to end.
    runtime.shutdown_background();
    ran
}

fn options(words: Words) -> Result<Options, SimulatorError> {
    let protection = match (words.cert, words.key, words.plain) {
        (_, _, true) => Protection::Plain,
        (Some(cert), Some(key), _) => Protection::Files { cert, key },
        _ => Protection::Own,
    };
    Ok(Options {
        listen: words.listen,
        protection,
        names: words.name,
        control: words.control,
        seed: words.seed.as_deref().map(json).transpose()?,
        key_life: Duration::from_secs(words.key_life),
        user: words.user,
        password: words.password,
        organization: words.organization,
        strictness: Strictness {
            refuse_unchanged: words.refuse_unchanged,
            unique_container_names: words.unique_container_names,
        },
    })
}

fn json(path: &Path) -> Result<Value, SimulatorError> {
    let text = std::fs::read(path).map_err(|source| SimulatorError::File {
        operation: "read",
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| SimulatorError::Json {
        path: path.to_owned(),
        source,
    })
}

async fn serve(
    options: Options,
    ca_out: Option<&Path>,
    until_stdin_ends: bool,
) -> Result<(), SimulatorError> {
    let on = |kind| signal(kind).map_err(SimulatorError::Start);
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let simulator = Simulator::start(options).await?;
    if let (Some(path), Some(ca)) = (ca_out, simulator.ca_pem()) {
        std::fs::write(path, ca).map_err(|source| SimulatorError::File {
            operation: "write",
            path: path.to_owned(),
            source,
        })?;
    }
    let mut out = std::io::stdout();
    let told = writeln!(out, "{}", simulator.url()).and_then(|()| out.flush());
    told.map_err(SimulatorError::Start)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stdin_ends(until_stdin_ends) => {}
    }
    Ok(())
}

async fn stdin_ends(is_waited_for: bool) {
    if !is_waited_for {
        return std::future::pending().await;
    }
    let mut stdin = tokio::io::stdin();
    let mut dust = [0; 256];
    while stdin.read(&mut dust).await.is_ok_and(|read| read > 0) {}
}
