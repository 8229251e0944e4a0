//! `loopback`: sets the container's loopback interface up.

use crate::container::open_sandbox;
use crate::error::kernel;
use fairlead_cni::{Call, CniError, CniResult, Interface, IpConfig, Plugin};
use fairlead_kernel::route::{Link, LinkChange};
use fairlead_kernel::{NetNs, Route};
use fairlead_types::IfName;

/// The plugin `loopback`.
pub(crate) struct Loopback;

/// The loopback interface of a sandbox, whatever `CNI_IFNAME` says.
fn loopback(sandbox: &NetNs) -> Result<(Route, Link, IfName), CniError> {
    let name = IfName::new("lo").map_err(crate::error::internal)?;
    let mut route = Route::open_in(sandbox).map_err(kernel)?;
    let link = route
        .link(&name)
        .map_err(kernel)?
        .ok_or_else(|| CniError::internal(format!("{sandbox} has no loopback interface")))?;
    Ok((route, link, name))
}

impl Plugin for Loopback {
    fn add(&self, call: &Call) -> Result<CniResult, CniError> {
        let path = call.netns()?;
        let previous = call.config.previous()?;
        let sandbox = open_sandbox(path)?;
        let (mut route, link, name) = loopback(&sandbox)?;
        route.set_up(link.index, &name).map_err(kernel)?;
        // In a chain the result of the plugin before is passed on.
        if let Some(previous) = previous {
            return Ok(previous.into_owned());
        }
        let addresses = route.addresses(link.index).map_err(kernel)?;
        if let Some(bad) = addresses.iter().find(|a| !a.net.addr().is_loopback()) {
            return Err(CniError::internal(format!(
                "loopback interface found with non-loopback address {}",
                bad.net
            )));
        }
        let ips = addresses.into_iter().map(|address| IpConfig {
            interface: Some(0),
            ..IpConfig::new(address.net)
        });
        let interface = Interface {
            mac: link.mac.map(|mac| mac.to_string()).unwrap_or_default(),
            sandbox: path.display().to_string(),
            ..Interface::new("lo")
        };
        Ok(CniResult {
            interfaces: vec![interface],
            ips: ips.collect(),
            ..CniResult::default()
        })
    }

    fn del(&self, call: &Call) -> Result<(), CniError> {
        let Some(path) = &call.netns else {
            return Ok(());
        };
        // A namespace that is gone has no loopback interface to set down.
        let Ok(sandbox) = NetNs::open(path) else {
            return Ok(());
        };
        let (mut route, link, name) = loopback(&sandbox)?;
        let down = LinkChange {
            up: Some(false),
            ..LinkChange::default()
        };
        route.change_link(link.index, &down, &name).map_err(kernel)
    }

    fn check(&self, call: &Call) -> Result<(), CniError> {
        let sandbox = open_sandbox(call.netns()?)?;
        let (_, link, name) = loopback(&sandbox)?;
        if link.up {
            Ok(())
        } else {
            Err(CniError::internal(format!(
                "{name} interface is down in {sandbox}"
            )))
        }
    }
}
