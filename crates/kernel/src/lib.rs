//! The kernel's side of Fairlead: namespaces, links, addresses, routes, rules,
//! neighbours, sysctl, nftables and conntrack; and word of their changes.
//!
//! Everything here is netlink or a system call; no program is started. It is the
//! only crate with `unsafe` in it and the only one that opens a netlink socket, so
//! a reviewer of either has one place to read.

mod error;
mod monitor;
mod netns;
mod socket;

pub mod conntrack;
pub mod nft;
pub mod route;
pub mod sysctl;
pub mod udp;

pub use error::KernelError;
pub use monitor::{Monitor, Seen};
pub use netns::{NetNs, NsId};
pub use route::Route;
pub use socket::{Dump, Reply, Socket, SocketKind};
