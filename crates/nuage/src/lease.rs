//! A lease: an address from the controller, from the asking to the giving back. It is recorded
//! before anything is asked or made, so that whatever a crash leaves is found by its record;
//! what cannot be given back now is recorded as leaving, and tried again.

use crate::cable;
use crate::door::Door;
use crate::error::DoorError;
use crate::pool::Pool;
use crate::target::is_same;
use crate::{ports, random};
use fairlead_store::{VspHeld, VspLease, VspState, now};
use fairlead_types::Mac;
use fairlead_vsp::vsd::{
    Container, Interface, NewContainer, NewInterface, Transport, Vsd, VsdError,
};
use std::net::{IpAddr, Ipv4Addr};
use tracing::{debug, info, warn};

impl Door {
    /// Asks the controller for an address: that one, or any.
    pub(crate) async fn lease(
        &self,
        pool: &Pool,
        address: Option<Ipv4Addr>,
        mac: Option<Mac>,
    ) -> Result<VspLease, DoorError> {
        if let Some(address) = address {
            self.clear(pool, address).await?;
        }
        // Without the switch nothing can be asked for: then nothing is left behind either.
        self.switch.mark().await?;
        let lease = self.new_lease(pool, address, mac)?;
        self.records.put(&lease)?;
        let _turn = self.turns.at(&lease.id).await;
        self.ask(lease).await
    }

    /// Waits until an address that is on its way back has come there: a container which starts
    /// again asks for it at once.
    async fn clear(&self, pool: &Pool, address: Ipv4Addr) -> Result<(), DoorError> {
        // Docker asks again for what it was not told, or did not hear to be given back: such a
        // lease is free, and from before this program began or of a container that has ended.
        let is_free = |lease: &VspLease| {
            let ended = lease.tenant.is_some() || lease.since < self.began;
            lease.state == VspState::Held && lease.endpoint.is_none() && ended
        };
        let is_leaving = |lease: &VspLease| {
            (lease.state == VspState::Leaving || is_free(lease))
                && lease.address == Some(address)
                && is_same(&lease.target, &pool.target)
        };
        for lease in self
            .records
            .leases()?
            .iter()
            .filter(|lease| is_leaving(lease))
        {
            if let Err(error) = self.take_back(&lease.id).await {
                debug!("{address} is still on its way back: {error}");
            }
        }
        Ok(())
    }

    /// Has what an earlier run asked for, and did not live to hear of, go back.
    pub(crate) fn forget_asked(&self) -> Result<(), DoorError> {
        for mut lease in self.records.leases()? {
            if lease.state == VspState::Asked {
                lease.state = VspState::Leaving;
                self.records.put(&lease)?;
            }
        }
        Ok(())
    }

    /// A lease that is not recorded yet.
    pub(crate) fn new_lease(
        &self,
        pool: &Pool,
        address: Option<Ipv4Addr>,
        mac: Option<Mac>,
    ) -> Result<VspLease, DoorError> {
        let (port, peer) = ports::free(&self.records)?;
        Ok(VspLease {
            id: random::digits()?,
            port,
            peer,
            target: pool.target.clone(),
            net: pool.net,
            gateway: pool.gateway,
            address,
            mac: mac.map_or_else(random::mac, Ok)?,
            subnet: pool.ids.clone(),
            held: None,
            network: None,
            endpoint: None,
            tenant: None,
            state: VspState::Asked,
            since: now(),
        })
    }

    /// Asks for what is recorded, and records the answer.
    pub(crate) async fn ask(&self, mut lease: VspLease) -> Result<VspLease, DoorError> {
        let made = match self.make(&lease).await {
            // The subnet was made again since.
            Err(DoorError::Vsd(VsdError::Gone { .. })) => {
                match self.find_subnet(&lease.target).await {
                    Ok(found) => {
                        lease.subnet = Some(found.ids);
                        self.make(&lease).await
                    }
                    Err(error) => Err(error),
                }
            }
            other => other,
        };
        let taken = made.and_then(|container| take(&mut lease, &container));
        if let Err(error) = taken {
            self.asked_in_vain(&mut lease, &error)?;
            return Err(error);
        }
        lease.state = VspState::Held;
        self.records.put(&lease)?;
        if let Some(address) = lease.address {
            info!(
                "{address} of subnet {:?} is held by {}",
                lease.target.subnet, lease.port
            );
        }
        Ok(lease)
    }

