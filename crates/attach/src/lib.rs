//! The core: an [`AttachRequest`] becomes an [`Attachment`], whichever door asked.
//!
//! Every change is recorded before it is made. Detach works from the record, goes on to
//! the end and may be repeated; [`Node::gc`] finishes what a crash left. Nothing here
//! knows which door asked.
#![forbid(unsafe_code)]

mod address;
mod attach;
mod cache;
mod detach;
mod doctor;
mod endpoint;
mod error;
mod fit;
mod gc;
mod list;
mod node;
mod plug;
mod request;
mod restore;
mod turn;

pub use address::{Held, Look};
pub use cache::StoreCache;
pub use detach::{Detached, Selector};
pub use doctor::{Finding, Severity};
pub use endpoint::{Guest, Wanted};
pub use error::AttachError;
pub use gc::{GcAction, GcReport};
pub use list::{Attachment, Origin, PublishedPort};
pub use node::Node;
pub use plug::{Plug, PlugRequest, is_lease, lease, owner};
pub use request::{AttachRequest, PublishError, PublishSpec, Sandbox};
