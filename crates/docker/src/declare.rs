//! Networks that Docker's user names no declared one for: they are declared for it, in the
//! cluster's configuration, and go with Docker's.

use crate::driver::Wanted;
use crate::lease::pool_of;
use crate::{Door, DoorError};
use fairlead_config::{Change, KeyOp, KeyPath, Operator, Target};
use fairlead_store::DockerNetwork;
use fairlead_types::NetworkName;
use ipnet::IpNet;
use tracing::{info, warn};

/// The name of a network that is declared for one of Docker's: bridges are named after it,
/// which leaves eleven bytes.
pub(crate) fn name_for(id: &str) -> Result<NetworkName, DoorError> {
    let id: String = id.to_lowercase().chars().take(9).collect();
    Ok(NetworkName::new(format!("d-{id}"))?)
}

impl Door {
    /// Declares a network and makes it; nothing of it stays if that fails.
    pub(crate) fn declare(&self, name: &NetworkName, wanted: &Wanted) -> Result<(), DoorError> {
        let changes = declaration(name, wanted);
        self.change(&changes)?;
        let made = self.make(name);
        if made.is_err() {
            self.undeclare(name);
        }
        made
    }

    /// Has a declared network be there, with its bridge.
    pub(crate) fn make(&self, name: &NetworkName) -> Result<(), DoorError> {
        let not_made = |reason: String| DoorError::NotMade {
            network: name.clone(),
            reason,
        };
        self.ground.set_up(name).map_err(not_made)?;
        self.is_there(name)
    }

    /// Has a network that was declared before be there: what is wrong with a way of it to
    /// another node is not Docker's business.
    pub(crate) fn make_declared(&self, name: &NetworkName) -> Result<(), DoorError> {
        // What keeps the bridge from being there is told by the look.
        let _ = self.ground.set_up(name);
        self.is_there(name)
    }

    fn is_there(&self, name: &NetworkName) -> Result<(), DoorError> {
        let node = self.ground.node();
        fairlead_networks::find(node.config(), name)?;
        Ok(())
    }

    /// Takes a declaration back. What cannot be taken back harms nobody, and is told.
    pub(crate) fn undeclare(&self, name: &NetworkName) {
        let section = format!("network#{name}");
        let done = self.change(&[Change::Delete(section)]).and_then(|()| {
            let set_up = self.ground.set_up(name);
            set_up.map_err(|reason| DoorError::NotMade {
                network: name.clone(),
                reason,
            })
        });
        if let Err(error) = done {
            warn!("take network {name} away: {error}");
        }
    }

    fn change(&self, changes: &[Change]) -> Result<(), DoorError> {
        let node = self.ground.node();
        match self.ground.cluster() {
            Some(cluster) => {
                cluster.change(changes, false)?;
            }
            None => {
                let (root, name) = (node.host().root(), node.config().node());
                fairlead_config::change(root, Target::Cluster, name, changes, false)?;
            }
        }
        Ok(())
    }

    /// Forgets a network of Docker's: the declaration when it was the last one there, what is
    /// kept of it, and at the end the record, so that what is cut off can be done again. Each
    /// part may be gone already.
    pub(crate) fn forget(&self, network: &DockerNetwork) -> Result<(), DoorError> {
        let mut others = self.all_recorded()?;
        others.retain(|other| other.network == network.network && other.id != network.id);
        let mut last = others.is_empty();
        if last {
            self.free_leases(&network.network)?;
        }
        if let Some(cluster) = self.ground.cluster() {
            cluster.release_docker(&network.id)?;
            last = last && cluster.docker_holders(&network.network)?.is_empty();
            let mut carried = cluster.carried_now()?.into_iter();
            if let Some(carried) = carried.find(|carried| carried.origin == network.first_id()) {
                cluster.forget_carried(&carried)?;
            }
        }
        if network.declared && last {
            self.undeclare_unused(&network.network);
        }
        if network.declared && !last {
            self.inherit(&others)?;
        }
        let node = self.ground.node();
        let kept = kept_by(network)?;
        node.host().store(|store| {
            store.write(|tx| {
                tx.free_addresses_of(&kept)?;
                tx.remove_docker_network(&network.id)
            })
        })?;
        Ok(())
    }

