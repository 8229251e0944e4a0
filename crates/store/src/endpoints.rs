//! Endpoints: network namespaces that outlive their containers, with the addresses in them.
//! A container that starts again, or that takes another's place, finds them as they were.

use crate::{Actor, NetnsRef, StoreError, Tx, View, row};
use fairlead_types::{ContainerId, IfName, NetworkName, Owner};
use ipnet::IpNet;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::path::PathBuf;

/// A namespace that is kept, and what is in it. It outlives a boot, though the namespace
/// does not: then it is made anew, with the same addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The container that it was made for, by which its attachments are recorded.
    pub owner: ContainerId,
    /// The namespace; none before the first was made.
    pub netns: Option<NetnsRef>,
    /// Its interfaces.
    pub places: Vec<EndpointPlace>,
    /// Who uses it now.
    pub tenant: Option<Tenant>,
    /// The containers that it is kept for. Without any it goes with its tenant.
    pub connected: Vec<Connected>,
}

/// One interface of an [`Endpoint`], with what a new ADD of it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointPlace {
    /// The network.
    pub network: NetworkName,
    /// The interface.
    pub ifname: IfName,
    /// The addresses that are kept.
    pub addresses: Vec<IpNet>,
    /// The configuration that was run.
    pub config: String,
    /// The arguments of ADD.
    pub args: Vec<(String, String)>,
    /// The capability arguments of ADD.
    pub capabilities: Map<String, Value>,
}

/// Who uses an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// The container.
    pub container: ContainerId,
    /// Its bundle, which is there as long as the container is at its runtime.
    pub bundle: PathBuf,
    /// The process that took it, which becomes the container's runtime.
    pub taker: Actor,
}

/// A container that an [`Endpoint`] is kept for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    /// The container.
    pub container: ContainerId,
    /// A directory that its engine has as long as it has the container, where one is known.
    pub home: Option<PathBuf>,
    /// Device and inode of the folder that `home` is in.
    above: Option<(u64, u64)>,
}

impl Endpoint {
    /// Whether the endpoint is kept for a container.
    #[must_use]
    pub fn is_connected(&self, container: &ContainerId) -> bool {
        self.connected.iter().any(|c| c.container == *container)
    }

    /// Whether an address on a network is its own.
    #[must_use]
    pub fn has(&self, network: &NetworkName, address: IpAddr) -> bool {
        let of = |place: &&EndpointPlace| place.network == *network;
        let mut own = self.places.iter().filter(of).flat_map(|p| &p.addresses);
        own.any(|own| own.addr() == address)
    }

    /// By whom the attachment of one of its interfaces is recorded.
    #[must_use]
    pub fn owner_at(&self, place: &EndpointPlace) -> Owner {
        Owner {
            network: place.network.clone(),
            container: self.owner.clone(),
            ifname: place.ifname.clone(),
        }
    }

    /// The namespace, if it is still there: a reboot ends it.
    #[must_use]
    pub fn live_netns(&self) -> Option<&NetnsRef> {
        self.netns.as_ref().filter(|netns| netns.is_live())
    }
}

impl Tenant {
    /// Whether the container runs in `netns`, or is on its way there.
    #[must_use]
    pub fn runs(&self, netns: Option<&NetnsRef>) -> bool {
        self.taker.is_live() || self.init().is_some_and(|pid| is_in(pid, netns))
    }

    /// The same, and where nobody tells the container's first process, whether its runtime
    /// still has its bundle.
    #[must_use]
    pub fn is_there(&self, netns: Option<&NetnsRef>) -> bool {
        let has_bundle = || self.bundle.join("config.json").exists();
        let untold = || netns.is_some() && self.init().is_none() && has_bundle();
        self.runs(netns) || untold()
    }

    /// The container's first process, as containerd's shim writes it down.
    fn init(&self) -> Option<u32> {
        let pid = std::fs::read_to_string(self.bundle.join("init.pid"));
        pid.ok()?.trim().parse().ok()
    }
}

