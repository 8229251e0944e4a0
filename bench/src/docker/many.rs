//! Many containers at once.

use super::engine::{Engine, Who};
use crate::turns::turns;
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// So many commands run at a time.
pub(super) const WORKERS: usize = 16;

/// The times of one network, in seconds, in the order of the rounds.
#[derive(Debug)]
pub(super) struct Many {
    pub(super) who: Who,
    pub(super) start: Vec<f64>,
    pub(super) remove: Vec<f64>,
    /// Addresses that were still taken afterwards, all rounds together.
    pub(super) left: usize,
}

/// Starts and removes many containers on each of the networks, in turns.
pub(super) fn run(engine: &Engine<'_>, rounds: u32, containers: u32) -> Result<Vec<Many>> {
    let mut all = [Who::Bridge, Who::Ours].map(|who| Many {
        who,
        start: Vec::new(),
        remove: Vec::new(),
        left: 0,
    });
    for round in 0..rounds {
        for at in turns([0, 1], round) {
            let many = &mut all[at];
            eprintln!("many on {}: round {round} of {rounds}", many.who);
            let network = many.who.network();
            let start =
                |at| format!("run -d --name box{at} --network {network} busybox sleep 100000");
            let remove = |at| format!("rm -f box{at}");
            many.start.push(at_once(engine, containers, start)?);
            many.remove.push(at_once(engine, containers, remove)?);
            many.left += taken(engine)?;
        }
    }
    Ok(all.into())
}

/// How many addresses of ours are taken.
fn taken(engine: &Engine<'_>) -> Result<usize> {
    let listed = engine.sh("fairlead ip ls -o json")?;
    let listed: serde_json::Value = serde_json::from_str(&listed).context("read a list")?;
    listed.as_array().map(Vec::len).context("a list is wanted")
}

/// Types a line for each container, many at a time; how long all of it took, in seconds.
fn at_once(
    engine: &Engine<'_>,
    containers: u32,
    line: impl Fn(usize) -> String + Sync,
) -> Result<f64> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= containers as usize {
                return Ok(());
            }
            engine.docker(&line(at))?;
        }
    };
    let begun = Instant::now();
    let ended: Vec<Result<()>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined
            .map(|ended| ended.unwrap_or_else(|_| Err(anyhow::anyhow!("a thread has failed"))))
            .collect()
    });
    ended.into_iter().collect::<Result<()>>()?;
    Ok(begun.elapsed().as_secs_f64())
}
