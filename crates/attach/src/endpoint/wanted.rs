//! What a container wants: which interfaces, and with what.

use crate::AttachError;
use fairlead_cni::ConfList;
use fairlead_cni::runtime::AttachmentParams;
use fairlead_store::EndpointPlace;
use fairlead_types::{ContainerId, IfName};
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::path::PathBuf;

/// A container that wants an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The container.
    pub container: ContainerId,
    /// Its bundle, which is there as long as its runtime has it.
    pub bundle: PathBuf,
    /// A directory that its engine has as long as it has the container, where one is known.
    pub home: Option<PathBuf>,
}

/// One interface that a container wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The network's plugins.
    pub list: ConfList,
    /// The interface.
    pub ifname: IfName,
    /// The arguments of ADD.
    pub args: Vec<(String, String)>,
    /// The capability arguments of ADD.
    pub capabilities: Map<String, Value>,
    /// The addresses that it must get; any where it is empty.
    pub addresses: Vec<IpAddr>,
}

impl Wanted {
    pub(super) fn of(place: &EndpointPlace) -> Result<Self, AttachError> {
        let list = ConfList::from_slice(place.config.as_bytes());
        let list = list.map_err(fairlead_networks::NetworkError::from)?;
        let mut wanted = Self {
            list,
            ifname: place.ifname.clone(),
            args: place.args.clone(),
            capabilities: place.capabilities.clone(),
            addresses: Vec::new(),
        };
        wanted.ask_for(place.addresses.iter().map(IpNet::addr).collect());
        Ok(wanted)
    }

    /// Asks for these addresses: by `IP` of `CNI_ARGS`, which carries one of them, and by the
    /// capability `ips` where a plugin of the list has it.
    pub fn ask_for(&mut self, addresses: Vec<IpAddr>) {
        self.args.retain(|(key, _)| key != "IP");
        self.capabilities.remove("ips");
        if self.list.capabilities().iter().any(|name| name == "ips") {
            self.capabilities.insert("ips".into(), json!(addresses));
        } else if let Some(first) = addresses.first() {
            self.args.push(("IP".into(), first.to_string()));
        }
        self.addresses = addresses;
    }

    /// Whether no plugin of another maker has a part in it.
    #[must_use]
    pub fn has_only_built_in(&self) -> bool {
        crate::detach::has_only_built_in(&self.list)
    }

    /// Whose attachment it is to be.
    #[must_use]
    pub fn params(&self, container: &ContainerId, netns: PathBuf) -> AttachmentParams {
        AttachmentParams {
            container: container.clone(),
            ifname: self.ifname.clone(),
            netns: Some(netns),
            args: self.args.clone(),
            capability_args: self.capabilities.clone(),
        }
    }
}
