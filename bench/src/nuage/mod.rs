//! Containers on a controller's network by our drivers and by the plugin that they carry on, in
//! turns. Each has a host of its own, with the same engine, switch and controller in small.

mod host;
mod report;

pub use report::write;

use crate::turns::turns;
use anyhow::{Result, bail};
use host::{Host, Who};
use std::path::PathBuf;
use std::time::Instant;

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Extent {
    /// How often a container is started on each network.
    pub rounds: u32,
    /// How often many are started at once.
    pub bursts: u32,
    /// How many those are.
    pub containers: u32,
    /// The plugin that ours carries on, built; without it only ours is measured.
    pub peer: Option<PathBuf>,
}

/// What was found of one of them.
#[derive(Debug)]
struct Found {
    who: Who,
    /// `docker run --rm`, in milliseconds, in the order of the rounds.
    start: Vec<f64>,
    /// The same on the same host without a network.
    bare: Vec<f64>,
    /// Starting many at once, in seconds.
    many: Vec<f64>,
    /// Removing them.
    remove: Vec<f64>,
    /// What the controller still had a while after, all bursts together.
    left: usize,
    /// What of the program was in memory at the end, in kB.
    memory: u64,
}

/// What was found.
#[derive(Debug)]
pub struct Findings {
    engine: String,
    found: Vec<Found>,
}

/// Starts hosts and measures.
///
/// # Errors
/// When a program is missing or something fails that has to work.
///
/// # Panics
/// When no host can be made: root is needed.
pub fn run(extent: &Extent) -> Result<Findings> {
    let mut all = vec![Who::Ours];
    all.extend(extent.peer.clone().map(Who::Peer));
    let hosts: Vec<Host> = all.iter().map(Host::start).collect::<Result<_>>()?;
    let Some(first) = hosts.first() else {
        bail!("nothing is to be measured");
    };
    let engine = first.about()?;
    let mut found: Vec<Found> = all.into_iter().map(Found::of).collect();
    for host in &hosts {
        once(host, "MyNet")?;
        once(host, "none")?;
    }
    for round in 0..extent.rounds {
        if round % 10 == 0 {
            eprintln!("starts: round {round} of {}", extent.rounds);
        }
        for at in turns([0, 1], round) {
            let (Some(host), Some(found)) = (hosts.get(at), found.get_mut(at)) else {
                continue;
            };
            found.start.push(once(host, "MyNet")?);
            found.bare.push(once(host, "none")?);
        }
    }
    for burst in 0..extent.bursts {
        for at in turns([0, 1], burst) {
            let (Some(host), Some(found)) = (hosts.get(at), found.get_mut(at)) else {
                continue;
            };
            eprintln!("many on {}: burst {burst} of {}", found.who, extent.bursts);
            found.many(host, extent.containers);
        }
    }
    for (host, found) in hosts.iter().zip(&mut found) {
        found.memory = host.memory()?;
    }
    Ok(Findings { engine, found })
}

impl Found {
    fn of(who: Who) -> Self {
        Self {
            who,
            start: Vec::new(),
            bare: Vec::new(),
            many: Vec::new(),
            remove: Vec::new(),
            left: 0,
            memory: 0,
        }
    }

    fn many(&mut self, host: &Host, containers: u32) {
        let lines = |line: &dyn Fn(u32) -> String| (0..containers).map(line).collect::<Vec<_>>();
        let start = lines(&|at| format!("run -d --name box{at} --net MyNet busybox sleep 100000"));
        let remove = lines(&|at| format!("rm -f box{at}"));
        let begun = Instant::now();
        host.at_once(&start);
        self.many.push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        host.at_once(&remove);
        self.remove.push(begun.elapsed().as_secs_f64());
        self.left += host.left();
    }
}

fn once(host: &Host, network: &str) -> Result<f64> {
    let begun = Instant::now();
    host.docker(&format!("run --rm --net {network} busybox true"))?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}
