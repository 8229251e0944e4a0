//! The plan of the ways to other nodes: which tunnels, VXLAN endpoints and routes come,
//! change and go. What changes costs a step, what stays costs none.

use super::observe::Observed;
use super::path_step::{PathRoute, PathStep, Peer, TunnelLink, VxlanLink};
use super::plan::{Planner, marked};
use super::step::Step;
use crate::NetworkError;
use crate::address::bridge_address;
use crate::generate;
use crate::routed::{Device, ENDPOINT_NAME, Path, Share, Way, vxlan_mac};
use crate::tables::MAIN;
use fairlead_kernel::route::{Link, LinkKind, Tunnel};
use fairlead_types::{IfName, Mac};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How the names of tunnels begin; a number follows.
const TUNNEL_NAME: &str = "flt";
/// How the alias of a tunnel begins that setup made; the node follows.
const TUNNEL_MARK: &str = "fairlead tunnel ";

/// The alias of a tunnel to a node.
pub(super) fn tunnel_mark(node: &str) -> String {
    format!("{TUNNEL_MARK}{node}")
}

/// The node whose tunnel a link is, if setup made it.
pub(super) fn tunnel_to(link: &Link) -> Option<&str> {
    link.alias.as_deref()?.strip_prefix(TUNNEL_MARK)
}

/// The network whose VXLAN endpoint a link is, if setup made it.
pub(super) fn endpoint_of(link: &Link) -> Option<&str> {
    let vxlan = link.kind == Some(LinkKind::Vxlan);
    link.alias.as_deref().filter(|_| vxlan).and_then(marked)
}

/// Whether a link is what a setup left that was killed between making and marking it:
/// from then on it is up.
pub(super) fn is_unfinished(link: &Link) -> bool {
    let number = link.name.strip_prefix(TUNNEL_NAME).unwrap_or_default();
    let is_tunnel = link.tunnel.is_some()
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_endpoint = link.kind == Some(LinkKind::Vxlan) && link.name.starts_with(ENDPOINT_NAME);
    let is_marked = link.alias.as_ref().is_some_and(|alias| !alias.is_empty());
    !link.up && !is_marked && (is_tunnel || is_endpoint)
}

/// What the ways of all networks need together, and what of it is there.
pub(super) struct Ways<'a> {
    observed: &'a Observed,
    /// The tunnels of this plan, by name.
    tunnels: BTreeMap<IfName, Tunnel>,
    /// Where each route of this plan leads, and in which table.
    routes: BTreeSet<(IpNet, u32)>,
    /// The peers of this plan: the endpoint's link and the peer's address.
    peers: BTreeSet<(IfName, IpAddr)>,
    /// The VXLAN endpoints of this plan.
    devices: BTreeSet<IfName>,
    /// Endpoints that are made anew: what leads through the old ones goes with them.
    renewed: BTreeSet<IfName>,
    /// Ranges where all stays as it is.
    kept: Vec<IpNet>,
    /// The networks that have each VXLAN identifier.
    identifiers: BTreeMap<u32, &'a fairlead_config::Network>,
}

impl<'a> Ways<'a> {
    fn new(observed: &'a Observed) -> Self {
        Self {
            observed,
            tunnels: BTreeMap::new(),
            routes: BTreeSet::new(),
            peers: BTreeSet::new(),
            devices: BTreeSet::new(),
            renewed: BTreeSet::new(),
            kept: Vec::new(),
            identifiers: BTreeMap::new(),
        }
    }

