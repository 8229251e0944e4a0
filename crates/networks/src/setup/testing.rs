//! Networks and a node in memory, for tests.

use super::apply::{Ground, apply};
use super::observe::{FORWARD4, FORWARD6};
use super::paths::tunnel_mark;
use super::plan::mark;
use super::{
    Desired, Observed, PathRoute, PathStep, Peer, Recorded, Report, Step, TunnelLink, VxlanLink,
    plan,
};
use crate::{CniFile, NetworkError};
use fairlead_cni::ConfList;
use fairlead_config::{Network, NetworkKind, Origin, Routed, Tunnel, TunnelMode};
use fairlead_firewall::Ranges;
use fairlead_kernel::route::{Address, Link, LinkKind};
use fairlead_types::{IfName, NetworkName};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::path::Path;

/// A bridge network as the configuration would give it.
pub(crate) fn network(name: &str, ranges: &[&str]) -> Network {
    Network {
        name: NetworkName::new(name).unwrap(),
        kind: NetworkKind::Bridge,
        ranges: ranges.iter().map(|r| r.parse().unwrap()).collect(),
        bridge: Some(IfName::new(format!("obr_{name}")).unwrap()),
        foreign_bridge: false,
        gateways: Vec::new(),
        public: false,
        mtu: None,
        routed: None,
        origin: Origin::Cluster,
    }
}

/// A routed bridge in which these nodes have their segments in order.
pub(crate) fn routed(name: &str, range: &str, prefix: u8, nodes: &[&str]) -> Network {
    let range: IpNet = range.parse().unwrap();
    let subnets = range.subnets(prefix).unwrap();
    let subnets = nodes.iter().map(|n| (*n).to_owned()).zip(subnets).collect();
    Network {
        kind: NetworkKind::RoutedBridge,
        routed: Some(Routed {
            segment_prefix: prefix,
            subnets,
            endpoints: BTreeMap::new(),
            gateways: BTreeMap::new(),
            tables: vec!["main".to_owned()],
            tunnel: Tunnel::Auto,
            tunnel_mode: TunnelMode::Ipip,
            vni: None,
        }),
        ..network(name, &[&range.to_string()])
    }
}

/// A node in memory: what setup sees of one is what steps change.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) observed: Observed,
    /// The step that fails next, counted down; none fails without.
    pub(crate) fail_at: Option<usize>,
    next_index: u32,
}

impl Model {
    pub(crate) fn new() -> Self {
        let mut model = Self {
            next_index: 1,
            ..Self::default()
        };
        model.observed.ranges = Some(Ranges::default());
        for key in [FORWARD4, FORWARD6] {
            model.observed.sysctls.insert(key.into(), "0".into());
        }
        model
    }

    pub(crate) fn add_link(&mut self, name: &str, kind: LinkKind, alias: Option<&str>) -> u32 {
        self.next_index += 1;
        self.observed.links.push(Link {
            index: self.next_index,
            name: name.into(),
            kind: Some(kind),
            alias: alias.map(str::to_owned),
            mtu: 1500,
            ..Link::default()
        });
        self.next_index
    }

    pub(crate) fn add_address(&mut self, index: u32, net: &str) {
        let net = net.parse().unwrap();
        self.observed.addresses.push(Address {
            index,
            net,
            tentative: false,
            duplicate: false,
            link_local: false,
        });
    }

    pub(crate) fn setup(&mut self, desired: &Desired) -> Report {
        let plan = plan(desired, &self.observed);
        let mut report = Report {
            steps: Vec::new(),
            problems: plan.problems,
        };
        apply(self, plan.jobs, &mut report);
        report
    }

    /// All that a setup may change, but for settings that stay on once they are, and
    /// for what a later setup makes of the same: indices and hardware addresses.
    pub(crate) fn snapshot(&self) -> Vec<String> {
        let observed = &self.observed;
        let name = |index: u32| {
            &observed
                .links
                .iter()
                .find(|l| l.index == index)
                .unwrap()
                .name
        };
        let links = observed
            .links
            .iter()
            .map(|l| format!("{} {:?} {} {}", l.name, l.alias, l.up, l.mtu));
        let addresses = observed
            .addresses
            .iter()
            .map(|a| format!("{} {}", name(a.index), a.net));
        let files = observed
            .scan
            .files
            .iter()
            .map(|f| format!("{:?} {}", f.path, f.text));
        let recorded = observed
            .recorded
            .iter()
            .map(|r| format!("{} {}", r.bridge, r.address));
        let mut all: Vec<_> = links
            .chain(addresses)
            .chain(files)
            .chain(recorded)
            .chain(observed.routes.iter().map(ToString::to_string))
            .chain(observed.peers.iter().map(|p| format!("{p:?}")))
            .collect();
        all.push(format!("{:?}", observed.ranges));
        all.sort();
        all
    }

    fn maybe_fail(&mut self) -> Result<(), NetworkError> {
        if let Some(left) = &mut self.fail_at {
            if *left == 0 {
                self.fail_at = None;
                let source = std::io::Error::other("injected");
                return Err(NetworkError::File {
                    operation: "try",
                    path: "/".into(),
                    source,
                });
            }
            *left -= 1;
        }
        Ok(())
    }

