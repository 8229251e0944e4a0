//! Whose a lease is. Docker's calls do not say; its engine does, once the container runs. Then
//! the controller hears the container's id and name and which policy groups it is in, and the
//! switch gets its port.

use crate::door::Door;
use crate::error::DoorError;
use crate::lease::{held, interface};
use fairlead_libnetwork::engine::Inspected;
use fairlead_libnetwork::engine::short;
use fairlead_store::{VspHeld, VspLease, VspState, VspTenant};
use fairlead_vsp::vrs::{Activation, Entity, Port, VrsError};
use fairlead_vsp::vsd::{Rename, VsdError};
use tracing::{info, warn};

/// The variable of a container's environment that names its policy groups, with commas between.
const GROUPS: &str = "NUAGE-POLICY-GROUP";
/// The one that says what Mesos calls it.
const TASK: &str = "MESOS_TASK_ID";
/// The longest name of a container at the controller, in characters; Docker knows no bound.
const LONGEST: usize = 255;

/// What the engine tells of a container.
fn tenant(found: &Inspected) -> VspTenant {
    let groups = found.variable(GROUPS).unwrap_or_default().split(',');
    let groups = groups.map(str::trim).filter(|name| !name.is_empty());
    let task = found.variable(TASK).filter(|task| !task.is_empty());
    VspTenant {
        container: found.id().to_owned(),
        name: found.name().chars().take(LONGEST).collect(),
        task: task.map(str::to_owned),
        groups: groups.map(str::to_owned).collect(),
        is_named: false,
        is_grouped: false,
        is_plugged: false,
    }
}

impl Door {
    /// Asks the engine who a container is, and tells whose its leases are, as far as that is not
    /// told yet. One that does not run is told nothing of: its end comes by itself.
    ///
    /// # Errors
    /// The engine does not answer; or the first of what could not be told, and the rest was.
    pub(crate) async fn identify(&self, id: &str) -> Result<(), DoorError> {
        // Its leases share what the controller has of it. The engine is asked when nobody else
        // is at it: an older answer knows nothing of what is newer.
        let _turn = self.turns.at(&format!("container {id}")).await;
        let found = self.engine.container(id).await?;
        let Some(found) = &found.filter(Inspected::is_running) else {
            return Ok(());
        };
        self.take_back_stale(found).await;
        let mut first = Ok(());
        for place in found.places() {
            let Some(endpoint) = place.endpoint else {
                continue;
            };
            let Some(lease) = self.records.of_endpoint(&endpoint)? else {
                continue;
            };
            let told = self.introduce(&lease.id, &endpoint, found).await;
            first = first.and(told);
        }
        first
    }

    /// Gives back what the container has from an earlier run, of which nobody told the end: the
    /// controller knows only one of its id.
    async fn take_back_stale(&self, found: &Inspected) {
        let places = found.places();
        let is_now = |endpoint: &Option<String>| places.iter().any(|p| p.endpoint == *endpoint);
        let leases = self.records.leases().unwrap_or_default();
        let stale = leases.iter().filter(|lease| {
            let is_its = |tenant: &VspTenant| tenant.container == found.id();
            lease.tenant.as_ref().is_some_and(is_its) && !is_now(&lease.endpoint)
        });
        for lease in stale {
            if let Err(error) = self.take_back(&lease.id).await {
                warn!(
                    "{} of an earlier run of {}: {error}",
                    lease.port,
                    found.name()
                );
            }
        }
    }

