//! The configuration of one plugin call.

use crate::{CniError, CniResult, Code, Dns, SpecVersion};
use fairlead_types::{NameError, NetworkName};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The configuration of one plugin call: what every plugin shares by accessors,
/// the plugin's own keys by [`NetConf::decode`] or [`NetConf::get`]. Keys that
/// nobody here knows stay and reach a delegated plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct NetConf {
    version: SpecVersion,
    name: NetworkName,
    raw: Map<String, Value>,
    /// The earlier result when the caller had it in memory; `raw` has none then.
    previous: Option<CniResult>,
}

/// An attachment as GC names it: in `cni.dev/valid-attachments`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
pub struct AttachmentId {
    /// The container, `CNI_CONTAINERID` of its ADD.
    #[serde(rename = "containerID")]
    pub container: String,
    /// The interface, `CNI_IFNAME` of its ADD.
    pub ifname: String,
}

impl NetConf {
    /// Takes a configuration object.
    ///
    /// # Errors
    /// With the codes of the specification: a name or version of the wrong type
    /// (6), a missing or bad name (7), an unknown version (1).
    pub fn from_object(raw: Map<String, Value>) -> Result<Self, CniError> {
        let name = network_name(&raw)?;
        let version = version_text(&raw)?.parse().map_err(|e| {
            CniError::new(Code::INCOMPATIBLE_VERSION, "incompatible CNI versions")
                .with_details(format!("{e}"))
        })?;
        Ok(Self {
            version,
            name,
            raw,
            previous: None,
        })
    }

    /// Makes a configuration from parts that are checked already: `name` and
    /// `version` are put into `raw`.
    #[must_use]
    pub fn new(name: NetworkName, version: SpecVersion, mut raw: Map<String, Value>) -> Self {
        raw.insert("cniVersion".into(), json!(version.as_str()));
        raw.insert("name".into(), json!(name.as_str()));
        Self {
            version,
            name,
            raw,
            previous: None,
        }
    }

    /// The same configuration with the result of the plugin before.
    #[must_use]
    pub fn with_previous(mut self, previous: Option<CniResult>) -> Self {
        self.raw.remove("prevResult");
        self.previous = previous;
        self
    }

