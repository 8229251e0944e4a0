//! Endpoints: namespaces that are kept with the addresses in them while their containers
//! come and go. The tenant in the record is the lock: who has written himself there, and is
//! alive, has the endpoint for himself.

mod end;
mod wanted;

pub use wanted::{Guest, Wanted};

use crate::error::all;
use crate::{AttachError, Node};
use fairlead_cni::runtime::AttachmentParams;
use fairlead_kernel::{NetNs, Route};
use fairlead_store::{
    Actor, AttachmentState, Connected, Endpoint, EndpointPlace, NetnsRef, StoreError, Tenant, View,
};
use fairlead_types::{ContainerId, IfName, NetworkName, Owner};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;

impl Node {
    /// Attaches a container to what it wants, in order; the whole of it or nothing.
    ///
    /// # Errors
    /// [`AttachError`]; [`AttachError::OtherAddress`] where a plugin gave another address
    /// than was asked for.
    pub fn attach_all(
        &self,
        container: &ContainerId,
        netns: &std::path::Path,
        wanted: &[Wanted],
    ) -> Result<Vec<Vec<IpNet>>, AttachError> {
        let mut given = Vec::new();
        for one in wanted {
            let params = one.params(container, netns.into());
            let added = self.add(&one.list, &params).and_then(|result| {
                let addresses = result.ips.iter().map(|ip| ip.address).collect();
                has_wanted(params.owner(&one.list.name), one, addresses)
            });
            match added {
                Ok(addresses) => given.push(addresses),
                Err(error) => {
                    let mut errors = vec![error];
                    for done in &wanted[..=given.len()] {
                        let owner = done.params(container, netns.into()).owner(&done.list.name);
                        errors.extend(self.detach_one("attach", &owner, |_| true).err());
                    }
                    all(errors)?;
                }
            }
        }
        Ok(given)
    }

    /// The endpoint of a container: the one that is kept for it, or that has the address it
    /// wants.
    ///
    /// # Errors
    /// [`AttachError::Store`].
    pub fn find_endpoint(
        &self,
        container: &ContainerId,
        wanted: &[Wanted],
    ) -> Result<Option<Endpoint>, AttachError> {
        let found = self
            .host()
            .store(|store| store.read(|view| find(view, container, wanted)))?;
        Ok(found)
    }

    /// Gives a container the endpoint that is kept for it, or that has the address it wants;
    /// where there is none, one is made and kept for it. With `keep` it is the container's
    /// until [`Node::forget_endpoint`], else as long as it runs. Gives the namespace, with
    /// everything in it.
    ///
    /// # Errors
    /// [`AttachError::EndpointInUse`] while another container runs with it, and what keeps it
    /// from being made; nothing is left behind then.
    pub fn take_endpoint(
        &self,
        guest: &Guest,
        wanted: &[Wanted],
        keep: bool,
    ) -> Result<PathBuf, AttachError> {
        let taker = Actor::current()?;
        let (endpoint, is_new) = self.take(guest, wanted, keep, taker)?;
        if let Some(netns) = self.whole_netns(&endpoint)? {
            return Ok(netns);
        }
        match self.build(endpoint.clone(), wanted) {
            Ok(path) => Ok(path),
            Err(error) => {
                let mut errors = vec![error];
                let taken_back = match is_new {
                    true => self.tear_down(&endpoint),
                    false => self.leave_endpoint(&guest.container).map(drop),
                };
                errors.extend(taken_back.err());
                all(errors).map(|()| PathBuf::new())
            }
        }
    }

    /// The namespace of an endpoint, if it is there with all of its interfaces: one that was
    /// being taken away is not.
    fn whole_netns(&self, endpoint: &Endpoint) -> Result<Option<PathBuf>, AttachError> {
        let Some(netns) = endpoint.live_netns() else {
            return Ok(None);
        };
        for place in &endpoint.places {
            let owner = endpoint.owner_at(place);
            let record = self.host().store(|store| store.view().attachment(&owner))?;
            if !record.is_some_and(|record| record.state == AttachmentState::Ready) {
                return Ok(None);
            }
        }
        Ok(Some(netns.path.clone()))
    }

