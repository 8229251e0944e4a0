//! Chains and rules that anybody made, as far as a verdict on interfaces needs them.

use super::batch::{message, nfgenmsg};
use super::object::{Base, ChainKind, Family, Hook, Table};
use super::rule::{Compare, Verdict};
use super::{Nft, parts, wire};
use crate::KernelError;

/// A chain as the kernel lists it. Chains of families that [`Family`] has not, and
/// base chains of hooks or types that [`Base`] has not, are left out of lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedChain {
    /// The family of its table.
    pub family: Family,
    /// The name of its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// How it is called; none for a regular chain.
    pub base: Option<Base>,
    /// Whether a packet that comes to its end is dropped.
    pub drops: bool,
}

/// What of a packet a test looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// The interface it came in by.
    Input,
    /// The interface it leaves by.
    Output,
}

/// One test of a rule; all of them must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// The name of an interface is compared. A value shorter than 16 bytes is the
    /// beginning of a name.
    Name {
        /// Which interface.
        which: Interface,
        /// How.
        how: Compare,
        /// The name, filled up with zeros, or how it begins.
        value: Vec<u8>,
    },
    /// The name of an interface is in a set of the same table.
    NameIn {
        /// Which interface.
        which: Interface,
        /// The set.
        set: String,
        /// It must not be in it.
        inverted: bool,
    },
    /// Anything else.
    Other,
}

/// What a rule does with a packet for which all tests hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has that verdict; to be refused counts as dropped.
    Verdict(Verdict),
    /// It goes on to the next rule, or something happens that is not read here.
    Other,
}

/// A rule: what it asks and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRule {
    /// The tests.
    pub tests: Vec<Test>,
    /// What then.
    pub outcome: Outcome,
}

impl Nft {
    /// Every chain of every table.
    ///
    /// # Errors
    /// [`KernelError::Refused`], [`KernelError::Interrupted`].
    pub fn chains(&mut self) -> Result<Vec<ListedChain>, KernelError> {
        // The family 0 stands for all.
        let answers = self.list(message::GET_CHAIN, &nfgenmsg(0, 0), "list", &"chains")?;
        Ok(answers
            .iter()
            .filter_map(|(_, payload)| {
                let (head, attributes) = payload.split_first_chunk::<4>()?;
                listed_chain(family(head[0])?, attributes)
            })
            .collect())
    }

    /// The rules of a chain, read. A chain that does not exist has none.
    ///
    /// # Errors
    /// [`KernelError::Refused`], [`KernelError::Interrupted`].
    pub fn read_rules(
        &mut self,
        table: Table<'_>,
        chain: &str,
    ) -> Result<Vec<ReadRule>, KernelError> {
        let mut payload = nfgenmsg(table.family.number(), 0).to_vec();
        wire::put_text(&mut payload, 1, table.name);
        wire::put_text(&mut payload, 2, chain);
        let object = format_args!("chain {chain} of {table}");
        let answers = self.list(message::GET_RULE, &payload, "list rules of", &object)?;
        Ok(parts(&answers).map(read_rule).collect())
    }
}

fn family(number: u8) -> Option<Family> {
    [Family::Inet, Family::Ipv4, Family::Ipv6, Family::Bridge]
        .into_iter()
        .find(|family| family.number() == number)
}

fn listed_chain(family: Family, bytes: &[u8]) -> Option<ListedChain> {
    let base = match wire::find(bytes, 4) {
        None => None,
        Some(hook) => {
            let number = wire::find(hook, 1).and_then(wire::number)?;
            let priority = wire::find(hook, 2).and_then(wire::number)?;
            let kind = wire::text(wire::find(bytes, 7)?);
            Some(Base {
                kind: match kind.as_str() {
                    "filter" => ChainKind::Filter,
                    "nat" => ChainKind::Nat,
                    _ => return None,
                },
                hook: [
                    Hook::Prerouting,
                    Hook::Input,
                    Hook::Forward,
                    Hook::Output,
                    Hook::Postrouting,
                ]
                .into_iter()
                .find(|hook| hook.number() == number)?,
                priority: priority.cast_signed(),
            })
        }
    };
    Some(ListedChain {
        family,
        table: wire::text(wire::find(bytes, 1)?),
        name: wire::text(wire::find(bytes, 3)?),
        base,
        // NF_DROP
        drops: wire::find(bytes, 5).and_then(wire::number) == Some(0),
    })
}

