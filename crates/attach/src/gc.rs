//! Garbage collection: what no living container holds is taken away.

use crate::detach::is_abandoned;
use crate::error::all;
use crate::{AttachError, Node};
use fairlead_firewall::Element;
use fairlead_kernel::Route;
use fairlead_networks::Catalog;
use fairlead_plugins::Host;
use fairlead_store::{AttachmentState, OwnerRecord};
use fairlead_types::{ContainerId, Owner};
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
    /// A cable that no engine has taken the container's end of.
    Untaken {
        /// Whose.
        owner: Owner,
    },
    /// What was kept for containers that are no more.
    Forsaken {
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
            Self::Untaken { owner } => write!(f, "{owner}: no engine took its interface"),
            Self::Forsaken { owner } => write!(f, "{owner}: kept for nobody any more"),
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
        // What an engine plugs in is judged by itself, while it is ready.
        let plugs: BTreeSet<Owner> = self
            .plugs(None)?
            .into_iter()
            .filter(|plug| plug.state == AttachmentState::Ready)
            .map(|plug| plug.owner)
            .collect();
        // As is what is kept for containers that come again.
        let kept = self.host().store(|store| store.view().endpoints())?;
        let kept: BTreeSet<ContainerId> = kept.into_iter().map(|one| one.owner).collect();
        let judged = |record: &&OwnerRecord| {
            !record.is_worked_on()
                && !plugs.contains(&record.owner)
                && !kept.contains(&record.owner.container)
        };
        for record in owners.iter().filter(judged) {
            let Some(action) = verdict(record) else {
                continue;
            };
            if !dry_run && let Err(error) = self.collect(record) {
                errors.push(error);
                continue;
            }
            report.actions.push(action);
        }
        match self.collect_plugs(dry_run) {
            Ok(actions) => report.actions.extend(actions),
            Err(error) => errors.push(error),
        }
        match self.collect_endpoints(dry_run) {
            Ok(actions) => report.actions.extend(actions),
            Err(error) => errors.push(error),
        }
        match self.collect_elements(dry_run) {
            Ok(actions) => report.actions.extend(actions),
            Err(error) => errors.push(error),
        }
        if !dry_run {
            // Sets of networks that are there are kept for the next container.
            let networks = Catalog::read(&self.config)?.networks;
            let ranges: Vec<_> = networks.iter().flat_map(|entry| entry.ranges()).collect();
            self.host()
                .firewall(|firewall| firewall.remove_unused_subnets(&ranges))?;
        }
        self.host().fold_log()?;
        all(errors).map(|()| report)
    }

    /// Takes away what `record` stands for, looking once more at the moment it does: what
    /// was attached since stays.
    fn collect(&self, record: &OwnerRecord) -> Result<(), AttachError> {
        let owner = &record.owner;
        let mut errors = Vec::new();
        if record.state.is_some() {
            errors.extend(self.detach_one("collect", owner, is_abandoned).err());
        }
        // What a plugin of the chain left, and what came without an attachment.
        let released = fairlead_plugins::release_dead(self.host(), owner);
        errors.extend(released.err().map(AttachError::from));
        all(errors)
    }

    /// Elements of our tables that no record stands for.
    fn collect_elements(&self, dry_run: bool) -> Result<Vec<GcAction>, AttachError> {
        let (present, tags) = self
            .host()
            .firewall(|firewall| Ok((firewall.list()?, firewall.tags()?)))?;
        if present.is_empty() && tags.is_empty() {
            return Ok(Vec::new());
        }
        let (orphans, tags) = orphans(self.host(), present, tags)?;
        if !dry_run && !orphans.is_empty() {
            self.host().firewall(|firewall| firewall.remove(&orphans))?;
        }
        if !dry_run && !tags.is_empty() {
            self.host()
                .firewall(|firewall| firewall.remove_tags(&tags))?;
        }
        let elements = orphans.iter().map(ToString::to_string).chain(tags);
        Ok(elements
            .map(|element| GcAction::Element { element })
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

/// The elements of `present`, and the `tags` of rules, that no record stands for.
fn orphans(
    host: &Host,
    present: Vec<Element>,
    mut tags: Vec<String>,
) -> Result<(Vec<Element>, Vec<String>), AttachError> {
    let recorded = host.store(|store| store.read(fairlead_plugins::recorded))?;
    let known: BTreeSet<Element> = recorded.into_iter().map(|(_, element)| element).collect();
    let known_tags: BTreeSet<&str> = known
        .iter()
        .filter_map(|element| match element {
            Element::PublishIf { tag, .. } => Some(tag.as_str()),
            _ => None,
        })
        .collect();
    tags.retain(|tag| !known_tags.contains(tag.as_str()));
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
    Ok((gone, tags))
}
