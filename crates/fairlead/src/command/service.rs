//! `svc`: services of this node.

use super::config::{list_keywords, removal, show_value};
use super::{Context, Status};
use crate::cli::{CreateArgs, RunArgs, ServiceCommand};
use crate::output::note;
use anyhow::{Context as _, Result, bail};
use fairlead_attach::Node;
use fairlead_cluster::Cluster;
use fairlead_config::{Change, ConfigError, KeyPath, Problem, service_keywords};
use fairlead_services::{self as services, Done, ServiceError, ServiceStatus, Services};
use fairlead_types::{ObjectName, ResourceName};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

pub(crate) fn run(context: &Context, command: ServiceCommand) -> Result<Status> {
    match command {
        ServiceCommand::Create(arguments) => create(context, &arguments),
        ServiceCommand::Edit { service } => edit(context, &service),
        ServiceCommand::Set(arguments) => {
            let changes = sets(&arguments.kw)?;
            change(context, &arguments.service, &changes)
        }
        ServiceCommand::Unset { service, keys } => {
            let changes: Result<Vec<Change>> = keys.kw.iter().map(|key| removal(key)).collect();
            change(context, &service, &changes?)
        }
        ServiceCommand::Get { service, key } if !key.eval => get(context, &service, &key.kw),
        ServiceCommand::Get { service, key } => eval(context, &service, &key.kw, None),
        ServiceCommand::Eval { service, key } => {
            eval(context, &service, &key.kw, key.impersonate.as_deref())
        }
        ServiceCommand::Show { service } => {
            let text = services::text(&context.root, &services::service_name(&service)?)?;
            context.output.show(&text, String::clone)?;
            Ok(Status::Done)
        }
        ServiceCommand::Ls => list(context),
        ServiceCommand::Status { service } => status(context, service.as_deref()),
        ServiceCommand::Start(arguments) => {
            act(context, &arguments, |s, object, rid| s.start(object, rid))
        }
        ServiceCommand::Stop(arguments) => {
            act(context, &arguments, |s, object, rid| s.stop(object, rid))
        }
        ServiceCommand::Restart(arguments) => {
            act(context, &arguments, |s, object, rid| s.restart(object, rid))
        }
        ServiceCommand::Rm { service, force } => {
            let object = services::service_name(&service)?;
            working(context, |services| services.remove(&object, force))
        }
        ServiceCommand::Keywords => list_keywords(context, service_keywords()),
    }
}

fn sets(kw: &[String]) -> Result<Vec<Change>> {
    let set = |text: &String| Ok(Change::Set(text.parse()?));
    kw.iter().map(set).collect()
}

fn create(context: &Context, arguments: &CreateArgs) -> Result<Status> {
    let object = services::service_name(&arguments.service)?;
    let text = match arguments.config.as_deref() {
        None => String::new(),
        Some(file) if file == Path::new("-") => {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_to_string(&mut text);
            read.context("cannot read standard input")?;
            text
        }
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?,
    };
    let node = context.node()?;
    let changes = sets(&arguments.kw)?;
    let written = services::write(node.config(), &object, &text, &changes, None);
    written_or_refused(written)
}

/// Has a person change the text, as often as it takes until it can be.
fn edit(context: &Context, service: &str) -> Result<Status> {
    let object = services::service_name(service)?;
    let before = services::text(&context.root, &object)?;
    let node = context.node()?;
    let mut file = tempfile::Builder::new().suffix(".conf").tempfile()?;
    std::io::Write::write_all(&mut file, before.as_bytes())?;
    open_editor(file.path())?;
    let after = std::fs::read_to_string(file.path())?;
    if after == before {
        note("fairlead: nothing is changed");
        return Ok(Status::Done);
    }
    let written = services::write(node.config(), &object, &after, &[], Some(&before));
    let status = written_or_refused(written)?;
    if status != Status::Done {
        let (_, kept) = file.keep()?;
        note(format_args!(
            "fairlead: what was edited is {}",
            kept.display()
        ));
    }
    Ok(status)
}

