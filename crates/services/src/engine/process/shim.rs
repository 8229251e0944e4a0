//! The moment between a child's birth and its program: our own binary, started with a
//! hidden first argument, waits to be told what to run, makes itself ready and becomes it.
//!
//! Its standard input is a socket. What to run comes on it, once the starter has put the
//! process into its control group and written down which one it is. What went wrong goes
//! back on it; when the program begins, the kernel closes it.

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// The first argument that makes a binary the shim.
pub(super) const ARGUMENT: &str = "process-shim";

/// The longest request, in bytes; the kernel takes no longer arguments either.
const LIMIT: u64 = 4 * 1024 * 1024;

/// What to run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// The keyword that names the program.
    pub(super) keyword: String,
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    /// The whole environment.
    pub(super) environment: Vec<(String, String)>,
    pub(super) cwd: PathBuf,
    pub(super) who: Option<Who>,
}

/// Who runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Who {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
}

/// Why it was not run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fault {
    pub(super) keyword: String,
    pub(super) reason: String,
}

/// Becomes a program, if the process's arguments, those after its own name, say that it
/// was started for that; it returns only when that fails. `main` calls it before it does
/// anything else, in particular before it starts a thread.
#[must_use]
pub fn process_shim(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let channel = match channel() {
        Ok(channel) => channel,
        Err(error) => {
            eprintln!("{ARGUMENT}: {error}; it is started by services only");
            return Some(ExitCode::from(2));
        }
    };
    let Some(request) = receive(&channel) else {
        // The starter has ended before it said what to run.
        return Some(ExitCode::from(2));
    };
    let fault = become_it(request);
    if let Ok(text) = serde_json::to_vec(&fault) {
        // A starter that has gone meanwhile sees it by the process that is not there.
        let _ = (&channel).write_all(&text);
    }
    Some(ExitCode::from(127))
}

/// The socket, moved away from where the program's standard input will be.
fn channel() -> std::io::Result<UnixStream> {
    let file = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let channel = UnixStream::from(file);
    channel.peer_addr()?;
    Ok(channel)
}

fn receive(channel: &UnixStream) -> Option<Request> {
    let mut text = Vec::new();
    channel.take(LIMIT).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn become_it(request: Request) -> Fault {
    let fault = |keyword: &str, what: String, error: std::io::Error| Fault {
        keyword: keyword.to_owned(),
        reason: format!("{what}: {error}"),
    };
    let keyword = request.keyword;
    if let Err(error) = leave() {
        return fault(&keyword, "cannot leave the terminal".to_owned(), error);
    }
    if let Some(who) = &request.who
        && let Err(error) = change(who)
    {
        return fault("user", format!("cannot become {}", who.uid), error);
    }
    if let Err(error) = std::env::set_current_dir(&request.cwd) {
        let what = format!("cannot start in {}", request.cwd.display());
        return fault("cwd", what, error);
    }
    let error = Command::new(&request.program)
        .args(&request.arguments)
        .env_clear()
        .envs(request.environment)
        .exec();
    fault(&keyword, format!("cannot run {:?}", request.program), error)
}

/// A session of its own, no terminal, nothing to read.
fn leave() -> std::io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let null = std::fs::File::open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdin(&null)?)
}

/// The calls change this thread only, and there is no other one.
fn change(who: &Who) -> std::io::Result<()> {
    let groups: Vec<_> = who
        .groups
        .iter()
        .map(|gid| rustix::fs::Gid::from_raw(*gid))
        .collect();
    rustix::thread::set_thread_groups(&groups)?;
    let gid = rustix::fs::Gid::from_raw(who.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    let uid = rustix::fs::Uid::from_raw(who.uid);
    Ok(rustix::thread::set_thread_res_uid(uid, uid, uid)?)
}
