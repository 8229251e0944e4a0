//! The audit of what is there without a record.

use super::{Report, Seen, Suspects};
use crate::cable;
use crate::door::Door;
use crate::error::DoorError;
use crate::lease::held;
use crate::ports;
use crate::random;
use fairlead_libnetwork::engine::short;
use fairlead_libnetwork::engine::{Inspected, Place};
use fairlead_store::{VspLease, VspState, now};
use fairlead_types::IfName;
use fairlead_vsp::vsd::{Container, Interface};
use std::collections::BTreeSet;
use std::net::IpAddr;

impl Door {
    pub(super) async fn audit_strays(
        &self,
        seen: &Seen,
        suspects: &mut Suspects,
        report: &mut Report,
    ) {
        let known: BTreeSet<&str> = seen
            .leases
            .iter()
            .map(|lease| lease.port.as_str())
            .collect();
        // Taken over first: their ports and links are nobody's until then.
        let mut adopted = BTreeSet::new();
        for container in seen.held.iter().flatten() {
            if seen
                .leases
                .iter()
                .any(|lease| is_of(container, lease, seen))
            {
                continue;
            }
            let done = self
                .stray_container(container, seen, suspects, report)
                .await;
            match done {
                Ok(ports) => adopted.extend(ports),
                Err(error) => {
                    // Whose they are is not known: they stay.
                    let names = container.interfaces.iter();
                    adopted.extend(names.map(|interface| interface.name.clone()));
                    report.failed(&format!("container {}", container.name), &error);
                }
            }
        }
        if seen.held.is_none() && self.vsd.is_some() {
            // The controller may know whose the other ports are.
            return;
        }
        let is_known = |name: &str| known.contains(name) || adopted.contains(name);
        for name in seen.plugged.iter().flat_map(|all| all.keys()) {
            if !ports::is_ours(name) || is_known(name) {
                continue;
            }
            if suspects.is_certain(format!("port {name}")) && !self.has_lease(name) {
                match self.unplug_port(name).await {
                    Ok(()) => report.removed.push(format!("port {name} of the switch")),
                    Err(error) => report.failed(name, &error),
                }
            }
        }
        for link in seen
            .links
            .iter()
            .filter(|link| link.ends_with("-1") && !is_known(link))
        {
            // Without the switch's answer nobody knows whose it is.
            if seen.plugged.is_some()
                && suspects.is_certain(format!("link {link}"))
                && !self.has_lease(link)
            {
                let name = IfName::new(link.clone()).map_err(DoorError::from);
                match name.and_then(|name| cable::remove(&name)) {
                    Ok(()) => report.removed.push(format!("link {link}")),
                    Err(error) => report.failed(link, &error),
                }
            }
        }
    }

    /// Whether a port has got a lease since it was seen. What cannot be read counts as one.
    fn has_lease(&self, port: &str) -> bool {
        let leases = self.records.leases();
        let is_its = |all: Vec<VspLease>| all.iter().any(|lease| lease.port.as_str() == port);
        leases.map_or(true, is_its)
    }

    /// What the controller has of this host without a record: a container of Docker's that runs
    /// is taken over, anything else goes. Returns the ports of what was taken over.
    async fn stray_container(
        &self,
        container: &Container,
        seen: &Seen,
        suspects: &mut Suspects,
        report: &mut Report,
    ) -> Result<Vec<String>, DoorError> {
        let mut ports = Vec::new();
        for interface in &container.interfaces {
            if let Some((id, place)) = place_of(interface, seen) {
                ports.push(interface.name.clone());
                if !self.is_still_its(container, id, place).await? {
                    continue;
                }
                self.take_over(container, interface, place).await?;
                let told = self.identify(id).await;
                told.unwrap_or_else(|error| report.failed(&interface.name, &error));
                report.repaired.push(format!(
                    "the record of {} (container {})",
                    interface.name,
                    short(id)
                ));
            }
        }
        if !ports.is_empty() || !suspects.is_certain(format!("container {}", container.id)) {
            return Ok(ports);
        }
        if let Some(vsd) = &self.vsd {
            vsd.delete_container(&container.id).await?;
            report
                .removed
                .push(format!("container {} of the controller", container.name));
        }
        Ok(ports)
    }

    /// Whether what the controller has is a container's now: each was listed at its own moment,
    /// and the container may have given it back since.
    async fn is_still_its(
        &self,
        container: &Container,
        id: &str,
        place: &Place,
    ) -> Result<bool, DoorError> {
        let found = self.engine.container(id).await?;
        let is_there = |found: Inspected| {
            let mut places = found.places().into_iter();
            found.is_running() && places.any(|now| now.endpoint == place.endpoint)
        };
        if !found.is_some_and(is_there) {
            return Ok(false);
        }
        let is_held = self.vsd()?.container(&container.id).await?.is_some();
        let endpoint = place.endpoint.as_deref().unwrap_or_default();
        Ok(is_held && self.records.of_endpoint(endpoint)?.is_none())
    }

    /// Records a lease that was lost with the records.
    async fn take_over(
        &self,
        container: &Container,
        interface: &Interface,
        place: &Place,
    ) -> Result<(), DoorError> {
        let address = match interface.address {
            Some(IpAddr::V4(address)) => Some(address),
            _ => None,
        };
        let network = self.network(&place.network, None).await?;
        let port = IfName::new(interface.name.clone())?;
        let peer = interface.name.strip_suffix("-1").unwrap_or(&interface.name);
        let mac = interface
            .mac
            .ok_or_else(|| DoorError::NoAddress(port.to_string()))?;
        self.records.put(&VspLease {
            id: random::digits()?,
            peer: IfName::new(format!("{peer}-2"))?,
            port,
            target: network.target,
            net: network.net,
            gateway: network.gateway,
            address,
            mac,
            subnet: network.ids,
            held: Some(held(container, interface)?),
            network: Some(place.network.clone()),
            endpoint: place.endpoint.clone(),
            tenant: None,
            state: VspState::Held,
            since: now(),
        })
    }
}

/// Whether a lease has that container. One that was made twice under a lease's id, by a request
/// that nobody waited for any more, is nobody's as long as the other is there.
fn is_of(container: &Container, lease: &VspLease, seen: &Seen) -> bool {
    let Some(held) = &lease.held else {
        return lease.id == container.uuid;
    };
    let is_it = |one: &Container| held.container == one.id.as_str();
    is_it(container) || (lease.id == container.uuid && !seen.held.iter().flatten().any(is_it))
}

/// The container of Docker's that has an interface's addresses, and its place.
fn place_of<'a>(interface: &Interface, seen: &'a Seen) -> Option<(&'a str, &'a Place)> {
    let is_it = |place: &&Place| {
        let mac = place.mac.as_ref().and_then(|mac| mac.parse().ok());
        place.endpoint.is_some()
            && place.address.is_some()
            && place.address == interface.address
            && mac.is_some()
            && mac == interface.mac
    };
    let mut all = seen.containers.iter();
    all.find_map(|listed| Some((listed.id.as_str(), listed.places.iter().find(is_it)?)))
}