/// The editor is what its user chose; it gets the file as its last argument, from no shell.
fn open_editor(file: &Path) -> Result<()> {
    let chosen = ["VISUAL", "EDITOR"].iter().find_map(std::env::var_os);
    let Some(chosen) = chosen.filter(|editor| !editor.is_empty()) else {
        bail!("neither VISUAL nor EDITOR says which editor to use; use 'fairlead svc set'");
    };
    let chosen = chosen.to_string_lossy().into_owned();
    let mut words = chosen.split_whitespace();
    let program = words.next().unwrap_or_default();
    let ended = std::process::Command::new(program)
        .args(words)
        .arg(file)
        .status();
    let ended = ended.with_context(|| format!("cannot start the editor {program}"))?;
    if !ended.success() {
        bail!("the editor {program} failed ({ended}); nothing is changed");
    }
    Ok(())
}

fn change(context: &Context, service: &str, changes: &[Change]) -> Result<Status> {
    let object = services::service_name(service)?;
    let node = context.node()?;
    written_or_refused(services::change(node.config(), &object, changes))
}

fn written_or_refused(written: Result<Vec<Problem>, ServiceError>) -> Result<Status> {
    match written {
        Ok(warnings) => {
            for warning in warnings {
                note(format_args!("fairlead: warning: {warning}"));
            }
            Ok(Status::Done)
        }
        Err(ServiceError::Config {
            object,
            source: ConfigError::Refused { problems, .. },
        }) => {
            for problem in problems.iter().filter(|problem| !problem.is_warning()) {
                note(format_args!("fairlead: {object}: refused: {problem}"));
            }
            Ok(Status::Failed)
        }
        Err(error) => Err(error.into()),
    }
}

fn get(context: &Context, service: &str, kw: &str) -> Result<Status> {
    let object = services::service_name(service)?;
    let node = context.node()?;
    let config = services::load(node.config(), &object)?;
    let path: KeyPath = kw.parse()?;
    let document = config.service_document();
    let value = document.and_then(|d| d.get(&path.section, &path.key()));
    show_value(context, value.map(str::to_owned))
}

fn eval(context: &Context, service: &str, kw: &str, node_name: Option<&str>) -> Result<Status> {
    let object = services::service_name(service)?;
    let node = context.node()?;
    let config = services::load(node.config(), &object)?;
    let path: KeyPath = kw.parse()?;
    let value = match node_name {
        None => config.eval(&path)?,
        Some(name) => config.eval_for(&path, name)?,
    };
    show_value(context, value.map(|value| value.to_string()))
}

/// Whether this node has an agent, which answers for names. One that is stopped for a moment
/// counts: its lock stays, and a container would be made otherwise for the time it is away.
fn has_agent(context: &Context) -> bool {
    fairlead_control::lock(&context.root).exists()
}

