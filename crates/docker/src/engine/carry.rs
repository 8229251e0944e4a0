//! Networks on every node: what is made on this engine is told to the cluster, what the
//! cluster has is made here, and what somebody removed goes everywhere once it is unused.
//!
//! A network goes from the cluster only when it was removed on purpose: when the engine tells
//! so by an event, or when it had asked the driver to forget a network that it had while this
//! agent ran. An engine that starts, that is away, or that lost all it had, removes nothing;
//! it gets the networks of the cluster anew.

use crate::engine::Follower;
use crate::engine::plan::{self, Known, Step};
use crate::engine::request::{self, Declared};
use crate::{Door, DoorError};
use fairlead_cluster::{CarriedNetwork, Claimed};
use fairlead_config::{DockerScope, NetworkKind};
use fairlead_libnetwork::engine::{EngineError, Network, Talk};
use fairlead_store::DockerNetwork;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, info};

/// How long a step rests that was in vain.
const REST: Duration = Duration::from_secs(8);
/// How long one does that waits for containers to end.
const REST_IN_USE: Duration = Duration::from_secs(2);

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(
        "network {name} of Docker is on node {node} too, and another one: give one of the two another name"
    )]
    Taken { name: String, node: String },
    #[error("the work ended in a fault")]
    Fault,
}

impl From<fairlead_cluster::ClusterError> for StepError {
    fn from(error: fairlead_cluster::ClusterError) -> Self {
        Self::Door(error.into())
    }
}

/// Does what is to be done now.
pub(super) async fn carry(follower: Arc<Follower>, talk: Arc<Talk>) {
    let planned = follower.blocking(Follower::planned).await;
    for step in planned.unwrap_or_default() {
        let about = step.about();
        let done = take(&follower, &talk, &step).await;
        let rest = match (&step, &done) {
            (Step::Forget(_), _) => REST,
            (_, Ok(())) => Duration::ZERO,
            (Step::Remove(_), Err(StepError::Engine(error))) if error.is_conflict() => {
                debug!("{about}: {error}");
                follower.rest(about, REST_IN_USE);
                continue;
            }
            (_, Err(_)) => REST,
        };
        follower.rest(about.clone(), rest);
        let problem = done.err().map(|error| told(&step, &error));
        follower.door.problems.set(&about, problem);
    }
}

/// A failure as it is told.
fn told(step: &Step, error: &StepError) -> String {
    let what = match (step, error) {
        (_, StepError::Taken { .. }) => return error.to_string(),
        (Step::Carry(record), _) => format!(
            "have network {} of Docker made on the other nodes",
            record.name.as_deref().unwrap_or(&record.id)
        ),
        (Step::Make(carried), _) => format!(
            "make network {} of Docker here, which node {} has",
            carried.name, carried.node
        ),
        (Step::Remove(id), _) => format!("remove network {id} of Docker"),
        (Step::Forget(carried), _) => format!("forget network {} of Docker", carried.name),
        (Step::Drop(record), _) => format!("forget network {} of Docker here", record.id),
    };
    format!("{what}: {error}")
}

async fn take(follower: &Arc<Follower>, talk: &Talk, step: &Step) -> Result<(), StepError> {
    match step {
        Step::Carry(record) => {
            let Some(network) = talk.network(&record.id).await? else {
                return Ok(());
            };
            let record = record.clone();
            let carried = follower.blocking(move |follower| follower.door.carry(&network, &record));
            carried.await.ok_or(StepError::Fault)?
        }
        Step::Make(carried) => {
            let wanted = carried.clone();
            let wanted = follower.blocking(move |follower| follower.door.is_wanted(&wanted));
            let request = match &carried.request {
                Some(request) if wanted.await.ok_or(StepError::Fault)?? => request,
                _ => return Ok(()),
            };
            let id = talk.make_network(&carried.name, request).await?;
            // Its user may remove it before the next look.
            let origin = carried.origin.clone();
            follower.memory().origins.insert(id.clone(), origin);
            info!(
                "network {} of Docker is made here: node {} has it",
                carried.name, carried.node
            );
            if let Some(network) = talk.network(&id).await? {
                follower.has(network);
            }
            Ok(())
        }
        Step::Remove(id) => {
            talk.remove_network(id).await?;
            info!("network {id} of Docker is removed: it goes from every node");
            Ok(())
        }
        Step::Forget(carried) => {
            let carried = carried.clone();
            let forgotten = follower.blocking(move |follower| {
                let cluster = follower.door.ground.cluster();
                cluster.map_or(Ok(false), |cluster| cluster.forget_carried(&carried))
            });
            forgotten.await.ok_or(StepError::Fault)??;
            Ok(())
        }
        Step::Drop(record) => {
            let record = record.clone();
            let dropped = follower.blocking(move |follower| {
                let _alone = follower.door.making();
                follower.door.forget(&record)
            });
            Ok(dropped.await.ok_or(StepError::Fault)??)
        }
    }
}

impl Door {
    /// Has a network of this node made on every other one.
    fn carry(&self, network: &Network, record: &DockerNetwork) -> Result<(), StepError> {
        let Some(cluster) = self.joined() else {
            return Ok(());
        };
        // The mirror may be behind: what leaves meanwhile must not be brought back.
        let mut now = cluster.carried_now()?.into_iter();
        if now.any(|carried| carried.origin == record.id) {
            return Ok(());
        }
        let target = self.target(&record.network)?;
        let declared = Declared {
            ranges: &target.network.ranges,
            routed: target.is_routed(),
        };
        let carried = cluster.carry(&CarriedNetwork {
            origin: record.id.clone(),
            name: network.name().to_owned(),
            node: cluster.node().to_owned(),
            record: record.clone(),
            request: Some(request::body(network, record, declared)),
            leaving: false,
        })?;
        match carried {
            Claimed::Done => Ok(()),
            Claimed::Taken { node } => Err(StepError::Taken {
                name: network.name().to_owned(),
                node,
            }),
        }
    }

