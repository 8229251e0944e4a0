//! Taking what an attachment has in the kernel away. Deleting a link makes the kernel wait
//! for a grace period of some 20 ms while it holds the lock of all links, so a hundred
//! processes that each delete one wait two seconds. The agent deletes them together: while
//! one runs, it is asked; without, or when it fails, each does its own.

use crate::error::kernel;
use crate::host::Host;
use crate::{cable, mac_check, masquerade, portmap};
use fairlead_cni::{CniError, Code};
use fairlead_control::{Client, ControlError, Failure, Namespace, REMOVE, RemoveRequest};
use fairlead_kernel::{NetNs, Route};
use fairlead_types::{IfName, Owner, Root};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Deletes links, perhaps several callers' together.
pub trait DeleteLinks: Send + Sync {
    /// Deletes the link of that name, and with one end of a cable the other; returns
    /// whether there was one. Waits until the kernel has done so.
    ///
    /// # Errors
    /// What the kernel has against it.
    fn delete(&self, link: &IfName) -> Result<bool, CniError>;
}

/// How a process removes.
pub(crate) enum Way {
    /// By the agent, while there is one.
    Ask(Asking),
    /// It is the agent.
    Agent(Box<dyn DeleteLinks>),
}

pub(crate) struct Asking {
    client: Client,
    /// The caller's network namespace; none when it cannot be told, and then nothing is
    /// asked.
    node: OnceLock<Option<Namespace>>,
    /// There was no agent, or it could not help: it is not asked again.
    in_vain: AtomicBool,
    /// The agent has answered.
    answered: AtomicBool,
}

/// What to take away; each may be gone already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Published ports and their records.
    pub ports: bool,
    /// The check of the hardware address.
    pub mac_check: bool,
    /// Masquerades that nobody else has, and their records.
    pub masquerades: bool,
    /// The cable, last, so that one wait of the kernel serves all.
    pub link: bool,
}

/// What was taken away. Every part was tried.
#[derive(Debug)]
pub struct Removed {
    /// Whether there was a cable; false where none was to be removed.
    pub link: Result<bool, CniError>,
    /// What failed of the rest.
    pub failures: Vec<CniError>,
}

impl Removed {
    /// Everything that failed, in the order it was tried.
    pub(crate) fn into_failures(self) -> impl Iterator<Item = Result<(), CniError>> {
        let link = self.link.map(drop);
        self.failures.into_iter().map(Err).chain([link])
    }
}

impl Way {
    pub(crate) fn asking(root: &Root) -> Self {
        Self::Ask(Asking {
            client: Client::new(root),
            node: OnceLock::new(),
            in_vain: AtomicBool::new(false),
            answered: AtomicBool::new(false),
        })
    }

    /// Whether this is the agent, or the agent works for this process.
    pub(crate) fn is_agents(&self) -> bool {
        match self {
            Self::Agent(_) => true,
            Self::Ask(asking) => asking.answered.load(Ordering::Relaxed),
        }
    }
}

impl Asking {
    /// The namespace that a question is about; none when the agent is not to be asked.
    fn node(&self) -> Option<Namespace> {
        if self.in_vain.load(Ordering::Relaxed) {
            return None;
        }
        *self
            .node
            .get_or_init(|| here().inspect_err(|_| self.give_up()).ok())
    }

    fn give_up(&self) {
        self.in_vain.store(true, Ordering::Relaxed);
    }
}

/// The network namespace of this thread.
fn here() -> Result<Namespace, CniError> {
    let id = NetNs::current().and_then(|ns| ns.id()).map_err(kernel)?;
    Ok(Namespace {
        dev: id.dev,
        ino: id.ino,
    })
}

impl Host {
    /// Asks the node's agent, if one runs in this network namespace; `None` when the
    /// caller has to do it: there is none, it is late, it ended, it refuses. What is asked
    /// must be harmless when it is done twice.
    pub fn ask_agent<T: DeserializeOwned, Q: Serialize>(
        &self,
        path: &'static str,
        question: impl FnOnce(Namespace) -> Q,
    ) -> Option<T> {
        let Way::Ask(asking) = &self.way else {
            return None;
        };
        let node = asking.node()?;
        let answer: Result<Option<T>, ControlError> = asking.client.post(path, &question(node));
        match answer {
            Ok(Some(answer)) => {
                asking.answered.store(true, Ordering::Relaxed);
                Some(answer)
            }
            Ok(None) | Err(_) => {
                asking.give_up();
                None
            }
        }
    }

    /// Takes parts of an attachment out of the kernel, by the agent while one runs.
    #[must_use]
    pub fn remove(&self, owner: &Owner, parts: Parts) -> Removed {
        let answer: Option<fairlead_control::Removed> =
            self.ask_agent(REMOVE, |node| RemoveRequest {
                node: Some(node),
                owner: owner.clone(),
                ports: parts.ports,
                masquerades: parts.masquerades,
                mac_check: parts.mac_check,
                link: parts.link,
            });
        match answer {
            Some(answer) => read(answer),
            None => self.remove_here(owner, parts),
        }
    }

    fn remove_here(&self, owner: &Owner, parts: Parts) -> Removed {
        let mut failures = Vec::new();
        let mut step = |wanted: bool, work: &dyn Fn() -> Result<(), CniError>| {
            if wanted {
                failures.extend(work().err());
            }
        };
        step(parts.ports, &|| portmap::unpublish(self, owner));
        step(parts.mac_check, &|| {
            mac_check::remove(self, &cable::host_name(owner)?)
        });
        step(parts.masquerades, &|| masquerade::remove(self, owner));
        let link = match parts.link {
            true => cable::host_name(owner).and_then(|name| self.delete_link(&name)),
            false => Ok(false),
        };
        Removed { link, failures }
    }

    /// Deletes a link of this namespace; returns whether there was one.
    pub(crate) fn delete_link(&self, link: &IfName) -> Result<bool, CniError> {
        match &self.way {
            Way::Agent(links) => links.delete(link),
            Way::Ask(_) => Route::open()
                .and_then(|mut route| route.delete_link_named(link))
                .map_err(kernel),
        }
    }
}

/// The agent's answer, where the failure of a link is among the others; nothing more is
/// searched for then.
fn read(answer: fairlead_control::Removed) -> Removed {
    let error = |failure: Failure| CniError {
        code: Code(failure.code),
        msg: failure.msg,
        details: failure.details,
    };
    Removed {
        link: Ok(answer.link.unwrap_or(true)),
        failures: answer.errors.into_iter().map(error).collect(),
    }
}

/// For the agent: what the answer to a [`RemoveRequest`] is.
impl From<Removed> for fairlead_control::Removed {
    fn from(removed: Removed) -> Self {
        let link = removed.link.as_ref().ok().copied();
        let failures = removed.into_failures().filter_map(Result::err);
        Self {
            link,
            errors: failures
                .map(|error| Failure {
                    code: error.code.0,
                    msg: error.msg,
                    details: error.details,
                })
                .collect(),
        }
    }
}
