//! From what is declared and what is there to the steps between: pure.

use super::observe::{self, Desired, FORWARD4, FORWARD6, Observed};
use super::paths::{mend, tunnel_to};
use super::step::{Job, Step};
use crate::address::{bridge_address, bridge_mac, gateway_of};
use crate::files::CniFile;
use crate::routed::{Share, Underlay, local_ranges};
use crate::{NetworkError, generate};
use fairlead_config::{Network, NetworkKind};
use fairlead_firewall::Ranges;
use fairlead_kernel::route::{Link, LinkKind};
use fairlead_types::IfName;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// How the alias of a bridge begins that setup made.
const MARK: &str = "fairlead network#";

/// How the name of a bridge begins that no declaration names; the network follows.
const BRIDGE_NAME: &str = "obr_";

/// The alias of the bridge of a network.
pub(super) fn mark(network: &str) -> String {
    format!("{MARK}{network}")
}

/// The network whose mark an alias is.
pub(super) fn marked(alias: &str) -> Option<&str> {
    alias.strip_prefix(MARK)
}

/// Whether a link is one that setup or a plugin made: a bridge, a tunnel, an endpoint.
#[must_use]
pub fn is_of_ours(link: &Link) -> bool {
    let alias = link.alias.as_deref().unwrap_or_default();
    marked(alias).is_some() || tunnel_to(link).is_some() || link.name.starts_with(BRIDGE_NAME)
}

/// The steps to make, and what keeps from making more.
#[derive(Debug, Default)]
pub struct Plan {
    /// The steps by network: first what goes, then what comes, then what all share.
    pub jobs: Vec<Job>,
    /// What is wrong.
    pub problems: Vec<NetworkError>,
}

/// What has to be done so that the node is as it is declared. Without a change of
/// either in between, the plan after it is empty.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let mut planner = Planner::new(desired, observed);
    planner.leftovers();
    planner.stale();
    for network in &desired.networks {
        planner.network(network);
    }
    planner.ways();
    planner.forwarding();
    planner.ranges();
    planner.plan
}

/// Steps by network.
pub(super) type Steps<'a> = BTreeMap<&'a str, Vec<Step>>;

