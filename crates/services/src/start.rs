//! Start: step by step, each with its undo.

use crate::address::{Place, Plugged, addresses, words};
use crate::engine::Running;
use crate::order::{Step, steps_of};
use crate::service::{Container, IpResource, Service};
use crate::{Done, ServiceError, Services, file, resolver};
use fairlead_kernel::{NetNs, Route};
use fairlead_networks::find;
use fairlead_types::{ObjectName, Owner, ResourceName};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How a step is taken back.
enum Undo {
    Record,
    Namespace,
    Attachment(ResourceName, Owner),
    Container(Box<Container>, bool),
}

/// A start under way.
struct Start<'a, 'b> {
    services: &'a Services<'b>,
    service: &'a Service,
    /// The containers that run, by their names.
    running: BTreeMap<ResourceName, Running>,
    done: Vec<Done>,
    undo: Vec<Undo>,
}

impl Services<'_> {
    /// Starts a service, or some of its resources with what they need. What runs already
    /// is left as it is. After a failure what this call started is stopped again.
    ///
    /// # Errors
    /// [`ServiceError`] names section and keyword.
    pub fn start(
        &self,
        object: &ObjectName,
        only: &[ResourceName],
    ) -> Result<Vec<Done>, ServiceError> {
        let _lock = file::lock(self.config().root(), object)?;
        self.start_locked(object, only, &BTreeMap::new())
    }

    /// The same by who holds the service's lock; `before` are addresses to have again.
    pub(crate) fn start_locked(
        &self,
        object: &ObjectName,
        only: &[ResourceName],
        before: &BTreeMap<ResourceName, Vec<IpAddr>>,
    ) -> Result<Vec<Done>, ServiceError> {
        let service = self.read(object)?;
        let steps = steps_of(&service, only)?;
        // Everything that can be known to be wrong, before anything is done.
        for step in &steps {
            match step {
                Step::Namespace => {}
                Step::Container(container) => {
                    let engine = self.engines.engine(container.spec.kind);
                    let there = engine.is_there(&container.spec.resource);
                    there.map_err(ServiceError::engine(object))?;
                }
                Step::Ip(ip) => self.check_network(object, ip)?,
            }
        }
        let mut start = Start {
            services: self,
            service: &service,
            running: BTreeMap::new(),
            done: Vec::new(),
            undo: Vec::new(),
        };
        let result = start.record(before).and_then(|()| {
            let mut steps = steps.iter();
            steps.try_for_each(|step| start.step(step))
        });
        match result {
            Ok(()) => Ok(start.done),
            Err(cause) => Err(start.back(cause)),
        }
    }

    /// Refuses a network that is not there or cannot be used.
    fn check_network(&self, object: &ObjectName, ip: &IpResource) -> Result<(), ServiceError> {
        let found = find(self.config(), &ip.network);
        found.map(drop).map_err(|source| ServiceError::Attach {
            object: object.clone(),
            resource: ip.resource.clone(),
            keyword: "network",
            source: Box::new(source.into()),
        })
    }
}

impl Start<'_, '_> {
    /// Records that the service is started, before anything of it is.
    fn record(&mut self, before: &BTreeMap<ResourceName, Vec<IpAddr>>) -> Result<(), ServiceError> {
        let name = &self.service.name;
        if self.services.record(name)?.is_none() {
            self.undo.push(Undo::Record);
        }
        self.services.node.host().store(|store| {
            store.write(|tx| {
                tx.service_started(name)?;
                before
                    .iter()
                    .try_for_each(|(resource, ips)| tx.service_addresses(name, resource, ips))
            })
        })?;
        Ok(())
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), ServiceError> {
        match step {
            Step::Namespace => self.namespace(),
            Step::Container(container) => self.container(container),
            Step::Ip(ip) => self.ip(ip),
        }
    }

    fn note(&mut self, resource: Option<&ResourceName>, what: String) {
        let done = self.services.tell(&self.service.name, resource, what);
        self.done.push(done);
    }

