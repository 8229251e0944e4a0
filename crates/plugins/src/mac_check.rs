//! `macspoofchk`: a port of the bridge sends from the container's hardware address only.

use crate::host::Host;
use fairlead_cni::CniError;
use fairlead_firewall::Element;
use fairlead_types::{IfName, Mac};

/// Checks what comes from `port`.
pub(crate) fn add(host: &Host, port: &IfName, mac: Mac) -> Result<(), CniError> {
    let check = Element::MacCheck {
        ifname: port.clone(),
        mac,
    };
    host.with_firewall(|firewall| firewall.add(&[check]))
}

/// Ends the check of `port`; 'not there' is done.
pub(crate) fn remove(host: &Host, port: &IfName) -> Result<(), CniError> {
    host.with_firewall(|firewall| {
        let of_port = |element: &Element| {
            matches!(element, Element::MacCheck { ifname, .. } if ifname == port)
        };
        let checks: Vec<Element> = firewall.mac_checks()?.into_iter().filter(of_port).collect();
        if checks.is_empty() { Ok(()) } else { firewall.remove(&checks) }
    })
}
