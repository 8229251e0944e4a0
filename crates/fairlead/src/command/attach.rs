//! `attach`, `detach`, `ls` and `gc`.

use super::{Context, Status};
use crate::cli::{AttachArgs, DetachArgs, DetachTarget, GcArgs, LsArgs};
use crate::output::note;
use anyhow::{Context as _, Result};
use fairlead_attach::{AttachRequest, Attachment, Sandbox, Selector};
use fairlead_types::Naming;

pub(crate) fn attach(context: &Context, arguments: AttachArgs) -> Result<Status> {
    let sandbox = sandbox(arguments.sandbox.netns, arguments.sandbox.pid)
        .context("--netns or --pid is wanted")?;
    let container = match arguments.id {
        Some(id) => id,
        None => sandbox
            .default_id()
            .context("--id is wanted, since the namespace's name is none")?,
    };
    let request = AttachRequest {
        network: arguments.network,
        sandbox,
        container,
        ifname: arguments.ifname,
        ips: arguments.ip,
        mac: arguments.mac,
        publish: arguments.publish.into_iter().map(|spec| spec.0).collect(),
        object: arguments.object,
        resource: arguments.resource,
        naming: Naming {
            hostname: arguments.hostname,
            app: None,
            expose: arguments
                .expose
                .into_iter()
                .flat_map(|list| list.0)
                .collect(),
        },
    };
    let attachment = context.node()?.attach(&request)?;
    context.output.show(&attachment, |attachment| {
        table(context, std::slice::from_ref(attachment))
    })?;
    Ok(Status::Done)
}

pub(crate) fn detach(context: &Context, arguments: DetachArgs) -> Result<Status> {
    let DetachTarget {
        netns,
        pid,
        id,
        object,
    } = arguments.target;
    let selector = Selector {
        network: arguments.network,
        sandbox: sandbox(netns, pid),
        container: id,
        object,
        ifname: arguments.ifname,
    };
    let done = context.node_by_records()?.detach(&selector)?;
    context
        .output
        .show(&done.owners, |owners| match owners.as_slice() {
            [] => "nothing was attached\n".into(),
            owners => owners
                .iter()
                .map(|owner| format!("detached {owner}\n"))
                .collect(),
        })?;
    Ok(Status::Done)
}

pub(crate) fn list(context: &Context, arguments: &LsArgs) -> Result<Status> {
    let node = context.node_by_records()?;
    let attachments = match &arguments.network {
        None => node.attachments()?,
        Some(network) => node.attachments_of(network)?,
    };
    context
        .output
        .show(&attachments, |attachments| table(context, attachments))?;
    Ok(Status::Done)
}

pub(crate) fn gc(context: &Context, arguments: &GcArgs) -> Result<Status> {
    let report = context.node_by_records()?.gc(arguments.dry_run)?;
    let verb = if arguments.dry_run {
        "would remove"
    } else {
        "removed"
    };
    context.output.show(&report, |report| {
        report
            .actions
            .iter()
            .map(|action| format!("{verb} {action}\n"))
            .collect()
    })?;
    if report.actions.is_empty() {
        note("nothing to remove");
    }
    Ok(Status::Done)
}

fn sandbox(netns: Option<std::path::PathBuf>, pid: Option<u32>) -> Option<Sandbox> {
    netns.map(Sandbox::Path).or(pid.map(Sandbox::Pid))
}

fn table(context: &Context, attachments: &[Attachment]) -> String {
    let join = |texts: Vec<String>| {
        if texts.is_empty() {
            "-".into()
        } else {
            texts.join(" ")
        }
    };
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let row = |a: &Attachment| {
        vec![
            a.owner.network.to_string(),
            a.owner.container.to_string(),
            a.owner.ifname.to_string(),
            join(a.addresses.iter().map(ToString::to_string).collect()),
            join(a.ports.iter().map(ToString::to_string).collect()),
            or_dash(a.object.as_ref().map(ToString::to_string)),
            a.state.to_string(),
            or_dash(a.host_interface.as_ref().map(ToString::to_string)),
            or_dash(a.netns.as_ref().map(|path| path.display().to_string())),
        ]
    };
    let header = [
        "NETWORK",
        "CONTAINER",
        "INTERFACE",
        "ADDRESS",
        "PORTS",
        "OBJECT",
        "STATE",
        "HOST LINK",
        "NAMESPACE",
    ];
    context
        .output
        .table(&header, attachments.iter().map(row).collect())
}
