//! Services that were started on this node, and the addresses they had.

use crate::{StoreError, Tx, View, row};
use fairlead_types::{ObjectName, ResourceName};
use rusqlite::{Row, params};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A service that was started on this node, and not stopped since. The record outlives the
/// boot: what an engine starts again then gets its addresses back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedService {
    /// Its name.
    pub object: ObjectName,
    /// When it was started, in seconds since 1970.
    pub since: u64,
    /// The addresses that its resources had last: those they get again.
    pub addresses: BTreeMap<ResourceName, Vec<IpAddr>>,
}

const COLUMNS: &str = "SELECT object, since, addresses FROM services";

fn read(row: &Row<'_>) -> rusqlite::Result<StartedService> {
    let addresses = row.get_ref(2)?.as_str()?;
    Ok(StartedService {
        object: row::name(row, 0)?,
        since: row.get(1)?,
        addresses: serde_json::from_str(addresses).map_err(|error| row::bad(2, error))?,
    })
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
        let sql = "INSERT OR IGNORE INTO services(object, since, addresses) VALUES(?, ?, '{}')";
        let params = params![object.as_str(), crate::attachments::now()];
        self.change("record start of service", object, sql, params)?;
        Ok(())
    }

    /// Records the addresses of one resource, if the service is started.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn service_addresses(
        &self,
        object: &ObjectName,
        resource: &ResourceName,
        addresses: &[IpAddr],
    ) -> Result<(), StoreError> {
        let Some(mut service) = self.service(object)? else {
            return Ok(());
        };
        let addresses = addresses.to_vec();
        service.addresses.insert(resource.clone(), addresses);
        // A map of texts is always written.
        let text = serde_json::to_string(&service.addresses).unwrap_or_default();
        let sql = "UPDATE services SET addresses = ? WHERE object = ?";
        self.change(
            "record addresses of service",
            object,
            sql,
            params![text, object.as_str()],
        )?;
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
        assert_eq!(known[0].addresses[&ip], [address]);
        assert!(store.write(|tx| tx.service_stopped(&web)).unwrap());
        assert!(!store.write(|tx| tx.service_stopped(&web)).unwrap());
        store.write(|tx| tx.service_started(&web)).unwrap();
        drop(store);
        assert_eq!(open("two").view().services().unwrap().len(), 1);
    }
}
