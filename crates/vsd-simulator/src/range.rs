//! The addresses of a subnet.

use crate::refusal::Refusal;
use crate::store::{Attributes, text_of};
use ipnet::Ipv4Net;
use serde_json::json;
use std::net::Ipv4Addr;

/// What a subnet's `address`, `netmask` and `gateway` say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) net: Ipv4Net,
    pub(crate) gateway: Ipv4Addr,
}

impl Range {
    /// Reads them; without a gateway it is the first address.
    ///
    /// # Errors
    /// [`Refusal::Rule`] for what is missing or wrong.
    pub(crate) fn of(attributes: &Attributes) -> Result<Self, Refusal> {
        let address = address(attributes, "address")?.ok_or(Refusal::missing("address"))?;
        let netmask = address_of(attributes, "netmask")?;
        let no_mask = || Refusal::invalid("netmask", format!("{netmask} is not a netmask"));
        let net = Ipv4Net::with_netmask(address, netmask).map_err(|_| no_mask())?;
        if net.prefix_len() > 30 || net.prefix_len() == 0 {
            return Err(no_mask());
        }
        if net.network() != address {
            let why = format!("{address} is not the first address of {}", net.trunc());
            return Err(Refusal::invalid("address", why));
        }
        let first = Ipv4Addr::from(u32::from(address) + 1);
        let gateway = self::address(attributes, "gateway")?.unwrap_or(first);
        let range = Self { net, gateway };
        match range.has(gateway) {
            true => Ok(range),
            false => Err(Refusal::invalid(
                "gateway",
                format!("{gateway} is not in {net}"),
            )),
        }
    }

    /// Can a machine have this address here?
    pub(crate) fn has(&self, address: Ipv4Addr) -> bool {
        self.net.contains(&address)
            && address != self.net.network()
            && address != self.net.broadcast()
    }

    /// The addresses for interfaces, lowest first.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = Ipv4Addr> {
        let gateway = self.gateway;
        self.net.hosts().filter(move |address| *address != gateway)
    }

    /// Writes what was read, in full.
    pub(crate) fn write(&self, attributes: &mut Attributes) {
        let octets = self.gateway.octets().map(|octet| format!("{octet:02x}"));
        let mac = format!("68:54:{}", octets.join(":"));
        for (name, value) in [
            ("address", self.net.network().to_string()),
            ("netmask", self.net.netmask().to_string()),
            ("gateway", self.gateway.to_string()),
            ("gatewayMACAddress", mac),
        ] {
            attributes.insert(name.to_owned(), json!(value));
        }
    }
}

fn address_of(attributes: &Attributes, name: &'static str) -> Result<Ipv4Addr, Refusal> {
    address(attributes, name)?.ok_or(Refusal::missing(name))
}

/// An attribute as an address; none where it is not set.
///
/// # Errors
/// [`Refusal::Rule`] when it is something else.
pub(crate) fn address(
    attributes: &Attributes,
    name: &'static str,
) -> Result<Option<Ipv4Addr>, Refusal> {
    match text_of(attributes, name) {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| Refusal::invalid(name, format!("'{text}' is not an address"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(address: &str, netmask: &str, gateway: &str) -> Result<Range, Refusal> {
        let attributes = json!({"address": address, "netmask": netmask, "gateway": gateway});
        Range::of(attributes.as_object().unwrap())
    }

    #[test]
    fn a_range_has_a_gateway_and_leaves_the_ends_out() {
        let range = range("10.21.59.0", "255.255.255.248", "").unwrap();
        assert_eq!(range.gateway, Ipv4Addr::new(10, 21, 59, 1));
        let hosts: Vec<String> = range.hosts().map(|host| host.to_string()).collect();
        let wanted: Vec<String> = (2..7).map(|i| format!("10.21.59.{i}")).collect();
        assert_eq!(hosts, wanted);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (address, netmask, gateway) in [
            ("", "255.255.255.0", ""),
            ("10.0.0.0", "", ""),
            ("10.0.0.1", "255.255.255.0", ""),
            ("10.0.0.0", "255.0.255.0", ""),
            ("10.0.0.0", "255.255.255.254", ""),
            ("0.0.0.0", "0.0.0.0", ""),
            ("10.0.0.0", "255.255.255.0", "10.0.1.1"),
            ("10.0.0.0", "255.255.255.0", "10.0.0.255"),
            ("ten", "255.255.255.0", ""),
        ] {
            assert!(range(address, netmask, gateway).is_err(), "{address}");
        }
    }
}