    /// The link of a tunnel, and the steps that make it.
    fn tunnel(
        &mut self,
        share: &Share<'_>,
        path: &Path<'_>,
        tunnel: &Tunnel,
    ) -> Result<(IfName, Vec<Step>), NetworkError> {
        if let Some((name, _)) = self.tunnels.iter().find(|(_, t)| *t == tunnel) {
            return Ok((name.clone(), Vec::new()));
        }
        let there = self.observed.links.iter();
        let there =
            there.filter(|link| link.tunnel.as_ref() == Some(tunnel) && !is_unfinished(link));
        let mut there: Vec<&Link> = there.collect();
        there.sort_by_key(|link| tunnel_to(link).is_none());
        let link = match there.first() {
            Some(link) if tunnel_to(link).is_none() => {
                return Err(NetworkError::LinkInTheWay {
                    network: share.network.name.clone(),
                    link: link.name.clone(),
                    wanted: format!("the tunnel to node {}", path.node),
                });
            }
            other => other.copied(),
        };
        let existing = link.and_then(|link| IfName::new(&link.name).ok());
        let (name, steps) = match (link, existing) {
            (Some(link), Some(name)) => {
                let steps = mend(link, &name, path.mtu);
                (name, steps)
            }
            _ => {
                let link = self.free_name();
                let (node, tunnel) = (path.node.to_owned(), *tunnel);
                let new = TunnelLink {
                    link: link.clone(),
                    node,
                    tunnel,
                    mtu: path.mtu,
                };
                (link, vec![PathStep::CreateTunnel(new).into()])
            }
        };
        self.tunnels.insert(name.clone(), *tunnel);
        Ok((name, steps))
    }

    /// The first name for a tunnel that no link has.
    fn free_name(&self) -> IfName {
        let numbers = 0..=u32::MAX;
        let names = numbers.filter_map(|n| IfName::new(format!("{TUNNEL_NAME}{n}")).ok());
        let mut free = names.filter(|name| {
            !self.tunnels.contains_key(name) && self.observed.link(name.as_str()).is_none()
        });
        // There are more names than links.
        free.next().unwrap_or_else(|| unreachable!("a free name"))
    }

    /// The steps that make or mend a network's VXLAN endpoint.
    fn device(&mut self, share: &Share<'a>, device: &Device) -> Result<Vec<Step>, NetworkError> {
        let network = share.network.name.clone();
        let vni = device.vxlan.vni;
        if let Some(other) = self.identifiers.insert(vni, share.network) {
            let other = other.name.clone();
            return Err(NetworkError::Vni {
                network,
                other,
                vni,
            });
        }
        let wanted = VxlanLink {
            link: device.name.clone(),
            network: network.to_string(),
            vxlan: device.vxlan.clone(),
            mac: device.mac,
            mtu: device.mtu,
        };
        self.devices.insert(device.name.clone());
        let link = self.observed.link(device.name.as_str());
        let Some(link) = link.filter(|link| !is_unfinished(link)) else {
            return Ok(vec![PathStep::CreateVxlan(wanted).into()]);
        };
        if endpoint_of(link).is_none() {
            return Err(NetworkError::LinkInTheWay {
                network,
                link: link.name.clone(),
                wanted: "the network's VXLAN endpoint".to_owned(),
            });
        }
        if link.vxlan.as_ref() == Some(&device.vxlan) && link.mac == Some(device.mac) {
            return Ok(mend(link, &device.name, device.mtu));
        }
        let found = link.vxlan.clone().unwrap_or_else(|| device.vxlan.clone());
        self.renewed.insert(device.name.clone());
        let old = VxlanLink {
            vxlan: found,
            mac: link.mac.unwrap_or(device.mac),
            mtu: link.mtu,
            ..wanted.clone()
        };
        let steps = [PathStep::DeleteVxlan(old), PathStep::CreateVxlan(wanted)];
        Ok(steps.into_iter().map(Into::into).collect())
    }

    /// The step that tells an endpoint where a node's is; none if it knows.
    fn peer(&mut self, peer: Peer) -> Option<Step> {
        self.peers.insert((peer.link.clone(), peer.gateway));
        let fresh = self.renewed.contains(&peer.link);
        let known = !fresh && self.observed.peers.contains(&peer);
        (!known).then(|| PathStep::SetPeer(peer).into())
    }

    /// The step that makes a route so; none if it is.
    fn route(&mut self, route: PathRoute) -> Option<Step> {
        self.routes.insert((route.destination, route.table));
        let mut ours = self.observed.routes.iter();
        let previous = ours
            .find(|old| (old.destination, old.table) == (route.destination, route.table))
            .filter(|old| !self.renewed.contains(&old.link))
            .cloned();
        (previous.as_ref() != Some(&route)).then(|| PathStep::SetRoute { route, previous }.into())
    }

