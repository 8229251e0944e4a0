//! The network namespace that a row belongs to.

use crate::{StoreError, process};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A network namespace by its path and by what stands behind it: the path may be used
/// again for another namespace, and so may the inode number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NetnsRef {
    /// Where it can be opened: a bind mount or `/proc/PID/ns/net`.
    pub path: PathBuf,
    /// The device of the namespace's inode.
    pub dev: u64,
    /// The inode number of the namespace. The kernel gives it to another one soon.
    pub ino: u64,
    /// What tells it from a later one with the same number: when the mounted file was
    /// made, in nanoseconds, or when the process of a `/proc` path started, in ticks; 0
    /// where neither can be known.
    pub born: u64,
}

impl NetnsRef {
    /// What stands behind `path` now.
    ///
    /// # Errors
    /// [`StoreError::Netns`] when the path cannot be looked at.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Netns {
            path: path.into(),
            source,
        };
        // Whoever reads the record stands elsewhere.
        let path = std::path::absolute(path).map_err(failed)?;
        let (dev, ino, born) = identity(&path).map_err(|errno| failed(errno.into()))?;
        Ok(Self {
            path,
            dev,
            ino,
            born,
        })
    }

    /// Whether the namespace is still behind its path. A path that is gone, or
    /// that leads to something else, says no; when the system refuses to tell
    /// the answer is yes, because what is reclaimed by mistake hurts more.
    #[must_use]
    pub fn is_live(&self) -> bool {
        use rustix::io::Errno;
        match identity(&self.path) {
            Ok((dev, ino, born)) => {
                let known = self.born != 0 && born != 0;
                (dev, ino) == (self.dev, self.ino) && (!known || born == self.born)
            }
            // ESRCH: the process of a /proc path ended between two steps.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::SRCH) => false,
            Err(_) => true,
        }
    }
}

/// What stands behind a path now: device, inode, and birth as [`NetnsRef::born`] has it.
fn identity(path: &Path) -> rustix::io::Result<(u64, u64, u64)> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, makedev, statx};
    let stat = statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS)?;
    let dev = makedev(stat.stx_dev_major, stat.stx_dev_minor);
    let born = if stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        // A mount keeps the file in memory, so its time is that of its making.
        let seconds = u64::try_from(stat.stx_ctime.tv_sec).unwrap_or(0);
        seconds
            .wrapping_mul(1_000_000_000)
            .wrapping_add(stat.stx_ctime.tv_nsec.into())
    } else {
        process_of(path).map_or(0, |pid| process::started(pid).unwrap_or(0))
    };
    Ok((dev, stat.stx_ino, born))
}

/// The process of a path `/proc/PID/...`.
fn process_of(path: &Path) -> Option<u32> {
    path.to_str()?
        .strip_prefix("/proc/")?
        .split('/')
        .next()?
        .parse()
        .ok()
}

/// Written as `dev:ino:born:path`, one column that a person can read.
impl ToSql for NetnsRef {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        use std::os::unix::ffi::OsStrExt;
        let mut text = format!("{}:{}:{}:", self.dev, self.ino, self.born).into_bytes();
        text.extend_from_slice(self.path.as_os_str().as_bytes());
        Ok(match String::from_utf8(text) {
            Ok(text) => text.into(),
            Err(bytes) => bytes.into_bytes().into(),
        })
    }
}

impl FromSql for NetnsRef {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        use std::os::unix::ffi::OsStrExt;
        let bytes = value.as_bytes()?;
        let mut parts = bytes.splitn(4, |byte| *byte == b':');
        let mut number = || -> Option<u64> {
            let digits = parts.next()?;
            std::str::from_utf8(digits).ok()?.parse().ok()
        };
        match (number(), number(), number(), parts.next()) {
            (Some(dev), Some(ino), Some(born), Some(path)) => Ok(Self {
                path: std::ffi::OsStr::from_bytes(path).into(),
                dev,
                ino,
                born,
            }),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_lives_as_long_as_its_inode_is_behind_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ns");
        std::fs::write(&path, "").unwrap();
        let mut netns = NetnsRef::of(&path).unwrap();
        assert!(netns.is_live());
        netns.ino += 1;
        assert!(!netns.is_live(), "another inode behind the same path");
        let netns = NetnsRef::of(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!netns.is_live());
        assert!(NetnsRef::of(&path).is_err());
        let below = NetnsRef {
            path: "/dev/null/ns".into(),
            ..netns
        };
        assert!(!below.is_live(), "a part of the path became a file");
    }

    #[test]
    fn a_path_that_cannot_be_looked_at_counts_as_live() {
        let name = "x".repeat(300);
        let netns = NetnsRef {
            path: Path::new("/").join(name),
            dev: 1,
            ino: 1,
            born: 0,
        };
        assert!(netns.is_live(), "ENAMETOOLONG says nothing about it");
    }

    #[test]
    fn a_dead_process_has_no_live_namespace() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let path = format!("/proc/{}/ns/net", child.id());
        let netns = NetnsRef::of(Path::new(&path)).unwrap();
        assert!(netns.is_live());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!netns.is_live());
    }

    #[test]
    fn the_column_keeps_paths_with_colons_and_odd_bytes() {
        use std::os::unix::ffi::OsStrExt;
        for path in [&b"/run/netns/a:b"[..], b"/run/\xff"] {
            let netns = NetnsRef {
                path: std::ffi::OsStr::from_bytes(path).into(),
                dev: 4,
                ino: u64::MAX,
                born: 7,
            };
            let out = netns.to_sql().unwrap();
            let value = match &out {
                ToSqlOutput::Owned(value) => ValueRef::from(value),
                other => panic!("{other:?}"),
            };
            assert_eq!(NetnsRef::column_result(value).ok(), Some(netns.clone()));
        }
        for bad in ["", "1:2", "1:2:3", "x:1:1:/p"] {
            assert!(NetnsRef::column_result(ValueRef::Text(bad.as_bytes())).is_err());
        }
    }
}
