//! Containers of Docker: on a network of ours, on a bridge of Docker's own, and on none, in turns.

mod across;
mod calls;
mod engine;
mod many;
mod report;
mod starts;
mod traffic;

pub use report::write;

use anyhow::Result;
use calls::Calls;
use engine::{Engine, Who};
use fairlead_tests::{Agent, Node};
use many::Many;
use starts::Start;
use traffic::Rates;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// How often a container is started on each network.
    pub rounds: u32,
    /// Containers where there are many.
    pub containers: u32,
    /// How long each measurement of throughput lasts, in seconds.
    pub seconds: u32,
}

impl Extent {
    /// How often many containers are started.
    fn many_rounds(self) -> u32 {
        self.rounds.min(3)
    }

    /// How often throughput is measured.
    fn traffic_rounds(self) -> u32 {
        self.rounds.min(5)
    }
}

/// What was found.
#[derive(Debug)]
pub struct Findings {
    /// The engine's release and how it keeps files.
    engine: String,
    starts: Vec<Start>,
    /// The driver's calls while one container was started after the other.
    alone: Calls,
    many: Vec<Many>,
    /// The driver's calls while many were started and removed at once.
    crowded: Calls,
    same: Vec<Rates>,
    across: Vec<Rates>,
}

/// Starts engines and measures.
///
/// # Errors
/// When a program is missing or something fails that has to work.
///
/// # Panics
/// When no host can be made: root is needed.
pub fn run(extent: Extent) -> Result<Findings> {
    eprintln!("starting an engine");
    let node = Node::new();
    Engine::set(&node)?;
    let _agent = Agent::start(&node);
    let engine = Engine::start(&node);
    let about = engine.about()?;
    for who in [Who::Bridge, Who::Ours] {
        engine.create(who, who.range(), "")?;
    }
    starts::warm(&engine)?;
    let before = Calls::read(&node)?;
    let starts = starts::run(&engine, extent.rounds)?;
    let alone = Calls::read(&node)?;
    let many = many::run(&engine, extent.many_rounds(), extent.containers)?;
    let crowded = Calls::read(&node)?;
    let same = traffic::on_one_node(&engine, extent.traffic_rounds(), extent.seconds)?;
    drop(engine);
    let across = across::run(extent.traffic_rounds(), extent.seconds)?;
    Ok(Findings {
        engine: about,
        starts,
        crowded: crowded.since(&alone),
        alone: alone.since(&before),
        many,
        same,
        across,
    })
}
