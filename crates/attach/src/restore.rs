//! Putting back what somebody flushed: `nft flush ruleset`, as a restart of the system's
//! nftables service does, takes our elements too; the records have them all.

use crate::{AttachError, Node};
use fairlead_firewall::Element;
use std::collections::BTreeSet;

impl Node {
    /// Puts the elements back that records stand for and the kernel lacks; returns them.
    /// With `dry_run` only says which.
    ///
    /// # Errors
    /// [`AttachError`] when the state cannot be read or the kernel refuses.
    pub fn restore(&self, dry_run: bool) -> Result<Vec<String>, AttachError> {
        let recorded = self
            .host()
            .store(|store| store.read(fairlead_plugins::recorded))?;
        // One hairpin serves all ports of an address.
        let recorded: BTreeSet<Element> =
            recorded.into_iter().map(|(_, element)| element).collect();
        let recorded: Vec<Element> = recorded.into_iter().collect();
        if recorded.is_empty() {
            return Ok(Vec::new());
        }
        let missing = self.host().firewall(|firewall| {
            let missing: Vec<Element> = firewall.missing(&recorded)?.into_iter().cloned().collect();
            if !missing.is_empty() && !dry_run {
                firewall.ensure()?;
                firewall.add(&missing)?;
            }
            Ok(missing)
        })?;
        Ok(missing.iter().map(ToString::to_string).collect())
    }
}
