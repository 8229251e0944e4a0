//! The `ip` resource: an attachment of a container, or of the service's own namespace, that
//! is for this resource.

use crate::engine::Running;
use crate::service::{IpResource, Service};
use crate::{ServiceError, Services};
use fairlead_attach::{AttachError, AttachRequest, Attachment, Sandbox, Selector};
use fairlead_kernel::{NetNs, Route};
use fairlead_plugins::PortMapping;
use fairlead_store::{Attachment as Record, AttachmentState};
use fairlead_types::{
    ContainerId, Expose, HostName, IfName, Naming, ObjectName, Owner, ResourceName,
};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Where an address goes.
pub(crate) struct Place {
    pub(crate) container: ContainerId,
    pub(crate) sandbox: PathBuf,
    pub(crate) hostname: Option<String>,
}

impl Place {
    /// A container that runs.
    pub(crate) fn of(running: &Running) -> Self {
        Self {
            container: running.id.clone(),
            sandbox: running.sandbox.clone(),
            hostname: running.hostname.clone(),
        }
    }

    /// The namespace of the service.
    pub(crate) fn of_service(service: &Service) -> Result<Self, ServiceError> {
        let id = crate::file::slug(&service.name);
        let container = ContainerId::new(&id).map_err(|e| ServiceError::Name {
            name: id,
            reason: e.to_string(),
        })?;
        Ok(Self {
            container,
            sandbox: service.namespace(),
            hostname: None,
        })
    }
}

/// What a start of an address came to.
pub(crate) enum Plugged {
    /// It was there.
    Already(Record),
    /// It is there now.
    Now(Attachment),
}

impl Services<'_> {
    /// Puts `place` on the network, unless it is. What an earlier container of the same
    /// resource left is taken away first. The addresses of before are had again, if they
    /// are free still.
    pub(crate) fn plug(
        &self,
        service: &Service,
        ip: &IpResource,
        place: &Place,
    ) -> Result<Plugged, ServiceError> {
        for record in self.attached(&service.name, Some(&ip.resource))? {
            let named = record.naming == naming(service, ip, place);
            if named && is_at(&record, ip, place) && self.has_wanted(&record, ip) {
                return Ok(Plugged::Already(record));
            }
            self.unplug(&service.name, &ip.resource, &record.owner)?;
        }
        let before = self.record(&service.name)?;
        let before = before.and_then(|mut s| s.addresses.remove(&ip.resource));
        let before = before.map(|address| address.ips);
        let request = self.request(service, ip, place)?;
        let sticky = match (ip.ips.is_empty(), before) {
            (true, Some(ips)) if !ips.is_empty() => Some(AttachRequest {
                ips,
                ..request.clone()
            }),
            _ => None,
        };
        // Where another has taken them meanwhile, any address is better than none.
        let kept = sticky.and_then(|request| self.node.attach(&request).ok());
        let attachment = match kept {
            Some(attachment) => attachment,
            None => {
                let attached = self.node.attach(&request);
                attached.map_err(|source| attach_error(service, ip, source))?
            }
        };
        self.node.host().store(|store| {
            store.write(|tx| {
                tx.service_addresses(&service.name, &ip.resource, &attachment.addresses)
            })
        })?;
        Ok(Plugged::Now(attachment))
    }

    /// Whether a record has the addresses that are asked for, if any are.
    fn has_wanted(&self, record: &Record, ip: &IpResource) -> bool {
        if ip.ips.is_empty() {
            return true;
        }
        let had = addresses(self, record);
        ip.ips.iter().all(|wanted| had.contains(wanted))
    }

    fn request(
        &self,
        service: &Service,
        ip: &IpResource,
        place: &Place,
    ) -> Result<AttachRequest, ServiceError> {
        let ifname = match &ip.ifname {
            Some(ifname) => ifname.clone(),
            None => first_free(&service.name, &place.sandbox)?,
        };
        Ok(AttachRequest {
            network: ip.network.clone(),
            sandbox: Sandbox::Path(place.sandbox.clone()),
            container: place.container.clone(),
            ifname,
            ips: ip.ips.clone(),
            mac: None,
            publish: ip.expose.iter().filter_map(mapping).collect(),
            object: Some(service.name.clone()),
            resource: Some(ip.resource.clone()),
            naming: naming(service, ip, place),
        })
    }

    /// Takes one attachment of a resource away on purpose: nobody is to put it back.
    pub(crate) fn unplug_for_good(
        &self,
        object: &ObjectName,
        resource: &ResourceName,
        owner: &Owner,
    ) -> Result<(), ServiceError> {
        let host = self.node.host();
        host.store(|store| store.write(|tx| tx.service_unwanted(object, resource)))?;
        self.unplug(object, resource, owner)
    }

    /// Takes one attachment of a resource away.
    pub(crate) fn unplug(
        &self,
        object: &ObjectName,
        resource: &ResourceName,
        owner: &Owner,
    ) -> Result<(), ServiceError> {
        let selector = Selector {
            network: Some(owner.network.clone()),
            container: Some(owner.container.clone()),
            object: Some(object.clone()),
            ifname: Some(owner.ifname.clone()),
            sandbox: None,
        };
        let detached = self.node.detach(&selector);
        detached.map(drop).map_err(|source| ServiceError::Attach {
            object: object.clone(),
            resource: resource.clone(),
            keyword: "network",
            source: Box::new(source),
        })
    }
}

