//! Links and addresses of this host that no record and no declaration stands for.

use super::{Finding, leftovers, settings};
use crate::{AttachError, Node};
use fairlead_kernel::Route;
use fairlead_kernel::route::{Link, LinkKind};
use fairlead_networks::{NetworkError, bridge_address, local_ranges};
use fairlead_store::AttachmentState;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn links(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    // Before the records: a link is there only while its record is.
    let links = Route::open()?.links()?;
    let bridges = bridges(node, &links)?;
    let mut known = BTreeSet::new();
    for record in leftovers::owners(node)? {
        if let Ok(name) = fairlead_plugins::host_name(&record.owner) {
            known.insert(name.to_string());
        }
    }
    for record in node
        .host()
        .store(|store| store.view().attachments(&Default::default()))?
    {
        let Some(name) = record.host_ifname else {
            continue;
        };
        known.insert(name.to_string());
        let is_whole = record.state == AttachmentState::Ready
            && record.netns.is_some_and(|netns| netns.is_live())
            && record.actor.is_none_or(|actor| !actor.is_live());
        if is_whole && Route::open()?.link(&name)?.is_none() {
            let what = format!("its link {name} is gone");
            let cure = leftovers::again(&record.owner, true);
            found.push(Finding::problem(record.owner.to_string(), what).cured_by(cure));
        }
    }
    for link in links
        .iter()
        .filter(|link| is_cable(link) && !known.contains(&link.name))
    {
        let Some(bridge) = link.master.and_then(|master| bridges.get(&master)) else {
            continue;
        };
        let name = &link.name;
        let what = format!(
            "a cable of ours on {bridge} without a record; what is at its other end is cut off"
        );
        let cure = format!("ip link delete {name}");
        found.push(Finding::problem(format!("link {name}"), what).cured_by(cure));
    }
    Ok(())
}

/// The bridges of declared networks, and those left of others, by index.
fn bridges(node: &Node, links: &[Link]) -> Result<BTreeMap<u32, String>, AttachError> {
    let declared = settings::bridged(node);
    let mut names: BTreeSet<String> = declared
        .iter()
        .filter_map(|n| n.bridge.as_ref())
        .map(ToString::to_string)
        .collect();
    let left = fairlead_networks::setup(node.config(), node.known(), true)?.problems;
    names.extend(left.iter().filter_map(|problem| match problem {
        NetworkError::InUse { bridge, .. } => Some(bridge.to_string()),
        _ => None,
    }));
    let ours = links.iter().filter(|link| names.contains(&link.name));
    Ok(ours.map(|link| (link.index, link.name.clone())).collect())
}

/// Whether it has the form of a name that the plugins give to the host's end.
fn is_cable(link: &Link) -> bool {
    let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    let number = link.name.strip_prefix("veth");
    link.kind == Some(LinkKind::Veth)
        && number.is_some_and(|number| number.len() == 11 && number.bytes().all(is_hex))
}

pub(super) fn addresses(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let mut route = Route::open()?;
    for network in settings::bridged(node) {
        let Some(bridge) = &network.bridge else {
            continue;
        };
        let Some(link) = route.link(bridge)? else {
            continue;
        };
        let ranges = local_ranges(&network, node.config().node());
        let wanted: Vec<IpNet> = ranges.iter().map(|r| bridge_address(*r)).collect();
        for address in route.addresses(link.index)? {
            let net = address.net;
            if address.duplicate {
                let what = format!("another station on {bridge} has it too");
                let cure =
                    format!("find it by 'ip -6 neighbour show dev {bridge}' and give it another");
                found.push(Finding::problem(format!("address {net}"), what).cured_by(cure));
            }
            // A bridge named by 'dev' may have what addresses its owner likes.
            if network.foreign_bridge || address.link_local || wanted.contains(&net) {
                continue;
            }
            let what = format!(
                "it is on {bridge} and not the gateway's of network {}",
                network.name
            );
            let cure = format!("ip address delete {net} dev {bridge}");
            found.push(Finding::note(format!("address {net}"), what).cured_by(cure));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cable_of_ours_is_known_by_its_name_and_kind() {
        let link = |name: &str, kind| Link {
            name: name.into(),
            kind: Some(kind),
            ..Link::default()
        };
        assert!(is_cable(&link("veth0123456789a", LinkKind::Veth)));
        assert!(!is_cable(&link("veth0123456789a", LinkKind::Macvlan)));
        for other in [
            "veth0123456789",
            "veth0123456789A",
            "veth0123456789g",
            "eth0",
            "veth",
        ] {
            assert!(!is_cable(&link(other, LinkKind::Veth)), "{other}");
        }
    }
}
