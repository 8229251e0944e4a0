//! Addresses that an engine was given: taken by a lease, handed to the endpoint, back to a
//! lease when the endpoint ends, and free when the engine says so.

use crate::choose::choose;
use crate::error::DoorError;
use crate::target::Target;
use crate::view::View;
use fairlead_attach::{Node, is_lease, lease};
use fairlead_cluster::{Claimed, Cluster, ClusterError};
use fairlead_ipam::{AllocateError, IpamError, Pool, Range, RangeSet, Request, allocate_of};
use fairlead_store::{NewAddress, StoreError, Tx};
use fairlead_types::{NetworkName, Owner};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::debug;

/// How many addresses are tried that other nodes turn out to have.
const TRIES: usize = 256;

/// Where addresses of one network are kept.
pub(crate) struct Leases<'a> {
    pub(crate) node: &'a Node,
    pub(crate) cluster: Option<&'a Cluster>,
    pub(crate) target: &'a Target,
}

impl Leases<'_> {
    fn pool(&self) -> Pool {
        pool_of(self.node, self.target.name())
    }

    /// Takes the address that is asked for, or a free one of the family; `range` is the part
    /// that may be given out.
    pub(crate) fn take(
        &self,
        asked: Option<IpAddr>,
        v6: bool,
        range: Option<IpNet>,
        view: &View,
    ) -> Result<IpNet, DoorError> {
        if let Some(address) = asked {
            // The range is for addresses that nobody named.
            self.target.check(address, None)?;
            self.refuse_published(address)?;
        }
        let mut tried = Vec::new();
        let taken = loop {
            let (owner, found) = match self.allocate(asked, v6, range, view) {
                Ok(found) => found,
                Err(error) => break Err(error),
            };
            match self.claim(found.addr(), asked.is_some()) {
                Ok(None) => break Ok(found),
                Ok(Some(node)) if asked.is_some() || tried.len() == TRIES => {
                    tried.push(owner);
                    break Err(DoorError::TakenOn {
                        address: found.addr(),
                        network: self.target.name().clone(),
                        node,
                    });
                }
                // The next one is looked for while this one counts as taken.
                Ok(Some(_)) => tried.push(owner),
                Err(error) => {
                    tried.push(owner);
                    break Err(error);
                }
            }
        };
        for owner in &tried {
            self.node
                .host()
                .store(|store| store.write(|tx| tx.free_addresses_of(owner)))?;
        }
        taken
    }

    /// Takes an address on this node, by a lease.
    fn allocate(
        &self,
        asked: Option<IpAddr>,
        v6: bool,
        range: Option<IpNet>,
        view: &View,
    ) -> Result<(Owner, IpNet), DoorError> {
        let pool = self.pool();
        let owner = lease(self.target.name(), &key())?;
        let sets = self.sets(v6, range.filter(|_| asked.is_none()))?;
        let place = self.place(v6)?;
        let take = |tx: &Tx<'_>| {
            let address = match asked {
                Some(address) => Some(address),
                None => self.rested(tx, pool.id(), sets.get(place), view)?,
            };
            let wanted: Vec<IpAddr> = address.into_iter().collect();
            let request = Request {
                pool: &pool,
                sets: &sets,
                owner: &owner,
                netns: None,
                requested: &wanted,
            };
            if let Some(address) = asked
                && let Some(held) = tx.address(pool.id(), address)?
                && is_unanswered(&held.owner)
            {
                tx.free_address(pool.id(), address)?;
            }
            let cursors = tx.cursors(pool.id())?.unwrap_or_default();
            let taken = allocate_of(tx, &request, place..place + 1)?;
            // One that is given again is no place to go on from: behind it are those that
            // rest for others.
            let cursor = cursors.iter().find(|(set, _)| *set == place);
            if let (None, Some(_), Some((_, last))) = (asked, address, cursor) {
                tx.set_cursor(pool.id(), place, *last)?;
            }
            for lease in &taken.leases {
                tx.wake(pool.id(), lease.address.addr())?;
            }
            Ok::<_, IpamError>(taken)
        };
        let mut taken = Err(IpamError::NoIpam);
        self.node.host().store(|store| {
            taken = store.write(take);
            Ok(())
        })?;
        let taken = taken.map_err(|error| match error {
            IpamError::Allocate {
                source: AllocateError::Taken { addr, holder, .. },
                ..
            } => self.taken(addr, &holder),
            error => error.into(),
        })?;
        let lease = taken.leases.first().copied();
        let lease = lease.ok_or(DoorError::Ipam(IpamError::NoIpam))?;
        Ok((owner, lease.address))
    }

    fn taken(&self, address: IpAddr, owner: &Owner) -> DoorError {
        DoorError::Taken {
            address,
            holder: crate::error::holder(self.node, owner),
        }
    }

    /// The free address that rests for who asks, if one does.
    fn rested(
        &self,
        tx: &Tx<'_>,
        pool: &str,
        set: Option<&RangeSet>,
        view: &View,
    ) -> Result<Option<IpAddr>, StoreError> {
        let mut free = Vec::new();
        for row in tx.resting(pool)? {
            let fits =
                |set: &RangeSet| set.range_of(row.addr).is_some() && !set.is_gateway(row.addr);
            if set.is_some_and(fits) && tx.address(pool, row.addr)?.is_none() {
                free.push(row);
            }
        }
        Ok(choose(&free, view, fairlead_store::now()))
    }

    /// The range sets of the network's own address plugin, the one of the family narrowed.
    fn sets(&self, v6: bool, range: Option<IpNet>) -> Result<Vec<RangeSet>, DoorError> {
        let set = |local: &IpNet| {
            let part = range.filter(|_| local.addr().is_ipv6() == v6);
            let first = part.map(|part| part.network());
            let last = part.map(|part| part.broadcast());
            let gateway = Some(self.target.gateway(*local));
            let range = Range::new(*local, first, last, gateway)?;
            RangeSet::new(vec![range])
        };
        let sets: Result<_, _> = self.target.locals().iter().map(set).collect();
        sets.map_err(|source| {
            let value = range.map(|range| range.to_string()).unwrap_or_default();
            DoorError::Value {
                option: "ip-range",
                value,
                reason: source.to_string(),
            }
        })
    }

    /// Which of the sets is the family's.
    fn place(&self, v6: bool) -> Result<usize, DoorError> {
        let local = self.target.local(v6)?;
        let mut locals = self.target.locals().iter();
        Ok(locals.position(|net| *net == local).unwrap_or(0))
    }

    /// Claims an address in the cluster, where bridges of several nodes have one range;
    /// returns who has it instead. One that nobody asked for by name may be used unclaimed
    /// while the cluster does not answer: the bridges are not connected.
    fn claim(&self, address: IpAddr, named: bool) -> Result<Option<String>, DoorError> {
        let Some(cluster) = self.cluster.filter(|_| !self.target.is_routed()) else {
            return Ok(None);
        };
        if !named && cluster.staleness().is_some() {
            return Ok(None);
        }
        match cluster.claim_address(self.target.name(), address) {
            Ok(Claimed::Done) => Ok(None),
            Ok(Claimed::Taken { node }) => Ok(Some(node)),
            Err(source) if named => Err(unasked(address, source)),
            Err(error) => {
                debug!("claim {address}: {error}");
                Ok(None)
            }
        }
    }

    /// Refuses an address that a container of another node has, whichever door it came by.
    fn refuse_published(&self, address: IpAddr) -> Result<(), DoorError> {
        let Some(cluster) = self.cluster.filter(|c| c.is_joined()) else {
            return Ok(());
        };
        let name = self.target.name();
        let published = cluster
            .addresses(Some(name.as_str()))
            .map_err(|source| unasked(address, source))?;
        let here = cluster.node();
        let mut others = published.value.into_iter();
        match others.find(|other| other.ip == address && other.node != here) {
            Some(other) => Err(DoorError::TakenOn {
                address,
                network: name.clone(),
                node: other.node,
            }),
            None => Ok(()),
        }
    }

    /// Sees to it that addresses which the engine has for an endpoint are held, by a lease:
    /// those of Docker's own driver were never asked for here. Returns the ones that were
    /// taken now.
    pub(crate) fn hold(
        &self,
        addresses: &[IpNet],
        endpoint: &Owner,
    ) -> Result<Vec<IpAddr>, DoorError> {
        let pool = self.pool();
        let lease = lease(self.target.name(), &key())?;
        let mut new = Vec::new();
        for net in addresses {
            let address = net.addr();
            self.target.check(address, None)?;
            let local = self.target.local(address.is_ipv6())?;
            if address == self.target.gateway(local) {
                return Err(DoorError::Taken {
                    address,
                    holder: "the bridge".to_owned(),
                });
            }
            let held = self
                .node
                .host()
                .store(|store| store.view().address(pool.id(), address))?;
            match held {
                Some(held) if is_lease(&held.owner) || held.owner == *endpoint => {}
                Some(held) => {
                    self.drop_all(&new)?;
                    return Err(self.taken(address, &held.owner));
                }
                None => {
                    let taken = self.hold_one(&pool, address, &lease);
                    match taken {
                        Ok(()) => new.push(address),
                        Err(error) => {
                            self.drop_all(&new)?;
                            return Err(error);
                        }
                    }
                }
            }
        }
        Ok(new)
    }

    fn hold_one(&self, pool: &Pool, address: IpAddr, lease: &Owner) -> Result<(), DoorError> {
        self.refuse_published(address)?;
        let new = NewAddress {
            pool: pool.id(),
            addr: address,
            owner: lease,
            netns: None,
            boot_lived: true,
        };
        let taken = self
            .node
            .host()
            .store(|store| store.write(|tx| tx.take_address(&new)));
        match taken {
            Err(StoreError::AddressTaken { holder, .. }) => {
                return Err(self.taken(address, &holder));
            }
            other => other?,
        }
        match self.claim(address, true) {
            Ok(None) => Ok(()),
            Ok(Some(node)) => {
                self.drop_all(&[address])?;
                Err(DoorError::TakenOn {
                    address,
                    network: self.target.name().clone(),
                    node,
                })
            }
            Err(error) => {
                self.drop_all(&[address])?;
                Err(error)
            }
        }
    }

    /// Frees addresses that leases have.
    pub(crate) fn drop_all(&self, addresses: &[IpAddr]) -> Result<(), DoorError> {
        for address in addresses {
            self.release(*address)?;
        }
        Ok(())
    }

    /// Hands addresses over to an endpoint that is there now.
    pub(crate) fn hand_over(&self, addresses: &[IpNet], endpoint: &Owner) -> Result<(), DoorError> {
        let pool = self.pool();
        self.node.host().store(|store| {
            store.write(|tx| {
                addresses.iter().try_for_each(|net| {
                    let Some(held) = tx.address(pool.id(), net.addr())? else {
                        return Ok(());
                    };
                    if is_lease(&held.owner) {
                        tx.hand_over(pool.id(), net.addr(), &held.owner, endpoint)?;
                    }
                    tx.wake(pool.id(), net.addr()).map(drop)
                })
            })
        })?;
        Ok(())
    }

    /// The same as [`release`].
    pub(crate) fn release(&self, address: IpAddr) -> Result<bool, DoorError> {
        let cluster = self.cluster.filter(|_| !self.target.is_routed());
        release(self.node, cluster, self.target.name(), address)
    }
}

