//! Masquerades: the addresses whose traffic leaves under the host's address.

use crate::attachments::owner_columns;
use crate::key::Key;
use crate::{NetnsRef, StoreError, Tx, View, row};
use fairlead_types::Owner;
use ipnet::IpNet;
use rusqlite::{Row, params};
use std::net::IpAddr;

/// An address that is masqueraded when it talks to anything outside its subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masquerade {
    /// The attachment it is for.
    pub owner: Owner,
    /// The container's address.
    pub addr: IpAddr,
    /// The network within which it keeps its own address.
    pub subnet: IpNet,
    /// The container's namespace, as far as it is known.
    pub netns: Option<NetnsRef>,
}

const COLUMNS: &str = "SELECT container, ifname, network, addr, subnet, netns FROM masquerades";
const OWNER: &str = " WHERE container = ? AND ifname = ? AND network = ?";

fn read(row: &Row<'_>) -> rusqlite::Result<Masquerade> {
    let subnet = row.get_ref(4)?.as_str()?;
    Ok(Masquerade {
        owner: row::owner(row, 0)?,
        addr: row.get::<_, Key>(3)?.addr(),
        subnet: subnet.parse().map_err(|error| row::bad(4, error))?,
        netns: row.get(5)?,
    })
}

impl View<'_> {
    /// The masquerades of one attachment.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn masquerades_of(&self, owner: &Owner) -> Result<Vec<Masquerade>, StoreError> {
        let sql = [COLUMNS, OWNER].concat();
        self.rows(owner, &sql, owner_columns(owner), read)
    }

    /// The masquerades of one address.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn masquerades_at(&self, addr: IpAddr) -> Result<Vec<Masquerade>, StoreError> {
        let sql = [COLUMNS, " WHERE addr = ?"].concat();
        self.rows(&addr, &sql, [Key::from(addr)], read)
    }

    /// The masquerades of one attachment that no other one has: an address may have a new
    /// holder before the old one's are removed.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn own_masquerades(&self, owner: &Owner) -> Result<Vec<Masquerade>, StoreError> {
        let mut own = Vec::new();
        for row in self.masquerades_of(owner)? {
            let same = |other: &Masquerade| other.owner != *owner && other.subnet == row.subnet;
            if !self.masquerades_at(row.addr)?.iter().any(same) {
                own.push(row);
            }
        }
        Ok(own)
    }

    /// Every masquerade of the node, by container.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn masquerades(&self) -> Result<Vec<Masquerade>, StoreError> {
        self.rows(&"masquerades", COLUMNS, [], read)
    }
}

impl Tx<'_> {
    /// Records a masquerade; one of the same owner and address is replaced.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn add_masquerade(&self, new: &Masquerade) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO masquerades(container, ifname, network, addr, subnet, netns) VALUES(?, ?, ?, ?, ?, ?)";
        let [container, ifname, network] = owner_columns(&new.owner);
        let addr = Key::from(new.addr);
        let subnet = new.subnet.to_string();
        let params = params![container, ifname, network, addr, subnet, new.netns];
        self.change("masquerade", &new.addr, sql, params).map(drop)
    }

    /// Removes the masquerades of one attachment.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn remove_masquerades(&self, owner: &Owner) -> Result<(), StoreError> {
        let sql = ["DELETE FROM masquerades", OWNER].concat();
        self.change("remove masquerades of", owner, &sql, owner_columns(owner))
            .map(drop)
    }
}
