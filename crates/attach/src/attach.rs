//! Attach: a checked plan, then the chain of the network's plugins.

use crate::detach::is_abandoned;
use crate::list::Attachment;
use crate::turn::Turn;
use crate::{AttachError, AttachRequest, Node, StoreCache};
use fairlead_cni::runtime::{AttachmentParams, RuntimeError};
use fairlead_cni::{CniResult, ConfList};
use fairlead_kernel::NetNs;
use fairlead_store::StoreError;
use fairlead_types::Owner;
use serde_json::{Map, Value, json};
use std::path::Path;

impl Node {
    /// Puts a container on a network, or leaves nothing behind.
    ///
    /// # Errors
    /// [`AttachError`] names what is in the way.
    pub fn attach(&self, request: &AttachRequest) -> Result<Attachment, AttachError> {
        let mut list = fairlead_networks::find(&self.config, &request.network)?;
        if !request.publish.is_empty() {
            list = fairlead_networks::publishing(list)?;
        }
        let params = plan(&list, request)?;
        let owner = params.owner(&list.name);
        let cache = self
            .cache(request.object.as_ref())
            .of_resource(request.resource.as_ref())
            .named(&request.naming);
        self.add_with(&cache, &list, &params)?;
        self.attachment(&owner)
    }

    /// Runs a list for a container, whatever the list is of: recorded like every attachment,
    /// whole or not at all.
    ///
    /// # Errors
    /// [`AttachError`] names what is in the way.
    pub fn add(
        &self,
        list: &ConfList,
        params: &AttachmentParams,
    ) -> Result<CniResult, AttachError> {
        self.add_with(&self.cache(None), list, params)
    }

    fn add_with(
        &self,
        cache: &StoreCache<'_>,
        list: &ConfList,
        params: &AttachmentParams,
    ) -> Result<CniResult, AttachError> {
        let owner = params.owner(&list.name);
        let _turn = Turn::wait(&owner);
        self.clear_abandoned(&owner)?;
        let added = self.runtime(cache).add_list(list, params);
        added.map_err(|error| already_attached(error, &owner))
    }

    /// An earlier attach or detach of `owner` that ended half-way is finished first, so
    /// that a person need not call `gc` between two tries.
    fn clear_abandoned(&self, owner: &Owner) -> Result<(), AttachError> {
        let record = self.host().store(|store| store.view().attachment(owner))?;
        let Some(record) = record else {
            return self.clear_unrecorded(owner);
        };
        if !is_abandoned(&record) {
            return Err(AttachError::AlreadyAttached {
                owner: Box::new(owner.clone()),
            });
        }
        self.detach_in_turn("attach", owner, is_abandoned).map(drop)
    }

    /// Addresses and ports without an attachment are a runtime's, which called the
    /// plugins itself. Those of a container that is gone are taken back.
    fn clear_unrecorded(&self, owner: &Owner) -> Result<(), AttachError> {
        match fairlead_plugins::release_dead(self.host(), owner)? {
            true => Ok(()),
            false => Err(AttachError::AlreadyAttached {
                owner: Box::new(owner.clone()),
            }),
        }
    }
}

/// Another process was faster: the runtime saw its record, or the store did.
fn already_attached(error: RuntimeError, owner: &Owner) -> AttachError {
    let recorded = match &error {
        RuntimeError::AlreadyAttached { .. } => true,
        RuntimeError::Cache { source, .. } => matches!(
            source.downcast_ref(),
            Some(StoreError::AttachmentExists { .. })
        ),
        _ => false,
    };
    if recorded {
        let owner = Box::new(owner.clone());
        return AttachError::AlreadyAttached { owner };
    }
    error.into()
}

/// Whether a path names a namespace by who looks at it: for the next process it leads
/// elsewhere, so a record of it would be worth nothing.
fn is_of_the_caller(path: &Path) -> bool {
    ["/proc/self", "/proc/thread-self", "/dev/fd"]
        .iter()
        .any(|start| path.starts_with(start))
}

/// Everything that can be known to be wrong before anything is done.
fn plan(list: &ConfList, request: &AttachRequest) -> Result<AttachmentParams, AttachError> {
    let path = request.sandbox.path();
    if is_of_the_caller(&path) {
        return Err(AttachError::CallersPath { path });
    }
    let mut params = AttachmentParams::new(
        request.container.clone(),
        request.ifname.clone(),
        Some(path.clone()),
    );
    NetNs::open(&path).map_err(|source| AttachError::Sandbox {
        owner: Box::new(params.owner(&list.name)),
        path,
        source: Box::new(source),
    })?;
    params.capability_args = capability_args(list, request)?;
    Ok(params)
}

fn capability_args(
    list: &ConfList,
    request: &AttachRequest,
) -> Result<Map<String, Value>, AttachError> {
    let ips: Vec<String> = request.ips.iter().map(ToString::to_string).collect();
    let asked = [
        (!ips.is_empty(), "--ip", "ips", json!(ips)),
        (request.mac.is_some(), "--mac", "mac", json!(request.mac)),
        (
            !request.publish.is_empty(),
            "--publish",
            "portMappings",
            json!(request.publish),
        ),
    ];
    let known = list.capabilities();
    let mut args = Map::new();
    for (_, wanted, capability, value) in asked.into_iter().filter(|(asked, ..)| *asked) {
        if !known.iter().any(|name| name == capability) {
            return Err(AttachError::NoCapability {
                network: list.name.clone(),
                wanted,
                capability,
            });
        }
        args.insert(capability.to_owned(), value);
    }
    Ok(args)
}