pub(super) struct Planner<'a> {
    pub(super) desired: &'a Desired,
    pub(super) observed: &'a Observed,
    /// The networks that get a bridge, by its name.
    wanted: BTreeMap<&'a str, &'a Network>,
    /// The networks whose things stay as they are.
    pub(super) held: BTreeSet<&'a str>,
    /// What this node has of each routed bridge.
    pub(super) shares: BTreeMap<&'a str, Share<'a>>,
    pub(super) plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(desired: &'a Desired, observed: &'a Observed) -> Self {
        let mut planner = Self {
            desired,
            observed,
            wanted: BTreeMap::new(),
            held: desired.held.iter().map(String::as_str).collect(),
            shares: BTreeMap::new(),
            plan: Plan::default(),
        };
        let underlay = Underlay::of(&observed.links, &observed.addresses)
            .with_ways(&observed.routes, &observed.links);
        for network in &desired.networks {
            let whole = generate::generate(network, &desired.node, None);
            if let Err(error) = whole {
                planner.hold(network, error);
            } else if let Some((bridge, other)) = shared(desired, network) {
                let (network_name, other) = (network.name.clone(), other.name.clone());
                let bridge = bridge.clone();
                let error = NetworkError::BridgeShared {
                    network: network_name,
                    bridge,
                    other,
                };
                planner.hold(network, error);
            } else if let Some(bridge) = &network.bridge {
                planner.wanted.insert(bridge.as_str(), network);
                planner.share(network, &underlay);
            }
        }
        planner
    }

    fn share(&mut self, network: &'a Network, underlay: &Underlay) {
        let Desired {
            node, nodes, known, ..
        } = self.desired;
        let (share, problems) = Share::of(network, (node, nodes), known, underlay);
        self.plan.problems.extend(problems);
        if let Some(share) = share {
            self.shares.insert(network.name.as_str(), share);
        }
    }

    /// The greatest packet of a network's containers, where there is something to know.
    /// While the way to a node is not known, it does not grow.
    pub(super) fn mtu(&self, network: &Network, bridge: Option<&Link>) -> Option<u32> {
        let share = self.shares.get(network.name.as_str());
        let computed = share.and_then(|share| share.mtu);
        let unsure = share.is_some_and(|share| !share.unknown.is_empty());
        let least = bridge.filter(|_| unsure).map(|link| link.mtu);
        let computed = match (computed, least) {
            (Some(mtu), Some(least)) => Some(mtu.min(least)),
            (computed, least) => computed.or(least),
        };
        // What is declared can only be less than what the way takes.
        match (network.mtu, computed) {
            (Some(declared), Some(mtu)) => Some(declared.min(mtu)),
            (declared, computed) => declared.or(computed),
        }
    }

    fn local_ranges(&self, network: &Network) -> Vec<IpNet> {
        local_ranges(network, &self.desired.node)
    }

    fn hold(&mut self, network: &'a Network, error: NetworkError) {
        self.held.insert(network.name.as_str());
        self.plan.problems.push(error);
    }

    pub(super) fn push(&mut self, network: Option<&str>, steps: Vec<Step>) {
        if !steps.is_empty() {
            let network = network.map(str::to_owned);
            self.plan.jobs.push(Job {
                network,
                steps,
                cleans_up: false,
            });
        }
    }

    /// The same for what goes only when all ways are made.
    pub(super) fn push_clean_up(&mut self, steps: Vec<Step>) {
        self.plan.jobs.push(Job {
            network: None,
            steps,
            cleans_up: true,
        });
    }

    /// What was made for networks that are not declared any more, or not so.
    fn stale(&mut self) {
        let mut steps = BTreeMap::new();
        self.stale_files(&mut steps);
        self.stale_addresses(&mut steps);
        self.stale_bridges(&mut steps);
        for (network, steps) in steps {
            self.push(Some(network), steps);
        }
    }

    /// Addresses on bridges that are not ours; those on ours go with the bridge, and
    /// those on bridges that a network has are that network's matter.
    fn stale_addresses(&self, steps: &mut Steps<'a>) {
        for entry in &self.observed.recorded {
            let bridge = entry.bridge.as_str();
            let link = self.observed.link(bridge);
            let foreign = link.filter(|l| l.index == entry.index && owner(l).is_none());
            let mut there = foreign
                .into_iter()
                .flat_map(|l| self.observed.addresses_of(l.index));
            let elsewhere = self.wanted.contains_key(bridge) || self.held.contains(&*entry.network);
            if !elsewhere && there.any(|address| address == entry.address) {
                let step = Step::RemoveAddress {
                    network: entry.network.clone(),
                    bridge: entry.bridge.clone(),
                    address: entry.address,
                };
                steps.entry(&entry.network).or_default().push(step);
            }
        }
    }

    fn stale_bridges(&mut self, steps: &mut Steps<'a>) {
        for link in &self.observed.links {
            let Some(network) = owner(link).or_else(|| half_made_for(link)) else {
                continue;
            };
            if self.wanted.contains_key(&*link.name) || self.held.contains(network) {
                continue;
            }
            let Ok(bridge) = IfName::new(&link.name) else {
                continue;
            };
            let ports = self.observed.ports_of(link.index);
            let owner = network.to_owned();
            if ports > 0 {
                self.plan.problems.push(NetworkError::InUse {
                    network: owner,
                    bridge,
                    ports,
                });
            } else {
                let step = Step::DeleteBridge {
                    network: owner,
                    bridge,
                };
                steps.entry(network).or_default().push(step);
            }
        }
    }

    fn network(&mut self, network: &Network) {
        if self.held.contains(network.name.as_str()) {
            return;
        }
        let file = self.file_of(network);
        let mut steps = Vec::new();
        if let Some(bridge) = &network.bridge
            && !self.bridge(network, bridge, file, &mut steps)
        {
            return;
        }
        if network.bridge.is_some() || network.kind == NetworkKind::Weave {
            self.file(network, file, &mut steps);
        }
        self.push(Some(network.name.as_str()), steps);
    }

    /// The steps of a network's bridge; says whether it can be had.
    fn bridge(
        &mut self,
        network: &Network,
        bridge: &IfName,
        file: Option<&CniFile>,
        steps: &mut Vec<Step>,
    ) -> bool {
        match self.observed.link(bridge.as_str()) {
            None => self.create(network, bridge, steps),
            Some(link) if link.kind != Some(LinkKind::Bridge) => {
                self.plan.problems.push(NetworkError::BridgeTaken {
                    network: network.name.clone(),
                    bridge: bridge.clone(),
                    kind: kind_of(link),
                });
                return false;
            }
            Some(link) => {
                let ours = is_ours(network, link);
                if ours {
                    self.adopt(network, bridge, link, steps);
                }
                self.addresses(network, (bridge, link, ours), file, steps);
                if ours {
                    let mtu = self.mtu(network, Some(link)).unwrap_or(link.mtu);
                    steps.extend(mend(link, bridge, mtu));
                }
            }
        }
        true
    }

    /// Mark and settings of a bridge of ours that is there.
    fn adopt(&self, network: &Network, bridge: &IfName, link: &Link, steps: &mut Vec<Step>) {
        let (alias, previous) = (mark(network.name.as_str()), link.alias.clone());
        if previous.as_ref() != Some(&alias) {
            let previous = previous.unwrap_or_default();
            steps.push(Step::Mark {
                bridge: bridge.clone(),
                alias,
                previous,
            });
        }
        let key = observe::accept_ra(bridge);
        if let Some(previous) = self.observed.sysctls.get(&key).filter(|v| *v != "0") {
            let (value, previous) = ("0".to_owned(), previous.clone());
            steps.push(Step::SetSysctl {
                key,
                value,
                previous,
            });
        }
    }

    /// Addresses of a bridge that is there. First go those that setup had added and
    /// that are not wanted any more: the same IPv6 address cannot be there twice with
    /// different prefix lengths.
    fn addresses(
        &mut self,
        network: &Network,
        (bridge, link, ours): (&IfName, &Link, bool),
        file: Option<&CniFile>,
        steps: &mut Vec<Step>,
    ) {
        let name = network.name.as_str();
        let ranges = self.local_ranges(network);
        let wanted: Vec<IpNet> = ranges.iter().map(|r| gateway_of(network, *r)).collect();
        let mut present: Vec<IpNet> = self.observed.addresses_of(link.index).collect();
        let here = self.observed.recorded.iter();
        let here = here.filter(|r| r.bridge == *bridge && r.index == link.index);
        let mut added: Vec<IpNet> = here.map(|r| r.address).collect();
        if let (true, Some(file)) = (ours, file) {
            // The plugin may have added it, if it made the bridge.
            added.extend(
                generate::ranges(&file.list)
                    .iter()
                    .map(|r| bridge_address(*r)),
            );
        }
        present.retain(|address| {
            let stale = added.contains(address) && !wanted.contains(address);
            if stale {
                let (network, bridge) = (name.to_owned(), bridge.clone());
                steps.push(Step::RemoveAddress {
                    network,
                    bridge,
                    address: *address,
                });
            }
            !stale
        });
        for wanted in wanted.into_iter().filter(|w| !present.contains(w)) {
            let same = |a: &&IpNet| a.addr().is_ipv4() == wanted.addr().is_ipv4();
            match present.iter().find(same).filter(|_| !ours) {
                Some(has) => self.plan.problems.push(NetworkError::ForeignAddress {
                    network: network.name.clone(),
                    bridge: bridge.clone(),
                    has: *has,
                    wanted,
                }),
                None => steps.push(Step::AddAddress {
                    network: name.to_owned(),
                    bridge: bridge.clone(),
                    address: wanted,
                }),
            }
        }
    }

    /// Packets have to pass between bridges and to the outside.
    fn forwarding(&mut self) {
        let ranges = || self.wanted.values().flat_map(|n| &n.ranges);
        let v4 = ranges().any(|r| r.addr().is_ipv4()).then_some(FORWARD4);
        let v6 = ranges().any(|r| r.addr().is_ipv6()).then_some(FORWARD6);
        let off = |key: &&str| self.observed.sysctls.get(*key).is_some_and(|v| v == "0");
        let keys: Vec<_> = v4.into_iter().chain(v6).filter(off).collect();
        for key in keys {
            let (value, previous) = ("1".to_owned(), "0".to_owned());
            self.push(
                None,
                vec![Step::SetSysctl {
                    key: key.to_owned(),
                    value,
                    previous,
                }],
            );
        }
    }

    fn ranges(&mut self) {
        // A kernel without nftables translates nothing anyway.
        let Some(previous) = self.observed.ranges.clone() else {
            return;
        };
        let networks = self
            .desired
            .networks
            .iter()
            .filter(|n| observe::has_range(n));
        let mut ranges: Vec<IpNet> = networks.flat_map(|n| n.ranges.clone()).collect();
        // A fault in a declaration must not begin to translate between networks.
        let kept = self.kept_ranges();
        ranges.extend(&kept);
        // The plugin of a routed bridge masquerades nothing (see `generate`).
        let shares = self.shares.values().filter(|s| !s.network.public);
        let mut masqueraded: Vec<IpNet> = shares.map(|share| share.segment).collect();
        // Nor cease to translate on the way out.
        let before = previous.masqueraded.iter();
        masqueraded.extend(before.filter(|r| kept.iter().any(|kept| kept.contains(*r))));
        let ranges = Ranges {
            networks: IpNet::aggregate(&ranges),
            masqueraded: IpNet::aggregate(&masqueraded),
        };
        if ranges != previous {
            self.push(None, vec![Step::SetRanges { ranges, previous }]);
        }
    }

    fn create(&self, network: &Network, bridge: &IfName, steps: &mut Vec<Step>) {
        let ranges = self.local_ranges(network);
        let addresses: Vec<IpNet> = ranges.iter().map(|r| gateway_of(network, *r)).collect();
        steps.push(Step::CreateBridge {
            network: network.name.clone(),
            bridge: bridge.clone(),
            mac: bridge_mac(&addresses),
            mtu: self.mtu(network, None),
        });
        steps.extend(addresses.into_iter().map(|address| Step::AddAddress {
            network: network.name.to_string(),
            bridge: bridge.clone(),
            address,
        }));
        steps.push(Step::SetLink {
            bridge: bridge.clone(),
            up: true,
        });
    }
}

