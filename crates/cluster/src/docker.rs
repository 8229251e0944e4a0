//! What agents tell each other of Docker's networks: those that are to be on every node,
//! which nodes have one on a network, and who has an address on bridges of several nodes.

use crate::cluster::Reading;
use crate::config::pause;
use crate::{Cluster, ClusterError, keys};
use fairlead_shared::{SharedState, Snapshot, Txn};
use fairlead_store::DockerNetwork;
use fairlead_types::NetworkName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;

/// How often a change is tried again when others were quicker.
const ATTEMPTS: u32 = 20;

/// A network of Docker's that agents make on every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedNetwork {
    /// The id that it has on the node where it was made.
    pub origin: String,
    /// Docker's name of it.
    pub name: String,
    /// The node where it was made.
    pub node: String,
    /// What that node records of it.
    pub record: DockerNetwork,
    /// What another node asks of its engine to have it too; none where the engines tell
    /// each other.
    pub request: Option<Value>,
    /// Whether somebody took it away, so that it goes everywhere once it is unused.
    #[serde(default)]
    pub leaving: bool,
}

/// What became of a name or an address that a node wanted to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is the node's.
    Done,
    /// Another node has it.
    Taken {
        /// Which.
        node: String,
    },
}

impl Cluster {
    /// The networks of Docker's that are to be on every node.
    ///
    /// # Errors
    /// Shared state.
    pub fn carried(&self) -> Result<Reading<Vec<CarriedNetwork>>, ClusterError> {
        let snapshot = self.snapshot(keys::DOCKER_NETWORKS)?;
        Ok(Reading {
            value: values(&snapshot.value),
            stale: snapshot.stale,
        })
    }

    /// The same from shared state itself: for what was written a moment ago elsewhere.
    ///
    /// # Errors
    /// Shared state.
    pub fn carried_now(&self) -> Result<Vec<CarriedNetwork>, ClusterError> {
        Ok(values(&self.engine.range(keys::DOCKER_NETWORKS)?))
    }

    /// Has a network made on every node. A name that another one has is refused; repeated,
    /// the record is replaced.
    ///
    /// # Errors
    /// Shared state; [`ClusterError::Contended`].
    pub fn carry(&self, network: &CarriedNetwork) -> Result<Claimed, ClusterError> {
        let name = keys::docker_name(&network.name);
        let key = keys::docker_network(&network.origin);
        let record = json(network);
        for attempt in 0..ATTEMPTS {
            let txn = match self.engine.get(&name)? {
                None => Txn::new().absent(&name),
                Some(entry) if entry.value == network.origin.as_bytes() => {
                    Txn::new().unchanged(&name, entry.modified)
                }
                Some(entry) => {
                    let origin = String::from_utf8_lossy(&entry.value);
                    let other = self.engine.get(&keys::docker_network(&origin))?;
                    match other.and_then(|entry| read::<CarriedNetwork>(&entry.value)) {
                        Some(other) => return Ok(Claimed::Taken { node: other.node }),
                        // The name of a record that is no more.
                        None => Txn::new().unchanged(&name, entry.modified),
                    }
                }
            };
            let txn = txn
                .put(&name, network.origin.as_bytes())
                .put(&key, &*record);
            if self.engine.commit(&txn)?.is_done() {
                return Ok(Claimed::Done);
            }
            pause(attempt);
        }
        Err(ClusterError::Contended {
            operation: "carry a network of Docker",
            attempts: ATTEMPTS,
        })
    }

    /// Has a network go everywhere, once it is unused; says whether there was one.
    ///
    /// # Errors
    /// Shared state; [`ClusterError::Contended`].
    pub fn stop_carrying(&self, origin: &str) -> Result<bool, ClusterError> {
        let key = keys::docker_network(origin);
        for attempt in 0..ATTEMPTS {
            let Some(entry) = self.engine.get(&key)? else {
                return Ok(false);
            };
            let Some(mut network) = read::<CarriedNetwork>(&entry.value) else {
                self.engine.delete(&key)?;
                return Ok(true);
            };
            if network.leaving {
                return Ok(true);
            }
            network.leaving = true;
            let txn = Txn::new().unchanged(&key, entry.modified);
            if self
                .engine
                .commit(&txn.put(&key, json(&network)))?
                .is_done()
            {
                return Ok(true);
            }
            pause(attempt);
        }
        Err(ClusterError::Contended {
            operation: "take a network of Docker away",
            attempts: ATTEMPTS,
        })
    }