    /// The same configuration with one key set.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.raw.insert(key.to_owned(), value);
        self
    }

    /// `cniVersion`.
    #[must_use]
    pub fn version(&self) -> SpecVersion {
        self.version
    }

    /// `name`: the network.
    #[must_use]
    pub fn name(&self) -> &NetworkName {
        &self.name
    }

    /// `type`: the plugin; empty when it is not given.
    #[must_use]
    pub fn plugin_type(&self) -> &str {
        self.raw
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Every key as it was given.
    #[must_use]
    pub fn raw(&self) -> &Map<String, Value> {
        &self.raw
    }

    /// The `ipam` object, when there is one.
    #[must_use]
    pub fn ipam(&self) -> Option<&Map<String, Value>> {
        self.raw.get("ipam").and_then(Value::as_object)
    }

    /// `ipam.type`: the plugin that gives the addresses, unless empty.
    #[must_use]
    pub fn ipam_type(&self) -> Option<&str> {
        let name = self.ipam()?.get("type")?.as_str()?;
        Some(name).filter(|n| !n.is_empty())
    }

    /// The `dns` object; empty when there is none.
    ///
    /// # Errors
    /// Code 6 when a value in it has the wrong type.
    pub fn dns(&self) -> Result<Dns, CniError> {
        match self.raw.get("dns").filter(|v| !v.is_null()) {
            None => Ok(Dns::default()),
            Some(value) => Dns::from_json(value, "dns")
                .map_err(|e| CniError::new(Code::DECODING_FAILURE, e.to_string())),
        }
    }

    /// Whether `capabilities` says that the plugin takes the capability.
    #[must_use]
    pub fn has_capability(&self, capability: &str) -> bool {
        self.at("/capabilities", capability) == Some(&Value::Bool(true))
    }

    /// What the runtime gave for a capability, `runtimeConfig.<capability>`.
    #[must_use]
    pub fn runtime_config(&self, capability: &str) -> Option<&Value> {
        self.at("/runtimeConfig", capability)
    }

    /// A conventional argument of the configuration, `args.cni.<key>`.
    #[must_use]
    pub fn cni_arg(&self, key: &str) -> Option<&Value> {
        let args = self.raw.get("args")?.get("cni")?;
        args.get(key).filter(|v| !v.is_null())
    }

    fn at(&self, section: &str, key: &str) -> Option<&Value> {
        let section = self.raw.get(&section[1..])?;
        section.get(key).filter(|v| !v.is_null())
    }

    /// The result of the plugin before, or of the whole chain on CHECK and DEL.
    ///
    /// # Errors
    /// Code 6 when `prevResult` is no result.
    pub fn previous(&self) -> Result<Option<Cow<'_, CniResult>>, CniError> {
        if let Some(previous) = &self.previous {
            return Ok(Some(Cow::Borrowed(previous)));
        }
        let Some(value) = self.raw.get("prevResult").filter(|v| !v.is_null()) else {
            return Ok(None);
        };
        CniResult::from_json(value)
            .map(|result| Some(Cow::Owned(result)))
            .map_err(|e| {
                CniError::new(Code::DECODING_FAILURE, "could not parse prevResult")
                    .with_details(e.to_string())
            })
    }

    /// The attachments that are still valid (GC): `cni.dev/valid-attachments`,
    /// or `cni.dev/attachments`, the name an earlier text of the specification
    /// had. `None` when the runtime names none of the two keys.
    ///
    /// # Errors
    /// Code 6 when the value is no list of attachments.
    pub fn valid_attachments(&self) -> Result<Option<Vec<AttachmentId>>, CniError> {
        match self.get("cni.dev/valid-attachments")? {
            Some(list) => Ok(Some(list)),
            None => self.get("cni.dev/attachments"),
        }
    }

    /// The value of one key; `None` when it is absent or null.
    ///
    /// # Errors
    /// Code 999, as the reference plugins have it, naming the key, when its value is
    /// not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CniError> {
        let Some(value) = self.raw.get(key).filter(|v| !v.is_null()) else {
            return Ok(None);
        };
        T::deserialize(value).map(Some).map_err(|e| {
            CniError::new(
                Code::INTERNAL,
                format!("failed to load netconf: {key}: {e}"),
            )
        })
    }

    /// The whole configuration as the plugin's own type, which may borrow.
    ///
    /// # Errors
    /// Code 999, as the reference plugins have it, with what is wrong with which key.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, CniError> {
        // Only a failure pays for knowing its place.
        T::deserialize(&self.raw).or_else(|_| {
            serde_path_to_error::deserialize(&self.raw).map_err(|e| {
                CniError::internal(format!(
                    "failed to load netconf: {}: {}",
                    e.path(),
                    e.inner()
                ))
            })
        })
    }

    /// The configuration as a plugin's standard input.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let text = match &self.previous {
            None => serde_json::to_vec(&self.raw),
            Some(previous) => {
                let mut raw = self.raw.clone();
                raw.insert("prevResult".into(), previous.to_json(self.version));
                serde_json::to_vec(&raw)
            }
        };
        // Writing a map with text keys to memory has no way to fail.
        text.unwrap_or_default()
    }
}

/// `cniVersion` as it stands there, empty when it does not.
pub(crate) fn version_text(raw: &Map<String, Value>) -> Result<&str, CniError> {
    match raw.get("cniVersion").filter(|v| !v.is_null()) {
        None => Ok(""),
        Some(value) => value.as_str().ok_or_else(|| {
            CniError::new(
                Code::DECODING_FAILURE,
                format!("decoding version from network config: cniVersion {value} is not a text"),
            )
        }),
    }
}

/// `name`, checked.
pub(crate) fn network_name(raw: &Map<String, Value>) -> Result<NetworkName, CniError> {
    let missing = || CniError::invalid_config("missing network name");
    let value = raw.get("name").filter(|v| !v.is_null());
    let text = value.ok_or_else(missing)?.as_str().ok_or_else(|| {
        CniError::new(
            Code::DECODING_FAILURE,
            "error unmarshall network config: name is not a text",
        )
    })?;
    NetworkName::new(text).map_err(|e| match e {
        NameError::Empty { .. } => missing(),
        NameError::TooLong { .. } => {
            CniError::invalid_config("network name is too long").with_details(e.to_string())
        }
        NameError::Character { .. } | NameError::Reserved { .. } => {
            CniError::invalid_config("invalid characters found in network name").with_details(text)
        }
    })
}
