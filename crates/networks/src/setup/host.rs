//! This node: steps become netlink messages and files.

use super::apply::Ground;
use super::observe;
use super::plan::{half_made_for, mark, marked};
use super::record::{Record, Recorded};
use super::step::Step;
use crate::{NetworkError, files};
use fairlead_config::Config;
use fairlead_firewall::{Firewall, Ranges};
use fairlead_kernel::route::{AddressOptions, Link, LinkChange, NewLink, NewLinkKind};
use fairlead_kernel::{KernelError, Route, sysctl};
use fairlead_types::{IfName, Mac};
use ipnet::IpNet;

pub(super) struct Host {
    pub(super) route: Route,
    /// Opened when it is needed: a kernel without nftables still has bridges.
    firewall: Option<Firewall>,
    record: Record,
}

impl Host {
    pub(super) fn open(config: &Config, recorded: Vec<Recorded>) -> Result<Self, NetworkError> {
        Ok(Self {
            route: Route::open()?,
            firewall: None,
            record: Record::new(config.root(), observe::boot()?, recorded),
        })
    }

    pub(super) fn link(&mut self, bridge: &IfName) -> Result<Link, KernelError> {
        self.route.link(bridge)?.ok_or_else(|| KernelError::Absent {
            operation: "find bridge",
            object: bridge.to_string(),
        })
    }

    fn create_bridge(
        &mut self,
        network: &str,
        bridge: &IfName,
        mac: Mac,
        mtu: Option<u32>,
    ) -> Result<(), NetworkError> {
        self.route.create_link(&NewLink {
            name: bridge.clone(),
            mac: Some(mac),
            mtu: None,
            up: false,
            master: None,
            group: None,
            namespace: None,
            kind: NewLinkKind::Bridge {
                vlan_filtering: None,
            },
        })?;
        let index = self.link(bridge)?.index;
        let change = LinkChange {
            alias: Some(mark(network)),
            // Given at its making, it would follow that of the ports.
            mtu,
            ..LinkChange::default()
        };
        let marked = self
            .route
            .change_link(index, &change, bridge)
            .and_then(|()| sysctl::write_if_possible(&observe::accept_ra(bridge), "0"));
        marked.map_err(|error| {
            // Ours for sure: the kernel refuses to make a link that is there.
            match self.route.delete_link(index, bridge) {
                Err(undo) if !undo.is_not_found() => NetworkError::Undo {
                    error: Box::new(error.into()),
                    undo: vec![undo.into()],
                },
                _ => error.into(),
            }
        })
    }

    /// Looks again before it deletes: since the plan was made a container may have
    /// come, or another link have got the name.
    fn delete_bridge(&mut self, network: &str, bridge: &IfName) -> Result<(), NetworkError> {
        let Some(link) = self.route.link(bridge)? else {
            return Ok(());
        };
        let marked = link.alias.as_deref().and_then(marked);
        if marked.or_else(|| half_made_for(&link)) != Some(network) {
            return Ok(());
        }
        let links = self.route.links()?;
        let ports = links
            .iter()
            .filter(|l| l.master == Some(link.index))
            .count();
        if ports > 0 {
            let (network, bridge) = (network.to_owned(), bridge.clone());
            return Err(NetworkError::InUse {
                network,
                bridge,
                ports,
            });
        }
        match self.route.delete_link(link.index, bridge) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        self.record
            .retain(|r| (&r.bridge, r.index) != (bridge, link.index))
    }

    fn add_address(
        &mut self,
        network: &str,
        bridge: &IfName,
        address: IpNet,
    ) -> Result<(), NetworkError> {
        let index = self.link(bridge)?.index;
        let (network, entry) = (network.to_owned(), bridge.clone());
        let entry = Recorded {
            network,
            bridge: entry,
            index,
            address,
        };
        self.record.add(entry.clone())?;
        let options = AddressOptions {
            no_dad: true,
            ..AddressOptions::default()
        };
        match self.route.add_address(index, address, options, bridge) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.record.retain(|r| *r != entry)?;
                Err(error.into())
            }
        }
    }

    fn remove_address(&mut self, bridge: &IfName, address: IpNet) -> Result<(), NetworkError> {
        let Some(link) = self.route.link(bridge)? else {
            return Ok(());
        };
        self.route.delete_address(link.index, address, bridge)?;
        self.record
            .retain(|r| (&r.bridge, r.index, r.address) != (bridge, link.index, address))
    }

    pub(super) fn change(
        &mut self,
        bridge: &IfName,
        change: &LinkChange,
    ) -> Result<(), NetworkError> {
        let index = self.link(bridge)?.index;
        Ok(self.route.change_link(index, change, bridge)?)
    }

    fn set_ranges(&mut self, ranges: &Ranges) -> Result<(), NetworkError> {
        let firewall = match &mut self.firewall {
            Some(firewall) => firewall,
            none => none.insert(Firewall::open()?),
        };
        firewall.set_networks(&ranges.networks, &ranges.masqueraded)?;
        Ok(firewall.tidy(&ranges.networks)?)
    }
}