fn act(
    context: &Context,
    arguments: &RunArgs,
    act: impl FnOnce(&Services<'_>, &ObjectName, &[ResourceName]) -> Result<Vec<Done>, ServiceError>,
) -> Result<Status> {
    let object = services::service_name(&arguments.service)?;
    working(context, |services| act(services, &object, &arguments.rid))
}

/// Does something and tells each step when it is done: a person sees where it is.
fn working(
    context: &Context,
    work: impl FnOnce(&Services<'_>) -> Result<Vec<Done>, ServiceError>,
) -> Result<Status> {
    let node = context.node()?;
    let tell = |done: &Done| {
        if context.output.is_table() {
            // Nobody to tell is no reason to fail.
            let _ = crate::output::write(&line(done));
        }
    };
    let services = Services::new(&node, has_agent(context), &tell)?;
    let done = work(&services)?;
    context.output.show(&done, |done| match done.as_slice() {
        [] => "nothing to do\n".to_owned(),
        _ => String::new(),
    })?;
    Ok(Status::Done)
}

fn line(done: &Done) -> String {
    match &done.resource {
        Some(resource) => format!("{}: {resource}: {}\n", done.object, done.what),
        None => format!("{}: {}\n", done.object, done.what),
    }
}

fn status(context: &Context, service: Option<&str>) -> Result<Status> {
    let node = context.node()?;
    let silent = |_: &Done| {};
    let services = Services::new(&node, has_agent(context), &silent)?;
    let objects = match service {
        Some(service) => vec![services::service_name(service)?],
        None => services::list(&context.root)?,
    };
    let mut all: Vec<ServiceStatus> = Vec::new();
    for object in &objects {
        match services.status(object) {
            Ok(status) => all.push(status),
            // One file that cannot be read does not hide the others.
            Err(error) if service.is_none() => note(format_args!("fairlead: {error}")),
            Err(error) => return Err(error.into()),
        }
    }
    let rows = |all: &Vec<ServiceStatus>| {
        let mut rows = Vec::new();
        for status in all {
            let avail = status.avail.as_str().to_owned();
            let started = if status.started { "started" } else { "" };
            rows.push(vec![
                status.object.to_string(),
                avail,
                started.to_owned(),
                String::new(),
            ]);
            for resource in &status.resources {
                rows.push(vec![
                    format!("  {}", resource.resource),
                    resource.status.as_str().to_owned(),
                    resource.label.clone(),
                    resource.log.join("; "),
                ]);
            }
        }
        context
            .output
            .table(&["SERVICE", "STATUS", "LABEL", "LOG"], rows)
    };
    match (service, all.as_slice()) {
        (Some(_), [one]) => context.output.show(one, |_| rows(&all))?,
        _ => context.output.show(&all, rows)?,
    }
    Ok(Status::Done)
}

/// One service and where it has addresses.
#[derive(Default)]
struct Known {
    declared: bool,
    nodes: BTreeSet<String>,
    addresses: BTreeSet<String>,
}

fn list(context: &Context) -> Result<Status> {
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    for object in services::list(&context.root)? {
        all.entry(object.to_string()).or_default().declared = true;
    }
    let node = context.node_by_records()?;
    let cluster = Cluster::open(&context.root)?;
    for (object, name, ip) in addresses(&node, &cluster)? {
        let known = all.entry(object).or_default();
        known.nodes.insert(name);
        known.addresses.insert(ip);
    }
    let rows: Vec<_> = all
        .iter()
        .map(|(object, known)| {
            json!({
                "service": object,
                "declared": known.declared,
                "nodes": known.nodes,
                "addresses": known.addresses,
            })
        })
        .collect();
    context.output.show(&rows, |_| {
        let join = |set: &BTreeSet<String>| match set.is_empty() {
            true => "-".to_owned(),
            false => set.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
        };
        let row = |(object, known): (&String, &Known)| {
            let declared = if known.declared { "yes" } else { "no" };
            vec![
                object.clone(),
                declared.into(),
                join(&known.nodes),
                join(&known.addresses),
            ]
        };
        let header = ["SERVICE", "DECLARED HERE", "NODES", "ADDRESSES"];
        context.output.table(&header, all.iter().map(row).collect())
    })?;
    Ok(Status::Done)
}

/// Service, node and address of everything that is attached for a service.
fn addresses(node: &Node, cluster: &Cluster) -> Result<Vec<(String, String, String)>> {
    let own_name = node.config().node();
    let theirs = cluster.addresses(None)?.value.into_iter();
    let theirs = theirs.filter(|a| a.node != own_name);
    let own = fairlead_agent::own_addresses(node)?;
    Ok(theirs
        .chain(own)
        .filter(|a| services::service_name(&a.object).is_ok())
        .map(|a| (a.object, a.node, a.ip.to_string()))
        .collect())
}
