//! What the configuration says of Docker's networks.

use crate::{Config, ConfigError, KeyPath, Value};
use ipnet::IpNet;
use std::path::PathBuf;

/// How far the networks of a Docker engine reach, in its own view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DockerScope {
    /// Each engine has its own.
    Local,
    /// The engines keep them in a store that they share.
    Global,
}

/// The section `[docker]`, as one node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerSettings {
    /// The engine's socket.
    pub engine: PathBuf,
    /// The socket that the engine finds the driver at.
    pub plugin: PathBuf,
    /// What the driver says of its networks.
    pub scope: DockerScope,
    /// Whether agents make a network on the engines of all nodes.
    pub carry: bool,
    /// What networks without a subnet are cut from.
    pub pools: Vec<IpNet>,
    /// The prefix length of such a network of IPv4.
    pub pool_prefix: u8,
}

impl Config {
    /// What is said of Docker's networks, as this node sees it.
    ///
    /// # Errors
    /// As [`Config::eval`].
    pub fn docker(&self) -> Result<DockerSettings, ConfigError> {
        let value = |section: &str, option: &str| self.eval(&KeyPath::new(section, option));
        let text = |section: &str, option: &str| {
            let value = value(section, option)?;
            Ok::<_, ConfigError>(value.map(|value| value.to_string()).unwrap_or_default())
        };
        Ok(DockerSettings {
            engine: text("node", "docker_socket")?.into(),
            plugin: text("docker", "plugin")?.into(),
            scope: match text("docker", "scope")?.as_str() {
                "global" => DockerScope::Global,
                _ => DockerScope::Local,
            },
            carry: !matches!(value("docker", "carry")?, Some(Value::Bool(false))),
            pools: match value("docker", "pools")? {
                Some(Value::Ranges(pools)) => pools,
                _ => Vec::new(),
            },
            pool_prefix: match value("docker", "pool_prefix")? {
                // The keyword takes none above 30.
                Some(Value::Int(prefix)) => u8::try_from(prefix).unwrap_or(24),
                _ => 24,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;
    use fairlead_types::Root;

    fn settings(text: &str) -> Result<DockerSettings, ConfigError> {
        let cluster = Document::parse(text).unwrap();
        let root = Root::new("/");
        Config::from_documents(&root, "n1", cluster, Document::default()).docker()
    }

    #[test]
    fn what_is_not_said_has_a_value() {
        let found = settings("").unwrap();
        assert_eq!(
            found.plugin,
            PathBuf::from("/run/docker/plugins/fairlead.sock")
        );
        assert_eq!(found.engine, PathBuf::from("/var/run/docker.sock"));
        assert_eq!((found.scope, found.carry), (DockerScope::Local, true));
        assert_eq!((found.pools.len(), found.pool_prefix), (2, 24));
    }

    #[test]
    fn a_node_has_its_own() {
        let text = "[docker]\nscope@n1 = global\nscope = local\ncarry = no\npools = 10.5.0.0/16\npool_prefix = 26\n";
        let found = settings(text).unwrap();
        assert_eq!((found.scope, found.carry), (DockerScope::Global, false));
        assert_eq!(found.pools, ["10.5.0.0/16".parse::<IpNet>().unwrap()]);
        assert_eq!(found.pool_prefix, 26);
        assert!(settings("[docker]\nscope = swarm\n").is_err());
        assert!(settings("[docker]\npool_prefix = 31\n").is_err());
    }
}
