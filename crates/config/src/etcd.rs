//! How this node reaches the cluster's etcd: the section `[etcd]` of `node.conf`.

use crate::{Config, ConfigError, KeyPath, Problem, Reason, Value};
use std::path::PathBuf;

/// The section `[etcd]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdSettings {
    /// The servers, as `http://HOST:PORT` or `https://HOST:PORT`; at least one.
    pub endpoints: Vec<String>,
    /// The file of the authorities that the servers' certificates are checked with.
    pub ca: Option<PathBuf>,
    /// The file of the node's certificate; with `key`.
    pub cert: Option<PathBuf>,
    /// The file of the certificate's private key; with `cert`.
    pub key: Option<PathBuf>,
    /// The user; with `password_file`.
    pub user: Option<String>,
    /// The file that holds the user's password; with `user`.
    pub password_file: Option<PathBuf>,
    /// What every key begins with: a `/` first, none last.
    pub prefix: String,
}

impl Config {
    /// How this node reaches etcd; nothing if `etcd.endpoints` is not set, which is a
    /// node without cluster state of others.
    ///
    /// # Errors
    /// [`ConfigError::Value`]: a bad value, or one of a pair without the other.
    pub fn etcd(&self) -> Result<Option<EtcdSettings>, ConfigError> {
        let get = |option: &str| self.eval(&KeyPath::new("etcd", option));
        let Some(Value::List(endpoints)) = get("endpoints")? else {
            return Ok(None);
        };
        let text = |option: &str| Ok::<_, ConfigError>(get(option)?.map(|v| v.to_string()));
        let settings = EtcdSettings {
            endpoints,
            ca: text("ca")?.map(PathBuf::from),
            cert: text("cert")?.map(PathBuf::from),
            key: text("key")?.map(PathBuf::from),
            user: text("user")?,
            password_file: text("password_file")?.map(PathBuf::from),
            prefix: text("prefix")?.unwrap_or_default(),
        };
        self.both(
            "cert",
            settings.cert.is_some(),
            "key",
            settings.key.is_some(),
        )?;
        let secret = settings.password_file.is_some();
        self.both("user", settings.user.is_some(), "password_file", secret)?;
        Ok(Some(settings))
    }

    /// Refuses one of a pair without the other.
    fn both(
        &self,
        one: &'static str,
        has_one: bool,
        other: &'static str,
        has_other: bool,
    ) -> Result<(), ConfigError> {
        let (option, missing) = match (has_one, has_other) {
            (true, false) => (one, other),
            (false, true) => (other, one),
            _ => return Ok(()),
        };
        Err(ConfigError::Value(Box::new(Problem {
            section: "etcd".to_owned(),
            option: Some(option.to_owned()),
            value: self.stored("etcd", option).map(str::to_owned),
            reason: Box::new(Reason::Together(missing)),
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;
    use fairlead_types::Root;

    fn etcd(cluster: &str, local: &str) -> Result<Option<EtcdSettings>, String> {
        let read = |text| Document::parse(text).unwrap();
        let config = Config::from_documents(&Root::default(), "n1", read(cluster), read(local));
        config.etcd().map_err(|e| e.to_string())
    }

    #[test]
    fn the_section_counts_in_node_conf_only() {
        assert_eq!(etcd("", ""), Ok(None));
        assert_eq!(etcd("[etcd]\nendpoints = http://x:1\n", ""), Ok(None));
        let own = "[etcd]\nendpoints = http://n1:2379 https://n2:2379\n";
        let settings = etcd("[etcd]\nuser = cluster\nprefix = /x\n", own);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.endpoints, ["http://n1:2379", "https://n2:2379"]);
        assert_eq!(
            (settings.user, settings.prefix.as_str()),
            (None, "/fairlead")
        );
    }

    #[test]
    fn pairs_are_whole_or_absent() {
        let with = |more: &str| etcd("", &format!("[etcd]\nendpoints = http://n1:2379\n{more}\n"));
        assert_eq!(
            with("cert = /c").unwrap_err(),
            "evaluate etcd.cert = \"/c\": the keyword goes with key; set both or none"
        );
        assert!(with("key = /k").is_err());
        assert!(with("user = u").is_err());
        assert!(with("password_file = /p").is_err());
        assert!(with("prefix = fairlead").is_err());
        let whole = with("cert = /c\nkey = /k\nuser = u\npassword_file = /p\nca = /a");
        let whole = whole.unwrap().unwrap();
        assert_eq!(whole.key, Some("/k".into()));
        assert_eq!(whole.password_file, Some("/p".into()));
    }
}
