//! A container on a network of a cluster.

use crate::node::Sandbox;
use crate::place::Place;

/// A container with an `eth0` on a network of the cluster.
#[derive(Debug)]
pub struct Container<'c> {
    /// Its namespace.
    pub sandbox: Sandbox<'c>,
    /// The network it is on; empty means the only one.
    pub(crate) network: String,
}

impl<'c> Container<'c> {
    pub(crate) fn of(sandbox: Sandbox<'c>) -> Self {
        Self {
            sandbox,
            network: String::new(),
        }
    }

    /// Its address, without a length; of version 4 if it has one.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    #[track_caller]
    pub fn address(&self) -> String {
        let addresses = self.sandbox.addresses("eth0");
        let first = addresses.first().expect("a container has an address");
        let (address, _) = first.split_once('/').expect("ADDRESS/LENGTH");
        address.to_owned()
    }

    /// Takes it off its network.
    #[track_caller]
    pub fn detach(&self) {
        let line = format!(
            "fairlead detach {} --netns {}",
            self.network,
            self.sandbox.netns()
        );
        self.sandbox.node().sh(&line).done();
    }

    /// The MTU of its link.
    ///
    /// # Panics
    /// If `ip` shows none.
    #[must_use]
    #[track_caller]
    pub fn mtu(&self) -> u64 {
        self.sandbox.link("eth0")["mtu"].as_u64().expect("a number")
    }
}
