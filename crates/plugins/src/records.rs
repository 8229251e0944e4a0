//! Everything an attachment has in the node's state, and taking it back without its
//! configuration: for containers that are gone.

use crate::error::first_of;
use crate::host::Host;
use crate::ipam::Ipam;
use crate::portmap::published;
use crate::{cable, mac_check, masquerade};
use fairlead_cni::{Call, CniError};
use fairlead_firewall::Element;
use fairlead_types::Owner;

/// GC for the plugins that make cables: takes away what belongs to no attachment that
/// is still valid. Goes on to the end.
pub(crate) fn collect(host: &Host, ipam: &Ipam, call: &Call) -> Result<(), CniError> {
    let Some(valid) = call.config.valid_attachments()? else {
        return Ok(());
    };
    let stale = host.stale_owners(call.config.name(), &valid)?;
    let links = first_of(stale.iter().map(|owner| {
        let port = cable::host_name(owner)?;
        masquerade::remove(host, owner)?;
        mac_check::remove(host, &port)?;
        cable::remove(&port)
    }));
    first_of([links, ipam.gc(call)])
}

/// Removes the masquerades and published ports of `owner`, elements first, then every
/// record. Nothing there is done already.
///
/// # Errors
/// What could not be removed; the records stay then.
pub fn release(host: &Host, owner: &Owner) -> Result<(), CniError> {
    let (masquerades, ports) = host.with_store(|store| {
        store.read(|view| Ok((view.masquerades_of(owner)?, view.ports_of(owner)?)))
    })?;
    let masquerades = masquerades.iter().map(|row| Element::Masquerade {
        address: row.addr,
        subnet: row.subnet,
    });
    let elements: Vec<Element> = masquerades
        .chain(ports.iter().flat_map(|port| published(&port.claim)))
        .collect();
    if !elements.is_empty() {
        host.with_firewall(|firewall| firewall.remove(&elements))?;
    }
    host.with_store(|store| {
        store.write(|tx| {
            tx.remove_masquerades(owner)?;
            tx.release_ports(owner)?;
            tx.free_addresses_of(owner)
        })
    })?;
    Ok(())
}