impl Ground for Host {
    fn perform(&mut self, step: &Step) -> Result<(), NetworkError> {
        match step {
            Step::CreateBridge {
                network,
                bridge,
                mac,
                mtu,
            } => self.create_bridge(network.as_str(), bridge, *mac, *mtu),
            Step::DeleteBridge { network, bridge } => self.delete_bridge(network, bridge),
            Step::Mark { bridge, alias, .. } => {
                let change = LinkChange {
                    alias: Some(alias.clone()),
                    ..LinkChange::default()
                };
                self.change(bridge, &change)
            }
            Step::SetLink { bridge, up } => self.change(
                bridge,
                &LinkChange {
                    up: Some(*up),
                    ..LinkChange::default()
                },
            ),
            Step::AddAddress {
                network,
                bridge,
                address,
            } => self.add_address(network, bridge, *address),
            Step::RemoveAddress {
                bridge, address, ..
            } => self.remove_address(bridge, *address),
            Step::SetSysctl { key, value, .. } => Ok(sysctl::write(key, value)?),
            Step::WriteFile { path, text, .. } => files::replace(path, text),
            Step::RemoveFile { path, .. } => files::remove(path),
            Step::SetRanges { ranges, .. } => self.set_ranges(ranges),
            Step::SetMtu { link, mtu, .. } => self.change(
                link,
                &LinkChange {
                    mtu: Some(*mtu),
                    ..LinkChange::default()
                },
            ),
            Step::Path(step) => self.path(step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_kernel::NetNs;
    use fairlead_types::Root;

    fn link(name: &str, master: Option<u32>, kind: NewLinkKind<'static>) -> NewLink<'static> {
        NewLink {
            name: IfName::new(name).unwrap(),
            mac: None,
            mtu: None,
            up: false,
            master,
            group: None,
            namespace: None,
            kind,
        }
    }

    /// What came between the plan and the step must not be destroyed.
    #[test]
    fn a_bridge_that_got_a_port_or_another_owner_since_the_plan_is_not_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ns");
        let ns = NetNs::create(&path).expect("tests need root: run them by 'sudo make test'");
        let mut host = Host {
            route: Route::open_in(&ns).unwrap(),
            firewall: None,
            record: Record::new(&Root::new(dir.path()), "boot".into(), Vec::new()),
        };
        NetNs::remove(&path).unwrap();
        let bridge = IfName::new("br0").unwrap();
        let kind = NewLinkKind::Bridge {
            vlan_filtering: None,
        };
        host.route.create_link(&link("br0", None, kind)).unwrap();
        host.delete_bridge("web", &bridge).unwrap();
        let index = host.link(&bridge).unwrap().index;
        let change = LinkChange {
            alias: Some(mark("web")),
            ..LinkChange::default()
        };
        host.change(&bridge, &change).unwrap();
        let peer = fairlead_kernel::route::Peer {
            name: IfName::new("v1").unwrap(),
            mac: None,
            mtu: None,
            namespace: None,
        };
        let port = link("v0", Some(index), NewLinkKind::Veth(peer));
        host.route.create_link(&port).unwrap();
        let error = host.delete_bridge("web", &bridge).unwrap_err();
        assert!(
            matches!(error, NetworkError::InUse { ports: 1, .. }),
            "{error}"
        );
        assert!(host.route.delete_link_named(&port.name).unwrap());
        host.delete_bridge("web", &bridge).unwrap();
        assert_eq!(host.route.link(&bridge).unwrap(), None);
        host.delete_bridge("web", &bridge).unwrap();
    }
}
