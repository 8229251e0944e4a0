//! The drivers nuage and nuage-ipam: Docker networks that are subnets of an SDN controller
//! (Nuage VSP). The controller gives addresses and says what may talk to what; the switch of
//! this host is told which port is whose; Docker is told what it asks for.
//!
//! A call of Docker's is answered from the host's records, the controller and the switch; while
//! Docker waits for an answer it may answer nobody itself.
#![forbid(unsafe_code)]

mod audit;
mod cable;
mod claim;
mod cli;
mod door;
mod endpoint;
mod error;
mod follow;
mod identity;
mod ipam;
mod lease;
pub mod log;
mod network;
mod pool;
mod ports;
mod random;
mod records;
mod run;
pub mod settings;
mod subnet;
mod switch;
mod target;
mod tend;
mod turns;

pub use run::{OLD_NAME, PROGRAM, run};

use fairlead_libnetwork::engine::DriverName;

/// What the driver of networks is called at Docker; managed by Docker, both are.
const DRIVER: DriverName = DriverName::new("nuage");
/// What the driver of addresses is called.
const IPAM_DRIVER: DriverName = DriverName::new("nuage-ipam");
/// The space that addresses of a network with scope local are from. Docker's own addresses are
/// from others.
const LOCAL_SPACE: &str = "local";
/// The same with scope global.
const GLOBAL_SPACE: &str = "global";