    fn is_kept(&self, net: IpNet) -> bool {
        self.kept.iter().any(|kept| kept.contains(&net))
    }
}

impl From<PathStep> for Step {
    fn from(step: PathStep) -> Self {
        Self::Path(step)
    }
}

/// The steps that set a link up again and give it its greatest packet.
pub(super) fn mend(link: &Link, name: &IfName, mtu: u32) -> Vec<Step> {
    let size = (link.mtu != mtu).then(|| Step::SetMtu {
        link: name.clone(),
        mtu,
        previous: link.mtu,
    });
    let up = (!link.up).then(|| Step::SetLink {
        bridge: name.clone(),
        up: true,
    });
    size.into_iter().chain(up).collect()
}

impl<'a> Planner<'a> {
    /// The ways of all networks, and what leads nowhere any more.
    pub(super) fn ways(&mut self) {
        self.unfinished_ways();
        let mut ways = Ways::new(self.observed);
        ways.kept = self.kept_ranges();
        let shares = std::mem::take(&mut self.shares);
        for share in shares.values() {
            ways.kept.extend(&share.unknown);
            self.ways_of(&mut ways, share);
        }
        self.shares = shares;
        self.stale_ways(&ways);
    }

    /// What is half made is in the way of what is to be made.
    fn unfinished_ways(&mut self) {
        for link in self.observed.links.iter().filter(|l| is_unfinished(l)) {
            let Ok(name) = IfName::new(&link.name) else {
                continue;
            };
            let (mac, mtu) = (link.mac.unwrap_or(Mac([0; 6])), link.mtu);
            let step = match (&link.tunnel, &link.vxlan) {
                (Some(tunnel), _) => PathStep::DeleteTunnel(TunnelLink {
                    link: name,
                    node: String::new(),
                    tunnel: *tunnel,
                    mtu,
                }),
                (None, Some(vxlan)) => PathStep::DeleteVxlan(VxlanLink {
                    link: name,
                    network: String::new(),
                    vxlan: vxlan.clone(),
                    mac,
                    mtu,
                }),
                (None, None) => continue,
            };
            self.push(None, vec![step.into()]);
        }
    }

    /// What was made for networks whose declaration is faulty stays.
    pub(super) fn kept_ranges(&self) -> Vec<IpNet> {
        let files = self.observed.scan.files.iter().filter(|f| f.generated);
        let held = files.filter(|f| self.held.contains(f.list.name.as_str()));
        held.flat_map(|f| {
            let mut ranges = generate::destinations(&f.list);
            ranges.extend(generate::ranges(&f.list));
            ranges
        })
        .collect()
    }

    fn ways_of(&mut self, ways: &mut Ways<'a>, share: &Share<'a>) {
        let name = share.network.name.as_str();
        if self.held.contains(name) {
            ways.kept.extend(&share.network.ranges);
            return;
        }
        let (tables, all) = self.tables(share);
        if !all {
            // What the name stood for before is not known: what is there stays.
            ways.kept.extend(&share.network.ranges);
        }
        if let Some(device) = &share.device {
            match ways.device(share, device) {
                Ok(steps) => self.push(Some(name), steps),
                Err(error) => {
                    self.plan.problems.push(error);
                    ways.kept.extend(&share.network.ranges);
                    return;
                }
            }
        }
        if let Some(bridge) = &share.network.bridge {
            let others = tables.iter().filter(|table| **table != MAIN);
            let own = others.map(|table| PathRoute {
                destination: share.segment,
                table: *table,
                gateway: None,
                link: bridge.clone(),
                source: None,
                onlink: false,
                mtu: None,
            });
            let steps = own.filter_map(|route| ways.route(route)).collect();
            self.push(Some(name), steps);
        }
        for path in &share.paths {
            match way(ways, share, path, &tables) {
                Ok(steps) => self.push(Some(name), steps),
                Err(error) => {
                    self.plan.problems.push(error);
                    ways.kept.push(path.segment);
                }
            }
        }
    }

