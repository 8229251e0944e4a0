//! One agent a node: a lock that ends with the process, whatever ends it.

use crate::AgentError;
use fairlead_types::Root;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The lock, held while this lives.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

/// Makes `run/fairlead` root's own and takes the lock there.
pub(crate) fn take(root: &Root) -> Result<Lock, AgentError> {
    root.make_run()
        .map_err(failed("make directory", &root.run()))?;
    let path = fairlead_control::lock(root);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options
        .mode(0o600)
        .open(&path)
        .map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(running(file, path)),
        Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(failed("write", &path))?;
    Ok(Lock(file))
}

fn running(file: File, lock: PathBuf) -> AgentError {
    let mut pid = String::new();
    // The first line is all there is; a text that cannot be read is as good as none.
    let _ = Read::take(&file, 32).read_to_string(&mut pid);
    let pid = match pid.trim() {
        "" => "unknown".to_owned(),
        pid => pid.to_owned(),
    };
    AgentError::Running { pid, lock }
}

pub(crate) fn failed(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> AgentError {
    let path = path.to_owned();
    move |source| AgentError::File {
        operation,
        path,
        source,
    }
}
