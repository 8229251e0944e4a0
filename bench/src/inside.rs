//! The place of a run: network and mount namespaces of its own, which end with the
//! process, and everything it made with them.

use anyhow::{Context, Result, bail};
use fairlead_kernel::NetNs;
use rustix::mount::{MountFlags, mount};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Set for the process that already is in namespaces of its own.
const MARK: &str = "FAIRLEAD_BENCH_INSIDE";

/// Whether this process already is in namespaces of its own.
#[must_use]
pub fn is_inside() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Starts this program again in new network, mount and UTS namespaces, and returns how
/// it ended.
///
/// # Errors
/// When this is not root, or `unshare` cannot be started.
pub fn start_again(arguments: &[OsString]) -> Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        bail!("network namespaces need root: run `sudo make bench`");
    }
    let program = std::env::current_exe().context("find the program itself")?;
    let status = Command::new("unshare")
        .args(["--mount", "--net", "--uts", "--propagation", "private"])
        .arg(program)
        .args(arguments)
        .env(MARK, "1")
        .status()
        .context("start unshare (Debian package util-linux)")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The place itself.
#[derive(Debug)]
pub struct Place {
    made: std::cell::Cell<u32>,
}

impl Place {
    /// Where files of a run are: a file system in memory that only this run sees.
    pub const DIR: &'static str = "/run";

    /// Hides `/run` and the reference plugins' state behind empty file systems.
    ///
    /// # Errors
    /// When they cannot be mounted.
    pub fn prepare() -> Result<Self> {
        for dir in [Self::DIR, "/var/lib/cni"] {
            if Path::new(dir).exists() {
                mount("tmpfs", dir, "tmpfs", MountFlags::empty(), c"mode=0755")
                    .with_context(|| format!("mount a file system in memory on {dir}"))?;
            }
        }
        Ok(Self {
            made: std::cell::Cell::new(0),
        })
    }

    /// A new directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = Path::new(Self::DIR)
            .join("bench")
            .join(format!("{name}-{}", self.number()));
        std::fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(path)
    }

    /// A new network namespace.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn namespace(&self, name: &str) -> Result<NetNs> {
        let path = Path::new("/run/netns").join(format!("{name}-{}", self.number()));
        Ok(NetNs::create(path)?)
    }

    fn number(&self) -> u32 {
        self.made.set(self.made.get() + 1);
        self.made.get()
    }
}
