//! What is declared, and what is there.

use super::record::{self, Recorded};
use crate::files::{Scan, scan};
use crate::{NetworkError, catalog};
use fairlead_config::{Config, Network, NetworkKind};
use fairlead_firewall::TABLE;
use fairlead_kernel::nft::{self, Nft};
use fairlead_kernel::route::{Address, Link};
use fairlead_kernel::{KernelError, Route, sysctl};
use fairlead_types::IfName;
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

/// The setting that lets IPv4 packets pass from a link to another.
pub(super) const FORWARD4: &str = "net/ipv4/ip_forward";
/// The same for IPv6.
pub(super) const FORWARD6: &str = "net/ipv6/conf/all/forwarding";

/// The setting by which a link follows routers' announcements.
pub(super) fn accept_ra(bridge: &IfName) -> String {
    format!("net/ipv6/conf/{bridge}/accept_ra")
}

/// What the configuration wants of this node.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The networks, sorted by name.
    pub networks: Vec<Network>,
    /// The names of networks whose declaration is faulty: what was made for them
    /// stays as it is until the declaration is mended.
    pub held: BTreeSet<String>,
    /// The directory of CNI files.
    pub dir: PathBuf,
}

impl Desired {
    /// What a configuration wants, and what is wrong with it.
    ///
    /// # Errors
    /// [`NetworkError::Config`] when `cni.config` cannot be evaluated.
    pub fn of(config: &Config) -> Result<(Self, Vec<NetworkError>), NetworkError> {
        let (networks, problems) = config.networks();
        let hidden = catalog::hidden(config);
        let usable = |name: &str| networks.iter().any(|n| n.name.as_str() == name);
        let names = config.network_names().into_iter();
        let held = names
            .filter(|n| !hidden.contains(n) && !usable(n))
            .map(str::to_owned);
        let held = held.collect();
        let problems = problems
            .into_iter()
            .map(NetworkError::Declaration)
            .collect();
        Ok((
            Self {
                networks,
                held,
                dir: config.cni_config()?,
            },
            problems,
        ))
    }
}

/// What is there on this node.
#[derive(Debug, Default)]
pub struct Observed {
    /// Every link.
    pub(crate) links: Vec<Link>,
    /// Every address.
    pub(crate) addresses: Vec<Address>,
    /// Kernel settings by key; those that the kernel does not have are missing.
    pub(crate) sysctls: BTreeMap<String, String>,
    /// The CNI files.
    pub(crate) scan: Scan,
    /// The addresses that setup added.
    pub(crate) recorded: Vec<Recorded>,
    /// The ranges that the firewall has; none when the kernel has no nftables.
    pub(crate) ranges: Option<Vec<IpNet>>,
}

impl Observed {
    /// Looks at the network namespace of the calling thread and at the files.
    ///
    /// # Errors
    /// [`NetworkError`] of what cannot be read.
    pub fn read(config: &Config, desired: &Desired) -> Result<Self, NetworkError> {
        let mut route = Route::open()?;
        let links = route.links()?;
        let bridges = desired.networks.iter().filter_map(|n| n.bridge.as_ref());
        let present = bridges.filter(|b| links.iter().any(|l| l.name == b.as_str()));
        let keys = present
            .map(accept_ra)
            .chain([FORWARD4.to_owned(), FORWARD6.to_owned()]);
        let mut sysctls = BTreeMap::new();
        for key in keys {
            match sysctl::read(&key) {
                Ok(value) => drop(sysctls.insert(key, value)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self {
            addresses: route.addresses(0)?,
            links,
            sysctls,
            scan: scan(&desired.dir)?,
            recorded: record::read(config.root(), &boot()?)?,
            ranges: ranges()?,
        })
    }

    pub(super) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The addresses of a link that a person or program gave it.
    pub(super) fn addresses_of(&self, index: u32) -> impl Iterator<Item = IpNet> {
        let own = self
            .addresses
            .iter()
            .filter(move |a| a.index == index && !a.link_local);
        own.map(|address| address.net)
    }

    pub(super) fn ports_of(&self, index: u32) -> usize {
        self.links
            .iter()
            .filter(|link| link.master == Some(index))
            .count()
    }
}

/// The identity of this boot.
pub(super) fn boot() -> Result<String, KernelError> {
    sysctl::read("kernel/random/boot_id")
}

/// The networks that realise a range on this node, for the firewall.
pub(super) fn has_range(network: &Network) -> bool {
    network.kind != NetworkKind::Lo
}

/// The ranges that the firewall has, in the form of [`IpNet::aggregate`].
fn ranges() -> Result<Option<Vec<IpNet>>, KernelError> {
    let mut nft = Nft::open()?;
    let mut ranges = Vec::new();
    for set in ["networks4", "networks6"] {
        match nft.elements(TABLE, set) {
            Ok(elements) => ranges.extend(intervals(elements)),
            Err(error) if error.is_unsupported() => return Ok(None),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(IpNet::aggregate(&ranges)))
}

/// The ranges that elements of an interval set stand for: each begins at a key and
/// ends before the next one, which is marked as an end.
fn intervals(mut elements: Vec<nft::Element>) -> Vec<IpNet> {
    elements.sort_by(|a, b| (&a.key, !a.range_end).cmp(&(&b.key, !b.range_end)));
    let mut ranges = Vec::new();
    for (i, element) in elements.iter().enumerate().filter(|(_, e)| !e.range_end) {
        let end = elements.get(i + 1).filter(|e| e.range_end);
        let (Some(first), end) = (address(&element.key), end.and_then(|e| address(&e.key))) else {
            continue;
        };
        match (first, end) {
            (IpAddr::V4(first), end) => {
                let last = match end {
                    Some(IpAddr::V4(end)) => end.to_bits().wrapping_sub(1),
                    _ => u32::MAX,
                };
                ranges.extend(Ipv4Subnets::new(first, last.into(), 0).map(IpNet::V4));
            }
            (IpAddr::V6(first), end) => {
                let last = match end {
                    Some(IpAddr::V6(end)) => end.to_bits().wrapping_sub(1),
                    _ => u128::MAX,
                };
                ranges.extend(Ipv6Subnets::new(first, last.into(), 0).map(IpNet::V6));
            }
        }
    }
    ranges
}

fn address(key: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(key).map(IpAddr::from).ok();
    v4.or_else(|| <[u8; 16]>::try_from(key).map(IpAddr::from).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(address: &str, range_end: bool) -> nft::Element {
        let key = match address.parse().unwrap() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        nft::Element {
            range_end,
            ..nft::Element::key(key)
        }
    }

    #[test]
    fn the_firewalls_intervals_are_read_as_ranges() {
        let read = intervals(vec![
            element("10.2.0.0", true),
            element("10.2.0.0", false),
            element("10.1.0.0", false),
            element("10.3.0.0", true),
            element("255.0.0.0", false),
        ]);
        let texts: Vec<_> = read.iter().map(IpNet::to_string).collect();
        assert_eq!(texts, ["10.1.0.0/16", "10.2.0.0/16", "255.0.0.0/8"]);
        let six = intervals(vec![
            element("fd00::", false),
            element("fd00:0:0:1::", true),
        ]);
        assert_eq!(six, ["fd00::/64".parse::<IpNet>().unwrap()]);
    }
}
