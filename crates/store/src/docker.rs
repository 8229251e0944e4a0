//! Docker's networks on this node, and addresses that rest: those that an endpoint of an
//! engine had, which its container gets again while nobody else needs them.

use crate::key::Key;
use crate::{Address, StoreError, Tx, View, row};
use fairlead_types::{NetworkName, Owner};
use ipnet::IpNet;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A network of a Docker engine that leads to one of ours. The record outlives the boot, as
/// the engine's own does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerNetwork {
    /// The engine's id of it.
    pub id: String,
    /// The network that its containers are on.
    pub network: NetworkName,
    /// Whether that one was declared for it, and goes with it.
    #[serde(default)]
    pub declared: bool,
    /// Whether its containers reach nothing else.
    #[serde(default)]
    pub internal: bool,
    /// Whether its addresses are asked for at our driver, and not at Docker's own.
    #[serde(default)]
    pub leased: bool,
    /// What it gives addresses from, one of each family at most.
    #[serde(default)]
    pub pools: Vec<DockerPool>,
    /// The engine's name of it, once that was heard.
    #[serde(default)]
    pub name: Option<String>,
    /// The id of the network that this is a copy of: one that an agent made because another
    /// node has it.
    #[serde(default)]
    pub origin: Option<String>,
}

impl DockerNetwork {
    /// The id that it has where it was made first: of a copy that is another network's.
    #[must_use]
    pub fn first_id(&self) -> &str {
        self.origin.as_deref().unwrap_or(&self.id)
    }
}

/// What one family of a [`DockerNetwork`] gives addresses from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerPool {
    /// The subnet that the engine knows.
    pub subnet: IpNet,
    /// The gateway that the engine was told, if it was told one.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Addresses that no container gets, which the engine keeps for others.
    #[serde(default)]
    pub kept: Vec<IpAddr>,
}

/// An address that nobody has, kept in mind for who had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    /// The allocation domain.
    pub pool: String,
    /// The address.
    pub addr: IpAddr,
    /// The engine's id of the container that had it; empty when that was never heard.
    pub holder: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

fn network(row: &Row<'_>) -> rusqlite::Result<DockerNetwork> {
    let text = row.get_ref(0)?.as_str()?;
    serde_json::from_str(text).map_err(|error| row::bad(0, error))
}

fn resting(row: &Row<'_>) -> rusqlite::Result<Resting> {
    Ok(Resting {
        pool: row.get(0)?,
        addr: row.get::<_, Key>(1)?.addr(),
        holder: row.get(2)?,
        since: row.get(3)?,
    })
}

impl View<'_> {
    /// Docker's networks on this node, by their ids.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn docker_networks(&self) -> Result<Vec<DockerNetwork>, StoreError> {
        let sql = "SELECT record FROM docker_networks ORDER BY id";
        self.rows(&"docker_networks", sql, [], network)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn docker_network(&self, id: &str) -> Result<Option<DockerNetwork>, StoreError> {
        let sql = "SELECT record FROM docker_networks WHERE id = ?";
        self.first(&id, sql, [id], network)
    }

    /// The addresses of a pool that rest, those that came last first.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn resting(&self, pool: &str) -> Result<Vec<Resting>, StoreError> {
        let sql =
            "SELECT pool, addr, holder, since FROM resting WHERE pool = ? ORDER BY since DESC";
        self.rows(&pool, sql, [pool], resting)
    }
}

