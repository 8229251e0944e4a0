//! What a switch is told, against a real database of Open vSwitch with Nuage's tables. What is
//! there is read by Open vSwitch's own programs.

mod common;
mod look;
mod plug;
mod rows;
