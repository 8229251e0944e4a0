//! Where cargo has put the programs that the tests start.

use std::path::{Path, PathBuf};

/// A program of this package, such as `peer`.
///
/// # Panics
/// If it is not beside the running test.
#[must_use]
pub fn built_binary(name: &str) -> PathBuf {
    let path = profile_dir().join(name);
    assert!(
        path.is_file(),
        "{} is missing: cargo builds it together with the tests of fairlead-tests",
        path.display()
    );
    path
}

/// The product: `FAIRLEAD_BIN`, or the newest of cargo's `debug` and `release`
/// builds beside the running test.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn fairlead_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("FAIRLEAD_BIN") {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "FAIRLEAD_BIN: {} is not a file",
            path.display()
        );
        return path;
    }
    let profile = profile_dir();
    let builds = profile.parent().unwrap_or(&profile);
    ["debug/fairlead", "release/fairlead"]
        .iter()
        .map(|name| builds.join(name))
        .filter_map(|path| Some((modified(&path)?, path)))
        .max()
        .map(|(_, path)| path)
        .unwrap_or_else(|| {
            panic!(
                "no fairlead in {}/{{debug,release}}: build it with make build",
                builds.display()
            )
        })
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// `target/<triple>/<profile>`: the running test is in its `deps` folder.
pub(crate) fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of the running test");
    let dir = exe.parent().expect("a folder around the running test");
    if dir.ends_with("deps") {
        dir.parent().expect("a folder around deps").to_path_buf()
    } else {
        dir.to_path_buf()
    }
}
