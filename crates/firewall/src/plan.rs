//! From elements to a transaction. Pure.

use crate::element::{Element, SetName};
use crate::ruleset::{
    BRIDGE_TABLE, CONDITIONAL, Ruleset, TABLE, base, bridge_base, conditional_rule, subnet_rule,
    subnet_set,
};
use crate::subnet::SubnetSet;
use fairlead_kernel::nft::{Batch, Create, Table};
use std::collections::BTreeSet;

/// Why a message is in a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It makes something that was missing.
    Making,
    /// It takes this one of the elements to remove away.
    Remove(usize),
    /// It adds this one of the elements to add.
    Add(usize),
}

/// What the kernel has, as far as it matters.
#[derive(Debug, Default)]
pub(crate) struct Present {
    /// The names of the sets of `inet fairlead`.
    pub(crate) sets: BTreeSet<String>,
    /// The names of the sets of `bridge fairlead`.
    pub(crate) bridge_sets: BTreeSet<String>,
    /// The static part is made again, whatever the sets say.
    pub(crate) repair: bool,
}

impl Present {
    pub(crate) fn has(&self, table: Table<'_>, set: &SetName) -> bool {
        let sets = if table == TABLE {
            &self.sets
        } else {
            &self.bridge_sets
        };
        sets.contains(&set.to_string())
    }

    /// Whether every set is there that `element` is in.
    pub(crate) fn has_sets_of(&self, element: &Element) -> bool {
        let entries = element.entries();
        entries
            .iter()
            .all(|entry| self.has(entry.table, &entry.set))
    }

    fn lacks(&self, ruleset: &Ruleset) -> bool {
        let mut names = ruleset.sets.iter().map(|set| &set.name);
        let sets = if ruleset.table == TABLE {
            &self.sets
        } else {
            &self.bridge_sets
        };
        self.repair || names.any(|name| !sets.contains(name))
    }
}

/// A rule with conditions that is in the kernel.
pub(crate) struct Conditional {
    pub(crate) handle: u64,
    pub(crate) tag: String,
}

/// A transaction, and for each of its messages where it comes from.
pub(crate) struct Plan {
    pub(crate) batch: Batch,
    sources: Vec<Source>,
}

impl Plan {
    pub(crate) fn new() -> Self {
        Self {
            batch: Batch::new(),
            sources: Vec::new(),
        }
    }

    /// Where message `index` comes from; none for the transaction as a whole.
    pub(crate) fn source(&self, index: Option<usize>) -> Option<Source> {
        self.sources.get(index?).copied()
    }

    fn push(&mut self, source: Source, fill: impl FnOnce(&mut Batch)) {
        fill(&mut self.batch);
        self.sources.resize(self.batch.len(), source);
    }

    /// Makes what the elements need and the kernel lacks.
    pub(crate) fn make_missing(&mut self, add: &[Element], present: &Present) {
        let mut needs_base = add
            .iter()
            .any(|element| matches!(element, Element::PublishIf { .. }));
        let mut needs_bridge = false;
        let mut subnets = BTreeSet::new();
        for entry in add.iter().flat_map(Element::entries) {
            needs_base |= entry.table == TABLE;
            needs_bridge |= entry.table == BRIDGE_TABLE;
            if let SetName::Subnet(set) = entry.set
                && !present.has(TABLE, &entry.set)
            {
                subnets.insert(set);
            }
        }
        for (needed, ruleset) in [(needs_base, base()), (needs_bridge, bridge_base())] {
            if needed && present.lacks(&ruleset) {
                self.push(Source::Making, |batch| ruleset.write(batch));
            }
        }
        for set in subnets {
            self.make_subnet(&set);
        }
    }

    fn make_subnet(&mut self, set: &SubnetSet) {
        let rule = subnet_rule(set);
        self.push(Source::Making, |batch| {
            batch.add_set(TABLE, Create::Exclusive, &subnet_set(set));
            batch.add_rule(TABLE, rule.chain, &rule.expressions, &set.to_string());
        });
    }

