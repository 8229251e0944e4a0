//! The implementation under test, and one call of one of its plugins.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::Value;

use crate::built::{fairlead_binary, profile_dir};
use crate::place::{Place, text};

/// The plugins that both implementations have.
const NAMES: [&str; 6] = [
    "bridge",
    "host-local",
    "static",
    "loopback",
    "ptp",
    "portmap",
];

/// A folder of CNI plugins.
#[derive(Debug, Clone)]
pub struct Plugins {
    dir: PathBuf,
    versions: &'static [String],
    reference: bool,
}

impl Plugins {
    /// Debian's `containernetworking-plugins`.
    ///
    /// # Panics
    /// If they are not installed.
    #[must_use]
    pub fn reference() -> Self {
        static VERSIONS: OnceLock<Vec<String>> = OnceLock::new();
        let dir = PathBuf::from("/usr/lib/cni");
        assert!(
            dir.join("bridge").is_file(),
            "/usr/lib/cni/bridge is missing: apt-get install containernetworking-plugins"
        );
        Self {
            versions: VERSIONS.get_or_init(|| ask_versions(&dir)),
            dir,
            reference: true,
        }
    }

    /// This workspace's binary under the plugins' names.
    ///
    /// # Panics
    /// If it is not built.
    #[must_use]
    pub fn ours() -> Self {
        static FOUND: OnceLock<(PathBuf, Vec<String>)> = OnceLock::new();
        let (dir, versions) = FOUND.get_or_init(|| {
            let dir = link_names(&fairlead_binary(), "cni-plugins", &NAMES);
            let versions = ask_versions(&dir);
            (dir, versions)
        });
        Self {
            dir: dir.clone(),
            versions,
            reference: false,
        }
    }

    /// Is this Debian's? For the few places where it is known to be wrong.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        self.reference
    }

    /// The name that `uml_main` knows it by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.reference { "reference" } else { "ours" }
    }

    /// The folder of the programs that the names in [`Plugins::dir`] lead to.
    ///
    /// # Panics
    /// If the plugins have been removed meanwhile.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        let program = self
            .dir
            .join("bridge")
            .canonicalize()
            .expect("the bridge plugin");
        program
            .parent()
            .expect("a folder around the program")
            .to_path_buf()
    }

    /// The folder, as `CNI_PATH` has it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The specification versions that the implementation says it speaks, oldest first.
    #[must_use]
    pub fn versions(&self) -> &'static [String] {
        self.versions
    }

    /// The versions from `first` on.
    pub fn versions_since(&self, first: &str) -> impl Iterator<Item = &'static String> {
        let at = self.versions.iter().position(|v| v == first);
        self.versions.iter().skip(at.unwrap_or_else(|| {
            panic!("{first} is not among {:?}", self.versions);
        }))
    }

    /// Calls a plugin in `place`.
    #[must_use]
    #[track_caller]
    pub fn call(&self, place: &impl Place, call: &Call<'_>) -> Outcome {
        let mut command = place.command(self.dir.join(call.plugin));
        for (name, value) in [
            ("CNI_COMMAND", call.command),
            ("CNI_CONTAINERID", call.container),
            ("CNI_NETNS", call.netns),
            ("CNI_IFNAME", call.ifname),
            ("CNI_ARGS", call.args),
        ] {
            command.env(name, value);
        }
        command.env("CNI_PATH", &self.dir);
        for name in call.unset {
            command.env_remove(name);
        }
        run(
            command,
            call.stdin.as_bytes(),
            format!("{} {}", call.plugin, call.command),
        )
    }
}

/// One call: the environment and the standard input.
#[derive(Debug, Clone, Default)]
pub struct Call<'a> {
    /// The program's name.
    pub plugin: &'a str,
    /// `CNI_COMMAND`.
    pub command: &'a str,
    /// `CNI_CONTAINERID`.
    pub container: &'a str,
    /// `CNI_NETNS`.
    pub netns: &'a str,
    /// `CNI_IFNAME`.
    pub ifname: &'a str,
    /// `CNI_ARGS`.
    pub args: &'a str,
    /// What the plugin reads.
    pub stdin: String,
    /// Variables that shall not be there at all.
    pub unset: &'a [&'a str],
}

