//! The virtual cable between host and container: its names and its making.

use crate::container::open_sandbox;
use crate::error::{first_of, internal, kernel};
use crate::removal::Removed;
use crate::undo::Undo;
use fairlead_cni::{Call, CniError};
use fairlead_kernel::route::{Link, LinkKind, NewLink, NewLinkKind, Peer};
use fairlead_kernel::{NetNs, Route};
use fairlead_types::{IfName, Mac, Owner};
use std::os::fd::AsFd;

/// A cable to make.
pub(crate) struct Cable<'a> {
    /// Who it is for; gives the name of the host's end.
    pub(crate) owner: &'a Owner,
    /// The namespace that the container's end is born in.
    pub(crate) sandbox: &'a NetNs,
    /// The name of the container's end there.
    pub(crate) inner: &'a IfName,
    /// The hardware address of the container's end, if asked for.
    pub(crate) mac: Option<Mac>,
    /// The greatest packet, in bytes.
    pub(crate) mtu: Option<u32>,
    /// The bridge that the host's end becomes a port of.
    pub(crate) master: Option<u32>,
}

/// The name of the host's end: `veth` and 44 bits of a hash of the owner. It is the
/// same each time, so that DEL finds the link without the container's namespace and
/// a person finds it by `fairlead ls`.
///
/// # Errors
/// None so far: the name always fits.
pub fn host_name(owner: &Owner) -> Result<IfName, CniError> {
    IfName::new(host_text(owner)).map_err(internal)
}

/// The text of [`host_name`], 15 bytes, which also names the owner in rules of its own.
pub(crate) fn host_text(owner: &Owner) -> String {
    // FNV-1a, 64 bits, over the three names with a separator that none may contain.
    let text = format!("{}/{}/{}", owner.network, owner.container, owner.ifname);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("veth{:011x}", hash >> 20)
}

impl Cable<'_> {
    /// Makes it, in one message: the host's end is up and on its bridge, the
    /// container's end is born in the sandbox, down. Returns the name on the host.
    pub(crate) fn make(&self, route: &mut Route, undo: &mut Undo<'_>) -> Result<IfName, CniError> {
        let name = host_name(self.owner)?;
        let new = NewLink {
            name: name.clone(),
            mac: None,
            mtu: self.mtu,
            up: true,
            master: self.master,
            group: None,
            namespace: None,
            kind: NewLinkKind::Veth(Peer {
                name: self.inner.clone(),
                mac: self.mac,
                mtu: self.mtu,
                namespace: Some(self.sandbox.as_fd()),
            }),
        };
        match route.create_link(&new) {
            Ok(()) => {}
            Err(error) if error.is_exists() => return Err(self.taken(&name)),
            Err(error) => return Err(kernel(error)),
        }
        let made = name.clone();
        // Pushed after success: what was there before under this name is not ours to delete.
        undo.push(move || remove(&made));
        Ok(name)
    }

    fn taken(&self, host: &IfName) -> CniError {
        let inner = Route::open_in(self.sandbox).and_then(|mut r| r.link(self.inner));
        if matches!(inner, Ok(Some(_))) {
            return CniError::internal(format!(
                "container veth name provided ({}) already exists",
                self.inner
            ));
        }
        CniError::internal(format!(
            "host veth name {host} already exists: another call for {} is under way, or left it behind; call DEL first",
            self.owner
        ))
    }
}

/// Deletes the host's end, and with it the container's; 'already gone' is done.
pub(crate) fn remove(host: &IfName) -> Result<(), CniError> {
    Route::open()
        .and_then(|mut route| route.delete_link_named(host))
        .map(drop)
        .map_err(kernel)
}

/// The end of a DEL whose cable was searched by the name of its host's end, which only
/// this attachment has. A cable that another implementation made has another name there:
/// it is deleted by the container's name for it, but only when something says that it is
/// this attachment's. A link of the same name that is somebody else's stays.
pub(crate) fn finish(
    call: &Call,
    removed: Removed,
    bridge: Option<&IfName>,
) -> Result<(), CniError> {
    let foreign = match &removed.link {
        Ok(false) => remove_foreign(call, bridge),
        _ => Ok(()),
    };
    first_of(removed.into_failures().chain([foreign]))
}

fn remove_foreign(call: &Call, bridge: Option<&IfName>) -> Result<(), CniError> {
    let Some(path) = &call.netns else {
        return Ok(());
    };
    let sandbox = match NetNs::open(path) {
        Ok(sandbox) => sandbox,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(_) => return open_sandbox(path).map(drop),
    };
    let ifname = &call.owner()?.ifname;
    let mut outer = Route::open().map_err(kernel)?;
    let mut inner = Route::open_in(&sandbox).map_err(kernel)?;
    match inner.link(ifname).map_err(kernel)? {
        Some(link) if is_of(call, &link, bridge, &mut outer)? => {
            match inner.delete_link(link.index, ifname) {
                Err(error) if !error.is_not_found() => Err(kernel(error)),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Whether a link of the container is the call's: the result of its ADD says so, name and
/// hardware address. Versions without CHECK give DEL no result; there it is a cable to the
/// bridge of the configuration that none of our own calls made.
fn is_of(
    call: &Call,
    link: &Link,
    bridge: Option<&IfName>,
    outer: &mut Route,
) -> Result<bool, CniError> {
    // DEL works with a result that cannot be read.
    let result = call.config.previous().unwrap_or_default();
    let mac = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    if let Some(result) = result {
        let mut ours = result.interfaces.iter().filter(|i| !i.sandbox.is_empty());
        return Ok(ours.any(|i| i.name == link.name && i.mac.eq_ignore_ascii_case(&mac)));
    }
    let (Some(bridge), Some(peer), false) = (bridge, link.parent, call.version.has_check()) else {
        return Ok(false);
    };
    let master = outer
        .link(bridge)
        .map_err(kernel)?
        .map(|bridge| bridge.index);
    let port = outer.link_by_index(peer).map_err(kernel)?;
    Ok(port.is_some_and(|port| {
        // An index alone may be another namespace's: both ends must name each other.
        let is_pair = port.kind == Some(LinkKind::Veth)
            && link.kind == Some(LinkKind::Veth)
            && port.parent == Some(link.index);
        is_pair && port.master.is_some() && port.master == master && !is_host_name(&port.name)
    }))
}

/// Whether a link's name has the form of [`host_name`].
#[must_use]
pub fn is_host_name(name: &str) -> bool {
    let digits = name.strip_prefix("veth").unwrap_or_default();
    digits.len() == 11 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_types::{ContainerId, NetworkName};

    fn owner(network: &str, container: &str, ifname: &str) -> Owner {
        Owner {
            network: NetworkName::new(network).unwrap(),
            container: ContainerId::new(container).unwrap(),
            ifname: IfName::new(ifname).unwrap(),
        }
    }

    #[test]
    fn each_attachment_has_a_name_of_its_own_that_fits() {
        let one = host_name(&owner("net", "c1", "eth0")).unwrap();
        assert_eq!(one.as_str().len(), 15);
        assert_eq!(one, host_name(&owner("net", "c1", "eth0")).unwrap());
        let mut names: Vec<_> = (0..2000)
            .map(|i| host_name(&owner("net", &format!("c{i}"), "eth0")).unwrap())
            .chain([host_name(&owner("net", "c1", "eth1")).unwrap()])
            .chain([host_name(&owner("net2", "c1", "eth0")).unwrap()])
            .collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 2002);
    }
}
