//! Containers of real engines under our runtime, with our plugins and others', by the
//! commands that a person types.

#[path = "oci/case.rs"]
mod case;
#[path = "oci/fixed.rs"]
mod fixed;
#[path = "oci/run.rs"]
mod run;
