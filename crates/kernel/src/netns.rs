//! Network namespaces: make, open, compare, enter, remove.
//!
//! A namespace is entered by a closure on a thread of its own that ends with it, so
//! no error path can leave a thread in the wrong namespace.

use crate::KernelError;
use rustix::fs::{Mode, OFlags, fstat};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What makes a namespace that one and no other: the file system and inode number
/// of its file in `nsfs`. It is reused only after the namespace is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NsId {
    /// The device number of `nsfs`.
    pub dev: u64,
    /// The inode number.
    pub ino: u64,
}

/// An open network namespace. It lives as long as this value, even if its path goes.
#[derive(Debug)]
pub struct NetNs {
    file: OwnedFd,
    path: PathBuf,
}

impl NetNs {
    /// Opens the namespace that `path` leads to (`/run/netns/x`, `/proc/1/ns/net`).
    ///
    /// # Errors
    /// [`KernelError::Io`] when there is no such path, or it is no network namespace.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, KernelError> {
        let path = path.as_ref();
        let error = |source: rustix::io::Errno| {
            KernelError::io("open network namespace", path.display(), source)
        };
        // O_NONBLOCK, since the path may be a FIFO that nobody writes to.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(error)?;
        if !is_network_namespace(&file).map_err(error)? {
            let source = std::io::Error::other("it is not a network namespace");
            return Err(KernelError::io(
                "open network namespace",
                path.display(),
                source,
            ));
        }
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// The namespace that the calling thread is in.
    ///
    /// # Errors
    /// [`KernelError::Io`] when `/proc` is not there.
    pub fn current() -> Result<Self, KernelError> {
        Self::open("/proc/thread-self/ns/net")
    }

    /// The namespace of a process.
    ///
    /// # Errors
    /// [`KernelError::Io`] when there is no such process.
    pub fn of_pid(pid: u32) -> Result<Self, KernelError> {
        Self::open(format!("/proc/{pid}/ns/net"))
    }

    /// Makes a new namespace and keeps it alive by a mount on `path`, as `ip netns
    /// add` does. Its loopback interface is down.
    ///
    /// # Errors
    /// [`KernelError::Io`] when the path exists or the process lacks the right;
    /// nothing is left behind.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, KernelError> {
        let path = path.as_ref();
        let error = |source: std::io::Error| {
            KernelError::io("create network namespace", path.display(), source)
        };
        if let Some(parent) = path.parent() {
            prepare_parent(parent).map_err(error)?;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL;
        rustix::fs::open(path, flags, Mode::empty()).map_err(|e| error(e.into()))?;
        let made = on_own_thread(|| {
            enter_new()?;
            rustix::mount::mount_bind("/proc/thread-self/ns/net", path)
        });
        match made {
            Ok(()) => Self::open(path),
            Err(source) => {
                let _ = std::fs::remove_file(path);
                Err(error(source.into()))
            }
        }
    }

    /// Takes away the mount and the file that [`NetNs::create`] made; 'already
    /// gone' is success. The namespace itself ends with its last user.
    ///
    /// # Errors
    /// [`KernelError::Io`] when the path is there and cannot be removed.
    pub fn remove(path: impl AsRef<Path>) -> Result<(), KernelError> {
        let path = path.as_ref();
        let error = |source: std::io::Error| {
            KernelError::io("remove network namespace", path.display(), source)
        };
        match rustix::mount::unmount(path, UnmountFlags::DETACH) {
            Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::INVAL) => {}
            Err(source) => return Err(error(source.into())),
        }
        match std::fs::remove_file(path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(error(source)),
            _ => Ok(()),
        }
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its identity.
    ///
    /// # Errors
    /// [`KernelError::Io`] if the kernel cannot tell, which does not happen for an
    /// open file of `nsfs`.
    pub fn id(&self) -> Result<NsId, KernelError> {
        let stat = fstat(&self.file)
            .map_err(|e| KernelError::io("stat network namespace", self.path.display(), e))?;
        Ok(NsId {
            dev: stat.st_dev,
            ino: stat.st_ino,
        })
    }

    /// Runs `work` on a new thread inside the namespace, waits for it and returns
    /// what it returned. The thread ends with the closure. A panic goes on in the
    /// caller.
    ///
    /// # Errors
    /// [`KernelError::Io`] when the namespace cannot be entered; `work` has not run.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, KernelError> {
        on_own_thread(|| {
            enter(self.file.as_fd())?;
            Ok(work())
        })
        .map_err(|e| KernelError::io("enter network namespace", self.path.display(), e))
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl fmt::Display for NetNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.path.display(), f)
    }
}

fn on_own_thread<T: Send>(
    work: impl FnOnce() -> rustix::io::Result<T> + Send,
) -> rustix::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, work)
            .map_err(|e| {
                rustix::io::Errno::from_io_error(&e).unwrap_or(rustix::io::Errno::AGAIN)
            })?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a thread enters a namespace"
)]
fn enter(namespace: BorrowedFd<'_>) -> rustix::io::Result<()> {
    rustix::thread::move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a namespace is made"
)]
fn enter_new() -> rustix::io::Result<()> {
    // SAFETY: CLONE_NEWNET changes only which network namespace this thread is in.
    // No file descriptor, memory or file system state that safe code relies on is
    // unshared, and the thread ends right after.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
}

/// `/run/netns` must be a mount point with shared propagation, so that a namespace
/// mounted there is seen in (and can be removed from) other mount namespaces; this
/// is what `ip netns add` prepares too.
fn prepare_parent(parent: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(parent)?;
    if parent != Path::new("/run/netns") && parent != Path::new("/var/run/netns") {
        return Ok(());
    }
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    match rustix::mount::mount_change(parent, shared) {
        Err(rustix::io::Errno::INVAL) => {
            rustix::mount::mount(
                parent,
                parent,
                "none",
                MountFlags::BIND | MountFlags::REC,
                None,
            )?;
            rustix::mount::mount_change(parent, shared)?;
            Ok(())
        }
        other => Ok(other?),
    }
}

/// Whether the file is a network namespace: one of `nsfs`, and of that type
/// (`ioctl_ns(2)`; Linux 4.11, before which any namespace is taken for one).
fn is_network_namespace(file: &OwnedFd) -> rustix::io::Result<bool> {
    const NSFS_MAGIC: u64 = 0x6e73_6673;
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    let stat = rustix::fs::fstatfs(file)?;
    if u64::try_from(stat.f_type) != Ok(NSFS_MAGIC) {
        return Ok(false);
    }
    // SAFETY: NS_GET_NSTYPE takes no argument and writes to no memory of ours; the
    // descriptor is open for as long as it is borrowed here.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    Ok(kind == libc::CLONE_NEWNET || kind == -1)
}
