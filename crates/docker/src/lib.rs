//! Docker's door: the driver that `docker network create -d fairlead` finds, for networks and
//! for addresses, and what an engine tells of its containers meanwhile.
//!
//! A call of Docker's is answered from the node's records alone: while Docker waits for an
//! answer it may answer nobody itself. Who a container is, is heard afterwards, from the
//! engine's events; the same thread has networks made on other nodes and takes away what an
//! engine forgot.
#![forbid(unsafe_code)]

mod choose;
mod declare;
mod door;
mod driver;
mod endpoint;
mod engine;
mod error;
mod ipam;
mod lease;
mod network;
mod options;
mod pool;
mod ports;
mod target;
mod view;

pub use door::{Door, Ground};
pub use engine::follow;
pub use error::DoorError;

use fairlead_libnetwork::DriverName;

/// What the driver is called at Docker.
const DRIVER: DriverName = DriverName::new("fairlead");
/// The space that addresses of a network with scope local are from. Docker's own
/// addresses are from `LocalDefault`.
const LOCAL_SPACE: &str = "fairlead-local";
/// The same with scope global.
const GLOBAL_SPACE: &str = "fairlead-global";
