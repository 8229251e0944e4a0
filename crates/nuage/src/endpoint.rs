//! Endpoints: a container's place on a network, from its making to its end.

use crate::cable;
use crate::door::Door;
use crate::error::{DoorError, short};
use crate::ipam::asked;
use crate::pool::Pool;
use crate::ports;
use fairlead_libnetwork::protocol::{
    CreateEndpoint, Created, Interface, InterfaceName, Joined, OfEndpoint,
};
use fairlead_store::{VspLease, VspNetwork, VspState};
use fairlead_types::Mac;
use std::net::Ipv4Addr;
use tracing::warn;

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
        let mut lease = match known {
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
        let mut held = leases
            .into_iter()
            .filter(|lease| lease.state == VspState::Held);
        held.next().ok_or_else(|| DoorError::NotLeased {
            address,
            network: short(&call.network_id).to_owned(),
        })
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
    pub(crate) async fn delete_endpoint(&self, call: &OfEndpoint) -> Result<(), DoorError> {
        let Some(lease) = self.records.of_endpoint(&call.endpoint_id)? else {
            return Ok(());
        };
        let network = self.records.network(&call.network_id)?;
        let ended = match network.is_some_and(|network| !network.leased) {
            true => self.take_back(&lease.id).await,
            false => self.end(&lease.id).await,
        };
        if let Err(error) = ended {
            // It is recorded, and tried again: Docker can do nothing about it.
            warn!(
                "endpoint {}: {error}; it is tried again",
                short(&call.endpoint_id)
            );
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes the cable of a lease away, which stays.
    async fn end(&self, id: &str) -> Result<(), DoorError> {
        let _turn = self.turns.at(id).await;
        let Some(mut lease) = self.records.lease(id)? else {
            return Ok(());
        };
        self.unplug(&lease).await?;
        lease.endpoint = None;
        lease.network = None;
        self.records.put(&lease)
    }
}
