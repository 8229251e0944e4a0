//! Everybody who holds anything, for garbage collection.

use crate::{Actor, AttachmentState, NetnsRef, StoreError, View};
use fairlead_types::Owner;
use std::collections::BTreeMap;

/// One owner over all tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRecord {
    /// Who.
    pub owner: Owner,
    /// The container's namespace: as its attachment says, else as another row does.
    pub netns: Option<NetnsRef>,
    /// How far its attachment is, none when it has no record of its own (a plugin
    /// that another runtime called).
    pub state: Option<AttachmentState>,
    /// The process at work on the attachment.
    pub actor: Option<Actor>,
    /// How many addresses it holds.
    pub addresses: usize,
    /// Whether one of its addresses is kept over reboots, and so on purpose.
    pub reserved: bool,
    /// How many masquerades it has.
    pub masquerades: usize,
    /// How many host ports it has.
    pub ports: usize,
}

impl OwnerRecord {
    fn new(owner: Owner) -> Self {
        Self {
            owner,
            netns: None,
            state: None,
            actor: None,
            addresses: 0,
            reserved: false,
            masquerades: 0,
            ports: 0,
        }
    }

    /// Whether its namespace is known and gone. An owner whose namespace nobody
    /// noted is never said to be gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.netns.as_ref().is_some_and(|netns| !netns.is_live())
    }

    /// Whether a process is at work on it, so that others must keep away.
    #[must_use]
    pub fn is_worked_on(&self) -> bool {
        self.actor.as_ref().is_some_and(Actor::is_live)
    }
}

impl View<'_> {
    /// Every owner of the node, in order. Call it inside [`crate::Store::read`] or
    /// [`crate::Store::write`], so that the tables are of one moment.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn owners(&self) -> Result<Vec<OwnerRecord>, StoreError> {
        let mut owners = BTreeMap::new();
        // First, so that its namespace counts before that of other rows.
        for attachment in self.attachments(&Default::default())? {
            let record = entry(&mut owners, attachment.owner, attachment.netns);
            record.state = Some(attachment.state);
            record.actor = attachment.actor;
        }
        for address in self.addresses()? {
            let record = entry(&mut owners, address.owner, address.netns);
            record.addresses += 1;
            record.reserved |= !address.boot_lived;
        }
        for masquerade in self.masquerades()? {
            entry(&mut owners, masquerade.owner, masquerade.netns).masquerades += 1;
        }
        for port in self.ports()? {
            entry(&mut owners, port.owner, port.netns).ports += 1;
        }
        Ok(owners.into_values().collect())
    }
}

fn entry(
    owners: &mut BTreeMap<Owner, OwnerRecord>,
    owner: Owner,
    netns: Option<NetnsRef>,
) -> &mut OwnerRecord {
    let record = owners
        .entry(owner.clone())
        .or_insert_with(|| OwnerRecord::new(owner));
    if record.netns.is_none() {
        record.netns = netns;
    }
    record
}
