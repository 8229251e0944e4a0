//! The runtime's side: runs the plugins of a list, keeps what DEL needs.

mod cache;
mod delegate;
mod error;
mod invoke;
mod program;
#[cfg(test)]
mod tests;

pub use cache::{AttachmentCache, CacheError, CachedAttachment};
pub use delegate::delegate;
pub use error::{RuntimeError, Said};

use crate::conf::AttachmentId;
use crate::{Builtins, Call, CniArgs, CniResult, Command, ConfList, PluginEntry, SpecVersion};
use fairlead_types::{ContainerId, IfName, NetworkName, Owner};
use invoke::{Found, Invoker};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Runs the plugins of lists.
#[derive(Clone)]
pub struct Runtime<'a> {
    /// The directories that programs are searched in, `cni.plugins`.
    pub path: Vec<PathBuf>,
    /// The plugins that are run in process.
    pub builtins: &'a dyn Builtins,
    /// Where attachments are kept between ADD and DEL.
    pub cache: &'a dyn AttachmentCache,
    /// How long one program may take; it is killed then, with its children.
    pub time_limit: Duration,
    /// A program in `path` wins over a built-in plugin of the same name.
    pub prefer_external: bool,
}

/// Whom a list is run for (CNI specification, section 3, "Attachment
/// Parameters").
#[derive(Debug, Clone, PartialEq)]
pub struct AttachmentParams {
    /// The container.
    pub container: ContainerId,
    /// The interface's name in it.
    pub ifname: IfName,
    /// The path of its namespace; DEL may have none.
    pub netns: Option<PathBuf>,
    /// `CNI_ARGS`, for every plugin.
    pub args: Vec<(String, String)>,
    /// What the plugins that take a capability are given for it.
    pub capability_args: Map<String, Value>,
}

/// What [`Runtime::validate_list`] found out about one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginReport {
    /// Its `type`.
    pub plugin: String,
    /// The program; none when it is built in.
    pub program: Option<PathBuf>,
    /// The versions it speaks.
    pub versions: Vec<String>,
}

type Ran<T> = Result<T, RuntimeError>;

impl std::fmt::Debug for Runtime<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("path", &self.path)
            .field("time_limit", &self.time_limit)
            .field("prefer_external", &self.prefer_external)
            .finish_non_exhaustive()
    }
}

impl AttachmentParams {
    /// An attachment without arguments.
    #[must_use]
    pub fn new(container: ContainerId, ifname: IfName, netns: Option<PathBuf>) -> Self {
        Self {
            container,
            ifname,
            netns,
            args: Vec::new(),
            capability_args: Map::new(),
        }
    }

    /// The key of the attachment on a network.
    #[must_use]
    pub fn owner(&self, network: &NetworkName) -> Owner {
        Owner {
            network: network.clone(),
            container: self.container.clone(),
            ifname: self.ifname.clone(),
        }
    }
}

