//! The runtime's attachment cache, kept in the node's state.

use fairlead_cni::runtime::{AttachmentCache, CacheError, CachedAttachment};
use fairlead_plugins::Host;
use fairlead_store::{Actor, Attachment, AttachmentFilter, NetnsRef, NewAttachment};
use fairlead_types::{IfName, Naming, NetworkName, ObjectName, Owner, ResourceName};

/// The attachments of the node's state as the runtime sees them.
#[derive(Clone, Copy)]
pub struct StoreCache<'a> {
    host: &'a Host,
    object: Option<&'a ObjectName>,
    resource: Option<&'a ResourceName>,
    naming: Option<&'a Naming>,
}

impl<'a> StoreCache<'a> {
    /// The cache of a node; what it records is for `object`.
    #[must_use]
    pub fn new(host: &'a Host, object: Option<&'a ObjectName>) -> Self {
        Self {
            host,
            object,
            resource: None,
            naming: None,
        }
    }

    /// The same, and it is for that resource of the object.
    #[must_use]
    pub fn of_resource(self, resource: Option<&'a ResourceName>) -> Self {
        Self { resource, ..self }
    }

    /// The same, and this is what DNS is told of it.
    #[must_use]
    pub fn named(self, naming: &'a Naming) -> Self {
        let naming = Some(naming);
        Self { naming, ..self }
    }

    fn begin(&self, new: &CachedAttachment) -> Result<(), CacheError> {
        let netns = new.netns.as_deref().map(NetnsRef::of).transpose()?;
        let config = String::from_utf8(new.config.clone())?;
        let json = |empty: bool, value: serde_json::Result<String>| {
            if empty { Ok(None) } else { value.map(Some) }
        };
        let args = json(new.args.is_empty(), serde_json::to_string(&new.args))?;
        let capabilities = &new.capability_args;
        let capability_args = json(capabilities.is_empty(), serde_json::to_string(capabilities))?;
        let record = NewAttachment {
            owner: &new.owner,
            id: new.owner.container.as_str(),
            netns: netns.as_ref(),
            object: self.object,
            resource: self.resource,
            naming: self.naming,
            actor: Some(Actor::current()?),
            host_ifname: None,
            config: &config,
            args: args.as_deref(),
            capability_args: capability_args.as_deref(),
        };
        self.host
            .store(|store| store.write(|tx| tx.begin_attachment(&record)))?;
        Ok(())
    }
}

impl AttachmentCache for StoreCache<'_> {
    fn store(&self, attachment: &CachedAttachment) -> Result<(), CacheError> {
        let Some(result) = &attachment.result else {
            return self.begin(attachment);
        };
        let port = host_interface(result);
        let result = result.to_string();
        self.host.store(|store| {
            store.write(|tx| tx.attachment_ready(&attachment.owner, &result, port.as_ref()))
        })?;
        Ok(())
    }

    fn load(&self, owner: &Owner) -> Result<Option<CachedAttachment>, CacheError> {
        let record = self.host.store(|store| store.view().attachment(owner))?;
        record.map(cached).transpose()
    }

    fn remove(&self, owner: &Owner) -> Result<(), CacheError> {
        self.host
            .store(|store| store.write(|tx| tx.remove_attachment(owner)))?;
        Ok(())
    }

    fn list(&self, network: &NetworkName) -> Result<Vec<CachedAttachment>, CacheError> {
        let filter = AttachmentFilter {
            network: Some(network),
            ..AttachmentFilter::default()
        };
        let records = self.host.store(|store| store.view().attachments(&filter))?;
        records.into_iter().map(cached).collect()
    }
}

fn cached(record: Attachment) -> Result<CachedAttachment, CacheError> {
    let args = record
        .args
        .as_deref()
        .map(serde_json::from_str)
        .transpose()?;
    let capability_args = record
        .capability_args
        .as_deref()
        .map(serde_json::from_str)
        .transpose()?;
    Ok(CachedAttachment {
        owner: record.owner,
        // A path that leads to another namespace by now is not this container's.
        netns: record
            .netns
            .filter(NetnsRef::is_live)
            .map(|netns| netns.path),
        config: record.config.into_bytes(),
        args: args.unwrap_or_default(),
        capability_args: capability_args.unwrap_or_default(),
        result: record
            .result
            .as_deref()
            .map(serde_json::from_str)
            .transpose()?,
    })
}

/// The host's end in a result: the last interface outside a sandbox that is a cable's.
fn host_interface(result: &serde_json::Value) -> Option<IfName> {
    let interfaces = result.get("interfaces")?.as_array()?;
    let outside = interfaces.iter().filter(|i| i.get("sandbox").is_none());
    let names = outside.filter_map(|i| i.get("name")?.as_str());
    names
        .filter(|name| name.starts_with("veth"))
        .find_map(|name| IfName::new(name).ok())
}
