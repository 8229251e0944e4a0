//! Docker's networks as they are recorded: on this node, or by the node where they were made.

use crate::target::Target;
use crate::{Door, DoorError};
use fairlead_libnetwork::engine::short;
use fairlead_networks::NetworkError;
use fairlead_store::DockerNetwork;
use fairlead_types::NetworkName;
use ipnet::IpNet;

impl Door {
    /// The record of a network. One that another node made and Docker's own store brought
    /// here is recorded now.
    pub(crate) fn docker_network(&self, id: &str) -> Result<DockerNetwork, DoorError> {
        if let Some(network) = self.recorded(id)? {
            return Ok(network);
        }
        let found = self.elsewhere(|record| record.id == id)?;
        found.ok_or_else(|| DoorError::UnknownNetwork(short(id).to_owned()))
    }

    pub(crate) fn recorded(&self, id: &str) -> Result<Option<DockerNetwork>, DoorError> {
        let node = self.ground.node();
        Ok(node.host().store(|store| store.view().docker_network(id))?)
    }

    /// A declared network. One that was declared a moment ago, and not read yet, is read now.
    pub(crate) fn target(&self, name: &NetworkName) -> Result<Target, DoorError> {
        match Target::of(&self.ground.node(), name) {
            Err(DoorError::Network(
                NetworkError::Unknown { .. } | NetworkError::NotSetUp { .. },
            )) => {}
            found => return found,
        }
        // What is wrong with it then is told by the second look.
        let _ = self.ground.set_up(name);
        Target::of(&self.ground.node(), name)
    }

    pub(crate) fn all_recorded(&self) -> Result<Vec<DockerNetwork>, DoorError> {
        let node = self.ground.node();
        Ok(node.host().store(|store| store.view().docker_networks())?)
    }

    /// The network that a subnet of Docker's leads to.
    pub(crate) fn of_subnet(&self, subnet: IpNet) -> Result<Option<NetworkName>, DoorError> {
        let has = |record: &DockerNetwork| record.pools.iter().any(|pool| pool.subnet == subnet);
        let here = self.all_recorded()?.into_iter().find(|r| has(r));
        let found = match here {
            Some(found) => Some(found),
            None => self.elsewhere(has)?,
        };
        Ok(found.map(|record| record.network))
    }

    /// A network that engines share by themselves and another node recorded.
    fn elsewhere(
        &self,
        is_meant: impl Fn(&DockerNetwork) -> bool,
    ) -> Result<Option<DockerNetwork>, DoorError> {
        let Some(cluster) = self.joined() else {
            return Ok(None);
        };
        let shared = cluster.carried_now()?.into_iter();
        let mut shared = shared.filter(|network| network.request.is_none() && !network.leaving);
        let Some(found) = shared.find(|network| is_meant(&network.record)) else {
            return Ok(None);
        };
        self.record(&found.record)?;
        self.keep(&found.record)?;
        Ok(Some(found.record))
    }

    /// Records a network on this node, and that this node has it.
    pub(crate) fn record(&self, network: &DockerNetwork) -> Result<(), DoorError> {
        let node = self.ground.node();
        let known = self.recorded(&network.id)?.is_some();
        node.host()
            .store(|store| store.write(|tx| tx.put_docker_network(network)))?;
        if let Some(cluster) = self.ground.cluster() {
            let held = cluster.hold_docker(&network.network, &network.id, network.first_id());
            if held.is_err() && !known {
                node.host()
                    .store(|store| store.write(|tx| tx.remove_docker_network(&network.id)))?;
            }
            held?;
        }
        Ok(())
    }
}

/// A record for tests: of a network of ours, and nothing else is told of it.
#[cfg(test)]
pub(crate) fn plain(id: &str, network: &str) -> DockerNetwork {
    DockerNetwork {
        id: id.to_owned(),
        network: NetworkName::new(network).unwrap(),
        declared: false,
        internal: false,
        leased: true,
        pools: Vec::new(),
        name: None,
        origin: None,
    }
}