/// Whether a process is in a namespace: its number alone may be another one's by now.
fn is_in(pid: u32, netns: Option<&NetnsRef>) -> bool {
    let own = NetnsRef::of(&PathBuf::from(format!("/proc/{pid}/ns/net"))).ok();
    own.zip(netns)
        .is_some_and(|(own, netns)| (own.dev, own.ino) == (netns.dev, netns.ino))
}

impl Connected {
    /// A container that is kept for, with its engine's folder of it.
    #[must_use]
    pub fn new(container: ContainerId, home: Option<PathBuf>) -> Self {
        let above = home.as_deref().and_then(place_above);
        Self {
            container,
            home,
            above,
        }
    }

    /// Whether the engine has no such container any more. Where its directory cannot be
    /// told to be gone it counts as there.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let Some(home) = &self.home else { return false };
        // A disk that is not mounted, or an empty folder in its place, says nothing.
        let same = self.above.is_some() && place_above(home) == self.above;
        same && matches!(home.try_exists(), Ok(false))
    }
}

/// Device and inode of the folder that a path is in.
fn place_above(path: &std::path::Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let above = std::fs::metadata(path.parent()?).ok()?;
    Some((above.dev(), above.ino()))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Endpoint> {
    let text = row.get_ref(0)?.as_str()?;
    serde_json::from_str(text).map_err(|error| row::bad(0, error))
}

impl View<'_> {
    /// Every endpoint, by its owner.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        let sql = "SELECT record FROM endpoints ORDER BY owner";
        self.rows(&"endpoints", sql, [], read)
    }

    /// The endpoint that a container uses, is kept for, or was made for.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn endpoint_of(&self, container: &ContainerId) -> Result<Option<Endpoint>, StoreError> {
        let sql = "SELECT record FROM endpoints WHERE owner = (SELECT owner FROM endpoint_containers WHERE container = ?)";
        self.first(container, sql, [container.as_str()], read)
    }
}