/// Where the addresses of a network's containers are: one place for all of them.
pub(crate) fn pool_of(node: &Node, network: &NetworkName) -> Pool {
    Pool::new(node.host().root(), network, None)
}

/// Hands the addresses of an endpoint that ends to a lease, where they rest for its
/// container; says which they are.
pub(crate) fn end(
    node: &Node,
    endpoint: &Owner,
    container: &str,
) -> Result<Vec<IpAddr>, DoorError> {
    let lease = lease(&endpoint.network, endpoint.container.as_str())?;
    let ended = |tx: &Tx<'_>| {
        let held = tx.hand_over_all(endpoint, &lease)?;
        for address in &held {
            tx.put_to_rest(&address.pool, address.addr, container)?;
        }
        Ok::<_, StoreError>(held.iter().map(|address| address.addr).collect())
    };
    Ok(node.host().store(|store| store.write(ended))?)
}

/// Frees an address that no endpoint has any more; what somebody else has by now, and what
/// is free, is left alone. Says whether it is free.
pub(crate) fn release(
    node: &Node,
    cluster: Option<&Cluster>,
    network: &NetworkName,
    address: IpAddr,
) -> Result<bool, DoorError> {
    let pool = pool_of(node, network);
    let freed = node.host().store(|store| {
        store.write(|tx| match tx.address(pool.id(), address)? {
            Some(held) if is_lease(&held.owner) => tx.free_address(pool.id(), address),
            held => Ok(held.is_none()),
        })
    })?;
    if freed && let Some(cluster) = cluster {
        // What stays claimed is given up later, by who follows the engine.
        if let Err(error) = unclaim(node, cluster, network, address) {
            debug!("give {address} up: {error}");
        }
    }
    Ok(freed)
}

