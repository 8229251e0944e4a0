//! A network's configuration: a list of plugins.

use super::fault::{ConfError, Fault, FaultReason, Origin};
use super::net::NetConf;
use crate::version::triple;
use crate::{CniResult, Dns, MAX_INPUT, SpecVersion};
use fairlead_types::NetworkName;
use serde_json::{Map, Value, json};

/// A network's configuration: the plugins of a chain and what holds for all of
/// them (CNI specification, section 1).
#[derive(Debug, Clone, PartialEq)]
pub struct ConfList {
    /// The version to speak: the newest that is known here of `cniVersion` and
    /// `cniVersions`.
    pub cni_version: SpecVersion,
    /// `cniVersions` as given; may hold versions that are not known here.
    pub cni_versions: Vec<String>,
    /// The network.
    pub name: NetworkName,
    /// CHECK is not to be asked.
    pub disable_check: bool,
    /// GC is not to be asked.
    pub disable_gc: bool,
    /// Files beside the list add no plugin to it.
    pub load_only_inlined_plugins: bool,
    /// The chain, in the order of ADD. Empty only before files added to it.
    pub plugins: Vec<PluginEntry>,
    /// Keys that are not known here.
    pub extra: Map<String, Value>,
}

/// One plugin of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginEntry {
    plugin_type: String,
    raw: Map<String, Value>,
}

impl PluginEntry {
    /// `type`: the plugin's name, checked.
    #[must_use]
    pub fn plugin_type(&self) -> &str {
        &self.plugin_type
    }

    /// Every key as it was given.
    #[must_use]
    pub fn raw(&self) -> &Map<String, Value> {
        &self.raw
    }

    /// `ipam.type`, when there is one.
    #[must_use]
    pub fn ipam_type(&self) -> Option<&str> {
        let name = self.raw.get("ipam")?.get("type")?.as_str()?;
        Some(name).filter(|n| !n.is_empty())
    }

    /// The capabilities that the plugin takes, in the order given.
    pub fn capabilities(&self) -> impl Iterator<Item = &str> {
        let object = self.raw.get("capabilities").and_then(Value::as_object);
        object
            .into_iter()
            .flatten()
            .filter(|(_, v)| **v == Value::Bool(true))
            .map(|(k, _)| k.as_str())
    }

    /// The configuration that this plugin is given for a call: its own keys, the
    /// list's name and version, and of `capability_args` what it takes.
    /// `capabilities` stays, as the reference runtime leaves it: plugins that hand
    /// their configuration on to others have come to rely on that, although the
    /// specification would have it removed.
    #[must_use]
    pub fn request(
        &self,
        list: &ConfList,
        capability_args: &Map<String, Value>,
        previous: Option<CniResult>,
    ) -> NetConf {
        let mut runtime_config = Map::new();
        for capability in self.capabilities() {
            if let Some(value) = capability_args.get(capability) {
                runtime_config.insert(capability.to_owned(), value.clone());
            }
        }
        let conf = NetConf::new(list.name.clone(), list.cni_version, self.raw.clone());
        let conf = conf.with_previous(previous);
        if runtime_config.is_empty() {
            return conf;
        }
        conf.with("runtimeConfig", Value::Object(runtime_config))
    }
}

impl ConfList {
    /// Reads a list, or a single plugin's configuration as a list of one.
    ///
    /// # Errors
    /// [`ConfError::Syntax`], [`ConfError::TooLarge`], or
    /// [`ConfError::Invalid`] with every fault.
    pub fn from_slice(text: &[u8]) -> Result<Self, ConfError> {
        let origin = Origin::Text;
        if text.len() as u64 > MAX_INPUT {
            return Err(ConfError::TooLarge { origin });
        }
        match serde_json::from_slice(text) {
            Ok(value) => Self::from_value(value),
            Err(source) => Err(ConfError::Syntax { origin, source }),
        }
    }

    /// The same from a value in memory.
    ///
    /// # Errors
    /// [`ConfError::Invalid`] with every fault.
    pub fn from_value(value: Value) -> Result<Self, ConfError> {
        let mut reader = Reader::default();
        let list = reader.list(value);
        match list {
            Some(list) if reader.faults.is_empty() => Ok(list),
            _ => Err(ConfError::Invalid {
                origin: Origin::Text,
                faults: reader.faults,
            }),
        }
    }

