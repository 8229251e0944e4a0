//! Where Fairlead keeps its files.

use std::path::{Path, PathBuf};

/// The directory that every path of Fairlead is below: `/` unless `--root` or
/// `FAIRLEAD_ROOT` says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The variable that moves every path.
    pub const ENV: &'static str = "FAIRLEAD_ROOT";

    /// Everything below `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// From the value of [`Root::ENV`]; unset or empty means `/`.
    #[must_use]
    pub fn from_env_value(value: Option<std::ffi::OsString>) -> Self {
        value
            .filter(|v| !v.is_empty())
            .map_or_else(Self::default, Self::new)
    }

    /// The directory itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// `etc/fairlead`: what a person or the cluster declares.
    #[must_use]
    pub fn etc(&self) -> PathBuf {
        self.0.join("etc/fairlead")
    }

    /// `var/lib/fairlead`: what the node remembers.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.0.join("var/lib/fairlead")
    }

    /// `run/fairlead`: sockets and locks, gone with a reboot.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.0.join("run/fairlead")
    }

    /// `run/fairlead-dns`: the socket at which a PowerDNS server asks. Others than root have
    /// to get there.
    #[must_use]
    pub fn dns(&self) -> PathBuf {
        self.0.join("run/fairlead-dns")
    }

    /// Makes `run/fairlead`, which is root's alone: who can open a lock there can hold up
    /// everybody.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_run(&self) -> std::io::Result<PathBuf> {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        let dir = self.run();
        if let Some(above) = dir.parent() {
            std::fs::create_dir_all(above)?;
        }
        match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
            Err(_) => {
                let permissions = std::fs::Permissions::from_mode(0o700);
                std::fs::set_permissions(&dir, permissions).map(|()| dir)
            }
            Ok(()) => Ok(dir),
        }
    }

    /// A default path that is absolute on the machine, moved below the root.
    #[must_use]
    pub fn join(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::new("/")
    }
}