    /// Asks for a lease that a container has: a refusal does not forget it.
    pub(crate) async fn ask_as_it_is(&self, mut lease: VspLease) -> Result<VspLease, DoorError> {
        let container = self.make(&lease).await?;
        take(&mut lease, &container)?;
        self.records.put(&lease)?;
        self.wake.notify_one();
        Ok(lease)
    }

    async fn make(&self, lease: &VspLease) -> Result<Container, DoorError> {
        let vsd = self.vsd_for(&lease.target)?;
        let new = NewContainer {
            uuid: lease.id.clone(),
            name: lease.id.clone(),
            interfaces: vec![interface(lease)?],
            external_id: self.switch.mark().await?.to_owned(),
        };
        Ok(vsd.create_container(&new).await?)
    }

    /// What the controller refused is not there. What it may have made all the same is on its
    /// way back.
    fn asked_in_vain(&self, lease: &mut VspLease, error: &DoorError) -> Result<(), DoorError> {
        let is_refused = matches!(
            error,
            DoorError::Vsd(
                VsdError::Refused { .. }
                    | VsdError::Gone { .. }
                    | VsdError::NoSuch { .. }
                    | VsdError::Login { .. }
                    | VsdError::Denied { .. }
                    // Nothing was sent: an earlier lost answer would be told in its place.
                    | VsdError::Unreachable {
                        cause: Transport::Connect(_) | Transport::Certificate(_),
                        ..
                    }
            )
        );
        if is_refused {
            return self.records.remove(&lease.id);
        }
        lease.state = VspState::Leaving;
        self.records.put(lease)?;
        self.wake.notify_one();
        Ok(())
    }

    /// Gives a lease back: its port of the switch, its cable, its address. Each step is done
    /// though another failed; what is gone already is done. The record goes last.
    pub(crate) async fn take_back(&self, id: &str) -> Result<(), DoorError> {
        let _turn = self.turns.at(id).await;
        match self.records.lease(id)? {
            Some(lease) => self.take_back_now(lease).await,
            None => Ok(()),
        }
    }

    /// The same, if nothing has become of it since it was seen; says whether it was done.
    pub(crate) async fn take_back_as(&self, seen: &VspLease) -> Result<bool, DoorError> {
        let _turn = self.turns.at(&seen.id).await;
        match self.records.lease(&seen.id)? {
            Some(lease) if is_as(&lease, seen) => self.take_back_now(lease).await.map(|()| true),
            _ => Ok(false),
        }
    }

    async fn take_back_now(&self, mut lease: VspLease) -> Result<(), DoorError> {
        let was_kept = lease.state == VspState::Kept;
        if !was_kept && lease.state != VspState::Leaving {
            lease.state = VspState::Leaving;
            self.records.put(&lease)?;
        }
        let unplugged = match was_kept {
            true => Ok(()),
            false => self.unplug(&lease).await,
        };
        let given = match was_kept {
            true => self.free(&lease).await,
            false => self.give_back(&lease).await,
        };
        unplugged.and(given)?;
        self.records.remove(&lease.id)?;
        if let Some(address) = lease.address {
            info!(
                "{address} of subnet {:?} is given back",
                lease.target.subnet
            );
        }
        Ok(())
    }

    /// Takes a lease's port and cable away.
    pub(crate) async fn unplug(&self, lease: &VspLease) -> Result<(), DoorError> {
        let off = self.unplug_port(lease.port.as_str()).await;
        let cut = cable::remove(&lease.port);
        off?;
        cut
    }

    /// Takes a port off the switch.
    pub(crate) async fn unplug_port(&self, name: &str) -> Result<(), DoorError> {
        Ok(self.switch.get().await?.remove(name).await?)
    }

    /// Gives the address back to the controller.
    async fn give_back(&self, lease: &VspLease) -> Result<(), DoorError> {
        if lease.subnet.is_none() {
            return Ok(());
        }
        let vsd = self.vsd_for(&lease.target)?;
        let Some(held) = &lease.held else {
            // Asked for, with no answer: it goes by the name that it was asked for by.
            return forget(&vsd, &lease.id).await;
        };
        let is_shared = |other: &VspLease| {
            let theirs = other.held.as_ref().map(|held| &held.container);
            other.id != lease.id && other.state == VspState::Held && theirs == Some(&held.container)
        };
        match self.records.leases()?.iter().any(is_shared) {
            true => self.give_interface_back(&vsd, lease, held).await?,
            false => vsd.delete_container(&held.container.parse()?).await?,
        }
        Ok(())
    }