    /// The list as a file has it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        object.insert("cniVersion".into(), json!(self.cni_version.as_str()));
        if !self.cni_versions.is_empty() {
            object.insert("cniVersions".into(), json!(self.cni_versions));
        }
        object.insert("name".into(), json!(self.name.as_str()));
        for (key, value) in [
            ("disableCheck", self.disable_check),
            ("disableGC", self.disable_gc),
            ("loadOnlyInlinedPlugins", self.load_only_inlined_plugins),
        ] {
            if value {
                object.insert(key.into(), Value::Bool(true));
            }
        }
        object.extend(self.extra.clone());
        let plugins = self.plugins.iter().map(|p| Value::Object(p.raw.clone()));
        object.insert("plugins".into(), plugins.collect());
        Value::Object(object)
    }

    /// What a list that could be read should not have all the same: keys that
    /// the runtime sets, keys that contradict the list, capabilities and
    /// switches that its version does not know.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut add = |at: String, reason| faults.push(Fault { at, reason });
        if self.plugins.is_empty() {
            add("plugins".into(), FaultReason::NoPlugin);
        }
        if self.disable_check && !self.cni_version.has_check() {
            let (since, version) = (SpecVersion::V0_4_0, self.cni_version);
            add(
                "disableCheck".into(),
                FaultReason::TooEarly { since, version },
            );
        }
        if self.disable_gc && !self.cni_version.has_gc() {
            let (since, version) = (SpecVersion::V1_1_0, self.cni_version);
            add("disableGC".into(), FaultReason::TooEarly { since, version });
        }
        for (i, plugin) in self.plugins.iter().enumerate() {
            for key in plugin.raw.keys() {
                let reserved = matches!(key.as_str(), "runtimeConfig" | "prevResult");
                if reserved || key.starts_with("cni.dev/") {
                    add(format!("plugins[{i}].{key}"), FaultReason::Reserved);
                }
            }
            let own = [
                ("name", self.name.as_str()),
                ("cniVersion", self.cni_version.as_str()),
            ];
            for (key, list) in own {
                if let Some(value) = plugin.raw.get(key).and_then(Value::as_str)
                    && value != list
                {
                    let (value, list) = (value.to_owned(), list.to_owned());
                    add(
                        format!("plugins[{i}].{key}"),
                        FaultReason::Differs { value, list },
                    );
                }
            }
        }
        faults
    }

    /// The capabilities that any plugin of the list takes, each once.
    #[must_use]
    pub fn capabilities(&self) -> Vec<String> {
        let mut all: Vec<_> = self
            .plugins
            .iter()
            .flat_map(PluginEntry::capabilities)
            .map(str::to_owned)
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Reads one plugin's configuration from a file beside a list.
pub(super) fn plugin_from_slice(text: &[u8]) -> Result<PluginEntry, ConfError> {
    let origin = Origin::Text;
    let value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(source) => return Err(ConfError::Syntax { origin, source }),
    };
    let mut reader = Reader::default();
    match reader.plugin(value, String::new()) {
        Some(plugin) if reader.faults.is_empty() => Ok(plugin),
        _ => Err(ConfError::Invalid {
            origin,
            faults: reader.faults,
        }),
    }
}

/// Reads on after a fault, so that one run finds them all.
#[derive(Default)]
struct Reader {
    faults: Vec<Fault>,
}

impl Reader {
    fn fault(&mut self, at: impl Into<String>, reason: impl Into<FaultReason>) {
        self.faults.push(Fault {
            at: at.into(),
            reason: reason.into(),
        });
    }

    fn wrong(&mut self, at: impl Into<String>, value: &Value, wanted: &'static str) {
        let value: String = value.to_string().chars().take(100).collect();
        self.fault(at, FaultReason::Type { value, wanted });
    }

    fn list(&mut self, value: Value) -> Option<ConfList> {
        let Value::Object(mut object) = value else {
            self.wrong("$", &value, "an object");
            return None;
        };
        let name = self.name(&object);
        let (cni_version, cni_versions) = self.versions(&object);
        let single = object.contains_key("type") && !object.contains_key("plugins");
        if single {
            let plugin = self.plugin(Value::Object(object), String::new());
            return Some(ConfList {
                cni_version: cni_version?,
                cni_versions,
                name: name?,
                disable_check: false,
                disable_gc: false,
                load_only_inlined_plugins: true,
                plugins: vec![plugin?],
                extra: Map::new(),
            });
        }
        let disable_check = self.switch(&mut object, "disableCheck");
        let disable_gc = self.switch(&mut object, "disableGC");
        let load_only_inlined_plugins = self.switch(&mut object, "loadOnlyInlinedPlugins");
        let plugins = self.plugins(object.shift_remove("plugins"), load_only_inlined_plugins);
        for key in ["name", "cniVersion", "cniVersions"] {
            object.shift_remove(key);
        }
        Some(ConfList {
            cni_version: cni_version?,
            cni_versions,
            name: name?,
            disable_check,
            disable_gc,
            load_only_inlined_plugins,
            plugins,
            extra: object,
        })
    }

    fn name(&mut self, object: &Map<String, Value>) -> Option<NetworkName> {
        match object.get("name") {
            None | Some(Value::Null) => self.fault("name", FaultReason::Missing),
            Some(Value::String(text)) => match NetworkName::new(text) {
                Ok(name) => return Some(name),
                Err(error) => self.fault("name", error),
            },
            Some(other) => self.wrong("name", other, "a text"),
        }
        None
    }