/// What the last expression loaded, if it loaded one thing and nobody tested it.
#[derive(Clone, Copy)]
enum Loaded {
    Name(Interface),
    Other,
}

fn read_rule(bytes: &[u8]) -> ReadRule {
    let mut rule = ReadRule {
        tests: Vec::new(),
        outcome: Outcome::Other,
    };
    let mut loaded = None;
    let expressions = wire::find(bytes, 4).unwrap_or_default();
    for (_, expression) in wire::attributes(expressions) {
        let name = wire::find(expression, 1)
            .map(wire::text)
            .unwrap_or_default();
        let data = wire::find(expression, 2).unwrap_or_default();
        match name.as_str() {
            "meta" if wire::find(data, 1).is_some() => {
                let key = wire::find(data, 2).and_then(wire::number);
                let one = match key {
                    Some(6) => Loaded::Name(Interface::Input),
                    Some(7) => Loaded::Name(Interface::Output),
                    _ => Loaded::Other,
                };
                // Two in a row are the parts of a concatenation.
                loaded = Some(if loaded.is_some() { Loaded::Other } else { one });
            }
            "cmp" => rule.tests.push(comparison(loaded.take(), data)),
            "lookup" => rule.tests.push(lookup(loaded.take(), data)),
            "immediate" => {
                if let Some(verdict) = wire::find_path(data, &[2, 2]) {
                    rule.outcome = verdict_of(verdict);
                }
            }
            "reject" => rule.outcome = Outcome::Verdict(Verdict::Drop),
            // How iptables writes a target that nftables has no expression for.
            "target" => {
                let target = wire::find(data, 1).map(wire::text);
                if target.as_deref() == Some("REJECT") {
                    rule.outcome = Outcome::Verdict(Verdict::Drop);
                }
            }
            "counter" | "log" | "notrack" | "objref" => {}
            _ => {
                loaded = Some(Loaded::Other);
                rule.tests.push(Test::Other);
            }
        }
    }
    rule
}

fn comparison(loaded: Option<Loaded>, data: &[u8]) -> Test {
    let Some(Loaded::Name(which)) = loaded else {
        return Test::Other;
    };
    let how = match wire::find(data, 2).and_then(wire::number) {
        Some(0) => Compare::Equal,
        Some(1) => Compare::NotEqual,
        _ => return Test::Other,
    };
    match wire::find_path(data, &[3, 1]) {
        Some(value) => Test::Name {
            which,
            how,
            value: value.to_vec(),
        },
        None => Test::Other,
    }
}

fn lookup(loaded: Option<Loaded>, data: &[u8]) -> Test {
    // With a register to write to it is a map, and what comes of it is not read.
    let (Some(Loaded::Name(which)), None) = (loaded, wire::find(data, 3)) else {
        return Test::Other;
    };
    match wire::find(data, 1) {
        Some(set) => Test::NameIn {
            which,
            set: wire::text(set),
            inverted: wire::find(data, 5).and_then(wire::number) == Some(1),
        },
        None => Test::Other,
    }
}

fn verdict_of(bytes: &[u8]) -> Outcome {
    let chain = || wire::find(bytes, 2).map(wire::text).unwrap_or_default();
    let code = wire::find(bytes, 1).and_then(wire::number);
    Outcome::Verdict(match code.map(u32::cast_signed) {
        Some(0) => Verdict::Drop,
        Some(1) => Verdict::Accept,
        Some(-3) => Verdict::Jump(chain()),
        Some(-4) => Verdict::Goto(chain()),
        Some(-5) => Verdict::Return,
        _ => return Outcome::Other,
    })
}
