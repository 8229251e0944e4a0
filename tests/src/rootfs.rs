//! The file system of a container in which there is nothing but busybox.

use std::path::Path;
use std::process::Command;

/// Makes it in the folder `$0`.
const MAKE: &str = r#"
set -e
mkdir -p "$0"
cd "$0"
mkdir -p bin dev etc proc root run sbin sys tmp usr/bin var
cp /bin/busybox bin/busybox 2>/dev/null || cp /usr/bin/busybox bin/busybox
chroot . /bin/busybox --install -s /bin
ln -s ../bin/busybox sbin/init
ln -s ../run var/run
echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
echo 'root:x:0:' >etc/group
echo 'null::respawn:/bin/sleep 100000' >etc/inittab
"#;

/// Makes the file system.
///
/// # Panics
/// If it cannot be made.
#[track_caller]
pub(crate) fn make(dir: &Path) {
    let output = Command::new("sh").args(["-c", MAKE]).arg(dir).output();
    let output = output.expect("sh can be started");
    assert!(
        output.status.success(),
        "no busybox in {}: {}; install busybox-static",
        dir.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}
