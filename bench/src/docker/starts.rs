//! How long `docker run --rm` takes, as a person types it.

use super::engine::{Engine, Who};
use crate::turns::turns;
use anyhow::Result;
use std::time::Instant;

const ALL: [Who; 3] = [Who::None, Who::Bridge, Who::Ours];

/// The times of one network, in milliseconds, in the order of the rounds.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) who: Who,
    pub(super) ms: Vec<f64>,
}

/// What is loaded once is loaded before it counts.
pub(super) fn warm(engine: &Engine<'_>) -> Result<()> {
    for who in ALL.into_iter().chain(ALL) {
        once(engine, who)?;
    }
    Ok(())
}

/// Starts a container that does nothing on each of the networks, in turns.
pub(super) fn run(engine: &Engine<'_>, rounds: u32) -> Result<Vec<Start>> {
    let mut starts = ALL.map(|who| Start {
        who,
        ms: Vec::new(),
    });
    for round in 0..rounds {
        if round % 10 == 0 {
            eprintln!("starts: round {round} of {rounds}");
        }
        for at in turns([0, 1, 2], round) {
            let ms = once(engine, ALL[at])?;
            starts[at].ms.push(ms);
        }
    }
    Ok(starts.into())
}

fn once(engine: &Engine<'_>, who: Who) -> Result<f64> {
    let line = format!("run --rm --network {} busybox true", who.network());
    let begun = Instant::now();
    engine.docker(&line)?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}
