//! The settings, `/etc/docker/cni.yaml`: every key of the system we carry on, with the
//! defaults that its documents promised, and some of ours.

use crate::OciError;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// The file that is read where no other is named.
pub const DEFAULT_PATH: &str = "/etc/docker/cni.yaml";
/// How long a hook may take where the settings do not say. Engines wait two minutes.
const HOOK_TIMEOUT: u64 = 60;
/// The `PATH` of plugins where the settings have none.
const CNI_PATH_ENV: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The settings of the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file they came from.
    pub path: PathBuf,
    /// The real runtime.
    pub oci_bin: PathBuf,
    /// Arguments for it, before those of the caller.
    pub oci_args: Vec<String>,
    /// Where the networks are configured.
    pub cni_conf_dir: PathBuf,
    /// Where plugins of other makers are searched.
    pub cni_bin_dir: Vec<PathBuf>,
    /// The first interface; a second one counts on from its number.
    pub cni_ifname: String,
    /// Where results and failures of plugins are written; nowhere when it is empty.
    pub cni_log: Option<PathBuf>,
    /// Where the door writes what it does.
    pub log_driver: LogDriver,
    /// How much of that.
    pub log_level: LevelFilter,
    /// The network of a container that names none; the first file's where this is none.
    pub network: Option<String>,
    /// At which moment the hook is called.
    pub hook_stage: HookStage,
    /// How long one hook may take.
    pub hook_timeout: Duration,
    /// Whether variables of the container's environment choose too.
    pub env_keys: bool,
    /// Whether labels of Docker's choose too.
    pub label_keys: bool,
    /// What a pool is.
    pub pool_mode: PoolMode,
    /// The `PATH` of plugins.
    pub cni_path_env: String,
}

/// Where the door writes what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogDriver {
    /// Behind the end of a file.
    File(PathBuf),
    /// To standard error, but where that is the container's.
    Stderr,
    /// To the socket of the system's log.
    Syslog,
    /// Nowhere.
    None,
}

/// At which moment of its `create` the runtime calls the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookStage {
    /// As the OCI specification has it since 1.0.2.
    CreateRuntime,
    /// For runtimes that do not know the other.
    Prestart,
}

impl HookStage {
    /// The key in the bundle.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::CreateRuntime => "createRuntime",
            Self::Prestart => "prestart",
        }
    }
}

/// What the name of a pool means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// Calico's where the network is Calico's, else a network.
    Auto,
    /// A network's name.
    Name,
    /// Calico's.
    CalicoPool,
}

