//! Node state: which attachment holds which address and host port, and which services
//! were started, in one SQLite file that several processes write at once.
//!
//! A plugin call is a short process, so the cost that counts is that of opening
//! the file and committing one transaction. The file is therefore in WAL mode
//! with a log that outlives its writers, nothing is synced on the path of an
//! ADD, and the log is folded back by [`Store::checkpoint_if_large`], which the
//! callers that can afford it run. A `kill -9` loses nothing that was committed;
//! a power failure may lose the last transactions, and with them only rows that
//! end with the boot anyway.
//!
//! Everything is written inside [`Store::write`], one immediate transaction: a
//! closure that fails leaves the file as it was.
#![forbid(unsafe_code)]

mod addresses;
mod attachments;
mod boot;
mod docker;
mod endpoints;
mod error;
mod key;
mod masquerades;
mod open;
mod owners;
mod ports;
mod process;
mod row;
mod runs;
mod sandbox;
mod schema;
mod services;
mod store;
mod vsp;

pub use addresses::{Address, NewAddress};
pub use attachments::{
    Attachment, AttachmentFilter, AttachmentState, Claim, Identity, NewAttachment, now,
};
pub use boot::BootId;
pub use docker::{DockerNetwork, DockerPool, Resting};
pub use endpoints::{Connected, Endpoint, EndpointPlace, Tenant};
pub use error::StoreError;
pub use masquerades::Masquerade;
pub use owners::OwnerRecord;
pub use ports::{Family, Port, PortClaim};
pub use process::Actor;
pub use sandbox::NetnsRef;
pub use services::{StartedAddress, StartedContainer, StartedService};
pub use store::{Store, Tx, View};
pub use vsp::{VspHeld, VspLease, VspNetwork, VspState, VspSubnetIds, VspTarget, VspTenant};
