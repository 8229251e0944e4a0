//! The audit of what is recorded: is it still somebody's, and is all of it there?

use super::{Plugged, Report, Seen, Suspects};
use crate::door::Door;
use crate::error::DoorError;
use crate::lease::is_as;
use crate::target::is_same;
use fairlead_store::{VspLease, VspState, VspTenant};
use tracing::debug;

impl Door {
    pub(super) async fn audit_leases(
        &self,
        seen: &Seen,
        suspects: &mut Suspects,
        report: &mut Report,
    ) {
        let networks = match self.records.networks() {
            Ok(networks) => networks,
            Err(error) => return report.failed("networks", &error),
        };
        for lease in &seen.leases {
            let is_used = match (lease.state, &lease.endpoint) {
                // It is tried again by itself.
                (VspState::Leaving, _) => continue,
                // Its call is under way.
                (VspState::Asked, _) => continue,
                (VspState::Kept, _) => networks
                    .iter()
                    .any(|network| is_same(&network.target, &lease.target)),
                (_, Some(endpoint)) => seen.endpoints.contains(endpoint),
                (_, None) => false,
            };
            let text = told(lease);
            if is_used {
                let done = self.complete(lease, seen, suspects, report).await;
                done.unwrap_or_else(|error| report.failed(&text, &error));
                continue;
            }
            if seen.is_young(lease) || !suspects.is_certain(format!("lease {}", lease.id)) {
                debug!("{text} has no container at this moment");
                continue;
            }
            match self.take_back_as(lease).await {
                Ok(false) => {}
                Ok(true) => report.removed.push(format!("{text}: it has no container")),
                Err(error) => report.failed(&text, &error),
            }
        }
    }

    /// Makes again what a container's lease lacks.
    async fn complete(
        &self,
        lease: &VspLease,
        seen: &Seen,
        suspects: &mut Suspects,
        report: &mut Report,
    ) -> Result<(), DoorError> {
        // What is on its way up lacks nothing yet; what has been up does.
        let tenant = lease.tenant.as_ref();
        let is_up = tenant.is_some_and(VspTenant::is_done);
        if lease.state != VspState::Held || (seen.is_young(lease) && !is_up) {
            return Ok(());
        }
        let text = told(lease);
        if let (Some(all), Some(held)) = (&seen.held, &lease.held) {
            let is_there = all.iter().any(|one| one.id.as_str() == held.container);
            if !is_there
                && suspects.is_certain(format!("held {}", lease.id))
                && self.ask_again(lease).await?
            {
                report.repaired.push(format!("{text} at the controller"));
                if let Some(tenant) = tenant {
                    self.identify(&tenant.container).await?;
                }
            }
        }
        let is_plugged = tenant.is_some_and(|tenant| tenant.is_plugged);
        if let Some(all) = seen.plugged.as_ref().filter(|_| is_plugged) {
            let whole = |port: &Plugged| port.on_bridge && port.has_row && port.has_entity;
            if !all.get(lease.port.as_str()).is_some_and(whole) {
                self.plug_again(lease).await?;
                report.repaired.push(format!("{text} at the switch"));
            }
        }
        Ok(())
    }

    /// Has the controller know a lease that it knows no more; false if it does after all.
    async fn ask_again(&self, seen: &VspLease) -> Result<bool, DoorError> {
        let _turn = self.turns.at(&seen.id).await;
        let lease = self.records.lease(&seen.id)?;
        let Some(mut lease) = lease.filter(|lease| is_as(lease, seen)) else {
            return Ok(false);
        };
        // It may have been made after all were listed.
        if let Some(held) = &lease.held {
            let vsd = self.vsd_for(&lease.target)?;
            if vsd.container(&held.container.parse()?).await?.is_some() {
                return Ok(false);
            }
        }
        lease.held = None;
        if let Some(tenant) = &mut lease.tenant {
            tenant.is_named = false;
            tenant.is_grouped = false;
            tenant.is_plugged = false;
        }
        // Recorded when it is so: until then it counts as missing.
        let asked = self.ask_as_it_is(lease).await?;
        debug!("{} is held again", asked.port);
        Ok(true)
    }

    /// Has the switch know a port that it knows no more.
    async fn plug_again(&self, seen: &VspLease) -> Result<(), DoorError> {
        let _turn = self.turns.at(&seen.id).await;
        let lease = self.records.lease(&seen.id)?;
        let Some(mut lease) = lease.filter(|lease| is_as(lease, seen)) else {
            return Ok(());
        };
        if let Some(tenant) = &mut lease.tenant {
            tenant.is_plugged = false;
        }
        self.plug_named(&mut lease).await
    }
}

/// A lease in words.
fn told(lease: &VspLease) -> String {
    let name = lease.tenant.as_ref().map(|tenant| tenant.name.as_str());
    let address = lease.address.map(|address| address.to_string());
    format!(
        "{} of subnet {:?} (port {}, container {})",
        address.as_deref().unwrap_or("an address"),
        lease.target.subnet,
        lease.port,
        name.unwrap_or("unknown")
    )
}