impl Runtime<'_> {
    /// Puts a container on a network: ADD of each plugin in order, each given the
    /// result of the one before. The attachment is recorded before the first, so
    /// that [`Runtime::del_recorded`] and [`Runtime::gc_list`] can finish after a
    /// crash. When one fails, those before it are undone by DEL in reverse order, and it
    /// too unless it is built in, whose ADD is whole or not at all; the record stays only
    /// if that failed. A plugin that is missing is found before the first runs.
    ///
    /// # Errors
    /// [`RuntimeError::Add`] with the first failure and what could not be undone;
    /// before anything is done [`RuntimeError::NotFound`],
    /// [`RuntimeError::AlreadyAttached`], [`RuntimeError::NoPlugin`],
    /// [`RuntimeError::Arguments`] and [`RuntimeError::Cache`].
    pub fn add_list(&self, list: &ConfList, params: &AttachmentParams) -> Ran<CniResult> {
        let owner = params.owner(&list.name);
        if list.plugins.is_empty() {
            return Err(RuntimeError::NoPlugin {
                network: list.name.clone(),
            });
        }
        self.arguments(params, &owner)?;
        for plugin in &list.plugins {
            // One that gives the addresses and is missing would fail ADD, and DEL as well.
            for name in std::iter::once(plugin.plugin_type()).chain(plugin.ipam_type()) {
                self.invoker().find(name, &self.path)?;
            }
        }
        if self.load(&owner)?.is_some() {
            return Err(RuntimeError::AlreadyAttached { owner });
        }
        let mut record = CachedAttachment {
            owner,
            netns: params.netns.clone(),
            config: list.to_value().to_string().into_bytes(),
            args: params.args.clone(),
            capability_args: params.capability_args.clone(),
            result: None,
        };
        self.store(&record)?;
        let mut result = None;
        for (i, plugin) in list.plugins.iter().enumerate() {
            match self.run(Command::Add, list, plugin, Some(params), &result) {
                Ok(next) => result = next,
                Err(failed) => {
                    // A built-in plugin's ADD is whole or not at all; a DEL after it
                    // could only take away what was there before.
                    let clean = failed.did_nothing() || self.is_built_in(plugin);
                    let begun = if clean { i } else { i + 1 };
                    let begun = &list.plugins[..begun];
                    return Err(self.undo(list, begun, params, &result, failed));
                }
            }
        }
        let result = result.unwrap_or_default();
        record.result = Some(result.to_json(SpecVersion::LATEST));
        match self.store(&record) {
            Ok(()) => Ok(result),
            Err(failed) => Err(self.undo(list, &list.plugins, params, &Some(result), failed)),
        }
    }

    fn is_built_in(&self, plugin: &PluginEntry) -> bool {
        let found = self.invoker().find(plugin.plugin_type(), &self.path);
        matches!(found, Ok(Found::BuiltIn(_)))
    }

    fn undo(
        &self,
        list: &ConfList,
        begun: &[PluginEntry],
        params: &AttachmentParams,
        result: &Option<CniResult>,
        failed: RuntimeError,
    ) -> RuntimeError {
        let previous = result.as_ref().filter(|_| list.cni_version.has_check());
        let previous = previous.cloned();
        let mut undo: Vec<_> = begun
            .iter()
            .rev()
            .filter_map(|p| {
                self.run(Command::Del, list, p, Some(params), &previous)
                    .err()
            })
            .collect();
        if undo.is_empty()
            && let Err(error) = self.remove(&params.owner(&list.name))
        {
            undo.push(error);
        }
        RuntimeError::Add {
            network: list.name.clone(),
            failed: Box::new(failed),
            undo,
        }
    }

    /// Takes a container off a network: DEL of each plugin in reverse order, from
    /// 0.4.0 on with the result of ADD. Goes on to the end; what is not attached
    /// is no error. The record goes when all plugins succeeded.
    ///
    /// # Errors
    /// [`RuntimeError::Several`] with every failure.
    pub fn del_list(&self, list: &ConfList, params: &AttachmentParams) -> Ran<()> {
        let owner = params.owner(&list.name);
        let mut errors = Vec::new();
        let record = self.load(&owner).unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let previous = match record.filter(|_| list.cni_version.has_check()) {
            // A damaged result is as good as none: DEL works without.
            Some(record) => record.result().unwrap_or_default(),
            None => None,
        };
        for plugin in list.plugins.iter().rev() {
            let ran = self.run(Command::Del, list, plugin, Some(params), &previous);
            errors.extend(ran.err());
        }
        if errors.is_empty() {
            errors.extend(self.remove(&owner).err());
        }
        several(Command::Del, &list.name, errors)
    }

    /// The same from the record alone: the configuration and arguments of the
    /// ADD, whatever has become of the files since. No record is no error.
    ///
    /// # Errors
    /// As [`Runtime::del_list`]; [`RuntimeError::RecordedConfig`] when the record
    /// is damaged.
    pub fn del_recorded(&self, owner: &Owner) -> Ran<()> {
        match self.load(owner)? {
            Some(record) => self.del_record(&record, None),
            None => Ok(()),
        }
    }

    /// Asks each plugin whether what is recorded of an attachment is still there, by the
    /// record alone.
    ///
    /// # Errors
    /// As [`Runtime::check_list`]; [`RuntimeError::NotAttached`] without a record.
    pub fn check_recorded(&self, owner: &Owner) -> Ran<()> {
        let not_attached = || RuntimeError::NotAttached {
            owner: owner.clone(),
        };
        let record = self.load(owner)?.ok_or_else(not_attached)?;
        let list = ConfList::from_slice(&record.config);
        let list = list.map_err(|source| RuntimeError::RecordedConfig {
            owner: owner.clone(),
            source: Box::new(source),
        })?;
        self.check_list(&list, &record.params())
    }

    /// `current` stands in for a recorded configuration that cannot be read.
    fn del_record(&self, record: &CachedAttachment, current: Option<&ConfList>) -> Ran<()> {
        let recorded = ConfList::from_slice(&record.config);
        match (&recorded, current) {
            (Ok(list), _) | (Err(_), Some(list)) => self.del_list(list, &record.params()),
            (Err(_), None) => recorded
                .map(drop)
                .map_err(|source| RuntimeError::RecordedConfig {
                    owner: record.owner.clone(),
                    source: Box::new(source),
                }),
        }
    }

    /// Asks each plugin in order whether what ADD made is still there; ends at
    /// the first that says no. Nothing is asked when the list says `disableCheck`.
    ///
    /// # Errors
    /// [`RuntimeError::Plugin`] and the like; [`RuntimeError::CheckTooEarly`]
    /// before 0.4.0, [`RuntimeError::NotAttached`] without a result of ADD.
    pub fn check_list(&self, list: &ConfList, params: &AttachmentParams) -> Ran<()> {
        if !list.cni_version.has_check() {
            return Err(RuntimeError::CheckTooEarly {
                network: list.name.clone(),
                version: list.cni_version,
            });
        }
        if list.disable_check {
            return Ok(());
        }
        let owner = params.owner(&list.name);
        let result = match self.load(&owner)? {
            Some(record) => record.result(),
            None => Ok(None),
        };
        let previous = match result {
            Ok(Some(result)) => Some(result),
            Ok(None) => return Err(RuntimeError::NotAttached { owner }),
            Err(source) => return Err(RuntimeError::RecordedResult { owner, source }),
        };
        for plugin in &list.plugins {
            self.run(Command::Check, list, plugin, Some(params), &previous)?;
        }
        Ok(())
    }

    /// Takes off the network every recorded attachment that is not in `valid`,
    /// then, from 1.1.0 on, has each plugin do the same with what it keeps itself.
    /// Goes on to the end. Nothing is done when the list says `disableGC`. Must
    /// not run beside an ADD or DEL of the network. Returns whom it took off.
    ///
    /// # Errors
    /// [`RuntimeError::Several`] with every failure.
    pub fn gc_list(&self, list: &ConfList, valid: &[AttachmentId]) -> Ran<Vec<Owner>> {
        let mut gone = Vec::new();
        if list.disable_gc {
            return Ok(gone);
        }
        let mut errors = Vec::new();
        let records = self.cache.list(&list.name).unwrap_or_else(|source| {
            errors.push(cache_error("list", &list.name, source));
            Vec::new()
        });
        let is_valid = |owner: &Owner| {
            let of = |id: &AttachmentId| {
                id.container == owner.container.as_str() && id.ifname == owner.ifname.as_str()
            };
            valid.iter().any(of)
        };
        for record in records.iter().filter(|r| !is_valid(&r.owner)) {
            match self.del_record(record, Some(list)) {
                Ok(()) => gone.push(record.owner.clone()),
                Err(error) => errors.push(error),
            }
        }
        if list.cni_version.has_gc() {
            for plugin in &list.plugins {
                let conf = plugin
                    .request(list, &Map::new(), None)
                    .with("cni.dev/valid-attachments", json!(valid))
                    // The name that an earlier text of the specification had.
                    .with("cni.dev/attachments", json!(valid));
                let call = self.call(Command::Gc, conf);
                let ran = self
                    .invoker()
                    .invoke(&call, Command::Gc, plugin.plugin_type());
                errors.extend(ran.err());
            }
        }
        several(Command::Gc, &list.name, errors).map(|()| gone)
    }

    /// Asks each plugin whether ADD can be served; ends at the first that says no,
    /// so that its code is the answer. Nothing is asked before 1.1.0.
    ///
    /// # Errors
    /// [`RuntimeError::Plugin`] and the like.
    pub fn status_list(&self, list: &ConfList) -> Ran<()> {
        if !list.cni_version.has_gc() {
            return Ok(());
        }
        for plugin in &list.plugins {
            self.run(Command::Status, list, plugin, None, &None)?;
        }
        Ok(())
    }

    /// Whether every plugin of the list, those that give addresses too, is there
    /// and speaks the list's version.
    ///
    /// # Errors
    /// [`RuntimeError::Several`] with every plugin that is missing, does not
    /// answer or does not speak the version.
    pub fn validate_list(&self, list: &ConfList) -> Ran<Vec<PluginReport>> {
        let mut reports: Vec<PluginReport> = Vec::new();
        let mut errors = Vec::new();
        let plugins = list
            .plugins
            .iter()
            .flat_map(|p| std::iter::once(p.plugin_type()).chain(p.ipam_type()));
        for plugin in plugins {
            if reports.iter().any(|r| r.plugin == plugin) {
                continue;
            }
            match self.report(plugin) {
                Ok(report) => {
                    let version = list.cni_version;
                    if !report.versions.iter().any(|v| v == version.as_str()) {
                        errors.push(RuntimeError::Version {
                            plugin: plugin.to_owned(),
                            version,
                            speaks: report.versions.clone(),
                        });
                    }
                    reports.push(report);
                }
                Err(error) => errors.push(error),
            }
        }
        several(Command::Version, &list.name, errors).map(|()| reports)
    }

    fn report(&self, plugin: &str) -> Ran<PluginReport> {
        let (program, versions) = match self.invoker().find(plugin, &self.path)? {
            Found::BuiltIn(_) => {
                let all = SpecVersion::ALL.iter().map(SpecVersion::to_string);
                (None, all.collect())
            }
            Found::Program(path) => {
                let versions = self.invoker().versions(plugin, &path, self.time_limit)?;
                (Some(path), versions)
            }
        };
        Ok(PluginReport {
            plugin: plugin.to_owned(),
            program,
            versions,
        })
    }

    fn invoker(&self) -> Invoker<'_> {
        Invoker {
            builtins: self.builtins,
            prefer_external: self.prefer_external,
            own_group: true,
        }
    }

    fn call(&self, command: Command, conf: crate::NetConf) -> Call {
        Call {
            path: self.path.clone(),
            time_limit: self.time_limit,
            ..Call::new(command, conf)
        }
    }

    fn arguments(&self, params: &AttachmentParams, owner: &Owner) -> Ran<CniArgs> {
        CniArgs::from_pairs(&params.args).map_err(|source| RuntimeError::Arguments {
            owner: owner.clone(),
            source,
        })
    }

    fn run(
        &self,
        command: Command,
        list: &ConfList,
        plugin: &PluginEntry,
        params: Option<&AttachmentParams>,
        previous: &Option<CniResult>,
    ) -> Ran<Option<CniResult>> {
        let none = Map::new();
        let capability_args = params.map_or(&none, |p| &p.capability_args);
        let conf = plugin.request(list, capability_args, previous.clone());
        let mut call = self.call(command, conf);
        if let Some(params) = params {
            call.args = self.arguments(params, &params.owner(&list.name))?;
            call.container = Some(params.container.clone());
            call.ifname = Some(params.ifname.clone());
            call.netns.clone_from(&params.netns);
        }
        self.invoker().invoke(&call, command, plugin.plugin_type())
    }

    fn load(&self, owner: &Owner) -> Ran<Option<CachedAttachment>> {
        let loaded = self.cache.load(owner);
        loaded.map_err(|source| cache_error("load", owner, source))
    }

    fn store(&self, record: &CachedAttachment) -> Ran<()> {
        let stored = self.cache.store(record);
        stored.map_err(|source| cache_error("store", &record.owner, source))
    }

    fn remove(&self, owner: &Owner) -> Ran<()> {
        let removed = self.cache.remove(owner);
        removed.map_err(|source| cache_error("remove", owner, source))
    }
}

fn cache_error(operation: &'static str, what: &impl ToString, source: CacheError) -> RuntimeError {
    RuntimeError::Cache {
        operation,
        what: what.to_string(),
        source,
    }
}

fn several(command: Command, network: &NetworkName, errors: Vec<RuntimeError>) -> Ran<()> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(RuntimeError::Several {
        command,
        network: network.clone(),
        errors,
    })
}
