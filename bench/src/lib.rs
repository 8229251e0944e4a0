//! Side-by-side measurements: Fairlead, the reference CNI plugins, and the floor,
//! which is the time the kernel itself needs for the same work.
//!
//! Everything is measured in one run, in turns, so that whatever else the machine
//! does falls on all alike. A number says little by itself; the ratios count.
#![forbid(unsafe_code)]

mod message;
mod quartiles;
mod turns;
mod typed;

pub mod dns;
pub mod docker;
pub mod ends;
pub mod fill;
pub mod floor;
pub mod goals;
pub mod inside;
pub mod machine;
pub mod memory;
pub mod nuage;
pub mod oci;
pub mod prepare;
pub mod program;
pub mod report;
pub mod round;
pub mod scenario;
pub mod size;
pub mod stats;
pub mod subject;
