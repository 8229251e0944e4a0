//! Status: how each resource is, as its engine, its namespace and the records say.

use crate::address::addresses;
use crate::engine::{Kind, State};
use crate::service::{Container, IpResource, Service};
use crate::{ServiceError, Services};
use fairlead_kernel::{NetNs, Route};
use fairlead_store::Attachment as Record;
use fairlead_types::{Expose, IfName, ObjectName, ResourceName};
use serde::Serialize;
use std::net::IpAddr;

/// How a resource, or a service, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// As a start makes it.
    Up,
    /// As a stop makes it.
    Down,
    /// A part is up and a part is down, or nobody can say.
    Warn,
}

impl Availability {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Warn => "warn",
        }
    }
}

/// A service on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceStatus {
    /// Its name.
    pub object: ObjectName,
    /// The node.
    pub node: String,
    /// How it is on the whole.
    pub avail: Availability,
    /// Whether it was started here and not stopped.
    pub started: bool,
    /// Each resource.
    pub resources: Vec<ResourceStatus>,
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceStatus {
    /// Its name.
    pub resource: ResourceName,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it is.
    pub status: Availability,
    /// What it is, in a line.
    pub label: String,
    /// What is worth knowing of how it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// What an address tells the others; of an address that is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<Info>,
}

/// What DNS is made of (specification 7.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Info {
    /// The addresses.
    pub ipaddr: Vec<IpAddr>,
    /// The interface.
    pub ipdev: IfName,
    /// The ports that are offered.
    pub expose: Vec<Expose>,
    /// The container's name.
    pub hostname: Option<String>,
}

impl Services<'_> {
    /// How a service is on this node.
    ///
    /// # Errors
    /// A file that is not there or cannot be read; the records. An engine that does not
    /// answer is told in the status.
    pub fn status(&self, object: &ObjectName) -> Result<ServiceStatus, ServiceError> {
        let service = self.read(object)?;
        let started = self.record(object)?.is_some();
        let mut resources = Vec::new();
        for container in &service.containers {
            let refused = match container.is_gateway {
                true => self.gateway_refused(&service),
                false => None,
            };
            resources.push(self.container_status(container, refused));
        }
        let records = self.attached(object, None)?;
        for ip in &service.ips {
            resources.push(self.ip_status(&service, ip, &records));
        }
        Ok(ServiceStatus {
            object: object.clone(),
            node: self.config().node().to_owned(),
            avail: overall(&resources),
            started,
            resources,
        })
    }

    fn container_status(&self, container: &Container, refused: Option<String>) -> ResourceStatus {
        let spec = &container.spec;
        let mut log = Vec::new();
        let status = match self.engines.engine(spec.kind).state(spec) {
            Ok(State::Up(running)) => {
                log.push(format!("process {}", running.pid));
                Availability::Up
            }
            Ok(State::Down) => Availability::Down,
            Ok(State::Absent) => {
                if spec.kind != Kind::Process {
                    log.push("there is no such container".to_owned());
                }
                Availability::Down
            }
            Err(error) => {
                log.push(error.to_string());
                Availability::Warn
            }
        };
        log.extend(refused.map(|reason| format!("haproxy refuses the file as it is: {reason}")));
        let what = match (&spec.image, container.is_gateway) {
            (_, true) => "haproxy".to_owned(),
            (Some(image), _) => image.clone(),
            (None, _) => spec.command.join(" "),
        };
        ResourceStatus {
            resource: spec.resource.clone(),
            kind: spec.kind.to_string(),
            status,
            label: format!("{} {} {what}", spec.kind, spec.name)
                .trim_end()
                .to_owned(),
            log,
            info: None,
        }
    }

    fn ip_status(&self, service: &Service, ip: &IpResource, records: &[Record]) -> ResourceStatus {
        let own = |record: &&Record| record.resource.as_ref() == Some(&ip.resource);
        let record = records.iter().find(own);
        let mut status = ResourceStatus {
            resource: ip.resource.clone(),
            kind: "cni".to_owned(),
            status: Availability::Down,
            label: format!("cni {}", ip.network),
            log: Vec::new(),
            info: None,
        };
        let Some(record) = record else {
            let namespace = service.namespace();
            if ip.container.is_none() && NetNs::open(&namespace).is_err() {
                status
                    .log
                    .push(format!("there is no namespace {}", namespace.display()));
            }
            return status;
        };
        let ips = addresses(self, record);
        match missing(record, &ips) {
            Some(reason) => status.log.push(reason),
            None => status.status = Availability::Up,
        }
        let texts: Vec<String> = ips.iter().map(ToString::to_string).collect();
        let expose: Vec<String> = ip.expose.iter().map(ToString::to_string).collect();
        let label = format!(
            "cni {} {} {} {}",
            ip.network,
            texts.join(" "),
            record.owner.ifname,
            expose.join(" ")
        );
        status.label = label.trim_end().to_owned();
        status.info = Some(Info {
            ipaddr: ips,
            ipdev: record.owner.ifname.clone(),
            expose: record.naming.expose.clone(),
            hostname: record.naming.hostname.as_ref().map(ToString::to_string),
        });
        status
    }
}

/// What keeps a recorded address from being up; nothing where its interface has it.
fn missing(record: &Record, ips: &[IpAddr]) -> Option<String> {
    let netns = record.netns.as_ref()?;
    let path = netns.path.display();
    if !netns.is_live() {
        return Some(format!("the namespace {path} is gone"));
    }
    let look = NetNs::open(&netns.path)
        .and_then(|ns| Route::open_in(&ns))
        .and_then(|mut route| {
            let link = route.link(&record.owner.ifname)?;
            let Some(link) = link else { return Ok(None) };
            Ok(Some(route.addresses(link.index)?))
        });
    match look {
        Err(error) => Some(error.to_string()),
        Ok(None) => Some(format!("{path} has no interface {}", record.owner.ifname)),
        Ok(Some(there)) => {
            let lacks = |ip: &&IpAddr| !there.iter().any(|a| a.net.addr() == **ip);
            let ip = ips.iter().find(lacks)?;
            Some(format!("{} has not the address {ip}", record.owner.ifname))
        }
    }
}

fn overall(resources: &[ResourceStatus]) -> Availability {
    let all = |wanted| resources.iter().all(|r| r.status == wanted);
    match (all(Availability::Up), all(Availability::Down)) {
        (true, false) => Availability::Up,
        (_, true) => Availability::Down,
        _ => Availability::Warn,
    }
}
