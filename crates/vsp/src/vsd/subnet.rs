//! What belongs to subnets and their ports: policy groups of a port, addresses that are kept.

use super::Vsd;
use super::answer::{nonsense, read};
use super::call::Call;
use super::error::VsdError;
use super::ids::{PolicyGroupId, ReservationId, SubnetId, VportId};
use super::make::Making;
use super::request::Request;
use super::resource::Reservation;
use fairlead_types::Mac;
use serde_json::{Value, json};
use std::net::IpAddr;

/// An address that is to be kept.
struct Keep<'a> {
    subnet: &'a SubnetId,
    address: IpAddr,
    mac: Mac,
}

impl Making for Keep<'_> {
    type Made = Reservation;

    fn read(&self, call: &Call, object: Value) -> Result<Reservation, VsdError> {
        let made: Reservation = read(&call.at, object)?;
        if made.address != Some(self.address) {
            return Err(nonsense(&call.at, "another address is kept".to_owned()));
        }
        Ok(made)
    }

    async fn found(&self, call: &Call) -> Result<Option<Reservation>, VsdError> {
        let found = kept(call, self.subnet, self.address).await?;
        Ok(found.filter(|one| one.mac == Some(self.mac)))
    }
}

async fn kept(
    call: &Call,
    subnet: &SubnetId,
    address: IpAddr,
) -> Result<Option<Reservation>, VsdError> {
    let filter = call.filter("IPAddress", &address.to_string())?;
    let path = format!("/subnets/{subnet}/ipreservations");
    let found: Vec<Reservation> = call.list(&path, Some(&filter)).await?;
    Ok(found.into_iter().find(|one| one.address == Some(address)))
}

impl Vsd {
    /// Makes these the policy groups of a virtual port; those it had before are no longer its own.
    ///
    /// # Errors
    /// [`VsdError::Gone`]: there is no such port or group. [`VsdError::Refused`] with
    /// [`Code::OtherDomain`](super::Code::OtherDomain).
    pub async fn assign_policy_groups(
        &self,
        vport: &VportId,
        groups: &[PolicyGroupId],
    ) -> Result<(), VsdError> {
        let call = Call::new(self, "assign policy groups to port", vport.as_str());
        let path = format!("/vports/{vport}/policygroups");
        call.put(&Request::put(path, &groups, &call.at)?).await
    }

    /// Keeps an address of a subnet from being given to containers. One that is kept for the same MAC
    /// is taken for the one wanted.
    ///
    /// # Errors
    /// [`VsdError::Refused`]: see [`VsdError::is_taken`] and [`VsdError::code`].
    pub async fn reserve(
        &self,
        subnet: &SubnetId,
        address: IpAddr,
        mac: Mac,
    ) -> Result<Reservation, VsdError> {
        let call = Call::new(self, "reserve address", &address.to_string());
        let path = format!("/subnets/{subnet}/ipreservations");
        let body = json!({"IPAddress": address, "MAC": mac, "dynamicAllocationEnabled": false});
        let request = Request::post(path, &body, &call.at)?;
        call.make(
            &request,
            &Keep {
                subnet,
                address,
                mac,
            },
        )
        .await
    }

    /// What is kept of an address of a subnet.
    ///
    /// # Errors
    /// The VSD cannot be had.
    pub async fn reservation(
        &self,
        subnet: &SubnetId,
        address: IpAddr,
    ) -> Result<Option<Reservation>, VsdError> {
        let call = Call::new(
            self,
            "find the reservation of address",
            &address.to_string(),
        );
        kept(&call, subnet, address).await
    }

    /// Lets go of an address that was kept; one that is not kept is no error.
    ///
    /// # Errors
    /// The VSD cannot be had, or refuses.
    pub async fn release_reservation(&self, id: &ReservationId) -> Result<(), VsdError> {
        let call = Call::new(self, "release reservation", id.as_str());
        call.delete(format!("/ipreservations/{id}")).await
    }
}
