//! `agent`: the daemon, in the foreground.

use super::{Context, Status};
use crate::cli::AgentArgs;
use anyhow::Result;
use fairlead_agent::{Options, run as run_agent};
use std::time::Duration;

pub(crate) fn run(context: &Context, arguments: AgentArgs) -> Result<Status> {
    let options = Options {
        metrics: arguments.metrics,
        interval: Duration::from_secs(arguments.interval),
        log: arguments.log,
        remount_proc_sys: arguments.remount_proc_sys,
    };
    run_agent(&context.root, &options)?;
    Ok(Status::Done)
}
