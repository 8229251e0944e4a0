//! `cni`: what a CNI runtime does, by hand.

use super::{Context, Status};
use crate::cli::{CniArgs, CniCommand, CniListArgs};
use anyhow::{Context as _, Result};
use fairlead_attach::{Node, Sandbox};
use fairlead_cni::conf::{Fault, load_file};
use fairlead_cni::runtime::{AttachmentCache, AttachmentParams, PluginReport};
use fairlead_cni::{CniArgs as PluginArgs, ConfList};
use fairlead_types::{ContainerId, NetworkName};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

pub(crate) fn run(context: &Context, command: CniCommand) -> Result<Status> {
    let node = match &command {
        CniCommand::Del(_) | CniCommand::Gc(_) => context.node_by_records()?,
        _ => context.node()?,
    };
    let cache = node.cache(None);
    let runtime = node.runtime(&cache);
    match command {
        CniCommand::Add(arguments) => {
            let list = load(&node, &arguments.list)?;
            let result = runtime.add_list(&list, &params(&arguments)?)?;
            let value = result.to_json(list.cni_version);
            context
                .output
                .show(&value, |value| format!("{value:#}\n"))?;
        }
        CniCommand::Del(arguments) => {
            let params = params(&arguments)?;
            match load(&node, &arguments.list) {
                Ok(list) => runtime.del_list(&list, &params)?,
                // The file may be gone by now; the record has what DEL needs.
                Err(error) => {
                    let network = NetworkName::new(&arguments.list.config);
                    let owner = network.map(|network| params.owner(&network));
                    match owner {
                        Ok(owner) if cache.load(&owner).is_ok_and(|found| found.is_some()) => {
                            runtime.del_recorded(&owner)?;
                        }
                        _ => return Err(error),
                    }
                }
            }
        }
        CniCommand::Check(arguments) => {
            let list = load(&node, &arguments.list)?;
            runtime.check_list(&list, &params(&arguments)?)?;
        }
        CniCommand::Gc(arguments) => {
            let list = load(&node, &arguments)?;
            let valid = node.valid_attachments(&list.name)?;
            let gone = runtime.gc_list(&list, &valid)?;
            context.output.show(&gone, |gone| {
                gone.iter()
                    .map(|owner| format!("removed {owner}\n"))
                    .collect()
            })?;
        }
        CniCommand::Status(arguments) => runtime.status_list(&load(&node, &arguments)?)?,
        CniCommand::Validate(arguments) => return validate(context, &node, &arguments),
    }
    Ok(Status::Done)
}

/// The configuration that a file or a network's name gives.
fn load(node: &Node, arguments: &CniListArgs) -> Result<ConfList> {
    let text = arguments.config.as_str();
    if text.contains('/') || Path::new(text).is_file() {
        return Ok(load_file(Path::new(text))?);
    }
    let name = NetworkName::new(text)
        .with_context(|| format!("{text:?} is neither a file nor the name of a network"))?;
    Ok(fairlead_networks::find(node.config(), &name)?)
}

fn params(arguments: &CniArgs) -> Result<AttachmentParams> {
    let path = match arguments.netns.contains('/') {
        true => Sandbox::Path(PathBuf::from(&arguments.netns)).path(),
        false => Path::new("/run/netns").join(&arguments.netns),
    };
    let container: ContainerId = match &arguments.id {
        Some(id) => id.clone(),
        None => Sandbox::Path(path.clone())
            .default_id()
            .context("--id is wanted")?,
    };
    let capabilities: Map<String, Value> = serde_json::from_str(&arguments.capabilities)
        .with_context(|| {
            format!(
                "--capabilities {:?} is no JSON object",
                arguments.capabilities
            )
        })?;
    let mut pairs = arguments.args.split(';').filter(|pair| !pair.is_empty());
    if let Some(pair) = pairs.find(|pair| !pair.contains('=')) {
        anyhow::bail!("--args: {pair:?} is no KEY=VALUE");
    }
    let args = PluginArgs::parse(&arguments.args).pairs().to_vec();
    let params = AttachmentParams::new(container, arguments.ifname.clone(), Some(path));
    Ok(AttachmentParams {
        args,
        capability_args: capabilities,
        ..params
    })
}

#[derive(Serialize)]
struct Validation {
    network: String,
    faults: Vec<String>,
    plugins: Vec<Value>,
    problems: Vec<String>,
}

fn validate(context: &Context, node: &Node, arguments: &CniListArgs) -> Result<Status> {
    let list = load(node, arguments)?;
    let faults: Vec<String> = list.validate().iter().map(Fault::to_string).collect();
    let cache = node.cache(None);
    let (plugins, problems) = match node.runtime(&cache).validate_list(&list) {
        Ok(reports) => (reports, Vec::new()),
        Err(error) => (Vec::new(), vec![error.to_string()]),
    };
    let fine = faults.is_empty() && problems.is_empty();
    let report = Validation {
        network: list.name.to_string(),
        faults,
        plugins: plugins.iter().map(plugin).collect(),
        problems,
    };
    context
        .output
        .show(&report, |report| text(report, &plugins))?;
    Ok(if fine { Status::Done } else { Status::Failed })
}

fn plugin(report: &PluginReport) -> Value {
    json!({"type": report.plugin, "program": report.program, "versions": report.versions})
}

fn text(report: &Validation, plugins: &[PluginReport]) -> String {
    let mut text = format!("network {}\n", report.network);
    for plugin in plugins {
        let place = plugin.program.as_ref();
        let place = place.map_or_else(|| "built in".into(), |path| path.display().to_string());
        text += &format!(
            "plugin {}: {place}, versions {}\n",
            plugin.plugin,
            plugin.versions.join(" ")
        );
    }
    for problem in report.faults.iter().chain(&report.problems) {
        text += &format!("wrong: {problem}\n");
    }
    if report.faults.is_empty() && report.problems.is_empty() {
        text += "nothing is wrong with it\n";
    }
    text
}
