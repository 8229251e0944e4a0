//! Stop: in reverse, from the records where the file is of no help, on to the end.

use crate::engine::{ContainerSpec, Kind};
use crate::order::{Step, steps};
use crate::service::{Container, Service, namespace};
use crate::{Done, ServiceError, Services, file};
use fairlead_kernel::NetNs;
use fairlead_store::StartedContainer;
use fairlead_types::{ObjectName, ResourceName};
use std::collections::BTreeSet;

impl Services<'_> {
    /// Stops a service, or some of its resources and what needs them. What is down already
    /// is no error.
    ///
    /// # Errors
    /// [`ServiceError`] with everything that could not be done; the rest is done.
    pub fn stop(
        &self,
        object: &ObjectName,
        only: &[ResourceName],
    ) -> Result<Vec<Done>, ServiceError> {
        let _lock = file::lock(self.config().root(), object)?;
        self.stop_locked(object, only)
    }

    /// Stops a service and starts it again; its containers get the addresses that they had.
    ///
    /// # Errors
    /// As [`Services::stop`] and [`Services::start`].
    pub fn restart(
        &self,
        object: &ObjectName,
        only: &[ResourceName],
    ) -> Result<Vec<Done>, ServiceError> {
        let _lock = file::lock(self.config().root(), object)?;
        // A file that cannot be started is no reason to stop what runs.
        self.try_gateway(&self.read(object)?)?;
        let before = self.record(object)?.map(|s| s.addresses);
        let before = before.map(|all| all.into_iter().map(|(r, a)| (r, a.ips)).collect());
        let mut done = self.stop_locked(object, only)?;
        // What had to be stopped because it needs one of them is to run again, too.
        let mut again = only.to_vec();
        if !only.is_empty() {
            let stopped = done.iter().filter_map(|done| done.resource.clone());
            again.extend(stopped.filter(|resource| !only.contains(resource)));
        }
        done.extend(self.start_locked(object, &again, &before.unwrap_or_default())?);
        Ok(done)
    }

    /// Stops a service, removes what its engines keep of it, and its file.
    ///
    /// # Errors
    /// [`ServiceError::Started`] unless `force`; what could not be removed, and then the
    /// file is there still.
    pub fn remove(&self, object: &ObjectName, force: bool) -> Result<Vec<Done>, ServiceError> {
        let _lock = file::lock(self.config().root(), object)?;
        file::text(self.config().root(), object)?;
        if !force && self.record(object)?.is_some() {
            let object = object.clone();
            return Err(ServiceError::Started { object });
        }
        let recorded = self.record(object)?.map(|record| record.containers);
        let mut specs: Vec<ContainerSpec> = recorded
            .unwrap_or_default()
            .iter()
            .filter_map(|(resource, container)| spec_of(object, resource, container))
            .collect();
        if let Ok(service) = self.read(object) {
            let declared = service.containers.into_iter().map(|c| c.spec);
            specs.extend(declared.rev());
        }
        let mut done = self.stop_locked(object, &[])?;
        for spec in specs {
            let removed = self.engines.engine(spec.kind).remove(&spec);
            if removed.map_err(ServiceError::engine(object))? {
                let what = format!("{} {} removed", spec.kind, spec.name);
                done.push(self.tell(object, Some(&spec.resource), what));
            }
        }
        self.remove_gateway(object)?;
        file::remove(self.config().root(), object)?;
        Ok(done)
    }

    fn stop_locked(
        &self,
        object: &ObjectName,
        only: &[ResourceName],
    ) -> Result<Vec<Done>, ServiceError> {
        let mut stop = Stop {
            services: self,
            object,
            done: Vec::new(),
            errors: Vec::new(),
        };
        let mut declared = Vec::new();
        match self.read(object) {
            Ok(service) => {
                stop.steps(&service, only)?;
                declared = service.resources();
            }
            Err(error) if only.is_empty() => {
                // What was recorded can be taken back whatever became of the file.
                if !matches!(error, ServiceError::Missing { .. }) || self.record(object)?.is_none()
                {
                    stop.errors.push(error);
                }
            }
            Err(error) => return Err(error),
        }
        if only.is_empty() {
            stop.rest(&declared)?;
        }
        ServiceError::all(stop.errors)?;
        Ok(stop.done)
    }
}

/// A stop under way.
struct Stop<'a, 'b> {
    services: &'a Services<'b>,
    object: &'a ObjectName,
    done: Vec<Done>,
    errors: Vec<ServiceError>,
}

