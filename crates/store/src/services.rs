//! Services that were started on this node, and the addresses they had.

use crate::{StoreError, Tx, View, row};
use fairlead_types::{ObjectName, ResourceName};
use rusqlite::{Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// A service that was started on this node, and not stopped since. The record outlives the
/// boot: what an engine starts again then gets its addresses back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedService {
    /// Its name.
    pub object: ObjectName,
    /// When it was started, in seconds since 1970.
    pub since: u64,
    /// The addresses that its resources have or had.
    pub addresses: BTreeMap<ResourceName, StartedAddress>,
    /// The containers that were started for it, whatever became of its file.
    pub containers: BTreeMap<ResourceName, StartedContainer>,
}

/// The address of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedAddress {
    /// The addresses that it had last: those it gets again.
    pub ips: Vec<IpAddr>,
    /// Whether it is to have them: false once they were taken away on purpose.
    pub wanted: bool,
}

/// A container as its engine knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedContainer {
    /// The engine, by the word for it.
    pub kind: String,
    /// The engine's name for it.
    pub name: String,
    /// Where LXC keeps it, if not at its usual place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lxcpath: Option<PathBuf>,
}

const COLUMNS: &str = "SELECT object, since, addresses, containers FROM services";

fn read(row: &Row<'_>) -> rusqlite::Result<StartedService> {
    Ok(StartedService {
        object: row::name(row, 0)?,
        since: row.get(1)?,
        addresses: json(row, 2)?,
        containers: json(row, 3)?,
    })
}

fn json<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(index)?.as_str()?;
    serde_json::from_str(text).map_err(|error| row::bad(index, error))
}

impl View<'_> {
    /// Every service that was started, by name.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn services(&self) -> Result<Vec<StartedService>, StoreError> {
        let sql = [COLUMNS, " ORDER BY object"].concat();
        self.rows(&"services", &sql, [], read)
    }

    /// The record of one service.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn service(&self, object: &ObjectName) -> Result<Option<StartedService>, StoreError> {
        let sql = [COLUMNS, " WHERE object = ?"].concat();
        self.first(object, &sql, [object.as_str()], read)
    }
}

impl Tx<'_> {
    /// Records that a service is started, before anything of it is.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn service_started(&self, object: &ObjectName) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO services(object, since, addresses, containers) VALUES(?, ?, '{}', '{}')";
        let params = params![object.as_str(), crate::attachments::now()];
        self.change("record start of service", object, sql, params)?;
        Ok(())
    }

    /// Records the addresses that one resource is to have, if the service is started.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn service_addresses(
        &self,
        object: &ObjectName,
        resource: &ResourceName,
        addresses: &[IpAddr],
    ) -> Result<(), StoreError> {
        self.change_service(object, |service| {
            let address = StartedAddress {
                ips: addresses.to_vec(),
                wanted: true,
            };
            service.addresses.insert(resource.clone(), address);
        })
    }

    /// Records that one resource is not to have its addresses any more; which they were
    /// stays known.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn service_unwanted(
        &self,
        object: &ObjectName,
        resource: &ResourceName,
    ) -> Result<(), StoreError> {
        self.change_service(object, |service| {
            if let Some(address) = service.addresses.get_mut(resource) {
                address.wanted = false;
            }
        })
    }

    /// Records a container of a started service, before it is started; or, without one,
    /// that it is stopped.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn service_container(
        &self,
        object: &ObjectName,
        resource: &ResourceName,
        container: Option<&StartedContainer>,
    ) -> Result<(), StoreError> {
        self.change_service(object, |service| {
            match container {
                Some(container) => service
                    .containers
                    .insert(resource.clone(), container.clone()),
                None => service.containers.remove(resource),
            };
        })
    }

    fn change_service(
        &self,
        object: &ObjectName,
        change: impl FnOnce(&mut StartedService),
    ) -> Result<(), StoreError> {
        let Some(mut service) = self.service(object)? else {
            return Ok(());
        };
        change(&mut service);
        // Maps of texts are always written.
        let addresses = serde_json::to_string(&service.addresses).unwrap_or_default();
        let containers = serde_json::to_string(&service.containers).unwrap_or_default();
        let sql = "UPDATE services SET addresses = ?, containers = ? WHERE object = ?";
        let params = params![addresses, containers, object.as_str()];
        self.change("record service", object, sql, params)?;
        Ok(())
    }

    /// Forgets a service: it is stopped. Says whether it was known.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn service_stopped(&self, object: &ObjectName) -> Result<bool, StoreError> {
        let sql = "DELETE FROM services WHERE object = ?";
        let gone = self.change("forget service", object, sql, [object.as_str()])?;
        Ok(gone > 0)
    }
}

#[cfg(test)]
mod tests {
    use crate::{BootId, Store};
    use fairlead_types::{ObjectName, ResourceName};
    use std::net::IpAddr;

    #[test]
    fn a_service_is_known_until_it_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.db");
        let open = |boot| Store::open_file(&path, &BootId::new(boot)).unwrap();
        let web = ObjectName::new("shop/svc/web").unwrap();
        let ip: ResourceName = ResourceName::new("ip#0").unwrap();
        let address: IpAddr = "10.0.0.2".parse().unwrap();
        let mut store = open("one");
        store
            .write(|tx| tx.service_addresses(&web, &ip, &[address]))
            .unwrap();
        assert_eq!(store.view().service(&web).unwrap(), None);
        for _ in 0..2 {
            store.write(|tx| tx.service_started(&web)).unwrap();
            store
                .write(|tx| tx.service_addresses(&web, &ip, &[address]))
                .unwrap();
        }
        let known = open("one").view().services().unwrap();
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].addresses[&ip].ips, [address]);
        assert!(known[0].addresses[&ip].wanted);
        let container = super::StartedContainer {
            kind: "docker".into(),
            name: "box".into(),
            lxcpath: None,
        };
        let resource = ResourceName::new("container#0").unwrap();
        store
            .write(|tx| {
                tx.service_unwanted(&web, &ip)?;
                tx.service_container(&web, &resource, Some(&container))
            })
            .unwrap();
        let known = store.view().service(&web).unwrap().unwrap();
        assert_eq!(known.addresses[&ip].ips, [address]);
        assert!(!known.addresses[&ip].wanted);
        assert_eq!(known.containers[&resource], container);
        store
            .write(|tx| tx.service_container(&web, &resource, None))
            .unwrap();
        assert!(
            store
                .view()
                .service(&web)
                .unwrap()
                .unwrap()
                .containers
                .is_empty()
        );
        assert!(store.write(|tx| tx.service_stopped(&web)).unwrap());
        assert!(!store.write(|tx| tx.service_stopped(&web)).unwrap());
        store.write(|tx| tx.service_started(&web)).unwrap();
        drop(store);
        assert_eq!(open("two").view().services().unwrap().len(), 1);
    }
}
