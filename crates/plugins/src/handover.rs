//! Networks for containers whose engine takes the interface itself, as Docker's does: what a
//! network's list says, but the container's end of the cable stays in this namespace, and
//! the addresses are those that the engine was given before.

use crate::cable::host_text;
use fairlead_cni::{ConfList, conf::ConfError};
use fairlead_types::{IfName, NameError, Owner};
use ipnet::IpNet;
use serde_json::json;
use std::net::IpAddr;

/// An address that the engine has for the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// The address with the prefix length of its subnet.
    pub address: IpNet,
    /// The gateway, which the bridge has.
    pub gateway: Option<IpAddr>,
}

/// Why a network cannot be had that way.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// A plugin works in the container's namespace.
    #[error(
        "its plugin {plugin:?} works inside of the container, which the engine does not show; only bridge and portmap do without"
    )]
    Plugin {
        /// The plugin's type.
        plugin: String,
    },
    /// The list cannot be written anew.
    #[error(transparent)]
    List(#[from] ConfError),
}

/// The name of the container's end while it is here. With the same hash as the host's end.
///
/// # Errors
/// None so far: the name always fits.
pub fn handover_name(owner: &Owner) -> Result<IfName, NameError> {
    let text = host_text(owner);
    let hash = text.strip_prefix("veth").unwrap_or(&text);
    IfName::new(format!("flp{hash}"))
}

/// The list for one container. It records no address by itself; with `masquerade` false
/// nothing of it leaves by the host's address.
///
/// # Errors
/// [`HandoverError`].
pub fn handover(
    list: &ConfList,
    inner: &IfName,
    addresses: &[Given],
    masquerade: bool,
) -> Result<ConfList, HandoverError> {
    let is_first = |at: usize, plugin: &str| match plugin {
        "bridge" => at == 0,
        "portmap" => at > 0,
        _ => false,
    };
    let wrong = list.plugins.iter().enumerate();
    let mut wrong = wrong.filter(|(at, entry)| !is_first(*at, entry.plugin_type()));
    if let Some((_, entry)) = wrong.next() {
        let plugin = entry.plugin_type().to_owned();
        return Err(HandoverError::Plugin { plugin });
    }
    let mut value = list.to_value();
    if let Some(bridge) = value["plugins"].get_mut(0) {
        let given = addresses
            .iter()
            .map(|given| json!({"address": given.address.to_string(), "gateway": given.gateway}));
        bridge["ipam"] = json!({"type": "static", "addresses": given.collect::<Vec<_>>()});
        bridge["handover"] = json!(inner.as_str());
        if !masquerade {
            bridge["ipMasq"] = json!(false);
        }
    }
    Ok(ConfList::from_value(value)?)
}
