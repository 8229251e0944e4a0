//! The door of OCI: a runtime in front of the real one, and the hooks by which containers of
//! any engine get their place on a network.
//!
//! [`wrapper::run`] is the runtime: it changes the bundle of a container that is made, and
//! becomes the real runtime for everything. [`hook::run`] is what that one calls. Both only
//! translate: what a container wants ([`Choice`]) becomes calls of the core, which records
//! before it acts; an address that is kept is an endpoint of the core's.
#![forbid(unsafe_code)]

mod bundle;
mod choice;
mod door;
mod error;
pub mod hook;
mod hosts;
mod invocation;
pub mod keys;
mod report;
mod settings;
pub mod wrapper;

pub use choice::{Choice, Pool};
pub use door::{Attached, Oci};
pub use error::OciError;
pub use keys::is_fixed;
pub use settings::{DEFAULT_PATH, HookStage, LogDriver, PoolMode, Settings};
