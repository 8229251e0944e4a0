//! The audit: what the controller, the switch, the kernel and Docker have is compared with what
//! is recorded, in both directions. What has no container goes, what a container lacks is made
//! again. Where one of them cannot be listed, nothing is concluded from its silence.

mod leases;
mod strays;

use crate::cable;
use crate::door::Door;
use crate::error::DoorError;
use crate::ports;
use fairlead_libnetwork::engine::{Listed, State};
use fairlead_store::{VspLease, now};
use fairlead_vsp::vsd::Container;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use tracing::{debug, info, warn};

/// What is younger, in seconds, may belong to a call that is under way.
const YOUNG: u64 = 60;

/// What was seen without an owner, and in how many audits one after the other.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    seen: BTreeMap<String, u32>,
    /// Nobody comes again: one sight is enough.
    once: bool,
    now: BTreeSet<String>,
}

/// Sights after which something counts as nobody's.
const SIGHTS: u32 = 2;

impl Suspects {
    /// Those of an audit that is not repeated.
    pub(crate) fn once() -> Self {
        Self {
            once: true,
            ..Self::default()
        }
    }

    /// Notes that something was seen without an owner; says whether that is certain by now.
    fn is_certain(&mut self, what: String) -> bool {
        let sights = self.seen.entry(what.clone()).or_default();
        *sights += 1;
        let certain = self.once || *sights >= SIGHTS;
        self.now.insert(what);
        certain
    }

    /// Ends an audit: what it did not see is no suspect any more.
    fn end(&mut self) {
        let now = std::mem::take(&mut self.now);
        self.seen.retain(|what, _| now.contains(what));
    }
}

/// What an audit found and did.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// What was taken away.
    pub(crate) removed: Vec<String>,
    /// What was made again.
    pub(crate) repaired: Vec<String>,
    /// What could not be seen or done.
    pub(crate) problems: Vec<String>,
}

impl Report {
    /// Tells it in the log; where somebody asked for it, also that there was nothing.
    pub(crate) fn tell(&self, asked: bool) {
        self.removed
            .iter()
            .for_each(|what| warn!("audit: removed {what}"));
        self.repaired
            .iter()
            .for_each(|what| warn!("audit: repaired {what}"));
        self.problems.iter().for_each(|what| warn!("audit: {what}"));
        if asked {
            info!("audit: {self}");
        }
    }

    fn failed(&mut self, what: &str, error: &dyn fmt::Display) {
        self.problems.push(format!("{what}: {error}"));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            removed,
            repaired,
            problems,
        } = self;
        write!(
            f,
            "{} removed, {} repaired, {} problems",
            removed.len(),
            repaired.len(),
            problems.len()
        )
    }
}

/// What the switch has of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Plugged {
    on_bridge: bool,
    has_row: bool,
    has_entity: bool,
}

/// Everything that was seen, each by whom it was asked of; none where that did not answer.
pub(crate) struct Seen {
    /// When it was begun to look, in seconds since 1970.
    begun: u64,
    /// Docker's containers.
    containers: Vec<Listed>,
    /// The endpoints of its networks, those of lost containers among them.
    endpoints: BTreeSet<String>,
    /// What the controller has of this host.
    held: Option<Vec<Container>>,
    /// What the switch has.
    plugged: Option<BTreeMap<String, Plugged>>,
    /// The links of this host that have our names.
    links: BTreeSet<String>,
    /// What is recorded. It is read last: what is recorded before it is made is in here.
    leases: Vec<VspLease>,
}

impl Door {
    /// Compares everything with everything.
    pub(crate) async fn audit(&self, suspects: &mut Suspects) -> Report {
        let mut report = Report::default();
        match self.see(&mut report).await {
            Ok(seen) => {
                self.audit_leases(&seen, suspects, &mut report).await;
                self.audit_strays(&seen, suspects, &mut report).await;
                suspects.end();
            }
            // Docker's silence is not the absence of containers.
            Err(error) => report.failed("nothing is compared", &error),
        }
        debug!("audit: {report}");
        report
    }

    async fn all_held(&self) -> Result<Option<Vec<Container>>, DoorError> {
        let Some(vsd) = &self.vsd else {
            return Ok(None);
        };
        Ok(Some(vsd.containers(self.switch.mark().await?).await?))
    }

    async fn all_plugged(&self) -> Result<BTreeMap<String, Plugged>, DoorError> {
        let switch = self.switch.get().await?;
        let ports = switch.ports().await?;
        let entities = switch.entities().await?;
        let owned: BTreeSet<String> = entities.into_iter().flat_map(|one| one.ports).collect();
        let mut all: BTreeMap<String, Plugged> = BTreeMap::new();
        for port in ports {
            let own = all.entry(port.name).or_default();
            own.on_bridge = port.external_ids.is_some();
            own.has_row = port.row.is_some();
        }
        for name in owned {
            all.entry(name).or_default().has_entity = true;
        }
        Ok(all)
    }

    async fn see(&self, report: &mut Report) -> Result<Seen, DoorError> {
        let begun = now();
        let mut endpoints = BTreeSet::new();
        for network in self.engine.networks().await? {
            if let Some(network) = self.engine.network(network.id()).await? {
                endpoints.extend(network.endpoints());
            }
        }
        let containers = self.engine.containers().await?;
        // One that has ended may still show the endpoint that it had; of those that start now the
        // networks tell.
        let live = containers
            .iter()
            .filter(|one| one.state(begun) != State::Stopped);
        let places = live.flat_map(|listed| &listed.places);
        endpoints.extend(places.filter_map(|place| place.endpoint.clone()));
        let held = self.all_held().await;
        let held = held.unwrap_or_else(|error| {
            report.failed("the controller is not compared", &error);
            None
        });
        let plugged = self.all_plugged().await;
        let plugged = plugged
            .inspect_err(|error| report.failed("the switch is not compared", error))
            .ok();
        let mut links: BTreeSet<String> = cable::names()?.into_iter().collect();
        links.retain(|name| ports::is_ours(name));
        Ok(Seen {
            begun,
            containers,
            endpoints,
            held,
            plugged,
            links,
            leases: self.records.leases()?,
        })
    }
}

impl Seen {
    /// Whether a lease was so young, when it was begun to look, that its call may have been under
    /// way.
    fn is_young(&self, lease: &VspLease) -> bool {
        self.begun.saturating_sub(lease.since) < YOUNG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspect_is_certain_when_it_is_seen_twice_without_a_break() {
        let mut suspects = Suspects::default();
        assert!(!suspects.is_certain("a".into()));
        suspects.end();
        assert!(suspects.is_certain("a".into()));
        suspects.end();
        suspects.end();
        assert!(!suspects.is_certain("a".into()), "it was away meanwhile");
        assert!(Suspects::once().is_certain("a".into()));
    }
}
