//! What Docker and a driver of networks say to each other (libnetwork, remote drivers): the
//! calls and their answers, how they are served at the socket where Docker finds a driver, and
//! what a driver asks an engine in turn. Which networks a driver makes is not known here.
#![forbid(unsafe_code)]

pub mod calls;
pub mod engine;
pub mod protocol;
mod serve;

pub use calls::{CallError, METHODS, answer, read};
pub use engine::DriverName;
pub use serve::{Driver, Refusal, router};
