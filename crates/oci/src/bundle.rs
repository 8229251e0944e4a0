//! A container's bundle: `config.json` (OCI runtime specification, "Configuration"), read as
//! a tree of values, so that what we do not know stays as it is.

use crate::OciError;
use crate::settings::Settings;
use fairlead_types::Root;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How large a configuration may be, in bytes.
const MAX_CONFIG: u64 = 16 << 20;

/// A bundle and its configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The folder, absolute.
    pub dir: PathBuf,
    config: Map<String, Value>,
}

/// Which network namespace a bundle asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// One of its own, which the runtime makes.
    Own,
    /// One that is there.
    Joined(PathBuf),
    /// The host's.
    Host,
}

impl Bundle {
    /// Reads the bundle in `dir`.
    ///
    /// # Errors
    /// [`OciError::Bundle`] and [`OciError::Form`], with the file.
    pub fn read(dir: &Path) -> Result<Self, OciError> {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.into());
        let path = dir.join("config.json");
        let failed = |source| OciError::Bundle {
            operation: "read",
            path: path.clone(),
            source,
        };
        let form = |reason: String| OciError::Form {
            path: path.clone(),
            reason,
        };
        let size = std::fs::metadata(&path).map_err(failed)?.len();
        if size > MAX_CONFIG {
            return Err(form(format!("{size} bytes are too many")));
        }
        let text = std::fs::read(&path).map_err(failed)?;
        match serde_json::from_slice(&text) {
            Ok(Value::Object(config)) => Ok(Self { dir, config }),
            Ok(_) => Err(form("it is no JSON object".into())),
            Err(error) => Err(form(error.to_string())),
        }
    }

    /// Which network namespace it asks for.
    #[must_use]
    pub fn network(&self) -> Network {
        match self.namespace().and_then(|entry| entry.get("path")) {
            _ if self.namespace().is_none() => Network::Host,
            Some(Value::String(path)) if !path.is_empty() => Network::Joined(path.into()),
            _ => Network::Own,
        }
    }

    /// Whether it has a user namespace, which then is to own its network namespace.
    #[must_use]
    pub fn has_user_namespace(&self) -> bool {
        let mut all = self.namespaces();
        all.any(|entry| entry.get("type").and_then(Value::as_str) == Some("user"))
    }

    fn namespaces(&self) -> impl Iterator<Item = &Value> {
        let linux = self.config.get("linux");
        let all = linux.and_then(|linux| linux.get("namespaces")?.as_array());
        all.into_iter().flatten()
    }

    fn namespace(&self) -> Option<&Value> {
        let is = |entry: &&Value| entry.get("type").and_then(Value::as_str) == Some("network");
        self.namespaces().find(is)
    }

    /// Lets the container join the namespace at `path` instead of having its own.
    pub fn join(&mut self, path: &Path) {
        let linux = self.config.get_mut("linux");
        let all = linux.and_then(|linux| linux.get_mut("namespaces")?.as_array_mut());
        for entry in all.into_iter().flatten() {
            if entry.get("type").and_then(Value::as_str) == Some("network") {
                entry["path"] = json!(path);
            }
        }
    }

    /// The annotations.
    #[must_use]
    pub fn annotations(&self) -> Option<&Map<String, Value>> {
        self.config.get("annotations")?.as_object()
    }

    /// The value of a variable of the container's environment: the first of that name.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        let all = self.config.get("process")?.get("env")?.as_array()?;
        let mut pairs = all.iter().filter_map(|v| v.as_str()?.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The container's host name.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        self.config
            .get("hostname")?
            .as_str()
            .filter(|name| !name.is_empty())
    }

    /// The file of the host that is mounted at a place of the container's.
    #[must_use]
    pub fn mounted_at(&self, place: &str) -> Option<PathBuf> {
        let mounts = self.config.get("mounts")?.as_array()?;
        let is = |mount: &&Value| mount.get("destination").and_then(Value::as_str) == Some(place);
        let source = mounts.iter().rev().find(is)?.get("source")?.as_str()?;
        Some(PathBuf::from(source)).filter(|path| path.is_absolute())
    }

    /// The folder that Docker keeps a container in, as long as it has it.
    #[must_use]
    pub fn docker_home(&self) -> Option<PathBuf> {
        // A user may mount a file of another place at one of them.
        let files = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].into_iter();
        let mut homes = files.filter_map(|file| Some(self.mounted_at(file)?.parent()?.to_owned()));
        homes.find(|home| home.join("config.v2.json").is_file())
    }

    /// Adds our hook to a stage, unless it is there.
    pub fn add_hook(&mut self, stage: &str, hook: Value) {
        let hooks = self.config.entry("hooks").or_insert_with(|| json!({}));
        if !hooks.is_object() {
            *hooks = json!({});
        }
        let Some(hooks) = hooks.as_object_mut() else {
            return;
        };
        let list = hooks.entry(stage).or_insert_with(|| json!([]));
        if !list.is_array() {
            *list = json!([]);
        }
        let Some(list) = list.as_array_mut() else {
            return;
        };
        let same = |other: &Value| other.get("args") == hook.get("args");
        if !list.iter().any(same) {
            list.push(hook);
        }
    }

    /// Writes the configuration in the place of the one that was read, whole or not at all.
    ///
    /// # Errors
    /// [`OciError::Bundle`].
    pub fn write(&self) -> Result<(), OciError> {
        let path = self.dir.join("config.json");
        let write = || -> std::io::Result<()> {
            let before = std::fs::metadata(&path)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            serde_json::to_writer(&mut file, &self.config)?;
            file.flush()?;
            let mode = std::fs::Permissions::from_mode(before.mode() & 0o7777);
            file.as_file().set_permissions(mode)?;
            std::os::unix::fs::fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|source| OciError::Bundle {
            operation: "write",
            path: path.clone(),
            source,
        })
    }
}