    /// Writes a container into the record of its endpoint, which is made if there is none.
    fn take(
        &self,
        guest: &Guest,
        wanted: &[Wanted],
        keep: bool,
        taker: Actor,
    ) -> Result<(Endpoint, bool), AttachError> {
        let mut answer = Err(AttachError::NoCondition);
        self.host().store(|store| {
            store.write(|tx| {
                let found = find(tx, &guest.container, wanted)?;
                let is_new = found.is_none();
                let mut endpoint = found.unwrap_or_else(|| empty(&guest.container));
                let other = |t: &&Tenant| t.container != guest.container || t.taker != taker;
                let tenant = endpoint.tenant.as_ref().filter(other);
                let netns = endpoint.live_netns();
                if let Some(tenant) = tenant.filter(|t| is_in_the_way(t, guest, netns)) {
                    answer = Err(AttachError::EndpointInUse {
                        container: guest.container.clone(),
                        addresses: addresses(&endpoint, wanted),
                        by: tenant.container.clone(),
                    });
                    return Ok(());
                }
                if let Some(what) = difference(&endpoint, wanted) {
                    answer = Err(AttachError::EndpointDiffers {
                        container: guest.container.clone(),
                        addresses: addresses(&endpoint, wanted),
                        what,
                    });
                    return Ok(());
                }
                endpoint.tenant = Some(Tenant {
                    container: guest.container.clone(),
                    bundle: guest.bundle.clone(),
                    taker,
                });
                if keep && !endpoint.is_connected(&guest.container) {
                    let one = Connected::new(guest.container.clone(), guest.home.clone());
                    endpoint.connected.push(one);
                }
                tx.put_endpoint(&endpoint)?;
                answer = Ok((endpoint, is_new));
                Ok(())
            })
        })?;
        answer
    }

    /// Makes the namespace of an endpoint and what is in it: what is recorded, or for the
    /// first time what is wanted.
    fn build(&self, mut endpoint: Endpoint, wanted: &[Wanted]) -> Result<PathBuf, AttachError> {
        let recorded: Result<Vec<Wanted>, _> = endpoint.places.iter().map(Wanted::of).collect();
        let recorded = recorded?;
        let wanted = if recorded.is_empty() {
            wanted
        } else {
            &recorded[..]
        };
        let netns = self.make_netns(&endpoint.owner)?;
        let path = netns.path().to_owned();
        for one in wanted {
            // What cannot be taken away, ADD tells.
            let _ = self.clear_leftovers(&endpoint.owner, one);
        }
        let made = self
            .attach_all(&endpoint.owner, &path, wanted)
            .and_then(|given| {
                endpoint.netns = Some(NetnsRef::of(&path)?);
                endpoint.places = wanted.iter().zip(given).map(place).collect();
                self.host().store(|store| {
                    store.write(|tx| {
                        for place in &endpoint.places {
                            tx.keep_addresses_of(&endpoint.owner_at(place), true)?;
                        }
                        tx.put_endpoint(&endpoint)
                    })
                })?;
                Ok(())
            });
        if let Err(error) = made {
            let mut errors = vec![error];
            errors.extend(NetNs::remove(&path).err().map(AttachError::from));
            all(errors)?;
        }
        Ok(path)
    }

    /// Takes away what plugins of other makers keep of a container from before, as of an
    /// earlier boot: it is in the way of an ADD.
    ///
    /// # Errors
    /// [`AttachError::Runtime`] with what a plugin said.
    pub fn clear_leftovers(&self, owner: &ContainerId, wanted: &Wanted) -> Result<(), AttachError> {
        if wanted.has_only_built_in() {
            return Ok(());
        }
        let cache = self.cache(None);
        let params = AttachmentParams {
            netns: None,
            ..wanted.params(owner, PathBuf::new())
        };
        Ok(self.runtime(&cache).del_list(&wanted.list, &params)?)
    }

