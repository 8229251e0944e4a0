//! Who is attached where: the node's records as one list.

use crate::{AttachError, Node};
use fairlead_cni::CniResult;
use fairlead_cni::conf::AttachmentId;
use fairlead_store::{Address, Attachment as Record, AttachmentState, Port, StoreError, View};
use fairlead_types::{IfName, Naming, NetworkName, ObjectName, Owner, Protocol, ResourceName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// One interface of one container on one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// Whose it is.
    #[serde(flatten)]
    pub owner: Owner,
    /// The addresses it holds, sorted.
    pub addresses: Vec<IpAddr>,
    /// The ports of the host that lead to it.
    pub ports: Vec<PublishedPort>,
    /// What it is for.
    pub object: Option<ObjectName>,
    /// The resource of the object.
    pub resource: Option<ResourceName>,
    /// What DNS is told of it.
    #[serde(flatten)]
    pub naming: Naming,
    /// The path of the container's namespace.
    pub netns: Option<PathBuf>,
    /// The host's end.
    pub host_interface: Option<IfName>,
    /// How far it is.
    pub state: AttachmentState,
    /// By which way it came.
    pub origin: Origin,
    /// Since when, in seconds since 1970; 0 where no record tells.
    pub since: u64,
}

/// By which way an attachment came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// By this program.
    Fairlead,
    /// By a runtime that called the plugins itself.
    Runtime,
}

/// A port of the host that leads to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedPort {
    /// The host's address; every address where this is `None`.
    pub host_ip: Option<IpAddr>,
    /// The port on the host.
    pub host_port: u16,
    /// The port in the container.
    pub container_port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl PublishedPort {
    /// As the records have it.
    #[must_use]
    pub fn of(port: &Port) -> Self {
        Self {
            host_ip: port.claim.host,
            host_port: port.claim.port,
            container_port: port.claim.target.port(),
            protocol: port.claim.protocol,
        }
    }
}

impl std::fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host_ip {
            None => write!(f, "{}", self.host_port)?,
            Some(ip) => write!(f, "{}", SocketAddr::new(ip, self.host_port))?,
        }
        write!(f, ":{}/{}", self.container_port, self.protocol)
    }
}

impl Node {
    /// Every attachment of the node, by network, container and interface.
    ///
    /// # Errors
    /// [`AttachError::Store`].
    pub fn attachments(&self) -> Result<Vec<Attachment>, AttachError> {
        let (records, addresses, ports) = self.host().store(|store| {
            store.read(|view| {
                Ok((
                    view.attachments(&Default::default())?,
                    view.addresses()?,
                    view.ports()?,
                ))
            })
        })?;
        let mut all = BTreeMap::new();
        for address in addresses {
            add_address(entry(&mut all, &address.owner), &address);
        }
        for record in records {
            let attachment = entry(&mut all, &record.owner);
            add_record(attachment, record);
        }
        for port in ports {
            add_port(entry(&mut all, &port.owner), &port);
        }
        Ok(all.into_values().map(sorted).collect())
    }

    /// The attachments of one network.
    ///
    /// # Errors
    /// [`AttachError::Store`].
    pub fn attachments_of(&self, network: &NetworkName) -> Result<Vec<Attachment>, AttachError> {
        let all = self.attachments()?;
        Ok(all
            .into_iter()
            .filter(|a| a.owner.network == *network)
            .collect())
    }

    /// The attachments of a network that are ready and whose container is there: those
    /// that a garbage collection by CNI must keep.
    ///
    /// # Errors
    /// [`AttachError::Store`].
    pub fn valid_attachments(
        &self,
        network: &NetworkName,
    ) -> Result<Vec<AttachmentId>, AttachError> {
        let owners = self.host().store(|store| store.view().owners())?;
        let valid = owners.into_iter().filter(|record| {
            let unfinished = record
                .state
                .is_some_and(|state| state != AttachmentState::Ready);
            record.owner.network == *network
                && !record.is_gone()
                && (!unfinished || record.is_worked_on())
        });
        Ok(valid
            .map(|record| AttachmentId {
                container: record.owner.container.to_string(),
                ifname: record.owner.ifname.to_string(),
            })
            .collect())
    }

    /// One attachment.
    ///
    /// # Errors
    /// [`AttachError::Store`].
    pub fn attachment(&self, owner: &Owner) -> Result<Attachment, AttachError> {
        let (record, addresses, ports) = self.host().store(|store| {
            store.read(|view| {
                Ok((
                    view.attachment(owner)?,
                    addresses_of(view, owner)?,
                    view.ports_of(owner)?,
                ))
            })
        })?;
        let mut all = BTreeMap::new();
        let attachment = entry(&mut all, owner);
        addresses
            .iter()
            .for_each(|address| add_address(attachment, address));
        if let Some(record) = record {
            add_record(attachment, record);
        }
        ports.iter().for_each(|port| add_port(attachment, port));
        Ok(sorted(attachment.clone()))
    }
}

fn addresses_of(view: &View<'_>, owner: &Owner) -> Result<Vec<Address>, StoreError> {
    let all = view.addresses_of(&owner.container, &owner.ifname)?;
    Ok(all
        .into_iter()
        .filter(|address| address.owner == *owner)
        .collect())
}

fn entry<'a>(all: &'a mut BTreeMap<Owner, Attachment>, owner: &Owner) -> &'a mut Attachment {
    all.entry(owner.clone()).or_insert_with(|| Attachment {
        owner: owner.clone(),
        addresses: Vec::new(),
        ports: Vec::new(),
        object: None,
        resource: None,
        naming: Naming::default(),
        netns: None,
        host_interface: None,
        state: AttachmentState::Ready,
        origin: Origin::Runtime,
        since: 0,
    })
}

/// What a record tells beside the addresses of our own pools, which are there already:
/// those that a plugin of another maker gave are in the result.
fn add_record(attachment: &mut Attachment, record: Record) {
    if attachment.addresses.is_empty() {
        attachment.addresses = record.result.as_deref().map_or_else(Vec::new, given);
    }
    attachment.object = record.object;
    attachment.resource = record.resource;
    attachment.naming = record.naming;
    attachment.netns = record.netns.map(|netns| netns.path);
    attachment.host_interface = record.host_ifname;
    attachment.state = record.state;
    attachment.origin = Origin::Fairlead;
    attachment.since = record.since;
}

/// The addresses of a result; none of one that cannot be read.
fn given(result: &str) -> Vec<IpAddr> {
    let value = serde_json::from_str(result).ok();
    let result = value.and_then(|value| CniResult::from_json(&value).ok());
    let ips = result.into_iter().flat_map(|result| result.ips);
    ips.map(|ip| ip.address.addr()).collect()
}

fn add_address(attachment: &mut Attachment, address: &Address) {
    attachment.addresses.push(address.addr);
    if attachment.netns.is_none() {
        attachment.netns = address.netns.as_ref().map(|netns| netns.path.clone());
    }
}

fn add_port(attachment: &mut Attachment, port: &Port) {
    attachment.ports.push(PublishedPort::of(port));
}

fn sorted(mut attachment: Attachment) -> Attachment {
    attachment.addresses.sort_unstable();
    attachment
        .ports
        .sort_by_key(|port| (port.host_port, port.protocol, port.host_ip));
    // A port that is published for both families is one port to a person.
    attachment.ports.dedup();
    attachment
}
