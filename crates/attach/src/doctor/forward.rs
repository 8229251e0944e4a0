//! Forward chains of others that drop what containers send or get.
//!
//! Each base chain of the forward hook judges a packet for itself: one that drops it
//! is enough. Rules are followed as far as they ask for nothing but the interface. A
//! rule that asks for more may hold or not: it is passed by, so that a chain is only
//! said to let everything pass when it does.

use super::{Finding, settings};
use crate::{AttachError, Node};
use fairlead_kernel::KernelError;
use fairlead_kernel::nft::{
    Compare, Family, Hook, Interface, ListedChain, Nft, Outcome, ReadRule, Table, Test, Verdict,
};
use fairlead_types::IfName;
use std::collections::HashMap;

/// How deep jumps go; the kernel allows no more (`NFT_JUMP_STACK_SIZE`).
const MAX_DEPTH: usize = 16;

pub(super) fn chains(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let networks = settings::bridged(node);
    let mut rules = Rules {
        nft: Nft::open()?,
        read: HashMap::new(),
        sets: HashMap::new(),
    };
    let chains = rules.nft.chains()?;
    let is_forward = |chain: &&ListedChain| {
        chain.family != Family::Bridge && chain.base.is_some_and(|b| b.hook == Hook::Forward)
    };
    for chain in chains.iter().filter(is_forward) {
        for network in &networks {
            let of_family = |v4| network.ranges.iter().any(|r| r.addr().is_ipv4() == v4);
            let is_seen = match chain.family {
                Family::Ipv4 => of_family(true),
                Family::Ipv6 => of_family(false),
                _ => true,
            };
            if let Some(bridge) = network.bridge.as_ref().filter(|_| is_seen) {
                found.extend(judge(&mut rules, chain, bridge)?);
            }
        }
    }
    if let Some(bridge) = networks.iter().find_map(|n| n.bridge.as_ref()) {
        found.extend(legacy(bridge));
    }
    Ok(())
}

/// What a chain does with packets from and to a bridge.
fn judge(
    rules: &mut Rules,
    chain: &ListedChain,
    bridge: &IfName,
) -> Result<Option<Finding>, KernelError> {
    let (mut dropped, mut cure) = (Vec::new(), Vec::new());
    let place = format!("{} {} {}", word(chain.family), chain.table, chain.name);
    for (which, way, test) in [
        (Interface::Input, "from", "iifname"),
        (Interface::Output, "to", "oifname"),
    ] {
        let packet = Packet { which, bridge };
        let table = Table {
            family: chain.family,
            name: &chain.table,
        };
        let fate = rules.follow(table, &chain.name, packet, 0)?;
        if fate == Some(false) || (fate.is_none() && chain.drops) {
            dropped.push(way);
            cure.push(format!("insert rule {place} {test} \"{bridge}\" accept"));
        }
    }
    if dropped.is_empty() {
        return Ok(None);
    }
    let what = format!(
        "it may drop what goes {} {bridge}: no rule accepts all of it",
        dropped.join(" and ")
    );
    let finding = Finding::problem(format!("forward chain {place}"), what);
    Ok(Some(finding.cured_by(format!("nft '{}'", cure.join("; ")))))
}

const fn word(family: Family) -> &'static str {
    match family {
        Family::Inet => "inet",
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
        Family::Bridge => "bridge",
    }
}

/// Rules that `iptables-legacy` made are not nftables', and only it can read them.
fn legacy(bridge: &IfName) -> Option<Finding> {
    let tables = std::fs::read_to_string("/proc/thread-self/net/ip_tables_names").ok()?;
    let used = tables.lines().any(|table| table == "filter");
    used.then(|| {
        let what = "rules of iptables-legacy are in force, which cannot be read here; \
                    see 'iptables-legacy -S FORWARD'";
        let cure = format!(
            "iptables-legacy -I FORWARD -i {bridge} -j ACCEPT; \
             iptables-legacy -I FORWARD -o {bridge} -j ACCEPT"
        );
        Finding::note("forward chain of iptables-legacy", what).cured_by(cure)
    })
}

