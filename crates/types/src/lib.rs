//! Checked names and small values that every other crate speaks.
//!
//! A value of one of these types has passed its check; inner code cannot hold a
//! bad one. Nothing here touches the system, but that [`PortNames`] reads a file.
#![forbid(unsafe_code)]

mod expose;
mod name;
mod naming;
mod net;
mod owner;
mod port_names;
mod root;

pub use expose::{Expose, ExposeError};
pub use name::{ContainerId, HostName, IfName, NameError, NetworkName, ObjectName, ResourceName};
pub use naming::Naming;
pub use net::{Mac, MacError, Protocol, ProtocolError};
pub use owner::Owner;
pub use port_names::PortNames;
pub use root::Root;
