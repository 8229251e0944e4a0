//! Runs: the longest stretches of taken addresses of a pool.
//!
//! No two runs of a pool touch or overlap, so the address after a run is free,
//! and the first free address from anywhere is one lookup, however many are
//! taken. Each change of `addresses` changes at most two runs, in the same
//! transaction.

use crate::key::{self, Key};
use crate::{StoreError, Tx, View};
use rusqlite::{Connection, params};
use std::net::IpAddr;

const BEFORE: &str =
    "SELECT first, last FROM runs WHERE pool = ? AND first <= ? ORDER BY first DESC LIMIT 1";
const AT: &str = "SELECT last FROM runs WHERE pool = ? AND first = ?";
const INSERT: &str = "INSERT INTO runs(pool, first, last) VALUES(?, ?, ?)";
const DELETE: &str = "DELETE FROM runs WHERE pool = ? AND first = ?";
const STRETCH: &str = "UPDATE runs SET last = ? WHERE pool = ? AND first = ?";

/// A run, both ends taken.
type Run = (IpAddr, IpAddr);

impl View<'_> {
    /// The first address from `from` on that `pool` has free, `from` itself
    /// included; none when all up to the end of the family are taken.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn first_free(&self, pool: &str, from: IpAddr) -> Result<Option<IpAddr>, StoreError> {
        Ok(match self.run_with(pool, from)? {
            Some((_, last)) => key::next(last),
            None => Some(from),
        })
    }

    /// The run that `addr` is in.
    fn run_with(&self, pool: &str, addr: IpAddr) -> Result<Option<Run>, StoreError> {
        let run = self.first(&pool, BEFORE, params![pool, Key::from(addr)], |row| {
            Ok((row.get::<_, Key>(0)?.addr(), row.get::<_, Key>(1)?.addr()))
        })?;
        Ok(run.filter(|(_, last)| *last >= addr))
    }
}

impl Tx<'_> {
    /// Takes a free address into the runs.
    pub(crate) fn run_add(&self, pool: &str, addr: IpAddr) -> Result<(), StoreError> {
        let before = match key::previous(addr) {
            Some(previous) => self.run_with(pool, previous)?,
            None => None,
        };
        let after = match key::next(addr) {
            Some(next) => {
                let last = self.first(&pool, AT, params![pool, Key::from(next)], |row| {
                    Ok(row.get::<_, Key>(0)?.addr())
                })?;
                last.map(|last| (next, last))
            }
            None => None,
        };
        if let Some((next, _)) = after {
            self.run(pool, DELETE, params![pool, Key::from(next)])?;
        }
        let last = after.map_or(addr, |(_, last)| last);
        match before {
            Some((first, _)) => self.run(
                pool,
                STRETCH,
                params![Key::from(last), pool, Key::from(first)],
            ),
            None => self.run(
                pool,
                INSERT,
                params![pool, Key::from(addr), Key::from(last)],
            ),
        }
    }

    /// Takes an address out of its run.
    pub(crate) fn run_remove(&self, pool: &str, addr: IpAddr) -> Result<(), StoreError> {
        let Some((first, last)) = self.run_with(pool, addr)? else {
            return Ok(());
        };
        match key::previous(addr) {
            Some(previous) if addr > first => self.run(
                pool,
                STRETCH,
                params![Key::from(previous), pool, Key::from(first)],
            )?,
            _ => self.run(pool, DELETE, params![pool, Key::from(first)])?,
        }
        match key::next(addr) {
            Some(next) if addr < last => self.run(
                pool,
                INSERT,
                params![pool, Key::from(next), Key::from(last)],
            ),
            _ => Ok(()),
        }
    }

    fn run(&self, pool: &str, sql: &str, params: impl rusqlite::Params) -> Result<(), StoreError> {
        self.change("change the runs of pool", &pool, sql, params)
            .map(drop)
    }
}

/// Makes the runs anew from the addresses.
pub(crate) fn rebuild(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM runs", [])?;
    let mut addresses = conn.prepare("SELECT pool, addr FROM addresses ORDER BY pool, addr")?;
    let mut insert = conn.prepare(INSERT)?;
    let mut rows = addresses.query([])?;
    let mut open: Option<(String, IpAddr, IpAddr)> = None;
    while let Some(row) = rows.next()? {
        let pool = row.get_ref(0)?.as_str()?;
        let addr = row.get::<_, Key>(1)?.addr();
        match &mut open {
            Some((same, _, last)) if same == pool && key::next(*last) == Some(addr) => *last = addr,
            _ => {
                if let Some((pool, first, last)) = open.take() {
                    insert.execute(params![pool, Key::from(first), Key::from(last)])?;
                }
                open = Some((pool.to_owned(), addr, addr));
            }
        }
    }
    if let Some((pool, first, last)) = open {
        insert.execute(params![pool, Key::from(first), Key::from(last)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BootId, NewAddress, Store};
    use fairlead_types::Owner;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn owner() -> Owner {
        Owner {
            network: "n".parse().unwrap(),
            container: "c".parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        }
    }

    /// The runs of a set of addresses, found the slow way.
    fn model(taken: &BTreeSet<IpAddr>) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for addr in taken {
            match runs.last_mut() {
                Some((_, last)) if key::next(*last) == Some(*addr) => *last = *addr,
                _ => runs.push((*addr, *addr)),
            }
        }
        runs
    }

    fn stored(view: &View<'_>) -> Vec<Run> {
        let sql = "SELECT first, last FROM runs WHERE pool = 'p' ORDER BY first";
        let read = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, Key>(0)?.addr(), row.get::<_, Key>(1)?.addr()))
        };
        view.rows(&"runs", sql, [], read).unwrap()
    }

    /// Addresses close together, at both ends of both families.
    fn addr() -> impl Strategy<Value = IpAddr> {
        let near = prop_oneof![0..12u32, u32::MAX - 5..=u32::MAX];
        (near, any::<bool>()).prop_map(|(n, v4)| {
            if v4 {
                IpAddr::V4(n.into())
            } else {
                IpAddr::V6((u128::MAX - u128::from(u32::MAX - n)).into())
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn runs_follow_the_addresses(steps in prop::collection::vec((addr(), any::<bool>()), 1..60)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("db");
            let mut store = Store::open_file(&path, &BootId::new("a")).unwrap();
            let owner = owner();
            let mut taken = BTreeSet::new();
            for (number, (addr, take)) in steps.into_iter().enumerate() {
                store.write(|tx| {
                    let boot_lived = number % 2 == 0;
                    let new = NewAddress { pool: "p", addr, owner: &owner, netns: None, boot_lived };
                    if take {
                        assert_eq!(tx.take_address(&new).is_ok(), taken.insert(addr));
                    } else {
                        assert_eq!(tx.free_address("p", addr)?, taken.remove(&addr));
                    }
                    Ok::<_, StoreError>(())
                }).unwrap();
                prop_assert_eq!(stored(&store.view()), model(&taken));
                let free = store.view().first_free("p", addr).unwrap();
                let mut expected = Some(addr);
                while let Some(taken_one) = expected.filter(|a| taken.contains(a)) {
                    expected = key::next(taken_one);
                }
                prop_assert_eq!(free, expected);
            }
            drop(store);
            let store = Store::open_file(&path, &BootId::new("b")).unwrap();
            let left = store.view().addresses().unwrap();
            prop_assert!(left.iter().all(|address| !address.boot_lived));
            let left = left.into_iter().map(|address| address.addr).collect();
            prop_assert_eq!(stored(&store.view()), model(&left));
        }
    }
}
