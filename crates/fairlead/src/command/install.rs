//! `install`: the links by which the binary answers to its other names.

use super::{Context, Status};
use crate::cli::InstallArgs;
use anyhow::{Context as _, Result, bail};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The names of command lines.
const COMMANDS: [&str; 8] = [
    "om",
    "nodemgr",
    "eru-barrel",
    "eru-barrel-cni",
    "barrel-cni",
    "docker-cni",
    crate::oci::RUNTIME,
    fairlead_nuage::PROGRAM,
];

pub(crate) fn run(context: &Context, arguments: &InstallArgs) -> Result<Status> {
    let binary = std::env::current_exe().context("cannot find out where this program is")?;
    let mut made: Vec<PathBuf> = Vec::new();
    let mut link = |directory: &Path, names: &[&str]| -> Result<()> {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make directory {}", directory.display()))?;
        for name in names {
            let path = directory.join(name);
            if place(&binary, &path, arguments.force)? {
                made.push(path);
            }
        }
        Ok(())
    };
    if let Some(directory) = &arguments.links {
        link(directory, &COMMANDS)?;
    }
    if let Some(directory) = &arguments.plugins {
        let directory = match directory.as_os_str().is_empty() {
            true => context.node()?.config().cni_plugins()?,
            false => directory.clone(),
        };
        link(&directory, &fairlead_plugins::NAMES)?;
    }
    if arguments.links.is_none() && arguments.plugins.is_none() {
        bail!(
            "nothing to install: --links DIR is for om, nodemgr, eru-barrel-cni and the like, --plugins DIR for the CNI plugins"
        );
    }
    context.output.show(&made, |made| {
        made.iter()
            .map(|path| format!("{} -> {}\n", path.display(), binary.display()))
            .collect()
    })?;
    Ok(Status::Done)
}

/// Makes one link; returns whether it was missing. What is there and is not our link is
/// replaced only when that is asked for.
fn place(binary: &Path, path: &Path, force: bool) -> Result<bool> {
    if let Ok(present) = std::fs::read_link(path)
        && present == binary
    {
        return Ok(false);
    }
    if path.symlink_metadata().is_ok() {
        if !force {
            bail!(
                "{} is there already and is not our link; --force replaces it",
                path.display()
            );
        }
        std::fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    symlink(binary, path).with_context(|| format!("cannot make link {}", path.display()))?;
    Ok(true)
}
