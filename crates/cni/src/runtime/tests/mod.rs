//! A cache in memory, plugins in process that record, plugins as scripts.

mod programs;
mod verbs;

use super::*;
use crate::{CniError, Code, Interface, NoBuiltins, Plugin};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Keeps attachments in memory. The `store` of the number in `store_fails`, from
/// 1 on, fails.
#[derive(Default)]
pub(super) struct MemoryCache {
    pub(super) records: RefCell<BTreeMap<Owner, CachedAttachment>>,
    pub(super) store_fails: Cell<usize>,
    pub(super) stores: Cell<usize>,
}

impl AttachmentCache for MemoryCache {
    fn store(&self, attachment: &CachedAttachment) -> Result<(), CacheError> {
        self.stores.set(self.stores.get() + 1);
        if self.stores.get() == self.store_fails.get() {
            return Err("the disk is full".into());
        }
        let mut records = self.records.borrow_mut();
        records.insert(attachment.owner.clone(), attachment.clone());
        Ok(())
    }

    fn load(&self, owner: &Owner) -> Result<Option<CachedAttachment>, CacheError> {
        Ok(self.records.borrow().get(owner).cloned())
    }

    fn remove(&self, owner: &Owner) -> Result<(), CacheError> {
        self.records.borrow_mut().remove(owner);
        Ok(())
    }

    fn list(&self, network: &NetworkName) -> Result<Vec<CachedAttachment>, CacheError> {
        let records = self.records.borrow();
        let of = |r: &&CachedAttachment| r.owner.network == *network;
        Ok(records.values().filter(of).cloned().collect())
    }
}

/// Plugins `a`, `b` and `c`: each notes its calls and adds an interface of its
/// name to the result; what is in `fails`, as in `b DEL`, fails with code 117.
#[derive(Default)]
pub(super) struct Recorders {
    plugins: Vec<Recorder>,
}

#[derive(Default)]
struct Recorder {
    name: String,
    calls: std::rc::Rc<RefCell<Vec<(String, Call)>>>,
    fails: std::rc::Rc<RefCell<Vec<String>>>,
}

impl Recorders {
    pub(super) fn new() -> Self {
        let first = Recorder::default();
        let plugin = |name: &str| Recorder {
            name: name.to_owned(),
            calls: first.calls.clone(),
            fails: first.fails.clone(),
        };
        Self {
            plugins: ["a", "b", "c"].map(plugin).into(),
        }
    }

    pub(super) fn fail(&self, what: &str) {
        self.plugins[0].fails.borrow_mut().push(what.to_owned());
    }

    pub(super) fn mend(&self) {
        self.plugins[0].fails.borrow_mut().clear();
    }

    pub(super) fn take(&self) -> Vec<(String, Call)> {
        self.plugins[0].calls.take()
    }

    /// The calls since the last time, as in `a ADD`.
    pub(super) fn words(&self) -> Vec<String> {
        self.take().into_iter().map(|(word, _)| word).collect()
    }
}

impl Builtins for Recorders {
    fn get(&self, plugin_type: &str) -> Option<&dyn Plugin> {
        let found = self.plugins.iter().find(|p| p.name == plugin_type)?;
        Some(found)
    }
}

impl Recorder {
    fn note(&self, command: Command, call: &Call) -> Result<(), CniError> {
        let word = format!("{} {command}", self.name);
        self.calls.borrow_mut().push((word.clone(), call.clone()));
        if self.fails.borrow().contains(&word) {
            return Err(CniError::new(Code(117), format!("no {word}")));
        }
        Ok(())
    }
}

impl Plugin for Recorder {
    fn add(&self, call: &Call) -> Result<CniResult, CniError> {
        self.note(Command::Add, call)?;
        let mut result = call.config.previous()?.unwrap_or_default().into_owned();
        result.interfaces.push(Interface::new(self.name.clone()));
        Ok(result)
    }
    fn del(&self, call: &Call) -> Result<(), CniError> {
        self.note(Command::Del, call)
    }
    fn check(&self, call: &Call) -> Result<(), CniError> {
        self.note(Command::Check, call)
    }
    fn gc(&self, call: &Call) -> Result<(), CniError> {
        self.note(Command::Gc, call)
    }
    fn status(&self, call: &Call) -> Result<(), CniError> {
        self.note(Command::Status, call)
    }
}

/// The names of the interfaces in the earlier result of a call.
pub(super) fn previous(call: &Call) -> Option<Vec<String>> {
    let previous = call.config.previous().unwrap()?;
    Some(previous.interfaces.iter().map(|i| i.name.clone()).collect())
}

pub(super) fn list(version: &str, types: &[&str]) -> ConfList {
    let plugins: Vec<_> = types
        .iter()
        .map(|t| json!({"type": t, "capabilities": {"mac": true}}))
        .collect();
    let value = json!({"cniVersion": version, "name": "net", "plugins": plugins});
    ConfList::from_value(value).unwrap()
}

pub(super) fn params() -> AttachmentParams {
    let mut params = AttachmentParams::new(
        ContainerId::new("c1").unwrap(),
        IfName::new("eth0").unwrap(),
        Some("/run/netns/c1".into()),
    );
    params.args = vec![("IP".into(), "10.0.0.9".into())];
    params
        .capability_args
        .insert("mac".into(), json!("02:00:00:00:00:01"));
    params.capability_args.insert("unasked".into(), json!(1));
    params
}

pub(super) fn runtime<'a>(
    builtins: &'a dyn Builtins,
    cache: &'a MemoryCache,
    path: &Path,
) -> Runtime<'a> {
    Runtime {
        path: vec![path.to_owned()],
        builtins,
        cache,
        time_limit: Duration::from_secs(60),
        prefer_external: false,
    }
}

/// Writes a plugin that keeps its input and variables as `NAME.COMMAND.stdin`
/// and `NAME.COMMAND.env` beside it, then runs `body`.
pub(super) fn script(dir: &Path, name: &str, body: &str) {
    let here = dir.display();
    let text = format!(
        "#!/bin/sh\ncat > '{here}/{name}.'$CNI_COMMAND.stdin\nenv | grep ^CNI_ | sort > '{here}/{name}.'$CNI_COMMAND.env\n{body}\n"
    );
    raw_script(dir, name, &text);
}

pub(super) fn raw_script(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
