//! `nuage`: what this host has from an SDN controller.

use super::{Context, Status};
use crate::cli::{NuageCommand, NuageServeArgs, NuageStateArgs};
use anyhow::Result;
use fairlead_store::{BootId, Store, VspLease, VspNetwork, VspState};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn run(context: &Context, command: NuageCommand) -> Result<Status> {
    match command {
        NuageCommand::Ls(arguments) => {
            let leases = store(context, &arguments)?.view().vsp_leases()?;
            context.output.show(&leases, |leases| {
                let rows = leases.iter().map(row).collect();
                let header = [
                    "ADDRESS",
                    "PORT",
                    "MAC",
                    "SUBNET",
                    "DOMAIN",
                    "CONTAINER",
                    "STATE",
                ];
                context.output.table(&header, rows)
            })?;
        }
        NuageCommand::Networks(arguments) => {
            let networks = store(context, &arguments)?.view().vsp_networks()?;
            context.output.show(&networks, |networks| {
                let rows = networks.iter().map(network_row).collect();
                let header = [
                    "NETWORK",
                    "RANGE",
                    "GATEWAY",
                    "SUBNET",
                    "ZONE",
                    "DOMAIN",
                    "ORGANIZATION",
                ];
                context.output.table(&header, rows)
            })?;
        }
        NuageCommand::Serve(arguments) => return Ok(serve(context, arguments)),
    }
    Ok(Status::Done)
}

fn store(context: &Context, arguments: &NuageStateArgs) -> Result<Store> {
    Ok(match &arguments.statedir {
        Some(folder) => Store::open_file(&folder.join(Store::FILE), &BootId::current()?)?,
        None => Store::open(&context.root)?,
    })
}

fn row(lease: &VspLease) -> Vec<String> {
    let tenant = lease.tenant.as_ref();
    let state = match (lease.state, tenant) {
        (VspState::Asked, _) => "asked",
        (VspState::Kept, _) => "kept",
        (VspState::Leaving, _) => "leaving",
        (VspState::Held, Some(tenant)) if tenant.is_done() => "up",
        (VspState::Held, Some(tenant)) if tenant.is_plugged => "up, not in its groups",
        (VspState::Held, _) => "held",
    };
    let address = lease.address.map(|address| address.to_string());
    vec![
        address.unwrap_or_else(|| "-".to_owned()),
        lease.port.to_string(),
        lease.mac.to_string(),
        lease.target.subnet.clone(),
        lease.target.domain.clone(),
        tenant.map_or_else(|| "-".to_owned(), |tenant| tenant.name.clone()),
        state.to_owned(),
    ]
}

fn network_row(network: &VspNetwork) -> Vec<String> {
    let short = network.id.get(..12).unwrap_or(&network.id);
    let gateway = network.gateway.map(|gateway| gateway.to_string());
    let target = network.target.clone();
    vec![
        network.name.clone().unwrap_or_else(|| short.to_owned()),
        network.net.to_string(),
        gateway.unwrap_or_else(|| "-".to_owned()),
        target.subnet,
        target.zone,
        target.domain,
        target.organization,
    ]
}

fn serve(context: &Context, arguments: NuageServeArgs) -> Status {
    let mut own: Vec<OsString> = vec!["-config".into(), arguments.config.into()];
    let flags = [("-audit", arguments.audit), ("-check", arguments.check)];
    own.extend(
        flags
            .into_iter()
            .filter(|(_, set)| *set)
            .map(|(flag, _)| flag.into()),
    );
    let program = Path::new(fairlead_nuage::PROGRAM);
    match fairlead_nuage::run(program, &own, &context.root) == ExitCode::SUCCESS {
        true => Status::Done,
        false => Status::Failed,
    }
}
