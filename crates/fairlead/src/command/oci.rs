//! `oci`, and `cni --command`, where an option like `--root` stands before them; without one
//! they are recognised before the command line is looked at.

use super::{Context, Status};
use crate::cli::OciArgs;
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) fn runtime(context: &Context, arguments: OciArgs) -> Status {
    let mut line = vec!["oci".into(), "--config".into(), arguments.config.into()];
    line.push("--".into());
    line.extend(arguments.arguments);
    status(context, &line)
}

pub(crate) fn hook(
    context: &Context,
    command: Option<String>,
    config: Option<PathBuf>,
) -> Result<Status> {
    let command = command.unwrap_or_default();
    if let Err(error) = command.parse::<fairlead_oci::hook::HookCommand>() {
        bail!("{error}");
    }
    let mut line: Vec<OsString> = vec!["cni".into(), "--command".into(), command.into()];
    if let Some(config) = config {
        line.extend(["--config".into(), config.into()]);
    }
    Ok(status(context, &line))
}

fn status(context: &Context, line: &[OsString]) -> Status {
    let program = std::env::args_os().next().unwrap_or_default();
    match crate::oci::below(&context.root, &program, line) {
        Some(status) if status == ExitCode::SUCCESS => Status::Done,
        _ => Status::Failed,
    }
}
