//! What a file that was read again changes.

use super::{Settings, Vsd};

/// Names of keys whose values differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that a reload applies: of the log, of asking the VSD again, and credentials.
    pub live: Vec<&'static str>,
    /// Those that need a restart.
    pub restart: Vec<&'static str>,
}

impl Changes {
    /// Nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.restart.is_empty()
    }
}

impl Settings {
    /// What `new` changes.
    #[must_use]
    pub fn changed(&self, new: &Self) -> Changes {
        let mut live = vec![
            ("loglevel", self.log_level != new.log_level),
            ("logfilesize", self.log_file_size != new.log_file_size),
            ("numofretries", self.retries != new.retries),
            ("timeinterval", self.interval != new.interval),
        ];
        let mut restart = vec![
            ("vrssocketfile", self.ovsdb != new.ovsdb),
            ("dockersocketfile", self.docker != new.docker),
            ("vrsbridge", self.bridge != new.bridge),
            ("scope", self.scope != new.scope),
            ("pluginversion", self.plugin_version != new.plugin_version),
            ("statedir", self.state_dir != new.state_dir),
            ("auditinterval", self.audit_interval != new.audit_interval),
            ("mtu", self.mtu != new.mtu),
            (
                "gatewayfromvsd",
                self.gateway_from_vsd != new.gateway_from_vsd,
            ),
        ];
        match (&self.vsd, &new.vsd) {
            (Some(old), Some(new)) => {
                live.extend(credentials(old, new));
                restart.extend(places(old, new));
            }
            (old, new) => restart.push(("url", old.is_some() != new.is_some())),
        }
        Changes {
            live: differing(live),
            restart: differing(restart),
        }
    }
}

fn differing(keys: Vec<(&'static str, bool)>) -> Vec<&'static str> {
    let differing = keys.into_iter().filter(|(_, differs)| *differs);
    differing.map(|(key, _)| key).collect()
}

fn credentials(old: &Vsd, new: &Vsd) -> [(&'static str, bool); 3] {
    [
        ("username", old.username != new.username),
        ("password", old.password != new.password),
        ("organization", old.organization != new.organization),
    ]
}

fn places(old: &Vsd, new: &Vsd) -> [(&'static str, bool); 6] {
    [
        ("url", old.url != new.url),
        ("vsdapiversion", old.api_version != new.api_version),
        ("vsdcafile", old.ca_file != new.ca_file),
        ("vsdinsecure", old.insecure != new.insecure),
        ("requesttimeout", old.request_timeout != new.request_timeout),
        ("proxyuser", old.proxy_user != new.proxy_user),
    ]
}
