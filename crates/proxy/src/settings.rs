//! The settings: command line, environment and `/etc/eru/barrel.conf`, in this order.

mod file;
mod host;

pub(crate) use host::Host;

use crate::ProxyError;
use fairlead_types::Root;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where settings are unless it is said otherwise.
const CONFIG: &str = "/etc/eru/barrel.conf";
/// The least that a buffer has, in bytes.
const LEAST_BUFFER: usize = 4 << 10;
/// What a buffer has unless it is said otherwise.
const BUFFER: usize = 64 << 10;
/// The most that a buffer has.
const MOST_BUFFER: usize = 1 << 20;
/// Settings that are known and mean nothing here.
const IDLE: [&str; 2] = ["ETCD_ENDPOINTS", "HOSTNAME"];

/// What was said on the command line, each under the name of its setting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags(BTreeMap<&'static str, String>);

impl Flags {
    /// Says one thing more; nothing where there is no value.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: Option<String>) -> Self {
        if let Some(value) = value {
            self.0.insert(key, value);
        }
        self
    }
}

/// What the proxy does besides passing on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// What its settings say.
    #[default]
    Default,
    /// The same: drivers of networks are the agent's.
    ProxyOnly,
}

/// Certificates of listeners on TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    /// `BARREL_TLS_CERT_FILE_PATH`.
    pub(crate) cert: PathBuf,
    /// `BARREL_TLS_KEY_FILE_PATH`.
    pub(crate) key: PathBuf,
    /// `BARREL_TLS_CA_FILE_PATH`: who signs clients' certificates; none where clients need none.
    pub(crate) ca: Option<PathBuf>,
}

/// All settings, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `BARREL_MODE`.
    pub mode: Mode,
    /// `BARREL_ENABLE_CNI`: whether new containers are put on CNI networks.
    pub enable_cni: bool,
    /// `CNI_CONFIG_PATH`: the runtime's settings.
    pub cni_config: PathBuf,
    /// `BARREL_LOG_LEVEL`.
    pub log: String,
    /// `BARREL_DOCKERD_PATH`.
    pub(crate) dockerd: PathBuf,
    /// `BARREL_HOSTS`.
    pub(crate) hosts: Vec<Host>,
    pub(crate) tls: Option<Tls>,
    /// `BARREL_BUFFER_SIZE`.
    pub(crate) buffer: usize,
    /// `BARREL_GROUP`: the group that may use the socket, by number.
    pub(crate) group: Option<u32>,
    /// `BARREL_RUNTIME`: the runtime of containers on CNI networks.
    pub(crate) runtime: String,
    /// `BARREL_CNI_EXCLUDE`: names that are Docker's all the same.
    pub(crate) exclude: BTreeSet<String>,
    /// What was said to no effect, for the log.
    pub(crate) notes: Vec<String>,
}

impl Settings {
    /// Reads `config`, or the usual file where it is there, and takes what the command line
    /// and the environment say in its place.
    ///
    /// # Errors
    /// [`ProxyError::File`] and [`ProxyError::Settings`], with all that is wrong.
    pub fn load(
        root: &Root,
        config: Option<&Path>,
        flags: &Flags,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ProxyError> {
        let path = config.map_or_else(|| root.join(CONFIG), Path::to_owned);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if config.is_none() && error.kind() == ErrorKind::NotFound => String::new(),
            text => text.map_err(|source| ProxyError::File { path, source })?,
        };
        let source = Source {
            flags,
            env,
            file: file::parse(&text),
            faults: Vec::new(),
            notes: Vec::new(),
        };
        source.settings(root)
    }
}

/// Where settings come from, and what is wrong with them.
struct Source<'s> {
    flags: &'s Flags,
    env: &'s dyn Fn(&str) -> Option<String>,
    file: BTreeMap<String, String>,
    faults: Vec<String>,
    notes: Vec<String>,
}