    /// The service's own namespace, with its loopback interface up.
    fn namespace(&mut self) -> Result<(), ServiceError> {
        let path = self.service.namespace();
        if NetNs::open(&path).is_ok() {
            return Ok(());
        }
        let failed = ServiceError::kernel(&self.service.name);
        // A file without a namespace is what a killed process or a reboot left.
        NetNs::remove(&path).map_err(&failed)?;
        let ns = NetNs::create(&path).map_err(&failed)?;
        self.undo.push(Undo::Namespace);
        // The loopback interface is always the first link of a namespace.
        let up = Route::open_in(&ns).and_then(|mut route| route.set_up(1, &"lo"));
        up.map_err(&failed)?;
        self.note(None, format!("namespace {} made", path.display()));
        Ok(())
    }

    fn container(&mut self, container: &Container) -> Result<(), ServiceError> {
        let services = self.services;
        let config = services.config();
        let mut spec = container.spec.clone();
        spec.dns = resolver::of(config, self.service, &spec, services.agent)?;
        if container.is_gateway {
            spec.command = services.gateway_command(self.service, container);
            if services.is_up(container)? {
                // A reload, not a start, puts another configuration in force.
                services.reload_gateway(self.service, container)?;
            } else {
                services.put_gateway(self.service, container)?;
            }
        }
        if spec.kind == crate::engine::Kind::Process && container.is_alone() {
            spec.network = crate::engine::Network::Namespace(self.service.namespace());
        }
        let engine = services.engines.engine(spec.kind);
        let failed = ServiceError::engine(&self.service.name);
        // Whatever becomes of the file, a stop finds it by this.
        services.record_container(&self.service.name, &spec)?;
        let started = engine.start(&spec).map_err(failed)?;
        if container.is_gateway {
            services.gateway_in_force(self.service)?;
        }
        let resource = &spec.resource;
        if started.started {
            let undo = Container {
                spec: spec.clone(),
                ..container.clone()
            };
            self.undo
                .push(Undo::Container(Box::new(undo), started.created));
            let pid = started.running.pid;
            self.note(
                Some(resource),
                format!("{} {} started, process {pid}", spec.kind, spec.name),
            );
        } else if started.outdated {
            self.note(
                Some(resource),
                format!(
                    "{} {} runs, made from other keywords; a restart makes it anew",
                    spec.kind, spec.name
                ),
            );
        }
        self.running.insert(resource.clone(), started.running);
        Ok(())
    }

    fn ip(&mut self, ip: &IpResource) -> Result<(), ServiceError> {
        let place = match &ip.container {
            None => Place::of_service(self.service)?,
            Some(container) => match self.running.get(container) {
                Some(running) => Place::of(running),
                None => {
                    return Err(ServiceError::ContainerDown {
                        object: self.service.name.clone(),
                        resource: ip.resource.clone(),
                        container: container.clone(),
                    });
                }
            },
        };
        let addresses = match self.services.plug(self.service, ip, &place)? {
            Plugged::Already(record) => addresses(self.services, &record),
            Plugged::Now(attachment) => {
                let owner = attachment.owner.clone();
                self.undo.push(Undo::Attachment(ip.resource.clone(), owner));
                self.note(Some(&ip.resource), words(&attachment));
                attachment.addresses
            }
        };
        self.services.wait_dns(self.service, ip, &addresses)
    }

    /// Takes back what was done, the last first.
    fn back(mut self, cause: ServiceError) -> ServiceError {
        let mut left = Vec::new();
        while let Some(undo) = self.undo.pop() {
            if let Err(error) = self.take_back(&undo) {
                left.push(error);
            }
        }
        match left.is_empty() {
            true => cause,
            false => ServiceError::Left {
                cause: Box::new(cause),
                left,
            },
        }
    }

    fn take_back(&self, undo: &Undo) -> Result<(), ServiceError> {
        let (services, name) = (self.services, &self.service.name);
        match undo {
            Undo::Record => {
                let host = services.node.host();
                host.store(|store| store.write(|tx| tx.service_stopped(name)))?;
                Ok(())
            }
            Undo::Namespace => {
                let removed = NetNs::remove(self.service.namespace());
                removed.map_err(ServiceError::kernel(name))
            }
            Undo::Attachment(resource, owner) => services.unplug_for_good(name, resource, owner),
            Undo::Container(container, created) => {
                let engine = services.engines.engine(container.spec.kind);
                let done = match created {
                    true => engine.remove(&container.spec),
                    false => engine.stop(&container.spec),
                };
                done.map(drop).map_err(ServiceError::engine(name))
            }
        }
    }
}
