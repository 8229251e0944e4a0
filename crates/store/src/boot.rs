//! Which boot of the machine a row belongs to.

use crate::StoreError;
use std::fmt;
use std::io::Read;

/// The kernel's identifier of one boot: a new one is drawn each time the machine
/// starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootId(Box<str>);

impl BootId {
    /// Where the kernel tells it.
    const FILE: &'static str = "/proc/sys/kernel/random/boot_id";

    /// The boot that is running now.
    ///
    /// # Errors
    /// [`StoreError::BootId`] where `/proc` is not mounted.
    pub fn current() -> Result<Self, StoreError> {
        let failed = |source| StoreError::BootId {
            path: Self::FILE,
            source,
        };
        // One read: the file is a line of 37 bytes, and this is the hot path.
        let mut line = [0; 64];
        let mut file = std::fs::File::open(Self::FILE).map_err(failed)?;
        let len = file.read(&mut line).map_err(failed)?;
        Ok(Self::new(String::from_utf8_lossy(&line[..len]).trim_end()))
    }

    /// A boot by the identifier given, for a file that is looked at elsewhere.
    #[must_use]
    pub fn new(id: impl Into<Box<str>>) -> Self {
        Self(id.into())
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
