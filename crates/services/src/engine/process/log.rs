//! What a program prints: one file, added to, with one older generation.

use crate::engine::ContainerSpec;
use fairlead_types::Root;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Above this size, in bytes, a start begins a new file.
const FULL: u64 = 16 * 1024 * 1024;

/// How much of the end is told in an error, in bytes and in lines.
const TOLD: u64 = 2048;
const LINES: usize = 5;

/// The output of one program.
#[derive(Debug)]
pub(in crate::engine) struct Log {
    path: PathBuf,
    /// Where this run's output begins, in bytes.
    begin: u64,
}

impl Log {
    /// Where the output of a resource is: `var/log/fairlead/NAMESPACE/NAME/container.0.log`.
    pub(in crate::engine) fn path(root: &Root, spec: &ContainerSpec) -> PathBuf {
        let dir = root.join("/var/log/fairlead");
        let dir = match spec.service.parts() {
            Some((namespace, _, name)) => dir.join(namespace).join(name),
            None => dir.join(spec.service.as_str()),
        };
        dir.join(format!("{}.log", spec.resource_word()))
    }

    /// Opens the file for a new run, after the older one was put aside if it is full.
    pub(in crate::engine) fn open(path: PathBuf) -> io::Result<(Self, File)> {
        if let Some(dir) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
        }
        if path.metadata().is_ok_and(|data| data.len() > FULL) {
            std::fs::rename(&path, older(&path))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o640)
            .open(&path)?;
        let begin = file.metadata()?.len();
        Ok((Self { path, begin }, file))
    }

    /// The last lines that this run has printed; nothing if they cannot be read, for they
    /// only serve an error's message.
    pub(in crate::engine) fn last_words(&self) -> String {
        self.read().unwrap_or_default()
    }

    fn read(&self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(self.begin.max(end.saturating_sub(TOLD))))?;
        let mut bytes = Vec::new();
        file.take(TOLD).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        Ok(lines[lines.len().saturating_sub(LINES)..].join("\n"))
    }
}

/// Where the older generation is.
fn older(path: &Path) -> PathBuf {
    let mut old = path.as_os_str().to_owned();
    old.push(".1");
    old.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_this_runs_lines_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.log");
        let (log, mut file) = Log::open(path.clone()).unwrap();
        writeln!(file, "first").unwrap();
        assert_eq!(log.last_words(), "first");
        let (log, mut file) = Log::open(path).unwrap();
        assert_eq!(log.last_words(), "");
        (1..=9).for_each(|i| writeln!(file, "{i}").unwrap());
        assert_eq!(log.last_words(), "5\n6\n7\n8\n9");
    }

    #[test]
    fn a_full_file_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.log");
        let (_, file) = Log::open(path.clone()).unwrap();
        file.set_len(FULL).unwrap();
        Log::open(path.clone()).unwrap();
        assert!(!older(&path).exists());
        file.set_len(FULL + 1).unwrap();
        let (_, file) = Log::open(path.clone()).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        assert_eq!(older(&path).metadata().unwrap().len(), FULL + 1);
    }
}
