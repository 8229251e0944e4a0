//! Deleting many links as one.

use super::link::LinkChange;
use super::{Link, Route};
use crate::KernelError;
use fairlead_types::IfName;
use std::collections::BTreeSet;

/// The first group number that is tried; below it are those that people use.
const FIRST_GROUP: u32 = 0x4661_0000;

impl Route {
    /// Deletes links, each given by its index and its name, in one step of the
    /// kernel: it waits once for all of them instead of once for each. Links that
    /// are gone, or that have another name by now, are left out. Returns the names of
    /// those it deleted.
    ///
    /// They are gathered in a link group that no link is in, and the group is deleted.
    ///
    /// # Errors
    /// [`KernelError::Refused`], also when one of them cannot be deleted; then none is,
    /// and each is in the group again that it was in.
    pub fn delete_links_together(
        &mut self,
        links: &[(u32, IfName)],
    ) -> Result<Vec<IfName>, KernelError> {
        if let [(index, name)] = links {
            return self.delete_one(*index, name);
        }
        let present = self.links()?;
        let group = free_group(&present);
        let mut gathered: Vec<(&Link, IfName)> = Vec::new();
        for (index, name) in links {
            let Some(link) = present.iter().find(|l| is(l, *index, name)) else {
                continue;
            };
            match self.set_group(*index, group, name) {
                Ok(()) => gathered.push((link, name.clone())),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(self.restore_groups(&gathered, error)),
            }
        }
        if gathered.is_empty() {
            return Ok(Vec::new());
        }
        match self.delete_link_group(group) {
            Ok(true) => Ok(gathered.into_iter().map(|(_, name)| name).collect()),
            Ok(false) => Ok(Vec::new()),
            Err(error) => Err(self.restore_groups(&gathered, error)),
        }
    }

    fn delete_one(&mut self, index: u32, name: &IfName) -> Result<Vec<IfName>, KernelError> {
        let link = self.link_by_index(index)?;
        if !link.is_some_and(|link| is(&link, index, name)) {
            return Ok(Vec::new());
        }
        match self.delete_link(index, name) {
            Ok(()) => Ok(vec![name.clone()]),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn set_group(&mut self, index: u32, group: u32, name: &IfName) -> Result<(), KernelError> {
        let change = LinkChange {
            group: Some(group),
            ..LinkChange::default()
        };
        self.change_link(index, &change, name)
    }

    fn restore_groups(&mut self, links: &[(&Link, IfName)], error: KernelError) -> KernelError {
        for (link, name) in links {
            // What cannot be put back is gone; the first error is what matters.
            let _ = self.set_group(link.index, link.group, name);
        }
        error
    }
}

fn is(link: &Link, index: u32, name: &IfName) -> bool {
    link.index == index && link.name == name.as_str()
}

/// A group that no link is in. Two processes at once begin at different numbers.
fn free_group(links: &[Link]) -> u32 {
    let used: BTreeSet<u32> = links.iter().map(|link| link.group).collect();
    let first = FIRST_GROUP | (std::process::id() & 0xffff);
    (first..)
        .find(|group| !used.contains(group))
        .unwrap_or(first)
}
