//! Containers under our runtime and under the plain one, and Docker's API with the proxy and
//! without it, in turns.

mod engine;
mod proxy;
mod report;
mod starts;

pub use report::write;

use anyhow::Result;
use engine::Engine;
use fairlead_tests::Node;
use proxy::Proxied;
use starts::Start;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// How often a container is started under each runtime.
    pub rounds: u32,
    /// How often the list of containers is asked for on each socket.
    pub calls: u32,
    /// The size of the image that is saved, in megabytes.
    pub image: u32,
}

/// What was found.
#[derive(Debug)]
pub struct Findings {
    engine: String,
    starts: Vec<Start>,
    proxied: Proxied,
}

/// Starts an engine and measures.
///
/// # Errors
/// When a program is missing or something fails that has to work.
///
/// # Panics
/// When no host can be made: root is needed.
pub fn run(extent: Extent) -> Result<Findings> {
    eprintln!("starting an engine");
    let node = Node::new();
    let engine = Engine::start(&node)?;
    let starts = starts::run(&engine, extent.rounds)?;
    let proxied = proxy::run(&engine, extent)?;
    Ok(Findings {
        engine: engine.about()?,
        starts,
        proxied,
    })
}
