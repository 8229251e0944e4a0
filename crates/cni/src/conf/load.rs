//! Configurations from files.

use super::fault::{Broken, ConfError, Origin};
use super::fault::{Fault, FaultReason};
use super::list::{ConfList, plugin_from_slice};
use crate::MAX_INPUT;
use fairlead_types::NetworkName;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The networks that the files of a directory configure.
#[derive(Debug, Default)]
pub struct ConfDirectory {
    /// The directory.
    pub dir: PathBuf,
    /// The networks with their files, by file name.
    pub lists: Vec<(PathBuf, ConfList)>,
    /// The files that could not be loaded, each error with its path.
    pub broken: Vec<(PathBuf, ConfError)>,
}

impl ConfDirectory {
    /// The configuration of a network. Where several files have it, the first
    /// `.conflist` wins, then the first of the others.
    ///
    /// # Errors
    /// [`ConfError::NotFound`], naming the files that could not be read.
    pub fn find(&self, name: &NetworkName) -> Result<&ConfList, ConfError> {
        let of = |lists: bool| {
            self.lists
                .iter()
                .find(|(path, list)| list.name == *name && has_extension(path, "conflist") == lists)
        };
        match of(true).or_else(|| of(false)) {
            Some((_, list)) => Ok(list),
            None => Err(ConfError::NotFound {
                name: name.clone(),
                dir: self.dir.clone(),
                broken: Broken(self.broken.iter().map(|(p, _)| p.clone()).collect()),
            }),
        }
    }
}

/// Loads every `.conf`, `.json` and `.conflist` of a directory. A file that
/// cannot be loaded is reported and hides no other; a directory that does not
/// exist has no files.
///
/// # Errors
/// [`ConfError::Read`] when the directory cannot be listed.
pub fn load_directory(dir: &Path) -> Result<ConfDirectory, ConfError> {
    let mut directory = ConfDirectory {
        dir: dir.to_owned(),
        ..ConfDirectory::default()
    };
    for path in files(dir, &["conf", "conflist", "json"])? {
        match load_file(&path) {
            Ok(list) => directory.lists.push((path, list)),
            Err(error) => directory.broken.push((path, error)),
        }
    }
    Ok(directory)
}

/// Loads one file: a list, or a single plugin's configuration as a list of one.
/// A list takes up the plugins of the folder beside it that has the network's
/// name, unless it says `loadOnlyInlinedPlugins`.
///
/// # Errors
/// Every [`ConfError`] but `NotFound`, each naming the file.
pub fn load_file(path: &Path) -> Result<ConfList, ConfError> {
    let mut list = ConfList::from_slice(&read(path)?).map_err(|e| e.of_file(path))?;
    if !list.load_only_inlined_plugins {
        let beside = path.with_file_name(list.name.as_str());
        for path in files(&beside, &["conf"])? {
            let plugin = plugin_from_slice(&read(&path)?).map_err(|e| e.of_file(&path))?;
            list.plugins.push(plugin);
        }
    }
    if list.plugins.is_empty() {
        return Err(ConfError::Invalid {
            origin: Origin::File(path.to_owned()),
            faults: vec![Fault {
                at: "plugins".into(),
                reason: FaultReason::NoPlugin,
            }],
        });
    }
    Ok(list)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension() == Some(OsStr::new(extension))
}

fn files(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, ConfError> {
    let error = |source| ConfError::Read {
        path: dir.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(error(e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(error)?.path();
        let wanted = extensions.iter().any(|e| has_extension(&path, e));
        if wanted && !path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Vec<u8>, ConfError> {
    let error = |source| ConfError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(error)?;
    file.take(MAX_INPUT + 1)
        .read_to_end(&mut text)
        .map_err(error)?;
    if text.len() as u64 > MAX_INPUT {
        return Err(ConfError::TooLarge {
            origin: Origin::File(path.to_owned()),
        });
    }
    Ok(text)
}
