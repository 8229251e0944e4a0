//! Garbage collection: what no living container holds is taken away.

use crate::error::all;
use crate::{AttachError, Node};
use fairlead_firewall::Element;
use fairlead_kernel::Route;
use fairlead_plugins::Host;
use fairlead_store::{AttachmentFilter, AttachmentState, OwnerRecord};
use fairlead_types::Owner;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// One thing that was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum GcAction {
    /// An attachment that never became ready, or a detach that did not end.
    Unfinished {
        /// Whose.
        owner: Owner,
        /// How far it was.
        state: AttachmentState,
    },
    /// An attachment whose container is gone.
    Dead {
        /// Whose.
        owner: Owner,
    },
    /// Addresses, masquerades and ports that a runtime's plugin calls left.
    Leaked {
        /// Whose.
        owner: Owner,
    },
    /// An element of our nftables without a record.
    Element {
        /// What it was.
        element: String,
    },
}

impl fmt::Display for GcAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished { owner, state } => write!(f, "{owner}: {state} and abandoned"),
            Self::Dead { owner } => write!(f, "{owner}: its namespace is gone"),
            Self::Leaked { owner } => {
                write!(f, "{owner}: left by plugin calls, its namespace is gone")
            }
            Self::Element { element } => write!(f, "nftables: {element}: nobody's"),
        }
    }
}

/// What a garbage collection did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// What was removed, or would be, in order.
    pub actions: Vec<GcAction>,
}

impl Node {
    /// Removes what no living container holds; with `dry_run` only says what that is.
    /// What another process works on at this moment is left alone.
    ///
    /// # Errors
    /// [`AttachError`] for each thing that could not be removed; the others are.
    pub fn gc(&self, dry_run: bool) -> Result<GcReport, AttachError> {
        let owners = self.host().store(|store| store.view().owners())?;
        let mut report = GcReport::default();
        let mut errors = Vec::new();
        for record in owners.iter().filter(|record| !record.is_worked_on()) {
            let Some(action) = verdict(record) else {
                continue;
            };
            if !dry_run && let Err(error) = self.collect(record) {
                errors.push(error);
                continue;
            }
            report.actions.push(action);
        }
        match self.collect_elements(dry_run) {
            Ok(actions) => report.actions.extend(actions),
            Err(error) => errors.push(error),
        }
        self.host().store(|store| store.checkpoint_if_large())?;
        all(errors).map(|()| report)
    }

    fn collect(&self, record: &OwnerRecord) -> Result<(), AttachError> {
        let owner = &record.owner;
        if record.state.is_some() {
            let filter = AttachmentFilter {
                network: Some(&owner.network),
                container: Some(&owner.container),
                ..AttachmentFilter::default()
            };
            let records = self
                .host()
                .store(|store| store.view().attachments(&filter))?;
            for attachment in records.iter().filter(|a| a.owner == *owner) {
                self.detach_record(attachment)?;
            }
        }
        // What a plugin of the chain left, and what came without an attachment.
        Ok(fairlead_plugins::release(self.host(), owner)?)
    }

    /// Elements of our tables that no record stands for.
    fn collect_elements(&self, dry_run: bool) -> Result<Vec<GcAction>, AttachError> {
        let present = self.host().firewall(|firewall| firewall.list())?;
        if present.is_empty() {
            return Ok(Vec::new());
        }
        let orphans = orphans(self.host(), present)?;
        if !dry_run && !orphans.is_empty() {
            self.host().firewall(|firewall| firewall.remove(&orphans))?;
        }
        Ok(orphans
            .iter()
            .map(|e| GcAction::Element {
                element: e.to_string(),
            })
            .collect())
    }
}

/// Whether a record is garbage, and of which kind.
fn verdict(record: &OwnerRecord) -> Option<GcAction> {
    let owner = record.owner.clone();
    match record.state {
        Some(state @ (AttachmentState::Pending | AttachmentState::Detaching)) => {
            Some(GcAction::Unfinished { owner, state })
        }
        Some(AttachmentState::Ready) if record.is_gone() => Some(GcAction::Dead { owner }),
        None if record.is_gone() && !record.reserved => Some(GcAction::Leaked { owner }),
        _ => None,
    }
}

/// The elements of `present` that no record stands for.
fn orphans(host: &Host, present: Vec<Element>) -> Result<Vec<Element>, AttachError> {
    let (masquerades, ports) =
        host.store(|store| store.read(|view| Ok((view.masquerades()?, view.ports()?))))?;
    let known: BTreeSet<Element> = masquerades
        .iter()
        .map(|row| Element::Masquerade {
            address: row.addr,
            subnet: row.subnet,
        })
        .chain(
            ports
                .iter()
                .flat_map(|port| fairlead_plugins::published(&port.claim)),
        )
        .collect();
    let mut route = Route::open()?;
    let mut gone = Vec::new();
    for element in present {
        let is_known = match &element {
            Element::MacCheck { ifname, .. } => route.link(ifname)?.is_some(),
            other => known.contains(other),
        };
        if !is_known {
            gone.push(element);
        }
    }
    Ok(gone)
}
