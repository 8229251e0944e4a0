//! Everything an attachment has in the node's state, and taking it back without its
//! configuration: for containers that are gone.

use crate::host::Host;
use crate::portmap::published;
use fairlead_cni::CniError;
use fairlead_firewall::Element;
use fairlead_types::Owner;

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
