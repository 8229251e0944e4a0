//! Settings for the log: `key=value`, with secrets as `***`.

use std::fmt;
use std::path::Path;

use super::{LogLevel, PluginVersion, Scope, Settings, Vsd};

impl LogLevel {
    /// As the settings have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "Debug",
            Self::Info => "Info",
            Self::Warn => "Warn",
            Self::Error => "Error",
        }
    }
}

impl Scope {
    /// As the settings and Docker have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Global => "global",
        }
    }
}

impl PluginVersion {
    /// As the settings have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for PluginVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "vrssocketfile={} dockersocketfile={} vrsbridge={} loglevel={} logfilesize={} \
             scope={} pluginversion={} numofretries={} timeinterval={} statedir={} \
             auditinterval={} gatewayfromvsd={}",
            self.ovsdb,
            self.docker,
            self.bridge,
            self.log_level,
            self.log_file_size,
            self.scope,
            self.plugin_version,
            self.retries,
            self.interval.as_millis(),
            self.state_dir.as_deref().unwrap_or(Path::new("")).display(),
            self.audit_interval.as_secs(),
            self.gateway_from_vsd,
        )?;
        if let Some(mtu) = self.mtu {
            write!(f, " mtu={mtu}")?;
        }
        match &self.vsd {
            Some(vsd) => write!(f, " {vsd}"),
            None => f.write_str(" url="),
        }
    }
}

impl fmt::Display for Vsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "url={} username={} password={} organization={} vsdapiversion={} vsdinsecure={} \
             requesttimeout={}",
            self.url,
            self.username,
            self.password,
            self.organization,
            self.api_version,
            self.insecure,
            self.request_timeout.as_secs(),
        )?;
        if let Some(file) = &self.ca_file {
            write!(f, " vsdcafile={}", file.display())?;
        }
        write!(f, " proxyuser={}", self.proxy_user)
    }
}
