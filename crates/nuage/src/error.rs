//! Why a call of Docker's could not be served. The text is what Docker's user reads.

use fairlead_kernel::KernelError;
use fairlead_libnetwork::engine::EngineError;
use fairlead_libnetwork::{CallError, Refusal};
use fairlead_ovsdb::EndpointError;
use fairlead_store::StoreError;
use fairlead_types::{Mac, MacError, NameError};
use fairlead_vsp::vrs::VrsError;
use fairlead_vsp::vsd::{IdError, Incomplete, VsdError};
use ipnet::Ipv4Net;
use std::io;
use std::net::Ipv4Addr;

/// A failure of the drivers.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// What was sent is no call.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The host's records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The controller.
    #[error(transparent)]
    Vsd(#[from] VsdError),
    /// What the controller told lacks something.
    #[error("the controller's answer is not whole: {0}")]
    Incomplete(#[from] Incomplete),
    /// The controller told an id that can be none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The switch.
    #[error(transparent)]
    Vrs(#[from] VrsError),
    /// Where the switch is cannot be read.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Docker's engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A name that nothing can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A text that is no hardware address.
    #[error(transparent)]
    Mac(#[from] MacError),
    /// There is no chance to be had.
    #[error("the kernel gives no random bytes: {0}")]
    Chance(io::Error),
    /// Options that are not there.
    #[error(
        "these options are missing: {0}; organization, domain, zone, subnet and user say which subnet of VSP it is (-o KEY=VALUE, or --ipam-opt KEY=VALUE with the driver of addresses)"
    )]
    Missing(String),
    /// An option that can be no name.
    #[error(
        "option {option}={value:?}: a name of up to 255 bytes without control characters is wanted"
    )]
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
    },
    /// IPv6.
    #[error("addresses of version 6 are not to be had here: leave --ipv6 out")]
    V6,
    /// A part of a subnet.
    #[error(
        "--ip-range {0} cannot be kept: addresses come from the controller, which gives any of the subnet; leave it out"
    )]
    Range(String),
    /// A text that is no subnet.
    #[error("{0:?} is no subnet: one like 10.21.59.0/24 is wanted, without host bits")]
    Subnet(String),
    /// A text that is no address.
    #[error("{0:?} is no address of version 4")]
    Address(String),
    /// An address of another subnet.
    #[error("address {address} is not in {net}")]
    Outside {
        /// The address.
        address: Ipv4Addr,
        /// The subnet.
        net: Ipv4Net,
    },
    /// A subnet that is not the controller's.
    #[error("subnet {name:?} is {net} at the controller, not {asked}: give --subnet {net}")]
    OtherSubnet {
        /// Its name.
        name: String,
        /// What it is.
        net: Ipv4Net,
        /// What was asked for.
        asked: Ipv4Net,
    },
    /// A gateway that is not the controller's.
    #[error(
        "the gateway of subnet {name:?} is {gateway} at the controller, not {asked}: give --gateway {gateway}"
    )]
    OtherGateway {
        /// The subnet's name.
        name: String,
        /// What it is.
        gateway: Ipv4Addr,
        /// What was asked for.
        asked: Ipv4Addr,
    },
    /// A subnet that the controller has no IPv4 addresses for.
    #[error("subnet {0:?} has no addresses of version 4 at the controller")]
    NoV4(String),
    /// A network of Docker's has the subnet already.
    #[error("Network options and subnet overlap with existing network {0}")]
    Overlap(String),
    /// There is no controller.
    #[error(
        "no controller is declared, so addresses are Docker's to give: leave --ipam-driver out, or set url, username and password in the configuration"
    )]
    NoController,
    /// A network without a subnet.
    #[error("a subnet is needed: give --subnet, the same as at the controller")]
    NoSubnet,
    /// A pool that was never given.
    #[error(
        "{0:?} is no pool of this driver; was the network made with another driver of addresses"
    )]
    Pool(String),
    /// A pool of an earlier plugin's, whose network is not found.
    #[error(
        "no network of Docker has the pool {0}; remove the network that asks for it, and make it again"
    )]
    NoPool(String),
    /// A network of Docker that is not known.
    #[error("network {0} of Docker is not known on this host; remove it and make it again")]
    UnknownNetwork(String),
    /// An endpoint that was never made.
    #[error("endpoint {0} has no cable on this host; start its container again")]
    UnknownEndpoint(String),
    /// An address that nobody asked for.
    #[error("address {address} of network {network} was not asked for on this host")]
    NotLeased {
        /// The address.
        address: Ipv4Addr,
        /// Docker's id of the network.
        network: String,
    },
    /// An endpoint without an address.
    #[error("endpoint {0} has no address")]
    NoAddress(String),
    /// A hardware address that no interface can have.
    #[error("{0} is no hardware address of one interface")]
    Group(Mac),
    /// The switch was looked for a moment ago.
    #[error("{0}")]
    NoSwitch(String),
    /// The switch has no name.
    #[error(
        "the switch has no system-id, by which the controller knows this host: ovs-vsctl set Open_vSwitch . external-ids:system-id=NAME"
    )]
    NoSystemId,
    /// No name is free.
    #[error("all names of ports are taken")]
    NoPort,
}

impl From<&DoorError> for Refusal {
    fn from(error: &DoorError) -> Self {
        match error {
            DoorError::Call(error) => error.into(),
            other => Self::new(other),
        }
    }
}