    fn make_netns(&self, owner: &ContainerId) -> Result<NetNs, AttachError> {
        let path = self.host().root().run().join("netns").join(owner.as_str());
        // What is there is of a namespace that nobody knows any more.
        NetNs::remove(&path)?;
        let netns = NetNs::create(&path)?;
        netns.run(|| -> Result<(), AttachError> {
            let mut route = Route::open()?;
            let name = IfName::new("lo")?;
            if let Some(link) = route.link(&name)? {
                route.set_up(link.index, &name)?;
            }
            Ok(())
        })??;
        Ok(netns)
    }
}

/// The addresses that were given, if they are those that were wanted.
fn has_wanted(owner: Owner, wanted: &Wanted, given: Vec<IpNet>) -> Result<Vec<IpNet>, AttachError> {
    let missing = |address: &&IpAddr| !given.iter().any(|net| net.addr() == **address);
    match wanted.addresses.iter().find(missing) {
        None => Ok(given),
        Some(missing) => Err(AttachError::OtherAddress {
            owner: Box::new(owner),
            wanted: *missing,
            given,
        }),
    }
}

/// Whether a tenant keeps a container out. The same container that starts again does not
/// wait for what is left of its last run.
fn is_in_the_way(tenant: &Tenant, guest: &Guest, netns: Option<&NetnsRef>) -> bool {
    match tenant.container == guest.container {
        true => tenant.taker.is_live(),
        false => tenant.is_there(netns),
    }
}

/// What a container wants otherwise than the endpoint has it: it would run without.
fn difference(endpoint: &Endpoint, wanted: &[Wanted]) -> Option<&'static str> {
    if endpoint.places.is_empty() {
        return None;
    }
    let own = endpoint.places.iter().map(|p| (&p.network, &p.ifname));
    if !own.eq(wanted.iter().map(|w| (&w.list.name, &w.ifname))) {
        return Some("networks");
    }
    let mut pairs = endpoint.places.iter().zip(wanted);
    pairs.find_map(|(place, wanted)| {
        let other = |key: &str| place.capabilities.get(key) != wanted.capabilities.get(key);
        let missing = |ip: &IpAddr| !place.addresses.iter().any(|own| own.addr() == *ip);
        match () {
            () if wanted.addresses.iter().any(missing) => Some("addresses"),
            () if other("portMappings") => Some("ports"),
            () if other("mac") => Some("hardware address"),
            () => None,
        }
    })
}

fn empty(container: &ContainerId) -> Endpoint {
    Endpoint {
        owner: container.clone(),
        netns: None,
        places: Vec::new(),
        tenant: None,
        connected: Vec::new(),
    }
}

fn find(
    view: &View<'_>,
    container: &ContainerId,
    wanted: &[Wanted],
) -> Result<Option<Endpoint>, StoreError> {
    if let Some(endpoint) = view.endpoint_of(container)? {
        return Ok(Some(endpoint));
    }
    let asks = |w: &&Wanted| !w.addresses.is_empty();
    let Some(asked) = wanted.iter().find(asks) else {
        return Ok(None);
    };
    let network: &NetworkName = &asked.list.name;
    let has = |endpoint: &Endpoint| asked.addresses.iter().any(|ip| endpoint.has(network, *ip));
    Ok(view.endpoints()?.into_iter().find(has))
}

fn place((wanted, addresses): (&Wanted, Vec<IpNet>)) -> EndpointPlace {
    EndpointPlace {
        network: wanted.list.name.clone(),
        ifname: wanted.ifname.clone(),
        addresses,
        config: wanted.list.to_value().to_string(),
        args: wanted.args.clone(),
        capabilities: wanted.capabilities.clone(),
    }
}

/// The addresses that two containers want: those of the endpoint, or before it has any those
/// that were asked for.
fn addresses(endpoint: &Endpoint, wanted: &[Wanted]) -> Vec<IpAddr> {
    let own = endpoint.places.iter().flat_map(|p| &p.addresses);
    let own: Vec<IpAddr> = own.map(IpNet::addr).collect();
    match own.is_empty() {
        false => own,
        true => wanted.iter().flat_map(|w| w.addresses.clone()).collect(),
    }
}
