//! The end of endpoints: a tenant leaves, a container is no more, and what is kept for nobody
//! is taken away.

use super::Wanted;
use crate::detach::Selector;
use crate::error::all;
use crate::gc::GcAction;
use crate::{AttachError, Node};
use fairlead_kernel::NetNs;
use fairlead_store::{Actor, Endpoint, Identity, StoreError, Tenant, Tx};
use fairlead_types::{ContainerId, Naming, Owner};
use std::path::PathBuf;

impl Node {
    /// Says that a container runs no more: its endpoint stays for those it is kept for, or
    /// goes. Where the container has been started again meanwhile, which this process did not
    /// do, nothing is done. Says whether there was an endpoint.
    ///
    /// # Errors
    /// [`AttachError`] with what could not be taken away.
    pub fn leave_endpoint(&self, container: &ContainerId) -> Result<bool, AttachError> {
        if self.find_endpoint(container, &[])?.is_none() {
            return Ok(false);
        }
        let us = Actor::current()?;
        self.change_endpoint(container, |endpoint| {
            let netns = endpoint.live_netns().cloned();
            endpoint.tenant.take_if(|t| {
                t.container == *container && (t.taker == us || !t.runs(netns.as_ref()))
            });
        })?;
        Ok(true)
    }

    /// Says that a container is no more: what was kept for nobody else goes. Without an
    /// endpoint nothing is done; says whether there was one.
    ///
    /// # Errors
    /// [`AttachError`] with what could not be taken away.
    pub fn forget_endpoint(&self, container: &ContainerId) -> Result<bool, AttachError> {
        if self.find_endpoint(container, &[])?.is_none() {
            return Ok(false);
        }
        self.change_endpoint(container, |endpoint| {
            endpoint.connected.retain(|c| c.container != *container);
            endpoint.tenant.take_if(|t| t.container == *container);
        })?;
        Ok(true)
    }

    /// Changes the record of a container's endpoint, which goes once nobody has it.
    fn change_endpoint(
        &self,
        container: &ContainerId,
        change: impl Fn(&mut Endpoint),
    ) -> Result<(), AttachError> {
        let actor = Actor::current()?;
        let mut forsaken = None;
        self.host().store(|store| {
            store.write(|tx| {
                let Some(mut endpoint) = tx.endpoint_of(container)? else {
                    return Ok(());
                };
                change(&mut endpoint);
                if endpoint.tenant.is_none() {
                    forget_names(tx, &endpoint)?;
                }
                if endpoint.tenant.is_none() && endpoint.connected.is_empty() {
                    claim(tx, &mut endpoint, actor)?;
                    forsaken = Some(endpoint);
                    return Ok(());
                }
                tx.put_endpoint(&endpoint)
            })
        })?;
        let Some(endpoint) = forsaken else {
            return Ok(());
        };
        let mut errors: Vec<AttachError> = self.tear_down(&endpoint).err().into_iter().collect();
        if !errors.is_empty() {
            // This process lives on, and nobody is at it any more: the next one may try.
            let freed = self.host().store(|store| {
                store.write(|tx| match tx.endpoint_of(&endpoint.owner)? {
                    Some(mut now) if now.tenant == endpoint.tenant => {
                        now.tenant = None;
                        tx.put_endpoint(&now)
                    }
                    _ => Ok(()),
                })
            });
            errors.extend(freed.err().map(AttachError::from));
        }
        all(errors)
    }

    /// Takes an endpoint away, with everything in it.
    pub(super) fn tear_down(&self, endpoint: &Endpoint) -> Result<(), AttachError> {
        let selector = Selector {
            container: Some(endpoint.owner.clone()),
            ..Selector::default()
        };
        let mut errors = Vec::new();
        match self.detach(&selector) {
            // After a reboot there are no attachments, only addresses, and what plugins of
            // other makers keep.
            Ok(detached) if detached.owners.is_empty() => {
                for place in &endpoint.places {
                    let cleared = Wanted::of(place)
                        .and_then(|wanted| self.clear_leftovers(&endpoint.owner, &wanted));
                    errors.extend(cleared.err());
                }
            }
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
        let path = self.host().root().run().join("netns");
        let removed = NetNs::remove(path.join(endpoint.owner.as_str()));
        errors.extend(removed.err().map(AttachError::from));
        if errors.is_empty() {
            self.host().store(|store| {
                store.write(|tx| {
                    for place in &endpoint.places {
                        tx.free_addresses_of(&endpoint.owner_at(place))?;
                    }
                    tx.remove_endpoint(&endpoint.owner).map(drop)
                })
            })?;
        }
        all(errors)
    }

    /// Takes away what is kept for containers that their engines have no more.
    pub(crate) fn collect_endpoints(&self, dry_run: bool) -> Result<Vec<GcAction>, AttachError> {
        let (mut actions, mut errors) = (Vec::new(), Vec::new());
        for endpoint in self.host().store(|store| store.view().endpoints())? {
            let netns = endpoint.live_netns().cloned();
            let is_stale = |t: &Tenant| !t.is_there(netns.as_ref());
            let tenant_left = endpoint.tenant.as_ref().is_some_and(is_stale);
            let is_vacant = endpoint.tenant.is_none() || tenant_left;
            let gone = endpoint.connected.iter().filter(|c| c.is_gone()).count();
            if is_vacant && gone == endpoint.connected.len() {
                let owners = endpoint.places.iter().map(|p| endpoint.owner_at(p));
                let owners: Vec<Owner> = owners.collect();
                actions.extend(owners.into_iter().map(|owner| GcAction::Forsaken { owner }));
            }
            if dry_run || (!tenant_left && gone == 0 && !endpoint.connected.is_empty()) {
                continue;
            }
            let tidy = self.change_endpoint(&endpoint.owner, |endpoint| {
                endpoint.connected.retain(|c| !c.is_gone());
                endpoint.tenant.take_if(|t| is_stale(t));
            });
            errors.extend(tidy.err());
        }
        all(errors).map(|()| actions)
    }
}

/// The record of an endpoint that nobody takes any more: this process takes it away.
fn claim(tx: &Tx<'_>, endpoint: &mut Endpoint, actor: Actor) -> Result<(), StoreError> {
    // Whoever finds it half taken away makes it anew.
    endpoint.netns = None;
    endpoint.tenant = Some(Tenant {
        container: endpoint.owner.clone(),
        // Under which there is nothing.
        bundle: PathBuf::from("/dev/null"),
        taker: actor,
    });
    tx.put_endpoint(endpoint)
}

/// What nobody runs with has no name, and no object.
fn forget_names(tx: &Tx<'_>, endpoint: &Endpoint) -> Result<(), StoreError> {
    let nobody = Identity {
        id: endpoint.owner.as_str(),
        netns: None,
        object: None,
        naming: &Naming::default(),
    };
    for place in &endpoint.places {
        tx.identify_attachment(&endpoint.owner_at(place), &nobody)?;
    }
    Ok(())
}
