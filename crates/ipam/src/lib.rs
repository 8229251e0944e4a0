//! Address management: ranges as host-local has them, over the store.
//!
//! [`IpamConfig`] is the configuration of the CNI plugin `host-local`, checked
//! and completed as the reference plugin does. [`allocate`] gives an attachment
//! one address of each range set, all in one transaction: a failure leaves
//! nothing. Addresses go round: the search starts after the one given last, so a
//! freed address rests until the others had their turn.
//!
//! The functions that end in `_in` work inside a transaction of the caller, so
//! that an attachment's record and its addresses are one commit.
#![forbid(unsafe_code)]

mod allocate;
mod args;
mod config;
mod error;
mod import;
mod pool;
mod range;
mod resolv;

pub use allocate::{
    Allocation, Lease, Request, Usage, allocate, allocate_in, allocate_of, check, pool_usage,
    release, release_in,
};
pub use args::requested_by_args;
pub use config::{IpamConfig, Route};
pub use error::{AllocateError, IpamError, RangeError};
pub use import::{Ignored, ImportReport, import_host_local};
pub use pool::Pool;
pub use range::{Range, RangeSet};
pub use resolv::ResolvConf;
