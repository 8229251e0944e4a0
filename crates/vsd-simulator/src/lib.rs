//! A VSD in small, for tests: the resources that clients use, with faults on demand.
//!
//! It answers as a VSD of Nuage does to the original plugin and to Nuage's own SDKs: logins
//! with API keys, enterprises down to subnets, containers with their interfaces and vports,
//! policy groups, filters, pages, and errors with the codes that clients look at. Nothing is
//! forwarded or stored: all ends with the program. What no client is known to need, such as
//! rights of single users, layer 2 domains and version 6 addresses, is not there.
#![forbid(unsafe_code)]

mod api;
mod cert;
mod control;
mod faults;
mod filter;
mod kind;
mod listing;
mod login;
mod ports;
mod program;
mod range;
mod refusal;
mod reply;
mod rules;
mod seed;
mod serve;
mod simulator;
mod store;
mod world;

pub use cert::Protection;
pub use faults::{Body, Drop, Fault, FaultError};
pub use filter::{Filter, FilterError};
pub use kind::Kind;
pub use program::main_with;
pub use rules::Strictness;
pub use seed::SeedError;
pub use simulator::{Options, Simulator, SimulatorError};
