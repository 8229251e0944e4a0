//! One address: who has it, whether everything that is known of it agrees, holding it back
//! by hand and giving it free by hand.

use crate::detach::Selector;
use crate::{AttachError, Node, PublishedPort};
use fairlead_ipam::Pool;
use fairlead_kernel::{NetNs, Route};
use fairlead_networks::{Catalog, NetworkError};
use fairlead_store::{AttachmentState, Endpoint, NetnsRef, NewAddress};
use fairlead_types::{ContainerId, IfName, NetworkName, Owner};
use serde::Serialize;
use std::net::IpAddr;

/// Who has an address that is held back by hand.
const RESERVED: &str = "reserved";

/// What is known of one address on one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The address.
    pub address: IpAddr,
    /// Who has it.
    #[serde(flatten)]
    pub owner: Owner,
    /// The allocation domain; none where a plugin of another maker gave it.
    pub pool: Option<String>,
    /// How far its attachment is; none without one.
    pub state: Option<AttachmentState>,
    /// The namespace that it is configured in.
    pub netns: Option<std::path::PathBuf>,
    /// Whether that is still there; none where it is not known.
    pub live: Option<bool>,
    /// Whether it is held until somebody gives it free, over every boot.
    pub kept: bool,
    /// The containers that it is kept for.
    pub kept_for: Vec<ContainerId>,
    /// The container that uses what is kept.
    pub used_by: Option<ContainerId>,
    /// The ports of the host that lead to it.
    pub ports: Vec<PublishedPort>,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Look {
    /// What.
    pub subject: &'static str,
    /// What was seen.
    pub seen: String,
    /// Whether it is as it must be.
    pub fine: bool,
}

impl Node {
    /// Who has an address, on one network or on all.
    ///
    /// # Errors
    /// [`AttachError::Store`].
    pub fn held(
        &self,
        address: IpAddr,
        network: Option<&NetworkName>,
    ) -> Result<Vec<Held>, AttachError> {
        let rows = self.host().store(|store| store.view().addresses())?;
        let endpoints = self.host().store(|store| store.view().endpoints())?;
        let mut all = Vec::new();
        for attachment in self.attachments()? {
            if attachment.addresses.contains(&address) {
                let owner = attachment.owner;
                let row = rows.iter().find(|r| r.addr == address && r.owner == owner);
                let record = self.host().store(|store| store.view().attachment(&owner))?;
                let netns = record.as_ref().and_then(|record| record.netns.clone());
                let netns = netns.or_else(|| row.and_then(|row| row.netns.clone()));
                let kept_at = endpoints.iter().find(|e| e.owner == owner.container);
                all.push(Held {
                    address,
                    pool: row.map(|row| row.pool.clone()),
                    state: record.map(|record| record.state),
                    live: netns.as_ref().map(NetnsRef::is_live),
                    netns: netns.map(|netns| netns.path),
                    kept: row.is_some_and(|row| !row.boot_lived) || kept_at.is_some(),
                    kept_for: kept_at.map_or_else(Vec::new, connected),
                    used_by: kept_at.and_then(|e| e.tenant.as_ref().map(|t| t.container.clone())),
                    ports: attachment.ports,
                    since: row.map_or(attachment.since, |row| row.since),
                    owner,
                });
            }
        }
        // After a reboot, what plugins of other makers gave has no record but this.
        for endpoint in &endpoints {
            for place in &endpoint.places {
                let owner = endpoint.owner_at(place);
                let is_its = place.addresses.iter().any(|own| own.addr() == address);
                if is_its && !all.iter().any(|held| held.owner == owner) {
                    all.push(Held {
                        address,
                        owner,
                        pool: None,
                        state: None,
                        netns: None,
                        live: None,
                        kept: true,
                        kept_for: connected(endpoint),
                        used_by: endpoint.tenant.as_ref().map(|t| t.container.clone()),
                        ports: Vec::new(),
                        since: 0,
                    });
                }
            }
        }
        all.retain(|held| network.is_none_or(|network| held.owner.network == *network));
        Ok(all)
    }

    /// Holds an address of a network back: nobody gets it until it is released.
    ///
    /// # Errors
    /// [`AttachError::Network`] for a network that is not there,
    /// [`AttachError::OutsideRanges`], and [`AttachError::Store`] naming who has it.
    pub fn reserve(&self, address: IpAddr, network: &NetworkName) -> Result<Held, AttachError> {
        self.check_range(address, network)?;
        let pool = Pool::new(self.host().root(), network, None);
        let owner = Owner {
            network: network.clone(),
            container: ContainerId::new(RESERVED)?,
            ifname: IfName::new("eth0")?,
        };
        self.host().store(|store| {
            store.write(|tx| {
                tx.take_address(&NewAddress {
                    pool: pool.id(),
                    addr: address,
                    owner: &owner,
                    netns: None,
                    boot_lived: false,
                })
            })
        })?;
        let held = self.held(address, Some(network))?;
        let held = held.into_iter().find(|held| held.owner == owner);
        held.ok_or(AttachError::NotHeld { address })
    }

    fn check_range(&self, address: IpAddr, network: &NetworkName) -> Result<(), AttachError> {
        let catalog = Catalog::read(&self.config)?;
        let entry = catalog.networks.iter().find(|e| e.name == network.as_str());
        let Some(entry) = entry else {
            return Err(AttachError::Network(NetworkError::Unknown {
                name: network.clone(),
                known: catalog.networks.iter().map(|e| e.name.clone()).collect(),
                dir: self.config.cni_config()?,
            }));
        };
        let ranges = entry.ranges();
        match ranges.iter().any(|range| range.contains(&address)) {
            true => Ok(()),
            false => Err(AttachError::OutsideRanges {
                address,
                network: network.clone(),
                ranges,
            }),
        }
    }

