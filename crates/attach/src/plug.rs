//! Containers whose engine takes the interface itself: the cable is plugged in on the
//! host's side and its other end left here, where the engine finds it.
//!
//! The engine was given the addresses before; until the cable is there they belong to a
//! lease, and after it is gone again until the engine gives them back.

use crate::detach::Selector;
use crate::error::all;
use crate::gc::GcAction;
use crate::turn::Turn;
use crate::{AttachError, Node};
use fairlead_cni::runtime::AttachmentParams;
use fairlead_cni::{CniResult, ConfList};
use fairlead_kernel::Route;
use fairlead_plugins::{Given, HandoverError, PortMapping, handover, handover_name};
use fairlead_store::{Attachment as Record, AttachmentFilter, AttachmentState};
use fairlead_types::{ContainerId, IfName, Mac, NetworkName, Owner};
use ipnet::IpNet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the names of leases begin with; no engine's id of a container does.
const LEASE: &str = "lease-";
/// How long an engine may take between two steps of one start: after that, what it did not
/// go on with is garbage.
const STEP: Duration = Duration::from_secs(60);

/// What an engine asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlugRequest {
    /// The network.
    pub network: NetworkName,
    /// The engine's id of the endpoint, which stands for the container: who that is, is
    /// told later.
    pub endpoint: ContainerId,
    /// The addresses that the engine has for it.
    pub addresses: Vec<Given>,
    /// The hardware address of the container's end.
    pub mac: Mac,
    /// Whether what leaves the network has the host's address, where the network says so.
    pub masquerade: bool,
}

/// A cable that is plugged in on the host's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plug {
    /// Whose it is.
    pub owner: Owner,
    /// The container's end, in this namespace until the engine takes it.
    pub inner: IfName,
    /// The addresses and their gateways.
    pub addresses: Vec<Given>,
    /// The hardware address of the container's end.
    pub mac: Option<Mac>,
    /// The engine's id of the container, once that was heard.
    pub identity: Option<String>,
}

/// Who has an address that an engine was given, while no endpoint has it. `key` is unique
/// among the leases of the network, at most 200 letters, digits and dashes.
///
/// # Errors
/// [`AttachError::Name`] for a key that no name can have.
pub fn lease(network: &NetworkName, key: &str) -> Result<Owner, AttachError> {
    owner(network, ContainerId::new(format!("{LEASE}{key}"))?)
}

/// Whether an owner is a [`lease`].
#[must_use]
pub fn is_lease(owner: &Owner) -> bool {
    owner.container.as_str().starts_with(LEASE)
}

/// Who an endpoint is on a network. The interface's real name is the engine's to choose.
///
/// # Errors
/// None so far: the name is one.
pub fn owner(network: &NetworkName, endpoint: ContainerId) -> Result<Owner, AttachError> {
    Ok(Owner {
        network: network.clone(),
        container: endpoint,
        ifname: IfName::new("eth0")?,
    })
}

impl Node {
    /// Plugs a cable in, or leaves nothing behind. What an earlier call for the endpoint
    /// left is taken away first.
    ///
    /// # Errors
    /// [`AttachError`] names what is in the way; [`AttachError::Handover`] for a network
    /// that needs the container's namespace.
    pub fn plug(&self, request: &PlugRequest) -> Result<Plug, AttachError> {
        let list = fairlead_networks::find(&self.config, &request.network)?;
        let owner = owner(&request.network, request.endpoint.clone())?;
        let inner = handover_name(&owner)?;
        let list = handover(&list, &inner, &request.addresses, request.masquerade)
            .map_err(|source| refused(&request.network, source))?;
        let mut params = AttachmentParams::new(owner.container.clone(), owner.ifname.clone(), None);
        params.args = vec![("MAC".into(), request.mac.to_string())];
        let _turn = Turn::wait(&owner);
        // A call whose answer was lost is repeated, and has a new address then.
        self.detach_in_turn("plug", &owner, |_| true)?;
        let cache = self.cache(None);
        self.runtime(&cache).add_list(&list, &params)?;
        let addresses = request.addresses.clone();
        Ok(Plug {
            owner,
            inner,
            addresses,
            mac: Some(request.mac),
            identity: None,
        })
    }

    /// Takes the cable of an endpoint away, and everything that came with it but the
    /// addresses; nothing is fine.
    ///
    /// # Errors
    /// [`AttachError`] with what could not be taken away.
    pub fn unplug(&self, endpoint: &ContainerId) -> Result<(), AttachError> {
        if self.plugs(Some(endpoint))?.is_empty() {
            return Ok(());
        }
        let selector = Selector {
            container: Some(endpoint.clone()),
            ..Selector::default()
        };
        self.detach(&selector).map(drop)
    }

    /// The cable of an endpoint, as it is recorded.
    ///
    /// # Errors
    /// [`AttachError::Store`] when the records cannot be read.
    pub fn plugged(&self, endpoint: &ContainerId) -> Result<Option<Plug>, AttachError> {
        let records = self.plugs(Some(endpoint))?;
        Ok(records.iter().find_map(plug_of))
    }

    /// Whether an endpoint's cable is there and an engine has taken the container's end.
    ///
    /// # Errors
    /// [`AttachError`] when records or links cannot be read.
    pub fn is_in_use(&self, endpoint: &ContainerId) -> Result<bool, AttachError> {
        let Some(plug) = self.plugged(endpoint)? else {
            return Ok(false);
        };
        let mut route = Route::open()?;
        let cable = route.link(&fairlead_plugins::host_name(&plug.owner)?)?;
        Ok(cable.is_some() && route.link(&plug.inner)?.is_none())
    }

