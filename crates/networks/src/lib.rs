//! Declared networks: which there are, the CNI configuration they yield, the bridges
//! and files that follow them, and who uses them.
//!
//! [`find`] gives the configuration of one network, [`Catalog`] all of them, declared
//! or found as files. [`setup`] makes this node follow the declarations: it observes,
//! plans ([`plan`], pure) and carries the steps out, each with its undo. [`Status`]
//! and [`Listing`] are what the commands print; rendering is theirs.
//!
//! Nothing here reads the node's store: who holds which address comes in as
//! [`UsedAddress`].
#![forbid(unsafe_code)]

mod address;
mod catalog;
mod error;
mod files;
mod generate;
mod known;
mod listing;
mod routed;
mod setup;
mod status;
mod tables;

pub use address::{bridge_address, bridge_mac, gateway_of};
pub use catalog::{Catalog, Entry, Source, find};
pub use error::NetworkError;
pub use files::CniFile;
pub use generate::{MARKER, generate, publishing};
pub use known::{Known, names_to_look_up};
pub use listing::{Branch, Listing};
pub use routed::local_ranges;
pub use setup::{
    Desired, Job, Observed, PathRoute, PathStep, Peer, Plan, Recorded, Report, Step, TunnelLink,
    TunnelSeen, VxlanLink, is_of_ours, plan, setup, tunnels,
};
pub use status::{Status, StatusRow, Usage, UsedAddress, UsedIp};