    async fn introduce(
        &self,
        id: &str,
        endpoint: &str,
        found: &Inspected,
    ) -> Result<(), DoorError> {
        let _turn = self.turns.at(id).await;
        let lease = self.records.lease(id)?;
        let is_it = |lease: &VspLease| {
            lease.state == VspState::Held && lease.endpoint.as_deref() == Some(endpoint)
        };
        let Some(mut lease) = lease.filter(is_it) else {
            return Ok(());
        };
        let heard = tenant(found);
        let mut renamed = false;
        match &mut lease.tenant {
            Some(known) if known.container == heard.container => {
                if known.name != heard.name {
                    renamed = known.is_plugged;
                    known.name = heard.name;
                    known.is_named = false;
                    known.is_plugged = false;
                }
                if known.is_done() {
                    return Ok(());
                }
            }
            other => *other = Some(heard),
        }
        self.records.put(&lease)?;
        self.name(&mut lease).await?;
        if renamed {
            self.rename_port(&mut lease).await?;
        }
        let grouped = self.group(&mut lease).await;
        self.plug_named(&mut lease).await?;
        grouped
    }

    /// Tells the controller whose the address is.
    async fn name(&self, lease: &mut VspLease) -> Result<(), DoorError> {
        let (Some(tenant), Some(own)) = (lease.tenant.clone(), lease.held.clone()) else {
            return Ok(());
        };
        if tenant.is_named {
            return Ok(());
        }
        let vsd = self.vsd_for(&lease.target)?;
        let rename = Rename {
            uuid: tenant.container.clone(),
            name: tenant.name.clone(),
            orchestration_id: tenant.task.clone(),
        };
        match self.elsewhere(lease, &tenant)? {
            Some(first) if first.container != own.container || own.interface.is_empty() => {
                self.join_interface(lease, &own, &first).await?;
            }
            _ => match vsd.rename_container(&own.container.parse()?, &rename).await {
                Err(VsdError::Gone { .. }) => {
                    warn!(
                        "the controller has {} no more: it is asked again",
                        lease.port
                    );
                    lease.held = None;
                    *lease = self.ask_as_it_is(lease.clone()).await?;
                    let held = lease.held.as_ref().map(|held| held.container.as_str());
                    let id = held.unwrap_or_default().parse()?;
                    vsd.rename_container(&id, &rename).await?;
                }
                other => other?,
            },
        }
        info!(
            "{} is container {} ({})",
            lease.port,
            tenant.name,
            short(&tenant.container)
        );
        self.noted(lease, |tenant| tenant.is_named = true)
    }

    /// What the controller has for another lease of the same container.
    fn elsewhere(
        &self,
        lease: &VspLease,
        tenant: &VspTenant,
    ) -> Result<Option<VspHeld>, DoorError> {
        let is_named = |other: &VspTenant| other.container == tenant.container && other.is_named;
        let mut others = self.records.leases()?.into_iter().filter(|other| {
            other.id != lease.id
                && other.state == VspState::Held
                && other.tenant.as_ref().is_some_and(is_named)
        });
        Ok(others.next().and_then(|other| other.held))
    }

    /// Has the controller know one container with two interfaces, where it knows two: the
    /// second is made anew at the first, with the same addresses.
    async fn join_interface(
        &self,
        lease: &mut VspLease,
        own: &VspHeld,
        first: &VspHeld,
    ) -> Result<(), DoorError> {
        let vsd = self.vsd_for(&lease.target)?;
        if own.container != first.container {
            vsd.delete_container(&own.container.parse()?).await?;
            // Recorded before it is made: who gives the first back now leaves the container.
            lease.held = Some(VspHeld {
                container: first.container.clone(),
                interface: String::new(),
                vport: None,
            });
            self.records.put(lease)?;
        }
        let id = first.container.parse()?;
        let made = vsd.add_interface(&id, &interface(lease)?).await?;
        let container = vsd.container(&id).await?;
        let container = container.ok_or_else(|| DoorError::NoAddress(lease.id.clone()))?;
        lease.held = Some(held(&container, &made)?);
        self.records.put(lease)
    }

