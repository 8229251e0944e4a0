//! Docker's API through the proxy, with a real engine and the clients that people use.

#[path = "proxy/case.rs"]
mod case;
#[path = "proxy/clients.rs"]
mod clients;
#[path = "proxy/cni.rs"]
mod cni;
#[path = "proxy/process.rs"]
mod process;
#[path = "proxy/same.rs"]
mod same;
