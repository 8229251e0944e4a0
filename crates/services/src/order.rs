//! What depends on what: containers share the namespaces of others, addresses go into
//! containers.

use crate::ServiceError;
use crate::engine::{Kind, Network};
use crate::gateway::{Listen, Rule};
use crate::service::{Container, IpResource, Service};
use fairlead_types::{ObjectName, ResourceName};
use std::collections::{BTreeMap, BTreeSet};

/// One step of a start. A stop takes them in reverse.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// The service's own namespace.
    Namespace,
    /// A container.
    Container(&'a Container),
    /// An address.
    Ip(&'a IpResource),
}

impl Step<'_> {
    /// The resource it is of; none for the namespace.
    pub(crate) fn resource(&self) -> Option<&ResourceName> {
        match self {
            Self::Namespace => None,
            Self::Container(container) => Some(&container.spec.resource),
            Self::Ip(ip) => Some(&ip.resource),
        }
    }
}

/// The containers, each behind the one whose namespace it shares.
pub(crate) fn containers(
    object: &ObjectName,
    mut rest: Vec<Container>,
) -> Result<Vec<Container>, ServiceError> {
    for container in &rest {
        let Some(shared) = &container.shares else {
            continue;
        };
        let wrong = |reason: String| keyword(object, container, shared, reason);
        let found = rest.iter().find(|c| c.spec.resource == *shared);
        let Some(found) = found else {
            return Err(wrong("the service has no such container".to_owned()));
        };
        if found.spec.kind != container.spec.kind {
            let (own, other) = (container.spec.kind, found.spec.kind);
            return Err(wrong(format!(
                "it is of type {other}, and this one of type {own}: only containers of one type share a namespace"
            )));
        }
        if matches!(found.spec.kind, Kind::Lxc) {
            return Err(wrong(
                "containers of type lxc do not share a namespace".to_owned(),
            ));
        }
    }
    let mut ordered: Vec<Container> = Vec::new();
    while !rest.is_empty() {
        let is_ready = |c: &Container| match &c.shares {
            Some(shared) => ordered.iter().any(|o| o.spec.resource == *shared),
            None => true,
        };
        let (ready, waiting): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_ready);
        if ready.is_empty() {
            return Err(cycle(object, &waiting));
        }
        ordered.extend(ready);
        rest = waiting;
    }
    name_shared(&mut ordered);
    Ok(ordered)
}

/// Tells each engine by its own name whose namespace is shared.
fn name_shared(containers: &mut [Container]) {
    let names: Vec<(ResourceName, String, Network)> = containers
        .iter()
        .map(|c| {
            (
                c.spec.resource.clone(),
                c.spec.name.clone(),
                c.spec.network.clone(),
            )
        })
        .collect();
    for container in containers {
        let Some(shared) = &container.shares else {
            continue;
        };
        let Some((_, name, network)) = names.iter().find(|(r, ..)| r == shared) else {
            continue;
        };
        container.spec.network = match container.spec.kind {
            // A program has the namespace of its service, or that of the host.
            Kind::Process => network.clone(),
            _ => Network::Of(name.clone()),
        };
    }
}

