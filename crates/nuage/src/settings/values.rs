//! From texts to values. Every fault is kept, so that all of them are told at once.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use fairlead_types::IfName;
use fairlead_vsp::vsd::{ApiVersion, ApiVersionError, UrlError, VsdUrl};

use super::Secret;
use super::endpoint::{DockerSocket, OvsdbAddress};
use super::error::{Fault, Warning};
use super::format::Format;
use super::keys::Entries;
use super::secret::decode;
use super::{LogLevel, PluginVersion, Scope, Settings, Vsd};

/// Where the switch's database is if nothing is said, in the two formats.
const VRS_SOCKET: &str = "/var/run/openvswitch/db.sock";
const VRS_HOST: &str = "localhost";
const VRS_PORT: u32 = 6633;
const DOCKER: &str = "unix:///var/run/docker.sock";
const LEVELS: &str = "Debug, Info, Warn, Error";

/// Takes values out, and keeps what is wrong with them.
pub(super) struct Values {
    format: Format,
    entries: Entries,
}

impl Values {
    pub(super) fn new(format: Format, entries: Entries) -> Self {
        Self { format, entries }
    }

    /// The settings, with what is odd about them.
    pub(super) fn settings(mut self) -> Result<(Settings, Vec<Warning>), Vec<Fault>> {
        let ovsdb = self.ovsdb();
        let docker = self.docker();
        let bridge = self.bridge();
        let log_level = self.log_level();
        let log_file_size = self.number("logfilesize", 10, 1, 1 << 20);
        let scope = self.scope();
        let plugin_version = self.plugin_version();
        let retries = self.number("numofretries", 5, 1, 1000);
        let interval = self.number("timeinterval", 100, 1, 600_000);
        let state_dir = self.path("statedir");
        let audit_interval = self.number("auditinterval", 30, 1, 86_400);
        let mtu = self.number("mtu", 0, 68, 65_535);
        let gateway_from_vsd = self.switch("gatewayfromvsd", true);
        let vsd = self.vsd();
        // What failed left a fault behind.
        let (Some(ovsdb), Some(docker), Some(bridge)) = (ovsdb, docker, bridge) else {
            return Err(self.entries.faults);
        };
        if !self.entries.faults.is_empty() {
            return Err(self.entries.faults);
        }
        let settings = Settings {
            ovsdb,
            docker,
            bridge,
            log_level,
            log_file_size: u64::from(log_file_size),
            scope,
            plugin_version,
            retries,
            interval: Duration::from_millis(u64::from(interval)),
            state_dir,
            audit_interval: Duration::from_secs(u64::from(audit_interval)),
            mtu: NonZeroU32::new(mtu),
            gateway_from_vsd,
            vsd,
        };
        Ok((settings, self.entries.warnings))
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.entries.values.remove(key)
    }

    fn fault(&mut self, fault: Fault) {
        self.entries.faults.push(fault);
    }

    fn warn(&mut self, warning: Warning) {
        self.entries.warnings.push(warning);
    }