    /// Puts the container's port into its policy groups.
    async fn group(&self, lease: &mut VspLease) -> Result<(), DoorError> {
        let (Some(tenant), Some(held), Some(ids)) = (&lease.tenant, &lease.held, &lease.subnet)
        else {
            return Ok(());
        };
        if tenant.is_grouped {
            return Ok(());
        }
        if let (Some(vport), false) = (&held.vport, tenant.groups.is_empty()) {
            let vsd = self.vsd_for(&lease.target)?;
            let domain = ids.domain.parse()?;
            let mut groups = Vec::new();
            for name in &tenant.groups {
                groups.push(vsd.policy_group(&domain, name).await?.id);
            }
            vsd.assign_policy_groups(&vport.parse()?, &groups).await?;
            info!(
                "{} is in policy groups {}",
                lease.port,
                tenant.groups.join(", ")
            );
        }
        self.noted(lease, |tenant| tenant.is_grouped = true)
    }

    /// Has the switch call a port's container by its new name. Where it knows no such port, that
    /// is plugged anew.
    async fn rename_port(&self, lease: &mut VspLease) -> Result<(), DoorError> {
        let Some(tenant) = lease.tenant.clone() else {
            return Ok(());
        };
        let uuid = match (&self.vsd, &lease.endpoint) {
            (None, Some(endpoint)) => endpoint,
            _ => &tenant.container,
        };
        let switch = self.switch.get().await?;
        match switch.rename(lease.port.as_str(), uuid, &tenant.name).await {
            Ok(()) => self.noted(lease, |tenant| tenant.is_plugged = true),
            Err(VrsError::NoEntity { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Plugs the port of a container whose id and name are known.
    pub(crate) async fn plug_named(&self, lease: &mut VspLease) -> Result<(), DoorError> {
        let Some(tenant) = lease.tenant.clone().filter(|tenant| !tenant.is_plugged) else {
            return Ok(());
        };
        match (&self.vsd, &lease.endpoint) {
            (Some(_), _) => self.plug(lease, &tenant.container, &tenant.name).await?,
            (None, Some(endpoint)) => self.plug(lease, endpoint, &tenant.name).await?,
            (None, None) => {}
        }
        self.noted(lease, |tenant| tenant.is_plugged = true)
    }

    /// Tells the switch of a lease's port and whose it is.
    pub(crate) async fn plug(
        &self,
        lease: &VspLease,
        uuid: &str,
        name: &str,
    ) -> Result<(), DoorError> {
        let target = &lease.target;
        let activation = match self.vsd {
            Some(_) => Activation::Split,
            None => Activation::Metadata,
        };
        let entity = Entity {
            uuid: uuid.to_owned(),
            name: name.to_owned(),
            user: target.user.clone(),
            enterprise: target.organization.clone(),
            activation,
        };
        let port = Port {
            name: lease.port.clone(),
            mac: lease.mac,
            enterprise: target.organization.clone(),
            domain: target.domain.clone(),
            zone: target.zone.clone(),
            subnet: target.subnet.clone(),
            ip: lease.address,
        };
        Ok(self.switch.get().await?.add(&entity, &port).await?)
    }

    /// Records that something was told.
    pub(crate) fn noted(
        &self,
        lease: &mut VspLease,
        note: impl FnOnce(&mut VspTenant),
    ) -> Result<(), DoorError> {
        if let Some(tenant) = &mut lease.tenant {
            note(tenant);
        }
        self.records.put(lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_variable_is_the_one_of_exactly_that_name() {
        let found = |env: serde_json::Value| {
            tenant(&Inspected::new(
                json!({"Id": "c1", "Name": "/web", "Config": {"Env": env}}),
            ))
        };
        let told = found(json!([
            "PATH=/bin",
            "MY-NUAGE-POLICY-GROUP=no",
            "NUAGE-POLICY-GROUP= web=1, db ,",
            "MESOS_TASK_ID=a=b",
            "BROKEN"
        ]));
        assert_eq!(told.groups, ["web=1", "db"]);
        assert_eq!(told.task.as_deref(), Some("a=b"));
        assert_eq!((told.container.as_str(), told.name.as_str()), ("c1", "web"));
        let none = found(json!(null));
        assert!(none.groups.is_empty() && none.task.is_none() && !none.is_done());
    }
}