    /// Takes an element away. `conditional` is what the kernel has of such rules.
    pub(crate) fn remove(&mut self, index: usize, element: &Element, rules: &[Conditional]) {
        let source = Source::Remove(index);
        for entry in element.entries() {
            let set = entry.set.to_string();
            let element = [entry.element];
            self.push(source, |b| b.remove_elements(entry.table, &set, &element));
        }
        if let Element::PublishIf { tag, .. } = element {
            self.remove_tagged(source, tag, rules);
        }
    }

    /// Adds an element.
    pub(crate) fn add(&mut self, index: usize, element: &Element, rules: &[Conditional]) {
        let source = Source::Add(index);
        for entry in element.entries() {
            let set = entry.set.to_string();
            let element = [entry.element];
            self.push(source, |b| b.add_elements(entry.table, &set, &element));
        }
        if let Element::PublishIf {
            publish,
            conditions,
            tag,
        } = element
        {
            self.remove_tagged(source, tag, rules);
            let rule = conditional_rule(publish, conditions);
            self.push(source, |batch| {
                batch.add_rule(TABLE, rule.chain, &rule.expressions, tag);
            });
        }
    }

    fn remove_tagged(&mut self, source: Source, tag: &str, rules: &[Conditional]) {
        for rule in rules.iter().filter(|rule| rule.tag == tag) {
            self.push(source, |batch| {
                batch.delete_rule(TABLE, CONDITIONAL, rule.handle);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masquerade(address: &str, subnet: &str) -> Element {
        Element::Masquerade {
            address: address.parse().unwrap(),
            subnet: subnet.parse().unwrap(),
        }
    }

    fn complete(ruleset: &Ruleset) -> BTreeSet<String> {
        ruleset.sets.iter().map(|set| set.name.clone()).collect()
    }

    fn made(add: &[Element], present: &Present) -> usize {
        let mut plan = Plan::new();
        plan.make_missing(add, present);
        plan.batch.len()
    }

    #[test]
    fn nothing_is_made_that_is_there() {
        let add = [masquerade("10.22.0.2", "10.22.0.0/16")];
        let mut present = Present {
            sets: complete(&base()),
            ..Present::default()
        };
        assert_eq!(made(&add, &present), 2, "a set and its rule");
        present.sets.insert("masq-10.22.0.0-16".into());
        assert_eq!(made(&add, &present), 0);
        present.sets.remove("publish4");
        let mend = made(&add, &present);
        assert!(mend > 10);
        present.sets = complete(&base());
        present.sets.insert("masq-10.22.0.0-16".into());
        present.repair = true;
        assert_eq!(made(&add, &present), mend);
    }

    #[test]
    fn the_bridge_table_is_made_for_mac_checks_only() {
        let check = Element::MacCheck {
            ifname: "veth0".parse().unwrap(),
            mac: "02:00:00:00:00:01".parse().unwrap(),
        };
        let empty = Present::default();
        let mut batch = Batch::new();
        bridge_base().write(&mut batch);
        assert_eq!(made(&[check], &empty), batch.len());
    }

    #[test]
    fn a_subnet_is_made_once_however_many_are_in_it() {
        let present = Present {
            sets: complete(&base()),
            ..Present::default()
        };
        let add = [
            masquerade("10.22.0.2", "10.22.0.0/16"),
            masquerade("10.22.0.3", "10.22.0.3/16"),
        ];
        assert_eq!(made(&add, &present), 2);
    }

    #[test]
    fn each_message_knows_which_element_it_is_of() {
        let element = masquerade("10.22.0.2", "10.22.0.0/16");
        let mut plan = Plan::new();
        plan.remove(0, &element, &[]);
        plan.add(7, &element, &[]);
        let sources: Vec<_> = (0..4).map(|n| plan.source(Some(n))).collect();
        let remove = Some(Source::Remove(0));
        assert_eq!(sources, [remove, remove, Some(Source::Add(7)), None]);
        assert_eq!(plan.source(None), None);
    }
}
