//! Detach: from the record, to the end, as often as asked.

use crate::error::all;
use crate::turn::Turn;
use crate::{AttachError, Node, Sandbox};
use fairlead_cni::ConfList;
use fairlead_control as control;
use fairlead_kernel::NetNs;
use fairlead_plugins::NAMES;
use fairlead_store::{
    Actor, Attachment as Record, AttachmentFilter, AttachmentState, Claim, NetnsRef,
};
use fairlead_types::{ContainerId, IfName, NetworkName, ObjectName, Owner};
use std::time::{Duration, Instant};

/// Which attachments are meant; every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// On this network.
    pub network: Option<NetworkName>,
    /// Of the container in this namespace.
    pub sandbox: Option<Sandbox>,
    /// Of this container.
    pub container: Option<ContainerId>,
    /// For this object.
    pub object: Option<ObjectName>,
    /// By this interface.
    pub ifname: Option<IfName>,
}

/// What a detach did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detached {
    /// The attachments that are gone now.
    pub owners: Vec<Owner>,
}

impl Node {
    /// Takes away every attachment that is meant. None is no error: it is gone already.
    ///
    /// # Errors
    /// [`AttachError`] for each that could not be finished; the others are gone. The
    /// record of what could not be finished stays, for another detach or `gc`.
    pub fn detach(&self, selector: &Selector) -> Result<Detached, AttachError> {
        let place = selector.sandbox.as_ref().map(Place::of);
        // The agent deletes the links of many detaches together.
        let answer: Option<control::Detached> =
            self.host()
                .ask_agent(control::DETACH, |node| control::DetachRequest {
                    node: Some(node),
                    network: selector.network.clone(),
                    container: selector.container.clone(),
                    sandbox: place.as_ref().map(Place::to_request),
                    object: selector.object.clone(),
                    ifname: selector.ifname.clone(),
                });
        let (owners, errors) = match answer {
            Some(answer) => {
                let errors = answer.errors.into_iter().map(AttachError::Agent);
                (answer.owners, errors.collect())
            }
            None => {
                let done = self.detach_all(self.selected(selector, place.as_ref())?);
                self.host().fold_log()?;
                done
            }
        };
        all(errors).map(|()| Detached { owners })
    }

    /// The same for everything that another process handed to this one by
    /// [`Node::hand_detach`], without the agent: for that one this process is at it.
    ///
    /// # Errors
    /// As [`Node::detach`].
    pub fn finish_detach(&self, container: &ContainerId) -> Result<Detached, AttachError> {
        let selector = Selector {
            container: Some(container.clone()),
            ..Selector::default()
        };
        let (owners, errors) = self.detach_all(self.selected(&selector, None)?);
        self.host().fold_log()?;
        all(errors).map(|()| Detached { owners })
    }

    /// For the agent: does what a detach asked it. What cannot be finished is among the
    /// errors of the answer.
    ///
    /// # Errors
    /// [`AttachError::Store`] when the records cannot be read, [`AttachError::NoCondition`]
    /// where everything would be meant, [`AttachError::ForCaller`] where plugins of other
    /// makers have a part; nothing is done then.
    pub fn detach_asked(
        &self,
        asked: control::DetachRequest,
    ) -> Result<control::Detached, AttachError> {
        let place = asked.sandbox.map(Place::of_request);
        let selector = Selector {
            network: asked.network,
            sandbox: None,
            container: asked.container,
            object: asked.object,
            ifname: asked.ifname,
        };
        if selector == Selector::default() && place.is_none() {
            return Err(AttachError::NoCondition);
        }
        let records = self.selected(&selector, place.as_ref())?;
        if let Some(record) = records.iter().find(|r| !is_built_in(r)) {
            return Err(AttachError::ForCaller {
                owner: Box::new(record.owner.clone()),
            });
        }
        let (owners, errors) = self.detach_all(records);
        let errors = errors.iter().map(ToString::to_string).collect();
        Ok(control::Detached { owners, errors })
    }

    /// Marks everything of a container as taken away by another process, which then does it:
    /// until it has ended nobody else does. Says whether there is anything that nobody is
    /// at already.
    ///
    /// # Errors
    /// [`AttachError::Store`].
    pub fn hand_detach(&self, container: &ContainerId, to: Actor) -> Result<bool, AttachError> {
        let filter = AttachmentFilter {
            container: Some(container),
            ..AttachmentFilter::default()
        };
        let handed = self.host().store(|store| {
            store.write(|tx| {
                let mut handed = false;
                for record in tx.attachments(&filter)? {
                    let claim = tx.claim_attachment(&record.owner, to, |_| true)?;
                    handed |= matches!(claim, Claim::Taken);
                }
                Ok(handed)
            })
        })?;
        Ok(handed)
    }