    /// Publishes ports of an endpoint, in the place of those that it had.
    ///
    /// # Errors
    /// [`AttachError::Plugin`] for a port that somebody else holds.
    pub fn publish(&self, plug: &Plug, ports: Vec<PortMapping>) -> Result<(), AttachError> {
        let addresses: Vec<IpNet> = plug.addresses.iter().map(|given| given.address).collect();
        Ok(fairlead_plugins::publish(
            self.host(),
            &plug.owner,
            &addresses,
            ports,
        )?)
    }

    /// The records of endpoints, all or those of one.
    ///
    /// # Errors
    /// [`AttachError::Store`] when the records cannot be read.
    pub fn plugs(&self, endpoint: Option<&ContainerId>) -> Result<Vec<Record>, AttachError> {
        let filter = AttachmentFilter {
            container: endpoint,
            ..AttachmentFilter::default()
        };
        let records = self
            .host()
            .store(|store| store.view().attachments(&filter))?;
        let is_plug = |record: &Record| inner_of(record).is_some();
        Ok(records.into_iter().filter(is_plug).collect())
    }

    /// Takes away what an engine did not go on with: cables that it never took, those that
    /// are gone with their container, and addresses that no endpoint followed.
    pub(crate) fn collect_plugs(&self, dry_run: bool) -> Result<Vec<GcAction>, AttachError> {
        let (mut actions, mut errors) = (Vec::new(), Vec::new());
        let plugs = self.plugs(None)?;
        let mut route = match plugs.is_empty() {
            true => None,
            false => Some(Route::open()?),
        };
        for record in plugs {
            let Some(route) = &mut route else { break };
            let Some(action) = verdict(route, &record)? else {
                continue;
            };
            let endpoint = &record.owner.container;
            let done = match dry_run {
                true => Ok(()),
                false => self
                    .unplug(endpoint)
                    .and_then(|()| self.give_back(&record.owner)),
            };
            match done {
                Ok(()) => actions.push(action),
                Err(error) => errors.push(error),
            }
        }
        for address in self.host().store(|store| store.view().addresses())? {
            let stale = is_lease(&address.owner) && address.boot_lived && is_old(address.since);
            if !stale {
                continue;
            }
            if !dry_run {
                self.free(&address.owner)?;
            }
            let owner = address.owner;
            actions.push(GcAction::Leaked { owner });
        }
        all(errors).map(|()| actions)
    }

    /// What an endpoint had goes to a lease: its engine may give it back yet, and must not
    /// find it with somebody else.
    fn give_back(&self, owner: &Owner) -> Result<(), AttachError> {
        let lease = lease(&owner.network, owner.container.as_str())?;
        self.host()
            .store(|store| store.write(|tx| tx.hand_over_all(owner, &lease)))?;
        Ok(())
    }

    fn free(&self, owner: &Owner) -> Result<(), AttachError> {
        self.host()
            .store(|store| store.write(|tx| tx.free_addresses_of(owner)))?;
        Ok(())
    }
}

/// Whether an endpoint's cable is garbage.
fn verdict(route: &mut Route, record: &Record) -> Result<Option<GcAction>, AttachError> {
    let owner = record.owner.clone();
    if record.state != AttachmentState::Ready || !is_old(record.since) {
        return Ok(None);
    }
    let cable = fairlead_plugins::host_name(&owner)?;
    if route.link(&cable)?.is_none() {
        return Ok(Some(GcAction::Dead { owner }));
    }
    let Some(inner) = inner_of(record) else {
        return Ok(None);
    };
    // Where the sandbox is gone and the cable is not, the engine has put its end back here.
    let waits = route.link(&inner)?.is_some();
    Ok(waits.then_some(GcAction::Untaken { owner }))
}

fn is_old(since: u64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.is_ok_and(|now| now > Duration::from_secs(since) + STEP)
}

/// The name that the container's end has while it is here; none of an attachment whose
/// container was entered.
fn inner_of(record: &Record) -> Option<IfName> {
    let list = ConfList::from_slice(record.config.as_bytes()).ok()?;
    let name = list.plugins.first()?.raw().get("handover")?.as_str()?;
    IfName::new(name).ok()
}

fn plug_of(record: &Record) -> Option<Plug> {
    let result = serde_json::from_str(record.result.as_deref()?).ok()?;
    let result = CniResult::from_json(&result).ok()?;
    let given = |ip: &fairlead_cni::IpConfig| Given {
        address: ip.address,
        gateway: ip.gateway,
    };
    let inner = inner_of(record)?;
    let mut ends = result.interfaces.iter();
    let mac = ends
        .find(|interface| interface.name == inner.as_str())
        .and_then(|interface| interface.mac.parse().ok());
    let is_named = record.id != record.owner.container.as_str();
    Some(Plug {
        owner: record.owner.clone(),
        inner,
        addresses: result.ips.iter().map(given).collect(),
        mac,
        identity: is_named.then(|| record.id.clone()),
    })
}

fn refused(network: &NetworkName, source: HandoverError) -> AttachError {
    AttachError::Handover {
        network: network.clone(),
        source: Box::new(source),
    }
}
