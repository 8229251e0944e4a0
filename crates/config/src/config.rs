//! The merged view of both files, evaluated for a node.

use crate::convert::convert;
use crate::file::{self, Layer, Target};
use crate::keyword::{Lookup, lookup};
use crate::reference::{Expansion, element};
use crate::{
    ConfigError, Document, KeyPath, Keyword, Kind, NetworkKind, Problem, Reason, Section, Value,
};
use crate::{mirror, names};
use fairlead_types::{ObjectName, Root};
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// The range of the network `default` when none is declared (specification 3).
pub(crate) const DEFAULT_RANGE: &str = "10.22.0.0/16";

/// The name of this node: the kernel's node name in lower case.
#[must_use]
pub fn nodename() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().to_lowercase()
}

/// `cluster.conf` overlaid with `node.conf`, key by key, as one node sees it. A key
/// is an option with its scope.
#[derive(Debug, Clone)]
pub struct Config {
    root: Root,
    node: String,
    cluster: Document,
    local: Document,
    /// The service that is looked at, if one is.
    pub(crate) service: Option<Service>,
    /// Made at the first use: a thousand nodes are looked up a thousand times.
    groups: OnceLock<Groups>,
}

/// A service's name, and its file.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: ObjectName,
    pub(crate) document: Document,
}

/// The nodes that a scope stands for.
#[derive(Debug, Clone)]
struct Groups {
    nodes: HashSet<String>,
    drpnodes: HashSet<String>,
}

/// A keyword that was looked up: where its value came from, and the value.
pub(crate) struct Found {
    section: String,
    key: String,
    raw: Option<String>,
    pub(crate) value: Option<Value>,
}

impl Found {
    /// A problem with this value.
    pub(crate) fn problem(&self, reason: Reason) -> Problem {
        Problem {
            section: self.section.clone(),
            option: Some(self.key.clone()),
            value: self.raw.clone(),
            reason: Box::new(reason),
        }
    }
}

impl Config {
    /// Reads both files below `root`; one that is not there is empty. On a node of a
    /// cluster, what was mirrored last counts as `cluster.conf` ([`crate::Mirror`]).
    ///
    /// # Errors
    /// A file that cannot be read, naming file and line; [`ConfigError::Vanished`].
    pub fn load(root: &Root, node: &str) -> Result<Self, ConfigError> {
        let local = file::read(&Target::Node.path(root))?;
        let cluster = mirror::cluster(root, &local)?;
        Ok(Self::from_documents(root, node, cluster, local))
    }

    /// The same from documents in memory.
    /// Names of nodes are lower case there from then on, as everywhere.
    #[must_use]
    pub fn from_documents(root: &Root, node: &str, cluster: Document, local: Document) -> Self {
        Self {
            root: root.clone(),
            node: node.to_owned(),
            cluster: names::lowered(cluster),
            local: names::lowered(local),
            service: None,
            groups: OnceLock::new(),
        }
    }

    /// The directory that default paths are below.
    #[must_use]
    pub const fn root(&self) -> &Root {
        &self.root
    }

    /// The node that values are evaluated for.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// One of the two files.
    #[must_use]
    pub const fn document(&self, target: Target) -> &Document {
        match target {
            Target::Cluster => &self.cluster,
            Target::Node => &self.local,
        }
    }

    pub(crate) fn document_mut(&mut self, target: Target) -> &mut Document {
        self.groups = OnceLock::new();
        match target {
            Target::Cluster => &mut self.cluster,
            Target::Node => &mut self.local,
        }
    }

    /// The document of a layer; nothing of a service where none is looked at.
    pub(crate) fn layer(&self, layer: Layer) -> Option<&Document> {
        match layer {
            Layer::File(target) => Some(self.document(target)),
            Layer::Service => self.service.as_ref().map(|service| &service.document),
        }
    }

    pub(crate) fn layer_mut(&mut self, layer: Layer) -> Option<&mut Document> {
        match layer {
            Layer::File(target) => Some(self.document_mut(target)),
            Layer::Service => self.service.as_mut().map(|service| &mut service.document),
        }
    }

