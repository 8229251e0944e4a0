//! What is kept here and the engine has not any more: it may have lost it, or its call was
//! lost. Nothing of this is done after a look that failed, and only to what is old enough to
//! be no part of something that is being done.

use crate::engine::Follower;
use crate::engine::look::Look;
use crate::lease::{pool_of, unclaim};
use crate::{Door, DoorError};
use fairlead_attach::{Node, is_lease};
use fairlead_cluster::Claimed;
use fairlead_config::DockerScope;
use fairlead_store::{Actor, Address, DockerNetwork};
use fairlead_types::NetworkName;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tracing::info;

/// How old something is before it counts as left.
const OLD: Duration = Duration::from_secs(60);

impl Follower {
    /// Puts in order what differs from what the engine has. Returns the containers of which
    /// it is not noted yet who they are.
    pub(super) fn tidy(&self, look: &Look) -> Vec<String> {
        let door = &self.door;
        let unknown = door.tidy_endpoints(look);
        let tidied = self.tidy_networks(look);
        door.problems.note("tidy networks of Docker", tidied);
        let tidied = door.tidy_claims();
        door.problems.note("tidy addresses of Docker", tidied);
        let tidied = door.tidy_resting(look);
        door.problems.note("tidy resting addresses", tidied);
        match unknown {
            Ok(unknown) => {
                door.problems.forget("tidy endpoints of Docker");
                unknown
            }
            Err(error) => {
                let problems = &door.problems;
                problems.note("tidy endpoints of Docker", Err::<(), _>(error));
                Vec::new()
            }
        }
    }

    /// Forgets networks that the engine lost, and tells the cluster of those that it removed
    /// while its events were not heard: then it had asked the driver, and the record is gone.
    fn tidy_networks(&self, look: &Look) -> Result<(), DoorError> {
        let door = &self.door;
        // Before the records: what a record is missing of was removed on purpose.
        let known = self.memory().origins.clone();
        let records = door.all_recorded()?;
        let recorded: BTreeSet<&str> = records.iter().map(|record| record.id.as_str()).collect();
        for id in known.keys() {
            if !look.networks().contains_key(id) && !recorded.contains(id.as_str()) {
                self.removed(id);
            }
        }
        let shared = door.shared_by_engines()?;
        let is_lost = |record: &&DockerNetwork| {
            !look.networks().contains_key(&record.id) && !shared.contains(record.first_id())
        };
        let lost: Vec<&DockerNetwork> = records.iter().filter(is_lost).collect();
        let now = Instant::now();
        let mut due = Vec::new();
        {
            let mut memory = self.memory();
            let ids: BTreeSet<&str> = lost.iter().map(|record| record.id.as_str()).collect();
            memory.missing.retain(|id, _| ids.contains(id.as_str()));
            for record in lost {
                let since = *memory.missing.entry(record.id.clone()).or_insert(now);
                if now.duration_since(since) >= OLD {
                    memory.missing.remove(&record.id);
                    // It was not removed on purpose, so it goes from this node only.
                    memory.origins.remove(&record.id);
                    due.push(record);
                }
            }
        }
        for record in due {
            let _alone = door.making();
            door.forget(record)?;
            info!(
                "network {} of Docker is forgotten: the engine has it no more",
                record.name.as_deref().unwrap_or(&record.id)
            );
        }
        Ok(())
    }
}

impl Door {
    /// Ends the endpoints that the engine does not know. Returns the containers of which it
    /// is not noted yet who they are.
    fn tidy_endpoints(&self, look: &Look) -> Result<Vec<String>, DoorError> {
        let node = self.ground.node();
        let known = look.endpoints();
        let mut unknown = BTreeSet::new();
        for record in node.plugs(None)? {
            let endpoint = &record.owner.container;
            match known.get(endpoint.as_str()) {
                Some(Some(container)) if record.id != *container => {
                    unknown.insert(container.clone());
                }
                Some(_) => {}
                None => {
                    let is_worked_on = record.actor.as_ref().is_some_and(Actor::is_live);
                    // A container that is connected may be another engine's.
                    let may_go = is_old(record.since) && !is_worked_on;
                    if may_go && !node.is_in_use(endpoint)? {
                        // The engine may be about to give the address back itself.
                        self.end_endpoint(&node, endpoint, true)?;
                        info!(
                            "endpoint {} on network {} is ended: the engine has it no more",
                            fairlead_libnetwork::engine::short(endpoint.as_str()),
                            record.owner.network
                        );
                    }
                }
            }
        }
        let listed = look.containers();
        let nameless = crate::engine::identity::nameless(&node)?;
        unknown.extend(
            nameless
                .into_iter()
                .filter(|id| listed.contains(id.as_str())),
        );
        Ok(unknown.into_iter().collect())
    }

