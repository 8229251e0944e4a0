//! One program serves a host: its sockets are found by name, and it alone knows which calls are
//! under way. Others ask it by a signal, and read what came of that in a file.

use crate::audit::Report;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long an audit may take: each list has its own limit.
const AUDIT: Duration = Duration::from_secs(300);
/// How often it is looked whether it is done.
const LOOK: Duration = Duration::from_millis(50);

/// Why this host cannot be claimed, or who has it not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error("{operation} {}: {source}", .path.display())]
    File {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "another {} runs on this host: {} is locked; stop it first",
        crate::PROGRAM,
        .0.display()
    )]
    Running(PathBuf),
    #[error("process {0} was asked for an audit, and has not done it in {limit} s", limit = AUDIT.as_secs())]
    Late(String),
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ClaimError {
    let path = path.to_owned();
    move |source| ClaimError::File {
        operation,
        path,
        source,
    }
}

/// The claim on this host, which ends with the process whatever ends it.
#[derive(Debug)]
pub(crate) struct Claim {
    folder: PathBuf,
    /// Held for its lock.
    _lock: File,
}

fn lock_file(folder: &Path) -> PathBuf {
    folder.join("nuage-libnetwork.lock")
}

fn report_file(folder: &Path) -> PathBuf {
    folder.join("nuage-libnetwork.audit")
}

impl Claim {
    /// Claims this host, whose records are in that folder.
    ///
    /// # Errors
    /// [`ClaimError::Running`] if another process has.
    pub(crate) fn take(folder: &Path) -> Result<Self, ClaimError> {
        let path = lock_file(folder);
        std::fs::create_dir_all(folder).map_err(failed("make the folder of", &path))?;
        let mut options = File::options();
        let file = options.create(true).truncate(false).read(true).write(true);
        let mut file = file.open(&path).map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ClaimError::Running(path)),
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed("write", &path))?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: file,
        })
    }

    /// Writes what came of an audit that somebody asked for.
    pub(crate) fn tell(folder: &Path, report: &Report) -> Result<(), ClaimError> {
        let path = report_file(folder);
        let new = path.with_extension("new");
        let text = serde_json::to_string(report).unwrap_or_default();
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &path))
            .map_err(failed("write", &path))
    }

    /// The folder of the records.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Asks who has claimed this host for an audit, and waits for what comes of it.
///
/// # Errors
/// It cannot be asked, or does not answer.
pub(crate) fn ask_for_audit(folder: &Path) -> Result<Report, ClaimError> {
    let (lock, path) = (lock_file(folder), report_file(folder));
    let mut text = String::new();
    File::open(&lock)
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(failed("read", &lock))?;
    let number = text.trim().parse().ok().and_then(Pid::from_raw);
    let pid = number.ok_or_else(|| failed("read", &lock)(io::ErrorKind::InvalidData.into()))?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &path)(error));
        }
        _ => {}
    }
    kill_process(pid, Signal::USR2)
        .map_err(|error| failed("signal the process of", &lock)(error.into()))?;
    let begun = Instant::now();
    while begun.elapsed() < AUDIT {
        if let Ok(text) = std::fs::read_to_string(&path) {
            let report = serde_json::from_str(&text);
            return report.map_err(|error| failed("read", &path)(error.into()));
        }
        std::thread::sleep(LOOK);
    }
    Err(ClaimError::Late(text.trim().to_owned()))
}
