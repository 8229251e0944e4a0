//! Records and nftables elements that do not stand for each other.

use super::Finding;
use crate::{AttachError, GcAction, Node};
use fairlead_firewall::Element;
use fairlead_kernel::nft::Nft;
use fairlead_store::{OwnerRecord, Store, StoreError};
use fairlead_types::Owner;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn state(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let owners = owners(node)?;
    let path = node.host().root().state().join(Store::FILE);
    let size = std::fs::metadata(&path).map_or(0, |meta| meta.len());
    let what = format!(
        "{} has {} KiB and records of {} interfaces",
        path.display(),
        size.div_ceil(1024),
        owners.len()
    );
    found.push(Finding::ok("state", what));
    Ok(())
}

/// Everybody who holds anything.
pub(super) fn owners(node: &Node) -> Result<Vec<OwnerRecord>, StoreError> {
    node.host().store(|store| store.read(|view| view.owners()))
}

pub(super) fn records(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    for action in node.gc(true)?.actions {
        let subject = match &action {
            GcAction::Unfinished { .. } => "unfinished attachment",
            GcAction::Dead { .. } | GcAction::Untaken { .. } => "dead attachment",
            GcAction::Leaked { .. } | GcAction::Forsaken { .. } => "leaked record",
            GcAction::Element { .. } => "nftables element",
        };
        found.push(Finding::problem(subject, action.to_string()).cured_by("fairlead gc"));
    }
    Ok(())
}

/// Tables of ours from which somebody took chains or rules.
pub(super) fn damaged_tables(_: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let mut nft = Nft::open()?;
    for ruleset in [fairlead_firewall::base(), fairlead_firewall::bridge_base()] {
        let table = ruleset.table;
        if !nft.has_table(table)? {
            continue;
        }
        let (mut damaged, mut comments) = (Vec::new(), BTreeSet::new());
        for chain in &ruleset.chains {
            let rules = nft.rules(table, &chain.name)?;
            let wanted = ruleset
                .rules
                .iter()
                .filter(|rule| rule.chain == chain.name)
                .count();
            if rules.len() < wanted || !nft.has_chain(table, &chain.name)? {
                damaged.push(format!("chain {}", chain.name));
            }
            comments.extend(rules.into_iter().map(|rule| rule.comment));
        }
        // The set of a subnet is used by a rule that has its name as comment.
        let sets = nft.sets(table)?.into_iter();
        let subnets = sets.filter(|set| set.starts_with("masq-") || set.starts_with("hairpin-"));
        damaged.extend(
            subnets
                .filter(|s| !comments.contains(s))
                .map(|s| format!("the rule of {s}")),
        );
        if !damaged.is_empty() {
            let what = format!("rules of ours are missing from it: {}", damaged.join(", "));
            let name = table.to_string();
            // Without it, the next look names the attachments whose elements went with it.
            let cure = format!("nft delete {name}; fairlead net setup; fairlead doctor");
            found.push(Finding::problem(name, what).cured_by(cure));
        }
    }
    Ok(())
}

pub(super) fn missing_elements(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let mut missing = missing(node)?;
    if !missing.is_empty() {
        // A record comes before its element and goes after it: what is on its way now is
        // there, or gone, when looked for again.
        let still = self::missing(node)?;
        missing.retain(|known| still.contains(known));
    }
    let mut by_owner: BTreeMap<Owner, Vec<String>> = BTreeMap::new();
    for (owner, element) in missing {
        by_owner.entry(owner).or_default().push(element.to_string());
    }
    if by_owner.is_empty() {
        return Ok(());
    }
    for (owner, elements) in by_owner {
        let what = format!("recorded, but not in nftables: {}", elements.join(", "));
        let problem = Finding::problem(format!("rules of {owner}"), what);
        found.push(problem.cured_by("fairlead net setup"));
    }
    Ok(())
}

/// How an attachment is made anew.
pub(super) fn again(owner: &Owner, is_ours: bool) -> String {
    let Owner {
        network,
        container,
        ifname,
    } = owner;
    match is_ours {
        true => format!(
            "fairlead detach {network} --id {container} --ifname {ifname}, then attach it again"
        ),
        false => format!("restart container {container}"),
    }
}

/// The elements that records stand for and nftables has not.
fn missing(node: &Node) -> Result<Vec<(Owner, Element)>, AttachError> {
    let (owners, recorded) = node.host().store(|store| {
        store.read(|view| Ok::<_, StoreError>((view.owners()?, fairlead_plugins::recorded(view)?)))
    })?;
    // What is garbage or being worked on is not expected to be whole.
    let whole: BTreeSet<Owner> = owners
        .into_iter()
        .filter(|record| !record.is_worked_on() && !record.is_gone())
        .map(|record| record.owner)
        .collect();
    let wanted: BTreeSet<(Owner, Element)> = recorded
        .into_iter()
        .filter(|(owner, _)| whole.contains(owner))
        .collect();
    let elements: Vec<Element> = wanted.iter().map(|(_, element)| element.clone()).collect();
    let missing: BTreeSet<Element> = node
        .host()
        .firewall(|firewall| Ok(firewall.missing(&elements)?.into_iter().cloned().collect()))?;
    Ok(wanted
        .into_iter()
        .filter(|(_, element)| missing.contains(element))
        .collect())
}
