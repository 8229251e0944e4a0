//! What the zones are made from, and what is told to the server.

use fairlead_types::{Naming, ObjectName, PortNames, ResourceName};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What the zones are made from, beside the instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The cluster's name, which is that of its zone, without a final dot.
    pub cluster: String,
    /// `cluster.dns`: the servers of the zones. The first is `ns0.<cluster>`.
    pub servers: Vec<IpAddr>,
    /// The ranges of the declared networks; each has its reverse zones.
    pub ranges: Vec<IpNet>,
    /// Who may have a whole zone sent (AXFR); nobody where it is empty.
    pub axfr: Vec<IpNet>,
    /// Who may have names of others looked up, beside private addresses and `ranges`.
    pub recursion: Vec<IpNet>,
    /// Who is asked about names of others, in this order. No own address may be among
    /// them. Who asks from the address of one of them is refused names of others, whatever
    /// the port.
    pub upstreams: Vec<SocketAddr>,
    /// The names of ports.
    pub names: Arc<PortNames>,
}

/// One address of one instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The node it is on.
    pub node: String,
    /// The service: `namespace/kind/name`. Others have no names in DNS.
    pub object: ObjectName,
    /// Its resource that has the address.
    pub resource: Option<ResourceName>,
    /// The address.
    pub ip: IpAddr,
    /// What else DNS is told of it.
    pub naming: Naming,
}

/// A change of what instances there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An instance is there, once more.
    Insert(Instance),
    /// An instance is gone, once less.
    Remove(Instance),
}
