//! The two files on disk: reading, the lock, and replacing one whole.

use crate::{ConfigError, Document};
use fairlead_types::Root;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Who may look into the directories that are made here: everybody. The files are root's.
const DIRECTORY: u32 = 0o755;

/// Which file a change goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `cluster.conf`, the same on every node.
    Cluster,
    /// `node.conf`, this node's own.
    Node,
}

/// What a change or a check is of: one of the two files, or the file of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    File(Target),
    Service,
}

impl From<Target> for Layer {
    fn from(target: Target) -> Self {
        Self::File(target)
    }
}

impl Target {
    /// The file below `root`.
    #[must_use]
    pub fn path(self, root: &Root) -> PathBuf {
        root.etc().join(match self {
            Self::Cluster => "cluster.conf",
            Self::Node => "node.conf",
        })
    }

    /// The file below `root` as a document; one that is not there is empty.
    ///
    /// # Errors
    /// A file that cannot be read, naming file and line.
    pub fn read(self, root: &Root) -> Result<Document, ConfigError> {
        read(&self.path(root))
    }

    /// The whole file in one go: `work` gets its text, whatever that is (nothing if
    /// there is no file), and says the new one, while no one else can change either
    /// file. The same text is not written.
    ///
    /// # Errors
    /// What `work` fails with, and then nothing is written; else a file that cannot
    /// be read or written.
    pub fn rewrite<T, E: From<ConfigError>>(
        self,
        root: &Root,
        work: impl FnOnce(Option<&str>) -> Result<(Option<String>, T), E>,
    ) -> Result<T, E> {
        let _lock = lock(root)?;
        let path = self.path(root);
        let before = match std::fs::read(&path) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(ConfigError::Read { path, source }.into()),
        };
        let (after, done) = work(before.as_deref())?;
        if let Some(after) = after.filter(|a| before.as_ref() != Some(a)) {
            write(&path, &after)?;
        }
        Ok(done)
    }
}

/// Reads a file; one that is not there is empty.
pub(crate) fn read(path: &Path) -> Result<Document, ConfigError> {
    let path_buf = || path.to_path_buf();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => {
            let path = path_buf();
            return Err(ConfigError::Read { path, source });
        }
    };
    let text = String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        ConfigError::Encoding {
            path: path_buf(),
            line: good.iter().filter(|b| **b == b'\n').count() + 1,
        }
    })?;
    Document::parse(&text).map_err(|source| ConfigError::Malformed {
        path: path_buf(),
        source,
    })
}

/// Waits for the lock that every change of either file holds. It ends with the
/// returned file.
pub(crate) fn lock(root: &Root) -> Result<File, ConfigError> {
    let path = root.run().join("config.lock");
    let open = || {
        directory(&root.run(), DIRECTORY)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|source| ConfigError::Lock {
        path: path.clone(),
        source,
    })
}

/// Writes one of the two files. A symbolic link stays one, and the file behind it is
/// replaced.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), ConfigError> {
    let real = match path.canonicalize() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(path.to_path_buf()),
        found => found,
    };
    real.and_then(|real| replace(&real, text.as_bytes(), DIRECTORY))
        .map_err(|source| ConfigError::Write {
            path: path.to_path_buf(),
            source,
        })
}

/// Replaces a file at once: readers see the old content or the new one, also after a crash.
/// It is its owner's alone (mode 0600). Where its directory is missing it is made, with `mode`.
///
/// # Errors
/// What the kernel refuses; the old content is there then.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    directory(dir, mode)?;
    // The temporary file is made with mode 0600, which the new one keeps.
    let mut file = tempfile::Builder::new()
        .prefix(".fairlead-")
        .tempfile_in(dir)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    File::open(dir)?.sync_all()
}

fn directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}
