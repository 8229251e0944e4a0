//! Giving addresses out and taking them back.

use crate::range::step;
use crate::{AllocateError, ImportReport, IpamError, Pool, Range, RangeSet, import_host_local};
use fairlead_store::{NetnsRef, NewAddress, Store, StoreError, Tx, View};
use fairlead_types::Owner;
use ipnet::IpNet;
use std::net::IpAddr;

/// What an attachment asks for: one address of each range set.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The pool.
    pub pool: &'a Pool,
    /// The range sets, see [`crate::IpamConfig::ranges`].
    pub sets: &'a [RangeSet],
    /// For whom.
    pub owner: &'a Owner,
    /// The container's namespace: when it is gone, the address may be reclaimed.
    pub netns: Option<&'a NetnsRef>,
    /// Certain addresses asked for, see [`crate::IpamConfig::requested`].
    pub requested: &'a [IpAddr],
}

/// An address given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The address with the prefix length of its subnet.
    pub address: IpNet,
    /// The gateway of its range.
    pub gateway: Option<IpAddr>,
}

/// What [`allocate`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allocation {
    /// One address of each range set, in their order.
    pub leases: Vec<Lease>,
    /// Owners who lost an address because their namespace is gone. What else they
    /// left (a masquerade, a published port that leads to the address) is for the
    /// caller to remove before the address is used.
    pub reclaimed: Vec<Owner>,
    /// What the first use of the pool took over from host-local.
    pub imported: Option<ImportReport>,
}

/// How much of a range set is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The addresses that are taken.
    pub used: u64,
    /// The addresses that it can give out.
    pub size: u128,
}

/// Gives out one address of each range set, or none at all, in one transaction.
///
/// # Errors
/// [`IpamError::Allocate`] or [`IpamError::NotInRanges`] with the words of host-local.
pub fn allocate(store: &mut Store, request: &Request<'_>) -> Result<Allocation, IpamError> {
    store.write(|tx| allocate_in(tx, request))
}

/// The same inside a transaction, which the caller gives up when it fails.
///
/// # Errors
/// As [`allocate`].
pub fn allocate_in(tx: &Tx<'_>, request: &Request<'_>) -> Result<Allocation, IpamError> {
    allocate_of(tx, request, 0..request.sets.len())
}

/// The same of some of the range sets only, for an engine that asks for one family at a
/// time; all of them are given, since each has a place of its own where the next search
/// starts.
///
/// # Errors
/// As [`allocate`].
pub fn allocate_of(
    tx: &Tx<'_>,
    request: &Request<'_>,
    sets: std::ops::Range<usize>,
) -> Result<Allocation, IpamError> {
    let pool = request.pool.id();
    let (cursors, imported) = begin(tx, request.pool)?;
    let mut search = Search {
        tx,
        request,
        held: tx.addresses_in(pool, request.owner)?,
        reclaimed: Vec::new(),
        searched: false,
    };
    search.forget_earlier()?;
    let mut wanted = request.requested.to_vec();
    let mut leases = Vec::with_capacity(sets.len());
    let chosen = request.sets.iter().enumerate();
    for (index, set) in chosen.filter(|(index, _)| sets.contains(index)) {
        let asked = wanted.iter().position(|addr| set.range_of(*addr).is_some());
        let found = match asked.map(|at| wanted.remove(at)) {
            Some(addr) => search.certain(set, addr),
            None => {
                let cursor = cursors.iter().find(|(of, _)| *of == index);
                search.any(set, cursor.map(|(_, last)| *last))
            }
        };
        let (range, addr) = found.map_err(|error| match error {
            Failure::Allocate(source) => IpamError::Allocate { index, source },
            Failure::Store(error) => error.into(),
        })?;
        tx.set_cursor(pool, index, addr)?;
        let host = IpNet::from(addr);
        leases.push(Lease {
            address: IpNet::new(addr, range.subnet().prefix_len()).unwrap_or(host),
            gateway: Some(range.gateway()),
        });
    }
    if !wanted.is_empty() {
        return Err(IpamError::NotInRanges(wanted));
    }
    Ok(Allocation {
        leases,
        reclaimed: search.reclaimed,
        imported,
    })
}

