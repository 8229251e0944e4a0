//! The driver of networks: a network of Docker's, from its making to its end.

use crate::declare::{has_subnet, kept_by, name_for};
use crate::door::Door;
use crate::error::DoorError;
use crate::ipam::{RESERVED, everything};
use crate::lease::pool_of;
use crate::options::NetworkOptions;
use crate::target::Target;
use crate::{GLOBAL_SPACE, LOCAL_SPACE};
use fairlead_cluster::CarriedNetwork;
use fairlead_config::DockerScope;
use fairlead_libnetwork::engine::short;
use fairlead_libnetwork::protocol::{CreateNetwork, IpamData, OfNetwork, address};
use fairlead_store::{DockerNetwork, DockerPool, NewAddress, StoreError};
use fairlead_types::NetworkName;
use serde_json::{Value, json};
use std::net::IpAddr;
use tracing::{debug, warn};

/// What `CreateNetwork` asks for.
pub(crate) struct Wanted {
    pub(crate) options: NetworkOptions,
    pub(crate) pools: Vec<DockerPool>,
    /// Whether the addresses are asked for at our driver.
    leased: bool,
}

impl Wanted {
    fn of(call: &CreateNetwork) -> Result<Self, DoorError> {
        let data = || call.ipv4_data.iter().chain(&call.ipv6_data);
        let is_ours =
            |data: &IpamData| [LOCAL_SPACE, GLOBAL_SPACE].contains(&data.address_space.as_str());
        Ok(Self {
            options: NetworkOptions::of(&call.options)?,
            pools: data().map(pool).collect::<Result<_, _>>()?,
            leased: data().next().is_some_and(is_ours),
        })
    }
}

fn pool(data: &IpamData) -> Result<DockerPool, DoorError> {
    let kept = data.aux_addresses.values().map(|value| {
        let text = value.as_str().unwrap_or_default();
        address(text).ok_or_else(|| DoorError::Address(value.to_string()))
    });
    Ok(DockerPool {
        subnet: data.pool.trunc(),
        gateway: data.gateway,
        kept: kept.collect::<Result<_, _>>()?,
    })
}

impl Door {
    pub(crate) fn capabilities(&self) -> Result<Value, DoorError> {
        let scope = match self.ground.node().config().docker()?.scope {
            DockerScope::Local => "local",
            DockerScope::Global => "global",
        };
        Ok(json!({"Scope": scope, "ConnectivityScope": scope, "GwAllocChecker": false}))
    }

    /// Puts a network of Docker's on a declared one, or on one that is declared for it.
    pub(crate) fn create_network(&self, call: CreateNetwork) -> Result<(), DoorError> {
        let mut wanted = Wanted::of(&call)?;
        let _alone = self.making();
        if let Some(known) = self.recorded(&call.network_id)?
            && known.pools == wanted.pools
        {
            // Asked again after an answer that was lost: it was decided before.
            return self.make_again(&known, &wanted);
        }
        self.find_by_pool(&mut wanted)?;
        let mut network = DockerNetwork {
            network: match &wanted.options.network {
                Some(name) => name.clone(),
                None => name_for(&call.network_id)?,
            },
            id: call.network_id,
            declared: false,
            internal: wanted.options.internal,
            leased: wanted.leased,
            pools: wanted.pools.clone(),
            name: None,
            origin: wanted.options.origin.clone(),
        };
        match &wanted.options.network {
            Some(name) => {
                self.refuse_misfit(name, &wanted)?;
                network.declared = self.declared_for(&network)?;
            }
            None if wanted.pools.is_empty() => return Err(DoorError::Subnet(String::new())),
            None => {
                self.refuse_declared(&network.network, &wanted)?;
                network.declared = true;
            }
        }
        // First the record: what a crash leaves of the rest is found by it.
        self.record(&network)?;
        let made = match wanted.options.network {
            Some(_) => self.make_declared(&network.network),
            None => self.declare(&network.network, &wanted),
        };
        let made = made.and_then(|()| self.keep(&network));
        let made = made.and_then(|()| self.share(&network));
        if let Err(error) = made {
            if let Err(other) = self.forget(&network) {
                warn!("forget network {}: {other}", short(&network.id));
            }
            return Err(error);
        }
        let mut reserved = self.reserved();
        network.pools.iter().for_each(|pool| {
            reserved.remove(&pool.subnet);
        });
        Ok(())
    }

