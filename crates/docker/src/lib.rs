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
mod protocol;
mod serve;
mod target;
mod view;

pub use door::{Door, Ground};
pub use engine::follow;
pub use error::DoorError;
pub use serve::router;
