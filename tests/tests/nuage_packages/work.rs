//! A folder of a test, and the scripts that fill it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// The root of the sources.
pub(crate) const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A folder on the disk; it goes with this value.
pub(crate) struct Work(PathBuf);

impl Work {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fairlead-nuage-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder on the disk");
        Self(folder)
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A copy of what the scripts need, to be changed.
    pub(crate) fn sources(&self) -> PathBuf {
        let copy = self.path("sources");
        let script = "mkdir -p \"$1/scripts\" \"$1/packaging\" && cd \"$0\" && cp -a Cargo.toml \"$1/\" \
                      && cp -a scripts/make-nuage-package \"$1/scripts/\" && cp -a packaging/nuage \"$1/packaging/\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, SOURCES]).arg(&copy);
        done(&mut command);
        copy
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What is left of it does no harm.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// `scripts/make-nuage-package KIND BINARY TARGET` of these sources.
pub(crate) fn package(sources: &Path, kind: &str, binary: &Path, target: &Path) -> Command {
    let mut command = Command::new(sources.join("scripts/make-nuage-package"));
    command.arg(kind).arg(binary).arg(target);
    command.env_remove("version");
    command
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|e| panic!("cannot start {command:?}: {e}; run scripts/install-deps"))
}

/// What it printed.
#[track_caller]
pub(crate) fn done(command: &mut Command) -> String {
    let output = run(command);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    String::from_utf8(output.stdout).expect("output is text")
}

/// What it told people, when it refused.
#[track_caller]
pub(crate) fn refused(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        !output.status.success(),
        "{command:?} shall fail: {output:?}"
    );
    String::from_utf8(output.stderr).expect("what it told is text")
}
