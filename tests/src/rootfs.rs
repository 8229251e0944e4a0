//! The file system of a container: busybox, and the C library's resolver to look names up
//! as most programs do.

use std::path::Path;
use std::process::Command;

/// Makes it in the folder `$0`. What `getent` needs is found as the loader finds it.
const MAKE: &str = r#"
set -e
getent=$(command -v getent)
libraries=$(ldd "$getent" | grep -o '/[^ ]*')
mkdir -p "$0"
cd "$0"
mkdir -p bin dev etc proc root run sbin sys tmp usr/bin var
cp /bin/busybox bin/busybox 2>/dev/null || cp /usr/bin/busybox bin/busybox
chroot . /bin/busybox --install -s /bin
ln -s ../bin/busybox sbin/init
ln -s ../run var/run
echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
echo 'root:x:0:' >etc/group
for file in "$getent" $libraries; do
    mkdir -p ".${file%/*}"
    cp -L "$file" ".$file"
done
echo 'hosts: files dns' >etc/nsswitch.conf
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
        "no file system in {}: {}; install busybox-static and libc-bin",
        dir.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}