/// The cursors of a pool's range sets, by index.
type Cursors = Vec<(usize, IpAddr)>;

/// Where the search in each range set starts. The first use of a pool takes over
/// what host-local has of it; from then on this is one lookup.
fn begin(tx: &Tx<'_>, pool: &Pool) -> Result<(Cursors, Option<ImportReport>), IpamError> {
    if let Some(cursors) = tx.cursors(pool.id())? {
        return Ok((cursors, None));
    }
    tx.begin_pool(pool.id())?;
    let report = import_host_local(tx, pool, pool.host_local())?;
    let cursors = tx.cursors(pool.id())?.unwrap_or_default();
    Ok((cursors, Some(report)))
}

enum Failure {
    Allocate(AllocateError),
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// One request's search for addresses.
struct Search<'a> {
    tx: &'a Tx<'a>,
    request: &'a Request<'a>,
    /// What the owner had before.
    held: Vec<IpAddr>,
    /// Who lost an address.
    reclaimed: Vec<Owner>,
    /// Whether the whole pool was looked at for containers that are gone.
    searched: bool,
}

impl<'a> Search<'a> {
    /// A container that is started again under its name may have died without a DEL: what
    /// it had in a namespace that is gone is free.
    fn forget_earlier(&mut self) -> Result<(), StoreError> {
        let mut held = Vec::new();
        for addr in std::mem::take(&mut self.held) {
            if !self.reclaim_one(addr)? {
                held.push(addr);
            }
        }
        self.held = held;
        Ok(())
    }

    /// The address asked for.
    fn certain<'s>(
        &mut self,
        set: &'s RangeSet,
        addr: IpAddr,
    ) -> Result<(&'s Range, IpAddr), Failure> {
        let range = set.range_of(addr).filter(|_| !set.is_gateway(addr));
        let range = range.ok_or(Failure::Allocate(AllocateError::Gateway(addr)))?;
        match self.take(addr) {
            // What is kept for its owner is its own still.
            Err(StoreError::AddressTaken { .. })
                if self.tx.renew_kept_address(&self.row(addr))? => {}
            Err(StoreError::AddressTaken { holder, .. }) => {
                if !self.reclaim_one(addr)? {
                    let set = set.clone();
                    let taken = AllocateError::Taken { addr, set, holder };
                    return Err(Failure::Allocate(taken));
                }
                self.take(addr)?;
            }
            other => other?,
        }
        Ok((range, addr))
    }

    /// The next free address after the cursor.
    fn any<'s>(
        &mut self,
        set: &'s RangeSet,
        cursor: Option<IpAddr>,
    ) -> Result<(&'s Range, IpAddr), Failure> {
        if let Some(addr) = self.held.iter().find(|a| set.range_of(**a).is_some()) {
            return Err(Failure::Allocate(AllocateError::Duplicate {
                addr: *addr,
                container: self.request.owner.container.clone(),
            }));
        }
        let mut found = self.free(set, cursor)?;
        if found.is_none() && self.reclaim()? {
            found = self.free(set, cursor)?;
        }
        let (range, addr) =
            found.ok_or_else(|| Failure::Allocate(AllocateError::Full(set.clone())))?;
        self.take(addr)?;
        Ok((range, addr))
    }

    fn free<'s>(
        &self,
        set: &'s RangeSet,
        cursor: Option<IpAddr>,
    ) -> Result<Option<(&'s Range, IpAddr)>, StoreError> {
        for (range, mut from, to) in set.stretches(cursor) {
            while from <= to {
                let free = self.tx.first_free(self.request.pool.id(), from)?;
                match free.filter(|addr| range.contains(*addr) && *addr <= to) {
                    None => break,
                    Some(addr) if !set.is_gateway(addr) => return Ok(Some((range, addr))),
                    Some(addr) if addr == to => break,
                    Some(addr) => from = step(addr, 1),
                }
            }
        }
        Ok(None)
    }

    fn take(&self, addr: IpAddr) -> Result<(), StoreError> {
        self.tx.take_address(&self.row(addr))
    }

    fn row(&self, addr: IpAddr) -> NewAddress<'a> {
        NewAddress {
            pool: self.request.pool.id(),
            addr,
            owner: self.request.owner,
            netns: self.request.netns,
            boot_lived: true,
        }
    }

    /// Frees the addresses of containers whose namespace is gone, once a request;
    /// says whether there were any.
    fn reclaim(&mut self) -> Result<bool, StoreError> {
        if std::mem::replace(&mut self.searched, true) {
            return Ok(false);
        }
        let mut lost = Vec::new();
        for address in self.tx.addresses_of_pool(self.request.pool.id())? {
            if is_gone(&address) {
                self.tx.free_address(&address.pool, address.addr)?;
                lost.push(address.owner);
            }
        }
        lost.sort_unstable();
        lost.dedup();
        let any = !lost.is_empty();
        self.reclaimed.append(&mut lost);
        Ok(any)
    }

    fn reclaim_one(&mut self, addr: IpAddr) -> Result<bool, StoreError> {
        let pool = self.request.pool.id();
        let Some(address) = self.tx.address(pool, addr)?.filter(is_gone) else {
            return Ok(false);
        };
        self.tx.free_address(pool, addr)?;
        self.reclaimed.push(address.owner);
        Ok(true)
    }
}

