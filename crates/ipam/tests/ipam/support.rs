//! What the tests of allocation share.

use fairlead_ipam::{Allocation, IpamConfig, IpamError, Pool, RangeSet, Request, allocate};
use fairlead_store::{BootId, NetnsRef, Store};
use fairlead_types::{Owner, Root};
use std::net::IpAddr;
use std::path::PathBuf;

/// A node with a state file of its own and one network.
pub(crate) struct Node {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) pool: Pool,
}

impl Node {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::new(&Root::new(dir.path()), &"net1".parse().unwrap(), None);
        Self { dir, pool }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("state/node.db")
    }

    pub(crate) fn open(&self) -> Store {
        Store::open_file(&self.file(), &BootId::new("boot")).unwrap()
    }

    /// Allocates for a container, with requested addresses.
    pub(crate) fn add(
        &self,
        store: &mut Store,
        sets: &[RangeSet],
        container: &str,
        (requested, netns): (&[IpAddr], Option<&NetnsRef>),
    ) -> Result<Allocation, IpamError> {
        allocate(
            store,
            &Request {
                pool: &self.pool,
                sets,
                owner: &owner(container),
                netns,
                requested,
            },
        )
    }
}

pub(crate) fn owner(container: &str) -> Owner {
    Owner {
        network: "net1".parse().unwrap(),
        container: container.parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The range sets of an `ipam` object.
pub(crate) fn sets(ipam: &str) -> Vec<RangeSet> {
    let config = format!(r#"{{"cniVersion":"1.0.0","name":"net1","ipam":{ipam}}}"#);
    IpamConfig::from_slice(config.as_bytes(), "")
        .unwrap()
        .ranges
}

/// The addresses of an allocation, without prefix lengths.
pub(crate) fn addrs(allocation: &Allocation) -> Vec<IpAddr> {
    allocation.leases.iter().map(|l| l.address.addr()).collect()
}