    /// The version to speak, and `cniVersions`.
    fn versions(&mut self, object: &Map<String, Value>) -> (Option<SpecVersion>, Vec<String>) {
        let mut several = Vec::new();
        match object.get("cniVersions") {
            None | Some(Value::Null) => {}
            Some(Value::Array(items)) => {
                for (i, item) in items.iter().enumerate() {
                    match item.as_str() {
                        Some(text) if triple(text).is_some() => several.push(text.to_owned()),
                        _ => self.wrong(format!("cniVersions[{i}]"), item, "a version"),
                    }
                }
            }
            Some(other) => self.wrong("cniVersions", other, "a list of versions"),
        }
        let one = match object.get("cniVersion") {
            None | Some(Value::Null) => "",
            Some(Value::String(text)) => text,
            Some(other) => {
                self.wrong("cniVersion", other, "a text");
                return (None, several);
            }
        };
        let newest = several.iter().filter_map(|v| v.parse().ok()).max();
        let version = match (one.parse::<SpecVersion>(), newest) {
            (Ok(one), newest) => Some(newest.map_or(one, |n: SpecVersion| n.max(one))),
            // A newer version that is not known here is no fault beside a known one.
            (Err(_), Some(newest)) if triple(one).is_some() => Some(newest),
            (Err(error), _) => {
                self.fault("cniVersion", error);
                None
            }
        };
        (version, several)
    }

    fn switch(&mut self, object: &mut Map<String, Value>, key: &str) -> bool {
        match object.shift_remove(key) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(value)) => value,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => true,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => false,
            Some(other) => {
                self.wrong(key, &other, "true or false");
                false
            }
        }
    }

    fn plugins(&mut self, value: Option<Value>, only_inlined: bool) -> Vec<PluginEntry> {
        match value {
            None | Some(Value::Null) => {
                if only_inlined {
                    self.fault("plugins", FaultReason::Missing);
                }
                Vec::new()
            }
            Some(Value::Array(items)) if items.is_empty() => {
                self.fault("plugins", FaultReason::NoPlugin);
                Vec::new()
            }
            Some(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .filter_map(|(i, item)| self.plugin(item, format!("plugins[{i}].")))
                .collect(),
            Some(other) => {
                self.wrong("plugins", &other, "a list of plugin configurations");
                Vec::new()
            }
        }
    }

    /// `at` is the path to the plugin with the point behind it, or empty.
    fn plugin(&mut self, value: Value, at: String) -> Option<PluginEntry> {
        let Value::Object(raw) = value else {
            let at = if at.is_empty() {
                "$"
            } else {
                at.trim_end_matches('.')
            };
            self.wrong(at, &value, "an object");
            return None;
        };
        if let Some(capabilities) = raw.get("capabilities").filter(|v| !v.is_null()) {
            self.capabilities(capabilities, &format!("{at}capabilities"));
        }
        if let Some(ipam) = raw.get("ipam").filter(|v| !v.is_null()) {
            match ipam {
                Value::Object(ipam) => {
                    if let Some(name) = ipam.get("type").filter(|v| !v.is_null()) {
                        self.plugin_type(name, format!("{at}ipam.type"), true);
                    }
                }
                other => self.wrong(format!("{at}ipam"), other, "an object"),
            }
        }
        if let Some(dns) = raw.get("dns").filter(|v| !v.is_null())
            && let Err(error) = Dns::from_json(dns, "dns")
        {
            self.fault(format!("{at}dns"), error);
        }
        let plugin_type = match raw.get("type") {
            None | Some(Value::Null) => {
                self.fault(format!("{at}type"), FaultReason::Missing);
                None
            }
            Some(name) => self.plugin_type(name, format!("{at}type"), false),
        };
        Some(PluginEntry {
            plugin_type: plugin_type?,
            raw,
        })
    }

    fn plugin_type(&mut self, value: &Value, at: String, may_be_empty: bool) -> Option<String> {
        match value.as_str() {
            None => self.wrong(at, value, "a text"),
            Some("") if !may_be_empty => self.fault(at, FaultReason::Missing),
            Some(name) if is_program_name(name) || name.is_empty() => return Some(name.to_owned()),
            Some(name) => self.fault(at, FaultReason::PluginType(name.to_owned())),
        }
        None
    }

    fn capabilities(&mut self, value: &Value, at: &str) {
        let Some(object) = value.as_object() else {
            return self.wrong(at, value, "an object");
        };
        for (key, value) in object {
            if !value.is_boolean() {
                self.wrong(format!("{at}.{key}"), value, "true or false");
            }
        }
    }
}

/// Whether a plugin's name names a file in a directory and nothing else.
pub(crate) fn is_program_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}
