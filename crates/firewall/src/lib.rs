//! Fairlead's nftables tables: which packets are translated or dropped, and why.
//!
//! The rules are static ([`base`]). Whatever varies with attachments is an element
//! of a hash set, so that a publish costs the same at 10 and at 10,000. What varies
//! with networks is a set and a rule for each subnet, made on first use.
//!
//! [`Firewall::change`] sends the elements alone, in one transaction, when the sets
//! they are in exist. Only when one is missing does it look what is there, and sends
//! what is missing together with the elements.
#![forbid(unsafe_code)]

mod element;
mod error;
mod firewall;
mod passage;
mod plan;
mod ranges;
mod ruleset;
mod subnet;

pub use element::{Condition, Element, Publish, Side};
pub use error::FirewallError;
pub use firewall::Firewall;
pub use ranges::Ranges;
pub use ruleset::{BRIDGE_TABLE, Rule, Ruleset, TABLE, base, bridge_base};