    /// Makes a network whose record is there already.
    fn make_again(&self, network: &DockerNetwork, wanted: &Wanted) -> Result<(), DoorError> {
        let is_own = network.declared && network.origin.is_none();
        let made = match is_own && wanted.options.network.is_none() {
            true => self.declare(&network.network, wanted),
            false => self.make_declared(&network.network),
        };
        made.and_then(|()| self.record(network))
            .and_then(|()| self.keep(network))
            .and_then(|()| self.share(network))
    }

    /// Where only the driver of addresses was told which network is meant, the subnet that it
    /// was told then or the gateway that it answered says so.
    fn find_by_pool(&self, wanted: &mut Wanted) -> Result<(), DoorError> {
        if !wanted.leased || wanted.options.network.is_some() {
            return Ok(());
        }
        let mut pools = wanted.pools.iter();
        let named = pools.find_map(|pool| self.named().remove(&pool.subnet));
        if let Some((network, _)) = named.filter(|(_, at)| at.elapsed() < RESERVED) {
            wanted.options.network = Some(network);
            return Ok(());
        }
        let mut pools = wanted.pools.iter();
        let Some(pool) = pools.find(|pool| pool.subnet == everything(pool.subnet.addr().is_ipv6()))
        else {
            return Ok(());
        };
        let node = self.ground.node();
        let (networks, _) = node.config().networks();
        let mut targets = networks
            .iter()
            .filter_map(|network| Target::of(&node, &network.name).ok());
        let found = targets.find(|target| {
            let mut locals = target.locals().iter();
            locals.any(|local| Some(target.gateway(*local)) == pool.gateway)
        });
        let found = found.ok_or_else(|| DoorError::Pool(pool.subnet.to_string()))?;
        wanted.options.network = Some(found.name().clone());
        Ok(())
    }

    /// Whether the network that a copy leads to was declared for Docker's, so that it goes
    /// with the last copy.
    fn declared_for(&self, network: &DockerNetwork) -> Result<bool, DoorError> {
        let (Some(origin), Some(cluster)) = (&network.origin, self.ground.cluster()) else {
            return Ok(false);
        };
        let mut carried = cluster.carried_now()?.into_iter();
        let found = carried.find(|carried| carried.origin == *origin);
        Ok(found.is_some_and(|carried| carried.record.declared))
    }

    /// A subnet that Docker's user named has to be the network's. One that was reserved here,
    /// since Docker does not say beforehand which network is meant, counts for nothing.
    fn refuse_misfit(&self, name: &NetworkName, wanted: &Wanted) -> Result<(), DoorError> {
        if let Some(mtu) = wanted.options.mtu {
            return Err(DoorError::Value {
                option: "mtu",
                value: mtu.to_string(),
                reason: format!("it is network {name}'s own: set network#{name}.mtu"),
            });
        }
        let target = self.target(name)?;
        for pool in &wanted.pools {
            let v6 = pool.subnet.addr().is_ipv6();
            let whole = target.whole(v6)?;
            let fits = [whole, target.local(v6)?].contains(&pool.subnet);
            let unnamed =
                pool.subnet == everything(v6) || self.reserved().contains_key(&pool.subnet);
            let means_none = wanted.leased && unnamed;
            if !fits && !means_none {
                return Err(DoorError::OtherSubnet {
                    network: name.clone(),
                    range: whole,
                    subnet: pool.subnet,
                });
            }
            self.refuse_gateway(&target, pool, wanted.leased)?;
        }
        Ok(())
    }