    /// A number; 0 stands for the default, as it does upstream.
    fn number(&mut self, key: &'static str, default: u32, least: u32, most: u32) -> u32 {
        let Some(given) = self.text(key) else {
            return default;
        };
        match given.parse() {
            Ok(0) => default,
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                let (least, most) = (u64::from(least), u64::from(most));
                self.fault(Fault::Number {
                    key,
                    given,
                    least,
                    most,
                });
                default
            }
        }
    }

    fn switch(&mut self, key: &'static str, default: bool) -> bool {
        let Some(given) = self.text(key) else {
            return default;
        };
        match given.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => true,
            "false" | "no" | "off" => false,
            _ => {
                self.fault(Fault::Switch { key, given });
                default
            }
        }
    }

    fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let given = self.text(key)?;
        if !given.starts_with('/') || given.contains('\0') {
            self.fault(Fault::Path { key, given });
            return None;
        }
        Some(PathBuf::from(given))
    }

    fn ovsdb(&mut self) -> Option<OvsdbAddress> {
        let port = self.number("vrsport", VRS_PORT, 1, 65_535);
        let default = match self.format {
            Format::Yaml => VRS_SOCKET,
            Format::Old => VRS_HOST,
        };
        let key = match self.format {
            Format::Yaml => "vrssocketfile",
            Format::Old => "vrsendpoint",
        };
        let given = self.text("vrssocketfile");
        let given = given.unwrap_or_else(|| default.to_owned());
        let port = u16::try_from(port).unwrap_or_default();
        let address = OvsdbAddress::parse(&given, port);
        if address.is_none() {
            self.fault(Fault::Ovsdb { key, given });
        }
        address
    }

    fn docker(&mut self) -> Option<DockerSocket> {
        let given = self.text("dockersocketfile");
        let given = given.unwrap_or_else(|| DOCKER.to_owned());
        let socket = DockerSocket::parse(&given);
        if socket.is_none() {
            self.fault(Fault::Docker { given });
        }
        socket
    }

    fn bridge(&mut self) -> Option<IfName> {
        let given = self.text("vrsbridge");
        let name = IfName::new(given.as_deref().unwrap_or("alubr0"));
        name.map_err(|e| self.fault(Fault::Bridge(e))).ok()
    }

    /// A word that is not one of the four is told, and does not keep the plugin from its work.
    fn log_level(&mut self) -> LogLevel {
        let default = match self.format {
            Format::Yaml => LogLevel::Warn,
            Format::Old => LogLevel::Info,
        };
        let Some(given) = self.text("loglevel") else {
            return default;
        };
        match given.as_str() {
            "Debug" => LogLevel::Debug,
            "Info" => LogLevel::Info,
            "Warn" => LogLevel::Warn,
            "Error" => LogLevel::Error,
            _ => {
                self.warn(Warning::Word {
                    key: "loglevel",
                    given,
                    words: LEVELS,
                    default: default.as_str(),
                });
                default
            }
        }
    }

    fn scope(&mut self) -> Scope {
        match self.text("scope") {
            None => Scope::Global,
            Some(given) => match given.as_str() {
                "local" => Scope::Local,
                "global" => Scope::Global,
                _ => {
                    self.warn(Warning::Word {
                        key: "scope",
                        given,
                        words: "local, global",
                        default: Scope::Global.as_str(),
                    });
                    Scope::Global
                }
            },
        }
    }

    fn plugin_version(&mut self) -> PluginVersion {
        match self.text("pluginversion") {
            None => PluginVersion::V1,
            Some(given) => match given.as_str() {
                "v1" => PluginVersion::V1,
                "v2" => PluginVersion::V2,
                _ => {
                    self.fault(Fault::Word {
                        key: "pluginversion",
                        given,
                        words: "v1, v2",
                    });
                    PluginVersion::V1
                }
            },
        }
    }

    /// The VSD. The older format has none, unless something is said about one.
    fn vsd(&mut self) -> Option<Vsd> {
        const CREDENTIALS: [&str; 4] = ["url", "username", "password", "organization"];
        let said = |key: &&str| self.entries.values.contains_key(*key);
        if self.format == Format::Old && !CREDENTIALS.iter().any(said) {
            return None;
        }
        let url = self.url();
        let username = self.secret_or("username", "csproot");
        let password = self.secret("password");
        if password.is_none() {
            let cure = "write the password of the VSD's user, as base64";
            self.missing("password", cure);
        }
        let organization = self.secret_or("organization", "csp");
        let ca_file = self.path("vsdcafile");
        let insecure = self.switch("vsdinsecure", false);
        let api_version = self.api_version();
        let seconds = self.number("requesttimeout", 30, 1, 3600);
        let proxy_user = self.switch("proxyuser", false);
        let url = url?;
        match (url.is_clear(), insecure) {
            (true, _) => self.warn(Warning::Clear),
            (false, true) => self.warn(Warning::Unverified),
            (false, false) => {}
        }
        Some(Vsd {
            url,
            username,
            password: password?,
            organization,
            api_version,
            ca_file,
            insecure,
            request_timeout: Duration::from_secs(u64::from(seconds)),
            proxy_user,
        })
    }

    fn url(&mut self) -> Option<VsdUrl> {
        let Some(given) = self.text("url") else {
            self.missing("url", "write the address of the VSD, https://HOST:8443");
            return None;
        };
        let found = url(&given);
        found.map_err(|fault| self.fault(fault)).ok()
    }

    fn api_version(&mut self) -> ApiVersion {
        let given = self.text("vsdapiversion");
        let found = given
            .as_deref()
            .map_or_else(|| Ok(ApiVersion::default()), str::parse);
        found.unwrap_or_else(|ApiVersionError(given)| {
            self.fault(Fault::Word {
                key: "vsdapiversion",
                given,
                words: "v5_0, v6 and the like",
            });
            ApiVersion::default()
        })
    }

    /// None if it is not there, or has a fault that is told already.
    fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let given = self.text(key)?;
        match decode(&given) {
            Ok(secret) => Some(secret).filter(|secret| !secret.expose().is_empty()),
            Err(_) => {
                self.fault(Fault::NotBase64 { key });
                None
            }
        }
    }

    fn secret_or(&mut self, key: &'static str, default: &'static str) -> Secret {
        let there = self.entries.values.contains_key(key);
        let secret = self.secret(key);
        if secret.is_none() && !there {
            self.warn(Warning::Defaulted { key, default });
        }
        secret.unwrap_or_else(|| Secret::new(default))
    }

    fn missing(&mut self, key: &'static str, cure: &'static str) {
        let told = Fault::NotBase64 { key };
        if !self.entries.faults.contains(&told) {
            self.fault(Fault::Missing { key, cure });
        }
    }
}

/// Reads an address of a VSD.
fn url(given: &str) -> Result<VsdUrl, Fault> {
    match () {
        () if given.contains(['<', '>']) => Err(Fault::Placeholder),
        // Its own words are not told: they may hold a password.
        () if given.contains('@') => Err(Fault::UrlUser),
        () => given.parse().map_err(|UrlError { reason, .. }| Fault::Url {
            given: given.to_owned(),
            reason,
        }),
    }
}