impl Tx<'_> {
    /// Records a network of Docker, in the place of what was known of it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn put_docker_network(&self, network: &DockerNetwork) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO docker_networks(id, network, record) VALUES(?, ?, ?)";
        let record = serde_json::to_string(network).unwrap_or_default();
        let params = params![network.id, network.network.as_str(), record];
        self.change("record network of Docker", &network.id, sql, params)
            .map(drop)
    }

    /// Forgets a network of Docker; says whether it was known.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn remove_docker_network(&self, id: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM docker_networks WHERE id = ?";
        let removed = self.change("forget network of Docker", &id, sql, [id])?;
        Ok(removed > 0)
    }

    /// Gives an address that is taken to another owner, who has it from now on; says whether
    /// it was `from`'s.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn hand_over(
        &self,
        pool: &str,
        addr: IpAddr,
        from: &Owner,
        to: &Owner,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE addresses SET container = ?, ifname = ?, network = ?, since = ? WHERE pool = ? AND addr = ? AND container = ? AND ifname = ? AND network = ?";
        let params = params![
            to.container.as_str(),
            to.ifname.as_str(),
            to.network.as_str(),
            crate::attachments::now(),
            pool,
            Key::from(addr),
            from.container.as_str(),
            from.ifname.as_str(),
            from.network.as_str(),
        ];
        Ok(self.change("hand over address", &addr, sql, params)? > 0)
    }

    /// Gives everything that an owner has to another one, who has it from now on; says what
    /// that is.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn hand_over_all(&self, from: &Owner, to: &Owner) -> Result<Vec<Address>, StoreError> {
        let mut held = self.addresses_of(&from.container, &from.ifname)?;
        held.retain(|address| address.owner == *from);
        for address in &held {
            self.hand_over(&address.pool, address.addr, from, to)?;
        }
        Ok(held)
    }

    /// Notes that an address rests, in the place of what was noted of it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn put_to_rest(&self, pool: &str, addr: IpAddr, holder: &str) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO resting(pool, addr, holder, since) VALUES(?, ?, ?, ?)";
        let params = params![pool, Key::from(addr), holder, crate::attachments::now()];
        self.change("put to rest address", &addr, sql, params)
            .map(drop)
    }

    /// Notes that an address rests no more; says whether it did.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn wake(&self, pool: &str, addr: IpAddr) -> Result<bool, StoreError> {
        let sql = "DELETE FROM resting WHERE pool = ? AND addr = ?";
        let woken = self.change("wake address", &addr, sql, params![pool, Key::from(addr)])?;
        Ok(woken > 0)
    }

    /// Forgets what rests for a container that is no more.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn forget_resting_of(&self, holder: &str) -> Result<usize, StoreError> {
        let sql = "DELETE FROM resting WHERE holder = ?";
        self.change("forget what rests for", &holder, sql, [holder])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewAddress, Store};
    use fairlead_types::{ContainerId, IfName, Root};

    fn owner(container: &str) -> Owner {
        Owner {
            network: NetworkName::new("web").unwrap(),
            container: ContainerId::new(container).unwrap(),
            ifname: IfName::new("eth0").unwrap(),
        }
    }

    #[test]
    fn a_network_is_recorded_changed_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&Root::new(dir.path())).unwrap();
        let mut web = DockerNetwork {
            id: "8f81".into(),
            network: NetworkName::new("web").unwrap(),
            declared: true,
            internal: false,
            leased: true,
            pools: vec![DockerPool {
                subnet: "10.1.0.0/24".parse().unwrap(),
                gateway: "10.1.0.1".parse().ok(),
                kept: Vec::new(),
            }],
            name: None,
            origin: None,
        };
        store.write(|tx| tx.put_docker_network(&web)).unwrap();
        web.name = Some("My Net".into());
        store.write(|tx| tx.put_docker_network(&web)).unwrap();
        assert_eq!(
            store.view().docker_networks().unwrap(),
            std::slice::from_ref(&web)
        );
        assert_eq!(store.view().docker_network("8f81").unwrap(), Some(web));
        assert!(store.write(|tx| tx.remove_docker_network("8f81")).unwrap());
        assert!(!store.write(|tx| tx.remove_docker_network("8f81")).unwrap());
        assert_eq!(store.view().docker_network("8f81").unwrap(), None);
    }

    #[test]
    fn an_address_goes_from_one_owner_to_another_and_rests() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&Root::new(dir.path())).unwrap();
        let addr: IpAddr = "10.1.0.2".parse().unwrap();
        let (lease, endpoint) = (owner("lease-1"), owner("e1"));
        let new = NewAddress {
            pool: "web",
            addr,
            owner: &lease,
            netns: None,
            boot_lived: true,
        };
        store.write(|tx| tx.take_address(&new)).unwrap();
        let give = |store: &mut Store, from: &Owner, to: &Owner| {
            store
                .write(|tx| tx.hand_over("web", addr, from, to))
                .unwrap()
        };
        assert!(give(&mut store, &lease, &endpoint));
        assert!(
            !give(&mut store, &lease, &endpoint),
            "it is not its any more"
        );
        let held = store.view().address("web", addr).unwrap().unwrap();
        assert_eq!(held.owner, endpoint);
        let give_all = |store: &mut Store, from: &Owner, to: &Owner| {
            let given = store.write(|tx| tx.hand_over_all(from, to)).unwrap();
            given.into_iter().map(|held| held.addr).collect::<Vec<_>>()
        };
        assert_eq!(give_all(&mut store, &endpoint, &lease), [addr]);
        assert!(give_all(&mut store, &endpoint, &lease).is_empty());
        assert_eq!(give_all(&mut store, &lease, &endpoint), [addr]);
        for holder in ["", "c1"] {
            store
                .write(|tx| tx.put_to_rest("web", addr, holder))
                .unwrap();
        }
        let resting = store.view().resting("web").unwrap();
        assert_eq!((resting.len(), &*resting[0].holder), (1, "c1"));
        assert_eq!(store.write(|tx| tx.forget_resting_of("c1")).unwrap(), 1);
        store.write(|tx| tx.put_to_rest("web", addr, "c2")).unwrap();
        assert!(store.write(|tx| tx.wake("web", addr)).unwrap());
        assert!(!store.write(|tx| tx.wake("web", addr)).unwrap());
    }
}
