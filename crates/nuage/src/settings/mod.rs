//! The settings: a YAML file (document 004), or the older `nuage.cfg` (document 002). Both end
//! as [`Settings`]; all that is wrong is told at once, and what is only odd as a [`Warning`].
//! Secrets are [`Secret`]s, so that settings can be written to the log as they are.

mod changes;
mod endpoint;
mod error;
mod format;
mod keys;
mod secret;
mod show;
mod values;

pub use changes::Changes;
pub use endpoint::{DockerSocket, OvsdbAddress};
pub use error::{Fault, SettingsError, Warning};
pub use fairlead_vsp::vsd::Secret;
pub use format::Format;

use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fairlead_types::IfName;
use fairlead_vsp::vsd::{ApiVersion, VsdUrl};
use keys::Entries;
use values::Values;

/// Settings are read up to here; no sensible file has as much.
const MOST: u64 = 1 << 20;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What is done.
    Info,
    /// What is odd.
    Warn,
    /// What failed.
    Error,
}

/// How far networks of the driver reach, as Docker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The host on which they were made.
    Local,
    /// All hosts of Docker's cluster.
    Global,
}

/// As what Docker knows the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginVersion {
    /// A program with two sockets, `nuage.sock` and `nuage-ipam.sock`.
    V1,
    /// One that Docker runs by itself, with one socket: its drivers are called
    /// `nuage:latest`.
    V2,
}

/// What the plugin was told to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The database of the host's switch (`vrssocketfile`).
    pub ovsdb: OvsdbAddress,
    /// Docker's API (`dockersocketfile`).
    pub docker: DockerSocket,
    /// The bridge into which containers are plugged (`vrsbridge`).
    pub bridge: IfName,
    /// How much is told (`loglevel`).
    pub log_level: LogLevel,
    /// When the log's file is put away, in MB (`logfilesize`); at least 1.
    pub log_file_size: u64,
    /// How far networks reach (`scope`).
    pub scope: Scope,
    /// As what Docker knows the plugin (`pluginversion`).
    pub plugin_version: PluginVersion,
    /// How often the VSD is asked before it is given up (`numofretries`); at least 1.
    pub retries: u32,
    /// The first wait between these; each one is longer (`timeinterval`, in ms).
    pub interval: Duration,
    /// Where what has to outlive the plugin is kept (`statedir`); with the other records of
    /// this host if none.
    pub state_dir: Option<PathBuf>,
    /// How often what is there is compared with what should be (`auditinterval`, in s).
    pub audit_interval: Duration,
    /// The MTU of containers' links; the kernel's own if none (`mtu`).
    pub mtu: Option<NonZeroU32>,
    /// The VSD's gateway counts, not Docker's (`gatewayfromvsd`).
    pub gateway_from_vsd: bool,
    /// The VSD. None: addresses are Docker's to give, and the switch asks its controller
    /// (document 002).
    pub vsd: Option<Vsd>,
}

/// The VSD and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vsd {
    /// Where it is (`url`).
    pub url: VsdUrl,
    /// Who asks (`username`).
    pub username: Secret,
    /// The password (`password`).
    pub password: Secret,
    /// The enterprise of the user (`organization`).
    pub organization: Secret,
    /// The version of the interface, such as `v6` (`vsdapiversion`).
    pub api_version: ApiVersion,
    /// Certificates of those who may say who the VSD is (`vsdcafile`).
    pub ca_file: Option<PathBuf>,
    /// Whoever answers is believed (`vsdinsecure`).
    pub insecure: bool,
    /// How long one answer is waited for (`requesttimeout`, in s).
    pub request_timeout: Duration,
    /// Whether it is told for whom it is asked: the user and organization of each network
    /// (`proxyuser`).
    pub proxy_user: bool,
}

impl Settings {
    /// Reads a file. An older one that is not there stands for the defaults.
    ///
    /// # Errors
    /// The file cannot be read, is not of its format, or has values that are wrong.
    pub fn read(path: &Path) -> Result<(Self, Vec<Warning>), SettingsError> {
        let failed = |source| SettingsError::Read {
            path: path.to_owned(),
            source,
        };
        let (text, mode) = match contents(path) {
            Ok(found) => found,
            Err(e) if absent(&e) && Format::by_name(path) == Format::Old => {
                let (settings, mut warnings) = Self::parse(path, "")?;
                let path = path.to_owned();
                warnings.insert(0, Warning::NoFile { path });
                return Ok((settings, warnings));
            }
            Err(e) => return Err(failed(e)),
        };
        let (settings, mut warnings) = Self::parse(path, &text)?;
        if settings.vsd.is_some() && mode & 0o044 != 0 {
            let path = path.to_owned();
            warnings.push(Warning::Readable { path, mode });
        }
        Ok((settings, warnings))
    }

    /// The same for a text; `path` names it, and its ending tells the format where the text
    /// does not.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn parse(path: &Path, text: &str) -> Result<(Self, Vec<Warning>), SettingsError> {
        let format = Format::of(path, text);
        let pairs = format.pairs(text).map_err(|broken| SettingsError::Syntax {
            path: path.to_owned(),
            line: broken.line,
            reason: broken.reason,
        })?;
        let values = Values::new(format, Entries::of(format, pairs));
        values.settings().map_err(|faults| SettingsError::Invalid {
            path: path.to_owned(),
            faults,
        })
    }
}

impl Settings {
    /// Takes from `new` what a reload applies.
    pub fn take_live(&mut self, new: &Self) {
        self.log_level = new.log_level;
        self.log_file_size = new.log_file_size;
        self.retries = new.retries;
        self.interval = new.interval;
        if let (Some(own), Some(new)) = (&mut self.vsd, &new.vsd) {
            own.username = new.username.clone();
            own.password = new.password.clone();
            own.organization = new.organization.clone();
        }
    }
}

fn absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// The text of a file and its mode, both of the same file.
fn contents(path: &Path) -> io::Result<(String, u32)> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    let mut text = String::new();
    let read = file.by_ref().take(MOST + 1).read_to_string(&mut text)?;
    if read as u64 > MOST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than 1 MB",
        ));
    }
    Ok((text, mode))
}

#[cfg(test)]
mod props;
#[cfg(test)]
mod tests;