    /// Forgets a network that is leaving, once no node has it.
    ///
    /// # Errors
    /// Shared state.
    pub fn forget_carried(&self, network: &CarriedNetwork) -> Result<bool, ClusterError> {
        let holders = self.docker_holders(&network.record.network)?;
        if !network.leaving || holders.iter().any(|holder| holder.origin == network.origin) {
            return Ok(false);
        }
        let name = keys::docker_name(&network.name);
        let key = keys::docker_network(&network.origin);
        let txn = Txn::new()
            .has_value(&name, network.origin.as_bytes())
            .delete(&name)
            .delete(&key);
        if !self.engine.commit(&txn)?.is_done() {
            // The name is another's by now.
            self.engine.delete(&key)?;
        }
        Ok(true)
    }

    /// Notes that this node has a network of Docker's on one of ours.
    ///
    /// # Errors
    /// Shared state.
    pub fn hold_docker(
        &self,
        network: &NetworkName,
        id: &str,
        origin: &str,
    ) -> Result<(), ClusterError> {
        let holder = Holder {
            node: self.node.clone(),
            network: network.clone(),
            origin: origin.to_owned(),
        };
        let key = keys::docker_holder(&self.node, id);
        Ok(self.engine.put(&key, &json(&holder), None).map(drop)?)
    }

    /// Notes that this node has it no more.
    ///
    /// # Errors
    /// Shared state.
    pub fn release_docker(&self, id: &str) -> Result<(), ClusterError> {
        self.engine.delete(&keys::docker_holder(&self.node, id))?;
        Ok(())
    }

    /// The nodes that have a network of Docker's on this one of ours.
    ///
    /// # Errors
    /// Shared state.
    pub fn docker_holders(&self, network: &NetworkName) -> Result<Vec<Holder>, ClusterError> {
        let mut holders: Vec<Holder> = values(&self.engine.range(keys::DOCKER_HOLDERS)?);
        holders.retain(|holder| holder.network == *network);
        Ok(holders)
    }

    /// Makes an address this node's on a network whose bridges are not connected, so that
    /// no other node gives it to a container. Where no state is shared, it always is.
    ///
    /// # Errors
    /// Shared state.
    pub fn claim_address(
        &self,
        network: &NetworkName,
        ip: IpAddr,
    ) -> Result<Claimed, ClusterError> {
        if !self.is_joined() {
            return Ok(Claimed::Done);
        }
        let key = keys::docker_claim(network.as_str(), ip);
        let txn = Txn::new().absent(&key).put(&key, self.node.as_bytes());
        if self.engine.commit(&txn)?.is_done() {
            return Ok(Claimed::Done);
        }
        let holder = self.engine.get(&key)?;
        let node = holder.map(|entry| String::from_utf8_lossy(&entry.value).into_owned());
        Ok(match node {
            Some(node) if node != self.node => Claimed::Taken { node },
            _ => Claimed::Done,
        })
    }

    /// Gives up an address that this node had claimed.
    ///
    /// # Errors
    /// Shared state.
    pub fn release_address(&self, network: &NetworkName, ip: IpAddr) -> Result<(), ClusterError> {
        if !self.is_joined() {
            return Ok(());
        }
        let key = keys::docker_claim(network.as_str(), ip);
        let own = Txn::new().has_value(&key, self.node.as_bytes());
        self.engine.commit(&own.delete(&key))?;
        Ok(())
    }

    /// The addresses that this node has claimed, by network.
    ///
    /// # Errors
    /// Shared state.
    pub fn claimed_addresses(&self) -> Result<Vec<(NetworkName, IpAddr)>, ClusterError> {
        let snapshot = self.engine.range(keys::DOCKER_CLAIMS)?;
        let own = snapshot.entries.iter();
        let own = own.filter(|entry| entry.value == self.node.as_bytes());
        let of = own.filter_map(|entry| keys::of_docker_claim(&entry.key));
        Ok(of
            .filter_map(|(network, ip)| Some((NetworkName::new(network).ok()?, ip)))
            .collect())
    }
}