    /// The service that is looked at, if the section is one of its file.
    fn service_of(&self, section: &str) -> Option<&Service> {
        let service = self.service.as_ref()?;
        // A service may look at the cluster's keywords, and has no networks of its own.
        let own = Section::of_service(section).is_some() || Section::of(section).is_none();
        own.then_some(service)
    }

    /// What the cluster alone declares, as another node sees it.
    pub(crate) fn of_cluster(&self, node: &str) -> Self {
        let cluster = self.cluster.clone();
        Self::from_documents(&self.root, node, cluster, Document::default())
    }

    /// The stored text of a keyword, as it is: no default, no scope rules, no
    /// references. `om cluster get` reads `cluster.conf`, `om node get` the merged
    /// view (specification 1.3).
    #[must_use]
    pub fn get(&self, target: Target, path: &KeyPath) -> Option<&str> {
        let key = path.key();
        let text = match target {
            Target::Cluster => self.cluster.get(&path.section, &key),
            Target::Node => self.stored(&path.section, &key),
        }?;
        match path.index {
            Some(index) => element(text, index).ok(),
            None => Some(text),
        }
    }

    /// The value of a keyword for this node: scoped, references replaced, converted;
    /// the default if none is stored, nothing if there is no default. An unknown
    /// keyword is text. An empty value stands for the default.
    ///
    /// # Errors
    /// [`ConfigError::Value`] names keyword, value and reason.
    pub fn eval(&self, path: &KeyPath) -> Result<Option<Value>, ConfigError> {
        self.eval_for(path, &self.node)
    }

    /// The same as another node would evaluate it.
    ///
    /// # Errors
    /// As [`Config::eval`].
    pub fn eval_for(&self, path: &KeyPath, node: &str) -> Result<Option<Value>, ConfigError> {
        let error = |problem| ConfigError::Value(Box::new(problem));
        let found = match &path.scope {
            None => self.evaluate(&path.section, &path.option, node),
            Some(_) => {
                let key = path.key();
                let raw = self.stored(&path.section, &key).map(str::to_owned);
                self.convert_stored(&path.section, &path.option, (key, raw), node)
            }
        }
        .map_err(error)?;
        let (Some(index), Some(value)) = (path.index, &found.value) else {
            return Ok(found.value);
        };
        let elements = value.elements();
        let len = elements.len();
        match elements.into_iter().nth(index) {
            Some(text) => Ok(Some(Value::Text(text))),
            None => Err(error(found.problem(Reason::Index { index, len }))),
        }
    }

    /// The same with another text for one of the files.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`] names the line without meaning.
    pub fn with_text(&self, target: Target, text: &str) -> Result<Self, ConfigError> {
        let document = Document::parse(text).map_err(|source| ConfigError::Malformed {
            path: target.path(&self.root),
            source,
        })?;
        let mut config = self.clone();
        *config.document_mut(target) = names::lowered(document);
        Ok(config)
    }

