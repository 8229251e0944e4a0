//! Who holds an address or a port.

use crate::{ContainerId, IfName, NetworkName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The key of an attachment: one interface of one container on one network.
/// Every record of the node (address, masquerade, port, cached result) carries it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The network the interface is on.
    pub network: NetworkName,
    /// The container.
    pub container: ContainerId,
    /// The interface's name inside the container.
    pub ifname: IfName,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "container {} interface {} on network {}",
            self.container, self.ifname, self.network
        )
    }
}