impl Stop<'_, '_> {
    fn steps(&mut self, service: &Service, only: &[ResourceName]) -> Result<(), ServiceError> {
        let wanted = needing(service, only)?;
        for step in steps(service).into_iter().rev() {
            let meant = step.resource().map(|r| wanted.contains(r));
            match step {
                Step::Ip(ip) if meant == Some(true) => self.ip(&ip.resource)?,
                Step::Container(container) if meant == Some(true) => self.container(container),
                _ => {}
            }
        }
        Ok(())
    }

    fn ip(&mut self, resource: &ResourceName) -> Result<(), ServiceError> {
        for record in self.services.attached(self.object, Some(resource))? {
            let owner = record.owner;
            match self.services.unplug_for_good(self.object, resource, &owner) {
                Ok(()) => self.note(Some(resource), format!("{owner} detached")),
                Err(error) => self.errors.push(error),
            }
        }
        Ok(())
    }

    fn container(&mut self, container: &Container) {
        let spec = &container.spec;
        let engine = self.services.engines.engine(spec.kind);
        match engine.stop(spec) {
            Ok(true) => {
                let what = format!("{} {} stopped", spec.kind, spec.name);
                self.note(Some(&spec.resource), what);
            }
            Ok(false) => {}
            Err(error) => return self.errors.push(ServiceError::engine(self.object)(error)),
        }
        let forgotten = self.services.node.host().store(|store| {
            store.write(|tx| tx.service_container(self.object, &spec.resource, None))
        });
        self.errors.extend(forgotten.err().map(ServiceError::from));
    }

    /// Containers that were started and that the file has no more: nobody else knows them.
    fn forgotten(&mut self, declared: &[ResourceName]) -> Result<(), ServiceError> {
        let record = self.services.record(self.object)?;
        for (resource, container) in record.map(|r| r.containers).unwrap_or_default() {
            let spec = spec_of(self.object, &resource, &container);
            let Some(spec) = spec.filter(|_| !declared.contains(&resource)) else {
                continue;
            };
            let engine = self.services.engines.engine(spec.kind);
            match engine.stop(&spec) {
                Ok(true) => {
                    let what = format!("{} {} stopped", spec.kind, spec.name);
                    self.note(Some(&resource), what);
                }
                Ok(false) => {}
                Err(error) => self.errors.push(ServiceError::engine(self.object)(error)),
            }
        }
        Ok(())
    }

    /// What resources that the file has no more left, the namespace and the record.
    fn rest(&mut self, declared: &[ResourceName]) -> Result<(), ServiceError> {
        self.forgotten(declared)?;
        for record in self.services.attached(self.object, None)? {
            // An attachment that somebody made by hand for this object is his.
            if let Some(resource) = record.resource {
                self.ip(&resource)?;
            }
        }
        if let Err(error) = NetNs::remove(namespace(self.object)) {
            self.errors.push(ServiceError::kernel(self.object)(error));
        }
        // What is left behind is found by another stop.
        if self.errors.is_empty() {
            let host = self.services.node.host();
            host.store(|store| store.write(|tx| tx.service_stopped(self.object)))?;
        }
        Ok(())
    }

    fn note(&mut self, resource: Option<&ResourceName>, what: String) {
        let done = self.services.tell(self.object, resource, what);
        self.done.push(done);
    }
}

/// What an engine has to know to take a recorded container away.
pub(crate) fn spec_of(
    object: &ObjectName,
    resource: &ResourceName,
    container: &StartedContainer,
) -> Option<ContainerSpec> {
    let kind = Kind::of(&container.kind)?;
    let mut spec = ContainerSpec::new(object.clone(), resource.clone(), kind);
    spec.name.clone_from(&container.name);
    spec.lxcpath.clone_from(&container.lxcpath);
    Some(spec)
}

/// The resources, those that need them, and the addresses of the containers among them.
fn needing(
    service: &Service,
    only: &[ResourceName],
) -> Result<BTreeSet<ResourceName>, ServiceError> {
    let known = service.resources();
    if only.is_empty() {
        return Ok(known.into_iter().collect());
    }
    if let Some(unknown) = only.iter().find(|r| !known.contains(r)) {
        return Err(ServiceError::NoResource {
            object: service.name.clone(),
            resource: unknown.clone(),
            known,
        });
    }
    let mut wanted: BTreeSet<ResourceName> = only.iter().cloned().collect();
    for container in &service.containers {
        if container
            .shares
            .as_ref()
            .is_some_and(|c| wanted.contains(c))
        {
            wanted.insert(container.spec.resource.clone());
        }
    }
    for ip in &service.ips {
        if ip.container.as_ref().is_some_and(|c| wanted.contains(c)) {
            wanted.insert(ip.resource.clone());
        }
    }
    Ok(wanted)
}