/// An attachment as a person is told of it.
pub(crate) fn words(attachment: &Attachment) -> String {
    let ips = attachment.addresses.iter().map(ToString::to_string);
    let ips: Vec<String> = ips.collect();
    let (network, ifname) = (&attachment.owner.network, &attachment.owner.ifname);
    format!("{} of {network} on {ifname}", ips.join(" "))
}

/// Whether a record is of this place, as it is now, and as the keywords want it.
fn is_at(record: &Record, ip: &IpResource, place: &Place) -> bool {
    let is_same = |netns: &fairlead_store::NetnsRef| {
        let now = NetNs::open(&place.sandbox).and_then(|ns| ns.id());
        netns.is_live() && now.is_ok_and(|id| (id.dev, id.ino) == (netns.dev, netns.ino))
    };
    record.state == AttachmentState::Ready
        && record.owner.container == place.container
        && record.owner.network == ip.network
        && ip
            .ifname
            .as_ref()
            .is_none_or(|name| record.owner.ifname == *name)
        && record.netns.as_ref().is_some_and(is_same)
}

/// A mapped port is published on the node; a plain one is only told to DNS.
fn mapping(expose: &Expose) -> Option<PortMapping> {
    Some(PortMapping {
        host_port: expose.host_port?,
        container_port: expose.port,
        protocol: expose.protocol,
        host_ip: None,
        range: 1,
    })
}

/// What DNS is told. A host name that DNS cannot have is none.
fn naming(service: &Service, ip: &IpResource, place: &Place) -> Naming {
    let suffix = ip.suffix.as_ref().map_or("", HostName::as_str);
    let hostname = place.hostname.as_ref();
    let hostname = hostname.and_then(|name| HostName::new(format!("{name}{suffix}")).ok());
    Naming {
        hostname,
        app: service.app.clone(),
        expose: ip.expose.clone(),
    }
}

/// The first `ethN` that no link of the namespace has.
fn first_free(object: &ObjectName, sandbox: &Path) -> Result<IfName, ServiceError> {
    let kernel = ServiceError::kernel(object);
    let links = NetNs::open(sandbox)
        .and_then(|ns| Route::open_in(&ns))
        .and_then(|mut route| route.links())
        .map_err(kernel)?;
    let is_free = |name: &String| !links.iter().any(|link| link.name.as_str() == name);
    let mut names = (0..=links.len()).map(|n| format!("eth{n}"));
    let name = names.find(is_free).unwrap_or_else(|| "eth0".to_owned());
    IfName::new(&name).map_err(|e| ServiceError::Name {
        name,
        reason: e.to_string(),
    })
}

/// The keyword that decides what went wrong.
fn attach_error(service: &Service, ip: &IpResource, source: AttachError) -> ServiceError {
    let text = source.to_string();
    let keyword = match &source {
        AttachError::NoCapability { wanted: "--ip", .. } => "ipaddr",
        AttachError::NoCapability { .. } => "expose",
        AttachError::Sandbox { .. } => ip.netns_keyword,
        // The plugin that publishes ports names itself.
        _ if text.contains("port") && ip.expose.iter().any(|e| e.host_port.is_some()) => "expose",
        _ => "network",
    };
    ServiceError::Attach {
        object: service.name.clone(),
        resource: ip.resource.clone(),
        keyword,
        source: Box::new(source),
    }
}

/// The addresses of a record: those that its chain returned.
pub(crate) fn addresses(services: &Services<'_>, record: &Record) -> Vec<IpAddr> {
    let found = services.node.attachment(&record.owner);
    found.map(|a| a.addresses).unwrap_or_default()
}
