//! How long `docker run --rm` takes, as a person types it.

use super::engine::{Engine, Who};
use crate::turns::turns;
use anyhow::Result;
use std::time::Instant;

/// The times under one runtime, in milliseconds, in the order of the rounds.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) who: Who,
    pub(super) ms: Vec<f64>,
}

/// Starts a container that does nothing under each of the runtimes, in turns.
pub(super) fn run(engine: &Engine<'_>, rounds: u32) -> Result<Vec<Start>> {
    // What is loaded once is loaded before it counts.
    for who in Who::ALL.into_iter().chain(Who::ALL) {
        once(engine, who)?;
    }
    let mut starts = Who::ALL.map(|who| Start {
        who,
        ms: Vec::new(),
    });
    for round in 0..rounds {
        if round % 10 == 0 {
            eprintln!("starts: round {round} of {rounds}");
        }
        for at in turns([0, 1, 2, 3, 4, 5], round) {
            let ms = once(engine, Who::ALL[at])?;
            starts[at].ms.push(ms);
        }
    }
    Ok(starts.into())
}

fn once(engine: &Engine<'_>, who: Who) -> Result<f64> {
    let (runtime, network) = (who.runtime(), who.network());
    let line = format!("run --rm --runtime {runtime} --net {network} busybox true");
    let begun = Instant::now();
    engine.docker(&line)?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}
