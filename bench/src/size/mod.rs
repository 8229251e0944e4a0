//! One node of a large cluster: a thousand nodes in the registry and a hundred thousand
//! addresses in shared state. etcd, the node and what runs on it are real; the other
//! nodes are what they leave in shared state, put there by writers.

mod change;
mod commands;
mod daemon;
mod detach;
mod findings;
mod host;
mod registry;
mod stage;
mod start;
mod wait;

pub use findings::{Findings, Line, Table, write};

use crate::inside::Place;
use anyhow::{Context, Result};
use stage::Stage;
use std::path::Path;

/// How large it is, and how often each thing is measured.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Nodes in the registry, the real one among them.
    pub nodes: u32,
    /// Addresses of the other nodes in shared state.
    pub addresses: u32,
    /// How often most things are measured.
    pub rounds: u32,
    /// How many containers are detached at once.
    pub detaches: u32,
}

/// Measures everything. A part that fails is named among what was left out, and the
/// next goes on.
///
/// # Errors
/// When the stage cannot be set: etcd, the namespaces, the registry.
pub fn run(place: &Place, extent: Extent, fairlead: &Path) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut stage = Stage::set(place, extent, fairlead).context("set the stage")?;
    registry::fill(&mut stage, &mut findings).context("fill the registry")?;
    let parts: [(&str, Part); 5] = [
        ("the agent's start", start::measure),
        ("a change", change::measure),
        ("commands", commands::measure),
        ("detaches", detach::measure),
        ("the agent's start without etcd", start::without_etcd),
    ];
    for (what, part) in parts {
        eprintln!("measure {what}");
        if let Err(error) = part(&mut stage, &mut findings) {
            eprintln!("left out {what}: {error:#}");
            findings.left_out.push(format!("{what}: {error:#}"));
        }
    }
    Ok(findings)
}

type Part = fn(&mut Stage, &mut Findings) -> Result<()>;
