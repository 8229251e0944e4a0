//! The services of this node: what the commands and the agent call.

use crate::engine::{ContainerSpec, Engines, Settings};
use crate::service::Container;
use crate::{Service, ServiceError, file};
use fairlead_attach::Node;
use fairlead_config::{Config, KeyPath};
use fairlead_store::{Attachment, AttachmentFilter, StartedContainer, StartedService};
use fairlead_types::{ObjectName, ResourceName};
use serde::Serialize;

/// The services of a node, in the network namespace of the calling thread.
pub struct Services<'a> {
    pub(crate) node: &'a Node,
    pub(crate) engines: Engines,
    /// Whether the agent answers for names, so containers may ask at their gateway.
    pub(crate) agent: bool,
    /// Who is told of each step as it is done.
    progress: &'a (dyn Fn(&Done) + Sync),
}

/// One step that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The service.
    pub object: ObjectName,
    /// The resource; none for the service's own namespace.
    pub resource: Option<ResourceName>,
    /// What was done, in words.
    pub what: String,
}

impl<'a> Services<'a> {
    /// The services of `node`; `agent` says whether its agent runs.
    ///
    /// # Errors
    /// [`ServiceError::Config`] when a keyword of the node cannot be.
    pub fn new(
        node: &'a Node,
        agent: bool,
        progress: &'a (dyn Fn(&Done) + Sync),
    ) -> Result<Self, ServiceError> {
        let config = node.config();
        let mut settings = Settings::new(config.root().clone());
        for (option, place) in [
            ("docker_socket", &mut settings.docker),
            ("podman_socket", &mut settings.podman),
        ] {
            let value = config.eval(&KeyPath::new("node", option));
            if let Some(value) = value.map_err(|source| ServiceError::Node { source })? {
                *place = value.to_string().into();
            }
        }
        Ok(Self {
            node,
            engines: Engines::new(settings),
            agent,
            progress,
        })
    }

    pub(crate) fn config(&self) -> &Config {
        self.node.config()
    }

    /// The service as its file declares it now.
    ///
    /// # Errors
    /// A file that is not there, or what is wrong with it.
    pub fn read(&self, object: &ObjectName) -> Result<Service, ServiceError> {
        let config = file::load(self.config(), object)?;
        Service::read(&config, object)
    }

    /// The services that were started on this node and not stopped.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn started(&self) -> Result<Vec<StartedService>, ServiceError> {
        Ok(self.node.host().store(|store| store.view().services())?)
    }

    /// The record of one service, where it is started.
    pub(crate) fn record(
        &self,
        object: &ObjectName,
    ) -> Result<Option<StartedService>, ServiceError> {
        let host = self.node.host();
        Ok(host.store(|store| store.view().service(object))?)
    }

    /// The records of the attachments that are for one service, or for one resource of it.
    pub(crate) fn attached(
        &self,
        object: &ObjectName,
        resource: Option<&ResourceName>,
    ) -> Result<Vec<Attachment>, ServiceError> {
        let filter = AttachmentFilter {
            object: Some(object),
            ..AttachmentFilter::default()
        };
        let host = self.node.host();
        let mut all = host.store(|store| store.view().attachments(&filter))?;
        all.retain(|record| resource.is_none_or(|r| record.resource.as_ref() == Some(r)));
        Ok(all)
    }

    /// Records a container before it is started.
    pub(crate) fn record_container(
        &self,
        object: &ObjectName,
        spec: &ContainerSpec,
    ) -> Result<(), ServiceError> {
        let container = StartedContainer {
            kind: spec.kind.as_str().to_owned(),
            name: spec.name.clone(),
            lxcpath: spec.lxcpath.clone(),
        };
        let host = self.node.host();
        host.store(|store| {
            store.write(|tx| tx.service_container(object, &spec.resource, Some(&container)))
        })?;
        Ok(())
    }

    /// Whether a container runs.
    pub(crate) fn is_up(&self, container: &Container) -> Result<bool, ServiceError> {
        let spec = &container.spec;
        let state = self.engines.engine(spec.kind).state(spec);
        let state = state.map_err(ServiceError::engine(&spec.service))?;
        Ok(state.running().is_some())
    }

    pub(crate) fn tell(
        &self,
        object: &ObjectName,
        resource: Option<&ResourceName>,
        what: impl Into<String>,
    ) -> Done {
        let done = Done {
            object: object.clone(),
            resource: resource.cloned(),
            what: what.into(),
        };
        (self.progress)(&done);
        done
    }
}