    /// Docker takes a network away when it has no container on it: what leases have of it is
    /// nobody's.
    fn free_leases(&self, name: &NetworkName) -> Result<(), DoorError> {
        let node = self.ground.node();
        let pool = pool_of(&node, name);
        node.host().store(|store| {
            store.write(|tx| {
                let mut held = tx.addresses_of_pool(pool.id())?;
                held.retain(|address| fairlead_attach::is_lease(&address.owner));
                held.iter()
                    .try_for_each(|address| tx.free_address(pool.id(), address.addr).map(drop))
            })
        })?;
        Ok(())
    }

    /// Another network of Docker's on the same one takes the declaration along when it goes:
    /// the first that is recorded still.
    fn inherit(&self, others: &[DockerNetwork]) -> Result<(), DoorError> {
        let node = self.ground.node();
        node.host().store(|store| {
            store.write(|tx| {
                for other in others {
                    let Some(mut heir) = tx.docker_network(&other.id)? else {
                        continue;
                    };
                    if !heir.declared {
                        heir.declared = true;
                        tx.put_docker_network(&heir)?;
                    }
                    break;
                }
                Ok(())
            })
        })?;
        Ok(())
    }

    /// A network that others came to use in spite of its name stays.
    fn undeclare_unused(&self, name: &NetworkName) {
        let node = self.ground.node();
        let elsewhere = self.ground.cluster().and_then(|cluster| {
            let published = cluster.addresses(Some(name.as_str())).ok()?.value;
            published.into_iter().find(|one| one.node != cluster.node())
        });
        if let Some(user) = elsewhere {
            info!(
                "network {name} stays: node {} has {} on it",
                user.node, user.ip
            );
            return;
        }
        match node.attachments_of(name) {
            Ok(users) if users.is_empty() => self.undeclare(name),
            Ok(users) => info!("network {name} stays: {} containers are on it", users.len()),
            Err(error) => warn!("look who is on network {name}: {error}"),
        }
    }
}

/// Who has the addresses that no container of a network gets.
pub(crate) fn kept_by(network: &DockerNetwork) -> Result<fairlead_types::Owner, DoorError> {
    let name: String = network.id.chars().take(64).collect();
    let container = fairlead_types::ContainerId::new(format!("docker-{name}"))?;
    Ok(fairlead_attach::owner(&network.network, container)?)
}

fn declaration(name: &NetworkName, wanted: &Wanted) -> Vec<Change> {
    let set = |option: &str, value: String| {
        Change::Set(KeyOp {
            path: KeyPath::new(format!("network#{name}"), option),
            operator: Operator::Assign,
            value,
        })
    };
    let subnets: Vec<String> = wanted.pools.iter().map(|p| p.subnet.to_string()).collect();
    let mut changes = vec![
        set("type", "bridge".to_owned()),
        set("network", subnets.join(" ")),
    ];
    let own: Vec<String> = wanted
        .pools
        .iter()
        .filter_map(|pool| {
            let usual = fairlead_networks::bridge_address(pool.subnet).addr();
            pool.gateway.filter(|gateway| *gateway != usual)
        })
        .map(|gateway| gateway.to_string())
        .collect();
    if !own.is_empty() {
        changes.push(set("gateway", own.join(" ")));
    }
    if let Some(mtu) = wanted.options.mtu {
        changes.push(set("mtu", mtu.to_string()));
    }
    if wanted.options.unmasked || wanted.options.internal {
        changes.push(set("public", "true".to_owned()));
    }
    changes
}

/// Whether a subnet is one of a pool's.
pub(crate) fn has_subnet(network: &fairlead_config::Network, subnet: IpNet) -> bool {
    network.ranges.contains(&subnet)
}