/// Whether an address may be taken from its holder. One that is kept over reboots
/// is kept on purpose.
fn is_gone(address: &fairlead_store::Address) -> bool {
    let netns = address.netns.as_ref();
    address.boot_lived && netns.is_some_and(|netns| !netns.is_live())
}

/// Takes back what an attachment has of a pool and returns it; nothing is fine.
///
/// # Errors
/// [`IpamError::Store`], and [`IpamError::Import`] at the first use of the pool.
pub fn release(store: &mut Store, pool: &Pool, owner: &Owner) -> Result<Vec<IpAddr>, IpamError> {
    store.write(|tx| release_in(tx, pool, owner))
}

/// The same inside a transaction.
///
/// # Errors
/// As [`release`].
pub fn release_in(tx: &Tx<'_>, pool: &Pool, owner: &Owner) -> Result<Vec<IpAddr>, IpamError> {
    // It may be a container that host-local made.
    begin(tx, pool)?;
    Ok(tx.free_addresses_in(pool.id(), owner)?)
}

/// The addresses that an attachment has of a pool, for CHECK.
///
/// # Errors
/// [`IpamError::NotAllocated`] when it has none.
pub fn check(store: &mut Store, pool: &Pool, owner: &Owner) -> Result<Vec<IpAddr>, IpamError> {
    if store.view().cursors(pool.id())?.is_none() {
        store.write(|tx| begin(tx, pool))?;
    }
    let held = store.view().addresses_in(pool.id(), owner)?;
    if held.is_empty() {
        return Err(IpamError::NotAllocated(owner.container.clone()));
    }
    Ok(held)
}

/// How much of each range set is used.
///
/// # Errors
/// [`IpamError::Store`] when node state cannot be read.
pub fn pool_usage(
    view: &View<'_>,
    pool: &Pool,
    sets: &[RangeSet],
) -> Result<Vec<Usage>, IpamError> {
    let usage = |set: &RangeSet| {
        let mut used = 0;
        for range in set.ranges() {
            used += view.count_addresses(pool.id(), range.first(), range.last())?;
        }
        let size = set.size();
        Ok(Usage { used, size })
    };
    sets.iter().map(usage).collect()
}
