//! What only bridges and their ports have.

use super::Route;
use super::link::{RTM_NEWLINK, link_message};
use crate::KernelError;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    AfSpecBridge, BridgeFlag, BridgeVlanInfo, BridgeVlanInfoFlags, InfoBridge, InfoBridgePort,
    InfoData, InfoKind, InfoPortData, InfoPortKind, LinkAttribute, LinkExtentMask, LinkInfo,
    LinkMessage,
};
use std::fmt;

const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;

/// What to set of a port of a bridge; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortOptions {
    /// Whether frames may leave by the port they came by.
    pub hairpin: Option<bool>,
    /// Whether it is kept apart from other such ports.
    pub isolated: Option<bool>,
}

/// VLANs of a port, from `first` to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanRange {
    /// The first VLAN, 1 to 4094.
    pub first: u16,
    /// The last VLAN, `first` to 4094.
    pub last: u16,
    /// Frames without a tag that come in belong to it; only for one VLAN.
    pub pvid: bool,
    /// Frames of it leave without a tag.
    pub untagged: bool,
}

impl Route {
    /// Sets options of a port of a bridge.
    ///
    /// # Errors
    /// [`KernelError::Refused`], also when the link is no port of a bridge.
    pub fn set_port(
        &mut self,
        index: u32,
        options: PortOptions,
        object: &dyn fmt::Display,
    ) -> Result<(), KernelError> {
        let items = [
            options.hairpin.map(InfoBridgePort::HairpinMode),
            options.isolated.map(InfoBridgePort::Isolated),
        ];
        let data = InfoPortData::BridgePort(items.into_iter().flatten().collect());
        let info = vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(data),
        ];
        let mut message = link_message(index);
        message.attributes.push(LinkAttribute::LinkInfo(info));
        self.ask(RTM_NEWLINK, 0, &message, "set port", object)
            .map(drop)
    }

    /// Turns VLAN filtering of a bridge on or off.
    ///
    /// # Errors
    /// [`KernelError::Refused`] with `EOPNOTSUPP` on a kernel without it.
    pub fn set_vlan_filtering(
        &mut self,
        index: u32,
        on: bool,
        object: &dyn fmt::Display,
    ) -> Result<(), KernelError> {
        let data = InfoData::Bridge(vec![InfoBridge::VlanFiltering(on)]);
        let info = vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(data)];
        let mut message = link_message(index);
        message.attributes.push(LinkAttribute::LinkInfo(info));
        self.ask(RTM_NEWLINK, 0, &message, "set vlan filtering of", object)
            .map(drop)
    }

    /// Adds VLANs to a port of a bridge, or to the bridge itself where `own` is set.
    ///
    /// # Errors
    /// [`KernelError::Refused`] with `EOPNOTSUPP` on a kernel without VLAN filtering.
    pub fn add_vlans(
        &mut self,
        index: u32,
        own: bool,
        vlans: &[VlanRange],
        object: &dyn fmt::Display,
    ) -> Result<(), KernelError> {
        let message = vlan_message(index, own, vlans);
        self.ask(RTM_SETLINK, 0, &message, "add vlan to", object)
            .map(drop)
    }

    /// Takes VLANs from a port of a bridge, or from the bridge itself.
    ///
    /// # Errors
    /// [`KernelError::Refused`].
    pub fn delete_vlans(
        &mut self,
        index: u32,
        own: bool,
        vlans: &[VlanRange],
        object: &dyn fmt::Display,
    ) -> Result<(), KernelError> {
        let message = vlan_message(index, own, vlans);
        self.ask(RTM_DELLINK, 0, &message, "delete vlan of", object)
            .map(drop)
    }

    /// The VLANs of a port of a bridge, or of the bridge itself, one by one.
    ///
    /// # Errors
    /// [`KernelError`] of the dump.
    pub fn vlans(&mut self, index: u32) -> Result<Vec<VlanRange>, KernelError> {
        let mut message = link_message(0);
        message.header.interface_family = AddressFamily::Bridge;
        message
            .attributes
            .push(LinkAttribute::ExtMask(vec![LinkExtentMask::Brvlan]));
        let links: Vec<LinkMessage> = self.list(RTM_GETLINK, &message, "list", &"vlans")?;
        let of_link = links.into_iter().filter(|link| link.header.index == index);
        Ok(of_link
            .flat_map(|link| link.attributes)
            .flat_map(read_vlans)
            .collect())
    }
}

fn read_vlans(attribute: LinkAttribute) -> Vec<VlanRange> {
    let LinkAttribute::AfSpecBridge(items) = attribute else {
        return Vec::new();
    };
    let read = |item: AfSpecBridge| match item {
        AfSpecBridge::VlanInfo(info) => Some(VlanRange {
            first: info.vid,
            last: info.vid,
            pvid: info.flags.contains(BridgeVlanInfoFlags::Pvid),
            untagged: info.flags.contains(BridgeVlanInfoFlags::Untagged),
        }),
        _ => None,
    };
    items.into_iter().filter_map(read).collect()
}

fn vlan_message(index: u32, own: bool, vlans: &[VlanRange]) -> LinkMessage {
    let mut message = link_message(index);
    message.header.interface_family = AddressFamily::Bridge;
    let mut items = Vec::new();
    if own {
        items.push(AfSpecBridge::Flags(BridgeFlag::LowerDev));
    }
    for range in vlans {
        let mut flags = BridgeVlanInfoFlags::empty();
        flags.set(BridgeVlanInfoFlags::Pvid, range.pvid);
        flags.set(BridgeVlanInfoFlags::Untagged, range.untagged);
        let item = |vid, more| {
            AfSpecBridge::VlanInfo(BridgeVlanInfo {
                flags: flags | more,
                vid,
            })
        };
        if range.first == range.last {
            items.push(item(range.first, BridgeVlanInfoFlags::empty()));
        } else {
            items.push(item(range.first, BridgeVlanInfoFlags::RangeBegin));
            items.push(item(range.last, BridgeVlanInfoFlags::RangeEnd));
        }
    }
    message.attributes.push(LinkAttribute::AfSpecBridge(items));
    message
}
