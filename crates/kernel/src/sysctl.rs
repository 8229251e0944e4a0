//! Kernel settings below `/proc/sys`. Those of `net` belong to the network namespace
//! of the calling thread.

use crate::KernelError;
use rustix::fs::StatVfsMountFlags;
use rustix::mount::MountFlags;
use std::path::PathBuf;

/// Where they are.
const DIR: &str = "/proc/sys";

fn path(key: &str) -> PathBuf {
    PathBuf::from(DIR).join(key)
}

/// Reads the setting `key`, a path such as `net/ipv4/ip_forward` (a slash between
/// parts, since an interface name may contain dots). The final newline is taken off.
///
/// # Errors
/// [`KernelError::Io`] when the kernel has no such setting.
pub fn read(key: &str) -> Result<String, KernelError> {
    let text =
        std::fs::read_to_string(path(key)).map_err(|e| KernelError::io("read sysctl", key, e))?;
    Ok(text.trim_end().to_owned())
}

/// Sets `key` to `value`.
///
/// # Errors
/// [`KernelError::Io`] when there is no such setting or it may not be written.
pub fn write(key: &str, value: &str) -> Result<(), KernelError> {
    std::fs::write(path(key), value).map_err(|e| KernelError::io("write sysctl", key, e))
}

/// Sets `key` to `value` unless it has it already, and tells whether it wrote.
///
/// # Errors
/// As [`read`] and [`write()`].
pub fn ensure(key: &str, value: &str) -> Result<bool, KernelError> {
    if read(key)? == value {
        return Ok(false);
    }
    write(key, value).map(|()| true)
}

/// Makes `/proc/sys` writable in this process's mount namespace, where an engine of
/// containers mounted it read-only. What is writable already is left alone.
///
/// # Errors
/// [`KernelError::Io`] when the process lacks the right, or all of `/proc` is read-only.
pub fn make_writable() -> Result<(), KernelError> {
    // Some engines leave the settings of the network writable, by a mount of their own.
    let dir = path("net");
    let of_dir = rustix::fs::statvfs(&dir)
        .map_err(|e| KernelError::io("look at the mount of", dir.display(), e))?;
    if !of_dir.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    let flags = MountFlags::BIND
        | MountFlags::NOSUID
        | MountFlags::NODEV
        | MountFlags::NOEXEC
        | MountFlags::RELATIME;
    rustix::mount::mount_remount(DIR, flags, "")
        .map_err(|e| KernelError::io("make writable", DIR, e))
}

/// Sets `key` to `value` where that can be had: a kernel without the setting behaves as
/// if it were not asked for, and a `/proc/sys` that may not be written keeps what it has.
///
/// # Errors
/// As [`write()`], other than 'no such setting' and 'may not be written'.
pub fn write_if_possible(key: &str, value: &str) -> Result<(), KernelError> {
    match write(key, value) {
        Err(error)
            if error.is_not_found()
                || error.is_forbidden()
                || error.errno() == Some(rustix::io::Errno::ROFS) =>
        {
            Ok(())
        }
        other => other,
    }
}
