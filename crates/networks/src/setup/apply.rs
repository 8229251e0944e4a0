//! Carrying jobs out: each whole, or taken back.

use super::{Job, Report, Step};
use crate::NetworkError;

/// What steps are made on.
pub(super) trait Ground {
    /// Makes one step, whole or not at all.
    fn perform(&mut self, step: &Step) -> Result<(), NetworkError>;
}

/// Carries the jobs out in order; a job that fails is taken back and holds up no other.
pub(super) fn apply(ground: &mut impl Ground, jobs: Vec<Job>, report: &mut Report) {
    let mut ways_failed = false;
    for job in jobs {
        // A tunnel that was to be replaced may be the only one that works.
        if job.cleans_up && ways_failed {
            continue;
        }
        let is_way = job.steps.iter().any(|step| matches!(step, Step::Path(_)));
        match run(ground, &job.steps) {
            Ok(()) => report.steps.extend(job.steps),
            Err(error) => {
                ways_failed |= is_way;
                report.problems.push(error.of(job.network.as_deref()));
            }
        }
    }
}

fn run(ground: &mut impl Ground, steps: &[Step]) -> Result<(), NetworkError> {
    for (done, step) in steps.iter().enumerate() {
        let Err(error) = ground.perform(step) else {
            continue;
        };
        let inverses = steps[..done].iter().rev().filter_map(Step::inverse);
        let undo: Vec<_> = inverses
            .filter_map(|step| ground.perform(&step).err())
            .collect();
        return Err(match undo.is_empty() {
            true => error,
            false => NetworkError::Undo {
                error: Box::new(error),
                undo,
            },
        });
    }
    Ok(())
}
