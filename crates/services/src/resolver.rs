//! Whom containers ask for names, and what they may leave out of them (specification 9.3).

use crate::engine::{ContainerSpec, Kind, Network, Resolver};
use crate::service::IpResource;
use crate::{Service, ServiceError};
use fairlead_config::Config;
use fairlead_networks::{bridge_address, local_ranges};
use fairlead_types::{NetworkName, ObjectName};
use std::net::IpAddr;

/// Names with fewer dots are looked up in the search domains first; and by TCP, so that a
/// server that is down is noticed at once.
const OPTIONS: [&str; 3] = ["ndots:2", "edns0", "use-vc"];

/// What a container of a service is told: nothing where it has the node's own namespace or
/// shares another's, or where nobody answers. The agent is asked at the gateways of the
/// container's networks, one hop away, then the servers of `cluster.dns`.
pub(crate) fn of(
    config: &Config,
    service: &Service,
    spec: &ContainerSpec,
    agent: bool,
) -> Result<Resolver, ServiceError> {
    // A program reads the node's own file.
    let is_own = spec.kind != Kind::Process;
    if !is_own || matches!(spec.network, Network::Host | Network::Of(_)) {
        return Ok(Resolver::default());
    }
    let wrong = |source| ServiceError::Config {
        object: service.name.clone(),
        source,
    };
    let declared = config.dns().map_err(wrong)?;
    if declared.is_empty() && !agent {
        return Ok(Resolver::default());
    }
    let own = |ip: &&IpResource| ip.container.as_ref() == Some(&spec.resource);
    let mut servers: Vec<IpAddr> = Vec::new();
    for ip in service.ips.iter().filter(own) {
        servers.extend(gateways(config, &ip.network));
    }
    servers.extend(declared);
    let mut unique = Vec::new();
    servers.retain(|server| {
        let is_new = !unique.contains(server);
        unique.push(*server);
        is_new
    });
    if servers.is_empty() {
        return Ok(Resolver::default());
    }
    let cluster = config.cluster_name().map_err(wrong)?;
    Ok(Resolver {
        servers,
        search: search(&service.name, &cluster),
        options: OPTIONS.map(str::to_owned).to_vec(),
    })
}

/// The addresses of a network's bridge on this node; none for a network without a bridge
/// of ours.
pub(crate) fn gateways(config: &Config, network: &NetworkName) -> Vec<IpAddr> {
    let (networks, _) = config.networks();
    let found = networks
        .iter()
        .find(|n| n.name == *network && n.bridge.is_some());
    let ranges = found.map(|network| local_ranges(network, config.node()));
    let ranges = ranges.unwrap_or_default().into_iter();
    ranges.map(|range| bridge_address(range).addr()).collect()
}

fn search(object: &ObjectName, cluster: &str) -> Vec<String> {
    let (namespace, _, name) = object.parts().unwrap_or(("root", "svc", object.as_str()));
    vec![
        format!("{name}.{namespace}.svc.{cluster}"),
        format!("{namespace}.svc.{cluster}"),
        format!("svc.{cluster}"),
        cluster.to_owned(),
    ]
}