    /// Docker's own driver keeps the gateway that it was told from containers, and no other.
    fn refuse_gateway(
        &self,
        target: &Target,
        pool: &DockerPool,
        leased: bool,
    ) -> Result<(), DoorError> {
        let gateway = target.gateway(target.local(pool.subnet.addr().is_ipv6())?);
        match pool.gateway.filter(|asked| !leased && *asked != gateway) {
            Some(asked) => Err(DoorError::Gateway {
                network: target.name().clone(),
                gateway,
                asked,
            }),
            None => Ok(()),
        }
    }

    fn refuse_declared(&self, own: &NetworkName, wanted: &Wanted) -> Result<(), DoorError> {
        let node = self.ground.node();
        let (networks, _) = node.config().networks();
        // Asked again after an answer that was lost, its own declaration is there.
        let others = || networks.iter().filter(|network| network.name != *own);
        for pool in &wanted.pools {
            let subnet = pool.subnet;
            if let Some(other) = others().find(|n| has_subnet(n, subnet)) {
                return Err(DoorError::Declared {
                    subnet,
                    network: other.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Keeps the addresses that no container gets.
    pub(crate) fn keep(&self, network: &DockerNetwork) -> Result<(), DoorError> {
        let node = self.ground.node();
        let kept = kept_by(network)?;
        let pool = pool_of(&node, &network.network);
        let addresses = || network.pools.iter().flat_map(|pool| pool.kept.iter());
        node.host().store(|store| {
            store.write(|tx| {
                for address in addresses() {
                    // A lease has it since Docker asked for it, unless it asked too early.
                    if let Some(held) = tx.address(pool.id(), *address)?
                        && fairlead_attach::is_lease(&held.owner)
                    {
                        tx.free_address(pool.id(), *address)?;
                    }
                    let taken = tx.take_address(&NewAddress {
                        pool: pool.id(),
                        addr: *address,
                        owner: &kept,
                        netns: None,
                        boot_lived: false,
                    });
                    match taken {
                        Err(StoreError::AddressTaken { holder, .. }) if *holder == kept => {}
                        other => other?,
                    }
                }
                Ok(())
            })
        })?;
        // Every node keeps them for itself: they are no container's.
        for address in addresses() {
            self.give_up(&network.network, *address);
        }
        Ok(())
    }

    fn give_up(&self, network: &NetworkName, address: IpAddr) {
        let Some(cluster) = self.joined() else {
            return;
        };
        if let Err(error) = cluster.release_address(network, address) {
            debug!("give {address} up: {error}");
        }
    }

    /// Tells the other nodes of a network that the engines share by themselves.
    fn share(&self, network: &DockerNetwork) -> Result<(), DoorError> {
        let node = self.ground.node();
        let global = node.config().docker()?.scope == DockerScope::Global;
        if let Some(cluster) = self.joined().filter(|_| global) {
            cluster.carry(&CarriedNetwork {
                origin: network.id.clone(),
                // Docker does not tell a driver what its user calls it.
                name: network.id.clone(),
                node: cluster.node().to_owned(),
                record: network.clone(),
                request: None,
                leaving: false,
            })?;
        }
        Ok(())
    }

    /// Forgets a network; one that is not known is forgotten.
    pub(crate) fn delete_network(&self, call: &OfNetwork) -> Result<(), DoorError> {
        let _alone = self.making();
        let network = match self.docker_network(&call.network_id) {
            Ok(network) => network,
            Err(DoorError::UnknownNetwork(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let node = self.ground.node();
        let global = node.config().docker()?.scope == DockerScope::Global;
        if let Some(cluster) = self.ground.cluster().filter(|_| global) {
            cluster.stop_carrying(&network.id)?;
        }
        self.forget(&network)
    }
}