    /// Whether a network is to be made here still, by shared state itself.
    fn is_wanted(&self, wanted: &CarriedNetwork) -> Result<bool, DoorError> {
        let Some(cluster) = self.joined() else {
            return Ok(false);
        };
        let mut now = cluster.carried_now()?.into_iter();
        Ok(now.any(|carried| carried.origin == wanted.origin && !carried.leaving))
    }

    /// Notes the names of networks, which Docker does not tell a driver.
    fn name(&self, networks: &BTreeMap<String, Network>) -> Result<(), DoorError> {
        let node = self.ground.node();
        for mut record in self.all_recorded()? {
            let Some(network) = networks.get(&record.id) else {
                continue;
            };
            if record.name.as_deref() == Some(network.name()) {
                continue;
            }
            record.name = Some(network.name().to_owned());
            // Only where it is recorded still.
            node.host().store(|store| {
                store.write(|tx| match tx.docker_network(&record.id)? {
                    Some(_) => tx.put_docker_network(&record),
                    None => Ok(()),
                })
            })?;
        }
        Ok(())
    }

    /// Whether the bridges of a network on the nodes have one range, so that an address is
    /// this node's only once it is claimed.
    pub(super) fn is_claimed(&self) -> impl Fn(&fairlead_types::NetworkName) -> bool {
        let node = self.ground.node();
        let (networks, _) = node.config().networks();
        let bridges: BTreeSet<_> = networks
            .into_iter()
            .filter(|network| network.kind == NetworkKind::Bridge)
            .map(|network| network.name)
            .collect();
        move |name| bridges.contains(name)
    }
}

impl Follower {
    /// What is to be done now, by what is known here.
    fn planned(&self) -> Vec<Step> {
        let steps = self.steps();
        let steps = match steps {
            Ok(steps) => {
                self.door
                    .problems
                    .forget("networks of Docker on every node");
                steps
            }
            Err(error) => {
                let problems = &self.door.problems;
                problems.note("networks of Docker on every node", Err::<(), _>(error));
                return Vec::new();
            }
        };
        let now = Instant::now();
        let mut memory = self.memory();
        memory.rests.retain(|_, until| *until > now);
        let steps = steps.into_iter();
        steps
            .filter(|step| !memory.rests.contains_key(&step.about()))
            .collect()
    }

    fn steps(&self) -> Result<Vec<Step>, DoorError> {
        let door = &self.door;
        let networks = self.memory().networks.clone();
        door.name(&networks)?;
        let settings = door.ground.node().config().docker()?;
        let Some(cluster) = door.joined() else {
            self.memory().removed.clear();
            return Ok(Vec::new());
        };
        let removed = self.memory().removed.clone();
        for origin in &removed {
            cluster.stop_carrying(origin)?;
        }
        // In this order: what goes meanwhile is not taken for what nobody was told of.
        let carried = cluster.carried()?.value;
        let records = door.all_recorded()?;
        let mut memory = self.memory();
        let stays = |origin: &String| {
            let mut known = carried.iter();
            known.any(|one| one.origin == *origin && !one.leaving)
        };
        // Until the mirror has it, too.
        memory
            .removed
            .retain(|origin| !removed.contains(origin) || stays(origin));
        for record in &records {
            if memory.networks.contains_key(&record.id) {
                let origin = record.first_id().to_owned();
                memory.origins.insert(record.id.clone(), origin);
            }
        }
        let here: BTreeSet<String> = memory.networks.keys().cloned().collect();
        let is_carried = |origin: &str| carried.iter().any(|one| one.origin == origin);
        door.problems.keep("carry/", |id| here.contains(id));
        door.problems.keep("remove/", |id| here.contains(id));
        door.problems.keep("make/", is_carried);
        door.problems.keep("forget/", is_carried);
        Ok(plan::plan(Known {
            carried: &carried,
            records: &records,
            here: &here,
            removed: &memory.removed,
            makes: settings.carry && settings.scope == DockerScope::Local,
        }))
    }

    /// Lets a step rest, or not at all.
    fn rest(&self, about: String, time: Duration) {
        if !time.is_zero() {
            let until = Instant::now() + time;
            self.memory().rests.insert(about, until);
        }
    }

    /// A container left a network: what waited for that is due. Says whether anything did.
    pub(super) fn unused(&self) -> bool {
        let mut memory = self.memory();
        let before = memory.rests.len();
        memory
            .rests
            .retain(|about, _| !about.starts_with("remove/"));
        memory.rests.len() < before
    }

    /// The engine has a network.
    pub(super) fn has(&self, network: Network) {
        if network.is_of(crate::DRIVER) {
            let id = network.id().to_owned();
            self.memory().networks.insert(id, network);
        }
    }

    /// The engine said that a network was removed. One that this node had no record of goes
    /// nowhere else.
    pub(super) fn removed(&self, id: &str) {
        let mut memory = self.memory();
        memory.networks.remove(id);
        if let Some(origin) = memory.origins.remove(id) {
            memory.removed.insert(origin);
        }
    }
}
