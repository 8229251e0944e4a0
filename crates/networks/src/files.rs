//! The CNI files of `cni.config`: which are ours, and writing them.

use crate::{NetworkError, generate};
use fairlead_cni::ConfList;
use fairlead_cni::conf::{ConfError, load_directory};
use fairlead_types::NetworkName;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// How the name of a file begins that is being written.
const TEMPORARY: &str = ".fairlead-";
/// How it ends. No CNI runtime reads files that end so.
const TEMPORARY_END: &str = ".tmp";

/// A file that configures a network.
#[derive(Debug, Clone)]
pub struct CniFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub list: ConfList,
    /// When it was last written, in seconds since 1970.
    pub modified: f64,
    /// Whether it was generated: it has the mark, and the place that goes with its name.
    pub generated: bool,
    /// Its text, for a generated file.
    pub(crate) text: String,
}

/// The files of a directory.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) files: Vec<CniFile>,
    /// Files that cannot be loaded.
    pub(crate) broken: Vec<(PathBuf, ConfError)>,
    /// What a setup left that was killed while it wrote.
    pub(crate) leftovers: Vec<PathBuf>,
}

/// Where the file of a declared network is.
pub(crate) fn path_of(dir: &Path, name: &NetworkName) -> PathBuf {
    dir.join(format!("{name}.conflist"))
}

/// Whether setup wrote a file: it has the mark, and the place that goes with its name.
/// A copy under another name belongs to who made it.
pub(crate) fn is_generated(dir: &Path, path: &Path, list: &ConfList) -> bool {
    generate::is_marked(list) && path == path_of(dir, &list.name)
}

/// Reads a directory; one that is not there has no files.
pub(crate) fn scan(dir: &Path) -> Result<Scan, NetworkError> {
    let loaded = load_directory(dir)?;
    let mut scan = Scan {
        broken: loaded.broken,
        leftovers: leftovers(dir)?,
        ..Scan::default()
    };
    for (path, list) in loaded.lists {
        let generated = is_generated(dir, &path, &list);
        let text = match generated {
            true => std::fs::read_to_string(&path).map_err(|e| error("read", &path, e))?,
            false => String::new(),
        };
        scan.files.push(CniFile {
            modified: modified(&path),
            path,
            list,
            generated,
            text,
        });
    }
    Ok(scan)
}

fn modified(path: &Path) -> f64 {
    let time = std::fs::metadata(path).and_then(|m| m.modified());
    let since = time.ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn leftovers(dir: &Path) -> Result<Vec<PathBuf>, NetworkError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(error("list", dir, e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| error("list", dir, e))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let file = entry.file_type().is_ok_and(|t| !t.is_dir());
        if file && name.starts_with(TEMPORARY) && name.ends_with(TEMPORARY_END) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Puts `text` in the place of a file, by way of a temporary one beside it: a reader
/// sees the old text or the new one. The directory is made if it is not there.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), NetworkError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(|e| error("make directory", dir, e))?;
    let temporary = temporary(path);
    remove(&temporary)?;
    let written = write_new(&temporary, text).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        error("write", path, e)
    })
}

/// The temporary file beside a file that is being written.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{TEMPORARY}{name}{TEMPORARY_END}"))
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(path)?;
    // Runtimes of other users read it, whatever the umask here is.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    // Without it a power failure can leave an empty file under the name.
    file.sync_all()
}

/// Removes a file; 'already gone' is success.
pub(crate) fn remove(path: &Path) -> Result<(), NetworkError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(error("remove", path, e)),
        _ => Ok(()),
    }
}

pub(crate) fn error(operation: &'static str, path: &Path, source: std::io::Error) -> NetworkError {
    NetworkError::File {
        operation,
        path: path.to_owned(),
        source,
    }
}