/// The hook that runs `program` with a command of [`crate::hook`].
#[must_use]
pub(crate) fn hook(program: &Path, settings: &Settings, root: &Root, command: &str) -> Value {
    let mut env = vec![format!("PATH={}", settings.cni_path_env)];
    if root.dir() != Path::new("/") {
        env.push(format!("{}={}", Root::ENV, root.dir().display()));
    }
    json!({
        "path": program,
        "args": [program, "cni", "--config", settings.path, "--command", command],
        "env": env,
        "timeout": settings.hook_timeout.as_secs(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(text: &str) -> (tempfile::TempDir, Bundle) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), text).unwrap();
        let bundle = Bundle::read(dir.path()).unwrap();
        (dir, bundle)
    }

    const WHOLE: &str = r#"{"ociVersion":"1.2.0","process":{"env":["A=1","IPV4=10.1.0.7","IPV4=x","B=a=b"]},
        "hostname":"box","mounts":[{"destination":"/etc/hosts","source":"/x/hosts"}],
        "annotations":{"eru.cni/network":"back"},
        "linux":{"resources":{"unified":{"memory.high":"1"},"memory":{"limit":9223372036854775807}},
        "namespaces":[{"type":"mount"},{"type":"network"}],"timeOffsets":{"monotonic":{"secs":18446744073709551615}},
        "netDevices":{"eth7":{"name":"x"}}},"domainname":"d","hooks":{"prestart":[{"path":"/a"}]}}"#;

    #[test]
    fn nothing_is_lost_and_a_hook_is_added_once() {
        let (dir, mut bundle) = bundle(WHOLE);
        let hook = json!({"path": "/f", "args": ["/f", "cni"]});
        for _ in 0..2 {
            bundle.add_hook("createRuntime", hook.clone());
            bundle.add_hook("prestart", hook.clone());
        }
        let path = dir.path().join("config.json");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        bundle.write().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut written: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(written["hooks"]["createRuntime"], json!([hook]));
        assert_eq!(written["hooks"]["prestart"], json!([{"path": "/a"}, hook]));
        let mut before: Value = serde_json::from_str(WHOLE).unwrap();
        written["hooks"] = json!(null);
        before["hooks"] = json!(null);
        assert_eq!(
            written.to_string(),
            before.to_string(),
            "in order, number for number"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_bundle_says_is_found() {
        let (_dir, mut bundle) = bundle(WHOLE);
        assert_eq!(bundle.network(), Network::Own);
        assert_eq!(bundle.variable("IPV4"), Some("10.1.0.7"));
        assert_eq!(bundle.variable("B"), Some("a=b"));
        assert_eq!(bundle.variable("C"), None);
        assert_eq!(bundle.hostname(), Some("box"));
        assert_eq!(bundle.mounted_at("/etc/hosts"), Some("/x/hosts".into()));
        assert!(!bundle.has_user_namespace());
        bundle.join(Path::new("/run/n"));
        assert_eq!(bundle.network(), Network::Joined("/run/n".into()));
    }

    #[test]
    fn a_bundle_of_any_shape_is_told_apart() {
        let host = r#"{"linux":{"namespaces":[{"type":"mount"}]}}"#;
        assert_eq!(bundle(host).1.network(), Network::Host);
        assert_eq!(bundle("{}").1.network(), Network::Host);
        let empty = r#"{"linux":{"namespaces":[{"type":"network","path":""},{"type":"user"}]},"hooks":null,"process":7}"#;
        let (_dir, mut odd) = bundle(empty);
        assert_eq!(odd.network(), Network::Own);
        assert!(odd.has_user_namespace());
        assert_eq!(odd.variable("A"), None);
        odd.add_hook("poststop", json!({"args": []}));
        let dir = tempfile::tempdir().unwrap();
        let bad = |text: &str| {
            std::fs::write(dir.path().join("config.json"), text).unwrap();
            Bundle::read(dir.path()).unwrap_err().to_string()
        };
        assert!(bad("[]").contains("no JSON object"));
        assert!(bad("{").contains("config.json"));
        std::fs::remove_file(dir.path().join("config.json")).unwrap();
        let gone = Bundle::read(dir.path()).unwrap_err().to_string();
        assert!(
            gone.starts_with("read ") && gone.contains("config.json"),
            "{gone}"
        );
    }
}