/// The file as it is written.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    oci_bin: Option<String>,
    oci_args: Option<Words>,
    cni_conf_dir: Option<String>,
    cni_bin_dir: Option<String>,
    cni_ifname: Option<String>,
    cni_log: Option<String>,
    log_driver: Option<String>,
    log_level: Option<String>,
    network: Option<String>,
    hook_stage: Option<String>,
    hook_timeout: Option<u64>,
    env_keys: Option<Switch>,
    label_keys: Option<Switch>,
    pool_mode: Option<String>,
    cni_path_env: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Switch {
    Bool(bool),
    Word(String),
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// [`OciError::ReadSettings`], [`OciError::Settings`] with the key that is wrong.
    pub fn read(path: &Path) -> Result<Self, OciError> {
        let text = std::fs::read_to_string(path).map_err(|source| OciError::ReadSettings {
            path: path.into(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// The settings that a text has, which came from `path`.
    ///
    /// # Errors
    /// [`OciError::Settings`] with the key that is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, OciError> {
        let error = |reason: String| OciError::Settings {
            path: path.into(),
            reason: crate::error::one_line(&reason),
        };
        // A file that is empty, or has comments only, is one with the defaults.
        let is_empty = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        let written: Written = match text.lines().all(is_empty) {
            true => Written::default(),
            false => serde_saphyr::from_str(text).map_err(|e| error(e.to_string()))?,
        };
        Self::of(path, written).map_err(error)
    }

    /// The settings by which containers can be stopped, whatever is wrong with the file: the
    /// runtime is the one that a line of it names.
    ///
    /// # Errors
    /// None so far: what is not readable has its default.
    pub(crate) fn for_stopping(path: &Path) -> Result<Self, OciError> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let named = text.lines().find_map(|line| line.strip_prefix("oci_bin:"));
        let named = named.map(|name| name.trim().trim_matches(['"', '\'']).to_owned());
        match named.filter(|name| Path::new(name).is_absolute()) {
            Some(name) => Self::parse(path, &format!("oci_bin: {name:?}\n")),
            None => Self::parse(path, ""),
        }
    }

    fn of(path: &Path, written: Written) -> Result<Self, String> {
        let folder = |key: &str, value: Option<String>, default: &str| {
            let value = value.unwrap_or_else(|| default.into());
            absolute(key, &value)
        };
        let bin_dirs = written
            .cni_bin_dir
            .unwrap_or_else(|| "/opt/cni/bin/".into());
        let bin_dirs = bin_dirs.split(':').filter(|dir| !dir.is_empty());
        let cni_bin_dir: Result<_, _> = bin_dirs.map(|dir| absolute("cni_bin_dir", dir)).collect();
        let ifname = written.cni_ifname.unwrap_or_else(|| "eth0".into());
        fairlead_types::IfName::new(&ifname).map_err(|e| format!("cni_ifname: {e}"))?;
        let timeout = written.hook_timeout.unwrap_or(HOOK_TIMEOUT);
        if !(1..=3600).contains(&timeout) {
            return Err(format!(
                "hook_timeout: {timeout} is no number of seconds from 1 to 3600"
            ));
        }
        Ok(Self {
            path: std::path::absolute(path).unwrap_or_else(|_| path.into()),
            oci_bin: oci_bin(written.oci_bin)?,
            oci_args: match written.oci_args {
                None => Vec::new(),
                Some(Words::Many(words)) => words,
                Some(Words::One(text)) => text.split_whitespace().map(str::to_owned).collect(),
            },
            cni_conf_dir: folder("cni_conf_dir", written.cni_conf_dir, "/etc/cni/net.d/")?,
            cni_bin_dir: cni_bin_dir?,
            cni_ifname: ifname,
            cni_log: match written.cni_log.as_deref() {
                Some("") => None,
                Some(path) => Some(absolute("cni_log", path)?),
                None => Some("/var/log/cni.log".into()),
            },
            log_driver: log_driver(written.log_driver.as_deref())?,
            log_level: log_level(written.log_level.as_deref().unwrap_or("info"))?,
            network: written.network.filter(|name| !name.is_empty()),
            hook_stage: match written.hook_stage.as_deref() {
                None | Some("createRuntime") => HookStage::CreateRuntime,
                Some("prestart") => HookStage::Prestart,
                Some(other) => {
                    return Err(format!(
                        "hook_stage: {other:?} is neither createRuntime nor prestart"
                    ));
                }
            },
            hook_timeout: Duration::from_secs(timeout),
            env_keys: switch("env_keys", written.env_keys)?,
            label_keys: switch("label_keys", written.label_keys)?,
            pool_mode: match written.pool_mode.as_deref() {
                None | Some("auto") => PoolMode::Auto,
                Some("name") => PoolMode::Name,
                Some("calico-pool") => PoolMode::CalicoPool,
                Some(other) => {
                    return Err(format!(
                        "pool_mode: {other:?} is none of auto, name, calico-pool"
                    ));
                }
            },
            cni_path_env: written.cni_path_env.unwrap_or_else(|| CNI_PATH_ENV.into()),
        })
    }

    /// How long one plugin may take, so that what it left can be cleared before the hook
    /// must have ended.
    #[must_use]
    pub fn plugin_limit(&self) -> Duration {
        self.plugin_limit_after(Duration::ZERO)
    }

    /// The same for a hook that has taken so long already.
    #[must_use]
    pub fn plugin_limit_after(&self, taken: Duration) -> Duration {
        let left = self.hook_timeout.saturating_sub(taken) * 2 / 3;
        // In whole milliseconds, for it is told.
        Duration::from_millis(left.as_millis().try_into().unwrap_or(u64::MAX))
    }
}

/// The runtime; where none is named, `/usr/bin/runc` or the first of `PATH`.
fn oci_bin(written: Option<String>) -> Result<PathBuf, String> {
    if let Some(path) = written.filter(|path| !path.is_empty()) {
        return absolute("oci_bin", &path);
    }
    let usual = PathBuf::from("/usr/bin/runc");
    Ok(match usual.exists() {
        true => usual,
        false => in_path("runc").unwrap_or(usual),
    })
}

/// The first program of that name in `PATH`.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| CNI_PATH_ENV.into());
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

fn absolute(key: &str, value: &str) -> Result<PathBuf, String> {
    let path = Path::new(value);
    match path.is_absolute() {
        // Without a slash at the end.
        true => Ok(path.components().collect()),
        false => Err(format!("{key}: {value:?} is no absolute path")),
    }
}

fn log_driver(value: Option<&str>) -> Result<LogDriver, String> {
    Ok(match value {
        None => LogDriver::File("/var/log/docker-cni.log".into()),
        Some("stderr") => LogDriver::Stderr,
        Some("syslog" | "journald") => LogDriver::Syslog,
        Some("none" | "") => LogDriver::None,
        Some(other) => match other.strip_prefix("file://") {
            Some(path) => LogDriver::File(absolute("log_driver", path)?),
            None => {
                return Err(format!(
                    "log_driver: {other:?} is none of file:///PATH, stderr, syslog, journald, none"
                ));
            }
        },
    })
}

fn log_level(value: &str) -> Result<LevelFilter, String> {
    Ok(match value.to_ascii_lowercase().as_str() {
        "panic" | "fatal" | "error" => LevelFilter::ERROR,
        "warn" | "warning" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => {
            return Err(format!(
                "log_level: {value:?} is none of panic, fatal, error, warn, info, debug, trace"
            ));
        }
    })
}

fn switch(key: &str, value: Option<Switch>) -> Result<bool, String> {
    match value {
        None => Ok(true),
        Some(Switch::Bool(on)) => Ok(on),
        Some(Switch::Word(word)) => match word.to_ascii_lowercase().as_str() {
            "on" | "yes" | "true" => Ok(true),
            "off" | "no" | "false" => Ok(false),
            _ => Err(format!("{key}: {word:?} is neither on nor off")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(Path::new("/etc/docker/cni.yaml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn the_documents_file_is_read() {
        let text = "oci_bin: /usr/sbin/runc\n\ncni_conf_dir: /etc/cni/net.d/\n\
            cni_bin_dir: /opt/cni/bin/\ncni_ifname: eth0\ncni_log: /var/log/cni.log\n\n\
            log_driver: file:///var/log/docker-cni.log\nlog_level: debug\n";
        let settings = parse(text).unwrap();
        assert_eq!(settings.oci_bin, Path::new("/usr/sbin/runc"));
        assert_eq!(settings.cni_conf_dir.as_os_str(), "/etc/cni/net.d");
        assert_eq!(settings.cni_bin_dir, [Path::new("/opt/cni/bin")]);
        assert_eq!(settings.log_level, LevelFilter::DEBUG);
        let path = PathBuf::from("/var/log/docker-cni.log");
        assert_eq!(settings.log_driver, LogDriver::File(path));
    }

    #[test]
    fn what_is_not_said_has_the_promised_defaults() {
        for text in ["", "# nothing\n\n", "unknown: 1\n", "state_dir: /x\n"] {
            let settings = parse(text).unwrap();
            assert_eq!(settings.cni_ifname, "eth0", "{text}");
            assert_eq!(
                settings.cni_log.as_deref(),
                Some(Path::new("/var/log/cni.log"))
            );
            assert_eq!(settings.log_level, LevelFilter::INFO);
            assert_eq!(settings.hook_stage, HookStage::CreateRuntime);
            assert!(settings.env_keys && settings.label_keys);
            assert!(settings.plugin_limit() < settings.hook_timeout);
            let late = settings.plugin_limit_after(Duration::from_secs(57));
            assert_eq!(late, Duration::from_secs(2));
        }
    }

    #[test]
    fn containers_can_be_stopped_by_the_runtime_that_a_broken_file_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cni.yaml");
        for (text, wanted) in [
            ("log_level: loud\noci_bin: /usr/bin/crun\n", "/usr/bin/crun"),
            ("oci_bin: '/a b/crun'\n  x: [", "/a b/crun"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(Settings::read(&path).is_err(), "{text}");
            let settings = Settings::for_stopping(&path).unwrap();
            assert_eq!(settings.oci_bin, Path::new(wanted));
        }
        std::fs::write(&path, "[").unwrap();
        assert!(Settings::for_stopping(&path).is_ok());
    }

    #[test]
    fn keys_of_ours_are_read() {
        let text = "oci_args: [--debug]\ncni_bin_dir: /a:/b/\nenv_keys: off\nlabel_keys: false\n\
            hook_stage: prestart\nhook_timeout: 5\npool_mode: name\nnetwork: back\nlog_driver: none\ncni_log: ''\n";
        let settings = parse(text).unwrap();
        assert_eq!(settings.oci_args, ["--debug"]);
        assert_eq!(settings.cni_bin_dir, [Path::new("/a"), Path::new("/b")]);
        assert!(!settings.env_keys && !settings.label_keys);
        assert_eq!(settings.hook_stage.key(), "prestart");
        assert_eq!(settings.pool_mode, PoolMode::Name);
        assert_eq!(
            (settings.log_driver, settings.cni_log),
            (LogDriver::None, None)
        );
        assert_eq!(
            parse("oci_args: --a  --b c\n").unwrap().oci_args,
            ["--a", "--b", "c"]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_key_in_one_line() {
        let bad = [
            ("log_level: loud\n", "log_level: \"loud\""),
            ("log_driver: tcp://x\n", "log_driver: \"tcp://x\""),
            ("oci_bin: runc\n", "oci_bin: \"runc\" is no absolute path"),
            ("cni_ifname: 'a b'\n", "cni_ifname"),
            ("hook_timeout: 0\n", "hook_timeout: 0"),
            ("hook_stage: start\n", "hook_stage: \"start\""),
            ("env_keys: maybe\n", "env_keys: \"maybe\""),
            ("pool_mode: x\n", "pool_mode: \"x\""),
            ("cni_conf_dir: [a]\n", "cni_conf_dir"),
            ("oci_bin: /x\n  nonsense: [\n", "cni.yaml"),
            ("- a\n", "cni.yaml"),
        ];
        for (text, reason) in bad {
            let error = parse(text).unwrap_err();
            assert!(
                error.contains(reason) && error.lines().count() == 1,
                "{text}: {error}"
            );
        }
    }
}