/// Gives an address up in the cluster, unless somebody has taken it here since.
pub(crate) fn unclaim(
    node: &Node,
    cluster: &Cluster,
    network: &NetworkName,
    address: IpAddr,
) -> Result<(), DoorError> {
    cluster.release_address(network, address)?;
    let pool = pool_of(node, network);
    let held = node
        .host()
        .store(|store| store.view().address(pool.id(), address))?;
    if held.is_some() {
        // It claimed before this gave up, and found it claimed by this node.
        cluster.claim_address(network, address)?;
    }
    Ok(())
}

fn unasked(address: IpAddr, source: ClusterError) -> DoorError {
    let source = Box::new(source);
    DoorError::Unasked { address, source }
}

/// What the keys of leases begin with that an engine asked for. Those of endpoints that ended
/// have the endpoint's id.
const ASKED: &str = "asked-";

/// A name that no other lease has.
fn key() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}{next:08x}", own())
}

/// What the keys of this process begin with.
fn own() -> &'static str {
    static OWN: OnceLock<String> = OnceLock::new();
    OWN.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_nanos());
        format!("{ASKED}{now:x}-")
    })
}

/// Whether a lease was made for a question that an earlier agent may not have answered: then
/// it is repeated. If it was answered, whoever plugs in first has the address.
fn is_unanswered(owner: &Owner) -> bool {
    let key = owner.container.as_str().strip_prefix("lease-");
    key.is_some_and(|key| key.starts_with(ASKED) && !key.starts_with(own()))
}
