//! Addresses: who holds which, and where the next search in a pool starts.
//!
//! A pool is a domain in which an address has one holder: the name of a network,
//! or something longer where two networks of one name are kept apart.

use crate::key::Key;
use crate::{NetnsRef, StoreError, Tx, View, row};
use fairlead_types::{ContainerId, IfName, Owner};
use rusqlite::{Row, params};
use std::net::IpAddr;

/// An address that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The allocation domain.
    pub pool: String,
    /// The address, without a prefix length.
    pub addr: IpAddr,
    /// Who holds it.
    pub owner: Owner,
    /// The namespace it is configured in, as far as it is known.
    pub netns: Option<NetnsRef>,
    /// Whether it ends with this boot. A reserved address does not.
    pub boot_lived: bool,
    /// When it was taken, in seconds since 1970.
    pub since: u64,
}

/// An address to take.
#[derive(Debug, Clone, Copy)]
pub struct NewAddress<'a> {
    /// The allocation domain.
    pub pool: &'a str,
    /// The address.
    pub addr: IpAddr,
    /// Who shall hold it.
    pub owner: &'a Owner,
    /// The namespace it will be configured in.
    pub netns: Option<&'a NetnsRef>,
    /// Whether it ends with this boot.
    pub boot_lived: bool,
}

const COLUMNS: &str = "SELECT container, ifname, network, pool, addr, netns, boot, since";
const OF_OWNER: &str = " FROM addresses WHERE container = ? AND ifname = ?";

fn read(row: &Row<'_>) -> rusqlite::Result<Address> {
    Ok(Address {
        owner: row::owner(row, 0)?,
        pool: row.get(3)?,
        addr: row.get::<_, Key>(4)?.addr(),
        netns: row.get(5)?,
        boot_lived: row.get(6)?,
        since: row.get(7)?,
    })
}

impl View<'_> {
    /// What is known of one address, none when it is free.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn address(&self, pool: &str, addr: IpAddr) -> Result<Option<Address>, StoreError> {
        let sql = [COLUMNS, " FROM addresses WHERE pool = ? AND addr = ?"].concat();
        self.first(&addr, &sql, params![pool, Key::from(addr)], read)
    }

    /// The addresses of one interface of a container, in every pool.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn addresses_of(
        &self,
        container: &ContainerId,
        ifname: &IfName,
    ) -> Result<Vec<Address>, StoreError> {
        let sql = [COLUMNS, OF_OWNER].concat();
        let params = [container.as_str(), ifname.as_str()];
        self.rows(container, &sql, params, read)
    }

    /// The addresses that a container's interface has in one pool, in order.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn addresses_in(&self, pool: &str, owner: &Owner) -> Result<Vec<IpAddr>, StoreError> {
        let sql = ["SELECT addr", OF_OWNER, " AND pool = ? ORDER BY addr"].concat();
        let params = [owner.container.as_str(), owner.ifname.as_str(), pool];
        self.rows(owner, &sql, params, |row| Ok(row.get::<_, Key>(0)?.addr()))
    }

    /// Every address of one pool, in order.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn addresses_of_pool(&self, pool: &str) -> Result<Vec<Address>, StoreError> {
        let sql = [COLUMNS, " FROM addresses WHERE pool = ? ORDER BY addr"].concat();
        self.rows(&pool, &sql, [pool], read)
    }

    /// Every address of the node, by pool and in order.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn addresses(&self) -> Result<Vec<Address>, StoreError> {
        let sql = [COLUMNS, " FROM addresses ORDER BY pool, addr"].concat();
        self.rows(&"addresses", &sql, [], read)
    }

    /// How many addresses of `pool` from `first` to `last`, both included, are taken.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn count_addresses(
        &self,
        pool: &str,
        first: IpAddr,
        last: IpAddr,
    ) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM addresses WHERE pool = ? AND addr BETWEEN ? AND ?";
        let params = params![pool, Key::from(first), Key::from(last)];
        let count = self.first(&pool, sql, params, |row| row.get(0))?;
        Ok(count.unwrap_or(0))
    }

    /// The address last given out of each range set of `pool`, by the set's index.
    /// None altogether when [`Tx::begin_pool`] has not been called for it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn cursors(&self, pool: &str) -> Result<Option<Vec<(usize, IpAddr)>>, StoreError> {
        let sql = "SELECT set_index, last FROM cursors WHERE pool = ?";
        let rows = self.rows(&pool, sql, [pool], |row| {
            let last: Option<Key> = row.get(1)?;
            Ok((row.get::<_, i64>(0)?, last))
        })?;
        if rows.is_empty() {
            return Ok(None);
        }
        let given = rows
            .into_iter()
            .filter_map(|(index, last)| Some((usize::try_from(index).ok()?, last?.addr())));
        Ok(Some(given.collect()))
    }
}

