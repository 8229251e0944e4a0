//! What is declared, and what is there.

use super::path_step::{PathRoute, Peer};
use super::paths::endpoint_of;
use super::record::{self, Recorded};
use crate::files::{Scan, scan};
use crate::known::{Known, nodes};
use crate::tables::{MAIN, Tables};
use crate::{NetworkError, catalog};
use fairlead_config::{Config, Network, NetworkKind};
use fairlead_firewall::{Firewall, Ranges};
use fairlead_kernel::route::{Address, IpFamily, Link};
use fairlead_kernel::{KernelError, Route, sysctl};
use fairlead_types::IfName;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The number by which our routes are known from those of others, shown by
/// `ip route show proto 70`. `/etc/iproute2/rt_protos` has no name for it.
pub(super) const PROTOCOL: u8 = 70;

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
    /// This node.
    pub node: String,
    /// All nodes, this one among them.
    pub nodes: Vec<String>,
    /// Where they are.
    pub known: Known,
}

impl Desired {
    /// What a configuration wants, and what is wrong with it. `known` says where the
    /// nodes are.
    ///
    /// # Errors
    /// [`NetworkError::Config`] when `cni.config` cannot be evaluated.
    pub fn of(config: &Config, known: &Known) -> Result<(Self, Vec<NetworkError>), NetworkError> {
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
                node: config.node().to_owned(),
                nodes: nodes(config),
                known: known.clone(),
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
    pub(crate) ranges: Option<Ranges>,
    /// Our routes to segments.
    pub(crate) routes: Vec<PathRoute>,
    /// What our VXLAN endpoints know of others.
    pub(crate) peers: Vec<Peer>,
    /// The names of routing tables.
    pub(crate) tables: Tables,
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
            routes: routes(&mut route, &links)?,
            peers: peers(&mut route, &links)?,
            links,
            sysctls,
            scan: scan(&desired.dir)?,
            recorded: record::read(config.root(), &boot()?)?,
            ranges: ranges()?,
            tables: Tables::read(),
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

/// The ranges that the firewall has; a kernel may have none.
fn ranges() -> Result<Option<Ranges>, NetworkError> {
    match Firewall::open() {
        Ok(mut firewall) => Ok(firewall.networks()?),
        Err(error) if error.is_unsupported() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Our routes, with the names of their links.
fn routes(route: &mut Route, links: &[Link]) -> Result<Vec<PathRoute>, KernelError> {
    let name = |index: Option<u32>| {
        let link = links.iter().find(|link| Some(link.index) == index)?;
        IfName::new(&link.name).ok()
    };
    let mut ours = route.routes_by(PROTOCOL, IpFamily::V4)?;
    ours.extend(route.routes_by(PROTOCOL, IpFamily::V6)?);
    let read = ours.into_iter().filter_map(|entry| {
        Some(PathRoute {
            destination: entry.destination,
            table: entry.table.unwrap_or(MAIN),
            gateway: entry.next_hop.gateway,
            link: name(entry.next_hop.link)?,
            source: entry.source,
            onlink: entry.onlink,
            mtu: entry.metrics.mtu,
        })
    });
    Ok(read.collect())
}

/// What our VXLAN endpoints know: a peer has an entry of each table.
pub(super) fn peers(route: &mut Route, links: &[Link]) -> Result<Vec<Peer>, KernelError> {
    let mut peers = Vec::new();
    for link in links.iter().filter(|link| endpoint_of(link).is_some()) {
        let Ok(name) = IfName::new(&link.name) else {
            continue;
        };
        let all = route.neighbours(link.index)?;
        let forwarding = all.iter().filter(|n| n.forwarding);
        let remotes: BTreeMap<_, _> = forwarding.map(|n| (n.mac, n.address)).collect();
        for neighbour in all.iter().filter(|n| !n.forwarding) {
            if let Some(remote) = remotes.get(&neighbour.mac) {
                peers.push(Peer {
                    link: name.clone(),
                    gateway: neighbour.address,
                    mac: neighbour.mac,
                    remote: *remote,
                });
            }
        }
    }
    Ok(peers)
}