impl Tx<'_> {
    /// Records an endpoint, in the place of what was known of it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn put_endpoint(&self, endpoint: &Endpoint) -> Result<(), StoreError> {
        let owner = endpoint.owner.as_str();
        let record = serde_json::to_string(endpoint).unwrap_or_default();
        let sql = "INSERT OR REPLACE INTO endpoints(owner, record) VALUES(?, ?)";
        self.change("record endpoint of", &owner, sql, params![owner, record])?;
        let sql = "DELETE FROM endpoint_containers WHERE owner = ?";
        self.change("record endpoint of", &owner, sql, [owner])?;
        let tenant = endpoint.tenant.iter().map(|tenant| &tenant.container);
        let connected = endpoint.connected.iter().map(|c| &c.container);
        for container in tenant.chain(connected).chain([&endpoint.owner]) {
            let sql = "INSERT OR REPLACE INTO endpoint_containers(container, owner) VALUES(?, ?)";
            let params = params![container.as_str(), owner];
            self.change("record endpoint of", &owner, sql, params)?;
        }
        Ok(())
    }

    /// Forgets an endpoint; says whether it was known.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn remove_endpoint(&self, owner: &ContainerId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM endpoint_containers WHERE owner = ?";
        self.change("forget endpoint of", owner, sql, [owner.as_str()])?;
        let sql = "DELETE FROM endpoints WHERE owner = ?";
        let removed = self.change("forget endpoint of", owner, sql, [owner.as_str()])?;
        Ok(removed > 0)
    }

    /// Keeps the addresses of an owner over a boot, or lets them end with it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn keep_addresses_of(&self, owner: &Owner, kept: bool) -> Result<usize, StoreError> {
        let sql =
            "UPDATE addresses SET boot = ? WHERE container = ? AND ifname = ? AND network = ?";
        let params = params![
            !kept,
            owner.container.as_str(),
            owner.ifname.as_str(),
            owner.network.as_str()
        ];
        self.change("keep addresses of", owner, sql, params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BootId, NewAddress, Store};

    fn id(text: &str) -> ContainerId {
        ContainerId::new(text).unwrap()
    }

    fn endpoint(owner: &str) -> Endpoint {
        Endpoint {
            owner: id(owner),
            netns: None,
            places: vec![EndpointPlace {
                network: NetworkName::new("back").unwrap(),
                ifname: IfName::new("eth0").unwrap(),
                addresses: vec!["10.1.0.7/24".parse().unwrap()],
                config: "{}".into(),
                args: vec![("IP".into(), "10.1.0.7".into())],
                capabilities: Map::new(),
            }],
            tenant: None,
            connected: vec![Connected::new(id(owner), None)],
        }
    }

    #[test]
    fn an_endpoint_is_found_by_each_container_it_is_kept_for_and_by_its_tenant() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open_file(&dir.path().join("a.db"), &BootId::new("1")).unwrap();
        let mut one = endpoint("a");
        store.write(|tx| tx.put_endpoint(&one)).unwrap();
        assert_eq!(store.view().endpoint_of(&id("b")).unwrap(), None);
        let home = Some("/nowhere/containers/b".into());
        one.connected.push(Connected::new(id("b"), home));
        one.tenant = Some(Tenant {
            container: id("c"),
            bundle: "/nowhere".into(),
            taker: Actor { pid: 1, started: 1 },
        });
        store.write(|tx| tx.put_endpoint(&one)).unwrap();
        for name in ["a", "b", "c"] {
            let found = store.view().endpoint_of(&id(name)).unwrap();
            assert_eq!(found.as_ref(), Some(&one), "{name}");
        }
        one.tenant = None;
        one.connected.remove(0);
        store.write(|tx| tx.put_endpoint(&one)).unwrap();
        assert_eq!(store.view().endpoint_of(&id("c")).unwrap(), None);
        assert!(store.write(|tx| tx.remove_endpoint(&id("a"))).unwrap());
        assert!(!store.write(|tx| tx.remove_endpoint(&id("a"))).unwrap());
        assert_eq!(store.view().endpoint_of(&id("b")).unwrap(), None);
        assert_eq!(store.view().endpoints().unwrap(), []);
    }

    #[test]
    fn an_endpoint_and_its_kept_addresses_outlive_a_boot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let one = endpoint("a");
        let owner = one.owner_at(&one.places[0]);
        let mut store = Store::open_file(&path, &BootId::new("1")).unwrap();
        store
            .write(|tx| {
                tx.put_endpoint(&one)?;
                for (addr, kept) in [("10.1.0.7", true), ("10.1.0.8", false)] {
                    let mut owner = owner.clone();
                    if !kept {
                        owner.container = id("other");
                    }
                    tx.take_address(&NewAddress {
                        pool: "back",
                        addr: addr.parse().unwrap(),
                        owner: &owner,
                        netns: None,
                        boot_lived: true,
                    })?;
                }
                tx.keep_addresses_of(&owner, true)
            })
            .unwrap();
        drop(store);
        let store = Store::open_file(&path, &BootId::new("2")).unwrap();
        assert_eq!(store.view().endpoints().unwrap(), [one]);
        let left = store.view().addresses().unwrap();
        let left: Vec<_> = left.iter().map(|a| a.addr.to_string()).collect();
        assert_eq!(left, ["10.1.0.7"]);
    }

    #[test]
    fn a_container_is_gone_only_when_its_directory_is_and_that_can_be_told() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("containers/a");
        std::fs::create_dir_all(&home).unwrap();
        let one = Connected::new(id("a"), Some(home.clone()));
        assert!(!one.is_gone());
        std::fs::remove_dir(&home).unwrap();
        assert!(one.is_gone());
        let above = dir.path().join("containers");
        std::fs::remove_dir(&above).unwrap();
        assert!(!one.is_gone(), "its disk may not be mounted");
        // Beside it, so that the new one is another.
        std::fs::create_dir(dir.path().join("other")).unwrap();
        std::fs::create_dir(&above).unwrap();
        assert!(!one.is_gone(), "it is another folder");
        assert!(!Connected::new(id("a"), None).is_gone());
    }
}