impl Tx<'_> {
    /// Takes an address.
    ///
    /// # Errors
    /// [`StoreError::AddressTaken`] when someone holds it, the same owner included.
    pub fn take_address(&self, new: &NewAddress<'_>) -> Result<(), StoreError> {
        let since = crate::attachments::now();
        let sql = "INSERT OR IGNORE INTO addresses(pool, addr, container, ifname, network, netns, boot, since) VALUES(?, ?, ?, ?, ?, ?, ?, ?)";
        let params = params![
            new.pool,
            Key::from(new.addr),
            new.owner.container.as_str(),
            new.owner.ifname.as_str(),
            new.owner.network.as_str(),
            new.netns,
            new.boot_lived,
            since,
        ];
        if self.change("take address", &new.addr, sql, params)? == 0 {
            let holder = self.address(new.pool, new.addr)?;
            return Err(StoreError::AddressTaken {
                pool: new.pool.to_owned(),
                addr: new.addr,
                holder: Box::new(holder.map_or_else(|| new.owner.clone(), |held| held.owner)),
            });
        }
        self.run_add(new.pool, new.addr)
    }

    /// Frees one address; says whether it was taken.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn free_address(&self, pool: &str, addr: IpAddr) -> Result<bool, StoreError> {
        let sql = "DELETE FROM addresses WHERE pool = ? AND addr = ?";
        let taken = self.change("free address", &addr, sql, params![pool, Key::from(addr)])? > 0;
        if taken {
            self.run_remove(pool, addr)?;
        }
        Ok(taken)
    }

    /// Frees what a container's interface holds in one pool and returns it. What is kept over
    /// a boot stays: that is given free by who keeps it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn free_addresses_in(&self, pool: &str, owner: &Owner) -> Result<Vec<IpAddr>, StoreError> {
        let held = self.free_passing_addresses_of(owner, Some(pool))?;
        Ok(held.into_iter().map(|address| address.addr).collect())
    }

    /// Frees what an attachment holds, in one pool or in every one, but for what is kept over
    /// a boot; returns it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn free_passing_addresses_of(
        &self,
        owner: &Owner,
        pool: Option<&str>,
    ) -> Result<Vec<Address>, StoreError> {
        let mut held = self.addresses_of(&owner.container, &owner.ifname)?;
        held.retain(|address| {
            let in_pool = pool.is_none_or(|pool| address.pool == pool);
            address.owner == *owner && address.boot_lived && in_pool
        });
        for address in &held {
            self.free_address(&address.pool, address.addr)?;
        }
        Ok(held)
    }

    /// Notes in which namespace a kept address of an owner is now; says whether it has it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn renew_kept_address(&self, new: &NewAddress<'_>) -> Result<bool, StoreError> {
        let held = self.address(new.pool, new.addr)?;
        if !held.is_some_and(|held| held.owner == *new.owner && !held.boot_lived) {
            return Ok(false);
        }
        let sql = "UPDATE addresses SET netns = ? WHERE pool = ? AND addr = ?";
        let params = params![new.netns, new.pool, Key::from(new.addr)];
        self.change("renew address", &new.addr, sql, params)?;
        Ok(true)
    }

    /// Frees what an attachment holds in every pool and returns it: for `gc`, which
    /// does not know the pools of a network.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn free_addresses_of(&self, owner: &Owner) -> Result<Vec<Address>, StoreError> {
        let mut held = self.addresses_of(&owner.container, &owner.ifname)?;
        held.retain(|address| address.owner == *owner);
        for address in &held {
            self.free_address(&address.pool, address.addr)?;
        }
        Ok(held)
    }

    /// Notes that `pool` is in use, so that [`View::cursors`] has an answer.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn begin_pool(&self, pool: &str) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO cursors(pool, set_index, last) VALUES(?, -1, NULL)";
        self.change("begin pool", &pool, sql, [pool]).map(drop)
    }

    /// Notes the address given last out of a range set of `pool`.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn set_cursor(&self, pool: &str, set: usize, last: IpAddr) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO cursors(pool, set_index, last) VALUES(?, ?, ?)";
        let params = params![pool, set, Key::from(last)];
        self.change("move the cursor of pool", &pool, sql, params)
            .map(drop)
    }
}