/// That a node has a network of Docker's on one of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The node.
    pub node: String,
    /// The network of ours.
    pub network: NetworkName,
    /// The id that Docker's has where it was made.
    pub origin: String,
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn read<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}

/// What cannot be read is left out.
fn values<T: DeserializeOwned>(snapshot: &Snapshot) -> Vec<T> {
    let entries = snapshot.entries.iter();
    entries.filter_map(|entry| read(&entry.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_shared::Local;
    use fairlead_types::Root;
    use std::sync::Arc;

    fn network(origin: &str, name: &str, node: &str) -> CarriedNetwork {
        CarriedNetwork {
            origin: origin.into(),
            name: name.into(),
            node: node.into(),
            record: DockerNetwork {
                id: origin.into(),
                network: NetworkName::new("web").unwrap(),
                declared: false,
                internal: false,
                leased: true,
                pools: Vec::new(),
                name: Some(name.into()),
                origin: None,
            },
            request: Some(serde_json::json!({"Name": name})),
            leaving: false,
        }
    }

    /// Two nodes over one engine, each with a folder of its own.
    fn nodes() -> (tempfile::TempDir, [Cluster; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let engine = Arc::new(Local::open(&dir.path().join("engine.db")).unwrap());
        let open = |node: &str| {
            let root = Root::new(dir.path().join(node));
            Cluster::over(&root, node, engine.clone(), Some("/fairlead".into())).unwrap()
        };
        let nodes = [open("n1"), open("n2")];
        (dir, nodes)
    }

    #[test]
    fn a_network_is_carried_until_no_node_has_it() {
        let (_dir, [one, two]) = nodes();
        let made = network("8f81", "My Net", "n1");
        assert_eq!(one.carry(&made).unwrap(), Claimed::Done);
        assert_eq!(one.carry(&made).unwrap(), Claimed::Done, "repeated");
        let taken = two.carry(&network("77aa", "My Net", "n2")).unwrap();
        assert_eq!(taken, Claimed::Taken { node: "n1".into() });
        assert_eq!(two.carried_now().unwrap(), std::slice::from_ref(&made));
        one.hold_docker(&made.record.network, "8f81", "8f81")
            .unwrap();
        two.hold_docker(&made.record.network, "b2b2", "8f81")
            .unwrap();
        assert!(two.stop_carrying("8f81").unwrap());
        let leaving = one.carried_now().unwrap().remove(0);
        assert!(leaving.leaving);
        one.release_docker("8f81").unwrap();
        assert!(!one.forget_carried(&leaving).unwrap(), "the other has it");
        two.release_docker("b2b2").unwrap();
        assert!(two.forget_carried(&leaving).unwrap());
        assert!(one.carried_now().unwrap().is_empty());
        assert!(!one.stop_carrying("8f81").unwrap());
        let next = two.carry(&network("77aa", "My Net", "n2")).unwrap();
        assert_eq!(next, Claimed::Done, "the name is free again");
    }

    #[test]
    fn an_address_is_claimed_by_one_node() {
        let (_dir, [one, two]) = nodes();
        let web = NetworkName::new("web").unwrap();
        for ip in ["10.1.0.2", "fd00::2"] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(one.claim_address(&web, ip).unwrap(), Claimed::Done);
            assert_eq!(one.claim_address(&web, ip).unwrap(), Claimed::Done);
            let taken = two.claim_address(&web, ip).unwrap();
            assert_eq!(taken, Claimed::Taken { node: "n1".into() });
            two.release_address(&web, ip).unwrap();
            assert_eq!(one.claimed_addresses().unwrap(), [(web.clone(), ip)]);
            one.release_address(&web, ip).unwrap();
            assert_eq!(two.claim_address(&web, ip).unwrap(), Claimed::Done);
            two.release_address(&web, ip).unwrap();
        }
    }
}