    fn link(&mut self, name: &str) -> &mut Link {
        self.observed
            .links
            .iter_mut()
            .find(|l| l.name == name)
            .expect("the link is there")
    }

    fn forget(&mut self, bridge: &str, address: Option<IpNet>) {
        let index = self.link(bridge).index;
        let keep = |net: IpNet, at: u32| at != index || address.is_some_and(|a| a != net);
        self.observed.addresses.retain(|a| keep(a.net, a.index));
        self.observed.recorded.retain(|r| keep(r.address, r.index));
    }

    fn create_bridge(&mut self, network: &str, bridge: &str, mtu: Option<u32>) {
        assert!(self.observed.links.iter().all(|l| l.name != bridge));
        self.add_link(bridge, LinkKind::Bridge, Some(&mark(network)));
        self.link(bridge).mtu = mtu.unwrap_or(1500);
    }

    fn remove_link(&mut self, name: &str) {
        self.observed.links.retain(|l| l.name != name);
        self.observed.routes.retain(|r| r.link.as_str() != name);
        self.observed.peers.retain(|p| p.link.as_str() != name);
    }

    fn path(&mut self, step: &PathStep) {
        match step {
            PathStep::CreateTunnel(new) => {
                let kind = LinkKind::Other("tunnel".into());
                self.add_link(new.link.as_str(), kind, Some(&tunnel_mark(&new.node)));
                let link = self.link(new.link.as_str());
                (link.tunnel, link.mtu, link.up) = (Some(new.tunnel), new.mtu, true);
            }
            PathStep::CreateVxlan(new) => {
                self.add_link(
                    new.link.as_str(),
                    LinkKind::Vxlan,
                    Some(&mark(&new.network)),
                );
                let link = self.link(new.link.as_str());
                (link.vxlan, link.mac) = (Some(new.vxlan.clone()), Some(new.mac));
                (link.mtu, link.up) = (new.mtu, true);
            }
            PathStep::DeleteTunnel(TunnelLink { link, .. })
            | PathStep::DeleteVxlan(VxlanLink { link, .. }) => self.remove_link(link.as_str()),
            PathStep::SetPeer(peer) => {
                self.link(peer.link.as_str());
                let same = |p: &Peer| p.link == peer.link && p.gateway == peer.gateway;
                self.observed.peers.retain(|p| !same(p));
                self.observed.peers.push(peer.clone());
            }
            PathStep::RemovePeer(peer) => self.observed.peers.retain(|p| p != peer),
            PathStep::SetRoute { route, previous } => {
                self.link(route.link.as_str());
                let key = |r: &PathRoute| (r.destination, r.table);
                let before = self.observed.routes.len();
                self.observed.routes.retain(|r| key(r) != key(route));
                let replaced = before != self.observed.routes.len();
                assert_eq!(replaced, previous.is_some(), "{route}");
                self.observed.routes.push(route.clone());
            }
            PathStep::RemoveRoute { route } => self.observed.routes.retain(|r| r != route),
        }
    }

    fn write(&mut self, path: &Path, text: &str) {
        self.observed.scan.files.retain(|f| f.path != path);
        let list = ConfList::from_slice(text.as_bytes()).unwrap();
        self.observed.scan.files.push(CniFile {
            path: path.into(),
            list,
            modified: 0.0,
            generated: true,
            text: text.into(),
        });
    }
}

impl Ground for Model {
    fn perform(&mut self, step: &Step) -> Result<(), NetworkError> {
        self.maybe_fail()?;
        match step {
            Step::CreateBridge {
                network,
                bridge,
                mtu,
                ..
            } => self.create_bridge(network.as_str(), bridge.as_str(), *mtu),
            Step::DeleteBridge { bridge, .. } => {
                self.forget(bridge.as_str(), None);
                self.observed.links.retain(|l| l.name != bridge.as_str());
            }
            Step::Mark { bridge, alias, .. } => {
                self.link(bridge.as_str()).alias = Some(alias.clone()).filter(|a| !a.is_empty());
            }
            Step::SetLink { bridge, up } => self.link(bridge.as_str()).up = *up,
            Step::AddAddress {
                network,
                bridge,
                address,
            } => {
                let index = self.link(bridge.as_str()).index;
                self.add_address(index, &address.to_string());
                let (network, bridge) = (network.clone(), bridge.clone());
                let address = *address;
                self.observed.recorded.push(Recorded {
                    network,
                    bridge,
                    index,
                    address,
                });
            }
            Step::RemoveAddress {
                bridge, address, ..
            } => {
                self.forget(bridge.as_str(), Some(*address));
            }
            Step::SetSysctl { key, value, .. } => {
                drop(self.observed.sysctls.insert(key.clone(), value.clone()));
            }
            Step::WriteFile { path, text, .. } => self.write(path, text),
            Step::RemoveFile { path, .. } => {
                self.observed.scan.files.retain(|f| f.path != *path);
                self.observed.scan.leftovers.retain(|p| p != path);
            }
            Step::SetRanges { ranges, .. } => self.observed.ranges = Some(ranges.clone()),
            Step::SetMtu { link, mtu, .. } => self.link(link.as_str()).mtu = *mtu,
            Step::Path(step) => self.path(step),
        }
        Ok(())
    }
}
