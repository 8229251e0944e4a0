//! The built-in CNI plugins: `bridge`, `host-local`, `static`, `loopback`, `ptp` and
//! `portmap`, drop-in for the reference plugins of the same names.
//!
//! Each is a [`fairlead_cni::Plugin`]: a check of the whole call first, then steps
//! that each push their undo. They are run in process by the runtime, or as a
//! program under their own name by [`run_program`].
#![forbid(unsafe_code)]

mod bridge;
mod cable;
mod container;
mod error;
mod handover;
mod host;
mod host_local;
mod ipam;
mod loopback;
mod mac_check;
mod masquerade;
mod portmap;
mod ptp;
mod records;
mod removal;
mod set;
mod static_ipam;
mod undo;
mod verify;

pub use cable::{host_name, is_host_name};
pub use handover::{Given, HandoverError, handover, handover_name};
pub use host::Host;
pub use portmap::{PortMapping, publish, unpublish};
pub use records::{recorded, release_dead};
pub use removal::{DeleteLinks, Parts, Removed};
pub use set::{NAMES, PluginSet, run_program};
