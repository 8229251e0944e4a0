//! Passage through Docker's forward chain. Docker drops what it forwards for others, and
//! asks `DOCKER-USER` first: there the bridges of our networks are let through, behind what
//! the user has put in that chain, so that it still has the first word.

use crate::{Firewall, FirewallError};
use fairlead_kernel::nft::{
    Batch, Compare, Expression, Family, Meta, Outcome, Register, Table, Verdict,
};
use fairlead_types::IfName;
use std::collections::BTreeSet;

/// The chain that Docker asks before its own.
const CHAIN: &str = "DOCKER-USER";
/// What the comments of our rules there begin with.
const MARK: &str = "fairlead lets ";

/// The two tables that `iptables` and `ip6tables` keep their filters in.
const TABLES: [Table<'static>; 2] = [
    Table {
        family: Family::Ipv4,
        name: "filter",
    },
    Table {
        family: Family::Ipv6,
        name: "filter",
    },
];

impl Firewall {
    /// Has Docker let pass what goes from and to these bridges, and no others of ours.
    /// Where Docker has no such chain nothing is done. Returns what was changed, in words.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`].
    pub fn let_pass(&mut self, bridges: &BTreeSet<IfName>) -> Result<Vec<String>, FirewallError> {
        let mut done = Vec::new();
        for table in TABLES {
            if self.nft.has_chain(table, CHAIN)? {
                self.let_pass_in(table, bridges, &mut done)?;
            }
        }
        Ok(done)
    }

    fn let_pass_in(
        &mut self,
        table: Table<'_>,
        bridges: &BTreeSet<IfName>,
        done: &mut Vec<String>,
    ) -> Result<(), FirewallError> {
        let rules = self.nft.rules(table, CHAIN)?;
        let wanted: Vec<Passage<'_>> = bridges.iter().flat_map(Passage::of).collect();
        let mut batch = Batch::new();
        let ours = rules.iter().filter(|rule| rule.comment.starts_with(MARK));
        for rule in ours.clone() {
            if !wanted
                .iter()
                .any(|passage| passage.comment() == rule.comment)
            {
                batch.delete_rule(table, CHAIN, rule.handle);
                done.push(format!("{CHAIN}: no more: {}", rule.comment));
            }
        }
        // Docker's own last rule returns to its chains. Whatever else is last is the user's,
        // and stands before ours.
        let read = self.nft.read_rules(table, CHAIN)?;
        let returns = read
            .last()
            .is_some_and(|rule| rule.outcome == Outcome::Verdict(Verdict::Return));
        let end = rules.last().filter(|_| returns);
        for passage in &wanted {
            let comment = passage.comment();
            if ours.clone().any(|rule| rule.comment == comment) {
                continue;
            }
            match end {
                Some(end) => {
                    let steps = passage.steps();
                    batch.insert_rule(table, CHAIN, end.handle, &steps, &comment);
                }
                None => batch.add_rule(table, CHAIN, &passage.steps(), &comment),
            }
            done.push(format!("{CHAIN}: {comment}"));
        }
        if batch.is_empty() {
            return Ok(());
        }
        match self.nft.commit(&batch) {
            // Docker took the chain or the rule away meanwhile: the next time tells.
            Err(refusal) if refusal.error.is_not_found() => {
                done.clear();
                Ok(())
            }
            Err(refusal) => Err(refusal.error.into()),
            Ok(()) => Ok(()),
        }
    }
}

/// One way through.
struct Passage<'a> {
    bridge: &'a IfName,
    from: bool,
}

impl<'a> Passage<'a> {
    fn of(bridge: &'a IfName) -> [Self; 2] {
        [true, false].map(|from| Self { bridge, from })
    }

    fn comment(&self) -> String {
        let way = if self.from { "from" } else { "to" };
        format!("{MARK}pass what goes {way} {}", self.bridge)
    }

    fn steps(&self) -> Vec<Expression> {
        let key = match self.from {
            true => Meta::InputName,
            false => Meta::OutputName,
        };
        let mut name = self.bridge.as_str().as_bytes().to_vec();
        name.resize(16, 0);
        vec![
            Expression::Meta {
                key,
                to: Register(0),
            },
            Expression::Compare {
                register: Register(0),
                how: Compare::Equal,
                value: name,
            },
            Expression::Verdict(Verdict::Accept),
        ]
    }
}
