//! Making a node follow what is declared: observe, plan, apply.

mod apply;
mod cni_files;
mod host;
mod observe;
mod path_host;
mod path_step;
mod paths;
mod plan;
mod record;
mod seen;
mod step;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use observe::{Desired, Observed};
pub(crate) use path_step::mode;
pub use path_step::{PathRoute, PathStep, Peer, TunnelLink, VxlanLink};
pub use plan::is_of_ours;
pub use plan::{Plan, plan};
pub use record::Recorded;
pub use seen::{TunnelSeen, tunnels};
pub use step::{Job, Step};

use crate::{Known, NetworkError, files};
use fairlead_config::Config;
use host::Host;
use serde::Serialize;
use std::fs::File;

/// What a setup did, or would do, and what keeps it from doing more.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The steps, in order. Empty when everything was as it is declared.
    pub steps: Vec<Step>,
    /// What is wrong, each with the network it is about and what mends it.
    #[serde(serialize_with = "texts")]
    pub problems: Vec<NetworkError>,
}

impl Report {
    /// Whether every declared network is as it should be.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.problems.iter().all(NetworkError::is_warning)
    }
}

fn texts<S: serde::Serializer>(problems: &[NetworkError], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(problems.iter().map(ToString::to_string))
}

/// Makes bridges, addresses, CNI files, the ways to other nodes and the firewall's ranges
/// follow the declarations, in the network namespace of the calling thread. `known` says
/// where the other nodes are. What is wrong with one network holds up no other. With `dry_run` nothing is changed, and the report
/// has the steps that would be made.
///
/// # Errors
/// What keeps any network from being set up: the present state cannot be read, or
/// another setup cannot be waited for.
pub fn setup(config: &Config, known: &Known, dry_run: bool) -> Result<Report, NetworkError> {
    let lock = match dry_run {
        true => None,
        false => Some(lock(config)?),
    };
    // Another setup may have been waited for, with newer declarations than ours.
    let newest = match &lock {
        Some(_) => Some(Config::load(config.root(), config.node())?),
        None => None,
    };
    let config = newest.as_ref().unwrap_or(config);
    if lock.is_some() {
        record::tidy(config.root())?;
    }
    let (desired, mut problems) = Desired::of(config, known)?;
    let observed = Observed::read(config, &desired)?;
    let plan = plan(&desired, &observed);
    problems.extend(plan.problems);
    let mut report = Report {
        steps: Vec::new(),
        problems,
    };
    if dry_run {
        report.steps = plan.jobs.into_iter().flat_map(|job| job.steps).collect();
        return Ok(report);
    }
    if !plan.jobs.is_empty() {
        let mut host = Host::open(config, observed.recorded)?;
        apply::apply(&mut host, plan.jobs, &mut report);
    }
    drop(lock);
    Ok(report)
}

/// Waits for another setup to end: both would make the same steps.
fn lock(config: &Config) -> Result<File, NetworkError> {
    let dir = config.root().run();
    config
        .root()
        .make_run()
        .map_err(|e| files::error("make directory", &dir, e))?;
    let path = dir.join("networks.lock");
    let file = File::create(&path).map_err(|e| files::error("open", &path, e))?;
    file.lock().map_err(|e| files::error("lock", &path, e))?;
    Ok(file)
}