    /// Gives an address free, with the attachment that has it. What a container uses is left
    /// alone, unless `force` says otherwise.
    ///
    /// # Errors
    /// [`AttachError::NotHeld`] where nobody has it, [`AttachError::InUse`], and what could
    /// not be taken away.
    pub fn release_address(
        &self,
        address: IpAddr,
        network: Option<&NetworkName>,
        force: bool,
    ) -> Result<Vec<Owner>, AttachError> {
        let held = self.held(address, network)?;
        if held.is_empty() {
            return Err(AttachError::NotHeld { address });
        }
        let in_use = |held: &&Held| match held.kept_for.is_empty() && held.used_by.is_none() {
            true => held.live == Some(true),
            false => held.used_by.is_some(),
        };
        if let Some(used) = held.iter().find(in_use).filter(|_| !force) {
            return Err(AttachError::InUse {
                address,
                owner: Box::new(used.owner.clone()),
            });
        }
        let mut freed = Vec::new();
        for held in held {
            for container in &held.kept_for {
                self.forget_endpoint(container)?;
            }
            self.detach(&Selector {
                network: Some(held.owner.network.clone()),
                container: Some(held.owner.container.clone()),
                ifname: Some(held.owner.ifname.clone()),
                ..Selector::default()
            })?;
            if let Some(pool) = &held.pool {
                self.host().store(|store| {
                    store.write(|tx| {
                        let row = tx.address(pool, address)?;
                        match row.is_some_and(|row| row.owner == held.owner) {
                            true => tx.free_address(pool, address).map(drop),
                            false => Ok(()),
                        }
                    })
                })?;
            }
            freed.push(held.owner);
        }
        Ok(freed)
    }

    /// Looks whether everything that is known of an address agrees with what is there.
    ///
    /// # Errors
    /// [`AttachError::Store`], [`AttachError::Kernel`].
    pub fn check_address(
        &self,
        address: IpAddr,
        network: Option<&NetworkName>,
    ) -> Result<Vec<Look>, AttachError> {
        let mut looks = Vec::new();
        let held = self.held(address, network)?;
        if held.is_empty() {
            let ranges = network.map(|network| self.check_range(address, network));
            let (seen, fine) = match ranges {
                Some(Err(error)) => (error.to_string(), false),
                _ => ("nobody has it".to_owned(), true),
            };
            looks.push(look("record", seen, fine));
        }
        let is_double = held.len() > 1 && network.is_some();
        for one in &held {
            looks.push(look("record", format!("{} has it", one.owner), !is_double));
            if let Err(error) = self.check_range(address, &one.owner.network) {
                let is_unknown = matches!(error, AttachError::Network(_));
                looks.push(look("range", error.to_string(), is_unknown));
            }
            self.check_held(one, &mut looks)?;
        }
        Ok(looks)
    }

    fn check_held(&self, held: &Held, looks: &mut Vec<Look>) -> Result<(), AttachError> {
        if let Some(state) = held.state {
            let fine = state == AttachmentState::Ready;
            looks.push(look("attachment", state.to_string(), fine));
        }
        if !held.kept_for.is_empty() {
            let names: Vec<String> = held.kept_for.iter().map(ToString::to_string).collect();
            looks.push(look("kept for", names.join(" "), true));
            let gone = self.gone_of(held)?;
            if !gone.is_empty() {
                let seen = format!("{} is no more; run 'fairlead gc'", gone.join(" "));
                looks.push(look("container", seen, false));
            }
        }
        let Some(path) = &held.netns else {
            return Ok(());
        };
        let shown = path.display();
        if held.live == Some(false) {
            // What is kept is made again when its container starts.
            let fine = held.kept && held.used_by.is_none();
            looks.push(look("namespace", format!("{shown} is gone"), fine));
            return Ok(());
        }
        looks.push(look("namespace", format!("{shown} is there"), true));
        let mut route = NetNs::open(path)?.run(Route::open)??;
        let seen = match route.link(&held.owner.ifname)? {
            None => format!("{} is not there", held.owner.ifname),
            Some(link) => {
                let own = route.addresses(link.index)?;
                match own.iter().any(|own| own.net.addr() == held.address) {
                    true => {
                        let seen = format!("{} has the address", held.owner.ifname);
                        looks.push(look("interface", seen, true));
                        return Ok(());
                    }
                    false => format!("{} does not have the address", held.owner.ifname),
                }
            }
        };
        looks.push(look("interface", seen, false));
        Ok(())
    }

    /// The containers that an address is kept for and that their engines have no more.
    fn gone_of(&self, held: &Held) -> Result<Vec<String>, AttachError> {
        let endpoint = self.find_endpoint(&held.owner.container, &[])?;
        let connected = endpoint.into_iter().flat_map(|e| e.connected);
        let gone = connected.filter(|c| c.is_gone());
        Ok(gone.map(|c| c.container.to_string()).collect())
    }
}

fn connected(endpoint: &Endpoint) -> Vec<ContainerId> {
    let all = endpoint.connected.iter();
    all.map(|one| one.container.clone()).collect()
}

fn look(subject: &'static str, seen: String, fine: bool) -> Look {
    Look {
        subject,
        seen,
        fine,
    }
}
