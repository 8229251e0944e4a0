//! Nuage VSP: the controller's REST interface (VSD), and what a host's switch is told (VRS).
#![forbid(unsafe_code)]

pub mod vrs;
pub mod vsd;
