//! Healing: a container that was started again by its engine gets its address back, and
//! what a container left that ended by itself is taken away.

use crate::address::{Place, Plugged, words};
use crate::engine::{Kind, State};
use crate::service::{Container, IpResource, Service};
use crate::stop::spec_of;
use crate::{Done, ServiceError, Services, file};
use fairlead_kernel::NetNs;
use fairlead_store::{Attachment as Record, AttachmentState, StartedService};
use fairlead_types::{ObjectName, ResourceName};
use std::collections::BTreeMap;

impl Services<'_> {
    /// Whether every address that a started service had last is where it was: a look at
    /// records and namespaces, without asking an engine.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn is_whole(&self, started: &StartedService) -> Result<bool, ServiceError> {
        let records = self.attached(&started.object, None)?;
        let is_there = |resource: &ResourceName| {
            let of = |record: &&Record| record.resource.as_ref() == Some(resource);
            records.iter().find(of).is_some_and(is_live)
        };
        let mut wanted = started.addresses.iter().filter(|(_, a)| a.wanted);
        if !wanted.all(|(resource, _)| is_there(resource)) {
            return Ok(false);
        }
        // A program that died leaves a namespace that lives.
        for (resource, container) in &started.containers {
            let Some(spec) = spec_of(&started.object, resource, container) else {
                continue;
            };
            if spec.kind == Kind::Process {
                let state = self.engines.engine(spec.kind).state(&spec);
                let state = state.map_err(ServiceError::engine(&started.object))?;
                if state.running().is_none() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Gives the containers of a started service that run the addresses that they lack, and
    /// takes away those of containers that do not. While a start or stop is under way
    /// nothing is done.
    ///
    /// # Errors
    /// [`ServiceError`]; the next call tries again.
    pub fn heal(&self, object: &ObjectName) -> Result<Vec<Done>, ServiceError> {
        let Some(_lock) = file::try_lock(self.config().root(), object)? else {
            return Ok(Vec::new());
        };
        // It may have been stopped since, or another part of it.
        let Some(started) = &self.record(object)? else {
            return Ok(Vec::new());
        };
        let mut done = Vec::new();
        let mut errors = Vec::new();
        let service = match self.read(object) {
            Ok(service) => service,
            // What is gone is gone whatever the file says.
            Err(error) => {
                self.forget_dead(object, |_| true)?;
                return Err(error);
            }
        };
        let is_declared =
            |resource: &ResourceName| service.ips.iter().any(|ip| ip.resource == *resource);
        for resource in self.forget_dead(object, |resource| !is_declared(resource))? {
            let what = "its namespace is gone, and the file has it no more: detached";
            done.push(self.tell(object, Some(&resource), what));
        }
        for container in &service.containers {
            match self.revive(started, container) {
                Ok(again) => done.extend(again),
                Err(error) => errors.push(error),
            }
        }
        self.forget_undeclared(started, &service)?;
        // Those that were never had are for a start to make, and those that were taken away
        // on purpose too.
        let wanted = |ip: &&IpResource| {
            let address = started.addresses.get(&ip.resource);
            address.is_some_and(|address| address.wanted)
        };
        for ip in service.ips.iter().filter(wanted) {
            match self.heal_one(&service, ip) {
                Ok(Some(what)) => done.push(self.tell(object, Some(&ip.resource), what)),
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        for container in &service.containers {
            match self.rejoin(&service, container) {
                Ok(Some(what)) => {
                    done.push(self.tell(object, Some(&container.spec.resource), what));
                }
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        ServiceError::all(errors)?;
        Ok(done)
    }

    /// A container that shares the namespace of one that was started again is left in the
    /// namespace of before, where nothing is: it is started again, too.
    fn rejoin(&self, service: &Service, guest: &Container) -> Result<Option<String>, ServiceError> {
        let shared = guest
            .shares
            .as_ref()
            .and_then(|name| service.container(name));
        let Some(shared) = shared.filter(|shared| shared.spec.kind != Kind::Process) else {
            return Ok(None);
        };
        let engine = self.engines.engine(guest.spec.kind);
        let failed = ServiceError::engine(&service.name);
        let place = |container: &Container| -> Result<_, ServiceError> {
            let state = engine.state(&container.spec).map_err(&failed)?;
            let running = state.running().map(|running| running.sandbox.clone());
            let id = running.and_then(|path| NetNs::open(path).and_then(|ns| ns.id()).ok());
            Ok(id)
        };
        match (place(shared)?, place(guest)?) {
            (Some(there), Some(here)) if there != here => {}
            _ => return Ok(None),
        }
        engine.stop(&guest.spec).map_err(&failed)?;
        engine.start(&guest.spec).map_err(&failed)?;
        let name = &shared.spec.resource;
        Ok(Some(format!("started again, in the namespace of {name}")))
    }

    /// Takes away what is left of addresses in namespaces that are gone, of the resources
    /// that are meant; returns which.
    fn forget_dead(
        &self,
        object: &ObjectName,
        is_meant: impl Fn(&ResourceName) -> bool,
    ) -> Result<Vec<ResourceName>, ServiceError> {
        let mut forgotten = Vec::new();
        for record in self.attached(object, None)? {
            let Some(resource) = record.resource.clone().filter(&is_meant) else {
                continue;
            };
            if !is_live(&record) {
                self.unplug(object, &resource, &record.owner)?;
                forgotten.push(resource);
            }
        }
        Ok(forgotten)
    }

    /// Starts a program again that ended by itself, where its keyword `restart` says so:
    /// for a program there is no engine that would.
    fn revive(
        &self,
        started: &StartedService,
        container: &Container,
    ) -> Result<Vec<Done>, ServiceError> {
        let spec = &container.spec;
        let restarts = matches!(spec.restart.as_deref(), Some("always" | "unless-stopped"));
        let known = started.containers.contains_key(&spec.resource);
        if spec.kind != Kind::Process || !restarts || !known || self.is_up(container)? {
            return Ok(Vec::new());
        }
        let only = std::slice::from_ref(&spec.resource);
        self.start_locked(&started.object, only, &BTreeMap::new())
    }

    /// What the file has no more is nobody's to put back.
    fn forget_undeclared(
        &self,
        started: &StartedService,
        service: &Service,
    ) -> Result<(), ServiceError> {
        let declared =
            |resource: &ResourceName| service.ips.iter().any(|ip| ip.resource == *resource);
        let gone = started.addresses.iter().filter(|(_, a)| a.wanted);
        for (resource, _) in gone.filter(|(resource, _)| !declared(resource)) {
            let host = self.node.host();
            host.store(|store| store.write(|tx| tx.service_unwanted(&started.object, resource)))?;
        }
        Ok(())
    }

    fn heal_one(&self, service: &Service, ip: &IpResource) -> Result<Option<String>, ServiceError> {
        let records = self.attached(&service.name, Some(&ip.resource))?;
        if records.iter().any(is_live) && !self.is_deserted(service, ip)? {
            return Ok(None);
        }
        let Some(place) = self.place(service, ip)? else {
            let gone = !records.is_empty();
            for record in records {
                self.unplug(&service.name, &ip.resource, &record.owner)?;
            }
            let container = ip.container.as_ref().map_or("namespace", |c| c.as_str());
            return Ok(gone.then(|| format!("{container} is down: detached")));
        };
        match self.plug(service, ip, &place)? {
            Plugged::Already(_) => Ok(None),
            Plugged::Now(attachment) => Ok(Some(format!("{} again", words(&attachment)))),
        }
    }

    /// Whether an address is of the service's own namespace, and of the programs that are to
    /// be there none runs.
    fn is_deserted(&self, service: &Service, ip: &IpResource) -> Result<bool, ServiceError> {
        if ip.container.is_some() {
            return Ok(false);
        }
        let inside = |c: &&Container| c.spec.kind == Kind::Process && c.is_alone();
        let mut programs = service.containers.iter().filter(inside).peekable();
        if programs.peek().is_none() {
            return Ok(false);
        }
        for program in programs {
            if self.is_up(program)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where an address goes now; nothing while that is down.
    fn place(&self, service: &Service, ip: &IpResource) -> Result<Option<Place>, ServiceError> {
        let Some(name) = &ip.container else {
            let there =
                NetNs::open(service.namespace()).is_ok() && !self.is_deserted(service, ip)?;
            return there.then(|| Place::of_service(service)).transpose();
        };
        let Some(container) = service.container(name) else {
            return Ok(None);
        };
        let spec = &container.spec;
        let state = self.engines.engine(spec.kind).state(spec);
        Ok(match state.map_err(ServiceError::engine(&service.name))? {
            State::Up(running) => Some(Place::of(&running)),
            State::Down | State::Absent => None,
        })
    }
}

fn is_live(record: &Record) -> bool {
    record.state == AttachmentState::Ready
        && record
            .netns
            .as_ref()
            .is_none_or(fairlead_store::NetnsRef::is_live)
}