/// A packet of which only one interface is known.
#[derive(Clone, Copy)]
struct Packet<'a> {
    which: Interface,
    bridge: &'a IfName,
}

type Place = (Family, String, String);

/// Rules and sets, each read once.
struct Rules {
    nft: Nft,
    read: HashMap<Place, Vec<ReadRule>>,
    sets: HashMap<Place, Option<Vec<Vec<u8>>>>,
}

impl Rules {
    /// Whether a chain accepts (`true`) or drops a packet; none when it comes to the end.
    fn follow(
        &mut self,
        table: Table<'_>,
        chain: &str,
        packet: Packet<'_>,
        depth: usize,
    ) -> Result<Option<bool>, KernelError> {
        if depth > MAX_DEPTH {
            return Ok(None);
        }
        for rule in self.rules(table, chain)? {
            if !self.all_hold(table, &rule.tests, packet)? {
                continue;
            }
            match rule.outcome {
                Outcome::Verdict(Verdict::Accept) => return Ok(Some(true)),
                Outcome::Verdict(Verdict::Drop) => return Ok(Some(false)),
                Outcome::Verdict(Verdict::Return) => return Ok(None),
                Outcome::Verdict(Verdict::Goto(next)) => {
                    return self.follow(table, &next, packet, depth + 1);
                }
                Outcome::Verdict(Verdict::Jump(next)) => {
                    let fate = self.follow(table, &next, packet, depth + 1)?;
                    if fate.is_some() {
                        return Ok(fate);
                    }
                }
                Outcome::Other => {}
            }
        }
        Ok(None)
    }

    fn rules(&mut self, table: Table<'_>, chain: &str) -> Result<Vec<ReadRule>, KernelError> {
        let place = (table.family, table.name.to_owned(), chain.to_owned());
        if let Some(rules) = self.read.get(&place) {
            return Ok(rules.clone());
        }
        let rules = self.nft.read_rules(table, chain)?;
        self.read.insert(place, rules.clone());
        Ok(rules)
    }

    /// Whether all tests hold for sure.
    fn all_hold(
        &mut self,
        table: Table<'_>,
        tests: &[Test],
        packet: Packet<'_>,
    ) -> Result<bool, KernelError> {
        for test in tests {
            let holds = match test {
                Test::Name { which, how, value } if *which == packet.which => {
                    is_name(value, packet.bridge) == (*how == Compare::Equal)
                }
                Test::NameIn {
                    which,
                    set,
                    inverted,
                } if *which == packet.which => {
                    let names = self.names(table, set)?;
                    let within = |names: &Vec<Vec<u8>>| {
                        names.iter().any(|name| is_name(name, packet.bridge)) != *inverted
                    };
                    names.as_ref().is_some_and(within)
                }
                _ => false,
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The names in a set; none when it holds ranges, which are not read.
    fn names(&mut self, table: Table<'_>, set: &str) -> Result<Option<Vec<Vec<u8>>>, KernelError> {
        let place = (table.family, table.name.to_owned(), set.to_owned());
        if let Some(names) = self.sets.get(&place) {
            return Ok(names.clone());
        }
        let elements = self.nft.elements(table, set)?;
        let plain = elements.iter().all(|element| !element.range_end);
        let names = plain.then(|| elements.into_iter().map(|element| element.key).collect());
        self.sets.insert(place, names.clone());
        Ok(names)
    }
}

/// Whether a compared value is the name, or its beginning when it is not filled up.
fn is_name(value: &[u8], name: &IfName) -> bool {
    let name = name.as_str().as_bytes();
    match value.iter().position(|byte| *byte == 0) {
        Some(end) => value[..end] == *name,
        None => name.starts_with(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_whole_name_or_the_beginning_of_one() {
        let name = IfName::new("obr_web").unwrap();
        assert!(is_name(b"obr_web\0\0\0\0\0\0\0\0\0", &name));
        assert!(is_name(b"obr_", &name));
        assert!(!is_name(b"obr_\0", &name));
        assert!(!is_name(b"obr_web2\0", &name));
        assert!(!is_name(b"docker", &name));
    }
}
