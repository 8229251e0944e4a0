//! CHECK: whether what a result says is still so.

use crate::container::entry;
use crate::error::kernel;
use fairlead_cni::{Call, CniError, CniResult, Interface};
use fairlead_kernel::Route;
use fairlead_kernel::route::{Link, LinkKind};
use fairlead_types::IfName;
use std::borrow::Cow;

/// The result of ADD that CHECK is held against.
pub(crate) fn previous(call: &Call) -> Result<Cow<'_, CniResult>, CniError> {
    call.config
        .previous()?
        .ok_or_else(|| CniError::internal("Required prevResult missing"))
}

/// The container's interface in a result: that name, in that namespace.
pub(crate) fn in_sandbox<'r>(
    call: &Call,
    result: &'r CniResult,
) -> Result<&'r Interface, CniError> {
    let netns = call.netns()?.display().to_string();
    let name = call.ifname.as_ref().map_or("", IfName::as_str);
    let found = result
        .interfaces
        .iter()
        .find(|i| i.name == name && i.sandbox == netns);
    found.ok_or_else(|| {
        let other = result.interfaces.iter().find(|i| i.name == name);
        let sandbox = other.map_or("", |i| i.sandbox.as_str());
        CniError::internal(format!(
            "Sandbox in prevResult {sandbox} doesn't match configured netns: {netns}"
        ))
    })
}

/// The link that an interface of a result names.
pub(crate) fn link(route: &mut Route, name: &str) -> Result<Link, CniError> {
    let absent = || CniError::internal(format!("Interface name {name} not found"));
    let name = IfName::new(name).map_err(|_| absent())?;
    route.link(&name).map_err(kernel)?.ok_or_else(absent)
}

/// Whether a link still has the hardware address that the result says.
pub(crate) fn mac(link: &Link, expected: &Interface) -> Result<(), CniError> {
    let actual = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    if expected.mac.is_empty() || expected.mac.eq_ignore_ascii_case(&actual) {
        return Ok(());
    }
    Err(CniError::internal(format!(
        "Interface {} Mac {} doesn't match: the link has {actual}",
        expected.name, expected.mac
    )))
}

/// The container's end of a cable is there, with its hardware address.
pub(crate) fn container_end(route: &mut Route, expected: &Interface) -> Result<Link, CniError> {
    let found = link(route, &expected.name)?;
    if found.kind != Some(LinkKind::Veth) {
        return Err(CniError::internal(format!(
            "Error: Container interface {} not of type veth",
            expected.name
        )));
    }
    mac(&found, expected)?;
    Ok(found)
}

/// The addresses and routes of the result are on the link.
pub(crate) fn addresses_and_routes(
    route: &mut Route,
    index: u32,
    name: &str,
    result: &CniResult,
) -> Result<(), CniError> {
    let present = route.addresses(index).map_err(kernel)?;
    for ip in &result.ips {
        if !present.iter().any(|a| a.net == ip.address) {
            return Err(CniError::internal(format!(
                "Failed to match addr {} on interface {name}",
                ip.address
            )));
        }
    }
    if result.routes.is_empty() {
        return Ok(());
    }
    let routes = route.routes().map_err(kernel)?;
    for expected in &result.routes {
        let wanted = entry(expected, result, index);
        let found = routes.iter().any(|r| {
            r.destination == wanted.destination
                && (wanted.next_hop.gateway.is_none()
                    || r.next_hop.gateway == wanted.next_hop.gateway)
                && wanted.table.is_none_or(|table| r.table == Some(table))
        });
        if !found {
            return Err(CniError::internal(format!(
                "Expected Route {wanted} not found in routing table"
            )));
        }
    }
    Ok(())
}
