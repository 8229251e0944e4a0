//! The sets that a subnet has, and their names.

use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the addresses in a subnet's set are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Use {
    /// Sources that are masqueraded on the way out of the subnet.
    Masquerade,
    /// Targets of published ports that the subnet itself may reach.
    Hairpin,
}

/// A set of addresses in one subnet. Its rule exists exactly when the set does:
/// both are made in one transaction that fails if the set is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SubnetSet {
    pub(crate) purpose: Use,
    pub(crate) subnet: IpNet,
}

impl Use {
    const ALL: [Self; 2] = [Self::Masquerade, Self::Hairpin];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Masquerade => "masq-",
            Self::Hairpin => "hairpin-",
        }
    }
}

impl SubnetSet {
    pub(crate) fn new(purpose: Use, subnet: IpNet) -> Self {
        Self {
            purpose,
            subnet: subnet.trunc(),
        }
    }

    /// The set that has this name, if it is one of a subnet.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (purpose, rest) = Use::ALL
            .into_iter()
            .find_map(|purpose| Some((purpose, name.strip_prefix(purpose.prefix())?)))?;
        let (address, length) = rest.split_once('-')?;
        let address = if address.matches('.').count() == 3 {
            IpAddr::V4(address.parse::<Ipv4Addr>().ok()?)
        } else {
            IpAddr::V6(address.replace('.', ":").parse::<Ipv6Addr>().ok()?)
        };
        let set = Self {
            purpose,
            subnet: IpNet::new(address, length.parse().ok()?).ok()?,
        };
        // Only a name that we would give ourselves is ours.
        (set.to_string() == name).then_some(set)
    }
}

/// `masq-10.22.0.0-16`, `hairpin-fd00.0.0.0.0.0.0.0-64`: letters, digits, dots and
/// dashes are what the `nft` program takes in a name.
impl fmt::Display for SubnetSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.purpose.prefix())?;
        match self.subnet {
            IpNet::V4(net) => write!(f, "{}-{}", net.network(), net.prefix_len()),
            IpNet::V6(net) => {
                let parts = net.network().segments().map(|part| format!("{part:x}"));
                write!(f, "{}-{}", parts.join("."), net.prefix_len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_plain() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let v4 = SubnetSet::new(Use::Masquerade, net("10.22.3.4/16"));
        assert_eq!(v4.to_string(), "masq-10.22.0.0-16");
        let v6 = SubnetSet::new(Use::Hairpin, net("fd00:a::1/64"));
        assert_eq!(v6.to_string(), "hairpin-fd00.a.0.0.0.0.0.0-64");
    }

    #[test]
    fn other_names_are_not_ours() {
        for name in [
            "",
            "masq-",
            "masq-10.0.0.0",
            "masq-10.0.0.0-33",
            "masq-10.0.0.1-8",
            "masq-010.0.0.0-8",
            "masq-fd00.0-64",
            "publish4",
            "hairpin-10.0.0.0-8x",
        ] {
            assert_eq!(SubnetSet::parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_leads_back_to_its_subnet(address: IpAddr, length in 0_u8..=128, hairpin: bool) {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let subnet = IpNet::new(address, length.min(most)).unwrap();
            let purpose = if hairpin { Use::Hairpin } else { Use::Masquerade };
            let set = SubnetSet::new(purpose, subnet);
            prop_assert_eq!(SubnetSet::parse(&set.to_string()), Some(set));
        }
    }
}