    /// Gives one interface of a container back. Its id need not have been told.
    async fn give_interface_back(
        &self,
        vsd: &Vsd,
        lease: &VspLease,
        held: &VspHeld,
    ) -> Result<(), DoorError> {
        let own = |interface: &Interface| interface.mac == Some(lease.mac);
        let id = match held.interface.parse() {
            Ok(id) => Some(id),
            Err(_) => {
                let container = vsd.container(&held.container.parse()?).await?;
                let mut all = container.into_iter().flat_map(|one| one.interfaces);
                all.find(own).and_then(|interface| interface.id)
            }
        };
        if let Some(id) = id {
            vsd.delete_interface(&id).await?;
        }
        Ok(())
    }

    /// Lets containers have an address again. One that is reserved for somebody else stays so.
    async fn free(&self, lease: &VspLease) -> Result<(), DoorError> {
        let (Some(ids), Some(address)) = (&lease.subnet, lease.address) else {
            return Ok(());
        };
        let vsd = self.vsd_for(&lease.target)?;
        let subnet = ids.subnet.parse()?;
        let kept = match vsd.reservation(&subnet, IpAddr::V4(address)).await {
            Err(error) if error.is_gone() => None,
            other => other?,
        };
        if let Some(kept) = kept.filter(|kept| kept.mac == Some(lease.mac)) {
            vsd.release_reservation(&kept.id).await?;
        }
        Ok(())
    }

    /// Has the hardware address that Docker's user gave, which was not known when the address
    /// was asked for.
    pub(crate) async fn change_mac(&self, lease: &mut VspLease, mac: Mac) -> Result<(), DoorError> {
        if !mac.is_unicast() {
            return Err(DoorError::Group(mac));
        }
        lease.mac = mac;
        if let Some(held) = lease.held.take() {
            // A container of the controller's keeps its first hardware address.
            let vsd = self.vsd_for(&lease.target)?;
            lease.state = VspState::Asked;
            self.records.put(lease)?;
            if let Err(error) = vsd.delete_container(&held.container.parse()?).await {
                lease.held = Some(held);
                lease.state = VspState::Leaving;
                self.records.put(lease)?;
                return Err(error.into());
            }
            debug!("{} asks again, with {mac}", lease.port);
            *lease = self.ask(lease.clone()).await?;
        }
        self.records.put(lease)
    }
}

/// Whether a lease is as far as it was, and another's by no means.
pub(crate) fn is_as(lease: &VspLease, seen: &VspLease) -> bool {
    lease.state == seen.state && lease.endpoint == seen.endpoint
}

/// What is asked for of a lease's interface.
pub(crate) fn interface(lease: &VspLease) -> Result<NewInterface, DoorError> {
    let ids = lease.subnet.as_ref().ok_or(DoorError::NoController)?;
    Ok(NewInterface {
        name: lease.port.to_string(),
        mac: lease.mac,
        address: lease.address.map(IpAddr::V4),
        subnet: ids.subnet.parse()?,
    })
}

/// Notes what the controller made.
fn take(lease: &mut VspLease, container: &Container) -> Result<(), DoorError> {
    let own = |interface: &&Interface| interface.name == lease.port.as_str();
    let interface = container.interfaces.iter().find(own);
    let interface = interface
        .or_else(|| container.interfaces.first())
        .ok_or_else(|| DoorError::NoAddress(lease.id.clone()))?;
    lease.held = Some(held(container, interface)?);
    let net = interface.network()?;
    match net.addr() {
        IpAddr::V4(address) => lease.address = Some(address),
        IpAddr::V6(_) => return Err(DoorError::V6),
    }
    if net.prefix_len() != lease.net.prefix_len() {
        warn!(
            "{net} is not of {}: the subnet was changed at the controller",
            lease.net
        );
    }
    Ok(())
}

/// The ids of what the controller made.
pub(crate) fn held(container: &Container, interface: &Interface) -> Result<VspHeld, DoorError> {
    let id = interface.id.as_ref();
    Ok(VspHeld {
        container: container.id.to_string(),
        interface: id.map(ToString::to_string).unwrap_or_default(),
        vport: interface.vport.as_ref().map(ToString::to_string),
    })
}

/// Deletes the container of that UUID, if there is one.
async fn forget(vsd: &Vsd, uuid: &str) -> Result<(), DoorError> {
    if let Some(container) = vsd.container_by_uuid(uuid).await? {
        vsd.delete_container(&container.id).await?;
    }
    Ok(())
}
