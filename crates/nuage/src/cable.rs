//! The cable between the switch and a container.

use crate::error::DoorError;
use fairlead_kernel::Route;
use fairlead_kernel::route::{NewLink, NewLinkKind, Peer};
use fairlead_types::{IfName, Mac};

/// Makes a cable, its switch's end up. One that was left half way is made anew: the caller
/// knows that no container has its other end.
pub(crate) fn make(
    port: &IfName,
    peer: &IfName,
    mac: Mac,
    mtu: Option<u32>,
) -> Result<(), DoorError> {
    let mut route = Route::open()?;
    route.delete_link_named(port)?;
    route.delete_link_named(peer)?;
    let other = Peer {
        name: peer.clone(),
        mac: Some(mac),
        mtu,
        namespace: None,
    };
    let mut link = NewLink::new(port.clone(), NewLinkKind::Veth(other));
    link.up = true;
    link.mtu = mtu;
    route.create_link(&link)?;
    Ok(())
}

/// Takes a cable away, wherever its other end is; one that is gone is no error.
pub(crate) fn remove(port: &IfName) -> Result<(), DoorError> {
    Route::open()?.delete_link_named(port)?;
    Ok(())
}

/// The names of all links of this host.
pub(crate) fn names() -> Result<Vec<String>, DoorError> {
    let links = Route::open()?.links()?;
    Ok(links.into_iter().map(|link| link.name).collect())
}
