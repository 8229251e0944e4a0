//! The handle that changes and reads the firewall.

use crate::FirewallError;
use crate::element::{Element, SetName};
use crate::plan::{Conditional, Plan, Present, Source};
use crate::ranges::{self, Ranges};
use crate::ruleset::{
    ALLOWED, BRIDGE_TABLE, CONDITIONAL, MASQUERADED, NETWORKS, TABLE, base, bridge_base,
    subnet_chain,
};
use crate::subnet::SubnetSet;
use fairlead_kernel::nft::{Batch, Create, Nft, Refusal, Table};
use fairlead_kernel::{KernelError, Socket, SocketKind};
use ipnet::IpNet;
use rustix::io::Errno;
use std::collections::{BTreeSet, HashSet};

/// How often a change is tried again after others made or removed what it uses.
const ATTEMPTS: u32 = 8;

/// The firewall of one network namespace.
///
/// Adding costs microseconds. Removing does too, but then the handle's end (or the
/// process's) waits until the kernel has freed what was removed, an RCU grace period
/// of some 10 ms (`nft_rcv_nl_event`). Who also deletes a link, which waits for one
/// itself, removes here first, then deletes the link, then drops the handle: the
/// two waits are then one.
#[derive(Debug)]
pub struct Firewall {
    pub(crate) nft: Nft,
}

impl Firewall {
    /// Opens the firewall of the network namespace that this thread is in.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`] when the socket cannot be opened.
    pub fn open() -> Result<Self, FirewallError> {
        Ok(Self::new(Socket::open(SocketKind::Netfilter)?))
    }