fn cycle(object: &ObjectName, waiting: &[Container]) -> ServiceError {
    // Each of them waits for another of them, so following leads into the circle.
    let mut at = &waiting[0];
    let mut way: Vec<&ResourceName> = Vec::new();
    while !way.contains(&&at.spec.resource) {
        way.push(&at.spec.resource);
        let next = waiting
            .iter()
            .find(|c| Some(&c.spec.resource) == at.shares.as_ref());
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    let start = way
        .iter()
        .position(|r| **r == at.spec.resource)
        .unwrap_or(0);
    let mut circle: Vec<&str> = way[start..].iter().map(|r| r.as_str()).collect();
    circle.push(at.spec.resource.as_str());
    let shared = at
        .shares
        .clone()
        .unwrap_or_else(|| at.spec.resource.clone());
    let reason = format!(
        "the containers wait for each other: {}",
        circle.join(" -> ")
    );
    keyword(object, at, &shared, reason)
}

fn keyword(
    object: &ObjectName,
    container: &Container,
    shared: &ResourceName,
    reason: String,
) -> ServiceError {
    ServiceError::Keyword {
        object: object.clone(),
        resource: container.spec.resource.clone(),
        keyword: "netns",
        value: Some(shared.to_string()),
        reason,
    }
}

/// Addresses go where they can be had, each name of an interface once in a namespace, each
/// port of the node to one place; a gateway has something to do, and does not contradict
/// itself.
pub(crate) fn check(service: &Service) -> Result<(), ServiceError> {
    let mut interfaces = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for ip in &service.ips {
        check_place(service, ip)?;
        let wrong = |keyword, value, reason| wrong(service, &ip.resource, keyword, value, reason);
        if let Some(ifname) = &ip.ifname
            && !interfaces.insert((ip.container.clone(), ifname.clone()))
        {
            let reason = "another address of the same namespace has this interface".to_owned();
            return Err(wrong("nsdev", Some(ifname.to_string()), reason));
        }
        let mapped = ip.expose.iter();
        for (port, protocol) in mapped.filter_map(|e| Some((e.host_port?, e.protocol))) {
            if !ports.insert((port, protocol)) {
                let reason = format!(
                    "port {port}/{protocol} of the node leads to another address of the service"
                );
                return Err(wrong("expose", None, reason));
            }
        }
    }
    check_gateway(service)
}

/// The container that gets an address has a namespace of its own.
fn check_place(service: &Service, ip: &IpResource) -> Result<(), ServiceError> {
    let Some(name) = &ip.container else {
        return Ok(());
    };
    let reason = match service.container(name) {
        None => "the service has no such container".to_owned(),
        Some(container) if container.spec.network == Network::Host => {
            "this container has the node's own namespace; take its netns = host away".to_owned()
        }
        Some(container) if container.spec.kind == Kind::Process => {
            "a program has the service's own namespace; leave netns out".to_owned()
        }
        Some(container) => match &container.shares {
            None => return Ok(()),
            Some(shared) => {
                format!("this container shares the namespace of {shared}; name that one")
            }
        },
    };
    let value = Some(name.to_string());
    Err(wrong(
        service,
        &ip.resource,
        ip.netns_keyword,
        value,
        reason,
    ))
}

fn check_gateway(service: &Service) -> Result<(), ServiceError> {
    let gateways = service.containers.iter().filter(|c| c.is_gateway);
    let haproxy = || Some("haproxy".to_owned());
    for (i, gateway) in gateways.enumerate() {
        let reason = match (i, service.rules.is_empty()) {
            (0, false) => continue,
            (0, true) => "there is no section ingress#N that says what it is to do",
            (_, _) => "another container of the service is the gateway; one is possible",
        };
        let resource = &gateway.spec.resource;
        return Err(wrong(
            service,
            resource,
            "type",
            haproxy(),
            reason.to_owned(),
        ));
    }
    if let Some(rule) = service.rules.first()
        && !service.containers.iter().any(|c| c.is_gateway)
    {
        let reason = "no container of the service is of type haproxy, so nobody listens";
        return Err(wrong(
            service,
            &rule.resource,
            "listen",
            None,
            reason.to_owned(),
        ));
    }
    let mut taken: BTreeMap<Listen, &Rule> = BTreeMap::new();
    for rule in &service.rules {
        for listen in &rule.listen {
            let value = Some(listen.to_string());
            let wrong = |reason| wrong(service, &rule.resource, "listen", value, reason);
            if let Some((other, _)) = taken.iter().find(|(other, _)| other.overlaps(listen)) {
                let reason = format!("{other} of another rule is there too; write both alike");
                return Err(wrong(reason));
            }
            let Some(other) = taken.insert(*listen, rule) else {
                continue;
            };
            // What is no HTTP says nothing by which two rules could be told apart.
            let both = rule.http && other.http && rule.resource != other.resource;
            let tls = |rule: &Rule| !rule.certificates.is_empty();
            if both && tls(rule) == tls(other) {
                continue;
            }
            let reason = match both {
                true => "has the same port with TLS, or this one has: set certificate for both",
                false => "listens there already; only rules of mode = http share a port",
            };
            return Err(wrong(format!("{} {reason}", other.resource)));
        }
    }
    Ok(())
}

fn wrong(
    service: &Service,
    resource: &ResourceName,
    keyword: &'static str,
    value: Option<String>,
    reason: String,
) -> ServiceError {
    ServiceError::Keyword {
        object: service.name.clone(),
        resource: resource.clone(),
        keyword,
        value,
        reason,
    }
}

/// The steps of a start: the service's own namespace and the addresses in it, so that a
/// program finds them; then each container, with its addresses right behind it.
pub(crate) fn steps<'a>(service: &'a Service) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    if service.has_namespace() {
        steps.push(Step::Namespace);
    }
    let mut of = |container: Option<&'a Container>| {
        let resource = container.map(|c| &c.spec.resource);
        steps.extend(container.map(Step::Container));
        let ips = service.ips.iter();
        let ips = ips.filter(|ip| ip.container.as_ref() == resource);
        steps.extend(ips.map(Step::Ip));
    };
    of(None);
    service.containers.iter().map(Some).for_each(of);
    steps
}

/// The same for some of the resources: those, what they need, and the addresses of the
/// containers among them.
pub(crate) fn steps_of<'a>(
    service: &'a Service,
    only: &[ResourceName],
) -> Result<Vec<Step<'a>>, ServiceError> {
    let all = steps(service);
    if only.is_empty() {
        return Ok(all);
    }
    let known = service.resources();
    if let Some(unknown) = only.iter().find(|r| !known.contains(r)) {
        return Err(ServiceError::NoResource {
            object: service.name.clone(),
            resource: unknown.clone(),
            known,
        });
    }
    let mut wanted: BTreeSet<&ResourceName> = only.iter().collect();
    for ip in &service.ips {
        match &ip.container {
            Some(container) if wanted.contains(&ip.resource) => {
                wanted.insert(container);
            }
            _ => {}
        }
    }
    // Behind the one it is shared with, so one pass from the end finds all.
    for container in service.containers.iter().rev() {
        if let Some(shared) = container
            .shares
            .as_ref()
            .filter(|_| wanted.contains(&container.spec.resource))
        {
            wanted.insert(shared);
        }
    }
    for ip in &service.ips {
        if ip.container.as_ref().is_some_and(|c| wanted.contains(c)) {
            wanted.insert(&ip.resource);
        }
    }
    let is_wanted = |step: &Step<'_>| step.resource().is_none_or(|r| wanted.contains(r));
    Ok(all.into_iter().filter(is_wanted).collect())
}
