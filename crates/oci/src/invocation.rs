//! The command line of a runtime, as containerd's shim, conmon and people write it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Options before the sub-command that have a value, of runc, crun and youki.
const GLOBAL: [&str; 8] = [
    "log",
    "log-format",
    "log-level",
    "root",
    "criu",
    "rootless",
    "cgroup-manager",
    "debug-log",
];
/// The short ones of youki.
const GLOBAL_SHORT: [&str; 2] = ["l", "r"];

/// What a runtime is called for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The sub-command; none of a call with options only.
    pub(crate) verb: Option<String>,
    /// The last argument, which is the container's id of a verb that has one.
    pub(crate) id: Option<String>,
    /// The bundle, where one is named.
    pub(crate) bundle: Option<PathBuf>,
    /// Where the runtime writes what its caller shows.
    pub(crate) log: Option<PathBuf>,
    /// Whether that is in JSON.
    pub(crate) log_is_json: bool,
}

impl Invocation {
    /// What `arguments` call a runtime for, the program's name not among them.
    #[must_use]
    pub(crate) fn of(arguments: &[OsString]) -> Self {
        let mut found = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let Some((name, value)) = option(argument) else {
                found.verb = Some(argument.to_string_lossy().into_owned());
                break;
            };
            let has_value = GLOBAL.contains(&&*name) || GLOBAL_SHORT.contains(&&*name);
            let value = match (value, has_value) {
                (Some(value), _) => Some(value),
                (None, true) => rest.next().cloned(),
                (None, false) => None,
            };
            match &*name {
                "log" | "l" => found.log = value.map(PathBuf::from),
                "log-format" => found.log_is_json = value.is_some_and(|v| v == "json"),
                _ => {}
            }
        }
        let rest: Vec<&OsString> = rest.collect();
        let mut before: Option<&OsString> = None;
        for argument in &rest {
            match option(argument) {
                Some((name, Some(value))) if is_bundle(&name) => {
                    found.bundle = Some(PathBuf::from(value));
                }
                _ => {
                    let named = before.and_then(|before| option(before));
                    if named.is_some_and(|(name, value)| is_bundle(&name) && value.is_none()) {
                        found.bundle = Some(PathBuf::from(argument));
                    }
                }
            }
            before = Some(argument);
        }
        let last = rest.last().filter(|last| option(last).is_none());
        found.id = last.map(|id| id.to_string_lossy().into_owned());
        found
    }

    /// Whether a container is made by it.
    #[must_use]
    pub(crate) fn makes(&self) -> bool {
        matches!(self.verb.as_deref(), Some("create" | "run" | "restore"))
    }

    /// Whether standard output and error are the container's own, so that nothing else may
    /// be written there.
    #[must_use]
    pub(crate) fn has_the_containers_streams(&self) -> bool {
        self.makes() || self.verb.as_deref() == Some("exec")
    }

    /// The folder of the bundle: where it is named, where the log is, which the shim of
    /// containerd puts there, or where one stands.
    #[must_use]
    pub(crate) fn bundle(&self) -> PathBuf {
        if let Some(bundle) = &self.bundle {
            return bundle.clone();
        }
        let beside = self.log.as_deref().and_then(Path::parent);
        match beside.filter(|dir| dir.join("config.json").exists()) {
            Some(dir) => dir.to_owned(),
            None => PathBuf::from("."),
        }
    }
}

fn is_bundle(name: &str) -> bool {
    matches!(name, "bundle" | "b")
}

/// The name of an option and the value behind its `=`; none of another argument.
fn option(argument: &OsStr) -> Option<(String, Option<OsString>)> {
    let text = argument.as_bytes();
    let name = text
        .strip_prefix(b"--")
        .or_else(|| text.strip_prefix(b"-"))?;
    if name.is_empty() {
        return None;
    }
    let equals = name.iter().position(|byte| *byte == b'=');
    let (name, value) = match equals {
        Some(at) => (
            &name[..at],
            Some(OsStr::from_bytes(&name[at + 1..]).to_owned()),
        ),
        None => (name, None),
    };
    Some((String::from_utf8_lossy(name).into_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Invocation {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Invocation::of(&words)
    }

    #[test]
    fn the_calls_of_containerds_shim_are_read() {
        let create = of(
            "--root /run/docker/runtime-runc/moby --log B/log.json --log-format json \
            --systemd-cgroup create --bundle B --pid-file B/init.pid --console-socket S ID",
        );
        assert_eq!(create.verb.as_deref(), Some("create"));
        assert_eq!(create.id.as_deref(), Some("ID"));
        assert_eq!(create.bundle(), Path::new("B"));
        assert!(create.log_is_json && create.makes());
        let delete = of("--root R --log B/log.json --log-format json delete --force ID");
        assert_eq!(
            (delete.verb.as_deref(), delete.id.as_deref()),
            (Some("delete"), Some("ID"))
        );
        assert!(!delete.makes() && !delete.has_the_containers_streams());
        let exec = of("--log B/l exec --process F --detach --pid-file F ID");
        assert!(exec.has_the_containers_streams());
        let restore = of("--root R restore -no-subreaper --bundle B ID");
        assert!(restore.makes());
        assert_eq!(restore.bundle.as_deref(), Some(Path::new("B")));
        let update = of("--root R update --resources - ID");
        assert_eq!(update.verb.as_deref(), Some("update"));
    }

    #[test]
    fn every_way_to_name_a_bundle_is_known() {
        for line in [
            "create --bundle=B ID",
            "create -b B ID",
            "create -b=B ID",
            "run -bundle B ID",
        ] {
            assert_eq!(of(line).bundle.as_deref(), Some(Path::new("B")), "{line}");
            assert_eq!(of(line).id.as_deref(), Some("ID"));
        }
        assert_eq!(of("create ID").bundle(), Path::new("."));
        assert_eq!(of("create --bundle").bundle, None);
        assert_eq!(
            of("--log=/x/log.json create ID").log.as_deref(),
            Some(Path::new("/x/log.json"))
        );
    }

    #[test]
    fn a_value_is_no_verb_and_an_option_no_id() {
        assert_eq!(
            of("--log create features").verb.as_deref(),
            Some("features")
        );
        assert_eq!(of("--version").verb, None);
        assert_eq!(of("").verb, None);
        assert_eq!(of("list --format json").verb.as_deref(), Some("list"));
        assert_eq!(of("create --no-pivot").id, None);
        // Those without a value take none.
        assert_eq!(
            of("--debug --systemd-cgroup kill ID KILL").verb.as_deref(),
            Some("kill")
        );
    }
}
