//! Containers of real engines under our runtime, with our plugins and others', by the
//! commands that a person types.

#[path = "oci/agent.rs"]
mod agent;
#[path = "oci/case.rs"]
mod case;
#[path = "oci/choice.rs"]
mod choice;
#[path = "oci/document.rs"]
mod document;
#[path = "oci/engines.rs"]
mod engines;
#[path = "oci/faults.rs"]
mod faults;
#[path = "oci/fixed.rs"]
mod fixed;
#[path = "oci/killed.rs"]
mod killed;
#[path = "oci/run.rs"]
mod run;
#[path = "oci/through.rs"]
mod through;