/// How a call ended.
#[derive(Debug)]
pub struct Outcome {
    /// Which call it was, for messages.
    what: String,
    /// What it printed.
    pub stdout: String,
    /// What it told people.
    pub stderr: String,
    /// Its exit status; none if a signal ended it.
    pub status: Option<i32>,
}

/// The error that a plugin printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The specification's number, or the plugin's own from 100 on.
    pub code: u64,
    /// What happened.
    pub msg: String,
    /// More of it, often empty.
    pub details: String,
}

impl Outcome {
    /// The JSON that a successful call printed.
    ///
    /// # Panics
    /// If it failed.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.status, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"))
    }

    /// Asserts that the call succeeded and printed nothing, as DEL and CHECK do.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn done(&self) {
        assert_eq!(
            (self.status, self.stdout.as_str()),
            (Some(0), ""),
            "{self:?}"
        );
    }

    /// The error that a failed call printed.
    ///
    /// # Panics
    /// If it succeeded, or printed something else.
    #[track_caller]
    pub fn failure(&self) -> Failure {
        assert_eq!(self.status, Some(1), "a failure is expected: {self:?}");
        let error: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"));
        Failure {
            code: error["code"]
                .as_u64()
                .unwrap_or_else(|| panic!("no code: {self:?}")),
            msg: text(&error["msg"]),
            details: error["details"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// Asserts that the call failed with this code, and that message and details
    /// together have all these words, whatever the case.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn fails(&self, code: u64, words: &[&str]) {
        let failure = self.failure();
        let said = format!("{} {}", failure.msg, failure.details).to_lowercase();
        assert_eq!(failure.code, code, "{}: {failure:?}", self.what);
        for word in words {
            assert!(
                said.contains(&word.to_lowercase()),
                "{}: '{word}' is not in {failure:?}",
                self.what
            );
        }
    }
}

#[track_caller]
fn run(mut command: std::process::Command, stdin: &[u8], what: String) -> Outcome {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {what}: {e}"));
    let written = child.stdin.take().expect("a pipe").write_all(stdin);
    // A plugin that fails early need not read its input.
    assert!(
        written
            .as_ref()
            .err()
            .is_none_or(|e| e.kind() == ErrorKind::BrokenPipe),
        "{what}: {written:?}"
    );
    let output = child.wait_with_output().expect("the plugin's output");
    Outcome {
        what,
        stdout: String::from_utf8(output.stdout).expect("output is text"),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        status: output.status.code(),
    }
}

/// Asks `bridge` for its versions; this needs no place.
fn ask_versions(dir: &Path) -> Vec<String> {
    let mut command = std::process::Command::new(dir.join("bridge"));
    command.env("CNI_COMMAND", "VERSION");
    let answer = run(
        command,
        br#"{"cniVersion":"1.0.0"}"#,
        "bridge VERSION".to_owned(),
    )
    .json();
    answer["supportedVersions"]
        .as_array()
        .expect("supportedVersions is a list")
        .iter()
        .map(text)
        .collect()
}

/// A folder beside the tests with a link of each name to `binary`.
pub(crate) fn link_names(binary: &Path, folder: &str, names: &[&str]) -> PathBuf {
    let dir = profile_dir().join(folder);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("cannot make {}: {e}", dir.display()));
    for name in names {
        let link = dir.join(name);
        if fs::read_link(&link).is_ok_and(|target| target == binary) {
            continue;
        }
        // By rename: other test programs may be using the link at this moment.
        let new = dir.join(format!(".{name}.{}", std::process::id()));
        symlink(binary, &new)
            .and_then(|()| fs::rename(&new, &link))
            .unwrap_or_else(|e| panic!("cannot link {}: {e}", link.display()));
    }
    dir
}