    /// The numbers of a network's routing tables, and whether that is all of them.
    fn tables(&mut self, share: &Share<'_>) -> (Vec<u32>, bool) {
        let names = share.network.routed.iter().flat_map(|r| &r.tables);
        let mut numbers = Vec::new();
        let problems = self.plan.problems.len();
        for name in names {
            match self.observed.tables.number(name) {
                Some(number) if !numbers.contains(&number) => numbers.push(number),
                Some(_) => {}
                None => self.plan.problems.push(NetworkError::Table {
                    network: share.network.name.clone(),
                    table: name.clone(),
                }),
            }
        }
        (numbers, problems == self.plan.problems.len())
    }

    /// Routes first, then what they led through.
    fn stale_ways(&mut self, ways: &Ways<'a>) {
        let mut kept_links: BTreeSet<&str> = BTreeSet::new();
        for route in &self.observed.routes {
            if ways.routes.contains(&(route.destination, route.table)) {
                continue;
            }
            if ways.is_kept(route.destination) {
                kept_links.insert(route.link.as_str());
            } else if !ways.renewed.contains(&route.link) {
                let route = route.clone();
                self.push(None, vec![PathStep::RemoveRoute { route }.into()]);
            }
        }
        for peer in &self.observed.peers {
            let is_wanted = ways.peers.contains(&(peer.link.clone(), peer.gateway));
            let is_kept = ways.is_kept(peer.gateway.into()) || ways.renewed.contains(&peer.link);
            if ways.devices.contains(&peer.link) && !is_wanted && !is_kept {
                self.push_clean_up(vec![PathStep::RemovePeer(peer.clone()).into()]);
            }
        }
        for link in &self.observed.links {
            let Ok(name) = IfName::new(&link.name) else {
                continue;
            };
            let endpoint = endpoint_of(link).zip(link.vxlan.as_ref());
            let step = match (tunnel_to(link), &link.tunnel, endpoint) {
                (Some(node), Some(tunnel), _) if !ways.tunnels.contains_key(&name) => {
                    PathStep::DeleteTunnel(TunnelLink {
                        link: name,
                        node: node.to_owned(),
                        tunnel: *tunnel,
                        mtu: link.mtu,
                    })
                }
                (_, _, Some((network, vxlan))) if !ways.devices.contains(&name) => {
                    if self.held.contains(network) {
                        continue;
                    }
                    PathStep::DeleteVxlan(VxlanLink {
                        link: name,
                        network: network.to_owned(),
                        vxlan: vxlan.clone(),
                        mac: link.mac.unwrap_or(Mac([0; 6])),
                        mtu: link.mtu,
                    })
                }
                _ => continue,
            };
            if !kept_links.contains(&*link.name) {
                self.push_clean_up(vec![step.into()]);
            }
        }
    }
}

/// The steps of the way to one node's segment.
fn way<'a>(
    ways: &mut Ways<'a>,
    share: &Share<'a>,
    path: &Path<'_>,
    tables: &[u32],
) -> Result<Vec<Step>, NetworkError> {
    let base = path.segment.network();
    let own = bridge_address(share.segment).addr();
    let mut steps = Vec::new();
    let (gateway, link, source, onlink) = match &path.way {
        Way::Direct { gateway, link } => (Some(*gateway), link.clone(), None, false),
        Way::Tunnel(tunnel) => {
            let (link, made) = ways.tunnel(share, path, tunnel)?;
            steps.extend(made);
            (None, link, Some(own), false)
        }
        Way::Vxlan { remote } => {
            let Some(device) = &share.device else {
                return Ok(steps);
            };
            let peer = Peer {
                link: device.name.clone(),
                gateway: base,
                mac: vxlan_mac(path.segment),
                remote: *remote,
            };
            steps.extend(ways.peer(peer));
            (Some(base), device.name.clone(), Some(own), true)
        }
    };
    for table in tables {
        steps.extend(ways.route(PathRoute {
            destination: path.segment,
            table: *table,
            gateway,
            link: link.clone(),
            source,
            onlink,
            mtu: share.network.mtu.filter(|mtu| *mtu < path.mtu),
        }));
    }
    Ok(steps)
}
