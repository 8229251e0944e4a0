//! Everything an attachment has in the node's state, and taking it back without its
//! configuration: for containers that are gone.

use crate::error::first_of;
use crate::host::Host;
use crate::ipam::Ipam;
use crate::portmap::published;
use crate::removal::Parts;
use crate::{cable, masquerade};
use fairlead_cni::{Call, CniError};
use fairlead_firewall::Element;
use fairlead_store::{NetnsRef, StoreError, View};
use fairlead_types::Owner;

/// GC for the plugins that make cables: takes away what belongs to no attachment that
/// is still valid. Goes on to the end.
pub(crate) fn collect(host: &Host, ipam: &Ipam, call: &Call) -> Result<(), CniError> {
    let Some(valid) = call.config.valid_attachments()? else {
        return Ok(());
    };
    let stale = host.stale_owners(call.config.name(), &valid)?;
    let links = first_of(stale.iter().map(|owner| {
        let parts = Parts {
            mac_check: true,
            masquerades: true,
            link: true,
            ..Parts::default()
        };
        first_of(host.remove(owner, parts).into_failures())
    }));
    first_of([links, ipam.gc(call)])
}

/// Every element of nftables that a record stands for, with its owner. Elements that
/// several records share (a hairpin of two ports) stand there for each.
///
/// # Errors
/// [`StoreError`] when the state cannot be read.
pub fn recorded(view: &View<'_>) -> Result<Vec<(Owner, Element)>, StoreError> {
    let masquerades = view.masquerades()?.into_iter().map(|row| {
        let element = masquerade::element(&row);
        (row.owner, element)
    });
    let mut all: Vec<(Owner, Element)> = masquerades.collect();
    for port in view.ports()? {
        let elements = published(&port.claim, &port.owner).into_iter();
        all.extend(elements.map(|element| (port.owner.clone(), element)));
    }
    Ok(all)
}

/// Takes away everything of an owner whose container is gone: its cable, the elements of
/// its ports and of the masquerades that nobody else has, and every record. Returns false,
/// and removes nothing, when one of the records is of a namespace that lives or is not known.
///
/// # Errors
/// What could not be removed; the records stay then.
pub fn release_dead(host: &Host, owner: &Owner) -> Result<bool, CniError> {
    match host.with_store(|store| store.read(|view| is_dead(view, owner)))? {
        None => return Ok(true),
        Some(false) => return Ok(false),
        Some(true) => {}
    }
    // A process may keep the namespace of a path that is gone, and the cable with it.
    host.delete_link(&cable::host_name(owner)?)?;
    let mut dead = false;
    host.write_with(
        |tx| {
            dead = is_dead(tx, owner)? == Some(true);
            if !dead {
                return Ok(Vec::new());
            }
            let ports = tx.ports_of(owner)?;
            let ports = ports.iter().flat_map(|port| published(&port.claim, owner));
            let own = tx.own_masquerades(owner)?;
            Ok(ports.chain(own.iter().map(masquerade::element)).collect())
        },
        |tx| {
            // Looked at again, since what was attached since the first look stays.
            if is_dead(tx, owner)? == Some(true) {
                tx.remove_masquerades(owner)?;
                tx.release_ports(owner)?;
                tx.free_passing_addresses_of(owner, None)?;
            }
            Ok(())
        },
    )?;
    Ok(dead)
}

/// Whether every record of an owner is of a namespace that is gone; none without records.
fn is_dead(view: &View<'_>, owner: &Owner) -> Result<Option<bool>, StoreError> {
    let addresses = view.addresses_of(&owner.container, &owner.ifname)?;
    let addresses = addresses
        .into_iter()
        .filter(|address| address.owner == *owner);
    let masquerades = view.masquerades_of(owner)?.into_iter().map(|row| row.netns);
    let ports = view.ports_of(owner)?.into_iter().map(|row| row.netns);
    let all: Vec<Option<NetnsRef>> = addresses
        .map(|address| address.netns)
        .chain(masquerades)
        .chain(ports)
        .collect();
    let dead = |netns: &Option<NetnsRef>| netns.as_ref().is_some_and(|n| !n.is_live());
    Ok((!all.is_empty()).then(|| all.iter().all(dead)))
}
