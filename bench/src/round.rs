//! The measurement: everyone once, in turns, as often as asked for.

use crate::inside::Place;
use crate::prepare::{Bed, Programs};
use crate::scenario::{Scenario, Who, all};
use anyhow::{Context, Result};

/// How many namespaces take turns to be the container.
const CONTAINERS: usize = 8;

/// What came out.
pub struct Measured {
    /// The scenarios, in the order of the tables.
    pub beds: Vec<Bed>,
    /// What could not be measured, and why.
    pub left_out: Vec<(Scenario, String)>,
}

/// Prepares every scenario and measures each of them `repeats` times.
///
/// # Errors
/// When the floor or the reference cannot be measured, or anything fails that worked
/// in its trial. What of Fairlead does not work is left out and named.
pub fn run(place: &Place, programs: &Programs, repeats: u32) -> Result<Measured> {
    let mut beds = Vec::new();
    let mut left_out = Vec::new();
    for scenario in all() {
        eprintln!("prepare {scenario}");
        match Bed::new(place, programs, scenario) {
            Ok(bed) => beds.push(bed),
            Err(error) if scenario.who.is_ours() => {
                eprintln!("left out {scenario}: {error:#}");
                left_out.push((scenario, format!("{error:#}")));
            }
            Err(error) => return Err(error.context(scenario.to_string())),
        }
    }
    let containers = (0..CONTAINERS).map(|_| place.namespace("container"));
    let containers = containers.collect::<Result<Vec<_>>>()?;
    for repeat in 0..repeats {
        if repeat % 5 == 0 {
            eprintln!("round {repeat} of {repeats}");
        }
        let container = &containers[repeat as usize % CONTAINERS];
        for at in order(beds.len(), repeat as usize) {
            let bed = &mut beds[at];
            bed.measure(container)
                .with_context(|| bed.scenario.to_string())?;
        }
    }
    Ok(Measured { beds, left_out })
}

/// The order of a round: it starts with another one each time, and goes back every
/// second time, so that nobody always comes after the same one.
fn order(count: usize, round: usize) -> Vec<usize> {
    // A step that has no divisor in common with most counts spreads the starts.
    let start = if count == 0 { 0 } else { round * 7 % count };
    let mut order: Vec<usize> = (0..count).map(|at| (start + at) % count).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

impl Measured {
    /// The scenario's measurements, if it was measured.
    #[must_use]
    pub fn bed(&self, scenario: Scenario) -> Option<&Bed> {
        self.beds.iter().find(|bed| bed.scenario == scenario)
    }

    /// The floor to compare a scenario with: as full as it is, or, where fullness
    /// means nothing to the floor, the empty one.
    #[must_use]
    pub fn floor_of(&self, scenario: Scenario) -> Option<&Bed> {
        let floor = Scenario {
            who: Who::Floor,
            ..scenario
        };
        self.bed(floor)
            .or_else(|| self.bed(Scenario { taken: 0, ..floor }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_everyone_once_and_rounds_differ() {
        for round in 0..10 {
            let mut order = order(5, round);
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4]);
        }
        assert_ne!(order(5, 0), order(5, 1));
        assert_ne!(order(5, 0), order(5, 2));
        assert!(order(0, 3).is_empty());
    }
}