    /// The origins of the networks that engines tell each other: an engine may list one of
    /// another node late, or only while it has a container on it.
    fn shared_by_engines(&self) -> Result<BTreeSet<String>, DoorError> {
        let Some(cluster) = self.joined() else {
            return Ok(BTreeSet::new());
        };
        let carried = match self.ground.node().config().docker()?.scope {
            DockerScope::Global => cluster.carried_now()?,
            DockerScope::Local => cluster.carried()?.value,
        };
        let shared = carried.into_iter().filter(|one| one.request.is_none());
        Ok(shared.map(|one| one.origin).collect())
    }

    /// Has each address of a container that is on bridges of one range be claimed, and
    /// nothing else.
    fn tidy_claims(&self) -> Result<(), DoorError> {
        let Some(cluster) = self
            .joined()
            .filter(|cluster| cluster.staleness().is_none())
        else {
            return Ok(());
        };
        let node = self.ground.node();
        // In this order: an address is taken before it is claimed.
        let claims = cluster.claimed_addresses()?;
        let rows = self.rows(&node)?;
        let is_claimed = self.is_claimed();
        let (stale, missing) = differ(&claims, &rows, is_claimed);
        for (network, address) in stale {
            unclaim(&node, &cluster, &network, address)?;
        }
        let mut told = BTreeSet::new();
        for (network, address) in missing {
            let about = format!("claim/{network}/{address}");
            let problem = match cluster.claim_address(&network, address)? {
                Claimed::Done => None,
                Claimed::Taken { node } => Some(format!(
                    "address {address} of network {network} is on node {node} too, and on this one: start one of the two containers again"
                )),
            };
            if problem.is_some() {
                told.insert(format!("{network}/{address}"));
            }
            self.problems.set(&about, problem);
        }
        self.problems.keep("claim/", |about| told.contains(about));
        Ok(())
    }

    /// The addresses that Docker's containers have here, or are about to have.
    fn rows(&self, node: &Node) -> Result<BTreeMap<(NetworkName, IpAddr), bool>, DoorError> {
        let plugs = node.plugs(None)?;
        let owners: BTreeSet<_> = plugs.iter().map(|record| &record.owner).collect();
        let rows = node.host().store(|store| store.view().addresses())?;
        let row = |row: Address| {
            let of_docker = owners.contains(&row.owner) || is_lease(&row.owner);
            ((row.owner.network, row.addr), of_docker)
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Lets addresses rest no more for containers that are gone.
    fn tidy_resting(&self, look: &Look) -> Result<(), DoorError> {
        let node = self.ground.node();
        let there = look.containers();
        let networks = self.all_recorded()?;
        let networks: BTreeSet<NetworkName> = networks.into_iter().map(|n| n.network).collect();
        for network in networks {
            let pool = pool_of(&node, &network);
            let resting = node.host().store(|store| store.view().resting(pool.id()))?;
            let gone = resting.into_iter().map(|row| (row.holder, row.since));
            let gone = gone.filter(|(holder, since)| {
                !holder.is_empty() && !there.contains(holder.as_str()) && is_old(*since)
            });
            for (holder, _) in gone {
                self.forget_container(&holder)?;
            }
        }
        Ok(())
    }
}

type Place = (NetworkName, IpAddr);

/// The claims that nothing here stands behind, and the addresses that are to be claimed and
/// are not. `rows` says of each address whether a container of Docker's has it.
fn differ(
    claims: &[Place],
    rows: &BTreeMap<Place, bool>,
    is_claimed: impl Fn(&NetworkName) -> bool,
) -> (Vec<Place>, Vec<Place>) {
    let stale = claims.iter().filter(|claim| !rows.contains_key(claim));
    let known: BTreeSet<&Place> = claims.iter().collect();
    let of_docker = rows.iter().filter(|(_, of_docker)| **of_docker);
    let missing = of_docker
        .map(|(place, _)| place)
        .filter(|place| is_claimed(&place.0) && !known.contains(place));
    (stale.cloned().collect(), missing.cloned().collect())
}

fn is_old(since: u64) -> bool {
    fairlead_store::now() > since + OLD.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_those_of_dockers_addresses_on_bridges_and_no_others() {
        let place = |network: &str, ip: &str| {
            let network = NetworkName::new(network).unwrap();
            (network, ip.parse::<IpAddr>().unwrap())
        };
        let rows = BTreeMap::from([
            (place("web", "10.1.0.2"), true),
            (place("web", "10.1.0.3"), true),
            (place("web", "10.1.0.4"), false),
            (place("routed", "10.2.0.2"), true),
        ]);
        let claims = [place("web", "10.1.0.2"), place("web", "10.1.0.9")];
        let (stale, missing) = differ(&claims, &rows, |network| network.as_str() == "web");
        assert_eq!(stale, [place("web", "10.1.0.9")]);
        assert_eq!(missing, [place("web", "10.1.0.3")]);
    }
}
