//! What must be reached, and whether it was.

use crate::prepare::Bed;
use crate::round::Measured;
use crate::scenario::{Case, Scenario, Who};
use crate::stats::Summary;
use std::fmt;

/// ADD takes at most so many times the floor; with masquerade and a port, the second.
const ADD_TO_FLOOR: (f64, f64) = (2.0, 3.0);
/// The reference takes at least so many times as long.
const FASTER: f64 = 5.0;
/// DEL takes at most so many times the floor.
const DEL_TO_FLOOR: f64 = 1.2;
/// With ten thousand taken it takes at most so many times the empty case.
const FULL_TO_EMPTY: f64 = 1.2;
const FULL: u32 = 10_000;
/// The most memory of one call, in MiB.
const MEMORY: f64 = 20.0;

/// A goal and what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// Whose.
    pub scenario: Scenario,
    /// What must be, in words.
    pub what: &'static str,
    /// How much of it was measured.
    pub limit: Limit,
}

/// What was measured, and its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// What was measured.
    pub value: f64,
    /// The limit.
    pub limit: f64,
    /// Whether the limit is the least (else the most).
    pub at_least: bool,
}

impl Limit {
    /// What was measured, and its limit from above, or from below with `at_least`.
    #[must_use]
    pub const fn new(value: f64, limit: f64, at_least: bool) -> Self {
        Self {
            value,
            limit,
            at_least,
        }
    }

    /// Whether it was kept.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        if self.at_least {
            self.value >= self.limit
        } else {
            self.value <= self.limit
        }
    }
}

/// As three cells of a table.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.at_least { "at least" } else { "at most" };
        let reached = if self.is_reached() {
            "reached"
        } else {
            "**missed**"
        };
        let Self { value, limit, .. } = self;
        write!(f, "{value:.2} | {sign} {limit} | {reached}")
    }
}

/// The median of one of the two commands.
fn median(bed: Option<&Bed>, add: bool) -> Option<f64> {
    let bed = bed?;
    Summary::of(if add { &bed.add } else { &bed.del }).map(|summary| summary.median)
}

/// How many times as long one took as another; none where one was not measured.
#[must_use]
pub fn ratio(one: Option<&Bed>, other: Option<&Bed>, add: bool) -> Option<f64> {
    Some(median(one, add)? / median(other, add)?)
}

/// Every goal of what was measured.
#[must_use]
pub fn judge(measured: &Measured) -> Vec<Goal> {
    let mut goals = Vec::new();
    for bed in measured
        .beds
        .iter()
        .filter(|bed| bed.scenario.who.is_ours())
    {
        goals.extend(of_scenario(measured, bed));
    }
    goals
}

fn of_scenario(measured: &Measured, bed: &Bed) -> Vec<Goal> {
    let scenario = bed.scenario;
    let goal = |what, limit, at_least, value: Option<f64>| {
        Some(Goal {
            scenario,
            what,
            limit: Limit::new(value?, limit, at_least),
        })
    };
    let floor = measured.floor_of(scenario);
    let reference = measured.bed(Scenario {
        who: Who::Reference,
        ..scenario
    });
    let empty = measured.bed(Scenario {
        taken: 0,
        ..scenario
    });
    let add = if scenario.case == Case::Port {
        ADD_TO_FLOOR.1
    } else {
        ADD_TO_FLOOR.0
    };
    let memory = bed
        .peak
        .and_then(|kib| u32::try_from(kib).ok())
        .map(|kib| f64::from(kib) / 1024.0);
    let mut goals = match scenario.taken {
        0 => vec![
            goal(
                "ADD, times the floor",
                add,
                false,
                ratio(Some(bed), floor, true),
            ),
            goal(
                "ADD, times faster than the reference",
                FASTER,
                true,
                ratio(reference, Some(bed), true),
            ),
            goal(
                "DEL, times the floor",
                DEL_TO_FLOOR,
                false,
                ratio(Some(bed), floor, false),
            ),
            goal("peak of memory, MiB", MEMORY, false, memory),
        ],
        _ => Vec::new(),
    };
    if scenario.taken == FULL {
        let full = |what, add| goal(what, FULL_TO_EMPTY, false, ratio(Some(bed), empty, add));
        goals.extend([
            full("ADD, times the empty case", true),
            full("DEL, times the empty case", false),
        ]);
    }
    goals.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_itself_is_reached_and_what_lies_beyond_is_not() {
        let goal = |value, at_least| Limit::new(value, 2.0, at_least);
        assert!(goal(2.0, false).is_reached() && goal(2.0, true).is_reached());
        assert!(!goal(2.1, false).is_reached() && !goal(1.9, true).is_reached());
        assert!(!goal(f64::NAN, false).is_reached() && !goal(f64::NAN, true).is_reached());
    }
}