impl Source<'_> {
    fn settings(mut self, root: &Root) -> Result<Settings, ProxyError> {
        self.refused();
        let mode = self.mode();
        let tls = self.tls();
        let hosts = self.hosts(tls.as_ref());
        let settings = Settings {
            mode,
            enable_cni: self.switch("BARREL_ENABLE_CNI"),
            cni_config: self
                .get("CNI_CONFIG_PATH")
                .map_or_else(|| root.join("/etc/docker/cni.yaml"), PathBuf::from),
            log: self.level(),
            dockerd: self.dockerd(),
            hosts,
            tls,
            buffer: self.buffer(),
            group: self.group(),
            runtime: self
                .get("BARREL_RUNTIME")
                .unwrap_or_else(|| "barrel-cni".to_owned()),
            exclude: self.list("BARREL_CNI_EXCLUDE").into_iter().collect(),
            notes: std::mem::take(&mut self.notes),
        };
        match self.faults.is_empty() {
            true => Ok(settings),
            false => Err(ProxyError::Settings(self.faults)),
        }
    }

    /// What is said; an empty text says nothing.
    fn get(&self, key: &str) -> Option<String> {
        let flag = self.flags.0.get(key).cloned();
        let said = flag
            .or_else(|| (self.env)(key))
            .or_else(|| self.file.get(key).cloned())?;
        let said = said.trim();
        (!said.is_empty()).then(|| said.to_owned())
    }

    fn list(&self, key: &str) -> Vec<String> {
        let said = self.get(key).unwrap_or_default();
        let parts = said.split(',').map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn fault(&mut self, key: &str, value: &str, why: &str) {
        self.faults.push(format!("{key}={value}: {why}"));
    }

    fn switch(&mut self, key: &str) -> bool {
        let said = self.get(key).unwrap_or_default();
        match said.to_ascii_lowercase().as_str() {
            "" | "0" | "f" | "false" | "no" | "off" => false,
            "1" | "t" | "true" | "yes" | "on" => true,
            _ => {
                self.fault(key, &said, "1 or 0 is wanted");
                false
            }
        }
    }

    /// What is known, and is not done.
    fn refused(&mut self) {
        if self.switch("BARREL_ENABLE_CNM_AGENT") {
            let note = "BARREL_ENABLE_CNM_AGENT has no effect: there is no agent of CNM";
            self.notes.push(note.to_owned());
        }
        for key in IDLE.iter().filter(|key| self.file.contains_key(**key)) {
            self.notes
                .push(format!("{key} has no effect: nothing here needs it"));
        }
        if let Some(prefixes) = self.get("BARREL_RESOURCE_PATH_PREFIXES") {
            let why = "folders of containers are not removed with them; leave it empty and \
                       use volumes, which 'docker rm -v' removes";
            self.fault("BARREL_RESOURCE_PATH_PREFIXES", &prefixes, why);
        }
    }

    fn mode(&mut self) -> Mode {
        let said = self.get("BARREL_MODE").unwrap_or_default();
        match said.as_str() {
            "" | "default" => Mode::Default,
            "proxy-only" => Mode::ProxyOnly,
            "network-plugin-only" => {
                let why = "the drivers for Calico are gone; networks of Docker's are made with \
                           -d fairlead while 'fairlead agent' runs";
                self.fault("BARREL_MODE", &said, why);
                Mode::Default
            }
            _ => {
                self.fault("BARREL_MODE", &said, "default or proxy-only is wanted");
                Mode::Default
            }
        }
    }

    fn level(&mut self) -> String {
        let said = self.get("BARREL_LOG_LEVEL").unwrap_or_default();
        match said.to_ascii_lowercase().as_str() {
            "" => "info",
            "panic" | "fatal" | "error" => "error",
            "warn" | "warning" => "warn",
            "info" => "info",
            "debug" => "debug",
            "trace" => "trace",
            _ => {
                self.fault(
                    "BARREL_LOG_LEVEL",
                    &said,
                    "error, warn, info, debug or trace is wanted",
                );
                "info"
            }
        }
        .to_owned()
    }

    fn dockerd(&mut self) -> PathBuf {
        let said = self.get("BARREL_DOCKERD_PATH");
        let said = said.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        match said.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => PathBuf::from(path),
            _ => {
                self.fault("BARREL_DOCKERD_PATH", &said, "unix:///PATH is wanted");
                PathBuf::new()
            }
        }
    }

    fn buffer(&mut self) -> usize {
        let Some(said) = self.get("BARREL_BUFFER_SIZE") else {
            return BUFFER;
        };
        let Ok(size) = said.parse::<usize>() else {
            self.fault("BARREL_BUFFER_SIZE", &said, "a number of bytes is wanted");
            return BUFFER;
        };
        size.clamp(LEAST_BUFFER, MOST_BUFFER)
    }

    fn group(&mut self) -> Option<u32> {
        let said = self.get("BARREL_GROUP")?;
        let found = said.parse().ok().or_else(|| file::group(&said));
        if found.is_none() {
            self.fault(
                "BARREL_GROUP",
                &said,
                "there is no such group in /etc/group",
            );
        }
        found
    }

    fn tls(&mut self) -> Option<Tls> {
        let keys = [
            "BARREL_TLS_CERT_FILE_PATH",
            "BARREL_TLS_KEY_FILE_PATH",
            "BARREL_TLS_CA_FILE_PATH",
        ];
        let [cert, key, ca] = keys.map(|key| self.get(key).map(PathBuf::from));
        match (cert, key) {
            (Some(cert), Some(key)) => Some(Tls { cert, key, ca }),
            (None, None) if ca.is_none() => None,
            (cert, _) => {
                let missing = if cert.is_none() { keys[0] } else { keys[1] };
                self.fault(
                    missing,
                    "",
                    "the other files for TLS are named, and this one is not",
                );
                None
            }
        }
    }

    fn hosts(&mut self, tls: Option<&Tls>) -> Vec<Host> {
        let insecure = self.switch("BARREL_INSECURE_TCP");
        let mut said = self.list("BARREL_HOSTS");
        if said.is_empty() {
            said.push(match (self.env)("LISTEN_FDS") {
                Some(_) => "fd://".to_owned(),
                None => "unix:///var/run/barrel.sock".to_owned(),
            });
        }
        let mut hosts = Vec::new();
        for text in said {
            match Host::parse(&text, tls, insecure) {
                Ok(host) if hosts.contains(&host) => {}
                Ok(host) => hosts.push(host),
                Err(why) => self.fault("BARREL_HOSTS", &text, why),
            }
        }
        hosts
    }
}

#[cfg(test)]
mod tests;
