//! Endpoints: a container's place on a network, from its making to its end.

use crate::cable;
use crate::door::Door;
use crate::error::DoorError;
use crate::ipam::asked;
use crate::pool::Pool;
use crate::ports;
use fairlead_libnetwork::engine::short;
use fairlead_libnetwork::protocol::{
    CreateEndpoint, Created, Interface, InterfaceName, Joined, OfEndpoint,
};
use fairlead_store::{VspLease, VspNetwork, VspState};
use fairlead_types::Mac;
use std::net::Ipv4Addr;
use std::sync::Arc;

impl Door {
    /// Takes an endpoint: its address was asked for before, or is Docker's own and is told the
    /// controller now.
    pub(crate) async fn create_endpoint(
        &self,
        call: &CreateEndpoint,
    ) -> Result<Created, DoorError> {
        let no_address = || DoorError::NoAddress(short(&call.endpoint_id).to_owned());
        if !call.interface.address_ipv6.is_empty() {
            return Err(DoorError::V6);
        }
        let address = asked(&call.interface.address)?.ok_or_else(no_address)?;
        let mac = match call.interface.mac_address.as_str() {
            "" => None,
            text => Some(text.parse::<Mac>()?),
        };
        let known = self.records.of_endpoint(&call.endpoint_id)?;
        let lease = match known {
            // Asked again after an answer that was lost.
            Some(lease) if lease.state == VspState::Held => lease,
            _ => {
                let network = self.network(&call.network_id, Some(address)).await?;
                match network.leased {
                    true => self.leased(&network, call, address)?,
                    false => self.told(&network, address, mac, &call.endpoint_id).await?,
                }
            }
        };
        let _turn = self.turns.at(&lease.id).await;
        // Read again: it may have gone meanwhile.
        let lease = self.records.lease(&lease.id)?;
        let mut lease = lease
            .filter(|lease| is_for(lease, &call.endpoint_id))
            .ok_or_else(|| Self::not_leased(call, address))?;
        lease.network = Some(call.network_id.clone());
        lease.endpoint = Some(call.endpoint_id.clone());
        lease.tenant = None;
        match mac.filter(|mac| *mac != lease.mac) {
            Some(mac) => self.change_mac(&mut lease, mac).await?,
            None => self.records.put(&lease)?,
        }
        // Docker takes no answer for what it said itself.
        let told = match mac {
            Some(_) => String::new(),
            None => lease.mac.to_string(),
        };
        Ok(Created {
            interface: Interface {
                mac_address: told,
                ..Interface::default()
            },
        })
    }

    /// The lease of an address that was asked for at the driver of addresses.
    fn leased(
        &self,
        network: &VspNetwork,
        call: &CreateEndpoint,
        address: Ipv4Addr,
    ) -> Result<VspLease, DoorError> {
        let leases = self.records.of_address(&network.target, address)?;
        let mut held = leases.into_iter();
        let held = held.find(|lease| is_for(lease, &call.endpoint_id));
        held.ok_or_else(|| Self::not_leased(call, address))
    }

    fn not_leased(call: &CreateEndpoint, address: Ipv4Addr) -> DoorError {
        DoorError::NotLeased {
            address,
            network: short(&call.network_id).to_owned(),
        }
    }

    /// A lease of an address that is Docker's own.
    async fn told(
        &self,
        network: &VspNetwork,
        address: Ipv4Addr,
        mac: Option<Mac>,
        endpoint: &str,
    ) -> Result<VspLease, DoorError> {
        if let Some(mac) = mac.filter(|mac| !mac.is_unicast()) {
            return Err(DoorError::Group(mac));
        }
        // Docker gives an address to one at a time: who had this one has ended, and nobody said so.
        for stale in self.records.of_address(&network.target, address)? {
            self.take_back(&stale.id).await?;
        }
        let pool = Pool {
            target: network.target.clone(),
            net: network.net,
            gateway: network.gateway,
            ids: network.ids.clone(),
        };
        if self.vsd.is_some() {
            return self.lease(&pool, Some(address), mac).await;
        }
        let mut lease = self.new_lease(&pool, Some(address), mac)?;
        (lease.port, lease.peer) = ports::of_endpoint(endpoint)?;
        lease.subnet = None;
        lease.state = VspState::Held;
        self.records.put(&lease)?;
        Ok(lease)
    }

    /// Makes the cable, and says which end is the container's. The switch hears of it when it
    /// is known whose it is; without a controller at once.
    pub(crate) async fn join(&self, call: &OfEndpoint) -> Result<Joined, DoorError> {
        let lease = self.lease_of(&call.endpoint_id)?;
        let _turn = self.turns.at(&lease.id).await;
        // Read again: it may have gone meanwhile.
        let lease = self.lease_of(&call.endpoint_id)?;
        let settings = self.settings();
        let mtu = settings.mtu.map(Into::into);
        cable::make(&lease.port, &lease.peer, lease.mac, mtu)?;
        if self.vsd.is_none()
            && let Err(error) = self
                .plug(&lease, &call.endpoint_id, short(&call.endpoint_id))
                .await
        {
            let _ = cable::remove(&lease.port);
            return Err(error);
        }
        let network = self.records.network(&call.network_id)?;
        let is_internal = network.as_ref().is_some_and(|network| network.internal);
        let gateway = network.map_or(lease.gateway, |network| network.gateway);
        let gateway = gateway
            .filter(|_| !is_internal)
            .map(|gateway| gateway.to_string());
        Ok(Joined {
            interface_name: InterfaceName {
                src_name: lease.peer.to_string(),
                dst_prefix: "eth".to_owned(),
            },
            gateway: gateway.unwrap_or_default(),
            gateway_ipv6: String::new(),
            static_routes: Vec::new(),
            disable_gateway_service: is_internal,
        })
    }

    fn lease_of(&self, endpoint: &str) -> Result<VspLease, DoorError> {
        let lease = self.records.of_endpoint(endpoint)?;
        lease.ok_or_else(|| DoorError::UnknownEndpoint(short(endpoint).to_owned()))
    }

    /// Ends an endpoint. Its address stays until it is given back, if it was asked for here.
    /// One that is not known has ended.
    pub(crate) async fn delete_endpoint(
        self: &Arc<Self>,
        call: &OfEndpoint,
    ) -> Result<(), DoorError> {
        let Some(lease) = self.records.of_endpoint(&call.endpoint_id)? else {
            return Ok(());
        };
        let network = self.records.network(&call.network_id)?;
        let is_told = network.is_some_and(|network| !network.leased);
        let door = Arc::clone(self);
        let end = async move {
            match is_told {
                true => door.take_back(&lease.id).await,
                false => door.end(&lease).await,
            }
        };
        let what = format!("end endpoint {}", short(&call.endpoint_id));
        self.within(&what, end).await;
        Ok(())
    }

    /// Takes the cable of a lease away, which stays.
    async fn end(&self, seen: &VspLease) -> Result<(), DoorError> {
        let _turn = self.turns.at(&seen.id).await;
        let lease = self.records.lease(&seen.id)?;
        let is_it = |lease: &VspLease| lease.endpoint == seen.endpoint;
        let Some(mut lease) = lease.filter(is_it) else {
            return Ok(());
        };
        self.unplug(&lease).await?;
        lease.endpoint = None;
        lease.network = None;
        self.records.put(&lease)
    }
}

/// Whether a lease is an endpoint's, or may become so.
fn is_for(lease: &VspLease, endpoint: &str) -> bool {
    let own = lease.endpoint.as_deref();
    lease.state == VspState::Held && own.is_none_or(|own| own == endpoint)
}
