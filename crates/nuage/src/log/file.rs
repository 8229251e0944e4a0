//! The file: made, put away by size, found again after others have moved it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::DateTime, tz::TimeZone};

use super::line::Text;

const FOLDER_MODE: u32 = 0o744;
const FILE_MODE: u32 = 0o644;

/// Hours after which a file that was put away is removed: 30 days.
const KEPT: i64 = 30 * 24;

/// The time in the name of a file that was put away.
const STAMP: &str = "%Y-%m-%dT%H-%M-%S%.3f";

/// A log file of one program. All threads may write.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    program: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: u64,
    /// Lines so far, this one included.
    count: u64,
    open: Option<Open>,
    /// Somebody was told that lines go to standard error.
    told: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Which file it is, to see whether the path still leads to it.
    identity: (u64, u64),
    size: u64,
}

impl LogFile {
    pub(super) fn new(path: &Path, program: &str, limit: u64) -> Self {
        Self {
            path: path.to_owned(),
            program: program.to_owned(),
            state: Mutex::new(State {
                limit,
                count: 0,
                open: None,
                told: false,
            }),
        }
    }

    pub(super) fn set_limit(&self, bytes: u64) {
        self.state().limit = bytes;
    }

    pub(super) fn reopen(&self) -> io::Result<()> {
        let mut state = self.state();
        state.open = None;
        state.open = Some(open(&self.path)?);
        Ok(())
    }

    /// Writes a line; to standard error as long as the file cannot be written, which is said
    /// there once.
    pub(super) fn write(&self, text: &Text) {
        let mut state = self.state();
        state.count += 1;
        // Under the lock, so that numbers and times of lines ascend.
        let now = Timestamp::now();
        let line = text.line(now, state.count, &self.program);
        match state.append(&self.path, now, line.as_bytes()) {
            Ok(()) => state.told = false,
            Err(error) => {
                state.open = None;
                let first = !std::mem::replace(&mut state.told, true);
                drop(state);
                self.fall_back(first.then_some(&error), &line);
            }
        }
    }

    /// Standard error may be closed: then nobody wants to know.
    fn fall_back(&self, error: Option<&io::Error>, line: &str) {
        let mut standard = io::stderr().lock();
        if let Some(error) = error {
            let path = self.path.display();
            let told = writeln!(
                standard,
                "{}: cannot write {path}: {error}; the log goes to standard error until it can",
                self.program
            );
            drop(told);
        }
        drop(standard.write_all(line.as_bytes()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in there is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, path: &Path, now: Timestamp, line: &[u8]) -> io::Result<()> {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let limit = self.limit;
        let mut open = match self.open.take() {
            Some(open) if open.is_at(path) => open,
            _ => self::open(path)?,
        };
        if open.size > 0 && open.size.saturating_add(length) > limit {
            put_away(path, now)?;
            open = self::open(path)?;
        }
        // One call a line: whoever else appends does not come between.
        open.file.write_all(line)?;
        open.size = open.size.saturating_add(length);
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
    }
}

fn open(path: &Path) -> io::Result<Open> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.exists()) {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(FOLDER_MODE).create(folder)?;
    }
    let mut options = OpenOptions::new();
    options.append(true);
    let file = match options.clone().create_new(true).mode(FILE_MODE).open(path) {
        // Whatever the mask of the process is.
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
            file
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            options.create(true).mode(FILE_MODE).open(path)?
        }
        Err(e) => return Err(e),
    };
    let found = file.metadata()?;
    Ok(Open {
        file,
        identity: (found.dev(), found.ino()),
        size: found.len(),
    })
}

/// Renames the file and removes those that are too old.
fn put_away(path: &Path, now: Timestamp) -> io::Result<()> {
    let mut when = now;
    let target = loop {
        let target = archive(path, when);
        if !target.exists() {
            break target;
        }
        // Another one in the same millisecond.
        when = when.saturating_add(1.millisecond()).unwrap_or(now);
    };
    fs::rename(path, target)?;
    // What cannot be removed now is tried again with the next one.
    drop(remove_old(path, now));
    Ok(())
}

fn archive(path: &Path, when: Timestamp) -> PathBuf {
    let (stem, ending) = parts(path);
    path.with_file_name(format!("{stem}{}{ending}", when.strftime(STAMP)))
}

/// `nuage-libnetwork-` and `.log`.
fn parts(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let ending = text(path.extension());
    let ending = match ending.is_empty() {
        true => ending,
        false => format!(".{ending}"),
    };
    (format!("{}-", text(path.file_stem())), ending)
}

fn remove_old(path: &Path, now: Timestamp) -> io::Result<()> {
    let (stem, ending) = parts(path);
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    for entry in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let rest = name.strip_prefix(&stem);
        let Some(stamp) = rest.and_then(|rest| rest.strip_suffix(&ending)) else {
            continue;
        };
        if put_away_at(stamp).is_some_and(|at| now.duration_since(at) > kept()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn put_away_at(stamp: &str) -> Option<Timestamp> {
    let at = DateTime::strptime(STAMP, stamp).ok()?;
    TimeZone::UTC.to_timestamp(at).ok()
}

fn kept() -> SignedDuration {
    SignedDuration::from_hours(KEPT)
}
