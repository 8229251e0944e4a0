//! Who knows of CNI networks and of the containers on them.

use fairlead_attach::PublishedPort;
use fairlead_oci::Oci;
use fairlead_types::{Mac, Root};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Why something of CNI could not be said or done; the text has its causes.
pub type PlacesError = Box<dyn std::error::Error + Send + Sync>;

/// One interface of one container on one CNI network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The network's name.
    pub network: String,
    /// The interface in the container.
    pub ifname: String,
    /// Its addresses, with the length of their networks.
    pub addresses: Vec<IpNet>,
    /// The gateways that were told.
    pub gateways: Vec<IpAddr>,
    /// Its hardware address, where it is known.
    pub mac: Option<Mac>,
    /// The ports of the host that lead to it.
    pub ports: Vec<PublishedPort>,
}

/// Who knows of CNI networks and of the containers on them. The calls wait for the disk.
pub trait Places: Send + Sync {
    /// The names of all CNI networks.
    ///
    /// # Errors
    /// They cannot be read.
    fn networks(&self) -> Result<BTreeSet<String>, PlacesError>;

    /// What containers have on CNI networks, by the containers' ids.
    ///
    /// # Errors
    /// The records cannot be read.
    fn attached(&self) -> Result<BTreeMap<String, Vec<Attached>>, PlacesError>;

    /// Takes away what a container that was removed had. Nothing is no error.
    ///
    /// # Errors
    /// Something of it is left; it is tried again when all are compared.
    fn removed(&self, id: &str) -> Result<(), PlacesError>;

    /// Takes away what containers have that are not there, whoever forgot to say so; a line
    /// for each thing.
    ///
    /// # Errors
    /// Something of it is left.
    fn reconcile(&self) -> Result<Vec<String>, PlacesError>;
}

/// The node's own records, by the door of OCI.
pub struct Node {
    root: Root,
    settings: PathBuf,
    door: Oci,
}

impl Node {
    /// Opens them with the runtime's settings.
    ///
    /// # Errors
    /// The settings, or the node's configuration, cannot be read.
    pub fn open(root: &Root, settings: &Path) -> Result<Self, PlacesError> {
        Ok(Self {
            root: root.clone(),
            settings: settings.to_owned(),
            door: Oci::open(root, settings)?,
        })
    }
}

impl Places for Node {
    fn networks(&self) -> Result<BTreeSet<String>, PlacesError> {
        // What is declared changes while the proxy runs.
        let door = Oci::open(&self.root, &self.settings)?;
        let networks = door.networks()?.into_iter().map(|name| name.to_string());
        // These are Docker's own words, whatever else has such a name.
        let own = ["default", "bridge", "host", "none"];
        Ok(networks
            .filter(|name| !own.contains(&name.as_str()))
            .collect())
    }

    fn attached(&self) -> Result<BTreeMap<String, Vec<Attached>>, PlacesError> {
        let all = self.door.attached()?.into_iter();
        let all = all.map(|(id, of)| (id, of.into_iter().map(Attached::from).collect()));
        Ok(all.collect())
    }

    fn removed(&self, id: &str) -> Result<(), PlacesError> {
        Ok(self.door.removed(id)?)
    }

    // What an engine has no more is told by its own folder of the container, which the door
    // looks for: no listing can be too old.
    fn reconcile(&self) -> Result<Vec<String>, PlacesError> {
        // By what is declared now: what is not counts as nobody's.
        Ok(Oci::open(&self.root, &self.settings)?.reconcile()?)
    }
}

impl From<fairlead_oci::Attached> for Attached {
    fn from(of: fairlead_oci::Attached) -> Self {
        Self {
            network: of.network.to_string(),
            ifname: of.ifname.to_string(),
            addresses: of.addresses,
            gateways: of.gateways,
            mac: of.mac,
            ports: of.ports,
        }
    }
}
