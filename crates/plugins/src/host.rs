//! What plugins share in one process: the node's state and the firewall, each opened
//! when it is first needed. Threads may share it too; one at a time uses each.

use crate::error::internal;
use crate::removal::{DeleteLinks, Way};
use fairlead_cni::conf::AttachmentId;
use fairlead_cni::{Call, CniError};
use fairlead_firewall::{Element, Firewall, FirewallError};
use fairlead_ipam::IpamError;
use fairlead_store::{NetnsRef, Store, StoreError, Tx};
use fairlead_types::{NetworkName, Owner, Root};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The node that plugins work on.
pub struct Host {
    root: Root,
    store: Mutex<Option<Store>>,
    // Whoever holds both has locked `store` first.
    firewall: Mutex<Option<Firewall>>,
    pub(crate) way: Way,
}

impl Host {
    /// The node whose files are below `root`, in the network namespace of the calling
    /// thread. Nothing is opened yet. What is removed is left to the node's agent while
    /// one runs.
    #[must_use]
    pub fn new(root: Root) -> Self {
        let way = Way::asking(&root);
        Self::with_way(root, way)
    }

    /// The same for the agent itself: it asks nobody, and cables end by `links`.
    #[must_use]
    pub fn of_agent(root: Root, links: Box<dyn DeleteLinks>) -> Self {
        Self::with_way(root, Way::Agent(links))
    }

    fn with_way(root: Root, way: Way) -> Self {
        Self {
            root,
            store: Mutex::new(None),
            firewall: Mutex::new(None),
            way,
        }
    }

    /// Where the node's files are.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Works on the node's state, opened at the first call.
    ///
    /// # Errors
    /// The store's own.
    pub fn store<T>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut slot = locked(&self.store);
        let store = match &mut *slot {
            Some(store) => store,
            empty => empty.insert(Store::open(&self.root)?),
        };
        work(store)
    }

    /// Works on the node's nftables, opened at the first call.
    ///
    /// # Errors
    /// The firewall's own.
    pub fn firewall<T>(
        &self,
        work: impl FnOnce(&mut Firewall) -> Result<T, FirewallError>,
    ) -> Result<T, FirewallError> {
        let mut slot = locked(&self.firewall);
        let firewall = match &mut *slot {
            Some(firewall) => firewall,
            empty => empty.insert(Firewall::open()?),
        };
        work(firewall)
    }

    /// Folds the state's log back when it is long: the end of what takes time anyway.
    /// With an agent that is the agent's to do, in its own time.
    ///
    /// # Errors
    /// The store's own.
    pub fn fold_log(&self) -> Result<(), StoreError> {
        match self.way.is_agents() {
            true => Ok(()),
            false => self.store(|store| store.checkpoint_if_large().map(drop)),
        }
    }

    pub(crate) fn with_store<T>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, CniError> {
        self.store(work).map_err(store_error)
    }

    /// Takes elements away and then their records, in one step of the store: who records
    /// the same element meanwhile waits, and a kill in between leaves the records, for
    /// another try. `choose` says which elements, `forget` removes the records.
    pub(crate) fn write_with(
        &self,
        choose: impl FnOnce(&Tx<'_>) -> Result<Vec<Element>, StoreError>,
        forget: impl FnOnce(&Tx<'_>) -> Result<(), StoreError>,
    ) -> Result<(), CniError> {
        let mut refused = None;
        self.with_store(|store| {
            store.write(|tx| {
                let elements = choose(tx)?;
                if !elements.is_empty() {
                    refused = self
                        .with_firewall(|firewall| firewall.remove(&elements))
                        .err();
                }
                if refused.is_none() {
                    forget(tx)
                } else {
                    Ok(())
                }
            })
        })?;
        refused.map_or(Ok(()), Err)
    }

    pub(crate) fn with_ipam<T>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, IpamError>,
    ) -> Result<T, CniError> {
        // The store's own failures come through `work` as well.
        let mut answer = None;
        self.with_store(|store| {
            answer = Some(work(store));
            Ok(())
        })?;
        match answer {
            Some(answer) => answer.map_err(crate::host_local::ipam_error),
            None => Err(internal("the node's state was not asked")),
        }
    }

    pub(crate) fn with_firewall<T>(
        &self,
        work: impl FnOnce(&mut Firewall) -> Result<T, FirewallError>,
    ) -> Result<T, CniError> {
        self.firewall(work).map_err(internal)
    }

    /// The namespace of a call, by path and identity, as records keep it.
    pub(crate) fn netns_of(&self, call: &Call) -> Result<Option<NetnsRef>, CniError> {
        let Some(path) = &call.netns else {
            return Ok(None);
        };
        NetnsRef::of(path).map(Some).map_err(store_error)
    }

    /// The owners on a network that came by plugin calls and are not in `valid`.
    pub(crate) fn stale_owners(
        &self,
        network: &NetworkName,
        valid: &[AttachmentId],
    ) -> Result<Vec<Owner>, CniError> {
        let records = self.with_store(|store| store.view().owners())?;
        // Attachments of our own runtime are for its own garbage collection: the caller
        // of this one does not know of them.
        let called = records.into_iter().filter(|record| record.state.is_none());
        let owners = called.map(|record| record.owner);
        let owners = owners.filter(|owner| owner.network == *network);
        let is_valid = |owner: &Owner| {
            valid.iter().any(|id| {
                id.container == owner.container.as_str() && id.ifname == owner.ifname.as_str()
            })
        };
        Ok(owners.filter(|owner| !is_valid(owner)).collect())
    }
}

/// A panic of another thread leaves store and firewall as usable as an error does: what
/// was not committed is rolled back.
fn locked<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A busy store is worth another try; anything else is not.
pub(crate) fn store_error(error: StoreError) -> CniError {
    let busy = matches!(error, StoreError::Busy { .. });
    let error = internal(error);
    if busy {
        CniError {
            code: fairlead_cni::Code::TRY_AGAIN_LATER,
            ..error
        }
    } else {
        error
    }
}
