//! Which records an instance yields (specification 9.1), and which the settings do.

use crate::name::Name;
use crate::{Instance, RType, Settings};
use fairlead_types::PortNames;
use std::net::IpAddr;
use std::sync::Arc;

/// How long most records may be kept, in seconds.
pub(crate) const TTL: u32 = 60;
/// How long those of the servers may.
const SERVER_TTL: u32 = 3600;
/// The weight of every service. Nodes have no scores here.
const WEIGHT: u16 = 10;

/// One record in the form in which it goes out.
pub(crate) struct Made<'a> {
    pub(crate) name: &'a Name,
    pub(crate) rtype: RType,
    pub(crate) ttl: u32,
    pub(crate) data: &'a [u8],
}

/// What records are made with.
#[derive(Debug, Clone)]
pub(crate) struct Maker {
    cluster: Name,
    servers: Vec<(Name, Option<IpAddr>)>,
    names: Arc<PortNames>,
}

impl Maker {
    /// `own` are the addresses that this server answers on: those of the zone's only
    /// server where the settings name none, since a zone without is none.
    pub(crate) fn new(settings: &Settings, own: &[IpAddr]) -> Self {
        // A cluster without a usable name has a zone that nobody can ask for by it.
        let cluster = Name::new(&settings.cluster).filter(|name| name.wire().len() > 1);
        let unnamed = || Name::reversed(&["cluster".to_owned()], "invalid");
        let cluster = cluster.unwrap_or_else(unnamed);
        let mut servers = Vec::new();
        for (i, ip) in settings.servers.iter().enumerate() {
            servers.extend(
                cluster
                    .under(&format!("ns{i}"))
                    .map(|name| (name, Some(*ip))),
            );
        }
        if servers.is_empty() {
            let name = cluster.under("dns");
            let own = own.iter().filter(|ip| !ip.is_unspecified());
            servers.extend(own.filter_map(|ip| Some((name.clone()?, Some(*ip)))));
            if servers.is_empty() {
                servers.extend(name.map(|name| (name, None)));
            }
        }
        Self {
            cluster,
            servers,
            names: Arc::clone(&settings.names),
        }
    }

    /// The cluster's zone.
    pub(crate) fn cluster(&self) -> &Name {
        &self.cluster
    }

    /// The data of a zone's SOA record with a serial of zero; its last 20 bytes are numbers,
    /// the first of them the serial.
    pub(crate) fn soa(&self) -> Vec<u8> {
        let server = self.servers.first().map_or(&self.cluster, |(name, _)| name);
        let mut data = server.wire().to_vec();
        let person = self.cluster.under("hostmaster");
        data.extend_from_slice(person.as_ref().unwrap_or(&self.cluster).wire());
        // Minimum: who asks too early must not be told for long that there is none.
        for number in [0u32, 7200, 3600, 432_000, 5] {
            data.extend_from_slice(&number.to_be_bytes());
        }
        data
    }

    /// NS records of each zone, and the addresses of the servers.
    pub(crate) fn servers(&self, origins: &[Name], each: &mut dyn FnMut(Made<'_>)) {
        for (name, ip) in &self.servers {
            for origin in origins {
                each(Made {
                    name: origin,
                    rtype: RType::NS,
                    ttl: SERVER_TTL,
                    data: name.wire(),
                });
            }
            if let Some(ip) = ip {
                address(name, *ip, SERVER_TTL, each);
            }
        }
    }

    /// The records of an instance. What cannot be a name in DNS is left out.
    pub(crate) fn instance(&self, instance: &Instance, each: &mut dyn FnMut(Made<'_>)) {
        let Some((namespace, _, name)) = instance.object.parts() else {
            return;
        };
        let name = parent_of_slice(name);
        let front = format!("{name}.{namespace}.svc");
        let node = format!("{front}.{}.node", instance.node);
        let (p, q) = (self.cluster.under(&front), self.cluster.under(&node));
        let app = instance.naming.app.as_ref().map(|app| app.as_str());
        let app = app.filter(|app| !app.eq_ignore_ascii_case(namespace));
        let older = app.and_then(|app| self.cluster.under(&format!("{name}.{app}.svc")));
        let hosts = hosts(instance);
        for base in p.iter().chain(&older) {
            self.forward(instance, base, &hosts, each);
        }
        if let Some(q) = &q {
            address(q, instance.ip, TTL, each);
            for host in hosts.iter().filter_map(|host| q.under(host)) {
                address(&host, instance.ip, TTL, each);
            }
        }
        let reverse = Name::reverse(instance.ip);
        let hostname = instance.naming.hostname.as_ref();
        for base in p.iter().chain(&q) {
            let own = hostname.and_then(|host| base.under(host.as_str()));
            each(Made {
                name: &reverse,
                rtype: RType::PTR,
                ttl: TTL,
                data: own.as_ref().unwrap_or(base).wire(),
            });
        }
    }

    /// The addresses and services below one form of the service's name.
    fn forward(
        &self,
        instance: &Instance,
        base: &Name,
        hosts: &[&str],
        each: &mut dyn FnMut(Made<'_>),
    ) {
        let ip = instance.ip;
        address(base, ip, TTL, each);
        for host in hosts.iter().filter_map(|host| base.under(host)) {
            address(&host, ip, TTL, each);
        }
        let dashed = ip.to_string().replace(['.', ':'], "-");
        let Some(target) = base.under(&dashed) else {
            return;
        };
        address(&target, ip, TTL, each);
        for expose in &instance.naming.expose {
            let mut data = Vec::with_capacity(6 + target.wire().len());
            for number in [0, WEIGHT, expose.port] {
                data.extend_from_slice(&number.to_be_bytes());
            }
            data.extend_from_slice(target.wire());
            let number = expose.port.to_string();
            let named = self.names.name(expose.port, expose.protocol);
            for service in [Some(number.as_str()), named].into_iter().flatten() {
                let name = base.under(&format!("_{service}._{}", expose.protocol));
                if let Some(name) = &name {
                    each(Made {
                        name,
                        rtype: RType::SRV,
                        ttl: TTL,
                        data: &data,
                    });
                }
            }
        }
    }
}

/// The name under which one of several like services is published: `web` for `3.web`.
fn parent_of_slice(name: &str) -> &str {
    match name.split_once('.') {
        Some((number, rest)) if !number.is_empty() && !rest.is_empty() => {
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { rest } else { name }
        }
        _ => name,
    }
}

/// The names of the container below those of its service: the host name, and its first
/// label; without one the index of its resource.
fn hosts(instance: &Instance) -> Vec<&str> {
    let Some(host) = &instance.naming.hostname else {
        let resource = instance.resource.as_ref();
        let index = resource.and_then(|resource| resource.as_str().split_once('#'));
        return index.map(|(_, index)| index).into_iter().collect();
    };
    let host = host.as_str();
    let first = host.split_once('.').map(|(first, _)| first);
    std::iter::once(host).chain(first).collect()
}

fn address(name: &Name, ip: IpAddr, ttl: u32, each: &mut dyn FnMut(Made<'_>)) {
    let (rtype, octets) = match ip {
        IpAddr::V4(ip) => (RType::A, &ip.octets()[..]),
        IpAddr::V6(ip) => (RType::AAAA, &ip.octets()[..]),
    };
    each(Made {
        name,
        rtype,
        ttl,
        data: octets,
    });
}
