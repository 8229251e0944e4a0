//! This node: the steps of ways become netlink messages.

use super::host::Host;
use super::observe::PROTOCOL;
use super::path_step::{PathRoute, PathStep, Peer, TunnelLink, VxlanLink};
use super::paths::{endpoint_of, is_unfinished, tunnel_mark, tunnel_to};
use super::plan::mark;
use crate::NetworkError;
use fairlead_kernel::KernelError;
use fairlead_kernel::route::{
    Link, LinkChange, Neighbour, NewLink, NewLinkKind, NextHop, RouteEntry, RouteMetrics,
};
use fairlead_kernel::sysctl;
use fairlead_types::{IfName, Mac};

impl Host {
    pub(super) fn path(&mut self, step: &PathStep) -> Result<(), NetworkError> {
        match step {
            PathStep::CreateTunnel(link) => self.create_tunnel(link),
            PathStep::DeleteTunnel(TunnelLink { link, .. }) => self.delete(link, |link| {
                tunnel_to(link).is_some() || is_unfinished(link)
            }),
            PathStep::CreateVxlan(link) => self.create_vxlan(link),
            PathStep::DeleteVxlan(VxlanLink { link, .. }) => self.delete(link, |link| {
                endpoint_of(link).is_some() || is_unfinished(link)
            }),
            PathStep::SetPeer(peer) => {
                for entry in self.entries(peer)? {
                    self.route.set_neighbour(&entry)?;
                }
                Ok(())
            }
            PathStep::RemovePeer(peer) => {
                for entry in self.entries(peer)? {
                    self.route.delete_neighbour(&entry)?;
                }
                Ok(())
            }
            PathStep::SetRoute { route, previous } => {
                let entry = self.entry(route)?;
                match previous {
                    // One that somebody else made is not replaced.
                    None => self
                        .route
                        .add_route(&entry)
                        .map_err(|error| match error.is_exists() {
                            true => NetworkError::RouteInTheWay {
                                destination: route.destination,
                                table: route.table,
                            },
                            false => error.into(),
                        }),
                    Some(_) => Ok(self.route.replace_route(&entry)?),
                }
            }
            PathStep::RemoveRoute { route } => match self.entry(route) {
                Ok(entry) => Ok(self.route.delete_route(&entry).map(drop)?),
                // With its link the route went too.
                Err(error) if error.is_not_found() => Ok(()),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn create_tunnel(&mut self, new: &TunnelLink) -> Result<(), NetworkError> {
        let kind = NewLinkKind::Tunnel(new.tunnel);
        self.create_marked((&new.link, None, new.mtu), kind, tunnel_mark(&new.node))
    }

    fn create_vxlan(&mut self, new: &VxlanLink) -> Result<(), NetworkError> {
        let kind = NewLinkKind::Vxlan(new.vxlan.clone());
        self.create_marked(
            (&new.link, Some(new.mac), new.mtu),
            kind,
            mark(&new.network),
        )
    }

    /// Makes a link, down, marks it and sets it up; or leaves nothing.
    fn create_marked(
        &mut self,
        (name, mac, mtu): (&IfName, Option<Mac>, u32),
        kind: NewLinkKind<'_>,
        alias: String,
    ) -> Result<(), NetworkError> {
        self.route.create_link(&NewLink {
            name: name.clone(),
            mac,
            mtu: Some(mtu),
            up: false,
            master: None,
            group: None,
            namespace: None,
            kind,
        })?;
        let index = self.link(name)?.index;
        let change = LinkChange {
            alias: Some(alias),
            up: Some(true),
            ..LinkChange::default()
        };
        // Nobody announces routes there, and nobody may.
        let quiet = format!("net/ipv6/conf/{name}/accept_ra");
        let made = sysctl::write_if_possible(&quiet, "0")
            .and_then(|()| self.route.change_link(index, &change, name));
        made.map_err(|error| match self.route.delete_link(index, name) {
            Err(undo) if !undo.is_not_found() => NetworkError::Undo {
                error: Box::new(error.into()),
                undo: vec![undo.into()],
            },
            _ => error.into(),
        })
    }

    /// Deletes a link if it still is what it was: since the plan another may have got the
    /// name.
    fn delete(&mut self, name: &IfName, is_it: fn(&Link) -> bool) -> Result<(), NetworkError> {
        let Some(link) = self.route.link(name)?.filter(is_it) else {
            return Ok(());
        };
        match self.route.delete_link(link.index, name) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The two entries of a peer: its hardware address, and where that is.
    fn entries(&mut self, peer: &Peer) -> Result<[Neighbour; 2], NetworkError> {
        let link = self.link(&peer.link)?.index;
        let entry = |address, forwarding| Neighbour {
            link,
            address,
            mac: peer.mac,
            forwarding,
        };
        Ok([entry(peer.remote, true), entry(peer.gateway, false)])
    }

    fn entry(&mut self, route: &PathRoute) -> Result<RouteEntry, KernelError> {
        let next_hop = NextHop {
            gateway: route.gateway,
            link: Some(self.link(&route.link)?.index),
        };
        let mut entry = RouteEntry::new(route.destination, next_hop);
        entry.table = Some(route.table);
        entry.source = route.source;
        entry.protocol = Some(PROTOCOL);
        entry.onlink = route.onlink;
        entry.metrics = RouteMetrics {
            mtu: route.mtu,
            ..RouteMetrics::default()
        };
        Ok(entry)
    }
}
