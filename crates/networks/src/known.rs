//! Where nodes are: what looking up their names gave.

use fairlead_config::{Config, Network};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The addresses behind names. Whoever sets networks up looks the names up before: a
/// plan waits for no nameserver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    names: BTreeMap<String, Result<Vec<IpAddr>, String>>,
    subnets: BTreeMap<String, Vec<IpNet>>,
    /// Whether nodes tell of their links at all.
    told: bool,
}

impl Known {
    /// Notes the addresses of a name. None is a failure of its own. They are sorted: of
    /// several, both ends of a tunnel have to choose the same, and a nameserver that turns
    /// them round must not move anybody.
    pub fn insert(&mut self, name: impl Into<String>, mut addresses: Vec<IpAddr>) {
        addresses.sort_unstable();
        let found = match addresses.is_empty() {
            true => Err("it has no address".to_owned()),
            false => Ok(addresses),
        };
        self.names.insert(name.into(), found);
    }

    /// Notes why a name could not be looked up.
    pub fn fail(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.names.insert(name.into(), Err(reason.into()));
    }

    /// Notes what a node says of its links: its addresses on them, with prefix lengths.
    pub fn tell_subnets(&mut self, node: impl Into<String>, subnets: Vec<IpNet>) {
        self.subnets.insert(node.into(), subnets);
    }

    /// Notes that the nodes of this cluster tell of their links while their agents live.
    pub fn expect_subnets(&mut self) {
        self.told = true;
    }

    /// Whether a node has `own` as a neighbour on a link, by what it says. Where it says
    /// nothing now, as while its agent is stopped, the way that is there goes on: through a
    /// tunnel if it is `tunnelled`. Where nobody says anything, our own look counts.
    pub(crate) fn sees(&self, node: &str, own: IpAddr, tunnelled: bool) -> bool {
        match self.subnets.get(node).filter(|all| !all.is_empty()) {
            Some(all) => all
                .iter()
                .any(|net| net.contains(&own) && net.addr() != own),
            None => !(self.told && tunnelled),
        }
    }

    /// The addresses that `text` stands for: its own, or those behind the name.
    pub(crate) fn addresses(&self, text: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = text.parse() {
            return Ok(vec![address]);
        }
        let unknown = || Err("it was not looked up".to_owned());
        self.names.get(text).cloned().unwrap_or_else(unknown)
    }
}

/// The nodes of a configuration, this one among them even where none is listed.
pub(crate) fn nodes(config: &Config) -> Vec<String> {
    let mut nodes: Vec<String> = config.cluster_nodes().into_iter().map(Into::into).collect();
    if !nodes.iter().any(|node| node == config.node()) {
        nodes.push(config.node().to_owned());
    }
    nodes
}

/// The names that have to be looked up for a setup: those of the nodes, or the names
/// that `addr@node` gives in their place.
#[must_use]
pub fn names_to_look_up(config: &Config) -> BTreeSet<String> {
    let (networks, _) = config.networks();
    let nodes = nodes(config);
    let routed = networks.iter().filter(|n| n.routed.is_some());
    let texts = routed.flat_map(|network| nodes.iter().map(|node| endpoint(network, node)));
    let names = texts.filter(|text| text.parse::<IpAddr>().is_err());
    names.map(str::to_owned).collect()
}

/// What stands for a node's endpoint: `addr@node`, or the node's name.
pub(crate) fn endpoint<'a>(network: &'a Network, node: &'a str) -> &'a str {
    let routed = network.routed.as_ref();
    let declared = routed.and_then(|routed| routed.endpoints.get(node));
    declared.map_or(node, String::as_str)
}
