//! Checked names and small values that every other crate speaks.
//!
//! A value of one of these types has passed its check; inner code cannot hold a
//! bad one. Nothing here touches the system.
#![forbid(unsafe_code)]

mod name;
mod net;
mod owner;
mod root;

pub use name::{ContainerId, IfName, NameError, NetworkName, ObjectName, ResourceName};
pub use net::{Mac, MacError, Protocol, ProtocolError};
pub use owner::Owner;
pub use root::Root;