    /// The firewall of the network namespace that `socket` was opened in.
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        Self {
            nft: Nft::new(socket),
        }
    }

    /// Adds elements; those that are there already stay.
    ///
    /// # Errors
    /// As [`Firewall::change`].
    pub fn add(&mut self, elements: &[Element]) -> Result<(), FirewallError> {
        self.change(elements, &[])
    }

    /// Removes elements; those that are not there, or whose key someone else holds,
    /// are left.
    ///
    /// # Errors
    /// As [`Firewall::change`].
    pub fn remove(&mut self, elements: &[Element]) -> Result<(), FirewallError> {
        self.change(&[], elements)
    }

    /// Removes and adds in one transaction: all of it happens, or nothing.
    ///
    /// # Errors
    /// [`FirewallError::Taken`] when a host port to be added leads elsewhere;
    /// [`FirewallError::MixedFamilies`] and [`FirewallError::Tag`] for elements that
    /// cannot be; [`FirewallError::Contended`]; [`FirewallError::Kernel`].
    pub fn change(&mut self, add: &[Element], remove: &[Element]) -> Result<(), FirewallError> {
        add.iter().chain(remove).try_for_each(Element::check)?;
        let mut remove: Vec<&Element> = remove.iter().collect();
        let mut present = None;
        if !self.has_sets_of(add.iter().chain(remove.iter().copied()))? {
            let seen = self.look(false)?;
            remove.retain(|element| seen.has_sets_of(element));
            present = Some(seen);
        }
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            let plan = self.plan(add, &remove, present.as_ref())?;
            let Err(refusal) = self.nft.commit(&plan.batch) else {
                return Ok(());
            };
            let errno = refusal.error.errno();
            match (errno, plan.source(refusal.message)) {
                // Someone else holds the key, so there is nothing of ours to remove.
                (Some(Errno::EXIST), Some(Source::Remove(index))) => {
                    remove.remove(index);
                    continue;
                }
                (Some(Errno::EXIST), Some(Source::Add(index))) => {
                    return Err(taken(&add[index], refusal));
                }
                // Missing, or made by someone else in the meantime.
                (Some(Errno::NOENT | Errno::EXIST), Some(_)) => {}
                _ => return Err(refusal.error.into()),
            }
            let seen = self.look(attempts > 0)?;
            remove.retain(|element| seen.has_sets_of(element));
            present = Some(seen);
            attempts += 1;
        }
        Err(FirewallError::Contended { attempts })
    }

    fn plan(
        &mut self,
        add: &[Element],
        remove: &[&Element],
        present: Option<&Present>,
    ) -> Result<Plan, FirewallError> {
        let mut all = add.iter().chain(remove.iter().copied());
        let rules = if all.any(|element| matches!(element, Element::PublishIf { .. })) {
            self.conditionals()?
        } else {
            Vec::new()
        };
        let mut plan = Plan::new();
        if let Some(present) = present {
            plan.make_missing(add, present);
        }
        for (index, element) in remove.iter().enumerate() {
            plan.remove(index, element, &rules);
        }
        for (index, element) in add.iter().enumerate() {
            plan.add(index, element, &rules);
        }
        Ok(plan)
    }

    /// Whether every set is there that the elements are in. To ask costs microseconds,
    /// a transaction that fails for it costs milliseconds ([`Nft::commit`]).
    fn has_sets_of<'a>(
        &mut self,
        elements: impl Iterator<Item = &'a Element>,
    ) -> Result<bool, FirewallError> {
        let mut asked = HashSet::new();
        for entry in elements.flat_map(Element::entries) {
            if asked.insert((entry.table, entry.set))
                && !self.nft.has_set(entry.table, &entry.set.to_string())?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn look(&mut self, repair: bool) -> Result<Present, FirewallError> {
        Ok(Present {
            sets: self.nft.sets(TABLE)?.into_iter().collect(),
            bridge_sets: self.nft.sets(BRIDGE_TABLE)?.into_iter().collect(),
            repair,
        })
    }

    fn conditionals(&mut self) -> Result<Vec<Conditional>, FirewallError> {
        let rules = self.nft.rules(TABLE, CONDITIONAL)?;
        Ok(rules
            .into_iter()
            .map(|rule| Conditional {
                handle: rule.handle,
                tag: rule.comment,
            })
            .collect())
    }

    /// The checks of hardware addresses, without a look at anything else.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`].
    pub fn mac_checks(&mut self) -> Result<Vec<Element>, FirewallError> {
        if !self.nft.has_table(BRIDGE_TABLE)? {
            return Ok(Vec::new());
        }
        let elements = self.nft.elements(BRIDGE_TABLE, ALLOWED)?;
        let checks = elements.iter().filter_map(|e| Element::read(ALLOWED, e));
        Ok(checks.collect())
    }

    /// The tags of the ports that are published under conditions.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`].
    pub fn tags(&mut self) -> Result<Vec<String>, FirewallError> {
        Ok(self.conditionals()?.into_iter().map(|c| c.tag).collect())
    }

    /// Removes the ports published under conditions that have these tags; one that is
    /// not there is done already.
    ///
    /// # Errors
    /// [`FirewallError::Contended`], [`FirewallError::Kernel`].
    pub fn remove_tags(&mut self, tags: &[String]) -> Result<(), FirewallError> {
        for _ in 0..ATTEMPTS {
            let mut batch = Batch::new();
            for rule in self.conditionals()? {
                if tags.contains(&rule.tag) {
                    batch.delete_rule(TABLE, CONDITIONAL, rule.handle);
                }
            }
            if batch.is_empty() {
                return Ok(());
            }
            match self.nft.commit(&batch) {
                Ok(()) => return Ok(()),
                // Someone else removed one of them in the meantime.
                Err(refusal) if refusal.error.is_not_found() => {}
                Err(refusal) => return Err(refusal.error.into()),
            }
        }
        Err(FirewallError::Contended { attempts: ATTEMPTS })
    }

    /// Those of `wanted` that the kernel has not. A port published under conditions is
    /// there when its tag is.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`].
    pub fn missing<'a>(
        &mut self,
        wanted: &'a [Element],
    ) -> Result<Vec<&'a Element>, FirewallError> {
        let is_rule = |element: &Element| matches!(element, Element::PublishIf { .. });
        let present: HashSet<Element> = self.list()?.into_iter().collect();
        let tags = if wanted.iter().any(is_rule) {
            self.tags()?
        } else {
            Vec::new()
        };
        let is_there = |element: &Element| match element {
            Element::PublishIf { tag, .. } => tags.contains(tag),
            other => present.contains(other),
        };
        Ok(wanted.iter().filter(|e| !is_there(e)).collect())
    }

    /// Every element in the kernel but those with conditions (see
    /// [`Firewall::tags`]), in no order. Without our tables there is none.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`].
    pub fn list(&mut self) -> Result<Vec<Element>, FirewallError> {
        let mut all = Vec::new();
        for set in self.nft.sets(TABLE)? {
            let elements = self.nft.elements(TABLE, &set)?;
            all.extend(elements.iter().filter_map(|e| Element::read(&set, e)));
        }
        let checks = self.nft.elements(BRIDGE_TABLE, ALLOWED)?;
        all.extend(checks.iter().filter_map(|e| Element::read(ALLOWED, e)));
        Ok(all)
    }

    /// Declares ranges, in place of those declared before. Between `networks` nothing
    /// is translated. What goes out of the ranges in `masqueraded` comes from the
    /// host's address, unless it goes to one of `networks`, to one of `masqueraded`
    /// itself, or to a multicast address. Tells whether that changed anything.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`].
    pub fn set_networks(
        &mut self,
        networks: &[IpNet],
        masqueraded: &[IpNet],
    ) -> Result<bool, FirewallError> {
        let mut batch = Batch::new();
        for (sets, ranges) in [(NETWORKS, networks), (MASQUERADED, masqueraded)] {
            let wanted = IpNet::aggregate(&ranges.to_vec());
            for (set, v4) in sets.into_iter().zip([true, false]) {
                let of_family = wanted.iter().filter(|net| net.addr().is_ipv4() == v4);
                let elements: Vec<_> = of_family.flat_map(ranges::interval).collect();
                if ranges::same(self.nft.elements(TABLE, set)?, &elements) {
                    continue;
                }
                batch.flush_set(TABLE, set);
                batch.add_elements(TABLE, set, &elements);
            }
        }
        if batch.is_empty() {
            return Ok(false);
        }
        match self.nft.commit(&batch) {
            // No table, or one of an earlier release, which has fewer sets.
            Err(refusal) if refusal.error.is_not_found() => {
                self.ensure()?;
                self.nft.commit(&batch).map_err(KernelError::from)?;
            }
            other => other.map_err(KernelError::from)?,
        }
        Ok(true)
    }

    /// The ranges that are declared; none when the kernel has no nftables.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`].
    pub fn networks(&mut self) -> Result<Option<Ranges>, FirewallError> {
        let mut read = || {
            Ok(Ranges {
                networks: self.ranges_of(NETWORKS)?,
                masqueraded: self.ranges_of(MASQUERADED)?,
            })
        };
        match read() {
            // What is not there may be what cannot be.
            Ok(ranges) if ranges == Ranges::default() && !self.can_be()? => Ok(None),
            Ok(ranges) => Ok(Some(ranges)),
            Err(FirewallError::Kernel(error)) if error.is_unsupported() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the kernel has tables for both families: one without them answers every
    /// question as if there were just no table yet. Asked by making one and removing it in
    /// the same transaction, which nobody sees.
    fn can_be(&mut self) -> Result<bool, FirewallError> {
        if self.nft.has_table(TABLE)? {
            return Ok(true);
        }
        let mut batch = Batch::new();
        let probe = Table {
            name: "fairlead-probe",
            ..TABLE
        };
        batch.add_table(probe, Create::Exclusive, "");
        batch.delete_table(probe);
        match self.nft.commit(&batch) {
            Err(refusal) if refusal.error.is_unsupported() => Ok(false),
            other => Ok(other.map(|()| true).map_err(KernelError::from)?),
        }
    }

    fn ranges_of(&mut self, sets: [&str; 2]) -> Result<Vec<IpNet>, FirewallError> {
        let mut all = Vec::new();
        for set in sets {
            all.extend(ranges::networks(self.nft.elements(TABLE, set)?));
        }
        Ok(IpNet::aggregate(&all))
    }

    /// Makes the table `inet fairlead` and its static rules, or mends them. Elements
    /// stay, and no packet sees the rules half made.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`].
    pub fn ensure(&mut self) -> Result<(), FirewallError> {
        let mut batch = Batch::new();
        base().write(&mut batch);
        if self.nft.has_table(BRIDGE_TABLE)? {
            bridge_base().write(&mut batch);
        }
        Ok(self.nft.commit(&batch).map_err(KernelError::from)?)
    }

    /// Takes both tables away with all that is in them.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`].
    pub fn remove_all(&mut self) -> Result<(), FirewallError> {
        for table in [TABLE, BRIDGE_TABLE] {
            if !self.nft.has_table(table)? {
                continue;
            }
            let mut batch = Batch::new();
            batch.delete_table(table);
            match self.nft.commit(&batch) {
                Err(refusal) if !refusal.error.is_not_found() => {
                    return Err(refusal.error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes away what nobody uses any more: sets and rules of subnets that are not in
    /// `keep`, and, where that is empty and nothing is left, both tables. Ranges that
    /// are masqueraded are something.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`].
    pub fn tidy(&mut self, keep: &[IpNet]) -> Result<(), FirewallError> {
        self.remove_unused_subnets(keep)?;
        let unused = keep.is_empty()
            && self.list()?.is_empty()
            && self.tags()?.is_empty()
            && self.ranges_of(MASQUERADED)?.is_empty();
        if unused {
            self.remove_all()?;
        }
        Ok(())
    }

    /// Takes away the sets and rules of subnets that are not in `keep` and have no
    /// element, and returns those subnets.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`].
    pub fn remove_unused_subnets(&mut self, keep: &[IpNet]) -> Result<Vec<IpNet>, FirewallError> {
        let keep: BTreeSet<IpNet> = keep.iter().map(IpNet::trunc).collect();
        let mut removed = BTreeSet::new();
        for name in self.nft.sets(TABLE)? {
            let Some(set) = SubnetSet::parse(&name) else {
                continue;
            };
            if !keep.contains(&set.subnet) && self.remove_subnet(&set)? {
                removed.insert(set.subnet);
            }
        }
        Ok(removed.into_iter().collect())
    }

    /// A set that someone fills meanwhile makes the kernel refuse, and stays.
    fn remove_subnet(&mut self, set: &SubnetSet) -> Result<bool, FirewallError> {
        let name = SetName::Subnet(*set).to_string();
        if !self.nft.elements(TABLE, &name)?.is_empty() {
            return Ok(false);
        }
        let chain = subnet_chain(set.purpose);
        let mut batch = Batch::new();
        for rule in self.nft.rules(TABLE, chain)? {
            if rule.comment == name {
                batch.delete_rule(TABLE, chain, rule.handle);
            }
        }
        batch.delete_set(TABLE, &name, true);
        match self.nft.commit(&batch) {
            Ok(()) => Ok(true),
            Err(refusal) if refusal.error.errno() == Some(Errno::BUSY) => Ok(false),
            Err(refusal) if refusal.error.is_not_found() => Ok(false),
            Err(refusal) => Err(refusal.error.into()),
        }
    }
}

fn taken(element: &Element, refusal: Refusal) -> FirewallError {
    match element {
        Element::Publish(_) => FirewallError::Taken {
            element: Box::new(element.clone()),
        },
        _ => refusal.error.into(),
    }
}