    /// The identity of the cluster's configuration: `cluster.id`, else `DEFAULT.id`,
    /// which the first change makes.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        let id = self.cluster.get("cluster", "id");
        let id = id.filter(|id| !id.is_empty());
        id.or_else(|| self.cluster.get("DEFAULT", "id"))
    }

    /// The sections of both files, each once: those of `cluster.conf` first.
    #[must_use]
    pub fn sections(&self) -> Vec<&str> {
        let own = self.local.sections();
        let new = own.filter(|s| !self.cluster.has_section(s));
        self.cluster.sections().chain(new).collect()
    }

    /// The cluster's name, in lower case; `default` if it has none.
    ///
    /// # Errors
    /// As [`Config::eval`].
    pub fn cluster_name(&self) -> Result<String, ConfigError> {
        let value = self.eval(&KeyPath::new("cluster", "name"))?;
        Ok(value.map(|v| v.to_string()).unwrap_or_default())
    }

    /// The cluster's nodes in their order.
    #[must_use]
    pub fn cluster_nodes(&self) -> Vec<&str> {
        self.words("nodes").collect()
    }

    /// The nameservers for containers, as this node sees them.
    ///
    /// # Errors
    /// As [`Config::eval`].
    pub fn dns(&self) -> Result<Vec<IpAddr>, ConfigError> {
        Ok(match self.eval(&KeyPath::new("cluster", "dns"))? {
            Some(Value::Ips(list)) => list,
            _ => Vec::new(),
        })
    }

    /// The port that the agents answer questions for names at, as this node sees it.
    ///
    /// # Errors
    /// As [`Config::eval`].
    pub fn dns_port(&self) -> Result<u16, ConfigError> {
        Ok(match self.eval(&KeyPath::new("dns", "port"))? {
            // The keyword takes no greater one.
            Some(Value::Int(port)) => u16::try_from(port).unwrap_or(53),
            _ => 53,
        })
    }

    /// The directory of CNI plugin programs.
    ///
    /// # Errors
    /// As [`Config::eval`].
    pub fn cni_plugins(&self) -> Result<PathBuf, ConfigError> {
        self.path("plugins")
    }

    /// The directory of CNI network configurations.
    ///
    /// # Errors
    /// As [`Config::eval`].
    pub fn cni_config(&self) -> Result<PathBuf, ConfigError> {
        self.path("config")
    }

    /// How long one call of a CNI plugin program may take.
    ///
    /// # Errors
    /// As [`Config::eval`].
    pub fn cni_timeout(&self) -> Result<Duration, ConfigError> {
        Ok(match self.eval(&KeyPath::new("cni", "timeout"))? {
            Some(Value::Duration(time)) => time,
            _ => Duration::from_secs(60),
        })
    }

    fn path(&self, option: &str) -> Result<PathBuf, ConfigError> {
        let value = self.eval(&KeyPath::new("cni", option))?;
        Ok(value.map(|v| v.to_string()).unwrap_or_default().into())
    }

    /// The stored text of a key in the merged view. How to reach etcd is no matter of
    /// the file that comes from there.
    pub(crate) fn stored(&self, section: &str, key: &str) -> Option<&str> {
        if let Some(service) = self.service_of(section) {
            return service.document.get(section, key);
        }
        let own = self.local.get(section, key);
        let shared = || match section {
            "etcd" => None,
            _ => self.cluster.get(section, key),
        };
        own.or_else(shared)
    }

    /// The keys of a section in the merged view, each once.
    pub(crate) fn keys(&self, section: &str) -> Vec<&str> {
        let new = |key: &str| self.cluster.get(section, key).is_none();
        let own = self.local.options(section).map(|(key, _)| key);
        let keys = self.cluster.options(section).map(|(key, _)| key);
        keys.chain(own.filter(|k| new(k))).collect()
    }

    /// The key that counts for a node and its stored text (specification 1.2): the
    /// node's own, `@nodes`, `@drpnodes`, unscoped.
    pub(crate) fn descoped(
        &self,
        section: &str,
        option: &str,
        node: &str,
    ) -> Option<(String, &str)> {
        let pick = |key: String| self.stored(section, &key).map(|raw| (key, raw));
        if self.keyword(section, option).is_none_or(|k| k.scopable) {
            let group = |group: &str| match self.is_in(group, node) {
                true => pick(format!("{option}@{group}")),
                false => None,
            };
            let scoped = pick(format!("{option}@{node}"))
                .or_else(|| group("nodes"))
                .or_else(|| group("drpnodes"));
            if scoped.is_some() {
                return scoped;
            }
        }
        pick(option.to_owned())
    }

    /// The keyword that an option is, with the meaning it has in this section.
    fn keyword(&self, section: &str, option: &str) -> Option<&'static Keyword> {
        let kind = self.kind_of(section).ok();
        let of = match self.service_of(section) {
            Some(_) => Section::of_service(section),
            None => Section::of(section),
        };
        match lookup(of?, option, kind) {
            Lookup::Known(keyword) => Some(keyword),
            Lookup::OtherType(_) | Lookup::Unknown => None,
        }
    }

    /// The default of an option, in text form.
    pub(crate) fn default_of(&self, section: &str, option: &str) -> Option<String> {
        let keyword = self.keyword(section, option)?;
        let bridge = keyword.networks == [NetworkKind::Bridge];
        match (section, option) {
            ("network#default", "network") if bridge => return Some(DEFAULT_RANGE.to_owned()),
            ("network#lo", "type") => return Some("lo".to_owned()),
            _ => {}
        }
        let default = keyword.default?;
        Some(match keyword.kind {
            Kind::Path => self.root.join(default).display().to_string(),
            _ => default.to_owned(),
        })
    }

    /// The type of the network that a section declares; `lo` is of its own type.
    pub(crate) fn kind_of(&self, section: &str) -> Result<NetworkKind, Reason> {
        let raw = self.stored(section, "type").filter(|t| !t.is_empty());
        match raw {
            Some(raw) => NetworkKind::parse(raw),
            None if section == "network#lo" => Ok(NetworkKind::Lo),
            None => Ok(NetworkKind::Bridge),
        }
    }

    /// Looks up a keyword for a node.
    pub(crate) fn evaluate(
        &self,
        section: &str,
        option: &str,
        node: &str,
    ) -> Result<Found, Problem> {
        let stored = self.descoped(section, option, node);
        let (key, raw) = match stored {
            Some((key, raw)) => (key, Some(raw.to_owned())),
            None => (option.to_owned(), None),
        };
        self.convert_stored(section, option, (key, raw), node)
    }

    /// Expands and converts what is stored under a key.
    pub(crate) fn convert_stored(
        &self,
        section: &str,
        option: &str,
        (key, raw): (String, Option<String>),
        node: &str,
    ) -> Result<Found, Problem> {
        let mut found = Found {
            section: section.to_owned(),
            key,
            raw,
            value: None,
        };
        let mut text = match &found.raw {
            Some(raw) if is_literal(section, option) => raw.clone(),
            Some(raw) => Expansion::new(self, node)
                .stored(section, &found.key, raw)
                .map_err(|reason| found.problem(reason))?,
            None => String::new(),
        };
        if text.trim().is_empty() {
            match self.default_of(section, option) {
                Some(default) => text = default,
                None => return Ok(found),
            }
        }
        let kind = self.keyword(section, option).map_or(Kind::Text, |k| k.kind);
        let value = convert(kind, text.trim()).map_err(|reason| found.problem(reason))?;
        found.value = Some(value);
        Ok(found)
    }

    /// The nodes of the cluster that `etc/hosts` gives one of these addresses.
    pub(crate) fn nodes_at(&self, addresses: &str) -> String {
        let hosts = std::fs::read_to_string(self.root.join("/etc/hosts")).unwrap_or_default();
        let wanted: Vec<IpAddr> = addresses
            .split_whitespace()
            .filter_map(|a| a.parse().ok())
            .collect();
        let names: Vec<&str> = hosts
            .lines()
            .filter_map(|line| {
                let line = line.split('#').next()?;
                let (address, names) = line.trim().split_once(char::is_whitespace)?;
                let address: IpAddr = address.parse().ok()?;
                wanted.contains(&address).then_some(names)
            })
            .flat_map(str::split_whitespace)
            .collect();
        let nodes = self.words("nodes").filter(|n| names.contains(n));
        nodes.collect::<Vec<_>>().join(" ")
    }

    /// Whether a node is one of those that the scope `nodes` or `drpnodes` stands for.
    pub(crate) fn is_in(&self, group: &str, node: &str) -> bool {
        let of = |option| self.words(option).map(str::to_owned).collect();
        let groups = self.groups.get_or_init(|| Groups {
            nodes: of("nodes"),
            drpnodes: of("drpnodes"),
        });
        match group {
            "nodes" => groups.nodes.contains(node),
            _ => groups.drpnodes.contains(node),
        }
    }

    /// The words of `cluster.nodes` or `cluster.drpnodes`.
    fn words(&self, option: &str) -> impl Iterator<Item = &str> {
        let text = self.stored("cluster", option).unwrap_or_default();
        text.split_whitespace()
    }
}

/// Keywords that decide how others are read, so they hold no references.
pub(crate) fn is_literal(section: &str, option: &str) -> bool {
    match option {
        "type" => section.starts_with("network#"),
        "nodes" | "drpnodes" => section == "cluster",
        _ => false,
    }
}

#[cfg(test)]
mod tests;
