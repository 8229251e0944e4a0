//! The address and the hardware address of a network's bridge.

use fairlead_config::Network;
use fairlead_types::Mac;
use ipnet::IpNet;
use std::net::IpAddr;

/// The bridge's address on a range: the first one behind the base, with the range's
/// prefix length (specification 4). Containers take it as their gateway.
#[must_use]
pub fn bridge_address(range: IpNet) -> IpNet {
    let address: IpAddr = match range.network() {
        IpAddr::V4(base) => IpAddr::V4(base.to_bits().wrapping_add(1).into()),
        IpAddr::V6(base) => IpAddr::V6(base.to_bits().wrapping_add(1).into()),
    };
    // The prefix length is that of a range of the same family, so it always fits.
    IpNet::new(address, range.prefix_len()).unwrap_or(range)
}

/// The address of a network's bridge on one of its ranges: the declared one, else
/// [`bridge_address`].
#[must_use]
pub fn gateway_of(network: &Network, range: IpNet) -> IpNet {
    let declared = network.gateway(range);
    let declared = declared.and_then(|ip| IpNet::new(ip, range.prefix_len()).ok());
    declared.unwrap_or_else(|| bridge_address(range))
}

/// The hardware address of a bridge that has these addresses. A bridge without one of
/// its own takes the lowest of its ports', and changes it as ports come and go.
///
/// IPv4 is written into it (specification 6.3); without IPv4 a hash of the first
/// address takes its place, so that it is the same after each reboot.
#[must_use]
pub fn bridge_mac(addresses: &[IpNet]) -> Mac {
    let v4 = addresses.iter().find_map(|net| match net {
        IpNet::V4(net) => Some(net.addr().octets()),
        IpNet::V6(_) => None,
    });
    let [a, b, c, d] = v4.unwrap_or_else(|| {
        let octets = addresses.first().map(|net| match net.addr() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        });
        fnv1a(&octets.unwrap_or_default()).to_be_bytes()
    });
    Mac([0x0a, 0x58, a, b, c, d])
}

/// FNV-1a with 32 bits.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// The number of addresses of a range. That of all of IPv6 is one more than fits, and
/// given as the greatest number.
pub(crate) fn size(range: IpNet) -> u128 {
    let bits = u32::from(range.max_prefix_len() - range.prefix_len());
    1_u128.checked_shl(bits).unwrap_or(u128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn the_bridge_has_the_first_address_of_its_range() {
        assert_eq!(bridge_address(net("10.11.4.0/22")), net("10.11.4.1/22"));
        assert_eq!(
            bridge_address(net("fd00:1::400/118")),
            net("fd00:1::401/118")
        );
    }

    #[test]
    fn the_hardware_address_is_made_of_the_ipv4_address_or_a_hash() {
        let both = [net("fd00::1/64"), net("10.22.0.1/16")];
        assert_eq!(bridge_mac(&both).to_string(), "0a:58:0a:16:00:01");
        let one = bridge_mac(&[net("fd00:1::1/64")]);
        assert!(one.is_unicast());
        assert_eq!(one, bridge_mac(&[net("fd00:1::1/64")]));
        assert_ne!(one, bridge_mac(&[net("fd00:2::1/64")]));
    }

    #[test]
    fn sizes_go_up_to_all_of_ipv6() {
        assert_eq!(size(net("10.22.0.0/16")), 65536);
        assert_eq!(size(net("127.0.0.1/32")), 1);
        assert_eq!(size(net("fd00::/8")), 1 << 120);
        assert_eq!(size(net("::/0")), u128::MAX);
    }
}