/// The network whose mark a bridge has.
fn owner(link: &Link) -> Option<&str> {
    let bridge = link.kind == Some(LinkKind::Bridge);
    link.alias.as_deref().filter(|_| bridge).and_then(marked)
}

/// The network that a setup made a bridge for, and was killed before it marked it.
pub(super) fn half_made_for(link: &Link) -> Option<&str> {
    let network = link.name.strip_prefix(BRIDGE_NAME)?;
    let is_bare = !link.up && link.alias.as_deref().unwrap_or_default().is_empty();
    (is_bare && link.kind == Some(LinkKind::Bridge)).then_some(network)
}

/// Whether a bridge is ours: it has a mark, or it has no alias and the name that only
/// networks give, so that a plugin, an agent or a setup that was killed made it.
fn is_ours(network: &Network, link: &Link) -> bool {
    let alias = link.alias.as_deref().unwrap_or_default();
    marked(alias).is_some() || (alias.is_empty() && !network.foreign_bridge)
}

/// The network before or behind this one that has the same bridge.
fn shared<'a>(desired: &'a Desired, network: &'a Network) -> Option<(&'a IfName, &'a Network)> {
    let bridge = network.bridge.as_ref()?;
    let mut others = desired.networks.iter().filter(|n| n.name != network.name);
    others
        .find(|n| n.bridge.as_ref() == Some(bridge))
        .map(|other| (bridge, other))
}

fn kind_of(link: &Link) -> String {
    match (&link.kind, link.loopback) {
        (Some(kind), _) => kind.to_string(),
        (None, true) => "loopback".to_owned(),
        (None, false) => "physical".to_owned(),
    }
}
