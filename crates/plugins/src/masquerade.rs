//! Masquerading: what leaves a network by the host has the host's address.
//!
//! The record is written before the kernel's set element, so that what a crash left
//! is found by its owner.

use crate::host::Host;
use crate::undo::Undo;
use fairlead_cni::{Call, CniError, CniResult};
use fairlead_firewall::Element;
use fairlead_store::Masquerade;
use fairlead_types::Owner;

pub(crate) fn element(row: &Masquerade) -> Element {
    Element::Masquerade {
        address: row.addr,
        subnet: row.subnet,
    }
}

/// Masquerades the addresses of `result`.
pub(crate) fn add<'a>(
    host: &'a Host,
    owner: &'a Owner,
    call: &Call,
    result: &CniResult,
    undo: &mut Undo<'a>,
) -> Result<(), CniError> {
    let netns = host.netns_of(call)?;
    let row = |ip: &fairlead_cni::IpConfig| Masquerade {
        owner: owner.clone(),
        addr: ip.address.addr(),
        subnet: ip.address.trunc(),
        netns: netns.clone(),
    };
    let rows: Vec<Masquerade> = result.ips.iter().map(row).collect();
    undo.push(|| remove(host, owner));
    host.with_store(|store| {
        store.write(|tx| rows.iter().try_for_each(|row| tx.add_masquerade(row)))
    })?;
    let elements: Vec<Element> = rows.iter().map(element).collect();
    host.with_firewall(|firewall| firewall.add(&elements))
}

/// Stops masquerading what only `owner` has; 'not there' is done.
pub(crate) fn remove(host: &Host, owner: &Owner) -> Result<(), CniError> {
    if host
        .with_store(|store| store.view().masquerades_of(owner))?
        .is_empty()
    {
        return Ok(());
    }
    host.write_with(
        |tx| {
            let elements: Vec<Element> = tx.own_masquerades(owner)?.iter().map(element).collect();
            Ok(elements)
        },
        |tx| tx.remove_masquerades(owner),
    )
}
