//! Docker networks on an SDN controller: real engines, a real Open vSwitch with the tables of
//! VRS, and the VSD in small that Nuage's own client is content with.

#[path = "nuage/addresses.rs"]
mod addresses;
#[path = "nuage/audit.rs"]
mod audit;
#[path = "nuage/case.rs"]
mod case;
#[path = "nuage/containers.rs"]
mod containers;
#[path = "nuage/documents.rs"]
mod documents;
#[path = "nuage/faults.rs"]
mod faults;
#[path = "nuage/first.rs"]
mod first;
#[path = "nuage/global.rs"]
mod global;
#[path = "nuage/managed.rs"]
mod managed;
#[path = "nuage/many.rs"]
mod many;
#[path = "nuage/names.rs"]
mod names;
#[path = "nuage/program.rs"]
mod program;
#[path = "nuage/protocol.rs"]
mod protocol;
#[path = "nuage/restart.rs"]
mod restart;
