//! What this host has recorded, for one thread at a time.

use crate::error::DoorError;
use crate::target::is_same;
use fairlead_store::{Store, StoreError, Tx, View, VspLease, VspNetwork, VspState, VspTarget};
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The host's records. Each call is a read or a write of some milliseconds at most.
#[derive(Debug)]
pub(crate) struct Records(Mutex<Store>);

impl Records {
    pub(crate) const fn new(store: Store) -> Self {
        Self(Mutex::new(store))
    }

    /// A panic of another thread left a whole file: what it did not commit is not there.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, DoorError> {
        Ok(read(&self.store().view())?)
    }

    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, DoorError> {
        let mut store = self.store();
        let done = store.write(write)?;
        store.checkpoint_if_large()?;
        Ok(done)
    }

    pub(crate) fn leases(&self) -> Result<Vec<VspLease>, DoorError> {
        self.read(|view| view.vsp_leases())
    }

    pub(crate) fn lease(&self, id: &str) -> Result<Option<VspLease>, DoorError> {
        self.read(|view| view.vsp_lease(id))
    }

    pub(crate) fn put(&self, lease: &VspLease) -> Result<(), DoorError> {
        self.write(|tx| tx.put_vsp_lease(lease))
    }

    pub(crate) fn remove(&self, id: &str) -> Result<(), DoorError> {
        self.write(|tx| tx.remove_vsp_lease(id)).map(drop)
    }

    pub(crate) fn networks(&self) -> Result<Vec<VspNetwork>, DoorError> {
        self.read(|view| view.vsp_networks())
    }

    pub(crate) fn network(&self, id: &str) -> Result<Option<VspNetwork>, DoorError> {
        self.read(|view| view.vsp_network(id))
    }

    pub(crate) fn put_network(&self, network: &VspNetwork) -> Result<(), DoorError> {
        self.write(|tx| tx.put_vsp_network(network))
    }

    pub(crate) fn remove_network(&self, id: &str) -> Result<bool, DoorError> {
        self.write(|tx| tx.remove_vsp_network(id))
    }

    /// The lease that an endpoint has.
    pub(crate) fn of_endpoint(&self, endpoint: &str) -> Result<Option<VspLease>, DoorError> {
        let mut all = self.leases()?.into_iter().filter(is_there);
        Ok(all.find(|lease| lease.endpoint.as_deref() == Some(endpoint)))
    }

    /// The leases of an address in a subnet; those that no endpoint has come first.
    pub(crate) fn of_address(
        &self,
        target: &VspTarget,
        address: Ipv4Addr,
    ) -> Result<Vec<VspLease>, DoorError> {
        let mut all = self.with_address(address)?;
        all.retain(|lease| is_same(&lease.target, target));
        Ok(all)
    }

    /// The same in any subnet.
    pub(crate) fn with_address(&self, address: Ipv4Addr) -> Result<Vec<VspLease>, DoorError> {
        let mut all = self.leases()?;
        all.retain(|lease| lease.address == Some(address) && is_there(lease));
        all.sort_by_key(|lease| lease.endpoint.is_some());
        Ok(all)
    }
}

/// Whether a lease is not on its way back.
pub(crate) fn is_there(lease: &VspLease) -> bool {
    lease.state != VspState::Leaving
}
