//! The greatest packet of containers that are there already follows that of their network.
//!
//! The way to other nodes may change under a running container: another mode of tunnels, a
//! node behind a router. The host refuses what is too long with a word either way, so this
//! only spares containers the detour.

use crate::{AttachError, Node};
use fairlead_config::NetworkKind;
use fairlead_kernel::route::{Link, LinkChange, LinkKind};
use fairlead_kernel::{KernelError, NetNs, Route};
use fairlead_store::{Attachment, AttachmentFilter, AttachmentState, NetnsRef};
use fairlead_types::IfName;
use std::collections::BTreeMap;

impl Node {
    /// Gives both ends of each cable on a routed bridge the bridge's greatest packet;
    /// returns what was changed, in words. A container that goes meanwhile is no failure.
    ///
    /// # Errors
    /// [`AttachError`] when state or links cannot be read.
    pub fn fit(&self) -> Result<Vec<String>, AttachError> {
        let (networks, _) = self.config.networks();
        let routed = networks
            .into_iter()
            .filter(|n| n.kind == NetworkKind::RoutedBridge);
        let bridges: BTreeMap<_, _> = routed.filter_map(|n| Some((n.name, n.bridge?))).collect();
        if bridges.is_empty() {
            return Ok(Vec::new());
        }
        let filter = AttachmentFilter {
            state: Some(AttachmentState::Ready),
            ..AttachmentFilter::default()
        };
        let records = self
            .host()
            .store(|store| store.view().attachments(&filter))?;
        let mut route = Route::open()?;
        let links = match records.is_empty() {
            true => Vec::new(),
            false => route.links()?,
        };
        let named = |name: &IfName| links.iter().find(|link| link.name == name.as_str());
        let mut done = Vec::new();
        for record in &records {
            let bridge = bridges.get(&record.owner.network).and_then(named);
            let cable = record.host_ifname.as_ref().and_then(named);
            let (Some(bridge), Some(cable)) = (bridge, cable) else {
                continue;
            };
            if cable.mtu == bridge.mtu {
                continue;
            }
            match resize(&mut route, record, cable, bridge.mtu) {
                Ok(()) => done.push(format!("set the mtu of {} to {}", record.owner, bridge.mtu)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }
}

/// The end that sends is the first to send less and the last to send more: an end drops
/// what is longer than it takes.
fn resize(
    route: &mut Route,
    record: &Attachment,
    cable: &Link,
    mtu: u32,
) -> Result<(), KernelError> {
    let change = LinkChange {
        mtu: Some(mtu),
        ..LinkChange::default()
    };
    let grows = mtu > cable.mtu;
    if grows {
        route.change_link(cable.index, &change, &cable.name)?;
    }
    if let Some(netns) = record.netns.as_ref().filter(|n| n.is_live()) {
        inside(netns, cable, &change)?;
    }
    match grows {
        true => Ok(()),
        false => route.change_link(cable.index, &change, &cable.name),
    }
}

/// The container's end is the one that the host's says: its name is the engine's to choose.
fn inside(netns: &NetnsRef, cable: &Link, change: &LinkChange) -> Result<(), KernelError> {
    let mut route = Route::open_in(&NetNs::open(&netns.path)?)?;
    let Some(index) = cable.parent else {
        return Ok(());
    };
    match route.link_by_index(index)? {
        Some(link) if link.kind == Some(LinkKind::Veth) => {
            route.change_link(link.index, change, &link.name)
        }
        _ => Ok(()),
    }
}