    /// Waits while other processes take away what a container had, for `limit` at most.
    ///
    /// # Errors
    /// [`AttachError::Store`].
    pub fn wait_for_detach(
        &self,
        container: &ContainerId,
        limit: Duration,
    ) -> Result<(), AttachError> {
        let filter = AttachmentFilter {
            container: Some(container),
            state: Some(AttachmentState::Detaching),
            ..AttachmentFilter::default()
        };
        let us = Actor::current()?;
        let is_at_it = |actor: &Actor| *actor != us && actor.is_live();
        let since = Instant::now();
        while since.elapsed() < limit {
            let leaving = self
                .host()
                .store(|store| store.view().attachments(&filter))?;
            if !leaving
                .iter()
                .any(|r| r.actor.as_ref().is_some_and(is_at_it))
            {
                break;
            }
            // The kernel takes some twenty milliseconds for a cable.
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Takes each away, whatever becomes of the others; gives those that are gone now, and
    /// what could not be finished.
    fn detach_all(&self, records: Vec<Record>) -> (Vec<Owner>, Vec<AttachError>) {
        let (mut owners, mut errors) = (Vec::new(), Vec::new());
        for record in records {
            match self.detach_one("detach", &record.owner, |_| true) {
                Ok(true) => owners.push(record.owner),
                Ok(false) => {}
                Err(error) => errors.push(error),
            }
        }
        (owners, errors)
    }

    fn selected(
        &self,
        selector: &Selector,
        place: Option<&Place>,
    ) -> Result<Vec<Record>, AttachError> {
        let filter = AttachmentFilter {
            network: selector.network.as_ref(),
            container: selector.container.as_ref(),
            object: selector.object.as_ref(),
            ..AttachmentFilter::default()
        };
        let records = self
            .host()
            .store(|store| store.view().attachments(&filter))?;
        let is_meant = |record: &Record| {
            selector
                .ifname
                .as_ref()
                .is_none_or(|ifname| record.owner.ifname == *ifname)
                && place.is_none_or(|place| place.is_of(record))
        };
        Ok(records.into_iter().filter(is_meant).collect())
    }

    /// Takes one attachment away, if it is still `as_expected`; returns whether it was.
    /// One that is gone already is no error.
    pub(crate) fn detach_one(
        &self,
        operation: &'static str,
        owner: &Owner,
        as_expected: impl FnOnce(&Record) -> bool,
    ) -> Result<bool, AttachError> {
        let _turn = Turn::wait(owner);
        self.detach_in_turn(operation, owner, as_expected)
    }

    /// The same for who has the [`Turn`] of the owner.
    pub(crate) fn detach_in_turn(
        &self,
        operation: &'static str,
        owner: &Owner,
        as_expected: impl FnOnce(&Record) -> bool,
    ) -> Result<bool, AttachError> {
        let actor = Actor::current()?;
        let claim = self
            .host()
            .store(|store| store.write(|tx| tx.claim_attachment(owner, actor, as_expected)))?;
        match claim {
            Claim::Gone | Claim::Changed => Ok(false),
            Claim::Busy(actor) => Err(AttachError::Busy {
                operation,
                owner: Box::new(owner.clone()),
                pid: actor.pid,
            }),
            Claim::Taken => {
                let cache = self.cache(None);
                let deleted = self.runtime(&cache).del_recorded(owner);
                if deleted.is_err() {
                    // Nobody is at it any more, though this process may live on.
                    self.host()
                        .store(|store| store.write(|tx| tx.attachment_detaching(owner, None)))?;
                }
                deleted?;
                Ok(true)
            }
        }
    }
}

/// Whether all plugins of an attachment's chain are built in. A program of another maker
/// runs where the caller runs, with the caller's rights, as at its ADD.
fn is_built_in(record: &Record) -> bool {
    ConfList::from_slice(record.config.as_bytes()).is_ok_and(|list| has_only_built_in(&list))
}

pub(crate) fn has_only_built_in(list: &ConfList) -> bool {
    let types = list.plugins.iter();
    let mut types = types.flat_map(|p| [Some(p.plugin_type()), p.ipam_type()]);
    types.all(|kind| kind.is_none_or(|kind| NAMES.contains(&kind)))
}

/// Whether an attachment is garbage once nobody works on it: it never became ready, a
/// detach did not end, or its namespace is gone.
pub(crate) fn is_abandoned(record: &Record) -> bool {
    record.state != AttachmentState::Ready
        || record.netns.as_ref().is_some_and(|netns| !netns.is_live())
}

/// A namespace as a person names it: by its path, and by what is behind it now.
struct Place {
    path: std::path::PathBuf,
    id: Option<(u64, u64)>,
}

impl Place {
    fn of(sandbox: &Sandbox) -> Self {
        let path = sandbox.path();
        let id = NetNs::open(&path).and_then(|ns| ns.id()).ok();
        Self {
            path,
            id: id.map(|id| (id.dev, id.ino)),
        }
    }

    fn of_request(asked: control::SandboxRef) -> Self {
        Self {
            path: asked.path,
            id: asked.id.map(|id| (id.dev, id.ino)),
        }
    }

    fn to_request(&self) -> control::SandboxRef {
        control::SandboxRef {
            path: self.path.clone(),
            id: self.id.map(|(dev, ino)| control::Namespace { dev, ino }),
        }
    }

    fn is_of(&self, record: &Record) -> bool {
        let same =
            |netns: &NetnsRef| netns.path == self.path || self.id == Some((netns.dev, netns.ino));
        record.netns.as_ref().is_some_and(same)
    }
}
